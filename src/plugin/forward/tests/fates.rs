//! Whose failure it is that nobody answers: those who ask the same at the moment, or soon, do not pay for another query.

use super::*;

fn tcp(config: directive::Forward) -> directive::Forward {
    directive::Forward { force_tcp: true, ..config }
}

/// A query that has asked before: only so many messages are left.
fn with_messages_left(left: usize) -> Query {
    let all = std::iter::from_fn({
        let budget = crate::dns::Budget::default();
        move || budget.take_message().then_some(())
    });
    let query = query();
    assert!(all.skip(left).all(|()| query.budget.take_message()));
    query
}

/// The script takes connections from the budget, as the network does.
fn refused_over_tcp(attempt: &Attempt, _: usize) -> Does {
    if attempt.budget.take_connection() { Does::Refuse } else { Does::Spend }
}

#[tokio::test(start_paused = true)]
async fn that_no_more_connections_are_begun_hides_no_failure_of_the_servers() {
    let stage = stage(&tcp(config(3)), refused_over_tcp);
    let answer = stage.forward.answer(&query()).await;
    assert_eq!(answer.failure(), Some("cannot reach 10.0.0.1:2: connection refused"));
    assert_eq!(answer.extended_error().map(|error| error.code), Some(23));
    stage.ask(&question(1)).await;
    assert!(stage.ask(&query()).await.1.is_empty(), "it is remembered");
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_a_query_that_had_little_left_is_not_remembered() {
    let plot = |attempt: &Attempt, _| if attempt.upstream.address.port() == 1 { Does::Refuse } else { FINE };
    let stage = stage(&config(2), plot);
    assert_eq!(stage.ask(&with_messages_left(1)).await.0, ResponseCode::ServFail);
    assert_eq!(stage.ask(&query()).await.0, ResponseCode::NoError);
}

#[tokio::test(start_paused = true)]
async fn who_asks_the_same_does_not_fail_with_a_query_whose_time_is_over() {
    let stage = Arc::new(stage(&config(1), |_, _| Does::AnswerAfter(Duration::from_millis(500))));
    let late = query();
    late.budget.deadline(Instant::now().into_std());
    sleep(Duration::from_millis(4_700)).await;
    let first = stage.clone();
    let first = tokio::spawn(async move { first.forward.answer(&late).await });
    tokio::task::yield_now().await;
    assert_eq!(stage.forward.answer(&query()).await.response_code(), ResponseCode::NoError);
    assert_eq!(first.await.unwrap().response_code(), ResponseCode::ServFail);
}

#[tokio::test(start_paused = true)]
async fn what_this_machine_lacks_is_told_to_all_who_wait() {
    let stage = stage(&config(1), |_, _| Does::Lack(Duration::from_millis(10)));
    let queries: Vec<_> = (0..100).map(|_| query()).collect();
    for answer in futures_util::future::join_all(queries.iter().map(|query| stage.forward.answer(query))).await {
        assert_eq!(answer.response_code(), ResponseCode::ServFail);
    }
    assert_eq!(stage.script.attempts.lock().unwrap().len(), 2, "one query asked, twice");
}
