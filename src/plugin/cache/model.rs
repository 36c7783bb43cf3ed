//! The cache beside an obvious one.

use std::collections::HashMap;

use proptest::prelude::*;

use super::testing::{Bench, a, code, nx, relayed, soa, told};
use crate::dns::ResponseCode;

/// A step of the property test.
#[derive(Clone, Debug)]
enum Step {
    Put { name: u8, ttl: u32, is_negative: bool },
    Fail { name: u8 },
    Wait { seconds: u64 },
    Get { name: u8 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0u8..6, 0u32..90, any::<bool>()).prop_map(|(name, ttl, is_negative)| Step::Put { name, ttl, is_negative }),
        (0u8..6).prop_map(|name| Step::Fail { name }),
        (0u64..70).prop_map(|seconds| Step::Wait { seconds }),
        (0u8..6).prop_map(|name| Step::Get { name }),
    ];
    prop::collection::vec(step, 1..80)
}

/// The obvious cache: what was said last of a name, and until when; until when its source counts as failing.
struct Model {
    known: HashMap<u8, (bool, u64)>,
    failing: HashMap<u8, u64>,
    stale: u64,
    time: u64,
}

impl Model {
    fn put(&mut self, name: u8, ttl: u32, is_negative: bool) -> u64 {
        let ttl = u64::from(ttl.clamp(5, 60));
        self.known.insert(name, (is_negative, self.time + ttl));
        self.failing.remove(&name);
        ttl
    }

    fn fail(&mut self, name: u8) {
        if self.known(name).is_none() {
            self.failing.insert(name, self.time + 5);
        }
    }

    fn known(&self, name: u8) -> Option<(bool, u64)> {
        self.known.get(&name).copied().filter(|(_, end)| end + self.stale > self.time)
    }

    fn get(&self, name: u8) -> Option<String> {
        let Some((is_negative, end)) = self.known(name) else {
            let is_failing = self.failing.get(&name).is_some_and(|end| *end > self.time);
            return is_failing.then(|| "SERVFAIL".to_owned());
        };
        let (code, error) = if is_negative { ("NXDOMAIN", 19) } else { ("NOERROR", 3) };
        Some(match end.saturating_sub(self.time) {
            0 => format!("{code} 0 error {error}"),
            ttl => format!("{code} {ttl}"),
        })
    }
}

fn compare(directive: &str, stale: u64, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut bench = Bench::new(directive);
    let mut model = Model { known: HashMap::new(), failing: HashMap::new(), stale, time: 0 };
    let owner = |name: &u8| format!("n{name}.example.");
    for step in steps {
        match step {
            Step::Put { name, ttl, is_negative } => {
                let answer = match is_negative {
                    true => nx(soa(*ttl, 3600)),
                    false => relayed(vec![a(&owner(name), *ttl, 1)]),
                };
                let given = bench.put(&owner(name), answer);
                let ttl = model.put(*name, *ttl, *is_negative);
                let end = format!(" {ttl}");
                prop_assert!(told(&given).ends_with(&end));
            }
            Step::Fail { name } => {
                bench.put(&owner(name), code(ResponseCode::ServFail));
                model.fail(*name);
            }
            Step::Wait { seconds } => {
                bench.wait(*seconds);
                model.time += seconds;
            }
            Step::Get { name } => {
                let given = bench.get(&owner(name)).map(|answer| told(&answer));
                prop_assert_eq!(given, model.get(*name), "{} at {}", name, model.time);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn answers_are_those_of_an_obvious_model(steps in steps()) {
        compare("cache 60", 0, &steps)?;
    }

    #[test]
    fn stale_answers_are_those_of_an_obvious_model(steps in steps()) {
        compare("cache 60 {\n serve_stale 100s immediate\n}", 100, &steps)?;
    }
}
