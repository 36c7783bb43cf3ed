//! A strict reader of Prometheus's text format: what it does not take, a scraper may not take either.

use std::collections::{BTreeMap, BTreeSet};

/// The samples of a page by `name{label="value",...}`. Panics at whatever is not as the format says.
pub fn read(page: &str) -> BTreeMap<String, f64> {
    assert!(page.ends_with('\n'), "the last line has no end");
    let (mut samples, mut families) = (BTreeMap::new(), BTreeSet::new());
    let (mut family, mut kind) = ("", "");
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').expect("a help text");
            assert!(is_name(name) && !text.is_empty() && families.insert(name), "{line}");
            (family, kind) = (name, "");
        } else if let Some(of) = line.strip_prefix("# TYPE ") {
            let (name, of) = of.split_once(' ').expect("a type");
            assert!(name == family && kind.is_empty(), "{line}");
            assert!(["counter", "gauge", "histogram"].contains(&of), "{line}");
            kind = of;
        } else {
            let (sample, value) = line.rsplit_once(' ').expect("a value");
            let name = sample.split('{').next().expect("a name");
            let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(suffixes.iter().any(|suffix| name.strip_suffix(suffix) == Some(family)), "{line} is of no family");
            check_labels(&sample[name.len()..]);
            let value = value.parse::<f64>().expect("a number");
            assert!(kind == "gauge" || value >= 0.0, "{line}");
            assert!(samples.insert(sample.to_owned(), value).is_none(), "{line} is there twice");
        }
    }
    check_buckets(page, &samples);
    samples
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Reads `{name="value",...}`, or nothing. A value has `\\`, `\"` and `\n` for what it cannot hold.
fn check_labels(labels: &str) {
    let Some(mut rest) = labels.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return assert_eq!(labels, "");
    };
    let mut names = BTreeSet::new();
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").expect("a label");
        assert!(is_name(name) && names.insert(name), "{labels}");
        let mut octets = value.char_indices();
        let end = loop {
            match octets.next().expect("the end of a value") {
                (at, '"') => break at,
                (_, '\\') => assert!(matches!(octets.next(), Some((_, '\\' | '"' | 'n'))), "{labels}"),
                _ => {}
            }
        };
        let behind = &value[end + 1..];
        rest = behind.strip_prefix(',').unwrap_or(behind);
        assert!(behind.is_empty() || behind.len() > rest.len(), "{labels}");
    }
}

/// Buckets hold ever more, and the last one all.
fn check_buckets(page: &str, samples: &BTreeMap<String, f64>) {
    let mut before = 0.0;
    for line in page.lines().filter(|line| line.contains("_bucket{")) {
        let (sample, value) = line.rsplit_once(' ').expect("a value");
        let value: f64 = value.parse().expect("a number");
        assert!(value >= before, "{line}");
        before = value;
        if let Some(labels) = sample.strip_suffix("le=\"+Inf\"}") {
            let labels = labels.replace("_bucket{", "_count{");
            let labels = labels.strip_suffix(',').map_or(labels.replace('{', ""), |labels| format!("{labels}}}"));
            assert_eq!(samples.get(&labels), Some(&value), "{line}");
            before = 0.0;
        }
    }
}
