//! What expressions mean, and which are refused with which words.

use super::*;
use crate::dns::{Edns, Metadata, Transport, parse_name};

/// `www.Example.org. A` from 10.1.2.3 over UDP, with DO.
fn query() -> Query {
    let metadata = Metadata::wanted();
    metadata.tell("kubernetes/client-namespace", || "shop".to_owned());
    Query {
        id: 7,
        edns: Some(Edns { udp_size: 1232, dnssec_ok: true, options: Vec::new() }),
        client: "[::ffff:10.1.2.3]:4000".parse().unwrap(),
        local: "[2001:db8::53]:53".parse().unwrap(),
        size_bytes: 45,
        metadata,
        ..Query::of_our_own(parse_name("www.Example.org.").unwrap(), crate::dns::RecordType::A)
    }
}

fn check(text: &str, expected: bool) {
    let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(expression.holds(&query()), expected, "{text}");
}

fn refused(text: &str, part: &str, at: usize) {
    let error = Expression::parse(text).expect_err(text);
    assert!(error.what.contains(part) && error.at == at, "{text}: {error}");
}

#[test]
fn functions_tell_of_the_query() {
    for text in [
        "type() == 'A'",
        "name() == 'www.example.org.'",
        "class() == 'IN'",
        "proto() == 'udp'",
        "size() == 45",
        "client_ip() == '10.1.2.3'",
        "port() == '4000'",
        "id() == 7",
        "opcode() == 0",
        "do()",
        "bufsize() == 1232",
        "server_ip() == '2001:db8::53'",
        "server_port() == '53'",
        "metadata('kubernetes/client-namespace') == 'shop'",
        "metadata('no/label') == ''",
        "len(name()) == 16",
        "upper(type()) == lower('A') || upper(name()) == 'WWW.EXAMPLE.ORG.'",
    ] {
        check(text, true);
    }
    let over_tcp = Query { transport: Transport::Tcp, edns: None, ..query() };
    assert!(Expression::parse("bufsize() == 65535 && !do() && proto() == 'tcp'").unwrap().holds(&over_tcp));
}

#[test]
fn an_address_is_in_a_prefix() {
    check("incidr(client_ip(), '10.0.0.0/8')", true);
    check("incidr(client_ip(), '10.9.9.9/8')", true);
    check("incidr(client_ip(), '192.168.0.0/16')", false);
    check("incidr(client_ip(), '::/0')", false);
    check("incidr(server_ip(), '2001:db8::/32')", true);
    check("incidr('192.0.2.1', '192.0.2.0/24')", true);
    check("incidr('', '192.0.2.0/24')", false);
    check("!incidr('', '192.0.2.0/24')", false);
    check("incidr(client_ip(), metadata('no/label'))", false);
}

#[test]
fn operators_bind_as_in_expr_lang() {
    check("true || false && false", true);
    check("(true || false) && false", false);
    check("!(true and false) or false", true);
    check("not true == false", true);
    check("!!true && not not true", true);
    check("1 + 2 * 3 == 7 && (1 + 2) * 3 == 9", true);
    check("-1 + 2 == 1 && 7 - 2 - 1 == 4 && id() % 2 == 1", true);
    check("1 < 2 == true", true);
    check("'a' < 'b' && 'b' >= 'b' && 2 <= 2 && 3 > 2", true);
    check("type() == 'A' ? do() : false", true);
    check("false ? true : true ? false : true", false);
    check("(do() ? 'x' : 'y') == 'x'", true);
}

#[test]
fn texts_and_lists_are_searched() {
    check("type() in ['A', 'AAAA',]", true);
    check("type() not in ['A', 'AAAA']", false);
    check("type() in ['AAAA', 1]", false);
    check("type() in []", false);
    check("id() in 1..7 && id() not in 8..9 && 0 not in 1..0", true);
    check("name() matches '^www\\\\..*\\\\.org\\\\.$'", true);
    check(r"name() matches `^www\.[a-z]+\.org\.$`", true);
    check("name() not matches 'net'", true);
    check("name() contains 'example' and name() startsWith 'www.' and name() endsWith \".org.\"", true);
    check("name() not endsWith '.net.' && name() not startsWith 'a' && name() not contains 'x.y'", true);
}

#[test]
fn numbers_and_texts_are_written_as_in_expr_lang() {
    check("0x10 == 16 && 1_000 == 1000", true);
    check(r"'\'\x41\u0042\t' == `'AB	`", true);
    check("9223372036854775807 + 1 < 0", true);
}

/// In a scope with the variables `ip` and `n`, for a name of which the first group, `ip`, matched `10-1-2-3`.
#[track_caller]
fn check_in_scope(text: &str, expected: Option<Value<'_>>) {
    let variables = vec![("ip".to_owned(), Kind::Text), ("n".to_owned(), Kind::Number)];
    let expression = Expression::parse_in(text, &Scope { has_groups: true, variables }).expect(text);
    let (query, groups) = (query(), [(None, "10-1-2-3.example."), (Some("ip"), "10-1-2-3")]);
    let variables = vec![Value::Text("10.1.2.3".into()), Value::Number(7)];
    assert_eq!(expression.value(&Scene { query: &query, groups: &groups, variables, item: None }), expected, "{text}");
}

#[test]
fn groups_variables_and_lists_are_known_where_they_are() {
    let truth = |truth| Some(Value::Truth(truth));
    check_in_scope("group('ip') == group(1) && group(0) endsWith '.example.' && group('no') == group(9)", truth(true));
    check_in_scope("replace(group('ip'), '-', '.')", Some(Value::Text("10.1.2.3".into())));
    check_in_scope("any(['10.0.0.0/8', '172.16.0.0/12'], incidr(ip, #))", truth(true));
    check_in_scope("any(['192.168.0.0/16'], incidr(ip, #)) || all([1, 2], # > 1) || none([1, 2], # > 1)", truth(false));
    check_in_scope("none([], false) && all([], false) && !any([], true) && all([7, 8], # >= n)", truth(true));
    check_in_scope("int(replace(ip, '.', '')) + n", Some(Value::Number(10130)));
    check_in_scope("int(ip)", None);
    let doubled = (0..20).fold("'aa'".to_owned(), |text, _| format!("replace({text}, 'a', 'aa')"));
    check_in_scope(&doubled, None);
    refused("group(1) == ''", "in template only", 1);
    refused("ip == ''", "unknown name \"ip\"", 1);
    refused("# == 1", "# is an item", 1);
    refused("any([1], any([2], # == 1))", "in a condition of another list", 14);
    refused("any(1..5, # == 1)", "a list of texts or of numbers", 5);
    refused("any([1, 'a'], # == 1)", "a list of texts or of numbers", 5);
    refused("any([1], #)", "true or false", 5);
    refused(&format!("any([{}], {})", "1,".repeat(200), "# == 1 || ".repeat(30) + "true"), "not too long", 5);
    let scope = Scope { has_groups: true, variables: vec![("ip".to_owned(), Kind::Text)] };
    for (name, is_taken) in [
        ("x_1", true),
        ("ip", false),
        ("len", false),
        ("true", false),
        ("in", false),
        ("1a", false),
        ("", false),
        ("a-b", false),
    ] {
        assert_eq!(scope.takes(name), is_taken, "{name}");
    }
}

#[test]
fn what_cannot_be_said_is_false() {
    check("1 % 0 == 0", false);
    check("1 % 0 == 0 || true", false);
    check("true || 1 % 0 == 0", true);
    for (text, is_condition) in [("1", false), ("name()", false), ("[1]", false), ("do()", true)] {
        let expression = Expression::parse(text).unwrap();
        assert_eq!(expression.is_condition(), is_condition, "{text}");
        assert!(is_condition || !expression.holds(&query()), "{text}");
    }
}

#[test]
fn a_mistake_is_told_with_its_place() {
    refused("client_ipp() == '1'", "unknown name \"client_ipp\"; did you mean client_ip()?", 1);
    refused("name() == www_example", "a text stands in single quotes, and the functions are all, any, ", 11);
    refused("client_ip == '10.0.0.1'", "write client_ip()", 1);
    refused("type() == 1", "cannot take a text and a number", 8);
    refused("type() in 'A'", "cannot take a text and a text", 8);
    refused("true && 1", "cannot take a truth value and a number", 6);
    refused("not type() == 'A'", "not takes a truth value", 1);
    refused("1 ? true : false", "? takes a truth value", 5);
    refused("do() ? 1 : 'a'", "two of one kind", 8);
    refused("incidr(client_ip())", "incidr() takes two texts", 1);
    refused("do() && incidr(client_ip(), 5)", "incidr() takes two texts", 9);
    refused("type('A')", "type() takes nothing", 1);
    refused("metadata(1) == ''", "metadata() takes one text", 1);
    refused("incidr(client_ip(), '10.0.0.0/33')", "\"10.0.0.0/33\" is no prefix", 1);
    refused("metadata('geoip/country/code') == 'DE'", "geoip", 1);
    refused("name() matches '('", "could not parse regex \"(\"", 8);
    refused(r"name() matches '^abc\..*'", "no such escape", 22);
    refused("name() matches metadata('x')", "a pattern in quotes", 8);
    refused("name() == 'x", "does not end", 11);
    refused("1.5 > 1", "a whole one", 1);
    refused("size() / 2 > 1", "'/' has no meaning", 8);
    refused("true true", "an operator, or the end is expected, not \"true\"", 6);
    refused("(true", "\")\" is expected, not the end", 6);
    refused("type() in ['A' 'B']", "\"]\" is expected, not 'B'", 16);
    refused("", "a value is expected, not the end", 1);
}

#[test]
fn an_expression_is_bounded() {
    refused(&"(".repeat(10_000), "nested more than 40 deep", 41);
    refused(&"!".repeat(10_000), "nested more than 40 deep", 41);
    refused(&format!("1{} == 1", "+1".repeat(100)), "nested more than 40 deep", 82);
    refused(&" ".repeat(LENGTH_MAX + 1), "at most 16384", 1);
    refused("name() matches '(a{1000}){1000}'", "it repeats something more than", 8);
    assert!(Expression::parse("name() matches 'a{100}' || name() matches 'b{100}'").unwrap().states >= 200);
    let long = vec!["incidr(client_ip(), '192.168.0.0/16')"; 400].join("||");
    check(&long, false);
}

proptest::proptest! {
    #[test]
    fn no_text_panics_or_takes_long(text in "[a-z()\\[\\]'\"`<>=!&|.,?:+*% 0-9-]{0,200}") {
        let _ = Expression::parse(&text);
    }
}
