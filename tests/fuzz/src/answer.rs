//! What may be left of another server's answer, and what a client may get of it, checked without the code that does it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use landfall::config::corefile::Source;
use landfall::config::directive;
use landfall::dns::{
    Answer, Class, Edns, ExtendedError, Name, Query, RData, Record, RecordType, ResponseCode, Transport,
    UpstreamMessage, encode, parse_signature, parse_upstream,
};
use landfall::metrics::Metrics;
use landfall::plugin::cache::{Cache, Moment, RefreshQueue, refresh_queue};
use landfall::upstream::scrub;

/// No answer is good for longer.
const TTL_MAX: u32 = 24 * 60 * 60;

/// What the caches allow: success and denial.
const CACHE_TTL_MAX: u32 = 7200;

/// When a client asks again, in seconds.
const LATER: [u64; 6] = [0, 1, 5, 1799, 7199, 9000];

/// A cache that remembers everything it may, and what keeps its queue open.
pub struct Memory {
    cache: Cache,
    _queue: RefreshQueue,
}

impl Memory {
    fn new() -> Self {
        static MADE: OnceLock<(directive::Cache, Metrics)> = OnceLock::new();
        let (config, metrics) = MADE.get_or_init(|| {
            let text = ". {\n cache 7200 {\n success 100 7200 0\n denial 100 7200 0\n serve_stale 1h\n }\n}";
            let source = Source::Text { name: "Corefile".to_owned(), text: text.to_owned() };
            let config = source.load(53).expect("a Corefile").config;
            (config.servers[0].cache.clone().expect("a cache"), Metrics::new())
        });
        let (sender, queue) = refresh_queue();
        Self { cache: Cache::new(config, "dns://:53", "", metrics, sender), _queue: queue }
    }
}

/// The whole way of an answer: read, believed, remembered, written for a client.
pub fn check(octets: &[u8]) {
    let Some((query, answer)) = believed(octets) else { return };
    let (memory, now) = (Memory::new(), Instant::now());
    let given = memory.cache.put(&query, answer.clone(), at(now));
    let packet = encode(&query, &given);
    check_answer(&query, &answer, TTL_MAX);
    check_answer(&query, &given, CACHE_TTL_MAX);
    check_packet(&query, &packet, &given);
    for seconds in LATER {
        let Some(hit) = memory.cache.get(&query, at(now + Duration::from_secs(seconds))) else { continue };
        check_answer(&query, &hit, CACHE_TTL_MAX);
        check_no_more(&hit, &given);
        check_packet(&query, &encode(&query, &hit), &hit);
    }
}

/// A question as the octets have it, asked by a client who is as the id says, and what `forward` would make of the answer.
fn believed(octets: &[u8]) -> Option<(Query, Answer)> {
    let mut message = parse_upstream(octets).ok()?;
    let (name, record_type, class) = message.question.clone();
    if class != Class::IN || matches!(record_type, RecordType::AXFR | RecordType::IXFR) {
        return None;
    }
    let is_set = |bit: u16| message.id & bit != 0;
    let edns = is_set(1).then(|| Edns { udp_size: 512 + message.id / 64, dnssec_ok: is_set(2), options: Vec::new() });
    let query = Query {
        edns,
        recursion_desired: !is_set(4),
        checking_disabled: is_set(8),
        authentic_data: is_set(16),
        transport: if is_set(32) { Transport::Tcp } else { Transport::Udp },
        ..Query::of_our_own(name, record_type)
    };
    scrub(&query, &mut message).ok()?;
    Some((query, relayed(message)))
}

fn relayed(message: UpstreamMessage) -> Answer {
    let answer = Answer::relayed(message.response_code, message.authoritative, message.recursion_available)
        .with_answers(message.answers)
        .with_authority(message.authority)
        .with_additional(message.additional)
        .with_truncated(message.truncated)
        .by("forward");
    match message.extended_error {
        Some(ExtendedError { code, text }) => answer.with_extended_error(code, text),
        None => answer,
    }
}

fn at(time: Instant) -> Moment {
    Moment { time, epoch: 0 }
}

/// How long all of that takes. The machine may have other work: the shortest of a few times counts.
pub fn time(octets: &[u8]) -> Duration {
    let memory = Memory::new();
    let once = || {
        let started = Instant::now();
        if let Some((query, answer)) = believed(octets) {
            encode(&query, &memory.cache.put(&query, answer, at(started)));
        }
        started.elapsed()
    };
    (0..5).map(|_| once()).min().unwrap_or_default()
}

/// Nothing is in an answer but the chain, what was asked for at its end, and what may be said beside.
fn check_answer(query: &Query, answer: &Answer, ttl_max: u32) {
    let is_failure = !matches!(answer.response_code(), ResponseCode::NoError | ResponseCode::NXDomain);
    assert!(!is_failure || answer.answers.is_empty() && answer.authority.is_empty(), "{answer:?}");
    assert!(answer.additional.is_empty() && !answer.is_authentic_data(), "{answer:?}");
    let mut chain = vec![query.name.clone()];
    for record in &answer.answers {
        let is_above =
            type_or_covered(record) == RecordType::DNAME && chain.iter().any(|name| record.name.zone_of(name));
        assert!(is_above || chain.contains(&record.name), "{record} is foreign in {answer:?}");
        if let RData::CNAME(target) = &record.data {
            chain.push(target.0.clone());
        }
    }
    let is_positive = answer.answers.iter().any(|record| record.record_type() == query.record_type);
    assert!(!is_positive || !answer.is_nx_domain(), "{answer:?}");
    for record in &answer.authority {
        match type_or_covered(record) {
            RecordType::SOA | RecordType::NS | RecordType::DS => {
                assert!(!is_positive && chain.iter().any(|name| record.name.zone_of(name)), "{record} in {answer:?}");
            }
            RecordType::NSEC | RecordType::NSEC3 => assert!(query.dnssec_ok(), "{record} in {answer:?}"),
            _ => panic!("{record} in the authority section"),
        }
    }
    for section in [&answer.answers, &answer.authority] {
        check_records(query, section, ttl_max);
    }
}

fn check_records(query: &Query, section: &[Record], ttl_max: u32) {
    let wants_signatures = query.dnssec_ok() || matches!(query.record_type, RecordType::RRSIG | RecordType::ANY);
    for record in section {
        assert_eq!(record.dns_class, Class::IN);
        assert!(record.ttl <= ttl_max, "{record}");
        assert!(wants_signatures || record.record_type() != RecordType::RRSIG, "{record}");
        assert!(record.name != query.name || record.name.eq_case(&query.name), "{record} for {}", query.name);
    }
    // Records of one name and type are beside each other.
    for pair in section.windows(2) {
        let [one, other] = pair else { continue };
        let is_set = one.name == other.name && one.record_type() == other.record_type();
        assert!(!is_set || one.record_type() == RecordType::RRSIG || one.ttl == other.ttl, "{one} and {other}");
    }
}

fn type_or_covered(record: &Record) -> RecordType {
    parse_signature(record).map_or(record.record_type(), |signature| signature.covered)
}

/// What a client gets can be read, is what was meant, and no longer than the client takes.
fn check_packet(query: &Query, packet: &[u8], answer: &Answer) {
    let limit = match (query.transport, &query.edns) {
        (Transport::Tcp, _) => usize::from(u16::MAX),
        (Transport::Udp, None) => 512,
        (Transport::Udp, Some(edns)) => usize::from(edns.udp_size.min(1232)),
    };
    assert!(packet.len() <= limit, "{} octets of {limit}", packet.len());
    let read = parse_upstream(packet).expect("an answer that can be read");
    let (name, record_type, class) = &read.question;
    assert!(name.eq_case(&query.name) && (*record_type, *class) == (query.record_type, query.class), "{read:?}");
    assert_eq!(read.has_opt, query.edns.is_some());
    assert!(!read.authentic_data && read.additional.is_empty(), "{read:?}");
    for (read, meant) in [(&read.answers, &answer.answers), (&read.authority, &answer.authority)] {
        assert!(read.len() <= meant.len());
        assert!(read.iter().all(|record| meant.contains(record)), "{read:?} of {meant:?}");
    }
    let is_whole = read.answers.len() == answer.answers.len() && read.authority.len() == answer.authority.len();
    assert!(is_whole || read.truncated);
}

/// What is remembered is what the first client got, for no longer than the first client may keep it.
fn check_no_more(hit: &Answer, given: &Answer) {
    assert_eq!(hit.response_code(), given.response_code());
    for (hit, given) in [(&hit.answers, &given.answers), (&hit.authority, &given.authority)] {
        assert_eq!(hit.len(), given.len());
        for (hit, given) in hit.iter().zip(given) {
            assert!(hit.ttl <= given.ttl && same(hit) == same(given), "{hit} for {given}");
        }
    }
}

fn same(record: &Record) -> (&Name, &RData) {
    (&record.name, &record.data)
}
