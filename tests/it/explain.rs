//! `landfall explain`: what is told of a question.

use std::process::{Command, Output};

use serde_json::Value;

fn explain(arguments: &str) -> Output {
    let words = arguments.split_whitespace();
    let output = Command::new(env!("CARGO_BIN_EXE_landfall")).arg("explain").args(words).output();
    output.expect("the program runs")
}

/// What is printed of a question to the demo, and the exit code.
fn check(arguments: &str, code: i32, parts: &[&str]) {
    let output = explain(&format!("{arguments} --demo"));
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(code), "{arguments}: {text}");
    for part in parts {
        assert!(text.contains(part), "{arguments}: {part:?} is not in\n{text}");
    }
}

#[test]
fn a_service_is_named_with_its_addresses_and_slices() {
    check(
        "web.shop.svc.cluster.local",
        0,
        &[
            "server block 1 is config/demo/Corefile:4 (cluster.local. ",
            "cluster.local. is the longest zone of the name",
            "Service shop/web, cluster IP 10.96.0.80 fd00:96::80; EndpointSlice web-v4: 1 of 1 endpoints ready",
            "NOERROR, qr aa rd",
            "web.shop.svc.cluster.local. 30 IN A 10.96.0.80",
        ],
    );
}

#[test]
fn a_name_that_is_missed_is_told_the_nearest_one() {
    check("wbe.shop.svc.cluster.local AAAA", 0, &["namespace shop has no Service wbe; did you mean web?", "NXDOMAIN"]);
    check("web.shpo.svc.cluster.local", 0, &["there is no namespace shpo; did you mean shop?"]);
}

#[test]
fn look_ups_of_the_server_itself_are_indented() {
    check(
        "payments.shop.svc.cluster.local AAAA --client ::1",
        0,
        &["\n  kubernetes", "\n    dns64", "\n      server ", "translates the A records with 2001:db8:64::/96"],
    );
}

#[test]
fn a_name_of_no_server_block_is_refused() {
    check("example.net", 0, &["no server block has a zone for the name: REFUSED", "REFUSED, qr rd"]);
}

#[test]
fn json_has_the_same_for_machines() {
    let output = explain("web.shop.svc.cluster.local --demo --json");
    let value: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(value["answer"]["status"], "NOERROR");
    assert_eq!(value["answer"]["plugin"], "kubernetes");
    assert_eq!(value["question"]["name"], "web.shop.svc.cluster.local.");
    let steps = value["steps"].as_array().expect("steps");
    assert!(steps.iter().any(|step| step["plugin"] == "kubernetes" && step["depth"] == 0), "{steps:?}");
}

#[test]
fn what_cannot_be_asked_has_a_code_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let code = |arguments: &str| explain(arguments).status.code();
    let wrong = file("wrong", ".:53 {\ncahce\n}\n");
    let failing = file("failing", ".:53 {\nerrors\n}\n");
    assert_eq!(code(&format!("a.example -conf {wrong}")), Some(1));
    assert_eq!(code(&format!("a.example -conf {failing}")), Some(3));
    assert_eq!(code("a..example"), Some(2));
    assert_eq!(code("a.example NOTYPE"), Some(2));
    assert_eq!(code(&format!("a.example -conf {failing} --port 99")), Some(1));
}
