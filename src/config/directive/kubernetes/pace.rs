//! `apiserver_qps`, `apiserver_burst` and `apiserver_max_inflight`: how often the API server is asked.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::is_default;
use crate::config::corefile::{CorefileError, Cursor, Writer};

/// Bounds of the requests to an API server; 0: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApiPace {
    /// Requests in a second.
    #[schemars(with = "f64")]
    #[serde(skip_serializing_if = "is_default")]
    pub qps: Qps,
    /// How many of them may come at once.
    #[serde(skip_serializing_if = "is_default")]
    pub burst: u32,
    /// Requests under way at once; a watch is one until it begins.
    #[serde(rename = "max_inflight", skip_serializing_if = "is_default")]
    pub max_in_flight: u32,
}

/// A rate, to a thousandth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "f64", into = "f64")]
pub struct Qps {
    thousandths: u64,
}

/// What Kubernetes' own client does where only one of the two is said.
const DEFAULT: (Qps, u32) = (Qps { thousandths: 5000 }, 10);

impl From<f64> for Qps {
    fn from(qps: f64) -> Self {
        // A cast of what is too small or too large gives the nearest number; a rate that is not 0 stays one.
        let thousandths = (qps * 1000.0).round() as u64;
        Self { thousandths: if qps > 0.0 { thousandths.max(1) } else { 0 } }
    }
}

impl From<Qps> for f64 {
    fn from(qps: Qps) -> f64 {
        qps.thousandths as f64 / 1000.0
    }
}

impl ApiPace {
    /// The time between requests, and how many may come without it; None: as they come.
    pub fn rate(&self) -> Option<(Duration, u32)> {
        let or = |said: u32, default| if said == 0 { default } else { said };
        let qps = if self.qps == Qps::default() { DEFAULT.0 } else { self.qps };
        (self.qps != Qps::default() || self.burst > 0).then(|| {
            (Duration::from_secs(1000) / u32::try_from(qps.thousandths).unwrap_or(u32::MAX), or(self.burst, DEFAULT.1))
        })
    }

    pub(super) fn lower_option(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        let option = cursor.word().to_owned();
        let text = cursor.one_argument("a number")?;
        match option.as_str() {
            "apiserver_qps" => {
                let qps = cursor.number(&text, &option, 0.0..=f64::from(u32::MAX))?;
                self.qps = Qps::from(qps);
            }
            "apiserver_burst" => self.burst = cursor.number(&text, &option, 0..=u32::MAX)?,
            _ => self.max_in_flight = cursor.number(&text, &option, 0..=u32::MAX)?,
        }
        Ok(())
    }

    pub(super) fn write(&self, options: &mut Writer) {
        let numbers = [
            ("apiserver_qps", f64::from(self.qps)),
            ("apiserver_burst", self.burst.into()),
            ("apiserver_max_inflight", self.max_in_flight.into()),
        ];
        for (name, number) in numbers.into_iter().filter(|(_, number)| *number > 0.0) {
            options.line([name, &number.to_string()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_of_a_rate_is_what_kubernetes_clients_do() {
        let check = |qps: f64, burst, expected: Option<(f64, u32)>| {
            let rate = ApiPace { qps: qps.into(), burst, max_in_flight: 0 }.rate();
            assert_eq!(rate, expected.map(|(gap, burst)| (Duration::from_secs_f64(gap), burst)), "{qps} {burst}");
        };
        check(0.0, 0, None);
        check(10.0, 20, Some((0.1, 20)));
        check(0.5, 0, Some((2.0, 10)));
        check(0.0, 3, Some((0.2, 3)));
        check(1e-9, 1, Some((1000.0, 1)));
    }
}
