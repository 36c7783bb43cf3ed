//! Whoever guesses answers, or sends whatever, over UDP: the right answer comes, and nothing else does.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::dns::{opt_option, opt_record, parse_upstream};

/// Octets of header and question of [`question`].
const QUESTION: usize = 12 + 13 + 4;

/// Questions over UDP with the ports that they came from.
type Asked = Vec<(u16, Vec<u8>)>;

/// A server on UDP and TCP, and what it saw.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Asked>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// A server that sends for each question the datagrams that `replies` makes of it, and answers over TCP.
    async fn new(replies: impl FnMut(u16, &[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let (server, listener) = Self::datagrams(replies).await;
        let connections = server.connections.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, 100));
            }
        });
        server
    }

    /// The same without TCP, but with its port.
    async fn datagrams(mut replies: impl FnMut(u16, &[u8]) -> Vec<Vec<u8>> + Send + 'static) -> (Self, TcpListener) {
        let (socket, listener) = loop {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(listener) = TcpListener::bind(socket.local_addr().unwrap()).await {
                break (socket, listener);
            }
        };
        let server = Self { address: socket.local_addr().unwrap(), asked: Arc::default(), connections: Arc::default() };
        let asked = server.asked.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            loop {
                let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
                asked.lock().unwrap().push((client.port(), buffer[..length].to_vec()));
                for reply in replies(client.port(), &buffer[..length]) {
                    socket.send_to(&reply, client).await.unwrap();
                }
            }
        });
        (server, listener)
    }

    fn client(&self) -> Client {
        Client::plain(self.address, Channel::Udp)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    fn asked(&self) -> Asked {
        self.asked.lock().unwrap().clone()
    }
}

/// The reply of somebody else: it says that there is no such name.
fn forged(question: &[u8]) -> Vec<u8> {
    let mut reply = reply(question);
    reply[3] |= 3;
    reply
}

/// It is the right reply, and the name is the client's.
fn check(answer: Result<Vec<u8>, UpstreamError>, case: &str) {
    let answer = answer.unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!((answer[2] & 0x80, answer[3] & 0xf), (0x80, 0), "{case}: {answer:?}");
    assert_eq!(answer[12..QUESTION], question()[12..QUESTION], "{case}");
}

/// What is wrong with a reply that is nearly one, how that is counted, and how it is made.
type NearMiss = (&'static str, &'static str, fn(&mut Vec<u8>));

const NEAR_MISSES: [NearMiss; 8] = [
    ("id", "near_miss", |reply| reply[0] ^= 1),
    ("name", "near_miss", |reply| reply[14] ^= 0x10),
    ("type", "near_miss", |reply| reply[QUESTION - 3] ^= 0x20),
    ("class", "near_miss", |reply| reply[QUESTION - 1] = 3),
    ("a question", "near_miss", |reply| reply[2] &= 0x7f),
    ("opcode", "near_miss", |reply| reply[2] |= 0x20),
    ("letter case", "case", |reply| reply[12..QUESTION - 4].iter_mut().for_each(flip)),
    ("no question", "near_miss", |reply| {
        reply[5] = 0;
        reply.truncate(12);
    }),
];

fn flip(octet: &mut u8) {
    *octet ^= u8::from(octet.is_ascii_alphabetic()) << 5;
}

#[tokio::test]
async fn a_near_miss_before_the_reply_is_counted_and_not_believed() {
    for (case, reason, change) in NEAR_MISSES {
        let server = Server::new(move |_, question| {
            let mut wrong = forged(question);
            change(&mut wrong);
            vec![wrong, reply(question)]
        });
        let client = server.await.client();
        check(client.ask().await, case);
        assert_eq!(client.mismatches(reason), 1, "{case}");
    }
}

#[tokio::test]
async fn a_near_miss_moves_the_question_to_tcp() {
    for (case, reason, change) in NEAR_MISSES {
        let server = Server::new(move |_, question| {
            let mut wrong = forged(question);
            change(&mut wrong);
            vec![wrong]
        })
        .await;
        let client = server.client();
        check(client.ask().await, case);
        assert_eq!((client.mismatches(reason), server.connections()), (1, 1), "{case}");
    }
}

#[tokio::test]
async fn a_near_miss_without_tcp_ends_no_wait() {
    let (server, listener) = Server::datagrams(|_, question| {
        let mut wrong = forged(question);
        wrong[0] ^= 1;
        vec![wrong]
    })
    .await;
    drop(listener);
    let client = server.client();
    let error = client.ask_within(Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Timeout { .. }), "{error:?}");
    // The reply comes when TCP has failed.
    let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let client = Client::plain(sender.local_addr().unwrap(), Channel::Udp);
    let slow = async {
        let mut buffer = [0; 512];
        let (length, asker) = sender.recv_from(&mut buffer).await.unwrap();
        let mut wrong = forged(&buffer[..length]);
        wrong[1] ^= 1;
        sender.send_to(&wrong, asker).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        sender.send_to(&reply(&buffer[..length]), asker).await.unwrap();
    };
    let (answer, ()) = tokio::join!(client.ask(), slow);
    check(answer, "late");
}

#[tokio::test]
async fn a_near_miss_costs_a_message_and_none_is_sent_that_is_not_paid() {
    let server = Server::new(|_, question| {
        let mut wrong = forged(question);
        wrong[0] ^= 1;
        vec![wrong, reply(question)]
    })
    .await;
    let client = server.client();
    let budget = Arc::<Budget>::default();
    while budget.take_message() {}
    let (upstream, timeout) = (client.upstream.clone(), Duration::from_secs(20));
    let attempt = Attempt { upstream, channel: Channel::Udp, message: question(), timeout, budget };
    check(client.network.exchange(attempt).await, "spent");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn garbage_does_not_end_the_wait_and_is_no_reason_for_tcp() {
    let server = Server::new(|_, question| {
        let garbage = (0..100_u8).map(|number| vec![!question[0]; number.into()]);
        garbage.chain([reply(question)]).collect()
    })
    .await;
    let client = server.client();
    check(client.ask().await, "garbage");
    assert_eq!((client.mismatches("foreign"), server.connections()), (100, 0));
}

#[tokio::test]
async fn nobody_else_can_reply() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let client = Client::plain(server.local_addr().unwrap(), Channel::Udp);
    let attack = async {
        let mut buffer = [0; 512];
        let (length, asker) = server.recv_from(&mut buffer).await.unwrap();
        let other_address = SocketAddr::new("127.0.0.2".parse().unwrap(), server.local_addr().unwrap().port());
        for other in [UdpSocket::bind("127.0.0.1:0").await, UdpSocket::bind(other_address).await] {
            // Some systems have one loopback address.
            let Ok(other) = other else { continue };
            other.send_to(&forged(&buffer[..length]), asker).await.unwrap();
        }
        server.send_to(&reply(&buffer[..length]), asker).await.unwrap();
    };
    let (answer, ()) = tokio::join!(client.ask(), attack);
    check(answer, "from elsewhere");
}

#[tokio::test]
async fn ids_ports_and_letters_vary() {
    let server = Server::new(|_, question| vec![reply(question)]).await;
    let client = server.client();
    for _ in 0..200 {
        check(client.ask().await, "echo");
    }
    client.check_metric("coredns_proxy_conn_cache_misses_total", "udp", 64);
    client.check_metric("coredns_proxy_conn_cache_hits_total", "udp", 136);
    let asked = server.asked();
    let ports: HashSet<_> = asked.iter().map(|(port, _)| *port).collect();
    let ids: HashSet<_> = asked.iter().map(|(_, question)| question[..2].to_vec()).collect();
    let names: HashSet<_> = asked.iter().map(|(_, question)| question[12..QUESTION].to_vec()).collect();
    assert_eq!((ports.len(), server.connections()), (64, 0));
    assert!(ids.len() > 190 && names.len() > 150, "{} {}", ids.len(), names.len());
    let again: Vec<_> = asked[64..128].iter().map(|(port, _)| *port).collect();
    assert_ne!(again, asked[..64].iter().map(|(port, _)| *port).collect::<Vec<_>>(), "ports are drawn");
}

/// The reply of a server that changes the case of letters.
fn changed(question: &[u8]) -> Vec<u8> {
    let mut reply = reply(question);
    reply[12..QUESTION - 4].iter_mut().for_each(flip);
    reply
}

#[tokio::test]
async fn a_server_that_changes_letters_is_asked_as_the_client_wrote() {
    let server = Server::new(|_, question| vec![changed(question)]).await;
    let client = server.client();
    for _ in 0..5 {
        check(client.ask().await, "changed");
    }
    assert_eq!((client.mismatches("case"), server.connections()), (1, 1));
    assert!(server.asked()[1..].iter().all(|(_, asked)| asked[12..QUESTION] == question()[12..QUESTION]));
}

#[tokio::test]
async fn a_server_without_tcp_that_changes_letters_fails_once() {
    let (server, listener) = Server::datagrams(|_, question| vec![changed(question)]).await;
    drop(listener);
    let client = server.client();
    client.ask_within(Duration::from_millis(100)).await.expect_err("it may be anybody");
    for _ in 0..5 {
        check(client.ask().await, "changed");
    }
}

#[tokio::test]
async fn what_came_before_the_question_is_thrown_away_with_its_socket() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let client = Client::plain(socket.local_addr().unwrap(), Channel::Udp);
    let mut ports = Vec::new();
    let mut answered = async |client: &Client| {
        let answering = async {
            let mut buffer = [0; 512];
            let (length, asker) = socket.recv_from(&mut buffer).await.unwrap();
            socket.send_to(&reply(&buffer[..length]), asker).await.unwrap();
            ports.push(asker);
        };
        let (answer, ()) = tokio::join!(client.ask(), answering);
        check(answer, "drained");
        ports.clone()
    };
    for _ in 0..64 {
        answered(&client).await;
    }
    for port in answered(&client).await {
        socket.send_to(&forged(&question()), port).await.unwrap();
    }
    // The system may take its time to deliver them.
    for _ in 0..20 {
        answered(&client).await;
        if client.mismatches("late") > 0 {
            let to = client.upstream.address.to_string();
            let opened = client.metrics.proxy_conn_cache_misses.with_label_values(&["forward", &to, "udp"]).get();
            return assert!(opened > 64, "another socket took its place");
        }
    }
    panic!("nothing was thrown away");
}

#[tokio::test]
async fn a_reply_that_comes_twice_is_no_near_miss_of_the_next_question() {
    let mut last = std::collections::HashMap::new();
    let server = Server::new(move |port, question| {
        let before = last.insert(port, reply(question));
        before.into_iter().chain([reply(question)]).collect()
    })
    .await;
    let client = server.client();
    for _ in 0..100 {
        check(client.ask().await, "twice");
    }
    assert_eq!((client.mismatches("late"), client.mismatches("near_miss"), server.connections()), (36, 0, 0));
}

#[tokio::test]
async fn a_server_that_is_older_than_edns_is_asked_without() {
    let server = Server::new(|_, question| match opt_record(question) {
        Some(_) => vec![turned_down(question, 1)],
        None => vec![reply(question)],
    })
    .await;
    check(server.client().ask().await, "old");
    assert_eq!((server.asked().len(), server.connections()), (2, 0));
}

/// An error without a question.
fn turned_down(question: &[u8], code: u8) -> Vec<u8> {
    [&question[..2], &[0x81, 0x80 | code, 0, 0, 0, 0, 0, 0, 0, 0]].concat()
}

#[tokio::test]
async fn a_server_that_says_no_without_the_question_over_tcp_too_is_not_waited_for() {
    let (server, listener) = Server::datagrams(|_, question| vec![turned_down(question, 5)]).await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut question = vec![0; stream.read_u16().await.unwrap().into()];
        stream.read_exact(&mut question).await.unwrap();
        stream.write_all(&[&[0, 12], &turned_down(&question, 5)[..]].concat()).await.unwrap();
        std::future::pending::<()>().await;
    });
    let error = server.client().ask().await.unwrap_err();
    assert!(matches!(error, UpstreamError::Connect { .. }), "{error:?}");
}

#[tokio::test]
async fn of_a_server_with_cookies_nobody_says_that_it_knows_no_edns() {
    let mut is_first = true;
    let server = Server::new(move |_, question| {
        let Some(cookie) = cookie_of(question) else { return vec![forged(question)] };
        let genuine = with_options(question, 0, &[(10, &[&cookie[..8], &[1; 8]].concat())]);
        vec![if std::mem::take(&mut is_first) { genuine } else { turned_down(question, 1) }]
    })
    .await;
    let client = server.client();
    for _ in 0..2 {
        check(client.ask().await, "cookies");
    }
    assert_eq!((server.asked().len(), server.connections()), (2, 1));
}

/// A reply with OPT of a code and of these options.
fn with_options(question: &[u8], code: u8, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut reply = reply(&question[..QUESTION]);
    (reply[3], reply[11]) = (code & 0xf, 1);
    let options: Vec<u8> = options
        .iter()
        .flat_map(|(code, data)| [&code.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat())
        .collect();
    reply.extend([0, 0, 41, 4, 208, code >> 4, 0, 0, 0, 0, options.len() as u8]);
    reply.extend(options);
    reply
}

/// The cookie of a question.
fn cookie_of(question: &[u8]) -> Option<&[u8]> {
    opt_option(opt_record(question)?.options, 10)
}

#[tokio::test]
async fn cookies_of_a_server_go_back_to_it_and_to_nobody_else() {
    let mut count = 0_u8;
    let server = Server::new(move |_, question| {
        count += 1;
        let own = cookie_of(question).expect("a cookie")[..8].to_vec();
        vec![with_options(question, 0, &[(10, &[&own[..], &[count; 16]].concat())])]
    })
    .await;
    let client = server.client();
    for _ in 0..3 {
        let answer = client.ask().await;
        let message = parse_upstream(answer.as_ref().unwrap()).unwrap();
        assert!(message.additional.is_empty() && message.answers.is_empty());
        check(answer, "cookie");
    }
    let asked = server.asked();
    let cookies: Vec<_> = asked.iter().map(|(_, question)| cookie_of(question).unwrap()).collect();
    assert_eq!((cookies[0].len(), &cookies[1][8..], &cookies[2][8..]), (8, &[1; 16][..], &[2; 16][..]));
    assert!(cookies.iter().all(|cookie| cookie[..8] == cookies[0][..8]), "our part stays");
    let other = Server::new(|_, question| vec![reply(question)]).await;
    other.client().ask().await.unwrap();
    assert_ne!(cookie_of(&other.asked()[0].1).unwrap(), cookies[0], "each server has its own");
}

#[tokio::test]
async fn a_question_without_opt_says_nothing_of_the_cookies_of_a_server() {
    let server = Server::new(|_, question| vec![reply(&question[..QUESTION])]).await;
    let client = server.client();
    let mut without = question();
    without.truncate(QUESTION);
    without[11] = 0;
    let (upstream, timeout, budget) = (client.upstream.clone(), Duration::from_secs(20), Arc::default());
    let attempt = Attempt { upstream, channel: Channel::Udp, message: without, timeout, budget };
    check(client.network.exchange(attempt).await, "without OPT");
    check(client.ask().await, "with OPT");
    assert!(cookie_of(&server.asked()[1].1).is_some());
}

#[tokio::test]
async fn a_server_without_cookies_gets_none() {
    let server = Server::new(|_, question| vec![reply(&question[..QUESTION])]).await;
    let client = server.client();
    for _ in 0..3 {
        check(client.ask().await, "no cookies");
    }
    let has_cookie: Vec<_> = server.asked().iter().map(|(_, question)| cookie_of(question).is_some()).collect();
    assert_eq!((has_cookie, server.connections()), (vec![true, false, false], 0));
}

#[tokio::test]
async fn a_cookie_that_is_wrong_or_missing_moves_the_question_to_tcp() {
    for (case, is_missing) in [("wrong", false), ("missing", true)] {
        let mut is_first = true;
        let server = Server::new(move |_, question| {
            let Some(cookie) = cookie_of(question) else { return vec![reply(question)] };
            let genuine = with_options(question, 0, &[(10, &[&cookie[..8], &[1; 8]].concat())]);
            let wrong = [(10_u16, &[9; 16][..])];
            let forged = with_options(question, 3, if is_missing { &[] } else { &wrong });
            vec![if std::mem::take(&mut is_first) { genuine } else { forged }]
        })
        .await;
        let client = server.client();
        for _ in 0..3 {
            check(client.ask().await, case);
        }
        assert_eq!(server.connections(), 1, "{case}");
        // Who sends a cookie now and then is not asked for one: there may be several behind an address.
        let (reason, count) = if is_missing { ("cookie", 1) } else { ("near_miss", 2) };
        assert_eq!(client.mismatches(reason), count, "{case}");
    }
}

#[tokio::test]
async fn a_server_that_wants_another_cookie_gets_it_once() {
    for (case, is_content, connections) in [("renewed", true, 0), ("never content", false, 1)] {
        let server = Server::new(move |_, question| {
            let cookie = cookie_of(question).expect("a cookie");
            let is_right = is_content && cookie[8..] == [5; 8];
            vec![with_options(question, if is_right { 0 } else { 23 }, &[(10, &[&cookie[..8], &[5; 8]].concat())])]
        })
        .await;
        let client = server.client();
        check(client.ask().await, case);
        assert_eq!((server.asked().len(), server.connections()), (2, connections), "{case}");
        let asked = server.asked();
        assert_ne!(asked[0].1[..2], asked[1].1[..2], "it is another question");
    }
}
