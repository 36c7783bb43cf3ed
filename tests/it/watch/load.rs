//! A client that asks a thousand questions a second and knows all answers.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hickory_proto::op::Message;

use super::short;
use super::truth::Answered;

/// The pace.
const PAUSE: Duration = Duration::from_millis(1);

/// A client that was kept from asking for so long does not make up for it.
const BACKLOG_MAX: Duration = Duration::from_millis(50);

/// So many questions may wait for their replies; with more, a machine that is busy with other things would lose them.
const WAITING_MAX: usize = 100;

/// A client that is told to stop asks so many times at least.
const QUESTIONS_MIN: usize = 500;

/// How long replies may take at the end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks until it is told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<Asked>,
}

/// What came of it.
#[derive(Debug, Default)]
struct Asked {
    questions: usize,
    replies: usize,
    wrong: Option<String>,
}

impl Load {
    /// Begins to ask for all of these, again and again.
    pub fn start(dns: SocketAddr, answered: Vec<Answered>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = stop.clone();
        let asking = std::thread::spawn(move || ask(dns, &answered, &is_over));
        Self { stop, asking }
    }

    /// Whether every reply was right. A datagram in a hundred may be lost, as clients ask again.
    pub fn end(self) -> Result<(), String> {
        self.stop.store(true, Ordering::Relaxed);
        let Asked { questions, replies, wrong } = self.asking.join().expect("replies");
        println!("{replies} replies to {questions} questions");
        match wrong {
            Some(wrong) => Err(wrong),
            None if replies * 100 < questions * 99 => Err(format!("{} were not answered", questions - replies)),
            None => Ok(()),
        }
    }
}

fn ask(dns: SocketAddr, answered: &[Answered], is_over: &AtomicBool) -> Asked {
    let messages: Vec<Vec<u8>> = answered.iter().map(|(question, _)| question.octets(0)).collect();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(dns).expect("a server");
    socket.set_read_timeout(Some(PAUSE)).expect("a timeout");
    let (mut asked, mut next) = (Asked::default(), Instant::now());
    let mut deadline = None;
    while asked.wrong.is_none() && deadline.is_none_or(|deadline| Instant::now() < deadline) {
        if is_over.load(Ordering::Relaxed) && asked.questions >= QUESTIONS_MIN {
            deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
        }
        next = next.max(Instant::now() - BACKLOG_MAX);
        while deadline.is_none() && asked.questions - asked.replies < WAITING_MAX && next <= Instant::now() {
            if send(&socket, asked.questions, &messages).is_err() {
                asked.wrong.get_or_insert_with(|| "the server is gone".to_owned());
                break;
            }
            asked.questions += 1;
            next += PAUSE;
        }
        receive(&socket, answered, &mut asked);
        if deadline.is_some() && asked.replies == asked.questions {
            break;
        }
    }
    asked
}

/// Sends the question whose turn it is; its id says which one.
fn send(socket: &UdpSocket, turn: usize, messages: &[Vec<u8>]) -> io::Result<usize> {
    let which = turn % messages.len();
    let mut message = messages[which].clone();
    message[..2].copy_from_slice(&u16::try_from(which).expect("not too many questions").to_be_bytes());
    socket.send(&message)
}

/// Takes all replies that are there.
fn receive(socket: &UdpSocket, answered: &[Answered], asked: &mut Asked) {
    let mut octets = [0; 4096];
    while let Ok(length) = socket.recv(&mut octets) {
        let reply = Message::from_vec(&octets[..length]).expect("a message");
        let (question, expected) = &answered[usize::from(reply.metadata.id)];
        let found = short(Some(reply));
        if found != *expected {
            let words = format!("{} {}: {found}, not {expected}", question.name, question.record_type);
            asked.wrong.get_or_insert(words);
        }
        asked.replies += 1;
    }
}
