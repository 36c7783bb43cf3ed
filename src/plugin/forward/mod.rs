//! `forward`: asks other servers.
//!
//! Here is decided whom to ask, in which order and for how long; `servers` knows who there is (those that are
//! named by files and names from `lookup`), `flights` what is being asked already, `asking` asks one server, `server` knows how
//! it is, and `probe` finds out when it is back.

mod asking;
mod flights;
mod lookup;
mod policy;
mod probe;
mod server;
mod servers;
mod tally;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use self::asking::Asking;
use self::flights::{Fate, Flights, Outcome, Turn};
use self::policy::Turns;
use self::probe::Prober;
use self::server::Server;
use self::servers::Servers;
use crate::config::directive;
use crate::dns::{Answer, Name, Query, ResponseCode, mnemonic};
use crate::metrics::Metrics;
use crate::task::Tasks;
use crate::upstream::{Exchange, UpstreamError};

/// The name of the plugin in metrics.
const NAME: &str = "forward";

/// The extended DNS errors "Other", "No Reachable Authority" and "Network Error" (RFC 8914).
const OTHER: u16 = 0;
const NO_REACHABLE_AUTHORITY: u16 = 22;
const NETWORK_ERROR: u16 = 23;

/// Other servers, and how they are asked.
#[derive(Debug)]
pub struct Forward {
    from: Name,
    except: Vec<Name>,
    servers: Servers,
    turns: Turns,
    /// One permit for each query under way.
    concurrent: Option<Concurrent>,
    max_fails: u32,
    /// How many servers are asked for one query; None: twice as many as there are.
    attempts_max: Option<u32>,
    /// Where all servers seem down, nobody is asked.
    is_failing_fast: bool,
    failover: Vec<ResponseCode>,
    next: Vec<ResponseCode>,
    next_on_nodata: bool,
    asking: Arc<Asking>,
    flights: Flights,
    prober: Prober,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Concurrent {
    permits: Semaphore,
    max: usize,
}

impl Forward {
    /// The servers of a directive, asked through `exchange`. What looks for servers that are named by files or names, and
    /// probes those that failed, runs in `tasks`.
    pub fn new(config: &directive::Forward, exchange: Arc<dyn Exchange>, metrics: Arc<Metrics>, tasks: Tasks) -> Self {
        let asking = Arc::new(Asking::new(config, exchange.clone(), metrics.clone()));
        let prober = Prober::new(config, exchange.clone(), metrics.clone(), tasks.clone());
        let concurrent = |max| Concurrent { permits: Semaphore::new(Semaphore::MAX_PERMITS.min(max)), max };
        Self {
            from: config.from.clone(),
            except: config.except.clone(),
            servers: Servers::new(config, exchange, asking.clone(), &tasks),
            turns: Turns::new(config.policy),
            concurrent: (config.max_concurrent > 0).then(|| concurrent(config.max_concurrent)),
            max_fails: config.max_fails,
            attempts_max: config.max_connect_attempts,
            is_failing_fast: config.failfast_all_unhealthy_upstreams,
            failover: config.failover.clone(),
            next: config.next.clone(),
            next_on_nodata: config.next_on_nodata,
            asking,
            flights: Flights::new(prober.recoveries()),
            prober,
            metrics,
        }
    }

    /// Whether names like this are forwarded. The zone itself is, also if it is excepted, as in CoreDNS.
    pub fn covers(&self, name: &Name) -> bool {
        self.from.zone_of(name) && (self.from == *name || !self.except.iter().any(|zone| zone.zone_of(name)))
    }

    /// Whether the next `forward` of the block is to be asked, if there is one: another server's answer says so.
    pub fn passes_on(&self, answer: &Answer) -> bool {
        let is_relayed = answer.failure().is_none();
        let is_listed = self.next.contains(&answer.response_code()) || (self.next_on_nodata && answer.is_no_data());
        is_relayed && is_listed
    }

    /// How often servers have come back: what failed before the last time may be asked again.
    pub fn recoveries(&self) -> u64 {
        self.flights.recoveries()
    }

    /// Asks, and returns what of the answer is believed; SERVFAIL if nobody answered.
    pub async fn answer(&self, query: &Query) -> Answer {
        if !query.may_wait {
            // The listener refuses what is not answered by now; nothing was done for it.
            return std::future::pending().await;
        }
        loop {
            let outcome = match self.flights.begin(query) {
                Turn::Ask(flight) => {
                    let is_ample = query.budget.is_ample(Instant::now().into_std());
                    let mut outcome = self.ask(query).await;
                    // Who had little left may not have asked those who answer.
                    if outcome.fate == Fate::Remembered && !is_ample {
                        outcome.fate = Fate::Own;
                    }
                    flight.end(&outcome);
                    return outcome.answer;
                }
                Turn::Failed(answer) => {
                    self.metrics.landfall_forward_failures_remembered.inc();
                    query.explain(NAME, || "nobody answered that just now: it is not asked again yet".to_owned());
                    return answer;
                }
                Turn::Wait(waiting) => timeout_at(self.deadline(query), waiting.outcome()).await,
            };
            query.explain(NAME, || "somebody else asks the same: their answer will do".to_owned());
            match outcome {
                Ok(Some(Outcome { answer, server, .. })) => {
                    self.metrics.landfall_forward_shared.inc();
                    if let Some(server) = server {
                        query.metadata.tell("forward/upstream", || server.label().to_owned());
                    }
                    return answer;
                }
                // They gave up, which says nothing.
                Ok(None) => {}
                Err(_) => return no_answer_in_time(),
            }
        }
    }

    /// Asks if that is not too much at once.
    async fn ask(&self, query: &Query) -> Outcome {
        let Some(concurrent) = &self.concurrent else {
            return self.ask_in_turn(query).await;
        };
        match concurrent.permits.try_acquire() {
            Ok(_permit) => self.ask_in_turn(query).await,
            Err(_) => Outcome { answer: self.turn_away(concurrent.max), server: None, fate: Fate::Shared },
        }
    }

    fn turn_away(&self, max: usize) -> Answer {
        self.metrics.forward_max_concurrent_rejects.inc();
        let text = format!("concurrent queries exceeded maximum {max}");
        Answer::serv_fail(&*text).with_response_code(ResponseCode::Refused).with_extended_error(OTHER, text).by(NAME)
    }

    fn deadline(&self, query: &Query) -> Instant {
        query.budget.deadline(Instant::now().into_std()).into()
    }

    /// Asks one server after the other until one answers, whatever it says: only failures and the codes of `failover` lead to
    /// the next one.
    async fn ask_in_turn(&self, query: &Query) -> Outcome {
        let servers = self.servers.known(self.deadline(query)).await;
        let order = self.turns.order(&servers);
        let mut turns = order.iter().copied().cycle();
        let (mut failure, mut unwanted, mut unwanted_count) = (None, None, 0);
        let attempts_max = match self.attempts_max {
            None => 2 * order.len(),
            Some(0) => usize::MAX,
            Some(attempts) => attempts as usize,
        };
        for _ in 0..attempts_max {
            if query.budget.is_spent(Instant::now().into_std()) {
                break;
            }
            let up = turns.by_ref().take(order.len()).find(|server| !server.is_down(self.max_fails));
            let Some(server) = up.or_else(|| self.last_resort(&order)) else { break };
            query.metadata.tell("forward/upstream", || server.label().to_owned());
            match self.ask_one(server, query).await {
                Ok(answer) => {
                    let outcome = Outcome::answered(answer, server);
                    // The last server has the last word.
                    unwanted_count += 1;
                    if !self.failover.contains(&outcome.answer.response_code()) || unwanted_count >= order.len() {
                        return outcome;
                    }
                    unwanted = Some(outcome);
                }
                Err(error) => {
                    // What lies on our side hides no failure of a server.
                    if failure.is_none() || !error.is_own() {
                        failure = Some((server, error));
                    }
                    if up.is_none() {
                        break;
                    }
                }
            }
        }
        unwanted.unwrap_or_else(|| match failure {
            Some((server, error)) => nobody_answered(server, &error),
            None if order.is_empty() => nobody_is_well("no address of a server is known"),
            None if query.budget.is_spent(Instant::now().into_std()) => too_much(),
            None => nobody_is_well("no server is well"),
        })
    }

    /// Asks a server, and notes how it is.
    async fn ask_one(&self, server: &Arc<Server>, query: &Query) -> Result<Answer, UpstreamError> {
        let asked_at = Instant::now();
        let outcome = self.asking.ask(server, query).await;
        query.explain(NAME, || match &outcome {
            Ok(answer) => {
                let (code, took) = (mnemonic(answer.response_code()), asked_at.elapsed());
                format!("{} answers {code} in {took:.1?}", server.label())
            }
            Err(error) => format!("{}: {error}", server.label()),
        });
        match &outcome {
            Ok(_) => self.prober.note_answer(server),
            Err(error) if error.is_own() => {}
            Err(_) => self.prober.start(server),
        }
        outcome
    }

    /// All servers are down, or so it seems: any of them that nobody has tried just now, or none with
    /// `failfast_all_unhealthy_upstreams`. Unlike CoreDNS, where each query waits for one of them.
    fn last_resort<'a>(&self, servers: &[&'a Arc<Server>]) -> Option<&'a Arc<Server>> {
        self.metrics.forward_healthcheck_broken.inc();
        if self.is_failing_fast || servers.is_empty() {
            return None;
        }
        let (now, first) = (Instant::now(), rand::random_range(..servers.len()));
        servers.iter().cycle().skip(first).take(servers.len()).copied().find(|server| server.begin_trial(now))
    }
}

/// Nobody was asked.
fn nobody_is_well(reason: &str) -> Outcome {
    let answer = Answer::serv_fail(reason).with_extended_error(NO_REACHABLE_AUTHORITY, reason);
    Outcome { answer: answer.by(NAME), server: None, fate: Fate::Shared }
}

/// What the query may cost is spent.
fn too_much() -> Outcome {
    let reason = "the query has asked other servers too often, or for too long";
    let answer = Answer::serv_fail(reason).with_extended_error(OTHER, reason);
    Outcome { answer: answer.by(NAME), server: None, fate: Fate::Own }
}

/// The last server that was asked gave no answer.
fn nobody_answered(server: &Arc<Server>, error: &UpstreamError) -> Outcome {
    let code = match error {
        UpstreamError::Timeout { .. } | UpstreamError::Spent { .. } => NO_REACHABLE_AUTHORITY,
        UpstreamError::Connect { .. } | UpstreamError::Malformed { .. } => NETWORK_ERROR,
        UpstreamError::Local { .. } => OTHER,
    };
    let answer = Answer::serv_fail(told(error)).with_extended_error(code, error.to_string());
    let fate = match error {
        UpstreamError::Spent { .. } => Fate::Own,
        UpstreamError::Local { .. } => Fate::Shared,
        _ => Fate::Remembered,
    };
    Outcome { answer: answer.by(NAME), server: Some(server.clone()), fate }
}

/// Somebody else asks the same, for longer than this query may take.
fn no_answer_in_time() -> Answer {
    let reason = "no answer in time";
    Answer::serv_fail(reason).with_extended_error(NO_REACHABLE_AUTHORITY, reason).by(NAME)
}

/// An error with its reason.
fn told(error: &UpstreamError) -> String {
    let reason = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{reason}")
}
