//! `cache [TTL] [ZONES...] { ... }`: remember answers of other servers.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Opt, Reference, is_default};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{AsText, Expanded, Text};
use crate::dns::Name;

/// How answers are remembered.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// The zones whose names are remembered; empty means those of the server block.
    #[serde_as(as = "Expanded")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<Name>,
    /// Positive answers.
    pub success: CacheSide,
    /// Negative answers.
    pub denial: CacheSide,
    /// Names below these zones are never remembered with a positive answer.
    #[serde_as(as = "Expanded")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disable_success: Vec<Name>,
    /// Names below these zones are never remembered with a negative answer.
    #[serde_as(as = "Expanded")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disable_denial: Vec<Name>,
    /// An entry with this many hits within `prefetch_gap` of each other is refreshed early; 0: never.
    #[serde(skip_serializing_if = "is_default")]
    pub prefetch: u32,
    /// See `prefetch`.
    #[serde_as(as = "AsText")]
    pub prefetch_gap: Duration,
    /// How much of its life an entry has left, in percent, when it is refreshed early.
    pub prefetch_percent: u8,
    /// Serve expired answers.
    #[serde(skip_serializing_if = "is_default")]
    pub serve_stale: Option<ServeStale>,
    /// Where an address is known, also after its end, NXDOMAIN and NODATA do not take its place.
    #[serde(skip_serializing_if = "is_default")]
    pub prefer_positive: bool,
    /// How long SERVFAIL is remembered, at most 5 minutes.
    #[serde_as(as = "AsText")]
    pub servfail: Duration,
    /// Answer with the TTL as it was stored, without counting it down.
    #[serde(rename = "keepttl", skip_serializing_if = "is_default")]
    pub keep_ttl: bool,
}

/// Size and lifetimes of one side of the cache.
#[serde_as]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheSide {
    /// How many answers are kept.
    pub capacity: usize,
    /// The longest time an answer is kept.
    #[serde_as(as = "AsText")]
    pub ttl_max: Duration,
    /// The shortest time an answer is kept.
    #[serde_as(as = "AsText")]
    pub ttl_min: Duration,
}

/// How long and when expired answers are served (RFC 8767).
#[serde_as]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServeStale {
    /// How long after its end an answer is served.
    #[serde_as(as = "AsText")]
    pub duration: Duration,
    /// Ask the source first, and serve the expired answer if it fails or takes too long; otherwise the expired answer serves at once, while
    /// the source is asked.
    pub verify: bool,
    /// How long the source may take with `verify` before the expired answer serves; 0: as long as it takes.
    #[serde_as(as = "AsText")]
    pub timeout: Duration,
    /// The TTL of an expired answer.
    #[serde_as(as = "AsText")]
    pub ttl: Duration,
    /// How long a source that failed is not asked again; None: as long as `servfail` says.
    #[serde_as(as = "Option<AsText>")]
    #[serde(skip_serializing_if = "is_default")]
    pub recheck: Option<Duration>,
}

impl Default for ServeStale {
    /// The client response timer and the TTL are those that RFC 8767 sections 4 and 5 advise.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(3600),
            verify: true,
            timeout: Duration::from_millis(1800),
            ttl: Duration::from_secs(30),
            recheck: None,
        }
    }
}

impl Default for Cache {
    fn default() -> Self {
        let side = |ttl_max| CacheSide {
            capacity: 9984,
            ttl_max: Duration::from_secs(ttl_max),
            ttl_min: Duration::from_secs(5),
        };
        Self {
            zones: Vec::new(),
            success: side(3600),
            denial: side(1800),
            disable_success: Vec::new(),
            disable_denial: Vec::new(),
            prefetch: 0,
            prefetch_gap: Duration::from_secs(60),
            prefetch_percent: 10,
            serve_stale: None,
            prefer_positive: false,
            servfail: Duration::from_secs(5),
            keep_ttl: false,
        }
    }
}

impl Directive for Cache {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "cache",
        syntax: "cache [TTL] [ZONES...] { ... }",
        summary: "Remembers answers of other servers. TTL is the longest time for both kinds. It is a number; `3600s` is a zone, as in CoreDNS.",
        options: &[
            Opt {
                syntax: "success CAPACITY [TTL [MINTTL]]",
                meaning: "positive answers: how many, the longest and the shortest time",
                default: "9984 3600 5",
            },
            Opt { syntax: "denial CAPACITY [TTL [MINTTL]]", meaning: "NXDOMAIN and NODATA", default: "9984 1800 5" },
            Opt {
                syntax: "prefetch N [GAP [PERCENT%]]",
                meaning: "asked again before the end if it was asked for N times, no further than GAP apart, when PERCENT of its time is left",
                default: "off; 1m 10%",
            },
            Opt {
                syntax: "serve_stale [DURATION] [immediate [TTL [RECHECK]] | verify [TIMEOUT [TTL [RECHECK]]]]",
                meaning: "expired answers serve if the source fails or takes longer than TIMEOUT (`verify`; 0s: however long it takes), or while it is asked again \
                          (`immediate`), with this TTL; a source that failed or took too long is left alone for RECHECK, at most 5m",
                default: "off; 1h verify 1.8s 30s, RECHECK as `servfail`",
            },
            Opt {
                syntax: "serve_stale_policy prefer_positive",
                meaning: "with serve_stale: NXDOMAIN and NODATA do not take the place of addresses that are still known",
                default: "",
            },
            Opt {
                syntax: "servfail DURATION",
                meaning: "how long another server's SERVFAIL is remembered, at most 5m; 0: not at all",
                default: "5s",
            },
            Opt { syntax: "disable success|denial [ZONES...]", meaning: "not for these zones", default: "" },
            Opt { syntax: "keepttl", meaning: "TTLs do not count down", default: "" },
        ],
        example: "cache 30 {\n    success 9984 3600 5\n    prefetch 10 1m 10%\n    serve_stale 1h verify\n    disable denial cluster.local\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        let mut cache = Self::default();
        cursor.advance();
        let mut arguments = cursor.arguments();
        // Only a number is a TTL: `cache 3600s` names a zone, in CoreDNS, too.
        if let Some(ttl) = arguments.first().and_then(|first| first.parse::<i64>().ok()) {
            let ttl = lower_ttl(cursor, ttl)?;
            cache.success.ttl_max = ttl;
            cache.denial.ttl_max = ttl;
            arguments.remove(0);
        }
        if let Some(zone) = arguments.first()
            && cursor.duration(zone, "a TTL").is_ok()
        {
            cursor.warn(format!(
                "{zone} is read as a zone, and nothing else is remembered; a TTL is written as a number of seconds"
            ));
        }
        cache.zones = cursor.zones(&arguments);
        while cursor.next_option() {
            cache.lower_option(cursor)?;
        }
        if cache.prefer_positive && cache.serve_stale.is_none() {
            return Err(cursor.error("serve_stale_policy needs serve_stale"));
        }
        match cursor.advance() {
            true => Err(cursor.once()),
            // Without any zone that is one, it is for no name; a warning says so.
            false => Ok(Some(cache).filter(|cache| !cache.zones.is_empty())),
        }
    }

    fn write(cache: &Option<Self>, corefile: &mut Writer) {
        let Some(cache) = cache else { return };
        corefile.block(std::iter::once("cache".to_owned()).chain(cache.zones.iter().map(Text::text)), |options| {
            cache.write_options(options);
        });
    }
}

impl Cache {
    fn write_options(&self, options: &mut Writer) {
        let default = Self::default();
        for (name, side, default) in
            [("success", self.success, default.success), ("denial", self.denial, default.denial)]
        {
            if side != default {
                let seconds = |ttl: Duration| ttl.as_secs().to_string();
                options.line([name, &side.capacity.to_string(), &seconds(side.ttl_max), &seconds(side.ttl_min)]);
            }
        }
        if self.prefetch > 0 {
            let percent = format!("{}%", self.prefetch_percent);
            options.line(["prefetch", &self.prefetch.to_string(), &self.prefetch_gap.text(), &percent]);
        }
        if let Some(stale) = self.serve_stale {
            options.line(stale.words());
        }
        if self.prefer_positive {
            options.line(["serve_stale_policy", "prefer_positive"]);
        }
        if self.servfail != default.servfail {
            options.line(["servfail", &self.servfail.text()]);
        }
        for (kind, zones) in [("success", &self.disable_success), ("denial", &self.disable_denial)] {
            if !zones.is_empty() {
                options.line(["disable".to_owned(), kind.to_owned()].into_iter().chain(zones.iter().map(Text::text)));
            }
        }
        if self.keep_ttl {
            options.line(["keepttl"]);
        }
    }

    fn lower_option(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        match cursor.word().to_owned().as_str() {
            "success" => self.success = lower_side(cursor, self.success)?,
            "denial" => self.denial = lower_side(cursor, self.denial)?,
            "prefetch" => self.lower_prefetch(cursor)?,
            "serve_stale" => self.serve_stale = Some(lower_serve_stale(cursor)?),
            "servfail" => {
                let text = cursor.one_argument("a duration")?;
                let duration = cursor.duration(&text, "servfail")?;
                if duration > Duration::from_secs(300) {
                    // RFC 2308 section 7.1
                    return Err(cursor.error(format!("servfail is at most 5m, not {text}")));
                }
                self.servfail = duration;
            }
            "disable" => {
                let arguments = cursor.arguments();
                let (class, zones) = match arguments.split_first() {
                    Some((class, [])) => (class.as_str(), vec![Name::root()]),
                    Some((class, zones)) => (class.as_str(), cursor.zones(zones)),
                    None => return Err(cursor.error("disable takes success or denial, and zones")),
                };
                match class {
                    "success" => self.disable_success = zones,
                    "denial" => self.disable_denial = zones,
                    _ => return Err(cursor.error(format!("disable takes success or denial, not {class:?}"))),
                }
            }
            "keepttl" => {
                cursor.no_argument()?;
                self.keep_ttl = true;
            }
            "serve_stale_policy" => match cursor.one_argument("prefer_positive")?.to_ascii_lowercase().as_str() {
                "prefer_positive" => self.prefer_positive = true,
                other => return Err(cursor.error(format!("serve_stale_policy takes prefer_positive, not {other:?}"))),
            },
            _ => return Err(cursor.unknown::<Self>()),
        }
        Ok(())
    }

    fn lower_prefetch(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        let arguments = cursor.arguments();
        if arguments.is_empty() || arguments.len() > 3 {
            return Err(cursor.error("prefetch takes a number, and perhaps a duration and a percentage"));
        }
        for (place, argument) in arguments.iter().enumerate() {
            match place {
                0 => self.prefetch = cursor.number(argument, "prefetch", 0..=u32::MAX)?,
                1 => self.prefetch_gap = cursor.duration(argument, "the second value of prefetch")?,
                _ => {
                    let number = argument.strip_suffix('%').ok_or_else(|| {
                        cursor
                            .error(format!("the last value of prefetch is a percentage such as 10%, not {argument:?}"))
                    })?;
                    self.prefetch_percent = cursor.number(number, "the percentage of prefetch", 10..=90)?;
                }
            }
        }
        Ok(())
    }
}

/// The largest TTL there is (RFC 2181 section 8).
const TTL_MAX: u64 = 2_147_483_647;

fn lower_ttl(cursor: &Cursor<'_>, seconds: i64) -> Result<Duration, CorefileError> {
    match u64::try_from(seconds) {
        Ok(seconds @ 1..) => Ok(Duration::from_secs(seconds.min(TTL_MAX))),
        _ => Err(cursor.error(format!("a TTL is a number of seconds above zero, not {seconds}"))),
    }
}

/// `success|denial CAPACITY [TTL [MINTTL]]`
fn lower_side(cursor: &mut Cursor<'_>, default: CacheSide) -> Result<CacheSide, CorefileError> {
    let option = cursor.word().to_owned();
    let mut side = default;
    let arguments = cursor.arguments();
    if arguments.is_empty() {
        return Err(cursor.error(format!("{option} takes a capacity, and perhaps a TTL and a smallest TTL")));
    }
    cursor.leave_out(arguments.get(3..).unwrap_or_default());
    for (place, argument) in arguments.iter().take(3).enumerate() {
        let advice = if argument == "}" { "; put '}' on a line of its own" } else { "" };
        let number: i64 = argument.parse().map_err(|_| {
            cursor.error(format!("{option} takes numbers: a capacity, a TTL, a smallest TTL, not {argument:?}{advice}"))
        })?;
        match place {
            0 => side.capacity = usize::try_from(number).unwrap_or(0).max(1024),
            1 => side.ttl_max = lower_ttl(cursor, number)?,
            _ => match u64::try_from(number) {
                Ok(seconds) => side.ttl_min = Duration::from_secs(seconds.min(TTL_MAX)),
                Err(_) => return Err(cursor.error(format!("the smallest TTL of {option} is not negative"))),
            },
        }
    }
    Ok(side)
}

impl ServeStale {
    /// The words of the option.
    pub fn words(&self) -> Vec<String> {
        let mode = if self.verify { "verify" } else { "immediate" };
        let mut words = vec!["serve_stale".to_owned(), self.duration.text(), mode.to_owned()];
        words.extend(self.verify.then(|| self.timeout.text()));
        words.push(self.ttl.text());
        words.extend(self.recheck.map(|recheck| recheck.text()));
        words
    }
}

/// `serve_stale [DURATION] [immediate [TTL [RECHECK]] | verify [TIMEOUT [TTL [RECHECK]]]]`
fn lower_serve_stale(cursor: &mut Cursor<'_>) -> Result<ServeStale, CorefileError> {
    let mut stale = ServeStale::default();
    let arguments = cursor.arguments();
    let duration = |text: &str, what: &str| match text {
        "}" => Err(cursor.error("serve_stale: put '}' on a line of its own")),
        _ => cursor.duration(text, what),
    };
    let [first, rest @ ..] = arguments.as_slice() else { return Ok(stale) };
    stale.duration = duration(first, "the first value of serve_stale")?;
    let [mode, rest @ ..] = rest else { return Ok(stale) };
    stale.verify = match mode.to_ascii_lowercase().as_str() {
        "immediate" => false,
        "verify" => true,
        "}" => return Err(cursor.error("serve_stale: put '}' on a line of its own")),
        _ => return Err(cursor.error(format!("the second value of serve_stale is immediate or verify, not {mode:?}"))),
    };
    let mut times = rest.iter();
    if let Some(timeout) = times.next().filter(|_| stale.verify) {
        stale.timeout = duration(timeout, "the timeout of serve_stale")?;
    } else {
        times = rest.iter();
    }
    if let Some(ttl) = times.next() {
        stale.ttl = duration(ttl, "the TTL of serve_stale")?;
        if stale.ttl.subsec_nanos() > 0 {
            return Err(cursor.error(format!("the TTL of serve_stale is a whole number of seconds, not {ttl}")));
        }
    }
    if let Some(recheck) = times.next() {
        stale.recheck = Some(duration(recheck, "the recheck time of serve_stale")?);
    }
    if stale.recheck.is_some_and(|recheck| recheck > Duration::from_secs(300)) {
        return Err(cursor.error("the recheck time of serve_stale is at most 5m"));
    }
    match times.next() {
        Some(more) => Err(cursor.error(format!("serve_stale takes no further value; found {more:?}"))),
        None => Ok(stale),
    }
}
