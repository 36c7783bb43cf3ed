//! A configuration in YAML: read into the same [`Config`] as a Corefile, and checked by the same rules.
//!
//! The values are those of the directives' own types. What these cannot say of themselves (bounds, what excludes what) is
//! checked by writing the configuration as a Corefile and reading that, so that every rule is written once.

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::{Error, Spanned};
use serde_with::serde_as;

use super::corefile::{self, CorefileError, Loaded, Surroundings, Written, expand};
use super::{Config, ServerBlock};

/// Whether a text is YAML and no Corefile: its first word is `servers:`, which no Corefile can begin with.
pub fn is_yaml(text: &str) -> bool {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let mut first = lines.filter(|line| !line.is_empty() && !line.starts_with('#') && *line != "---");
    first.next().is_some_and(|line| line.starts_with("servers:"))
}

/// Reads a configuration from YAML; `file` is what messages call it. Variables are put in as in a Corefile.
///
/// The errors are all that could be found.
pub fn read(text: &str, file: &str, surroundings: &dyn Surroundings) -> Result<Loaded, Vec<CorefileError>> {
    let text = text.lines().map(|line| expand(line, surroundings)).collect::<Vec<_>>().join("\n");
    let at = |line: usize, what: String| CorefileError { file: file.to_owned(), line, what };
    let places: Places = parse(&text).map_err(|error| vec![at(line_of(&error), message(&error))])?;
    let config: Config = parse(&text).map_err(|error| {
        let first = at(line_of(&error), message(&error));
        let others = places.errors_but(first.line).into_iter().map(|(line, what)| at(line, what));
        corefile::bounded(std::iter::once(first).chain(others).collect())
    })?;
    let written = config.to_corefile().map_err(|words| {
        words
            .iter()
            .map(|word| at(1, format!("{word:?} cannot be said: a word has no \\ before a quote or at its end")))
            .collect::<Vec<_>>()
    })?;
    let moved = |error: CorefileError| at(places.line(&written, error.line), error.what);
    match corefile::read(&written.text, file, surroundings) {
        Ok(loaded) => Ok(Loaded {
            places: (0..loaded.places.len()).map(|server| format!("{file}:{}", places.line_of(server, ""))).collect(),
            warnings: loaded.warnings.into_iter().map(moved).collect(),
            is_yaml: true,
            ..loaded
        }),
        Err(errors) => Err(errors.into_iter().map(moved).collect()),
    }
}

/// Writes a configuration as YAML.
pub fn write(config: &Config) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(config)
}

/// Where in the YAML each directive of each server block is.
#[derive(Debug, Deserialize)]
struct Places {
    #[serde(default)]
    servers: Vec<Place>,
}

#[serde_as]
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Place(#[serde_as(as = "serde_with::Map<_, _>")] Vec<(Spanned<String>, Value)>);

impl Places {
    /// The line of what stands in a line of the Corefile.
    fn line(&self, written: &Written, line: usize) -> usize {
        let (server, directive) = written.place(line);
        self.line_of(server, directive)
    }

    /// The line of a directive of a server block, or of the block itself.
    fn line_of(&self, server: usize, directive: &str) -> usize {
        let entries = self.servers.get(server).map_or(&[][..], |place| &place.0);
        let entry = entries.iter().find(|(key, _)| key.value == directive).or(entries.first());
        entry.map_or(1, |(key, _)| line_at(key))
    }

    /// What is wrong with directives, but for the one that a line is in.
    fn errors_but(&self, line: usize) -> Vec<(usize, String)> {
        let mut errors = Vec::new();
        for (index, (key, value)) in self.servers.iter().flat_map(|place| &place.0).enumerate() {
            let next = self.servers.iter().flat_map(|place| &place.0).nth(index + 1);
            let is_told = line_at(key) <= line && next.is_none_or(|(next, _)| line < line_at(next));
            let alone = Value::Object(
                [("zones".to_owned(), Value::Array(Vec::new())), (key.value.clone(), value.clone())]
                    .into_iter()
                    .collect(),
            );
            if let Some(error) = serde_json::from_value::<ServerBlock>(alone).err().filter(|_| !is_told) {
                errors.push((line_at(key), format!("{}: {error}", key.value)));
            }
        }
        errors
    }
}

/// Reads YAML as values of a type.
pub(super) fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    let options = serde_saphyr::options! {
        // Words such as `no` and `on` are names here, as in YAML 1.2.
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options)
}

fn line_of(error: &Error) -> usize {
    error.location().map_or(1, |location| usize::try_from(location.line()).unwrap_or(1).max(1))
}

fn line_at<T>(value: &Spanned<T>) -> usize {
    usize::try_from(value.referenced.line()).unwrap_or(1).max(1)
}

/// The message without the place, which is told in front of it.
fn message(error: &Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::corefile::System;

    const SURROUNDINGS: System = System { port: 53, migrates: false };

    fn errors(text: &str) -> Vec<String> {
        read(text, "x.yaml", &SURROUNDINGS).expect_err(text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_block_is_what_it_is_in_a_corefile() {
        let yaml = "servers:\n- zones: [\".:53\", 10.0.0.0/15]\n  cache:\n    success: {capacity: 2048, ttl_max: 30s, ttl_min: 5s}\n  loop: true\n  \
                    log:\n  - {}\n  health: {}\n";
        let corefile = ".:53 10.0.0.0/15 {\ncache {\nsuccess 2048 30 5\n}\nloop\nlog\nhealth\n}\n";
        let expected = corefile::read(corefile, "Corefile", &SURROUNDINGS).unwrap();
        let found = read(yaml, "x.yaml", &SURROUNDINGS).unwrap();
        assert_eq!(found.config, expected.config);
        assert_eq!(found.hash, expected.hash);
        let again = write(&found.config).unwrap();
        assert_eq!(read(&again, "x.yaml", &SURROUNDINGS).unwrap().config, found.config, "{again}");
    }

    #[test]
    fn yaml_is_told_by_its_first_word() {
        assert!(is_yaml("# yes\n---\n\nservers:\n- zones: [.]\n"));
        assert!(is_yaml("servers: []"));
        assert!(!is_yaml("servers {\n}\n"));
        assert!(!is_yaml(""));
    }

    #[test]
    fn every_error_is_told_at_its_line() {
        let text =
            "servers:\n- zones: [.]\n  cahce: {}\n  bufsize: many\n- zones: [a.org]\n  health:\n    lameduck: soon\n";
        let found = errors(text);
        let lines = ["x.yaml:3: ", "x.yaml:4: ", "x.yaml:6: "];
        assert_eq!(found.len(), lines.len(), "{found:?}");
        assert!(found.iter().zip(lines).all(|(error, line)| error.starts_with(line)), "{found:?}");
        assert!(found[2].contains("a duration such as 5s"), "{found:?}");
    }

    #[test]
    fn the_rules_of_corefiles_hold() {
        let text = "servers:\n- zones: [.]\n  whoami: true\n- zones: [a.org]\n  whoami: true\n  bufsize: 7\n- zones: [a.org]\n  whoami: true\n";
        let found = errors(text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("x.yaml:6: bufsize: "), "{found:?}");
        assert!(found[1].starts_with("x.yaml:7: cannot serve a.org."), "{found:?}");
    }

    #[test]
    fn what_is_no_yaml_is_told() {
        for text in [
            "servers: [",
            "servers:\n- zones: [.]\n  zones: [.]\n",
            "servers: 1",
            "servers:\n- zones: [..]\n",
            "servers:\n- whoami: true\n",
        ] {
            assert!(!errors(text).is_empty(), "{text}");
        }
    }
}
