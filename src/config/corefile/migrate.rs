//! What CoreDNS has removed, and what takes its place: told by `check`, done by `--migrate`.
//!
//! Works on server blocks of words, so that what it makes is read as if somebody had written it.

use super::CorefileError;
use super::lex::Token;
use super::parse::{Block, Directive, stanzas};

/// A directive, or an option of one, that CoreDNS has removed.
#[derive(Clone, Copy, Debug)]
pub struct Removed {
    /// The directive.
    pub directive: &'static str,
    /// Its option; empty: the directive itself.
    pub option: &'static str,
    /// The release that no longer has it.
    pub since: &'static str,
    /// What to write instead.
    pub instead: &'static str,
    action: Action,
}

/// What `--migrate` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// The lines are left out.
    Drop,
    /// `proxy` becomes `forward`.
    Forward,
    /// The arguments of the option become arguments of its directive.
    Lift,
    /// `transfer to` becomes the directive `transfer`.
    Transfer,
    /// The option becomes another one.
    Replace(&'static [&'static str]),
    /// Nobody can do that but a person.
    Refuse,
}

/// All of them.
pub const REMOVED: &[Removed] = &[
    Removed {
        directive: "proxy",
        option: "",
        since: "1.5",
        instead: "use forward, e.g. `forward . /etc/resolv.conf`",
        action: Action::Forward,
    },
    Removed {
        directive: "federation",
        option: "",
        since: "1.7",
        instead: "remove the line; Kubernetes has no federation any more",
        action: Action::Drop,
    },
    Removed { directive: "startup", option: "", since: "1.5", instead: "remove the line", action: Action::Drop },
    Removed { directive: "shutdown", option: "", since: "1.5", instead: "remove the line", action: Action::Drop },
    Removed {
        directive: "reverse",
        option: "",
        since: "1.5",
        instead: "write a template that makes the same names",
        action: Action::Refuse,
    },
    Removed {
        directive: "kubernetes",
        option: "upstream",
        since: "1.7",
        instead: "remove the line; names outside the cluster are looked up by this server itself",
        action: Action::Drop,
    },
    Removed {
        directive: "kubernetes",
        option: "resyncperiod",
        since: "1.7",
        instead: "remove the line; nothing has to be listed again and again",
        action: Action::Drop,
    },
    Removed {
        directive: "kubernetes",
        option: "cidrs",
        since: "1.0",
        instead: "name the prefixes on the line of kubernetes, as in `kubernetes cluster.local 10.0.0.0/8`",
        action: Action::Lift,
    },
    Removed {
        directive: "kubernetes",
        option: "transfer",
        since: "1.8",
        instead: "use the directive transfer",
        action: Action::Transfer,
    },
    Removed {
        directive: "kubernetes",
        option: "federation",
        since: "1.0",
        instead: "remove the line; Kubernetes has no federation any more",
        action: Action::Drop,
    },
    Removed {
        directive: "file",
        option: "transfer",
        since: "1.8",
        instead: "use the directive transfer",
        action: Action::Transfer,
    },
    Removed {
        directive: "auto",
        option: "transfer",
        since: "1.8",
        instead: "use the directive transfer",
        action: Action::Transfer,
    },
    Removed {
        directive: "file",
        option: "no_reload",
        since: "1.5",
        instead: "write reload 0",
        action: Action::Replace(&["reload", "0"]),
    },
    Removed {
        directive: "auto",
        option: "no_reload",
        since: "1.5",
        instead: "write reload 0",
        action: Action::Replace(&["reload", "0"]),
    },
    Removed {
        directive: "forward",
        option: "spray",
        since: "1.5",
        instead: "remove the line; where all servers seem down, one of them is asked anyway",
        action: Action::Drop,
    },
    Removed {
        directive: "forward",
        option: "protocol",
        since: "1.5",
        instead: "write tls:// or https:// before a server that is to be asked so",
        action: Action::Refuse,
    },
];

/// What was removed, if it was.
pub fn removed(directive: &str, option: &str) -> Option<&'static Removed> {
    REMOVED.iter().find(|removed| removed.directive == directive && removed.option == option)
}

impl Removed {
    /// Whether `--migrate` puts what takes its place there.
    pub fn is_migrated(&self) -> bool {
        self.action != Action::Refuse
    }

    /// `CoreDNS 1.5 removed it; use forward`
    pub fn advice(&self) -> String {
        let migrates = if self.is_migrated() { "; `--migrate` does that" } else { "" };
        format!("CoreDNS {} removed it; {}{migrates}", self.since, self.instead)
    }
}

/// Puts what takes its place in place of what was removed; tells each change.
pub fn migrate(blocks: &mut [Block], told: &mut Vec<CorefileError>) {
    for block in blocks {
        let mut kept = Vec::new();
        for directive in std::mem::take(&mut block.directives) {
            match removed(&directive.name, "").map(|removed| removed.action) {
                Some(Action::Drop) => tell(told, directive.tokens.first(), format!("{} is left out", directive.name)),
                Some(Action::Forward) => keep(&mut kept, forward(&directive, told)),
                _ => {
                    let transfer = Directive { name: "transfer".to_owned(), tokens: transfers(&directive) };
                    keep(&mut kept, without_options(&directive, told));
                    keep(&mut kept, transfer);
                }
            }
        }
        block.directives = kept;
    }
}

/// Lines of one directive are one; without lines there is none.
fn keep(kept: &mut Vec<Directive>, directive: Directive) {
    match kept.iter_mut().find(|other| other.name == directive.name) {
        Some(other) => other.tokens.extend(directive.tokens),
        None if directive.tokens.is_empty() => {}
        None => kept.push(directive),
    }
}

fn tell(told: &mut Vec<CorefileError>, token: Option<&Token>, what: String) {
    if let Some(token) = token {
        told.push(CorefileError { file: token.file.to_string(), line: token.line, what: format!("--migrate: {what}") });
    }
}

/// The lines of a stanza: the head up to its brace, and what is in its braces.
fn lines(tokens: &[Token]) -> impl Iterator<Item = &[Token]> {
    tokens.chunk_by(|one, other| one.text != "{" && one.line == other.line && one.file == other.file)
}

/// The words of a line, and the brace that ends its block.
fn before_brace(line: &[Token]) -> (&[Token], &[Token]) {
    line.split_at(line.len() - usize::from(line.last().is_some_and(|last| last.text == "}")))
}

fn action(directive: &Directive, line: &[Token]) -> Option<Action> {
    removed(&directive.name, &line.first()?.text).map(|removed| removed.action)
}

/// Leaves out options that were removed; prefixes of `cidrs` go to the head.
fn without_options(directive: &Directive, told: &mut Vec<CorefileError>) -> Directive {
    let mut tokens = Vec::new();
    for stanza in stanzas(&directive.tokens) {
        let mut lines = lines(directive.tokens.get(stanza).unwrap_or_default());
        let mut head = lines.next().unwrap_or_default().to_vec();
        let mut options = Vec::new();
        for line in lines {
            let (words, brace) = before_brace(line);
            let Some(first) = words.first() else {
                options.extend_from_slice(line);
                continue;
            };
            let becomes = match action(directive, words) {
                Some(Action::Drop) => "is left out".to_owned(),
                Some(Action::Transfer) => "is a directive now".to_owned(),
                Some(Action::Lift) => {
                    let behind = head.iter().position(|word| word.text == "{").unwrap_or(head.len());
                    // They stand on the line of the head now.
                    let line = head.first().map_or(1, |first| first.line);
                    let lifted = words.iter().skip(1).map(|word| Token { line, ..word.clone() });
                    head.splice(behind..behind, lifted);
                    "is put on the line of the directive".to_owned()
                }
                Some(Action::Replace(words)) => {
                    options.extend(words.iter().map(|word| Token { text: (*word).to_owned(), ..first.clone() }));
                    format!("is read as {}", words.join(" "))
                }
                Some(Action::Refuse | Action::Forward) | None => {
                    options.extend_from_slice(line);
                    continue;
                }
            };
            tell(told, Some(first), format!("{}: {} {becomes}", directive.name, first.text));
            options.extend_from_slice(brace);
        }
        tokens.extend(head);
        tokens.extend(options);
    }
    Directive { name: directive.name.clone(), tokens }
}

/// `transfer to WHOM` in the braces of a directive as `transfer ZONES { to WHOM }`.
fn transfers(directive: &Directive) -> Vec<Token> {
    let mut tokens = Vec::new();
    // The file of `file` stands before its zones.
    let before_zones = if directive.name == "file" { 2 } else { 1 };
    for stanza in stanzas(&directive.tokens) {
        let mut lines = lines(directive.tokens.get(stanza).unwrap_or_default());
        let head = lines.next().unwrap_or_default();
        let zones = || head.iter().skip(before_zones).take_while(|word| word.text != "{");
        for line in lines.filter(|line| action(directive, line) == Some(Action::Transfer)) {
            let (words, _) = before_brace(line);
            let Some(first) = words.first() else { continue };
            let at = |line: usize, text: &str| Token { text: text.to_owned(), line, ..first.clone() };
            // A block has its brace on the line of its head, and its options on others.
            tokens.push(at(first.line, "transfer"));
            tokens.extend(zones().map(|zone| at(first.line, &zone.text)));
            tokens.push(at(first.line, "{"));
            tokens.extend(words.iter().skip(1).map(|word| at(first.line + 1, &word.text)));
            tokens.push(at(first.line + 2, "}"));
        }
    }
    tokens
}

/// `proxy FROM TO... { ... }` as `forward FROM TO... { ... }`.
fn forward(proxy: &Directive, told: &mut Vec<CorefileError>) -> Directive {
    let mut tokens = Vec::new();
    for stanza in stanzas(&proxy.tokens) {
        for (index, line) in lines(proxy.tokens.get(stanza).unwrap_or_default()).enumerate() {
            let (words, brace) = before_brace(line);
            let word = |text: &&str| words.first().map(|first| Token { text: (*text).to_owned(), ..first.clone() });
            if index == 0 {
                tell(told, words.first(), "proxy is read as forward".to_owned());
                tokens.extend(word(&"forward"));
                tokens.extend_from_slice(line.get(1..).unwrap_or_default());
                continue;
            }
            match forward_option(words) {
                Becomes::Itself => tokens.extend_from_slice(words),
                Becomes::Other(others, what) => {
                    tell(told, words.first(), format!("proxy: {what}"));
                    tokens.extend(others.iter().filter_map(word));
                }
            }
            tokens.extend_from_slice(brace);
        }
    }
    Directive { name: "forward".to_owned(), tokens }
}

/// What becomes of a line in the braces of `proxy`.
enum Becomes {
    Itself,
    Other(&'static [&'static str], String),
}

fn forward_option(words: &[Token]) -> Becomes {
    let words: Vec<&str> = words.iter().map(|token| token.text.as_str()).collect();
    let left_out = |why: &str| Becomes::Other(&[], format!("{} is left out: {why}", words.join(" ")));
    match words.as_slice() {
        ["policy", "least_conn"] => {
            Becomes::Other(&["policy", "random"], "policy least_conn is read as random".to_owned())
        }
        ["policy", "first"] => {
            Becomes::Other(&["policy", "sequential"], "policy first is read as sequential".to_owned())
        }
        ["protocol", "dns", "force_tcp"] => {
            Becomes::Other(&["force_tcp"], "protocol dns force_tcp is read as force_tcp".to_owned())
        }
        ["protocol", "dns"] => left_out("forward speaks DNS"),
        ["fail_timeout", ..] => left_out("forward probes servers that failed until they answer"),
        ["health_check", ..] => left_out("forward probes servers that failed over DNS"),
        ["spray", ..] => left_out("forward asks one of the servers where all seem down"),
        _ => Becomes::Itself,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Source, System};

    /// What is told of a block with these lines, and the block that it is read as.
    fn check(lines: &str, told: &[&str], expected: &str) {
        let read = |lines: &str, migrates| {
            let source = Source::Text { name: "Corefile".to_owned(), text: format!(".:53 {{\n{lines}\n}}\n") };
            source.load_with(System { port: 53, migrates })
        };
        assert!(read(lines, false).is_err(), "{lines}");
        let migrated = read(lines, true).unwrap_or_else(|errors| panic!("{lines}: {errors:?}"));
        let found: Vec<String> = migrated.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), told.len(), "{found:?}");
        assert!(found.iter().zip(told).all(|(found, part)| found.contains(part)), "{found:?}");
        assert_eq!(migrated.config, read(expected, false).expect(expected).config, "{lines}");
    }

    #[test]
    fn proxy_becomes_forward_with_its_options() {
        check("proxy . 192.0.2.1", &["Corefile:2: --migrate: proxy is read as forward"], "forward . 192.0.2.1");
        check(
            "proxy . 192.0.2.1 192.0.2.2:5300 {\npolicy least_conn\nexcept a.org\nmax_fails 3\nfail_timeout 5s\n\
             health_check /health:8080 10s\nspray\nprotocol dns force_tcp\n}",
            &["forward", "policy least_conn", "fail_timeout 5s", "health_check", "spray", "force_tcp"],
            "forward . 192.0.2.1 192.0.2.2:5300 {\npolicy random\nexcept a.org\nmax_fails 3\nforce_tcp\n}",
        );
        check(
            "proxy a.org 192.0.2.1 {\npolicy first\n}\nproxy . 192.0.2.2\nforward b.org 192.0.2.3",
            &["forward", "sequential", "forward"],
            "forward a.org 192.0.2.1 {\npolicy sequential\n}\nforward . 192.0.2.2\nforward b.org 192.0.2.3",
        );
    }

    #[test]
    fn options_of_kubernetes_are_left_out() {
        check(
            "kubernetes cluster.local {\nresyncperiod 5m\nupstream /etc/resolv.conf\npods insecure\n}",
            &["resyncperiod is left out", "upstream is left out"],
            "kubernetes cluster.local {\npods insecure\n}",
        );
        check(
            "kubernetes cluster.local {\ncidrs 10.0.0.0/24 10.1.0.0/24\n}",
            &["cidrs"],
            "kubernetes cluster.local 10.0.0.0/24 10.1.0.0/24",
        );
    }

    #[test]
    fn transfers_are_a_directive() {
        check(
            "kubernetes cluster.local {\ntransfer to * 192.0.2.1\npods insecure\n}\nfile /dev/null a.org b.org {\ntransfer to *\nno_reload\n}",
            &["kubernetes: transfer is a directive now", "file: transfer", "file: no_reload is read as reload 0"],
            "kubernetes cluster.local {\npods insecure\n}\nfile /dev/null a.org b.org {\nreload 0\n}\n\
             transfer cluster.local {\nto * 192.0.2.1\n}\ntransfer a.org b.org {\nto *\n}",
        );
    }

    #[test]
    fn braces_on_the_line_of_an_option_stay() {
        check("kubernetes a.org { upstream }", &["upstream is left out"], "kubernetes a.org");
        check("kubernetes a.org {\nttl 7\nresyncperiod 5m }", &["resyncperiod"], "kubernetes a.org {\nttl 7\n}");
        check("kubernetes a.org { cidrs 10.0.0.0/24 }\nwhoami", &["cidrs"], "kubernetes a.org 10.0.0.0/24\nwhoami");
        check(
            "proxy . 192.0.2.1 { policy first }",
            &["proxy is read", "policy"],
            "forward . 192.0.2.1 {\npolicy sequential\n}",
        );
    }

    #[test]
    fn protocols_that_forward_does_not_speak_are_refused() {
        for protocol in ["grpc", "https_google"] {
            let text = format!(".:53 {{\nproxy . 192.0.2.1 {{\nprotocol {protocol}\n}}\n}}\n");
            let source = Source::Text { name: "Corefile".to_owned(), text };
            let errors = source.load_with(System { port: 53, migrates: true }).expect_err("a refusal");
            assert!(errors[0].what.contains("tls:// or https://"), "{errors:?}");
        }
    }

    #[test]
    fn what_has_no_counterpart_goes() {
        check("shutdown /bin/true\nwhoami", &["shutdown is left out"], "whoami");
        check("startup /bin/true\nwhoami", &["startup is left out"], "whoami");
        check("federation cluster.local {\na b.org\n}\nwhoami", &["federation is left out"], "whoami");
    }
}
