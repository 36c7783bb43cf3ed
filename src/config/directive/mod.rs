//! The directives: one file each, with the values that it takes and how its lines are read.

mod bind;
mod cache;
mod chaos;
mod dns64;
mod errors;
mod fallthrough;
mod forward;
mod health;
mod hosts;
mod kubernetes;
mod loadbalance;
mod log;
mod prometheus;
mod ready;
mod reload;
mod template;

pub use bind::{Bind, BindAddress};
pub use cache::{Cache, CacheSide, ServeStale};
pub use chaos::Chaos;
pub use dns64::Dns64;
pub use errors::{Consolidate, ConsolidateLevel, Errors};
pub use fallthrough::Fallthrough;
pub use forward::{Forward, ForwardTls, HealthCheck, Policy, Upstream, UpstreamTransport};
pub use health::Health;
pub use hosts::Hosts;
pub use kubernetes::{Kubernetes, ObjectSource, PodMode};
pub use loadbalance::LoadBalance;
pub use log::{LogClass, LogRule};
pub use prometheus::Prometheus;
pub use ready::Ready;
pub use reload::Reload;
pub use template::{Template, TemplateClass, TemplateType};
