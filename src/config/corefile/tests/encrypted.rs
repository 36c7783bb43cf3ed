//! Encrypted listeners, and what tunes listeners.

use std::time::Duration;

use super::*;
use crate::config::directive::{ClientAuth, Timeouts};

const TLS: &str = "tls a.crt a.key";

fn tls_block(key: &str, lines: &str) -> String {
    format!("{key} {{\n{lines}\nwhoami\n}}\n")
}

#[test]
fn encrypted_listeners_have_ports_of_their_own() {
    for (key, port) in [("tls://.", 853), ("https://.", 443), ("quic://.", 853), ("dns://.", 53)] {
        let server = only(accepted(&tls_block(key, TLS)));
        assert_eq!(server.keys[0].scheme.port(53), port, "{key}");
    }
    accepted(&format!("{}{}{}", tls_block("tls://.", TLS), tls_block("quic://.", TLS), tls_block(".:853", "log")));
    refused(&format!("{0}{0}", tls_block("tls://.", TLS)), "already defined");
    for key in ["grpc://.", "https3://."] {
        refused(&tls_block(key, TLS), "there are listeners for dns://, tls://, https:// and quic:// only; serve ");
    }
}

#[test]
fn nothing_is_served_in_plain_text_where_it_is_to_be_encrypted() {
    warned(&tls_block("tls://. .", "log"), "Corefile:1: tls://.: nothing is served there without `tls CERT KEY`");
    let others = |bind: &str| {
        format!(
            "{}{}",
            tls_block("tls://a", "tls a.crt a.key"),
            tls_block("tls://b", &format!("tls b.crt b.key\n{bind}"))
        )
    };
    warned(&others(""), "Corefile:5: tls://b: a listener has one certificate, and this one has that of line 1");
    let bound = others("bind 127.0.0.1").replacen("whoami", "bind 127.0.0.2", 1);
    accepted(&bound);
    accepted(&format!("{}{}", tls_block("tls://a", TLS), tls_block("tls://b", TLS)));
}

#[test]
fn tls_takes_what_coredns_takes() {
    let client_auth = |words: &str| only(accepted(&block(&format!("{TLS} ca.crt {{\nclient_auth {words}\n}}")))).tls;
    for (word, expected) in [
        ("nocert", ClientAuth::Nocert),
        ("request", ClientAuth::Request),
        ("require", ClientAuth::Require),
        ("verify_if_given", ClientAuth::VerifyIfGiven),
        ("require_and_verify", ClientAuth::RequireAndVerify),
    ] {
        assert_eq!(client_auth(word).map(|tls| tls.client_auth), Some(expected));
    }
    accepted(&block(&format!("{TLS} {{\nclient_auth require\n}}")));
    refused(&block("tls a.crt"), "takes a certificate, its key");
    refused(&block("tls a b c d"), "takes a certificate, its key");
    refused(&block("tls {\nacme example.org\n}"), "acme is left out: let cert-manager");
    refused(&block(&format!("{TLS} {{\nkeylog f\n}}")), "keylog gives away");
    refused(&block(&format!("{TLS} {{\nclient-auth nocert\n}}")), "did you mean \"client_auth\"?");
    refused(&block(&format!("{TLS} ca {{\nclient_auth required\n}}")), "there are nocert, request, require, verify");
    refused(&block(&format!("{TLS} {{\nclient_auth require_and_verify\n}}")), "needs the authority of clients");
}

#[test]
fn timeouts_are_from_a_second_to_a_day() {
    let read = |lines: &str| only(accepted(&block(&format!("timeouts {{\n{lines}\n}}")))).timeouts;
    let (read_time, idle) = (Some(Duration::from_secs(3)), Some(Duration::from_secs(60)));
    let timeouts = Timeouts { read: read_time, write: None, idle, maxtcpqueries: Some(7) };
    assert_eq!(read("read 3\nidle 1m\nmaxtcpqueries 7"), Some(timeouts));
    assert_eq!(read("maxtcpqueries -1"), Some(Timeouts::default()));
    for (lines, part) in [
        ("read 0s", "read is from 1s to 24h, not 0s"),
        ("write 25h", "write is from 1s to 24h"),
        ("idle", "idle takes a duration"),
        ("raed 1s", "did you mean \"read\"?"),
        ("maxtcpqueries -2", "maxtcpqueries"),
        ("", "is empty"),
    ] {
        let told = errors(&block(&format!("timeouts {{\n{lines}\n}}")));
        assert!(told[0].contains(part), "{told:?}");
    }
    refused(&block("timeouts 3s"), "takes its values in a block");
}

#[test]
fn multisocket_is_a_number_of_sockets() {
    let sockets = |line: &str| only(accepted(&block(line))).multisocket;
    assert_eq!((sockets("multisocket"), sockets("multisocket 1024")), (Some(0), Some(1024)));
    for line in ["multisocket 0", "multisocket 1025", "multisocket two"] {
        refused(&block(line), "the number of sockets");
    }
    refused(&block("multisocket 1 2"), "takes one number");
}

#[test]
fn what_tunes_listeners_elsewhere_is_refused_by_name() {
    for line in
        ["https {\nmax_connections 200\n}", "quic {\nmax_streams 9\n}", "grpc_server {\nmax_streams 9\n}", "https3"]
    {
        refused(&block(line), "this server leaves it out");
    }
}
