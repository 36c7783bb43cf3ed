//! `rewrite`: which rules are taken, and what they come to.

use super::*;
use crate::config::directive::{OptionAction, OptionRule, Rewrite, RewriteRule};

/// A block with one rule. It is read again as it is written.
fn rule(words: &str) -> Rewrite {
    let text = block(&format!("rewrite {words}"));
    written(&text);
    let mut rules = loaded(&text).config.servers.remove(0).rewrite;
    assert_eq!(rules.len(), 1, "{words}");
    rules.remove(0)
}

/// The rule in full.
fn check(words: &str, expected: &str) {
    assert_eq!(rule(words).to_string(), format!("rewrite {expected}"), "{words}");
}

fn refused_rule(words: &str, part: &str) {
    refused(&block(&format!("rewrite {words}")), part);
}

#[test]
fn names_are_in_lower_case_with_their_final_dot() {
    check("name A.Org b.NET", "stop name exact a.org. b.net.");
    check("NAME Exact a b", "stop name exact a. b.");
    check("Continue name suffix .A .B. answer auto", "continue name suffix .a. .b. answer auto");
    check("name prefix a. b", "stop name prefix a. b.");
    check(r"name regex (.*)\.A {1}.B", r"stop name regex (.*)\.A {1}.b.");
    check("name exact a b answer auto", "stop name exact a. b.");
    check(
        "name exact a b answer name (c) {1}D value e f",
        "stop name exact a. b. answer name (c) {1}d. answer value e f.",
    );
    check("name regex a b answer auto answer value c d", "stop name regex a b. answer auto answer value c d.");
    refused_rule("name a", "name takes FROM and TO");
    refused_rule("name a b c", "not by \"a\"; each rule takes a `rewrite` of its own");
    refused_rule("name exact a b c", "behind the names stands `answer auto`");
    refused_rule("name exact a b answer", "behind the names stands `answer auto`");
    refused_rule("name exact a b answer name c", "answer name and answer value take a pattern and a name");
    refused_rule("name suffix a b answer auto answer name c d", "exclude each other");
    refused_rule("answer name a b", "response rewrites must begin with a name rule");
}

#[test]
fn a_rule_may_stand_in_braces() {
    check("{\nname a b\n}", "stop name exact a. b.");
    check("continue {\nname suffix a b\nanswer auto\n}", "continue name suffix a. b. answer auto");
    check("ttl {\nregex a\n5\n}", "stop ttl regex a 5-5");
    refused_rule("{\n}", "takes a rule");
    refused_rule("{\nname a b\nname c d\n}", "each rule takes a `rewrite` of its own");
    refused_rule("name a b {\nanswer auto\n}", "the rule before '{' is complete");
}

#[test]
fn a_text_uses_groups_that_are_there() {
    check("name regex (a)(b) {2}{1}", "stop name regex (a)(b) {2}{1}.");
    refused_rule("name regex a {1}", "\"{1}.\" uses 1 groups, but \"a\" has only 0");
    refused_rule("name exact {1} b", "uses 1 groups");
    refused_rule("name suffix a b answer name (a) {0}{1}", "uses 2 groups");
    refused_rule("name regex (a b", "could not parse regex \"(a\": unclosed group");
    refused_rule("cname regex (a b", "unclosed group");
    let [longest, longer] = [10_000, 10_001].map(|length| "a".repeat(length));
    rule(&format!("name regex {longest} b"));
    for kind in
        ["name regex ~ b", "ttl regex ~ 5", "rcode regex ~ 3 0", "cname regex ~ b", "name exact a b answer name ~ b"]
    {
        refused_rule(&kind.replace('~', &longer), "regex pattern too long: 10001 octets, at most 10000");
    }
}

#[test]
fn fields_have_their_own_words() {
    check("class ch in", "stop class CH IN");
    check("type aaaa a", "stop type AAAA A");
    check("rcode a 3 noerror", "stop rcode exact a. NXDOMAIN NOERROR");
    check("rcode suffix a NOTIMPL BADKEY", "stop rcode suffix a. NOTIMP BADKEY");
    check("cname A B", "stop cname exact a. b.");
    check("cname prefix A B", "stop cname prefix a b");
    check("cname suffix .a .b", "stop cname suffix .a. .b.");
    for (text, bounds) in [("5", "5-5"), ("5-10", "5-10"), ("-10", "0-10"), ("5-", "5-2147483647")] {
        check(&format!("ttl a {text}"), &format!("stop ttl exact a. {bounds}"));
    }
    for text in ["-", "10-5", "1-2-3", "+5", "5s", "4294967296"] {
        refused_rule(&format!("ttl a {text}"), "a TTL is a number of seconds");
    }
    refused_rule("class IN FOO", "a class: IN, CH");
    refused_rule("type A FOO", "a record type such as AAAA is expected, not \"FOO\"");
    refused_rule("type A AAAA MX", "exactly two values");
    refused_rule("rcode a 24 0", "or its number is expected, not \"24\"");
    refused_rule("ttl a 5 6 7", "takes ttl [MATCH] NAME SECONDS");
    refused_rule("foo a b", "invalid rule type \"foo\"");
    refused_rule("stop", "takes a rule");
}

#[test]
fn options_are_numbers_and_octets() {
    let local = |words: &str, expected: u16| {
        let RewriteRule::Edns0 { option: OptionRule::Local { code, .. }, .. } = rule(words).rule else {
            panic!("{words}")
        };
        assert_eq!(code, expected, "{words}");
    };
    local("edns0 local set 65001 a", 65001);
    local("edns0 local set 0xFDE9 a", 65001);
    local("edns0 local set 017 a", 15);
    local("edns0 local append 0b11 0xabcd revert", 3);
    local("edns0 local unset 0o7", 7);
    for data in ["{qname}", "{kubernetes/namespace}", "revert revert", "\"\"", "\"a b\""] {
        local(&format!("edns0 local set 1 {data}"), 1);
    }
    let subnet =
        RewriteRule::Edns0 { action: OptionAction::Replace, option: OptionRule::Subnet { v4_bits: 24, v6_bits: 56 } };
    assert_eq!(rule("edns0 subnet replace 0x18 56").rule, subnet);
    check("edns0 nsid set revert", "stop edns0 nsid set");
    check("edns0 subnet unset", "stop edns0 subnet unset");
    refused_rule("edns0 local set 65536 a", "the code of an option");
    refused_rule("edns0 local set 09 a", "the code of an option");
    refused_rule("edns0 local set 1", "takes a code and its data");
    refused_rule("edns0 local set 1 0xabc", "pairs of hexadecimal digits");
    refused_rule(&format!("edns0 local set 1 {}", "a".repeat(513)), "at most 512 octets, not 513");
    for name in ["{foo}", "{/b}", "{a/}", "{}"] {
        refused_rule(&format!("edns0 local set 1 {name}"), "unsupported variable name");
    }
    refused_rule("edns0 subnet set 33 56", "from 0 to 32, not \"33\"");
    refused_rule("edns0 subnet set 24 129", "from 0 to 128, not \"129\"");
    refused_rule("edns0 local foo 1 a", "set, appended, replaced or unset");
    refused_rule("edns0 foo set 1 a", "there are local, nsid and subnet");
}

#[test]
fn what_cannot_be_meant_is_told() {
    warned(&block("rewrite name substring us-west eu"), "\"us-west\" is read as \"us-west.\", as in CoreDNS");
    accepted(&block("rewrite cname prefix a b"));
    warned(&block("rewrite name a b..c"), "\"b..c.\" is no domain name");
    let never = "Corefile:3: rewrite: never applies: the rule before it applies to every question";
    for always in ["cname a b", "edns0 nsid set", "edns0 local unset 1", "edns0 local set 1 {qname}"] {
        warned(&block(&format!("rewrite {always}\nrewrite name a b")), never);
        accepted(&block(&format!("rewrite continue {always}\nrewrite name a b")));
    }
    accepted(&block("rewrite edns0 local set 1 {a/b}\nrewrite edns0 subnet append 24 56\nrewrite name a b"));
}
