//! What a large cluster costs: memory, and the time until a change is in an answer.
//!
//! `cargo bench --bench cluster` runs the program against an API server with 10,000 Services, 150,000 endpoints and 150,000 Pods,
//! prints one table, and writes the same as JSON to `target/bench-cluster.json`; `-- --quick` takes a tenth of that and less
//! than a minute. The exit code says whether all rows hold.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot go on fails"
)]

mod api;
mod load;
mod objects;
mod process;
#[path = "../load/table.rs"]
mod table;

use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use self::api::Api;
use self::load::{Questions, changes};
use self::objects::Size;
use self::process::Server;
use self::table::Table;

/// Questions a second while something changes.
const QUESTIONS: u32 = 5000;
/// How long the allocator has to come to rest.
const REST: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let (services, lasts) = if is_quick { (1000, Duration::from_secs(4)) } else { (10_000, Duration::from_secs(10)) };
    let size = Size { services, endpoints: 15, pods: services * 15 };
    let mut table = Table::new("cluster");
    let Size { services, endpoints, pods } = size;
    table.note("cluster", &format!("{services} Services, {} endpoints, {pods} Pods", services * endpoints));

    let empty = started(Size { services: 0, endpoints: 15, pods: 0 }, false, "").memory;
    table.tell("memory without a cluster", empty, "MB");
    with_endpoints(&mut table, size, empty, lasts);
    with_pods(&mut table, size);
    table.end()
}

/// A server that is ready.
struct Started {
    api: Api,
    server: Server,
    /// From the first list to readiness.
    synced: Duration,
    memory: f64,
}

fn started(size: Size, streams: bool, lines: &str) -> Started {
    let api = Api::start(size, streams);
    let server = Server::start(api.address, lines);
    let ready = server.wait_until_ready();
    let synced = api.began().map_or(Duration::ZERO, |began| ready - began);
    sleep(REST);
    let memory = server.memory();
    Started { api, server, synced, memory }
}

fn with_endpoints(table: &mut Table, size: Size, empty: f64, lasts: Duration) {
    let streamed = started(size, true, "");
    table.at_most("memory with endpoints, streamed lists", streamed.memory, 60.0, "MB");
    table.at_most("synced after the first octet, streamed lists", streamed.synced.as_secs_f64(), 5.0, "s");
    drop(streamed);
    let started = started(size, false, "");
    table.at_most("memory with endpoints, lists in pages", started.memory, 60.0, "MB");
    table.at_most("synced after the first octet, lists in pages", started.synced.as_secs_f64(), 5.0, "s");
    let octets = (started.memory - empty) * 1e6 / (size.services * size.endpoints) as f64;
    table.tell("octets for each endpoint, with Services and slices", octets, "");
    relist(table, &started, "endpoints", &["services", "endpointslices"]);
    for (rate, limit) in [(100, 100.0), (1000, 1000.0)] {
        let questions = Questions::start(started.server.dns, size, QUESTIONS);
        let took = changes(&started.api, started.server.dns, size, rate, lasts);
        let (asked, wrong) = questions.end();
        let percentile = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64() * 1e3;
        table.tell(&format!("change to answer at {rate}/s, median of {}", took.len()), percentile(50), "ms");
        table.at_most(&format!("change to answer at {rate}/s, 99th percentile"), percentile(99), limit, "ms");
        table.at_least(&format!("questions a second at {rate} changes/s"), asked, f64::from(QUESTIONS) * 0.95, "");
        table.at_most(&format!("wrong answers at {rate} changes/s"), wrong as f64, 0.0, "");
    }
    table.at_most("memory after all changes", started.server.memory(), 60.0 * 1.25, "MB");
}

fn with_pods(table: &mut Table, size: Size) {
    let started = started(size, false, "pods verified");
    table.at_most("memory with endpoints and verified Pods", started.memory, 110.0, "MB");
    table.tell("synced with Pods after the first octet", started.synced.as_secs_f64(), "s");
    relist(table, &started, "endpoints and Pods", &["services", "endpointslices", "pods"]);
}

/// Has everything listed again.
fn relist(table: &mut Table, started: &Started, what: &str, resources: &[&str]) {
    let watches = || -> Vec<usize> { resources.iter().map(|resource| started.api.watches(resource)).collect() };
    let (before, began) = (watches(), Instant::now());
    started.server.forget_peak();
    started.api.expire();
    while watches().iter().zip(&before).any(|(now, before)| now <= before) {
        assert!(began.elapsed() < Duration::from_secs(120), "nothing is listed again");
        sleep(Duration::from_millis(10));
    }
    sleep(REST);
    let growth = (started.server.peak() / started.memory - 1.0) * 100.0;
    table.at_most(&format!("growth while {what} are listed again"), growth, 25.0, "%");
}
