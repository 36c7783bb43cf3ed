//! Many clients: the same question of all of them, and one that leaves no time for the others.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use super::load::paced;
use super::load::table::Table;
use super::load::upstream::Upstream;
use super::peers::landfall;

/// How long the upstream server thinks about a question that all ask: all are there before it answers.
const THOUGHT: Duration = Duration::from_millis(500);

/// Clients with an address each, and the questions of each that are the same.
const ALIKE: (u8, u16) = (10, 100);

/// The client that asks for random names: questions a second, and at a time.
const FLOOD: (u32, usize) = (50_000, 32);

/// The clients beside it, and questions a second of each.
const OTHERS: (u8, u32) = (50, 4);

/// How long the round trip to the upstream server is for the second flood.
const AFAR: Duration = Duration::from_millis(10);

/// Measures what other clients notice.
pub fn measure(table: &mut Table, program: &str, is_quick: bool) {
    alike(table, program);
    let lasts = Duration::from_secs(if is_quick { 2 } else { 5 });
    flood(table, program, "upstream at hand", &Upstream::start(), lasts);
    flood(table, program, "upstream 10 ms away", &Upstream::slow(AFAR), lasts);
}

fn alike(table: &mut Table, program: &str) {
    let upstream = Upstream::slow(THOUGHT);
    let server = landfall(program, upstream.address);
    let before = upstream.asked();
    let answered = paced::identical(ALIKE.0, ALIKE.1, server.address());
    let all = u32::from(ALIKE.0) * u32::from(ALIKE.1);
    table.at_least(&format!("{all} identical questions: answered"), answered as f64, f64::from(all), "");
    let asked = (upstream.asked() - before) as f64;
    table.at_most(&format!("{all} identical questions: asked upstream"), asked, 1.0, "");
}

fn flood(table: &mut Table, program: &str, what: &str, upstream: &Upstream, lasts: Duration) {
    let server = landfall(program, upstream.address);
    let address = server.address();
    let noisy = thread::spawn(move || paced::ask(Ipv4Addr::LOCALHOST, address, FLOOD.0, FLOOD.1, lasts + lasts / 4));
    let others = paced::many(OTHERS.0, address, OTHERS.1, lasts);
    let noisy = noisy.join().unwrap();
    let rate = noisy.asked as f64 / (lasts + lasts / 4).as_secs_f64();
    table.tell(&format!("flood, {what}: random names a second"), rate, "");
    let answered = noisy.took.len() as f64 * 100.0 / noisy.asked as f64;
    table.tell(&format!("flood, {what}: of these answered"), answered, "%");
    let refused = noisy.wrong as f64 * 100.0 / noisy.asked as f64;
    table.tell(&format!("flood, {what}: of these turned away, or answered late"), refused, "%");
    let answered = others.took.len() as f64 * 100.0 / others.asked as f64;
    table.at_least(&format!("flood, {what}: answered of {} others", OTHERS.0), answered, 100.0, "%");
    let slow = others.percentile(99).as_secs_f64() * 1e3;
    table.at_most(&format!("flood, {what}: 99th percentile of the others"), slow, 50.0, "ms");
}
