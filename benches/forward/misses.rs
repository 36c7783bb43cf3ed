//! Questions that no cache knows: what the core has for one, and how long an answer takes at a moderate rate.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;

use super::load::paced;
use super::load::saturated::{Open, saturate};
use super::load::table::Table;
use super::load::upstream::Upstream;
use super::peers::{Peer, landfall, others};

/// Questions that wait at a time, when as many are asked as are answered.
const OPEN: Open = Open { sockets: 8, each: 16, patience: Duration::from_millis(200) };

/// Questions a second that a server has time for.
const MODERATE: u32 = 3000;

/// How long all is let be before a round.
const REST: Duration = Duration::from_millis(50);

/// What the rounds of one server gave.
#[derive(Default)]
struct Rounds {
    /// Answers for a second of the core.
    rates: Vec<f64>,
    /// The part of the core that was used: one that is not near 1 was not the bottleneck.
    used: Vec<f64>,
    median: Vec<f64>,
    slow: Vec<f64>,
    /// Microseconds for each question at the moderate rate.
    moderate: Vec<f64>,
    wrong: u64,
    asked: u64,
}

/// Measures all servers in rounds, each round in another order: only figures of one round can be compared.
pub fn measure(table: &mut Table, program: &str, given: Vec<&str>, is_quick: bool) {
    let upstream = Upstream::start();
    let mut peers =
        vec![Peer { name: "landfall".to_owned(), server: landfall(program, upstream.address), target: None }];
    peers.extend(others(table, given, upstream.address));
    let mut found: Vec<Rounds> = peers.iter().map(|_| Rounds::default()).collect();
    let mut order: Vec<usize> = (0..peers.len()).collect();
    let (rounds, lasts): (u32, u64) = if is_quick { (3, 400) } else { (9, 800) };
    for _ in 0..rounds {
        order.shuffle(&mut rand::rng());
        for at in &order {
            one_saturated(&peers[*at], &mut found[*at], Duration::from_millis(lasts));
        }
    }
    for _ in 0..rounds.div_ceil(3) {
        order.shuffle(&mut rand::rng());
        for at in &order {
            one_moderate(&peers[*at], &mut found[*at], Duration::from_millis(lasts * 2));
        }
    }
    table.note("servers", "one core, one worker, cache and metrics on");
    for (peer, rounds) in peers.iter().zip(&found) {
        tell(table, &peer.name, rounds);
    }
    compare(table, &peers, &found);
}

fn one_saturated(peer: &Peer, rounds: &mut Rounds, lasts: Duration) {
    std::thread::sleep(REST);
    let (cpu, began) = (peer.server.cpu(), Instant::now());
    let outcome = saturate(peer.server.address(), OPEN, lasts, u64::MAX);
    let used = (peer.server.cpu() - cpu).as_secs_f64();
    rounds.rates.push(outcome.answered as f64 / used);
    rounds.used.push(used / began.elapsed().as_secs_f64());
    rounds.wrong += outcome.wrong + outcome.lost;
    rounds.asked += outcome.answered + outcome.wrong + outcome.lost;
}

fn one_moderate(peer: &Peer, rounds: &mut Rounds, lasts: Duration) {
    std::thread::sleep(REST);
    let cpu = peer.server.cpu();
    let paced = paced::ask(Ipv4Addr::LOCALHOST, peer.server.address(), MODERATE, 1, lasts);
    let used = peer.server.cpu() - cpu;
    rounds.moderate.push(used.as_secs_f64() * 1e6 / paced.asked as f64);
    rounds.median.push(paced.percentile(50).as_secs_f64() * 1e6);
    rounds.slow.push(paced.percentile(99).as_secs_f64() * 1e6);
    rounds.wrong += paced.missed();
    rounds.asked += paced.asked;
}

fn tell(table: &mut Table, name: &str, rounds: &Rounds) {
    let middle = |figures: &[f64]| median(figures.iter().copied());
    table.tell(&format!("{name}: misses for a second of the core"), middle(&rounds.rates), "");
    table.tell(&format!("{name}: part of the core that was used"), middle(&rounds.used), "");
    table.tell(&format!("{name}: at {MODERATE}/s, median"), middle(&rounds.median), "us");
    table.tell(&format!("{name}: at {MODERATE}/s, 99th percentile"), middle(&rounds.slow), "us");
    table.tell(&format!("{name}: at {MODERATE}/s, core for each"), middle(&rounds.moderate), "us");
    table.tell(&format!("{name}: wrong or lost, of a million"), rounds.wrong as f64 * 1e6 / rounds.asked as f64, "");
}

fn compare(table: &mut Table, peers: &[Peer], found: &[Rounds]) {
    let [ours, others @ ..] = found else { return };
    for (peer, theirs) in peers[1..].iter().zip(others) {
        let ratio = |ours: &[f64], theirs: &[f64]| median(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs));
        let (what, times) =
            (format!("landfall / {}: misses for the same core", peer.name), ratio(&ours.rates, &theirs.rates));
        match peer.target {
            Some(target) => table.at_least(&what, times, target, "x"),
            None => table.tell(&what, times, "x"),
        }
        let what = format!("landfall / {}: core at {MODERATE}/s", peer.name);
        table.tell(&what, ratio(&ours.moderate, &theirs.moderate), "x");
        let what = format!("landfall / {}: 99th percentile at {MODERATE}/s", peer.name);
        table.tell(&what, ratio(&ours.slow, &theirs.slow), "x");
    }
}

/// The middle one; NaN: there are none.
fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
