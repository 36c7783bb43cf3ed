//! What the process is doing, as the kernel tells it: for `pprof`.
//!
//! A profile by signals is left out on purpose: unwinding a stack in a signal handler is not safe, and a look at a DNS server
//! must not end it.

use std::fs;
use std::path::Path;

/// The pages there are.
pub const INDEX: &str = "\
/debug/pprof/cmdline  the command line\n\
/debug/pprof/threads  the threads, with the CPU time that each has used\n\
/debug/pprof/memory   the memory of the process\n";

/// What is said in place of a profile of Go's runtime.
pub const NO_PROFILE: &str = "There is no such profile: it is one of Go's runtime. For CPU time, run `perf record -g -p PID` on the node, or look at \
    /debug/pprof/threads; for memory, look at /debug/pprof/memory and the metric process_resident_memory_bytes.\n";

/// The words of the command line, with a zero octet between them, as Go writes them.
pub fn command_line() -> Vec<u8> {
    let mut words = fs::read("/proc/self/cmdline").unwrap_or_default();
    // The kernel ends each word with one.
    words.pop();
    words
}

/// A line for each thread: its name, its state, and its CPU time in the kernel's ticks.
pub fn threads() -> String {
    let entries = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let mut rows: Vec<(String, String)> = entries.filter_map(|entry| thread(&entry.path())).collect();
    rows.sort();
    let head = format!("{:<16} {:>5} {:>10} {:>10}\n", "thread", "state", "user", "system");
    let lines = rows.iter().map(|(name, row)| format!("{name:<16} {row}\n"));
    lines.fold(head, |text, line| text + &line) + "CPU time in ticks, of which a second has 100 as a rule\n"
}

fn thread(path: &Path) -> Option<(String, String)> {
    let stat = fs::read_to_string(path.join("stat")).ok()?;
    // The name stands in brackets, and may hold some itself.
    let (head, rest) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let mut fields = rest.split_whitespace();
    let (state, user, system) = (fields.next()?, fields.nth(10)?, fields.next()?);
    Some((name, format!("{state:>5} {user:>10} {system:>10}")))
}

/// The lines of the kernel's status that are about memory.
pub fn memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("Vm") || line.starts_with("Rss"));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_of_this_process() {
        assert!(memory().contains("VmRSS:"), "{}", memory());
        assert!(!command_line().is_empty());
        let row = threads().lines().nth(1).map(|line| line.split_whitespace().count());
        assert!(row >= Some(4), "{}", threads());
    }
}
