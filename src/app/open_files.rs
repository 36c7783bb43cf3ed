//! How many files and sockets the process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::{info, warn};

/// Each query that waits for another server may have a socket, and so may each client.
const WANTED: u64 = 8192;

/// Raises the limit to what the process may have without asking anybody.
pub fn raise_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard {
            setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
            info!(from = soft, to = hard, "more files may be open");
        }
        Ok(hard)
    });
    match raised {
        Ok(limit) if limit < WANTED => {
            warn!(limit, wanted = WANTED, "few files may be open; under load, queries may find no socket");
        }
        Ok(_) => {}
        Err(error) => warn!(%error, "the limit of open files cannot be raised"),
    }
}
