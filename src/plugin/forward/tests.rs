//! A `forward` over a script instead of a network.

mod fates;
mod flights;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::*;
use crate::config::directive::{Policy, To};
use crate::config::text::Text;
use crate::dns::{Edns, RData, Record, RecordType, Request, Transport, encode, parse_name, parse_request, rdata};
use crate::upstream::{Attempt, Channel, Exchanging};

/// What a server does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Answer(ResponseCode),
    /// NOERROR, but not at once.
    AnswerAfter(Duration),
    /// An empty answer with TC.
    Truncate,
    Garbage,
    /// The answer to another question.
    Confuse,
    /// Without OPT.
    KnowNoEdns,
    Refuse,
    /// It is not asked: this machine has no socket left, which is known after a while.
    Lack(Duration),
    /// It is not asked: no connection is left in the budget.
    Spend,
    Nothing,
}

type Plot = dyn Fn(&Attempt, usize) -> Does + Send + Sync;

/// Servers as a test wants them: by attempt, and by how many came before it. Probes are noted apart.
struct Script {
    plot: Box<Plot>,
    attempts: Mutex<Vec<(u16, Channel)>>,
    probes: Mutex<Vec<Duration>>,
    start: Instant,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script")
    }
}

impl Script {
    fn reply(does: Does, message: &[u8]) -> Vec<u8> {
        let nobody = "127.0.0.1:0".parse().unwrap();
        let Request::Query(asked) = parse_request(message, nobody, nobody, Transport::Tcp) else {
            panic!("no question")
        };
        let with_opt = |edns: Option<Edns>| Query { edns, ..asked.clone() };
        let query = with_opt(Some(Edns { udp_size: 1232, dnssec_ok: false, options: Vec::new() }));
        let relayed = |code| Answer::relayed(code, false, true);
        match does {
            Does::Answer(ResponseCode::NoError) | Does::AnswerAfter(_) => {
                let address = RData::A(rdata::A::new(192, 0, 2, 1));
                let record = Record::from_rdata(asked.name.clone(), 60, address);
                encode(&query, &relayed(ResponseCode::NoError).with_answers(vec![record]).with_authentic_data(true))
            }
            Does::Answer(code) => encode(&query, &relayed(code).with_extended_error(9, "keys")),
            Does::Truncate => encode(&query, &relayed(ResponseCode::NoError).with_truncated(true)),
            Does::KnowNoEdns => encode(&with_opt(None), &relayed(ResponseCode::FormErr)),
            Does::Confuse => encode(&Query { record_type: RecordType::MX, ..query }, &relayed(ResponseCode::NoError)),
            Does::Garbage | Does::Refuse | Does::Lack(_) | Does::Spend | Does::Nothing => vec![0xff; 40],
        }
    }
}

impl Exchange for Script {
    fn exchange(&self, attempt: Attempt) -> Exchanging<'_> {
        let is_probe = attempt.timeout == Duration::from_secs(1);
        let count = match is_probe {
            true => {
                let mut probes = self.probes.lock().unwrap();
                probes.push(self.start.elapsed());
                probes.len() - 1
            }
            false => {
                let mut attempts = self.attempts.lock().unwrap();
                attempts.push((attempt.upstream.address.port(), attempt.channel));
                attempts.len() - 1
            }
        };
        let (does, server) = ((self.plot)(&attempt, count), attempt.upstream.address);
        Box::pin(async move {
            match does {
                Does::Nothing => {
                    sleep(attempt.timeout).await;
                    Err(UpstreamError::Timeout { server, timeout: attempt.timeout })
                }
                Does::Refuse => {
                    Err(UpstreamError::Connect { server, source: std::io::ErrorKind::ConnectionRefused.into() })
                }
                Does::Lack(time) => {
                    sleep(time).await;
                    Err(UpstreamError::Local { server, source: std::io::ErrorKind::OutOfMemory.into() })
                }
                Does::Spend => Err(UpstreamError::Spent { server }),
                Does::AnswerAfter(time) if time > attempt.timeout => {
                    sleep(attempt.timeout).await;
                    Err(UpstreamError::Timeout { server, timeout: attempt.timeout })
                }
                does => {
                    if let Does::AnswerAfter(time) = does {
                        sleep(time).await;
                    }
                    Ok(Self::reply(does, &attempt.message))
                }
            }
        })
    }
}

fn to(word: &str) -> To {
    To::read(word).expect("a server")
}

fn config(servers: u16) -> directive::Forward {
    directive::Forward {
        to: (1..=servers).map(|port| to(&format!("10.0.0.1:{port}"))).collect(),
        policy: Policy::Sequential,
        ..directive::Forward::new(Name::root())
    }
}

fn query() -> Query {
    Query::of_our_own(parse_name("web.example.").unwrap(), RecordType::A)
}

/// A question that differs from all with another number.
fn question(number: usize) -> Query {
    Query::of_our_own(parse_name(&format!("{number}.example.")).unwrap(), RecordType::A)
}

/// A `forward`, its script and what it counts in.
struct Stage {
    forward: Forward,
    script: Arc<Script>,
    metrics: Arc<Metrics>,
}

fn stage(config: &directive::Forward, plot: impl Fn(&Attempt, usize) -> Does + Send + Sync + 'static) -> Stage {
    let script = Arc::new(Script {
        plot: Box::new(plot),
        attempts: Mutex::default(),
        probes: Mutex::default(),
        start: Instant::now(),
    });
    let metrics = Arc::new(Metrics::new());
    let forward = Forward::new(config, script.clone(), metrics.clone(), Tasks::new());
    Stage { forward, script, metrics }
}

impl Stage {
    /// Asks; returns the response code, and what was asked of whom since the last time.
    async fn ask(&self, query: &Query) -> (ResponseCode, Vec<(u16, Channel)>) {
        let code = self.forward.answer(query).await.response_code();
        (code, std::mem::take(&mut *self.script.attempts.lock().unwrap()))
    }
}

/// Asks once, as a client over UDP.
async fn check(
    config: &directive::Forward,
    plot: impl Fn(&Attempt, usize) -> Does + Send + Sync + 'static,
    code: ResponseCode,
    attempts: &[(u16, Channel)],
) {
    let (found, asked) = stage(config, plot).ask(&query()).await;
    assert_eq!((found, asked.as_slice()), (code, attempts));
}

const FINE: Does = Does::Answer(ResponseCode::NoError);

#[tokio::test(start_paused = true)]
async fn an_answer_is_relayed_without_ad() {
    let stage = stage(&config(1), |_, _| FINE);
    let answer = stage.forward.answer(&query()).await;
    assert_eq!((answer.answers.len(), answer.is_authentic_data(), answer.source()), (1, false, "forward"));
    assert!(answer.is_recursion_available() && !answer.is_authoritative() && !answer.is_truncated());
    let text = stage.metrics.render();
    for line in [
        "coredns_proxy_request_duration_seconds_count{proxy_name=\"forward\",rcode=\"NOERROR\",to=\"10.0.0.1:1\"} 1",
        "coredns_forward_requests_total{to=\"10.0.0.1:1\"} 1",
        "coredns_forward_responses_total{rcode=\"NOERROR\",to=\"10.0.0.1:1\"} 1",
    ] {
        assert!(text.contains(line), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_server_says_is_final_whatever_it_is() {
    for code in [ResponseCode::ServFail, ResponseCode::Refused, ResponseCode::NXDomain, ResponseCode::FormErr] {
        let stage = stage(&config(2), move |_, _| Does::Answer(code));
        let answer = stage.forward.answer(&query()).await;
        assert_eq!((answer.response_code(), answer.failure()), (code, None));
        assert_eq!(answer.extended_error().map(|error| (error.code, error.text.as_str())), Some((9, "keys")));
        assert_eq!(*stage.script.attempts.lock().unwrap(), [(1, Channel::Udp)]);
    }
}

#[tokio::test(start_paused = true)]
async fn codes_that_speak_of_opt_are_not_for_the_client() {
    check(&config(1), |_, _| Does::Answer(ResponseCode::BADVERS), ResponseCode::ServFail, &[(1, Channel::Udp)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_leads_to_the_next_server() {
    for failure in [Does::Refuse, Does::Nothing] {
        let plot = move |attempt: &Attempt, _| if attempt.upstream.address.port() == 1 { failure } else { FINE };
        check(&config(2), plot, ResponseCode::NoError, &[(1, Channel::Udp), (2, Channel::Udp)]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_question_is_a_failure() {
    let plot = |attempt: &Attempt, _| if attempt.upstream.address.port() == 1 { Does::Confuse } else { FINE };
    check(&config(2), plot, ResponseCode::NoError, &[(1, Channel::Udp), (1, Channel::Tcp), (2, Channel::Udp)]).await;
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_or_cannot_be_read_is_asked_for_over_tcp() {
    for first in [Does::Truncate, Does::Garbage] {
        let plot = move |attempt: &Attempt, _| if attempt.channel == Channel::Udp { first } else { FINE };
        check(&config(2), plot, ResponseCode::NoError, &[(1, Channel::Udp), (1, Channel::Tcp)]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_truncated_answer_is_better_than_none() {
    for over_tcp in [Does::Refuse, Does::Truncate, Does::Garbage, Does::Nothing] {
        let plot = move |attempt: &Attempt, _| if attempt.channel == Channel::Udp { Does::Truncate } else { over_tcp };
        let stage = stage(&config(2), plot);
        let answer = stage.forward.answer(&query()).await;
        assert!(answer.is_truncated() && answer.is_no_data(), "{over_tcp:?}");
        assert_eq!(stage.script.attempts.lock().unwrap().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_without_edns_is_asked_without() {
    let plot = |attempt: &Attempt, _| if attempt.message[11] == 0 { FINE } else { Does::KnowNoEdns };
    check(&config(1), plot, ResponseCode::NoError, &[(1, Channel::Udp); 2]).await;
    check(&config(1), |_, _| Does::KnowNoEdns, ResponseCode::FormErr, &[(1, Channel::Udp); 2]).await;
}

#[tokio::test(start_paused = true)]
async fn the_channel_is_the_clients_or_what_the_directive_says() {
    for (transport, force_tcp, prefer_udp, expected) in [
        (Transport::Udp, false, false, Channel::Udp),
        (Transport::Tcp, false, false, Channel::Tcp),
        (Transport::Tcp, false, true, Channel::Udp),
        (Transport::Udp, true, false, Channel::Tcp),
        (Transport::Udp, true, true, Channel::Tcp),
    ] {
        let mut config = directive::Forward { force_tcp, prefer_udp, ..config(1) };
        let query = Query { transport, ..query() };
        assert_eq!(stage(&config, |_, _| FINE).ask(&query).await.1, [(1, expected)]);
        for (scheme, channel) in [("tls", Channel::Tls), ("https", Channel::Https)] {
            config.to = vec![to(&format!("{scheme}://10.0.0.1:1"))];
            assert_eq!(stage(&config, |_, _| FINE).ask(&query).await.1, [(1, channel)]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_tls_server_has_its_own_name_or_that_of_the_directive() {
    let mut config = config(0);
    config.tls.server_name = Some("all.example".to_owned());
    config.to = vec![to("tls://10.0.0.1%one.example:1"), to("https://10.0.0.1:2")];
    let names = Arc::new(Mutex::new(Vec::new()));
    let noted = names.clone();
    let plot = move |attempt: &Attempt, _| {
        noted.lock().unwrap().push(attempt.upstream.server_name.clone().unwrap().to_string());
        if attempt.upstream.address.port() == 1 { Does::Refuse } else { FINE }
    };
    stage(&config, plot).ask(&query()).await;
    assert_eq!(names.lock().unwrap()[..2], ["one.example", "all.example"]);
}

#[tokio::test(start_paused = true)]
async fn time_and_messages_have_a_bound() {
    for servers in [1, 2, 15] {
        for does in [Does::Nothing, Does::Refuse, Does::Garbage, Does::Truncate, Does::KnowNoEdns] {
            let stage = stage(&config(servers), move |_, _| does);
            let start = Instant::now();
            let asked = stage.ask(&query()).await.1.len();
            assert!(asked <= 6 && start.elapsed() <= Duration::from_secs(5), "{servers} {does:?}: {asked}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn when_nobody_answers_the_reason_is_told() {
    let answer = stage(&config(1), |_, _| Does::Nothing).forward.answer(&query()).await;
    assert_eq!(answer.response_code(), ResponseCode::ServFail);
    assert_eq!(answer.failure(), Some("no answer from 10.0.0.1:1 within 2s"));
    assert_eq!(answer.extended_error().unwrap().code, 22);
    let answer = stage(&config(1), |_, _| Does::Refuse).forward.answer(&query()).await;
    assert_eq!(answer.failure(), Some("cannot reach 10.0.0.1:1: connection refused"));
    assert_eq!(answer.extended_error().unwrap().code, 23);
}

#[tokio::test(start_paused = true)]
async fn a_server_is_down_after_three_probes_and_back_after_one() {
    // Probes are answered from the fifth on.
    let plot = |attempt: &Attempt, count: usize| match (attempt.timeout == Duration::from_secs(1), count) {
        (true, 4..) => FINE,
        _ if attempt.upstream.address.port() == 2 => FINE,
        _ => Does::Refuse,
    };
    let stage = stage(&config(2), plot);
    let both = [(1, Channel::Udp), (2, Channel::Udp)];
    assert_eq!(stage.ask(&query()).await.1, both);
    sleep(Duration::from_millis(900)).await;
    assert_eq!(stage.ask(&query()).await.1, both, "two failed probes are not enough");
    sleep(Duration::from_millis(200)).await;
    assert_eq!(stage.ask(&query()).await.1, both[1..], "it is down");
    sleep(Duration::from_millis(1000)).await;
    assert_eq!(stage.ask(&query()).await.1, both, "it is back");
    let probes = stage.script.probes.lock().unwrap().clone();
    let expected: Vec<_> = [0, 500, 1000, 1500, 2000].map(Duration::from_millis).to_vec();
    assert_eq!(probes[..5], expected, "one probe at a time");
    let text = stage.metrics.render();
    assert!(text.contains("coredns_proxy_healthcheck_failures_total{proxy_name=\"forward\",to=\"10.0.0.1:1\"} 4"));
    assert!(text.contains("coredns_forward_healthcheck_failures_total{to=\"10.0.0.1:1\"} 4"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_silent_is_in_use_within_a_second() {
    let start = Instant::now();
    let back = Duration::from_millis(12_200);
    let stage = stage(&config(1), move |_, _| if start.elapsed() < back { Does::Nothing } else { FINE });
    stage.ask(&query()).await;
    sleep(Duration::from_secs(5)).await;
    let probes = stage.script.probes.lock().unwrap().clone();
    assert!(probes.windows(2).all(|pair| pair[1] - pair[0] == Duration::from_millis(500)), "{probes:?}");
    let begun = Instant::now();
    for number in 0..10 {
        assert_eq!(stage.ask(&question(number)).await.0, ResponseCode::ServFail);
    }
    assert_eq!(begun.elapsed(), Duration::from_secs(2), "one was tried, the others failed at once");
    sleep((back + Duration::from_millis(500)).saturating_sub(start.elapsed())).await;
    assert_eq!(stage.ask(&query()).await.0, ResponseCode::NoError);
}

#[tokio::test(start_paused = true)]
async fn few_probes_wait_at_a_time_however_short_the_interval_is() {
    let mut config = config(1);
    config.health_check.interval = Duration::from_nanos(1);
    let stage = stage(&config, |_, _| Does::Nothing);
    stage.ask(&query()).await;
    let probes = stage.script.probes.lock().unwrap().clone();
    let in_a_second =
        |from: &Duration| probes.iter().filter(|at| **at >= *from && **at - *from < Duration::from_secs(1)).count();
    assert!(probes.iter().map(in_a_second).max() == Some(4), "{}", probes.len());
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_query_means_that_the_server_is_back() {
    let start = Instant::now();
    let plot = move |attempt: &Attempt, _| match attempt.timeout == Duration::from_secs(1) {
        true => Does::Nothing,
        false if start.elapsed() < Duration::from_secs(1) => Does::Refuse,
        false => FINE,
    };
    let stage = stage(&config(1), plot);
    stage.ask(&query()).await;
    sleep(Duration::from_secs(3)).await;
    let probes = || stage.script.probes.lock().unwrap().len();
    assert_eq!(stage.ask(&query()).await.0, ResponseCode::NoError, "a trial");
    let before = probes();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(stage.ask(&query()).await.0, ResponseCode::NoError, "not only one in a while");
    assert_eq!((stage.forward.recoveries(), probes()), (1, before), "it is not probed any more");
}

#[tokio::test(start_paused = true)]
async fn when_all_are_down_each_is_tried_now_and_then_and_the_others_fail_at_once() {
    let stage = stage(&config(3), |_, _| Does::Refuse);
    stage.ask(&question(0)).await;
    sleep(Duration::from_secs(2)).await;
    let (mut number, mut asked) = (0, Vec::new());
    for _ in 0..4 {
        for _ in 0..100 {
            number += 1;
            let start = Instant::now();
            let (code, attempts) = stage.ask(&question(number)).await;
            assert_eq!((code, start.elapsed()), (ResponseCode::ServFail, Duration::ZERO));
            asked.extend(attempts.iter().map(|(server, _)| *server));
        }
        sleep(Duration::from_secs(3)).await;
    }
    assert_eq!((asked.len(), asked.into_iter().collect()), (4 * 3, BTreeSet::from([1, 2, 3])));
    assert_eq!(stage.metrics.forward_healthcheck_broken.get(), 400);
}

#[tokio::test(start_paused = true)]
async fn what_this_machine_lacks_is_no_failure_of_the_server() {
    let start = Instant::now();
    let lacking =
        stage(&config(1), move |_, _| if start.elapsed().is_zero() { Does::Lack(Duration::ZERO) } else { FINE });
    assert_eq!(lacking.ask(&query()).await.0, ResponseCode::ServFail);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(lacking.ask(&query()).await.0, ResponseCode::NoError, "it is not remembered");
    assert!(lacking.script.probes.lock().unwrap().is_empty());
    let is_probe = |attempt: &Attempt| attempt.timeout == Duration::from_secs(1);
    let probed =
        stage(&config(1), move |attempt, _| if is_probe(attempt) { Does::Lack(Duration::ZERO) } else { Does::Refuse });
    probed.ask(&query()).await;
    sleep(Duration::from_secs(5)).await;
    assert!(!probed.script.probes.lock().unwrap().is_empty());
    assert!(!probed.metrics.render().contains("healthcheck_failures_total{"));
}

#[tokio::test(start_paused = true)]
async fn without_max_fails_nobody_is_ever_down() {
    let stage = stage(&directive::Forward { max_fails: 0, ..config(1) }, |_, _| Does::Refuse);
    for _ in 0..5 {
        assert_eq!(stage.ask(&query()).await.1, [(1, Channel::Udp); 2]);
        sleep(Duration::from_secs(2)).await;
    }
    assert!(stage.script.probes.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn all_that_a_query_leads_to_shares_its_messages_and_its_time() {
    let stage = stage(&config(1), |_, _| Does::Truncate);
    let query = query();
    for (name, messages) in [("a.example.", 2), ("b.example.", 2), ("c.example.", 2), ("d.example.", 0)] {
        let other = query.follow_up(parse_name(name).unwrap(), RecordType::A).unwrap();
        assert_eq!(stage.ask(&other).await.1.len(), messages, "{name}");
    }
    let silent = self::stage(&config(1), |_, _| Does::Nothing);
    let (query, start) = (question(0), Instant::now());
    for number in 1..4 {
        silent.ask(&query.follow_up(question(number).name, RecordType::A).unwrap()).await;
    }
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn for_a_client_without_room_nobody_is_asked() {
    let stage = stage(&config(1), |_, _| FINE);
    let query = Query { may_wait: false, ..query() };
    assert!(tokio::time::timeout(Duration::from_secs(60), stage.forward.answer(&query)).await.is_err());
    assert!(stage.script.attempts.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_exceeds_max_concurrent_is_refused() {
    let stage = Arc::new(stage(&directive::Forward { max_concurrent: 2, ..config(1) }, |_, _| Does::Nothing));
    for number in 0..2 {
        let stage = stage.clone();
        tokio::spawn(async move { stage.forward.answer(&question(number)).await });
    }
    sleep(Duration::from_millis(1)).await;
    let answer = stage.forward.answer(&query()).await;
    assert_eq!(answer.response_code(), ResponseCode::Refused);
    assert_eq!(answer.failure(), Some("concurrent queries exceeded maximum 2"));
    assert_eq!(stage.metrics.forward_max_concurrent_rejects.get(), 1);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(stage.forward.answer(&query()).await.response_code(), ResponseCode::ServFail);
}

#[tokio::test]
async fn names_are_covered_by_zone_and_exceptions() {
    let name = |text| parse_name(text).unwrap();
    let config =
        directive::Forward { from: name("example."), except: vec![name("a.example."), name("example.")], ..config(1) };
    let check = |except: &[Name], text, expected| {
        let config = directive::Forward { except: except.to_vec(), ..config.clone() };
        assert_eq!(stage(&config, |_, _| FINE).forward.covers(&name(text)), expected, "{text}");
    };
    check(&config.except[..1], "Example.", true);
    check(&config.except[..1], "b.eXample.", true);
    check(&config.except[..1], "a.example.", false);
    check(&config.except[..1], "x.A.example.", false);
    check(&config.except[..1], "example.org.", false);
    check(&config.except, "example.", true);
    check(&config.except, "b.example.", false);
}

#[tokio::test(start_paused = true)]
async fn attempts_and_their_time_have_bounds_of_ones_own() {
    let config = directive::Forward {
        max_connect_attempts: Some(1),
        read_timeout: Duration::from_millis(300),
        max_fails: 0,
        ..config(3)
    };
    let stage = stage(&config, |_, _| Does::Nothing);
    let start = Instant::now();
    let (code, asked) = stage.ask(&query()).await;
    assert_eq!((code, asked.len(), start.elapsed()), (ResponseCode::ServFail, 1, Duration::from_millis(300)));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_where_all_seem_down_and_that_is_to_fail_fast() {
    let config = directive::Forward { failfast_all_unhealthy_upstreams: true, ..config(1) };
    let stage = stage(&config, |_, _| Does::Refuse);
    for _ in 0..10 {
        stage.ask(&query()).await;
        sleep(Duration::from_secs(1)).await;
    }
    let (code, asked) = stage.ask(&query()).await;
    assert_eq!((code, asked.len()), (ResponseCode::ServFail, 0));
}

/// A server by name that is reached over IPv4 alone, and its resolver, which may fail to tell so.
#[derive(Debug, Default)]
struct Named {
    fails: std::sync::atomic::AtomicBool,
}

impl Exchange for Named {
    fn exchange(&self, attempt: Attempt) -> Exchanging<'_> {
        let server = attempt.upstream.address;
        let fails = self.fails.load(std::sync::atomic::Ordering::Relaxed);
        let name = "up.test.";
        // The type stands behind the header and the name.
        let is_ipv4 = attempt.message.get(12 + name.len() + 2) == Some(&1);
        let record_type = if is_ipv4 { RecordType::A } else { RecordType::AAAA };
        let of_resolver = Query { record_type, ..Query::of_our_own(parse_name(name).unwrap(), record_type) };
        let reply = |query: Query, code: ResponseCode, data: RData| {
            let record = Record::from_rdata(query.name.clone(), 60, data);
            let records = if code == ResponseCode::NoError { vec![record] } else { Vec::new() };
            let query = Query { transport: Transport::Tcp, ..query };
            Ok(encode(&query, &Answer::relayed(code, false, true).with_answers(records)))
        };
        let a = || RData::A(rdata::A::new(192, 0, 2, 1));
        let result = match server.to_string().as_str() {
            "192.0.2.53:53" if is_ipv4 && fails => reply(of_resolver, ResponseCode::ServFail, a()),
            "192.0.2.53:53" if is_ipv4 => reply(of_resolver, ResponseCode::NoError, a()),
            "192.0.2.53:53" => {
                let data = RData::AAAA(rdata::AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
                reply(of_resolver, ResponseCode::NoError, data)
            }
            "192.0.2.1:53" => reply(query(), ResponseCode::NoError, a()),
            _ => Err(UpstreamError::Connect { server, source: std::io::ErrorKind::ConnectionRefused.into() }),
        };
        Box::pin(async move { result })
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_known_of_one_family_stays_where_only_its_look_up_fails() {
    let named = Arc::new(Named::default());
    let config = directive::Forward {
        to: vec![to("dns://up.test")],
        resolver: vec!["192.0.2.53:53".parse().unwrap()],
        ..config(0)
    };
    let forward = Forward::new(&config, named.clone(), Arc::new(Metrics::new()), Tasks::new());
    for fails in [false, true] {
        named.fails.store(fails, std::sync::atomic::Ordering::Relaxed);
        sleep(Duration::from_secs(100)).await;
        assert_eq!(forward.answer(&query()).await.response_code(), ResponseCode::NoError, "{fails}");
    }
}
