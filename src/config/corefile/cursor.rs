//! A walk over the words of one directive.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::key::{oddity, parse_zone};
use super::lex::Token;
use super::migrate::removed;
use super::parse::{self, follows_on_line};
use super::{CorefileError, Costs, Surroundings, similar};
use crate::config::directive::{Directive, Opt};
use crate::dns::Name;

/// A walk over the words of one directive, as Caddy's dispenser does it: with its odd rule that `}` on the line of an
/// option is taken for an argument of it.
pub struct Cursor<'a> {
    directive: &'a parse::Directive,
    at: Option<usize>,
    is_in_block: bool,
    /// Files and variables.
    pub surroundings: &'a dyn Surroundings,
    /// The zones of the server block, which many directives fall back to.
    pub block_zones: &'a [Name],
    /// The folder of relative file names (`root`).
    root: Option<&'a Path>,
    /// Sentences for the log.
    pub warnings: &'a mut Vec<CorefileError>,
    /// What reading cost so far.
    pub costs: &'a Costs,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(
        directive: &'a parse::Directive,
        surroundings: &'a dyn Surroundings,
        (block_zones, root): (&'a [Name], Option<&'a Path>),
        warnings: &'a mut Vec<CorefileError>,
        costs: &'a Costs,
    ) -> Self {
        Self { directive, at: None, is_in_block: false, surroundings, block_zones, root, warnings, costs }
    }

    /// Goes to the next word, which is the directive's name on the first call; false at the end.
    pub fn advance(&mut self) -> bool {
        let next = self.at.map_or(0, |at| at + 1);
        if next < self.directive.tokens.len() {
            self.at = Some(next);
        }
        next < self.directive.tokens.len()
    }

    /// Goes to the next word if it is on this line.
    pub fn next_argument(&mut self) -> bool {
        let Some(at) = self.at else { return self.advance() };
        let pair = (self.directive.tokens.get(at), self.directive.tokens.get(at + 1));
        let follows = matches!(pair, (Some(token), Some(next)) if follows_on_line(token, next));
        if follows {
            self.at = Some(at + 1);
        }
        follows
    }

    /// The words up to the end of the line or an opening brace.
    pub fn arguments(&mut self) -> Vec<String> {
        let mut arguments = Vec::new();
        while self.next_argument() {
            if self.word() == "{" {
                self.step_back();
                break;
            }
            arguments.push(self.word().to_owned());
        }
        arguments
    }

    /// Goes to the next option in the directive's braces; false when there are none, or no more.
    pub fn next_option(&mut self) -> bool {
        if !self.is_in_block {
            if !self.next_argument() {
                return false;
            }
            if self.word() != "{" {
                self.step_back();
                return false;
            }
        }
        self.is_in_block = self.advance() && self.word() != "}";
        self.is_in_block
    }

    /// The word here.
    pub fn word(&self) -> &str {
        self.at.and_then(|at| self.directive.tokens.get(at)).map_or("", |token| &token.text)
    }

    fn step_back(&mut self) {
        self.at = self.at.and_then(|at| at.checked_sub(1));
    }

    /// The one argument of an option.
    pub fn one_argument(&mut self, what: &str) -> Result<String, CorefileError> {
        let option = self.word().to_owned();
        match <[String; 1]>::try_from(self.arguments()) {
            Ok([argument]) => Ok(argument),
            Err(found) if found.is_empty() => Err(self.error(format!("{option} takes {what}"))),
            Err(found) if found.last().is_some_and(|last| last == "}") => {
                Err(self.error(format!("{option} takes {what}, and nothing else; put '}}' on a line of its own")))
            }
            Err(found) => Err(self.error(format!("{option} takes {what}, and nothing else; found {found:?}"))),
        }
    }

    /// The first argument of an option; more are left out with a warning, as CoreDNS leaves them out without one. So
    /// `{ ttl 30 }` may stand on one line.
    pub fn first_argument(&mut self, what: &str) -> Result<String, CorefileError> {
        let option = self.word().to_owned();
        let mut arguments = self.arguments().into_iter();
        let Some(first) = arguments.next() else {
            return Err(self.error(format!("{option} takes {what}")));
        };
        self.leave_out(&arguments.collect::<Vec<_>>());
        Ok(first)
    }

    /// Warns of words that have no meaning, as CoreDNS passes over them without a word.
    pub fn leave_out(&mut self, words: &[String]) {
        let words: Vec<_> = words.iter().filter(|word| *word != "}").collect();
        if !words.is_empty() {
            self.warn(format!("{words:?} has no meaning here and is left out"));
        }
    }

    /// Warns of further lines of a directive of which CoreDNS reads the first one only.
    pub fn leave_out_rest(&mut self) {
        if self.next_argument() {
            self.warn(format!("{:?} has no meaning here and is left out", self.word()));
        } else if self.advance() {
            self.warn("only the first of these lines counts; remove this one");
        }
    }

    /// No argument behind an option.
    pub fn no_argument(&mut self) -> Result<(), CorefileError> {
        let option = self.word().to_owned();
        match self.arguments().iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [] => Ok(()),
            ["}"] => Err(self.error(format!("{option} takes no argument; put '}}' on a line of its own"))),
            found => Err(self.error(format!("{option} takes no argument; found {found:?}"))),
        }
    }

    /// A number within bounds.
    pub fn number<T: FromStr + PartialOrd + std::fmt::Display>(
        &self,
        text: &str,
        what: &str,
        bounds: std::ops::RangeInclusive<T>,
    ) -> Result<T, CorefileError> {
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        number.ok_or_else(|| {
            let advice = match text {
                "}" => "; put '}' on a line of its own",
                _ if text.ends_with(';') => "; options stand on lines of their own, without ';'",
                _ => "",
            };
            self.error(format!("{what} is a number from {} to {}, not {text:?}{advice}", bounds.start(), bounds.end()))
        })
    }

    /// A duration in Go's form (`5s`, `1m30s`, `250ms`).
    pub fn duration(&self, text: &str, what: &str) -> Result<Duration, CorefileError> {
        parse_duration(text)
            .ok_or_else(|| self.error(format!("{what} is a duration such as 5s, 1m30s or 250ms, not {text:?}")))
    }

    /// Zones: names, or prefixes that stand for their reverse zones. What is neither is left out with a warning, as
    /// CoreDNS leaves it out without one. No zones at all: those of the server block.
    pub fn zones(&mut self, arguments: &[String]) -> Vec<Name> {
        if arguments.is_empty() {
            return self.block_zones.to_vec();
        }
        let mut zones = Vec::new();
        for argument in arguments {
            // What is too much is told when the directive was read.
            let parsed = parse_zone(argument);
            if !self.costs.spend_zones(parsed.as_ref().map_or(0, Vec::len)) {
                break;
            }
            match parsed {
                Some(parsed) => {
                    zones.extend(parsed);
                    if argument == "}" {
                        self.warn("'}' on the line of an option is read as a zone; put it on a line of its own");
                    } else if let Some(oddity) = oddity(argument) {
                        self.warn(format!("no client asks for the zone {argument:?}: {oddity}"));
                    }
                }
                None => {
                    let what = format!("{argument:?} is no zone and is left out");
                    self.warn(what);
                }
            }
        }
        zones
    }

    /// Where a file of the configuration is: a relative one is below `root`.
    pub fn path(&self, file: &Path) -> PathBuf {
        self.root.unwrap_or(Path::new("")).join(file)
    }

    /// Adds a sentence for the log.
    pub fn warn(&mut self, what: impl std::fmt::Display) {
        let error = self.error(what.to_string());
        self.warnings.push(error);
    }

    /// The error that something is wrong here.
    pub fn error(&self, what: impl std::fmt::Display) -> CorefileError {
        let token: Option<&Token> =
            self.at.and_then(|at| self.directive.tokens.get(at)).or(self.directive.tokens.last());
        CorefileError {
            file: token.map(|token| token.file.to_string()).unwrap_or_default(),
            line: token.map_or(1, |token| token.line),
            what: format!("{}: {what}", self.directive.name),
        }
    }

    /// The error that this directive may stand once in a block.
    pub fn once(&self) -> CorefileError {
        self.error(match self.word() {
            "{" | "}" => "there is no block here; remove it, or put '{' on the line of the directive",
            word if word == self.directive.name => "can be used once per server block only; remove one of them",
            _ => "the block of this directive has ended; put '}' on a line of its own behind its options",
        })
    }

    /// The error that the word here is no option of the directive.
    pub fn unknown<D: Directive>(&self) -> CorefileError {
        if let Some(removed) = removed(D::REFERENCE.name, self.word()) {
            return self.error(format!("unknown property {:?}: {}", self.word(), removed.advice()));
        }
        let known: Vec<&str> = D::REFERENCE.options.iter().map(Opt::name).collect();
        let advice = match similar(self.word(), &known) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => format!("it takes {}", known.join(", ")),
        };
        self.error(format!("unknown property {:?}; {advice}", self.word()))
    }
}

/// Reads a duration as Go does: a row of numbers with units; `0` needs none.
pub fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, behind) = rest.split_at(digits);
        let unit_end = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, next) = behind.split_at(unit_end);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        total = total.checked_add(part)?;
        rest = next;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_in_go() {
        let check = |text: &str, expected: Option<f64>| {
            assert_eq!(parse_duration(text), expected.map(Duration::from_secs_f64), "{text}");
        };
        check("5s", Some(5.0));
        check("1m30s", Some(90.0));
        check("0.5s", Some(0.5));
        check("250ms", Some(0.25));
        check("1h", Some(3600.0));
        check("0", Some(0.0));
        check("5", None);
        check("", None);
        check("s", None);
        check("-5s", None);
        check("5 s", None);
    }
}
