//! Answers that are too long for one message.

use std::fmt;
use std::sync::Arc;

use super::Record;

/// Records, made one after another.
pub type Records = Box<dyn Iterator<Item = Record> + Send>;

/// The records of a whole zone (RFC 5936), which nobody holds as a list: SOA, everything else, SOA.
#[derive(Clone)]
pub struct Transfer(Arc<dyn Fn() -> Records + Send + Sync>);

impl Transfer {
    /// A transfer of the records that `begin` begins with.
    pub fn new(begin: impl Fn() -> Records + Send + Sync + 'static) -> Self {
        Self(Arc::new(begin))
    }

    /// The records, from the first one.
    pub fn records(&self) -> Records {
        self.0()
    }
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transfer")
    }
}
