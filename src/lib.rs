//! Landfall: a cluster DNS server for Kubernetes.
//!
//! It takes CoreDNS's place with the Corefile that is already in the cluster: `cluster.local` is answered from a
//! watch cache of the Kubernetes API, everything else is forwarded, and AAAA records are synthesized where only A
//! records exist (DNS64).
//!
//! The modules, from the bottom up. Imports point downwards only, and modules of one row do not know each other:
//!
//! | row | modules |
//! |---|---|
//! | values | [`dns`] messages and names; [`task`] named tasks, readiness, drain |
//! | zones | [`zone`] what a master file says of names |
//! | operators | [`config`] what an operator can say; [`metrics`] what an operator can see |
//! | meaning | [`cluster`] the names of a cluster; [`nat64`] addresses inside addresses |
//! | outside | [`upstream`] asking other servers; [`watch`] Kubernetes objects to changes |
//! | behaviour | [`plugin`] what a server block does with a query |
//! | edges | [`listen`] packets in, packets out; [`admin`] /health, /ready, /metrics |
//! | whole | [`app`] puts it together; [`cli`] is what is typed |

pub mod dns;
pub mod task;

pub mod zone;

pub mod config;
pub mod metrics;

pub mod cluster;
pub mod nat64;

pub mod upstream;
pub mod watch;

pub mod plugin;

pub mod admin;
pub mod listen;

pub mod app;
pub mod cli;
