//! What a question costs that another server has to answer, beside what it costs others.
//!
//! `cargo bench --bench forward` prints one table and writes `target/bench-forward.json`. The exit code says whether all targets
//! are met. Arguments behind `--`:
//! - `--quick`: fewer and shorter rounds;
//! - `--peer NAME=COMMAND`: a further server, by a command line of the shell. In it `{corefile}` is a Corefile with the stock
//!   list of plugins but `kubernetes`, `{forward}` one with `forward` alone, `{port}` where it has to listen on 127.0.0.1, and
//!   `{upstream}` the server that it has to ask. Peers whose name begins with `coredns` have a target;
//! - `--program FILE`: another build of this server. That of `cargo bench` has what tests need of its dependencies;
//! - `misses`, `clients`, `instructions`: only these parts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark that cannot go on fails"
)]

mod clients;
mod instructions;
#[path = "../load/mod.rs"]
mod load;
mod misses;
mod peers;
mod profile;

use std::process::ExitCode;

use self::load::table::Table;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let parts = ["misses", "clients", "instructions"];
    let is_all = !arguments.iter().any(|argument| parts.contains(&argument.as_str()));
    let wants = |part: &str| is_all || arguments.iter().any(|argument| argument == part);
    let values = |option| arguments.windows(2).filter(move |pair| pair[0] == option).map(|pair| pair[1].as_str());
    let program = values("--program").next_back().unwrap_or(env!("CARGO_BIN_EXE_landfall"));
    let mut table = Table::new("forward");

    load::leave_the_server_core();
    if wants("misses") {
        misses::measure(&mut table, program, values("--peer").collect(), is_quick);
    }
    if wants("clients") {
        clients::measure(&mut table, program, is_quick);
    }
    if wants("instructions") {
        instructions::measure(&mut table, program, is_quick);
    }
    table.end()
}
