//! Every metric name and label, spelled once. The names are CoreDNS's.
