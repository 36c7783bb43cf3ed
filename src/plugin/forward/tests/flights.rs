//! Equal questions in flight, and those that have failed just now.

use super::*;

#[tokio::test(start_paused = true)]
async fn equal_questions_in_flight_are_asked_once() {
    let stage = Arc::new(stage(&config(1), |_, _| Does::AnswerAfter(Duration::from_millis(100))));
    let asking: Vec<_> = (0..1000)
        .map(|_| {
            let stage = stage.clone();
            tokio::spawn(async move { stage.forward.answer(&query()).await })
        })
        .collect();
    for answer in asking {
        let answer = answer.await.unwrap();
        assert_eq!((answer.answers.len(), answer.source()), (1, "forward"));
    }
    assert_eq!(stage.ask(&Query { checking_disabled: true, ..query() }).await.1.len(), 2, "1 for all, 1 with CD");
    assert_eq!(stage.metrics.landfall_forward_shared.get(), 999);
    assert_eq!(stage.ask(&query()).await.1.len(), 1, "it is not remembered here");
}

#[tokio::test(start_paused = true)]
async fn questions_that_differ_do_not_wait_for_each_other() {
    let stage = stage(&config(1), |_, _| Does::AnswerAfter(Duration::from_millis(100)));
    let edns = Some(Edns { udp_size: 1232, dnssec_ok: true, options: Vec::new() });
    let others = [
        question(1),
        Query { record_type: RecordType::AAAA, ..query() },
        Query { checking_disabled: true, ..query() },
        Query { recursion_desired: false, ..query() },
        Query { edns, ..query() },
        Query { transport: Transport::Tcp, ..query() },
        Query { upstream_options: vec![(65001, vec![1])], ..query() },
    ];
    let same = Query { name: parse_name("WEB.example.").unwrap(), id: 7, ..query() };
    let all = others.iter().chain([&same]).map(|query| stage.forward.answer(query));
    futures_util::future::join(stage.forward.answer(&query()), futures_util::future::join_all(all)).await;
    assert_eq!(stage.script.attempts.lock().unwrap().len(), 1 + others.len());
}

#[tokio::test(start_paused = true)]
async fn one_who_gives_up_leaves_the_question_to_those_who_wait() {
    let stage = Arc::new(stage(&config(1), |_, _| Does::AnswerAfter(Duration::from_millis(100))));
    let (first, second) = (stage.clone(), stage.clone());
    let first = tokio::spawn(async move { first.forward.answer(&query()).await });
    tokio::task::yield_now().await;
    let second = tokio::spawn(async move { second.forward.answer(&query()).await });
    sleep(Duration::from_millis(50)).await;
    first.abort();
    assert_eq!(second.await.unwrap().answers.len(), 1);
    assert_eq!(stage.script.attempts.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_remembered_longer_each_time_until_a_server_is_back() {
    let plot = |attempt: &Attempt, _| match attempt.timeout == Duration::from_secs(1) {
        true => FINE,
        false => Does::Refuse,
    };
    let stage = stage(&config(1), plot);
    for (millis, is_asked) in
        [(0, true), (900, false), (200, true), (1900, false), (200, true), (3900, false), (200, true)]
    {
        sleep(Duration::from_millis(millis)).await;
        assert_eq!(!stage.ask(&query()).await.1.is_empty(), is_asked, "after {millis} ms");
    }
    let remembered = stage.forward.answer(&query()).await;
    assert_eq!(remembered.extended_error().map(|error| error.code), Some(13));
    assert_eq!(remembered.failure(), Some("cannot reach 10.0.0.1:1: connection refused"));
    assert!(!stage.ask(&question(1)).await.1.is_empty(), "another question");
    assert_eq!(stage.metrics.landfall_forward_failures_remembered.get(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_asked_again_as_soon_as_a_server_is_back() {
    // One probe fails.
    let plot = |attempt: &Attempt, count| match (attempt.timeout == Duration::from_secs(1), count) {
        (true, 1..) => FINE,
        _ => Does::Refuse,
    };
    let stage = stage(&config(1), plot);
    stage.ask(&query()).await;
    sleep(Duration::from_millis(400)).await;
    assert!(stage.ask(&query()).await.1.is_empty());
    sleep(Duration::from_millis(200)).await;
    assert!(!stage.ask(&query()).await.1.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_memory_of_failures_is_bounded() {
    let stage = stage(&config(1), |_, _| Does::Refuse);
    for number in 0..5_000 {
        stage.forward.answer(&question(number)).await;
    }
    assert!(stage.forward.flights.failures() <= 4096);
}
