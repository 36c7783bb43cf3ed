//! The cache beside an obvious one.

use std::time::Duration;

use proptest::prelude::*;

use super::testing::{Bench, cname, code, config, name, query, relayed, told};
use crate::dns::{Answer, Class, Edns, Query, RData, Record, RecordType, ResponseCode, rdata};

/// What a client asks: the number of a name, of a type, and of what else makes questions differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Question {
    name: u8,
    record_type: usize,
    variant: u8,
}

const TYPES: [RecordType; 3] = [RecordType::A, RecordType::AAAA, RecordType::TXT];

/// What another server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Data,
    NoData,
    /// NXDOMAIN of the name itself.
    NoName,
    /// NXDOMAIN of what the name is an alias of.
    AliasOfNothing,
    Failure,
}

/// A step of the property test.
#[derive(Clone, Copy, Debug)]
enum Step {
    Put {
        question: Question,
        says: Says,
        ttl: u32,
        recursion_desired: bool,
    },
    Renew {
        question: Question,
        says: Says,
        ttl: u32,
    },
    GiveUp {
        question: Question,
    },
    Get {
        question: Question,
        recursion_desired: bool,
    },
    Wait {
        seconds: u64,
    },
    /// A server that was down is back.
    Back,
}

fn questions() -> impl Strategy<Value = Question> {
    // Most are alike, so that they meet.
    let variant = prop_oneof![6 => Just(0u8), 1 => 1u8..6];
    (0u8..4, 0..TYPES.len(), variant).prop_map(|(name, record_type, variant)| Question { name, record_type, variant })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let says = || {
        let all = [Says::Data, Says::NoData, Says::NoName, Says::AliasOfNothing, Says::Failure];
        prop::sample::select(all.to_vec())
    };
    let with_recursion = || prop::bool::weighted(0.9);
    let step = prop_oneof![
        4 => (questions(), says(), 0u32..90, with_recursion())
            .prop_map(|(question, says, ttl, recursion_desired)| Step::Put { question, says, ttl, recursion_desired }),
        1 => (questions(), says(), 0u32..90).prop_map(|(question, says, ttl)| Step::Renew { question, says, ttl }),
        1 => questions().prop_map(|question| Step::GiveUp { question }),
        6 => (questions(), with_recursion())
            .prop_map(|(question, recursion_desired)| Step::Get { question, recursion_desired }),
        2 => (0u64..70).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Back),
    ];
    prop::collection::vec(step, 1..120)
}

impl Question {
    fn owner(self) -> String {
        format!("n{}.example.", self.name)
    }

    fn record_type(self) -> RecordType {
        TYPES[self.record_type]
    }

    fn query(self, recursion_desired: bool) -> Query {
        let edns = |dnssec_ok| Some(Edns { udp_size: 1232, dnssec_ok, options: vec![] });
        let plain = Query { recursion_desired, ..query(&self.owner(), self.record_type()) };
        match self.variant {
            0 => plain,
            1 => Query { edns: edns(true), ..plain },
            2 => Query { checking_disabled: true, ..plain },
            3 => Query { upstream_options: vec![(65_001, vec![1])], ..plain },
            4 => Query { upstream_options: vec![(65_001, vec![2])], ..plain },
            _ => Query { class: Class::CH, ..plain },
        }
    }

    fn is_covered(self) -> bool {
        self.variant < 5
    }

    /// The answer with a number that tells it from all others.
    fn answer(self, says: Says, ttl: u32, number: u32) -> Answer {
        let soa = |ttl| {
            let (server, mailbox) = (name("ns.example."), name("ops.example."));
            let data = rdata::SOA::new(server, mailbox, number, 7200, 3600, 86400, 3600);
            vec![Record::from_rdata(name("example."), ttl, RData::SOA(data))]
        };
        match says {
            Says::Data => {
                let data = match self.record_type() {
                    RecordType::A => RData::A(std::net::Ipv4Addr::from(number).into()),
                    RecordType::AAAA => RData::AAAA(std::net::Ipv6Addr::from(u128::from(number)).into()),
                    _ => RData::TXT(rdata::TXT::new(vec![number.to_string()])),
                };
                relayed(vec![Record::from_rdata(name(&self.owner()), ttl, data)])
            }
            Says::NoData => relayed(vec![]).with_authority(soa(ttl)),
            Says::NoName => code(ResponseCode::NXDomain).with_authority(soa(ttl)),
            Says::AliasOfNothing => code(ResponseCode::NXDomain)
                .with_answers(vec![cname(&self.owner(), ttl, "nothing.example.")])
                .with_authority(soa(ttl)),
            Says::Failure => code(ResponseCode::ServFail),
        }
    }
}

/// What was said, and for how long it holds.
#[derive(Clone, Copy, Debug)]
struct Fact {
    question: Question,
    says: Says,
    is_of_all_types: bool,
    number: u32,
    end: u64,
    failing_until: u64,
    epoch: u64,
}

impl Fact {
    fn is_about(&self, question: Question) -> bool {
        let asked = Question { record_type: question.record_type, ..self.question };
        self.question == question || (self.is_of_all_types && question.is_covered() && asked == question)
    }

    /// The code, the TTL and what else is to be seen.
    fn shown(&self, ttl: u64, error: &str) -> String {
        let (code, records) = match self.says {
            Says::Data => ("NOERROR", 1),
            Says::NoData => ("NOERROR", 1),
            Says::NoName => ("NXDOMAIN", 1),
            Says::AliasOfNothing => ("NXDOMAIN", 2),
            Says::Failure => return "SERVFAIL #".to_owned(),
        };
        let error = if error.is_empty() || code == "NOERROR" { error } else { " error 19" };
        format!("{code}{}{error} #{}", format!(" {ttl}").repeat(records), self.number)
    }
}

/// The obvious cache: a list of all that was said.
struct Model {
    room: Room,
    facts: Vec<Fact>,
    stale: u64,
    is_immediate: bool,
    time: u64,
    epoch: u64,
}

impl Model {
    /// What there is to a question, what counts most first.
    fn about(&self, question: Question) -> Vec<Fact> {
        let mut about: Vec<_> = self.facts.iter().copied().filter(|fact| fact.is_about(question)).collect();
        about.sort_by_key(|fact| match fact.says {
            Says::Data => 0,
            Says::NoName if fact.is_of_all_types => 1,
            Says::NoName | Says::NoData | Says::AliasOfNothing => 2,
            Says::Failure => 3,
        });
        about
    }

    fn is_fresh(&self, fact: &Fact) -> bool {
        fact.end > self.time && (fact.says != Says::Failure || fact.epoch == self.epoch)
    }

    fn has_failed(&self, fact: &Fact) -> bool {
        fact.failing_until > self.time && fact.epoch == self.epoch
    }

    fn known(&self, question: Question) -> Option<Fact> {
        let answers: Vec<_> = self.about(question).into_iter().filter(|fact| fact.says != Says::Failure).collect();
        let fresh = answers.iter().find(|fact| self.is_fresh(fact));
        fresh.or_else(|| answers.iter().find(|fact| fact.end + self.stale > self.time)).copied()
    }

    fn shown(&self, fact: &Fact) -> String {
        match self.is_fresh(fact) {
            true => fact.shown(fact.end - self.time, ""),
            false => fact.shown(30, " error 3"),
        }
    }

    /// Whatever may be answered, and first what is to be.
    fn answers(&self, question: Question) -> Vec<String> {
        if !question.is_covered() {
            return Vec::new();
        }
        let about = self.about(question);
        let is_servable = |fact: &&Fact| {
            let may_be = self.is_immediate || self.has_failed(fact);
            may_be && fact.says != Says::Failure && fact.end + self.stale > self.time && !self.is_fresh(fact)
        };
        let fresh = about.iter().filter(|fact| self.is_fresh(fact));
        fresh.chain(about.iter().filter(is_servable)).map(|fact| self.shown(fact)).collect()
    }

    /// Returns what the client gets.
    fn put(&mut self, question: Question, says: Says, ttl: u32, number: u32, recursion_desired: bool) -> String {
        let end = self.time + 5;
        let said = Fact { question, says, is_of_all_types: false, number, end, failing_until: 0, epoch: self.epoch };
        if !question.is_covered() {
            return said.shown(ttl.into(), "");
        }
        let ttl = u64::from(ttl.clamp(5, 60));
        if !recursion_desired {
            return said.shown(ttl, "");
        }
        if says == Says::Failure {
            let known = self.note_failure(question);
            // What is known here may be lost there.
            if known.is_none() || self.room == Room::Little {
                self.facts.retain(|fact| !(fact.says == Says::Failure && fact.question == question));
                self.facts.push(said);
            }
            return known.map_or_else(|| said.shown(0, ""), |known| self.shown(&known));
        }
        let has_addresses = self.has_addresses(question);
        self.facts.retain(|fact| fact.question != question && !(fact.is_of_all_types && fact.is_about(question)));
        // What is known here may be lost there.
        if says == Says::NoName && (!has_addresses || self.room == Room::Little) {
            self.facts.push(Fact { is_of_all_types: true, end: self.time + ttl, ..said });
        }
        if says != Says::NoName || has_addresses {
            self.facts.push(Fact { end: self.time + ttl, ..said });
        }
        said.shown(ttl, "")
    }

    /// Whether there are, or were, addresses of another type.
    fn has_addresses(&self, question: Question) -> bool {
        self.facts.iter().any(|fact| {
            let asked = Question { record_type: question.record_type, ..fact.question };
            let is_address = TYPES[fact.question.record_type] != RecordType::TXT;
            fact.says == Says::Data && is_address && fact.question != question && asked == question
        })
    }

    fn note_failure(&mut self, question: Question) -> Option<Fact> {
        let known = self.known(question)?;
        // What is known here may be lost there, and all else that is left counts as failing.
        let is_failing =
            |fact: &Fact| fact.number == known.number || (self.room == Room::Little && fact.is_about(question));
        for fact in self.facts.iter_mut().filter(|fact| is_failing(fact)) {
            (fact.failing_until, fact.epoch) = (self.time + 5, self.epoch);
        }
        Some(known)
    }
}

/// As [`told`], with the number of the answer.
fn told_with_number(answer: &Answer) -> String {
    let number = answer.authority.iter().chain(&answer.answers).find_map(|record| match &record.data {
        RData::A(address) => Some(u32::from(address.0).to_string()),
        RData::AAAA(address) => Some(u128::from(address.0).to_string()),
        RData::SOA(soa) => Some(soa.serial.to_string()),
        RData::TXT(text) => Some(String::from_utf8_lossy(text.txt_data.first()?).into_owned()),
        _ => None,
    });
    format!("{} #{}", told(answer), number.unwrap_or_default())
}

/// Whether all that is remembered stays, or only some of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Enough,
    Little,
}

fn compare(directive: &str, room: Room, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut config = config(directive);
    if room == Room::Little {
        (config.success.capacity, config.denial.capacity) = (1, 1);
    }
    let stale = config.serve_stale;
    let mut model = Model {
        room,
        facts: Vec::new(),
        stale: stale.map_or(0, |stale| stale.duration.as_secs()),
        is_immediate: stale.is_some_and(|stale| !stale.verify),
        time: 0,
        epoch: 0,
    };
    let mut bench = Bench::of(&config);
    for (number, step) in (1..).zip(steps.iter().copied()) {
        let line = format!("{number}: {step:?} at {}", model.time);
        match step {
            Step::Put { question, says, ttl, recursion_desired } => {
                let answer = question.answer(says, ttl, number);
                let given = bench.cache.put(&question.query(recursion_desired), answer, bench.now);
                let expected = model.put(question, says, ttl, number, recursion_desired);
                let is_lost = room == Room::Little && says == Says::Failure;
                prop_assert!(is_lost || told_with_number(&given) == expected, "{}: {}", line, told_with_number(&given));
            }
            Step::Renew { question, says, ttl } => {
                bench.cache.renew(&question.query(true), question.answer(says, ttl, number), bench.now);
                model.put(question, says, ttl, number, true);
            }
            Step::GiveUp { question } => {
                let asked = question.query(true);
                let patience = bench.cache.patience(&asked, bench.now);
                let may_wait = question.is_covered() && stale.is_some_and(|stale| stale.verify);
                let known = model.known(question).filter(|_| may_wait);
                let expected = known.map(|_| Duration::from_millis(1800));
                prop_assert!(patience == expected || (room == Room::Little && patience.is_none()), "{}", line);
                if patience.is_some() {
                    model.note_failure(question);
                    let given = bench.cache.give_up_waiting(&asked, bench.now).map(|answer| told_with_number(&answer));
                    let expected = known.map(|fact| model.shown(&fact));
                    prop_assert!(room == Room::Little || given == expected, "{}: {:?}", line, given);
                }
            }
            Step::Get { question, recursion_desired } => {
                let given = bench.cache.get(&question.query(recursion_desired), bench.now);
                let given = given.map(|answer| told_with_number(&answer));
                let answers = model.answers(question);
                match room {
                    Room::Enough => prop_assert_eq!(given.as_ref(), answers.first(), "{}", line),
                    Room::Little => {
                        prop_assert!(given.iter().all(|given| answers.contains(given)), "{}: {:?}", line, given)
                    }
                }
            }
            Step::Wait { seconds } => {
                bench.wait(seconds);
                model.time += seconds;
            }
            Step::Back => {
                bench.now.epoch += 1;
                model.epoch += 1;
            }
        }
    }
    Ok(())
}

const CACHES: [&str; 4] = [
    "cache 60",
    "cache 60 {\n prefetch 1 1m 50%\n}",
    "cache 60 {\n serve_stale 100s immediate\n prefetch 1 1m 50%\n}",
    "cache 60 {\n serve_stale 100s verify\n}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn answers_are_those_of_an_obvious_model(steps in steps(), cache in prop::sample::select(CACHES.to_vec())) {
        compare(cache, Room::Enough, &steps)?;
    }

    #[test]
    fn what_makes_room_is_lost_and_nothing_else_changes(
        steps in steps(),
        cache in prop::sample::select(CACHES.to_vec()),
    ) {
        compare(cache, Room::Little, &steps)?;
    }
}
