//! What templates make, which are refused with which words, and what bounds them.

use serde::Deserialize;

use super::*;
use crate::dns::{Metadata, RecordType, parse_name};

/// The query `A.example. A` with id 7, from 10.1.2.3, of a Pod in the namespace shop.
fn query() -> Query {
    let metadata = Metadata::wanted();
    metadata.tell("kubernetes/client-namespace", || "shop".to_owned());
    let query = Query::of_our_own(parse_name("A.example.").unwrap(), RecordType::A);
    Query { id: 7, metadata, client: "10.1.2.3:5353".parse().unwrap(), ..query }
}

fn made(template: &Template) -> Result<String, Failure> {
    let variables = [("n", Value::Int(5)), ("s", Value::from("text")), ("b", Value::Truth(true))];
    template.text(&Facts {
        query: &query(),
        zone: "example.",
        name: "a.example.",
        class: "IN",
        record_type: "A",
        regex: "(a)[.](?P<x>.*)",
        groups: &[(None, "a.example."), (None, "a"), (Some("x"), "ff")],
        variables: &variables,
    })
}

/// What Go itself made of a template.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    template: String,
    text: Option<String>,
    #[serde(default)]
    refused: bool,
    #[serde(default)]
    fails: bool,
    /// If it is another than the template.
    canonical: Option<String>,
}

#[test]
fn templates_make_what_go_makes_of_them() {
    for line in include_str!("../../../tests/golden/go_templates.jsonl").lines() {
        let golden: Golden = serde_json::from_str(line).unwrap();
        let template = Template::parse(&golden.template);
        assert_eq!(template.is_err(), golden.refused, "{}: {template:?}", golden.template);
        let Ok(template) = template else { continue };
        assert_eq!(template.canonical, *golden.canonical.as_ref().unwrap_or(&golden.template));
        let text = made(&template);
        assert_eq!(text.is_err(), golden.fails, "{}: {text:?}", golden.template);
        assert_eq!(text.ok(), golden.text, "{}", golden.template);
    }
}

#[track_caller]
fn refused(text: &str, part: &str, at: usize) {
    let error = Template::parse(text).expect_err(text);
    assert!(error.what.contains(part) && error.at == at, "{text}: {error}");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    refused("{{ .Name", "'{{' is not closed", 1);
    refused("a {{ parsInt .Name 10 8 }}", "did you mean parseInt?", 6);
    refused("{{ call .Name }}", "there is no function \"call\"", 4);
    refused("{{ $x }}", "undefined variable \"$x\"", 4);
    refused("{{ if .Name }}x", "{{end}} is expected, not the end", 16);
    refused("{{ end }}", "there is no block that this belongs to", 10);
    refused("{{ \"a }}", "the text that begins here does not end", 4);
    refused("{{ .Name 'ab' }}", "one character stands in single quotes", 10);
    refused("{{ (len .Name }}", "\")\" is expected, not '}}'", 15);
    refused("{{ break }}", "break stands in a range only", 10);
    refused("{{ 1i }}", "no number: 1i", 4);
}

#[track_caller]
fn fails(text: &str, message: &str) {
    let template = Template::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(made(&template).expect_err(text).to_string(), message);
}

#[test]
fn what_fails_names_the_part() {
    fails("x{{ index .Match 9 }}", "place 9 is out of range, in {{index .Match 9}}");
    fails("{{ .Grup.d }}", "there is no field Grup in *template.templateData, in {{.Grup.d}}");
    fails("{{ parseInt .Group.x 10 8 }}", "parseInt: \"ff\" is no number of base 10, in {{parseInt .Group.x 10 8}}");
    fails("{{ . }}", "*template.templateData cannot be printed as a whole; name a field of it, in {{.}}");
    fails("{{ .Meta }}", "Meta takes one text, the label, in {{.Meta}}");
}

#[test]
fn nothing_a_template_says_takes_long_or_much() {
    let fails = |text: &str| drop(made(&Template::parse(text).expect(text)).expect_err(text));
    fails("{{ range 1000000000000 }}{{ end }}");
    fails("{{ range 1000 }}{{ range 1000 }}{{ end }}{{ end }}");
    fails("{{ define `a` }}{{ template `a` }}{{ end }}{{ template `a` }}");
    fails("{{ printf `%1000000000d` 1 }}");
    fails("{{ printf `%.1000000000d` 1 }}");
    fails("{{ printf `%.65536d` 1 }}");
    fails("{{ printf `%65536.2f` 1.5 }}");
    fails(&format!("{{{{ range 49000 }}}}{{{{ if parseInt `{:0>60000}` 10 64 }}}}x{{{{ end }}}}{{{{ end }}}}", 1));
    fails("{{ range 100 }}{{ printf `%60000d` 1 }}{{ end }}");
    fails("{{ $s := printf `%1000d` 1 }}{{ range 1000 }}{{ $t := $s }}{{ end }}");
    fails("{{ range 30000 }}{{ $t := $.Group }}{{ end }}");
    let variables = |count| (0..count).map(|number| format!("{{{{ $v{number} := 1 }}}}")).collect::<String>();
    assert!(Template::parse(&variables(100)).is_ok() && Template::parse(&variables(101)).is_err());
    fails("{{ $s := `x` }}{{ range 100 }}{{ $s = print $s $s }}{{ end }}");
    let doubling: String = (0..60)
        .map(|depth| {
            format!("{{{{ define `{depth}` }}}}{0}{0}{{{{ end }}}}", format!("{{{{ template `{}` }}}}", depth + 1))
        })
        .collect();
    fails(&format!("{doubling}{{{{ define `60` }}}}{{{{ end }}}}{{{{ template `0` }}}}"));
    for depth in [40, 41, 10_000] {
        let brackets = format!("{{{{ {}1{} }}}}", "(".repeat(depth), ")".repeat(depth));
        let blocks = "{{ if 1 }}".repeat(depth) + &"{{ end }}".repeat(depth);
        assert_eq!(Template::parse(&brackets).is_err(), depth > 40);
        assert_eq!(Template::parse(&blocks).is_err(), depth > 40);
        let chain = "{{ if 0 }}".to_owned() + &"{{ else if 0 }}".repeat(depth.min(4000)) + "{{ end }}";
        assert_eq!(made(&Template::parse(&chain).unwrap()).unwrap(), "");
    }
    assert!(Template::parse(&"x".repeat(LENGTH_MAX + 1)).is_err());
}
