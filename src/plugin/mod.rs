//! What a server block does with a query. A file is named as its Corefile directive.
//!
//! [`Pipeline`] holds the plugins of one block and one function with the order in which they act, which is that of
//! CoreDNS 1.14.7 whatever the order of the lines. [`Router`] finds the block of a name; plugins that need another
//! name (aliases, DNS64) ask it, too.

mod own_names;
mod pipeline;
mod router;

pub mod acl;
mod any;
pub mod auto;
pub mod autopath;
pub mod cache;
pub mod cancel;
pub mod chaos;
pub mod dns64;
pub mod errors;
pub mod file;
pub mod forward;
mod header;
pub mod hosts;
pub mod k8s_external;
pub mod kubernetes;
pub mod loadbalance;
pub mod local;
pub mod log;
pub mod loop_detection;
mod minimal;
pub mod nsid;
pub mod prometheus;
pub mod rewrite;
pub mod template;
pub mod transfer;
pub mod view;
pub mod whoami;

pub use pipeline::Pipeline;
pub use router::{Routed, Router, Zone};
