//! /metrics after so many queries that are known: every one is counted once, and nothing else is.

use std::collections::BTreeMap;

use hickory_proto::op::Message;
use landfall::dns::Transport;

use super::packet::{A, CH, Opt, Packet};
use super::scene::Scene;
use super::socket::{Datagrams, Stream, ask};
use crate::exposition;

const COREFILE: &str = "\
example {
  bind 127.0.0.1
  hosts /dev/null {
    192.0.2.1 web.example
  }
  prometheus 127.0.0.1:0
  ready 127.0.0.1:0
}
empty {
  bind 127.0.0.1
}
";

/// Samples of a page whose name and labels begin so, without what all of them have.
fn family(samples: &BTreeMap<String, f64>, name: &str) -> Vec<String> {
    let shared = ["server=\"dns://127.0.0.1:0\"", "view=\"\"", "family=\"1\""];
    let of = samples.iter().filter(|(sample, _)| sample.starts_with(&format!("{name}{{")));
    of.map(|(sample, value)| {
        let labels = sample[name.len() + 1..].trim_end_matches('}');
        assert!(shared[..2].iter().all(|label| labels.contains(label)), "{sample}");
        let labels: Vec<&str> = labels.split(',').filter(|label| !shared.contains(label)).collect();
        format!("{} {value}", labels.join(","))
    })
    .collect()
}

#[test]
fn a_query_without_a_reply_holds_nobody_up_and_is_counted() {
    let scene = Scene::of(&format!(
        "{}drop {{\n  bind 127.0.0.1\n  prometheus 127.0.0.1:0\n  acl {{\n    drop\n  }}\n  whoami\n}}\n",
        COREFILE.replace("  prometheus", "  view all\n  prometheus")
    ));
    for transport in [Transport::Udp, Transport::Tcp] {
        assert_eq!(ask(scene.server(), transport, &Packet::new("a.drop.", A).octets()), None);
    }
    let samples = exposition::read(&scene.process.page("/metrics").1);
    let count = |sample: &str| samples.get(sample).copied();
    let labels = "server=\"dns://127.0.0.1:0\"";
    assert_eq!(count(&format!("coredns_acl_dropped_requests_total{{{labels},view=\"\",zone=\"drop.\"}}")), Some(2.0));
    assert_eq!(
        count(&format!("coredns_dns_request_duration_seconds_count{{{labels},view=\"\",zone=\"drop.\"}}")),
        Some(2.0)
    );
    assert!(
        !samples
            .keys()
            .any(|sample| sample.starts_with("coredns_dns_responses_total") && sample.contains("zone=\"drop.\""))
    );
    let enabled = format!("coredns_plugin_enabled{{name=\"view\",{labels},view=\"all\",zone=\"example.\"}}");
    assert_eq!(count(&enabled), Some(1.0));
}

#[test]
fn every_query_is_counted_once_under_its_zone() {
    let scene = Scene::of(COREFILE);
    let before = family(&exposition::read(&scene.process.page("/metrics").1), "coredns_dns_requests_total");
    assert_eq!(before, Vec::<String>::new());
    let (client, mut stream) = (Datagrams::to(scene.server()), Stream::to(scene.server()));
    let mut sizes = BTreeMap::from([(("example.", "udp"), (0, 0)), (("dropped", "udp"), (0, 0))]);
    let mut ask = |packet: Packet, zone: &'static str, transport| {
        let octets = packet.octets();
        let reply = match transport {
            Transport::Udp => {
                client.send(&octets);
                client.next()
            }
            Transport::Tcp => {
                stream.send(&octets);
                stream.next().expect("a reply")
            }
        };
        let (asked, answered) = sizes.entry((zone, transport.as_str())).or_default();
        (*asked, *answered) = (*asked + octets.len(), *answered + reply.len());
        Message::from_vec(&reply).expect("a message")
    };
    let web = || Packet::new("web.example.", A);
    for _ in 0..3 {
        ask(web(), "example.", Transport::Udp);
    }
    ask(web().with_opt(Opt { flags: 0x8000, ..Opt::default() }), "example.", Transport::Udp);
    ask(web(), "example.", Transport::Tcp);
    ask(Packet::new("web.example.", 65280), "example.", Transport::Udp);
    ask(Packet::new("none.example.", 65), "example.", Transport::Udp);
    ask(Packet::new("a\"\\\n.test.", A), "dropped", Transport::Udp);
    ask(Packet::new("web.empty.", A), "dropped", Transport::Udp);
    ask(Packet { class: CH, ..web() }, "dropped", Transport::Udp);
    // Not counted, as in CoreDNS: FORMERR, NOTIMP and BADVERS.
    for packet in [
        Packet { counts: [2, 0, 0, 0], ..web() },
        Packet { flags: 0x2000, ..web() },
        web().with_opt(Opt { version: 1, ..Opt::default() }),
    ] {
        client.send(&packet.octets());
        client.next();
    }

    let samples = exposition::read(&scene.process.page("/metrics").1);
    let check = |name: &str, expected: &[&str]| assert_eq!(family(&samples, name), expected, "{name}");
    check(
        "coredns_dns_requests_total",
        &[
            "proto=\"tcp\",type=\"A\",zone=\"example.\" 1",
            "proto=\"udp\",type=\"A\",zone=\"dropped\" 3",
            "proto=\"udp\",type=\"A\",zone=\"example.\" 4",
            "proto=\"udp\",type=\"HTTPS\",zone=\"example.\" 1",
            "proto=\"udp\",type=\"other\",zone=\"example.\" 1",
        ],
    );
    check(
        "coredns_dns_responses_total",
        &[
            "plugin=\"\",rcode=\"REFUSED\",zone=\"dropped\" 3",
            "plugin=\"hosts\",rcode=\"NOERROR\",zone=\"example.\" 6",
            "plugin=\"hosts\",rcode=\"SERVFAIL\",zone=\"example.\" 1",
        ],
    );
    check("coredns_dns_do_requests_total", &["zone=\"example.\" 1"]);
    check("coredns_dns_request_duration_seconds_count", &["zone=\"dropped\" 3", "zone=\"example.\" 7"]);
    for ((zone, transport), (asked, answered)) in sizes {
        let labels = format!("{{proto=\"{transport}\",server=\"dns://127.0.0.1:0\",view=\"\",zone=\"{zone}\"}}");
        let sum = |family: &str| samples[&format!("coredns_dns_{family}_size_bytes_sum{labels}")];
        assert_eq!((sum("request"), sum("response")), (asked as f64, answered as f64), "{zone} {transport}");
    }
    assert_eq!(samples["coredns_panics_total"], 0.0);
}
