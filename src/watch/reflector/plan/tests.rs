//! What a plan does next, end by end.

use super::*;

fn refused(code: u16) -> End {
    End::Refused { code, message: String::new(), retry_after: None }
}

/// Long enough for a watch that works.
const LONG: Option<Duration> = Some(Duration::from_secs(60));

fn times() -> Times {
    Times::default()
}

fn watching() -> Plan {
    let mut plan = Plan::default();
    plan.can_stream(false);
    plan.listed("5".to_owned());
    plan
}

fn from(version: &str) -> Step {
    Step::Watch(version.to_owned())
}

#[test]
fn a_list_comes_first_and_a_watch_from_its_version_next() {
    let mut plan = Plan::default();
    assert_eq!(plan.step(), Step::Version);
    plan.can_stream(true);
    assert_eq!(plan.step(), Step::Stream);
    plan.can_stream(false);
    assert_eq!(plan.step(), Step::Pages);
    plan.listed("5".to_owned());
    assert_eq!(plan.step(), from("5"));
    plan.advanced("7");
    assert_eq!(plan.step(), from("7"));
}

/// The step of the list after one that was to be streamed, and was made in pages because it ended so.
fn list_after(ends: &[End]) -> Step {
    let mut plan = Plan::default();
    plan.can_stream(true);
    for end in ends {
        assert_eq!(plan.ended(end, LONG, 0.5), Next { wait: Duration::ZERO, trouble: None }, "{end:?}");
        assert_eq!(plan.step(), Step::Pages);
        plan.listed("5".to_owned());
        plan.ended(&End::Gone, LONG, 0.5);
    }
    plan.step()
}

#[test]
fn a_server_that_cannot_stream_is_remembered() {
    for code in [422, 400, 500] {
        assert_eq!(list_after(&[refused(code)]), Step::Pages, "{code}");
    }
}

#[test]
fn a_stream_that_ends_is_tried_again_with_the_next_list_but_not_for_ever() {
    for end in [End::Stalled, End::Closed] {
        assert_eq!(list_after(std::slice::from_ref(&end)), Step::Stream, "{end:?}");
        assert_eq!(list_after(&[end.clone(), end.clone()]), Step::Pages, "{end:?}");
    }
}

#[test]
fn a_server_that_does_not_tell_its_version_is_listed_in_pages_and_asked_again() {
    let mut plan = Plan::default();
    plan.cannot_tell();
    assert_eq!(plan.step(), Step::Pages);
    plan.listed("5".to_owned());
    plan.ended(&End::Gone, LONG, 0.5);
    assert_eq!(plan.step(), Step::Version);
}

#[test]
fn a_refusal_that_has_other_reasons_does_not_end_streaming() {
    for end in [refused(403), refused(429), End::Unreachable(String::new()), End::Gone] {
        let mut plan = Plan::default();
        plan.can_stream(true);
        plan.ended(&end, LONG, 0.5);
        assert_eq!(plan.step(), Step::Stream, "{end:?}");
    }
}

#[test]
fn an_old_version_means_a_list_soon_and_then_with_patience() {
    let mut plan = watching();
    assert_eq!(plan.ended(&End::Gone, LONG, 0.0).wait, Duration::ZERO);
    assert_eq!((plan.step(), plan.list_reason()), (Step::Pages, "gone"));
    plan.listed("6".to_owned());
    assert!(plan.ended(&End::Gone, LONG, 0.0).wait >= times().back_off.0);
    plan.listed("7".to_owned());
    plan.steady();
    assert_eq!(plan.ended(&End::Gone, LONG, 1.0).wait, times().spread);
}

#[test]
fn an_old_token_of_a_list_means_another_at_once() {
    let mut plan = Plan::default();
    plan.can_stream(false);
    assert_eq!(plan.ended(&End::Gone, LONG, 1.0).wait, Duration::ZERO);
}

#[test]
fn an_old_version_does_not_pay_for_the_failures_before_it() {
    let mut plan = watching();
    for _ in 0..9 {
        plan.ended(&End::Unreachable(String::new()), LONG, 1.0);
    }
    assert_eq!(plan.ended(&End::Gone, LONG, 1.0).wait, times().spread);
}

#[test]
fn a_connection_that_was_cut_is_a_trouble_only_if_it_cannot_be_made_again() {
    let mut plan = watching();
    plan.steady();
    assert_eq!(plan.ended(&End::Unreachable(String::new()), LONG, 0.5).trouble, None);
    assert_eq!(plan.ended(&End::Unreachable(String::new()), LONG, 0.5).trouble, Some(Trouble::Failing));
}

#[test]
fn a_watch_that_ends_at_once_is_a_failure() {
    let mut plan = watching();
    let waits: Vec<Duration> = (0..20).map(|_| plan.ended(&End::Closed, LONG, 1.0).wait).collect();
    assert_eq!(waits.first(), Some(&Duration::from_millis(200)));
    assert!(waits.is_sorted());
    assert_eq!(waits.last(), Some(&times().back_off.1));
    assert_eq!(plan.step(), from("5"));
}

#[test]
fn a_watch_that_lasted_goes_on_from_where_it_ended() {
    let mut plan = watching();
    plan.ended(&End::Unreachable(String::new()), LONG, 1.0);
    plan.steady();
    assert_eq!(plan.ended(&End::Closed, LONG, 1.0), Next { wait: Duration::ZERO, trouble: None });
    plan.advanced("9");
    assert_eq!(plan.ended(&End::Closed, LONG, 1.0).wait, Duration::ZERO);
    assert_eq!(plan.step(), from("9"));
}

#[test]
fn the_first_event_ends_the_patience() {
    let mut plan = watching();
    for _ in 0..9 {
        plan.ended(&End::Unreachable(String::new()), LONG, 1.0);
    }
    plan.advanced("6");
    assert_eq!(plan.ended(&End::Unreachable(String::new()), LONG, 1.0).wait, Duration::from_millis(200));
}

#[test]
fn a_watch_that_lasted_ends_the_patience_also_if_it_brought_nothing() {
    let mut plan = watching();
    for _ in 0..9 {
        plan.ended(&End::Unreachable(String::new()), LONG, 1.0);
    }
    plan.steady();
    assert_eq!(plan.ended(&End::Unreachable(String::new()), LONG, 1.0).wait, Duration::from_millis(200));
}

#[test]
fn a_trouble_is_told_once_until_it_changes_or_ends() {
    let mut plan = watching();
    assert_eq!(plan.ended(&refused(502), LONG, 0.5).trouble, Some(Trouble::Failing));
    assert_eq!(plan.ended(&refused(502), LONG, 0.5).trouble, None);
    (0..DENIALS_OF_START).for_each(|_| assert_eq!(plan.ended(&refused(403), LONG, 0.5).trouble, None));
    assert_eq!(plan.ended(&refused(403), LONG, 0.5).trouble, Some(Trouble::Forbidden));
    assert_eq!(plan.ended(&refused(404), LONG, 0.5).trouble, Some(Trouble::Absent));
    assert!(plan.advanced("6"));
    assert!(!plan.advanced("7"));
    assert_eq!(plan.ended(&refused(502), LONG, 0.5).trouble, Some(Trouble::Failing));
}

#[test]
fn a_denial_is_no_trouble_while_the_server_starts_and_is_asked_about_rarely_later() {
    let mut plan = watching();
    let waits: Vec<Duration> = (0..12).map(|_| plan.ended(&refused(403), LONG, 1.0).wait).collect();
    assert!(waits.iter().take(4).sum::<Duration>() <= Duration::from_secs(3), "{waits:?}");
    assert_eq!(waits.last(), Some(&times().back_off_forbidden.1));
    plan.advanced("6");
    assert!(plan.ended(&refused(403), LONG, 1.0).wait < Duration::from_secs(1));
}

#[test]
fn a_server_may_ask_for_patience_but_not_for_too_much() {
    let throttled = |seconds| {
        let retry_after = Some(Duration::from_secs(seconds));
        watching().ended(&End::Refused { code: 429, message: String::new(), retry_after }, LONG, 0.0).wait
    };
    assert_eq!(throttled(3), Duration::from_secs(3));
    assert_eq!(throttled(3600), times().retry_after_max);
}

#[test]
fn silence_means_a_new_watch() {
    let mut plan = watching();
    for _ in 0..3 {
        plan.steady();
        assert_eq!(plan.ended(&End::Stalled, LONG, 0.5), Next { wait: Duration::ZERO, trouble: None });
        assert_eq!(plan.step(), from("5"));
    }
}

#[test]
fn watches_that_end_at_once_are_opened_ever_more_slowly_whatever_they_brought() {
    for end in [End::Closed, End::Gone, End::Stalled] {
        let mut plan = watching();
        let mut wait = || {
            if plan.is_listing() {
                plan.listed("5".to_owned());
            }
            plan.advanced("6");
            plan.ended(&end, Some(Duration::from_millis(20)), 1.0).wait
        };
        let waits: Vec<Duration> = (0..10).map(|_| wait()).collect();
        assert!(waits.is_sorted(), "{end:?} {waits:?}");
        assert_eq!(waits.last(), Some(&times().back_off.1), "{end:?}");
    }
}

#[test]
fn a_watch_after_another_goes_on_with_a_version_that_may_be_of_the_future() {
    let mut plan = watching();
    plan.ended(&End::Done, LONG, 0.5);
    assert!(!plan.is_resuming(), "the list was just made");
    plan.ended(&End::Closed, LONG, 0.5);
    assert!(plan.is_resuming());
    plan.list_again("rollback");
    assert_eq!((plan.step(), plan.list_reason(), plan.is_resuming()), (Step::Pages, "rollback", false));
}

#[test]
fn a_resource_that_is_absent_is_asked_for_every_half_minute() {
    let mut plan = watching();
    let waits: Vec<Duration> = (0..12).map(|_| plan.ended(&refused(404), LONG, 1.0).wait).collect();
    assert_eq!(waits.last(), Some(&Duration::from_secs(30)));
}

#[test]
fn a_version_that_is_refused_twice_is_given_up() {
    let mut plan = watching();
    plan.ended(&refused(500), LONG, 0.5);
    assert_eq!(plan.step(), from("5"));
    plan.ended(&refused(500), LONG, 0.5);
    assert_eq!(plan.step(), Step::Pages);
    let mut plan = watching();
    for code in [401, 429, 502, 503, 504] {
        plan.ended(&refused(code), LONG, 0.5);
    }
    assert_eq!(plan.step(), from("5"));
}
