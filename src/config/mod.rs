//! What an operator can say: one typed configuration, read from a Corefile.
//!
//! Values here are right by construction: a zone is a name, a prefix is a prefix, a duration is within its bounds.
//! Reading files (the Corefile, its imports, resolv.conf) happens in [`corefile::load`] only; nothing here opens a
//! socket or reads a clock.

pub mod corefile;
pub mod directive;
mod duration;
pub mod expression;
pub mod go_template;
pub mod selector;
mod server;
pub mod text;
pub mod yaml;

pub use duration::duration_text;
pub use server::{Config, REFERENCES, Scheme, ServerBlock, ServerKey};
