//! What a large cluster costs: memory, and the time until a change is in an answer.
//!
//! `cargo bench --bench cluster` runs the program against an API server with 10,000 Services, 150,000 endpoints and 150,000 Pods,
//! and prints one table; `-- --quick` takes a tenth of that and less than a minute. The exit code says whether all rows hold.

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

use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use self::api::Api;
use self::load::{Questions, changes};
use self::objects::Size;
use self::process::Server;

/// Questions a second while something changes.
const QUESTIONS: u32 = 5000;
/// How long the allocator has to come to rest.
const REST: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let (services, lasts) = if is_quick { (1000, Duration::from_secs(4)) } else { (10_000, Duration::from_secs(10)) };
    let size = Size { services, endpoints: 15, pods: services * 15 };
    let mut table = Table::default();

    let empty = started(Size { services: 0, endpoints: 15, pods: 0 }, false, "").memory;
    table.tell("memory without a cluster", format!("{empty:.1} MB"));
    with_endpoints(&mut table, size, empty, lasts);
    with_pods(&mut table, size);
    table.print(size)
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
    table.tell("octets for each endpoint, with Services and slices", format!("{octets:.0}"));
    relist(table, &started, "endpoints", &["services", "endpointslices"]);
    for (rate, limit) in [(100, 100.0), (1000, 1000.0)] {
        let questions = Questions::start(started.server.dns, size, QUESTIONS);
        let took = changes(&started.api, started.server.dns, size, rate, lasts);
        let (asked, wrong) = questions.end();
        let percentile = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64() * 1e3;
        table.tell(
            &format!("change to answer at {rate}/s, median of {}", took.len()),
            format!("{:.1} ms", percentile(50)),
        );
        table.at_most(&format!("change to answer at {rate}/s, 99th percentile"), percentile(99), limit, "ms");
        table.at_least(&format!("questions a second at {rate} changes/s"), asked, f64::from(QUESTIONS) * 0.95, "");
        table.at_most(&format!("wrong answers at {rate} changes/s"), wrong as f64, 0.0, "");
    }
    table.at_most("memory after all changes", started.server.memory(), 60.0 * 1.25, "MB");
}

fn with_pods(table: &mut Table, size: Size) {
    let started = started(size, false, "pods verified");
    table.at_most("memory with endpoints and verified Pods", started.memory, 110.0, "MB");
    table.tell("synced with Pods after the first octet", format!("{:.1} s", started.synced.as_secs_f64()));
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

/// What was found, beside what was to be found.
#[derive(Default)]
struct Table {
    rows: Vec<[String; 4]>,
    fails: bool,
}

impl Table {
    fn at_most(&mut self, what: &str, figure: f64, limit: f64, unit: &str) {
        self.row(what, figure, format!("<= {limit} {unit}"), unit, figure <= limit);
    }

    fn at_least(&mut self, what: &str, figure: f64, limit: f64, unit: &str) {
        self.row(what, figure, format!(">= {limit} {unit}"), unit, figure >= limit);
    }

    /// A figure that has no target.
    fn tell(&mut self, what: &str, figure: String) {
        self.rows.push([what.to_owned(), String::new(), figure, String::new()]);
    }

    fn row(&mut self, what: &str, figure: f64, target: String, unit: &str, holds: bool) {
        self.fails |= !holds;
        let verdict = if holds { "pass" } else { "FAIL" };
        self.rows.push([what.to_owned(), target, format!("{figure:.1} {unit}"), verdict.to_owned()]);
    }

    fn print(&self, size: Size) -> ExitCode {
        println!("{} Services, {} endpoints, {} Pods", size.services, size.services * size.endpoints, size.pods);
        println!("{:52} {:>12} {:>12}  verdict", "what", "target", "figure");
        for [what, target, figure, verdict] in &self.rows {
            println!("{what:52} {:>12} {:>12}  {verdict}", target.trim(), figure.trim());
        }
        if self.fails { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}
