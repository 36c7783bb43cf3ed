//! Connections with scripted servers: in memory, or on the loopback interface where their number counts.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::{join, join_all};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use tokio::time::timeout;

use super::*;
use crate::dns::{Query, RecordType, encode_question, parse_name};

fn question(name: &str) -> Question {
    Question::new(encode_question(&Query::of_our_own(parse_name(name).unwrap(), RecordType::A))).unwrap()
}

async fn next(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut question = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut question).await?;
    Ok(question)
}

/// The reply says of what it is a reply: everything as it was asked, QR set.
async fn answer(stream: &mut (impl AsyncWrite + Unpin), mut question: Vec<u8>) {
    question[2] |= 0x80;
    stream.write_u16(question.len() as u16).await.unwrap();
    stream.write_all(&question).await.unwrap();
}

/// A connection in memory, what it counts wrong replies in, and the other end of it.
fn connection() -> (Connection, Counter, DuplexStream) {
    let (near, far) = duplex(1 << 16);
    let mismatches = Metrics::new().landfall_upstream_mismatches.with_label_values(&["memory", "foreign"]);
    (Connection::begin(async { Ok(Box::new(near) as _) }, (), mismatches.clone()), mismatches, far)
}

async fn ask(connection: &Connection, name: &str) -> Result<String, String> {
    let reply = connection.ask(&Arc::new(question(name))).await.map_err(|error| error.to_string())?;
    Ok(crate::dns::parse_upstream(&reply).unwrap().question.0.to_string())
}

#[tokio::test]
async fn replies_come_in_any_order() {
    let (connection, mismatches, mut server) = connection();
    let serving = async {
        let (one, other) = (next(&mut server).await.unwrap(), next(&mut server).await.unwrap());
        answer(&mut server, other).await;
        answer(&mut server, one).await;
    };
    let (answers, ()) = join(join(ask(&connection, "one.test."), ask(&connection, "other.test.")), serving).await;
    assert_eq!(answers, (Ok("one.test.".to_owned()), Ok("other.test.".to_owned())));
    assert_eq!((connection.replies(), mismatches.get()), (2, 0));
}

#[tokio::test]
async fn no_two_questions_on_a_connection_have_the_same_id() {
    let (connection, _, mut server) = connection();
    let serving = async {
        let mut questions = Vec::new();
        for _ in 0..1500 {
            questions.push(next(&mut server).await.unwrap());
        }
        let ids: HashSet<_> = questions.iter().map(|question| question[..2].to_vec()).collect();
        assert_eq!(ids.len(), 1500);
        for question in questions {
            answer(&mut server, question).await;
        }
    };
    let (answers, ()) = join(join_all((0..1500).map(|_| ask(&connection, "web.test."))), serving).await;
    assert!(answers.iter().all(Result::is_ok));
}

#[tokio::test]
async fn wrong_replies_are_counted_and_the_wait_goes_on() {
    let (connection, mismatches, mut server) = connection();
    let serving = async {
        let question = next(&mut server).await.unwrap();
        for at in [0, 1, 14, question.len() - 3] {
            let mut wrong = question.clone();
            wrong[at] ^= 0x10;
            answer(&mut server, wrong).await;
        }
        answer(&mut server, question.clone()).await;
        answer(&mut server, question).await;
        answer(&mut server, vec![0; 12]).await;
        let last = next(&mut server).await.unwrap();
        answer(&mut server, last).await;
    };
    let asking = async { [ask(&connection, "web.test.").await, ask(&connection, "web.test.").await] };
    let (answers, ()) = join(asking, serving).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(mismatches.get(), 6);
}

/// An error without the question, as some servers send it.
async fn turn_down(stream: &mut (impl AsyncWrite + Unpin), question: &[u8], code: u8) {
    let message = [&question[..2], &[0x80 | question[2], code, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
    stream.write_u16(12).await.unwrap();
    stream.write_all(&message).await.unwrap();
}

#[tokio::test]
async fn an_error_without_the_question_ends_the_wait() {
    for code in [2, 4, 5] {
        let (address, accepted) = server(move |mut stream| async move {
            while let Ok(question) = next(&mut stream).await {
                turn_down(&mut stream, &question, code).await;
            }
        })
        .await;
        let connections = Connections::new(address, None, KEEPING, &Metrics::new());
        for _ in 0..2 {
            let budget = Budget::default();
            let asking = connections.ask(question("web.test."), &budget);
            let error = timeout(Duration::from_secs(20), asking).await.expect("at once").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{code}: {error}");
        }
        assert_eq!(accepted.load(Ordering::Relaxed), 1, "the connection is well");
    }
}

#[tokio::test]
async fn a_server_that_is_older_than_edns_is_asked_without_over_tcp_too() {
    let (address, _) = server(|mut stream| async move {
        while let Ok(question) = next(&mut stream).await {
            match question[11] {
                0 => answer(&mut stream, question).await,
                _ => turn_down(&mut stream, &question, 1).await,
            }
        }
    })
    .await;
    let connections = Connections::new(address, None, KEEPING, &Metrics::new());
    let budget = Budget::default();
    let asking = connections.ask(question("web.test."), &budget);
    timeout(Duration::from_secs(20), asking).await.expect("at once").unwrap();
    assert!((0..5).all(|_| budget.take_message()) && !budget.take_message(), "one message was paid for");
}

/// What all who wait on a connection are told when the server sends this, and then nothing more.
async fn told(octets: &[u8]) -> Vec<String> {
    let (connection, _, mut server) = connection();
    let serving = async {
        next(&mut server).await.unwrap();
        next(&mut server).await.unwrap();
        server.write_all(octets).await.unwrap();
        server.shutdown().await.unwrap();
    };
    let (answers, ()) = join(join_all([ask(&connection, "a.test."), ask(&connection, "b.test.")]), serving).await;
    assert!(connection.has_ended());
    let late = ask(&connection, "c.test.").await;
    answers.into_iter().chain([late]).map(Result::unwrap_err).collect()
}

#[tokio::test]
async fn what_ends_a_connection_is_told_to_all_who_wait() {
    assert_eq!(told(b"").await, ["the server has closed the connection"; 3]);
    assert_eq!(told(&[0]).await, ["the server has closed the connection"; 3]);
    assert_eq!(told(&[0, 20, 1, 2, 3]).await, ["the server has closed the connection amid a message"; 3]);
    assert_eq!(told(&[0, 11]).await, ["what the server sends is no message"; 3]);
    assert_eq!(
        told(b"HTTP/1.1 400 Bad Request\r\n\r\n").await,
        ["the server has closed the connection amid a message"; 3]
    );
}

const KEEPING: Keeping = Keeping { source: None, expire: Duration::from_secs(10), max_age: None, idle_max: 64 };

/// A server that answers as `serve` does on each connection; how many there have been.
async fn server<S>(serve: impl Fn(TcpStream) -> S + Send + 'static) -> (SocketAddr, Arc<AtomicUsize>)
where
    S: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, accepted) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = accepted.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(serve(stream));
        }
    });
    (address, accepted)
}

/// Answers all questions when as many have come, on all connections.
async fn serve_together(mut stream: TcpStream, barrier: Arc<Barrier>) {
    let mut waiting = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            question = next(&mut stream) => {
                let (Ok(question), barrier) = (question, barrier.clone()) else { return };
                waiting.spawn(async move { barrier.wait().await; question });
            }
            Some(question) = waiting.join_next() => answer(&mut stream, question.unwrap()).await,
        }
    }
}

async fn ask_all(connections: &Connections, count: usize) -> Vec<io::Result<Vec<u8>>> {
    let ask = |_| async { connections.ask(question("web.test."), &Budget::default()).await };
    timeout(Duration::from_secs(20), join_all((0..count).map(ask))).await.expect("all in time")
}

#[tokio::test]
async fn a_connection_is_shared_when_there_are_as_many_as_may_be() {
    for (count, bounds, expected) in [
        (3, Bounds { connections: 3, questions: 2 }, 3),
        (6, Bounds { connections: 3, questions: 2 }, 3),
        (70, TCP, TCP.connections),
    ] {
        let barrier = Arc::new(Barrier::new(count));
        let (address, accepted) = server(move |stream| serve_together(stream, barrier.clone())).await;
        let connections = Connections::bounded(bounds, address, None, KEEPING, &Metrics::new());
        assert!(ask_all(&connections, count).await.iter().all(Result::is_ok));
        assert_eq!(accepted.load(Ordering::Relaxed), expected);
    }
}

#[tokio::test]
async fn what_is_beyond_the_bounds_waits_for_its_turn() {
    let most = Arc::new(AtomicUsize::new(0));
    let seen = most.clone();
    let (address, accepted) = server(move |mut stream| {
        let seen = seen.clone();
        async move {
            // Reads what is there, and answers it the last first.
            while let Ok(question) = next(&mut stream).await {
                let mut questions = vec![question];
                while let Ok(question) = timeout(Duration::from_millis(5), next(&mut stream)).await {
                    questions.push(question.unwrap());
                }
                seen.fetch_max(questions.len(), Ordering::Relaxed);
                for question in questions.into_iter().rev() {
                    answer(&mut stream, question).await;
                }
            }
        }
    })
    .await;
    let bounds = Bounds { connections: 2, questions: 3 };
    let connections = Connections::bounded(bounds, address, None, KEEPING, &Metrics::new());
    assert!(ask_all(&connections, 50).await.iter().all(Result::is_ok));
    assert_eq!((accepted.load(Ordering::Relaxed), most.load(Ordering::Relaxed)), (2, 3));
}

#[tokio::test]
async fn a_server_that_answers_one_question_on_each_connection_is_asked_over_others() {
    let (address, _) = server(|mut stream| async move {
        if let Ok(question) = next(&mut stream).await {
            answer(&mut stream, question).await;
        }
    })
    .await;
    let connections = Connections::new(address, None, KEEPING, &Metrics::new());
    for _ in 0..3 {
        assert!(ask_all(&connections, TCP.connections).await.iter().all(Result::is_ok));
    }
}

/// A server that answers so many questions on each connection, and closes it.
async fn closing_server(questions: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    server(move |mut stream| async move {
        for _ in 0..questions {
            let Ok(question) = next(&mut stream).await else { return };
            answer(&mut stream, question).await;
        }
        // What is on its way already is read, so that the connection ends without a reset.
        let _ = next(&mut stream).await;
    })
    .await
}

#[tokio::test]
async fn a_question_on_a_connection_that_was_closed_is_asked_once_more_if_that_is_paid_for() {
    let (address, accepted) = closing_server(1).await;
    let connections = Connections::new(address, None, KEEPING, &Metrics::new());
    let ask = async |budget: &Budget| connections.ask(question("web.test."), budget).await;
    ask(&Budget::default()).await.unwrap();
    ask(&Budget::default()).await.expect("another connection");
    assert_eq!(accepted.load(Ordering::Relaxed), 2);
    let without_messages = Budget::default();
    while without_messages.take_message() {}
    let error = ask(&without_messages).await.unwrap_err();
    assert_eq!(error.to_string(), "the server has closed the connection");
    ask(&Budget::default()).await.unwrap();
    let without_connections = Budget::default();
    while without_connections.take_connection() {}
    let error = ask(&without_connections).await.unwrap_err();
    assert!(Spent::is_in(&error), "{error:?}");
    assert_eq!(accepted.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn who_may_begin_no_connection_shares_one() {
    let barrier = Arc::new(Barrier::new(2));
    let (address, accepted) = server(move |stream| serve_together(stream, barrier.clone())).await;
    let connections = Connections::new(address, None, KEEPING, &Metrics::new());
    let spent = Budget::default();
    while spent.take_connection() {}
    let budget = Budget::default();
    let first = connections.ask(question("a.test."), &budget);
    let (first, second) = join(first, connections.ask(question("b.test."), &spent)).await;
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    assert_eq!(accepted.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_connection_that_has_gone_silent_takes_no_more_questions() {
    let (address, accepted) = server(|mut stream| async move {
        let question = next(&mut stream).await.unwrap();
        answer(&mut stream, question).await;
        while next(&mut stream).await.is_ok() {}
    })
    .await;
    let bounds = Bounds { connections: 1, questions: 1 };
    let connections = Connections::bounded(bounds, address, None, KEEPING, &Metrics::new());
    let budget = Budget::default();
    connections.ask(question("web.test."), &budget).await.unwrap();
    let silent = connections.ask(question("web.test."), &budget);
    timeout(Duration::from_millis(50), silent).await.expect_err("silence");
    connections.ask(question("web.test."), &budget).await.expect("another connection");
    assert_eq!(accepted.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn no_more_idle_connections_are_kept_than_wanted() {
    for idle_max in [1, 3] {
        let barrier = Arc::new(Barrier::new(3));
        let (address, accepted) = server(move |stream| serve_together(stream, barrier.clone())).await;
        let keeping = Keeping { idle_max, ..KEEPING };
        let connections = Connections::new(address, None, keeping, &Metrics::new());
        for _ in 0..2 {
            assert!(ask_all(&connections, 3).await.iter().all(Result::is_ok));
        }
        assert_eq!(accepted.load(Ordering::Relaxed), 6 - idle_max);
    }
}

#[tokio::test]
async fn an_old_connection_is_not_used_again() {
    let (address, accepted) = closing_server(100).await;
    let keeping = Keeping { max_age: Some(Duration::from_nanos(1)), ..KEEPING };
    let connections = Connections::new(address, None, keeping, &Metrics::new());
    for _ in 0..3 {
        assert!(ask_all(&connections, 1).await[0].is_ok());
    }
    assert_eq!(accepted.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn idle_connections_are_closed_in_time_without_another_question() {
    let (address, _) = closing_server(100).await;
    let connections = Connections::new(address, None, KEEPING, &Metrics::new());
    for _ in 0..2 {
        assert!(ask_all(&connections, 3).await.iter().all(Result::is_ok));
        tokio::time::pause();
        sleep(KEEPING.expire - Duration::from_millis(1)).await;
        assert!(connections.lock().has_idle());
        sleep(SWEEP + Duration::from_millis(1)).await;
        assert!(!connections.lock().has_idle());
        tokio::time::resume();
        timeout(Duration::from_secs(20), async {
            while connections.slots.available_permits() < TCP.connections {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("they are closed");
    }
}
