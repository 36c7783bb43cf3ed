//! One question, one verdict: the same over UDP and TCP, IPv4 and IPv6.

use landfall::dns::Transport;

use super::packet::{A, AAAA, CH, OPT, Opt, Packet, RD};
use super::reply::{read, verdict};
use super::scene::{CROWD, Scene, WEB};
use super::socket::ask;

/// Asserts the verdict on requests wherever they can be sent.
fn check(scene: &Scene, requests: &[(Vec<u8>, &str)]) {
    for server in scene.servers() {
        for transport in [Transport::Udp, Transport::Tcp] {
            for (request, expected) in requests {
                let reply = ask(server, transport, request);
                assert_eq!(&verdict(request, reply.as_deref()), expected, "{server} {transport:?} {request:x?}");
            }
        }
    }
}

fn web() -> Packet {
    Packet::new(WEB, A)
}

fn with_flags(flags: u16) -> Vec<u8> {
    Packet { flags, ..web() }.octets()
}

fn with_counts(counts: [u16; 4], rest: &[u8]) -> Vec<u8> {
    Packet { counts, rest: rest.to_vec(), ..web() }.octets()
}

fn with_opt(opt: Opt) -> Vec<u8> {
    web().with_opt(opt).octets()
}

fn with_option(code: u16, length: usize) -> Vec<u8> {
    with_opt(Opt { options: vec![(code, vec![7; length])], ..Opt::default() })
}

#[test]
fn an_answer_is_never_answered() {
    let scene = Scene::start();
    let answers = (0..=0x7fff).step_by(0x2f1).map(|flags| (with_flags(0x8000 | flags), "silence"));
    check(&scene, &answers.collect::<Vec<_>>());
}

#[test]
fn what_has_no_header_is_never_answered() {
    let scene = Scene::start();
    for server in scene.servers() {
        for length in 0..12 {
            let request = &web().octets()[..length];
            assert_eq!(ask(server, Transport::Udp, request), None, "{length} octets");
        }
    }
}

#[test]
fn only_queries_are_implemented() {
    let requests = (1..16).map(|op_code: u16| (with_flags(op_code << 11 | RD), "NOTIMP 0 0 0"));
    check(&Scene::start(), &requests.collect::<Vec<_>>());
}

#[test]
fn a_query_has_one_question_and_no_answers() {
    let record = [0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0];
    let requests = [
        with_counts([0, 0, 0, 0], &[]),
        with_counts([2, 0, 0, 0], &web().octets()[12..]),
        with_counts([3, 0, 0, 0], &[]),
        with_counts([65535, 0, 0, 0], &[]),
        with_counts([1, 1, 0, 0], &record),
        with_counts([1, 0, 1, 0], &record),
        with_counts([1, 0, 0, 3], &record.repeat(3)),
        with_counts([1, 0, 0, 1], &[]),
    ];
    check(&Scene::start(), &requests.map(|request| (request, "FORMERR 0 0 0")));
}

#[test]
fn flags_that_queries_do_not_have_change_nothing() {
    // AA, TC, RA, Z, AD, and a response code.
    let requests = [0x0400, 0x0200, 0x0080, 0x0040, 0x0020, 0x000f, 0x06ef];
    check(&Scene::start(), &requests.map(|flags| (with_flags(flags), "NOERROR 1 0 0")));
}

#[test]
fn checking_disabled_comes_back() {
    let scene = Scene::start();
    for flags in [0, 0x0010] {
        let reply = ask(scene.server(), Transport::Udp, &with_flags(flags)).expect("a reply");
        assert_eq!(read(&reply).metadata.checking_disabled, flags != 0);
    }
}

#[test]
fn opt_is_answered_by_opt() {
    check(
        &Scene::start(),
        &[
            (web().octets(), "NOERROR 1 0 0"),
            (with_opt(Opt::default()), "NOERROR 1 0 0 OPT"),
            (with_opt(Opt { udp_size: 0, ..Opt::default() }), "NOERROR 1 0 0 OPT"),
            (with_opt(Opt { udp_size: 65535, ..Opt::default() }), "NOERROR 1 0 0 OPT"),
            (with_opt(Opt { flags: 0x7fff, ..Opt::default() }), "NOERROR 1 0 0 OPT"),
            (with_option(100, 9), "NOERROR 1 0 0 OPT"),
            (with_option(65001, 0), "NOERROR 1 0 0 OPT"),
            // Keepalive, which has a meaning on streams alone (RFC 7828).
            (with_option(11, 0), "NOERROR 1 0 0 OPT"),
            (with_opt(Opt { options: vec![(3, Vec::new()); 300], ..Opt::default() }), "NOERROR 1 0 0 OPT"),
            (web().with_opt(Opt::default()).with_opt(Opt::default()).octets(), "FORMERR 0 0 0"),
            (with_counts([1, 0, 0, 1], &[&[1, b'x'][..], &Opt::default().octets()].concat()), "FORMERR 0 0 0"),
            (with_counts([1, 1, 0, 0], &Opt::default().octets()), "FORMERR 0 0 0"),
            (with_counts([1, 0, 0, 1], &[0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 4, 0, 3, 0, 9]), "FORMERR 0 0 0"),
        ],
    );
}

#[test]
fn what_is_echoed_of_opt_is_size_and_do() {
    let scene = Scene::start();
    for (asked, flags, size) in [(0, 0, 512), (511, 0x8000, 512), (1232, 0xffff, 1232), (65535, 0x7fff, 65535)] {
        let opt =
            Opt { udp_size: asked, flags, options: vec![(100, vec![1]), (3, vec![]), (10, vec![7; 8])], version: 0 };
        let reply = read(&ask(scene.server(), Transport::Udp, &with_opt(opt)).expect("a reply"));
        let edns = reply.edns.expect("OPT");
        assert_eq!((edns.max_payload(), edns.version()), (size, 0));
        assert_eq!((edns.flags().dnssec_ok, edns.flags().z), (flags & 0x8000 != 0, 0));
        assert!(edns.options().as_ref().is_empty(), "options of the client do not come back");
    }
}

#[test]
fn another_version_of_edns_is_badvers() {
    let requests = [(1, 0), (100, 0x8000), (255, 0xffff)];
    check(
        &Scene::start(),
        &requests.map(|(version, flags)| (with_opt(Opt { version, flags, ..Opt::default() }), "BADVERS 0 0 0 OPT")),
    );
}

#[test]
fn a_cookie_has_a_length_of_its_own() {
    let requests = (0..=41).map(|length| match length {
        8 | 16..=40 => (with_option(10, length), "NOERROR 1 0 0 OPT"),
        _ => (with_option(10, length), "FORMERR 0 0 0"),
    });
    check(&Scene::start(), &requests.collect::<Vec<_>>());
}

#[test]
fn other_classes_are_refused_but_what_chaos_knows() {
    let of_class = |class| Packet { class, ..web() }.octets();
    let mut requests: Vec<_> =
        [0, 2, CH, 4, 254, 255, 256, 65535].map(|class| (of_class(class), "REFUSED 0 0 0")).into();
    for (name, expected) in [
        ("version.bind.", "NOERROR 1 0 0"),
        ("VERSION.bind.", "NOERROR 1 0 0"),
        ("hostname.bind.", "NOERROR 1 0 0"),
        ("other.bind.", "REFUSED 0 0 0"),
        ("version.server.", "REFUSED 0 0 0"),
        (WEB, "REFUSED 0 0 0"),
    ] {
        requests.push((Packet { class: CH, ..Packet::new(name, 16) }.octets(), expected));
    }
    check(&Scene::start(), &requests);
}

#[test]
fn names_outside_every_zone_are_refused() {
    let requests = [".", "local.", "example.com.", "xcluster.local.", "cluster.local.example."];
    check(&Scene::start(), &requests.map(|name| (Packet::new(name, A).octets(), "REFUSED 0 0 0")));
}

#[test]
fn types_that_a_name_does_not_have_are_no_data() {
    // AAAA of a Service with IPv4 only is below; here MX, TXT, HTTPS, an unknown one, ANY (RFC 8482), MAILB, MAILA.
    let requests = [15, 64, 65, 257, 1234, 65280, 65534, 255, 253, 254];
    check(&Scene::start(), &requests.map(|number| (Packet::new(WEB, number).octets(), "NOERROR 0 1 0")));
    check(&Scene::start(), &[(Packet::new(CROWD, AAAA).octets(), "NOERROR 0 1 0")]);
}

#[test]
fn types_about_messages_cannot_be_asked_for() {
    // Nothing, OPT, TKEY, TSIG.
    check(&Scene::start(), &[0, OPT, 249, 250].map(|number| (Packet::new(WEB, number).octets(), "FORMERR 0 0 0")));
}

#[test]
fn zones_are_not_transferred() {
    let soa = [&[0, 0, 6, 0, 1, 0, 0, 0, 0, 0, 22][..], &[0; 22]].concat();
    let ixfr = Packet { counts: [1, 0, 1, 0], rest: soa, ..Packet::new("cluster.local.", 251) };
    check(
        &Scene::start(),
        &[
            (Packet::new("cluster.local.", 252).octets(), "REFUSED 0 0 0"),
            (Packet::new(WEB, 252).octets(), "REFUSED 0 0 0"),
            (ixfr.octets(), "REFUSED 0 0 0"),
        ],
    );
}

#[test]
fn letter_case_comes_back_and_changes_nothing() {
    let name = "wEb.sHoP.SVC.cLuStEr.LoCaL.";
    let request = Packet::new(name, A).octets();
    let scene = Scene::start();
    check(&scene, &[(request.clone(), "NOERROR 1 0 0")]);
    let reply = read(&ask(scene.server(), Transport::Udp, &request).expect("a reply"));
    assert_eq!(reply.answers[0].name.to_ascii(), name);
}

#[test]
fn any_octet_may_be_in_a_label() {
    let of_labels = |labels: &[&[u8]]| {
        let mut name: Vec<u8> = labels.iter().flat_map(|label| [&[label.len() as u8], *label].concat()).collect();
        name.extend(super::packet::octets_of("shop.svc.cluster.local."));
        Packet { name, ..Packet::new(".", A) }.octets()
    };
    let mut requests: Vec<_> = (0..=255).map(|octet| (of_labels(&[&[octet, b'-']]), "NXDOMAIN 0 1 0")).collect();
    requests.push((of_labels(&[b"*"]), "NXDOMAIN 0 1 0"));
    requests.push((of_labels(&[b"web.shop"]), "NXDOMAIN 0 1 0"));
    requests.push((of_labels(&[b"x" as &[u8]; 100]), "NXDOMAIN 0 1 0"));
    requests.push((of_labels(&[&[b'x'; 63], &[b'x'; 63], &[b'x'; 63], &[b'x'; 38]]), "NXDOMAIN 0 1 0"));
    requests.push((of_labels(&[&[b'x'; 63], &[b'x'; 63], &[b'x'; 63], &[b'x'; 39]]), "FORMERR 0 0 0"));
    requests.push((of_labels(&[&[b'x'; 64]]), "FORMERR 0 0 0"));
    check(&Scene::start(), &requests);
}

#[test]
fn a_question_has_nothing_to_point_to() {
    let names = [[0xc0, 0], [0xc0, 12], [0xc0, 13], [0xff, 0xff], [0x40, 0], [0x80, 0]];
    check(&Scene::start(), &names.map(|name| (Packet { name: name.to_vec(), ..web() }.octets(), "FORMERR 0 0 0")));
}

#[test]
fn octets_behind_the_last_record_are_passed_over() {
    let requests = [1, 100, 5000, 60000].map(|length| Packet { rest: vec![7; length], ..web() }.octets());
    check(&Scene::start(), &requests.map(|request| (request, "NOERROR 1 0 0")));
}

#[test]
fn every_cut_of_a_query_is_an_error() {
    let whole = with_option(10, 8);
    let cuts = (12..whole.len()).map(|end| (whole[..end].to_vec(), "FORMERR 0 0 0"));
    check(&Scene::start(), &cuts.collect::<Vec<_>>());
}
