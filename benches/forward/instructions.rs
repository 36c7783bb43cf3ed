//! What a miss costs without noise: the instructions of the program, and its allocations, counted by callgrind.

use std::time::Duration;

use super::load::saturated::{Open, saturate};
use super::load::server::version;
use super::load::table::{Table, artifact};
use super::load::upstream::Upstream;
use super::peers::landfall;
use super::profile::Profile;

/// How many callers of an allocation are told apart.
const CALLERS: usize = 12;

/// How many lines of a profile are printed.
const LINES: usize = 40;

/// How long the upstream server thinks: every miss has to wait, as misses do, however slow valgrind is.
const THOUGHT: Duration = Duration::from_millis(5);

/// One question at a time: nothing is shared among them.
const OPEN: Open = Open { sockets: 1, each: 1, patience: Duration::from_secs(10) };

/// Measures the cost of a miss as the difference between runs with some and with twice as many: what starts and ends the
/// program is in both. The files of callgrind stay in `target`, for `callgrind_annotate` and the like.
pub fn measure(table: &mut Table, program: &str, is_quick: bool) {
    if version("valgrind", "--version").is_none() {
        return table.note("instructions and allocations of a miss", "skipped: no valgrind");
    }
    let misses = if is_quick { 1000 } else { 2000 };
    let few = profile(program, misses);
    let cost = profile(program, 2 * misses).less(&few).each(misses);
    println!("callgrind, for each miss: instructions of the functions themselves");
    cost.own(LINES).iter().for_each(|(function, count)| println!("{count:>9.1}  {function}"));
    println!("\ncallgrind, for each miss: instructions with those of what is called");
    cost.whole(LINES).iter().for_each(|(function, count)| println!("{count:>9.1}  {function}"));
    println!("\ncallgrind, for each miss: allocations, by their callers");
    cost.allocations(LINES).iter().for_each(|(function, count)| println!("{count:>9.2}  {function}"));
    println!();
    table.at_most("instructions for each miss", cost.instructions(), 12_000.0, "");
    table.at_most("allocations for each miss", cost.allocated(), 8.0, "");
}

fn profile(program: &str, misses: u64) -> Profile {
    let upstream = Upstream::slow(THOUGHT);
    let file = artifact(&format!("callgrind.{misses}.out"));
    let apart: String = Profile::ALLOCATORS.iter().map(|name| format!(" --separate-callers{CALLERS}={name}")).collect();
    let wrapper = format!("valgrind -q --tool=callgrind --callgrind-out-file={}{apart} {program}", file.display());
    let server = landfall(&wrapper, upstream.address);
    let outcome = saturate(server.address(), OPEN, Duration::from_secs(600), misses);
    assert_eq!(outcome.answered, misses, "some are not answered: {outcome:?}");
    server.stop();
    Profile::read(&std::fs::read_to_string(&file).unwrap())
}
