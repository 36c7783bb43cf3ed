//! What benches of the path of a query share: questions, clients, an upstream server, servers as children, the table of what was found.

pub mod datagrams;
pub mod paced;
pub mod question;
pub mod saturated;
pub mod server;
pub mod table;
pub mod upstream;

/// The core that servers are pinned to.
pub const SERVER_CORE: &str = "0";

/// Pins this process, with the threads that it starts from now on, to all cores but the servers' own.
/// On a machine with one core nothing is pinned.
pub fn leave_the_server_core() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores > 1 {
        let rest = format!("1-{}", cores - 1);
        let pinned = std::process::Command::new("taskset")
            .args(["-cp", &rest, &std::process::id().to_string()])
            .stdout(std::process::Stdio::null())
            .status();
        assert!(pinned.is_ok_and(|status| status.success()), "taskset cannot pin this process");
    }
}
