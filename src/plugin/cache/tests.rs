//! The rules of the cache, from outside.

use super::testing::{Bench, WWW, a, cname, code, nodata, nx, query, relayed, soa, told, www};
use super::*;
use crate::dns::Edns;

#[test]
fn an_answer_has_one_ttl_from_the_first_client_on() {
    let mut bench = Bench::new("cache 30");
    let answer = relayed(vec![cname(WWW, 300, "x.example."), a("x.example.", 20, 1)]);
    assert_eq!(told(&bench.put(WWW, answer)), "NOERROR 20 20");
    bench.wait(7);
    assert_eq!(bench.www(), "NOERROR 13 13");
    bench.wait(12);
    assert_eq!(bench.www(), "NOERROR 1 1");
    bench.wait(1);
    assert_eq!(bench.www(), "-");
}

#[test]
fn keepttl_keeps_the_ttl() {
    let mut bench = Bench::new("cache 30 {\n keepttl\n}");
    bench.put(WWW, www(20));
    bench.wait(19);
    assert_eq!(bench.www(), "NOERROR 20");
    bench.wait(1);
    assert_eq!(bench.www(), "-");
}

#[test]
fn flags_come_back_as_they_were_stored() {
    for (authoritative, available) in [(false, true), (true, false)] {
        let bench = Bench::new("cache");
        bench.put(WWW, www(60).with_authoritative(authoritative).with_recursion_available(available));
        let hit = bench.get(WWW).expect("a hit");
        assert_eq!((hit.is_authoritative(), hit.is_recursion_available()), (authoritative, available));
        assert_eq!(hit.source(), "forward");
    }
}

#[test]
fn what_is_stored_for_which_directive() {
    let check = |directive: &str, answer: Answer, first: &str, second: &str| {
        let bench = Bench::new(directive);
        assert_eq!(told(&bench.put(WWW, answer)), first, "{directive}");
        assert_eq!(bench.www(), second, "{directive}");
    };
    check("cache", www(7200), "NOERROR 3600", "NOERROR 3600");
    check("cache", www(0), "NOERROR 5", "NOERROR 5");
    check("cache {\n success 1024 60 0\n}", www(0), "NOERROR 0", "-");
    check("cache", nx(soa(7200, 7200)), "NXDOMAIN 1800", "NXDOMAIN 1800");
    check("cache", nodata(soa(7200, 60)), "NOERROR 60", "NOERROR 60");
    check("cache", code(ResponseCode::ServFail), "SERVFAIL", "SERVFAIL");
    check("cache {\n servfail 0\n}", code(ResponseCode::ServFail), "SERVFAIL", "-");
    check("cache", Answer::serv_fail("nobody answered"), "SERVFAIL", "-");
    check("cache", code(ResponseCode::Refused), "REFUSED", "-");
    check("cache example", www(7200), "NOERROR 3600", "NOERROR 3600");
    check("cache 3600s", www(7200), "NOERROR 7200", "-");
    check("cache {\n disable success\n}", www(7200), "NOERROR 7200", "-");
    check("cache {\n disable success example\n}", www(7200), "NOERROR 7200", "-");
    check("cache {\n disable success net\n}", www(7200), "NOERROR 3600", "NOERROR 3600");
    check("cache {\n disable denial example\n}", www(7200), "NOERROR 3600", "NOERROR 3600");
    check("cache {\n disable denial example\n}", nx(soa(7200, 7200)), "NXDOMAIN 7200", "-");
    check("cache {\n disable denial example\n}", code(ResponseCode::ServFail), "SERVFAIL", "-");
    check("cache {\n disable success example\n}", nx(soa(7200, 7200)), "NXDOMAIN 1800", "NXDOMAIN 1800");
}

#[test]
fn answers_of_this_server_get_its_ttls_and_are_not_stored() {
    let check = |directive: &str, answer: &Answer, first: &str| {
        let bench = Bench::new(directive);
        let given = bench.cache.limit(&query(WWW, RecordType::A), answer.clone());
        assert_eq!((told(&given).as_str(), bench.www().as_str()), (first, "-"), "{directive}");
    };
    check("cache 30", &www(28_800), "NOERROR 30");
    check("cache 30", &www(3), "NOERROR 5");
    check("cache 30", &nx(soa(3, 3)), "NXDOMAIN 5");
    check("cache 30 {\n disable success example\n}", &www(28_800), "NOERROR 28800");
    check("cache 30 net", &www(28_800), "NOERROR 28800");
}

#[test]
fn an_answer_that_is_too_large_is_passed_on_only() {
    let bench = Bench::new("cache");
    let many = |count: usize| relayed((0..count).map(|host| a(WWW, 60, host as u8)).collect());
    assert_eq!(bench.put(WWW, many(3000)).answers.len(), 3000);
    assert_eq!(bench.www(), "-");
    bench.put(WWW, many(60));
    assert_eq!(bench.get(WWW).map(|answer| answer.answers.len()), Some(60));
    assert!(bench.metric("coredns_cache_drops_total{server=\"dns://:53\",view=\"\",zones=\".\"} 1"));
}

#[test]
fn questions_that_differ_have_their_own_answers() {
    let same = query(WWW, RecordType::A);
    let edns = |dnssec_ok| Some(Edns { udp_size: 1232, dnssec_ok, options: vec![] });
    let check = |asked: &Query, is_hit: bool| {
        let bench = Bench::new("cache");
        bench.put(WWW, www(60));
        assert_eq!(bench.cache.get(asked, bench.now).is_some(), is_hit, "{asked:?}");
    };
    check(&same, true);
    check(&query("WwW.eXample.", RecordType::A), true);
    check(&Query { edns: edns(false), ..same.clone() }, true);
    check(&Query { recursion_desired: false, ..same.clone() }, true);
    check(&Query { client: "[::1]:9".parse().expect("an address"), ..same.clone() }, true);
    check(&Query { transport: crate::dns::Transport::Tcp, ..same.clone() }, true);
    check(&Query { edns: edns(true), ..same.clone() }, false);
    check(&Query { checking_disabled: true, ..same.clone() }, false);
    check(&Query { class: Class::CH, ..same.clone() }, false);
    check(&query(WWW, RecordType::AAAA), false);
    check(&query("ww.example.", RecordType::A), false);
    check(&query("x.www.example.", RecordType::A), false);
}

#[test]
fn other_classes_and_transfers_pass_by() {
    let bench = Bench::new("cache");
    for asked in [Query { class: Class::CH, ..query(WWW, RecordType::A) }, query(WWW, RecordType::AXFR)] {
        assert_eq!(told(&bench.cache.put(&asked, www(7200), bench.now)), "NOERROR 7200");
        assert!(bench.cache.get(&asked, bench.now).is_none());
    }
}

#[test]
fn the_newest_answer_is_the_only_one() {
    let bench = Bench::new("cache");
    bench.put(WWW, nx(soa(60, 60)));
    bench.put(WWW, www(60));
    assert_eq!(bench.www(), "NOERROR 60");
    bench.put(WWW, nx(soa(60, 60)));
    assert_eq!(bench.www(), "NXDOMAIN 60");
}

#[test]
fn a_name_that_does_not_exist_has_no_type() {
    let aaaa = query(WWW, RecordType::AAAA);
    let shown = |bench: &Bench, asked: &Query| {
        bench.cache.get(asked, bench.now).map_or_else(|| "-".to_owned(), |answer| told(&answer))
    };
    let bench = Bench::new("cache");
    bench.put(WWW, nx(soa(60, 60)));
    assert_eq!([bench.www(), shown(&bench, &aaaa)], ["NXDOMAIN 60"; 2]);
    let others = [
        Query { checking_disabled: true, ..aaaa.clone() },
        Query { edns: Some(Edns { udp_size: 1232, dnssec_ok: true, options: vec![] }), ..aaaa.clone() },
        Query { upstream_options: vec![(65_001, vec![1])], ..aaaa.clone() },
        query("x.www.example.", RecordType::A),
        query("example.", RecordType::A),
    ];
    others.iter().for_each(|asked| assert_eq!(shown(&bench, asked), "-", "{asked:?}"));
    for that_there_is in [www(60), nodata(soa(60, 60)), nx(soa(60, 60)).with_answers(vec![cname(WWW, 60, "x.net.")])] {
        let bench = Bench::new("cache");
        bench.cache.put(&aaaa, nx(soa(60, 60)), bench.now);
        assert_eq!([bench.www(), shown(&bench, &aaaa)], ["NXDOMAIN 60"; 2]);
        bench.put(WWW, that_there_is.clone());
        assert_eq!([bench.www(), shown(&bench, &aaaa)], [told(&that_there_is), "-".to_owned()]);
    }
}

/// Some servers say NXDOMAIN where they have no AAAA (RFC 4074 section 4.2).
#[test]
fn a_denial_that_addresses_contradict_is_of_its_type_alone() {
    let mut bench = Bench::new("cache");
    let ask = |bench: &Bench, record_type| bench.cache.get(&query(WWW, record_type), bench.now).map(|hit| told(&hit));
    let deny = |bench: &Bench, record_type| _ = bench.cache.put(&query(WWW, record_type), nx(soa(600, 600)), bench.now);
    let denied = Some("NXDOMAIN 600".to_owned());
    deny(&bench, RecordType::AAAA);
    assert_eq!(ask(&bench, RecordType::A), denied, "nothing else is known");
    bench.put(WWW, www(60));
    assert_eq!(ask(&bench, RecordType::AAAA), None, "a new address ends it");
    deny(&bench, RecordType::AAAA);
    assert_eq!(bench.www(), "NOERROR 60");
    bench.wait(60);
    assert_eq!(ask(&bench, RecordType::A), None, "the address is asked for again");
    assert_eq!(ask(&bench, RecordType::AAAA), Some("NXDOMAIN 540".to_owned()));
    deny(&bench, RecordType::A);
    assert_eq!(ask(&bench, RecordType::MX), denied, "now the name is gone");
}

#[test]
fn failures_from_before_a_server_came_back_count_no_more() {
    let mut bench = Bench::new("cache {\n serve_stale 1h verify 0s 0s\n}");
    bench.put("fails.example.", code(ResponseCode::ServFail));
    bench.put(WWW, www(60));
    bench.wait(60);
    bench.put("fails.example.", code(ResponseCode::ServFail));
    bench.put(WWW, code(ResponseCode::ServFail));
    assert_eq!(bench.get("fails.example.").map(|answer| told(&answer)).as_deref(), Some("SERVFAIL"));
    assert_eq!(bench.www(), "NOERROR 0 error 3");
    bench.now.epoch += 1;
    assert!(bench.get("fails.example.").is_none());
    assert_eq!(bench.www(), "-", "the source is asked first");
}

#[test]
fn a_failure_yields_to_what_was_known_before() {
    for known in [www(60), nx(soa(60, 60))] {
        let mut bench = Bench::new("cache {\n serve_stale 1h immediate 0s\n}");
        let fresh = told(&bench.put(WWW, known));
        assert_eq!(told(&bench.put(WWW, code(ResponseCode::ServFail))), fresh);
        assert_eq!(bench.www(), fresh);
        bench.wait(58);
        bench.put(WWW, code(ResponseCode::ServFail));
        bench.wait(2);
        assert!(bench.www().contains("0 error"));
        assert_eq!(bench.waiting(), 0, "the source was asked just now");
        bench.wait(3);
        assert!(bench.www().contains("0 error"));
        assert_eq!(bench.waiting(), 1);
    }
}

#[test]
fn immediate_serves_what_has_ended_and_asks_once() {
    let mut bench = Bench::new("cache {\n serve_stale 10m immediate 0s\n}");
    bench.put(WWW, www(60));
    bench.put("no.example.", nx(soa(60, 60)));
    bench.wait(60);
    assert_eq!([bench.www(), bench.www()], ["NOERROR 0 error 3"; 2]);
    assert_eq!(bench.waiting(), 1);
    assert_eq!(bench.get("no.example.").map(|answer| told(&answer)).as_deref(), Some("NXDOMAIN 0 error 19"));
    assert_eq!(bench.waiting(), 2);
    bench.renew(Answer::serv_fail("nobody answered"));
    assert_eq!(bench.www(), "NOERROR 0 error 3");
    assert_eq!(bench.waiting(), 2, "the source has just failed");
    bench.wait(5);
    assert_eq!(bench.www(), "NOERROR 0 error 3");
    assert_eq!(bench.waiting(), 3);
    bench.renew(www(60));
    assert_eq!(bench.www(), "NOERROR 60");
    bench.wait(660);
    assert_eq!(bench.www(), "-");
    assert!(bench.metric("coredns_cache_served_stale_total{server=\"dns://:53\",view=\"\",zones=\".\"} 5"));
    assert!(bench.metric("coredns_cache_prefetch_total{server=\"dns://:53\",view=\"\",zones=\".\"} 3"));
}

#[test]
fn what_is_asked_again_and_never_answered_is_asked_once_more() {
    let mut bench = Bench::new("cache {\n serve_stale 10m immediate 0s\n}");
    bench.put(WWW, www(60));
    bench.wait(60);
    bench.www();
    bench.wait(9);
    bench.www();
    assert_eq!(bench.waiting(), 1);
    bench.wait(1);
    bench.www();
    assert_eq!(bench.waiting(), 2);
}

#[test]
fn verify_asks_first_and_serves_what_has_ended_instead_of_a_failure() {
    for failure in [Answer::serv_fail("nobody answered"), code(ResponseCode::Refused), code(ResponseCode::ServFail)] {
        let mut bench = Bench::new("cache {\n serve_stale 10m verify 0s 0s\n}");
        bench.put(WWW, www(60));
        bench.wait(60);
        assert_eq!(bench.www(), "-");
        assert_eq!(told(&bench.put(WWW, failure.clone())), "NOERROR 0 error 3");
        assert_eq!(bench.www(), "NOERROR 0 error 3", "the source has just failed");
        bench.wait(5);
        assert_eq!(bench.www(), "-");
        assert_eq!(bench.waiting(), 0);
        assert_eq!(told(&bench.put(WWW, nx(soa(60, 60)))), "NXDOMAIN 60");
        bench.wait(660);
        assert_eq!(told(&bench.put(WWW, failure.clone())), told(&failure));
    }
}

#[test]
fn nothing_is_served_after_its_end_without_serve_stale() {
    let mut bench = Bench::new("cache");
    bench.put(WWW, www(60));
    bench.wait(60);
    assert_eq!(bench.www(), "-");
    assert_eq!(told(&bench.put(WWW, code(ResponseCode::ServFail))), "SERVFAIL");
    assert_eq!(bench.www(), "SERVFAIL");
}

#[test]
fn a_popular_answer_is_asked_for_before_its_end() {
    let mut bench = Bench::new("cache {\n prefetch 2 1m 10%\n}");
    bench.put(WWW, www(60));
    bench.wait(53);
    assert_eq!([bench.www(), bench.www()], ["NOERROR 7", "NOERROR 7"]);
    assert_eq!(bench.waiting(), 0, "its end is far");
    bench.wait(1);
    assert_eq!([bench.www(), bench.www()], ["NOERROR 6", "NOERROR 6"]);
    assert_eq!(bench.waiting(), 1, "once");
    bench.renew(www(60));
    bench.wait(54);
    assert_eq!(bench.www(), "NOERROR 6");
    assert_eq!(bench.waiting(), 2, "it is still popular");
    assert!(bench.metric("coredns_cache_prefetch_total{server=\"dns://:53\",view=\"\",zones=\".\"} 2"));
}

#[test]
fn an_answer_that_is_seldom_asked_for_is_not_asked_for_again() {
    let mut bench = Bench::new("cache {\n prefetch 2 10s 50%\n}");
    bench.put(WWW, www(60));
    for _ in 0..5 {
        bench.wait(11);
        bench.www();
    }
    assert_eq!(bench.waiting(), 0);
}

#[test]
fn everything_is_counted_under_the_labels_of_coredns() {
    let bench = Bench::new("cache 30 example net");
    bench.www();
    bench.put(WWW, www(60));
    bench.put("no.example.", nx(soa(60, 60)));
    bench.www();
    bench.get("no.example.");
    bench.get("elsewhere.org.");
    for line in [
        "coredns_cache_requests_total{server=\"dns://:53\",view=\"\",zones=\"example.,net.\"} 3",
        "coredns_cache_misses_total{server=\"dns://:53\",view=\"\",zones=\"example.,net.\"} 1",
        "coredns_cache_hits_total{server=\"dns://:53\",type=\"success\",view=\"\",zones=\"example.,net.\"} 1",
        "coredns_cache_hits_total{server=\"dns://:53\",type=\"denial\",view=\"\",zones=\"example.,net.\"} 1",
        "coredns_cache_entries{server=\"dns://:53\",type=\"success\",view=\"\",zones=\"example.,net.\"} 1",
        "coredns_cache_entries{server=\"dns://:53\",type=\"denial\",view=\"\",zones=\"example.,net.\"} 1",
        "coredns_cache_evictions_total{server=\"dns://:53\",type=\"denial\",view=\"\",zones=\"example.,net.\"} 0",
    ] {
        assert!(bench.metric(line), "{line}\n{}", bench.metrics.render());
    }
}

#[test]
fn the_capacity_is_never_exceeded() {
    let bench = Bench::new("cache {\n success 1024\n}");
    for number in 0..5000 {
        let owner = format!("n{number}.example.");
        bench.put(&owner, relayed(vec![a(&owner, 60, 1)]));
    }
    let entries = bench.metrics.cache_entries.with_label_values(&["dns://:53", "success", ".", ""]).get();
    assert!((900..=1024).contains(&entries), "{entries}");
}

#[test]
fn an_answer_that_is_not_remembered_ends_what_was_known() {
    let many = || relayed((0..3000).map(|host| a(WWW, 60, host as u8)).collect());
    let check = |answer: Answer, expected: &str| {
        let mut bench = Bench::new("cache {\n serve_stale 1h immediate 0s\n}");
        bench.put(WWW, www(60));
        bench.wait(60);
        bench.renew(answer);
        assert_eq!(bench.www(), expected);
    };
    check(code(ResponseCode::NXDomain), "-");
    check(many(), "-");
    check(www(60).with_truncated(true), "NOERROR 0 error 3");
    check(code(ResponseCode::Refused), "NOERROR 0 error 3");
}

#[test]
fn a_denial_that_is_not_remembered_ends_what_was_known() {
    let mut bench = Bench::new("cache {\n serve_stale 1h immediate 0s\n disable denial example\n}");
    bench.put(WWW, www(60));
    bench.wait(60);
    bench.renew(code(ResponseCode::ServFail));
    assert_eq!(bench.www(), "NOERROR 0 error 3");
    bench.renew(nx(soa(60, 60)));
    assert_eq!(bench.www(), "-");
}

/// A resolver that is asked so says what it has at hand, such as the servers of the root zone.
#[test]
fn what_is_said_without_recursion_is_not_for_others() {
    let without_recursion = Query { recursion_desired: false, ..query(WWW, RecordType::A) };
    let mut bench = Bench::new("cache 30 {\n serve_stale 1h verify\n}");
    assert_eq!(told(&bench.cache.put(&without_recursion, relayed(vec![]), bench.now)), "NOERROR");
    assert_eq!(bench.www(), "-");
    bench.put(WWW, www(60));
    bench.cache.put(&without_recursion, relayed(vec![]), bench.now);
    assert_eq!(bench.www(), "NOERROR 30");
    bench.wait(30);
    let refused = bench.cache.put(&without_recursion, code(ResponseCode::Refused), bench.now);
    assert_eq!((told(&refused).as_str(), bench.www().as_str()), ("REFUSED", "-"));
}

#[test]
fn an_expired_answer_has_the_ttl_of_the_directive_and_its_source_is_left_alone() {
    let mut bench = Bench::new("cache {\n serve_stale 1h immediate 30s 2m\n}");
    bench.put(WWW, www(60));
    bench.wait(61);
    assert_eq!((bench.www(), bench.waiting()), ("NOERROR 30 error 3".to_owned(), 1));
    bench.renew(code(ResponseCode::ServFail));
    bench.wait(119);
    assert_eq!((bench.www(), bench.waiting()), ("NOERROR 30 error 3".to_owned(), 1), "not asked again");
    bench.wait(2);
    assert_eq!((bench.www(), bench.waiting()), ("NOERROR 30 error 3".to_owned(), 2), "asked again");
}

#[test]
fn a_source_that_takes_too_long_is_not_waited_for() {
    let mut bench = Bench::new("cache {\n serve_stale 1h verify 100ms 0s\n}");
    let query = query(WWW, RecordType::A);
    assert_eq!(bench.cache.patience(&query, bench.now), None, "nothing is known");
    bench.put(WWW, www(60));
    bench.wait(61);
    assert_eq!(bench.www(), "-", "the source is asked first");
    assert_eq!(bench.cache.patience(&query, bench.now), Some(Duration::from_millis(100)));
    let stale = bench.cache.give_up_waiting(&query, bench.now).map(|answer| told(&answer));
    assert_eq!((stale.as_deref(), bench.waiting()), (Some("NOERROR 0 error 3"), 1));
    assert_eq!(bench.www(), "NOERROR 0 error 3", "nor does the next one wait");
    assert_eq!(bench.waiting(), 1);
    bench.renew(www(60));
    assert_eq!(bench.www(), "NOERROR 60");
}

#[test]
fn a_positive_answer_may_be_preferred() {
    let negative = || code(ResponseCode::NXDomain).with_authority(vec![soa(60, 60)]);
    let nothing = || relayed(vec![]);
    let half = || relayed(vec![cname(WWW, 60, "x.example.")]).with_authority(vec![soa(60, 60)]);
    for (less, told_alone) in [(negative(), "NXDOMAIN 60"), (nothing(), "NOERROR"), (half(), "NOERROR 60 60")] {
        for (policy, shown) in [("", told_alone), ("serve_stale_policy prefer_positive", "NOERROR 0 error 3")] {
            let mut bench = Bench::new(&format!("cache {{\n serve_stale 1h verify 0s 0s\n {policy}\n}}"));
            bench.put(WWW, www(60));
            bench.wait(61);
            assert_eq!(told(&bench.put(WWW, less.clone())), shown, "{policy}");
            assert_eq!(told(&bench.put("other.example.", less.clone())), told_alone, "nothing else is known");
            bench.wait(61);
            assert_eq!(told(&bench.put("other.example.", negative())), "NXDOMAIN 60", "nor anything better");
        }
    }
}

#[test]
fn a_client_that_may_not_wait_says_nothing_of_the_source() {
    let mut bench = Bench::new("cache {\n serve_stale 1h verify\n}");
    let turned_away = Query { may_wait: false, ..query(WWW, RecordType::A) };
    bench.put(WWW, www(60));
    bench.wait(60);
    assert!(bench.cache.ask_aside(&turned_away, bench.now).is_none());
    let stale = bench.cache.give_up_waiting(&turned_away, bench.now).map(|answer| told(&answer));
    assert_eq!(stale.as_deref(), Some("NOERROR 30 error 3"));
    assert_eq!(bench.www(), "-", "the others ask the source first");
}

/// One for the records and one for what is around them; names of up to 32 octets lie in their records.
#[test]
fn what_is_not_known_yet_is_remembered_with_two_allocations() {
    const NEW: u64 = 1000;
    let bench = Bench::new("cache");
    let ask = |number: u64| (query(&format!("n{number}.example."), RecordType::A), www(60));
    for number in 0..20 * NEW {
        let (asked, answer) = ask(number);
        bench.cache.put(&asked, answer, bench.now);
    }
    let new: Vec<_> = (20 * NEW..21 * NEW).map(ask).collect();
    let mut given = Vec::with_capacity(new.len());
    let allocations = allocation_counter::measure(|| {
        for (asked, answer) in new {
            assert!(bench.cache.get(&asked, bench.now).is_none());
            given.push(bench.cache.put(&asked, answer, bench.now));
        }
    });
    // Tables grow at times.
    assert!(allocations.count_total <= 2 * NEW + NEW / 20, "{}", allocations.count_total);
}
