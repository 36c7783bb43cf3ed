//! The whole: configuration to running server. The only module that knows all others.

pub mod assemble;
