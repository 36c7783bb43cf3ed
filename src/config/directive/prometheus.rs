//! `prometheus [ADDRESS]`: metrics.

/// The metrics page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prometheus {
    /// HOST:PORT as CoreDNS takes it; an empty host means all addresses.
    pub address: String,
}
