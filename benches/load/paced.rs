//! Clients that ask at a pace, whether they are answered or not.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::datagrams::{BATCH, Inbox, Outbox};
use super::question::{Name, id};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is looked whether all is over.
const LOOK: Duration = Duration::from_millis(50);

/// What came of questions at a pace.
#[derive(Debug, Default)]
pub struct Paced {
    pub asked: u64,
    /// How long the good answers took, in order.
    pub took: Vec<Duration>,
    /// Replies that were none.
    pub wrong: u64,
}

impl Paced {
    /// How long an answer took at most, of so many of a hundred; zero: there was none.
    pub fn percentile(&self, percent: usize) -> Duration {
        let last = self.took.len().saturating_sub(1);
        self.took.get(last * percent / 100).copied().unwrap_or_default()
    }

    /// How many questions had no good answer.
    pub fn missed(&self) -> u64 {
        self.asked - self.took.len() as u64
    }

    /// Both together.
    pub fn and(mut self, other: Self) -> Self {
        self.asked += other.asked;
        self.wrong += other.wrong;
        self.took.extend(other.took);
        self.took.sort_unstable();
        self
    }
}

/// Asks from a local address for random names, so many a second; `batch` of them at a time, 32 at most.
pub fn ask(from: Ipv4Addr, server: SocketAddr, rate: u32, batch: usize, lasts: Duration) -> Paced {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(LOOK)).unwrap();
    let open = Arc::new(Mutex::new(vec![None; usize::from(u16::MAX) + 1]));
    let is_over = Arc::new(AtomicBool::new(false));
    let receiver = {
        let (socket, open, is_over) = (socket.try_clone().unwrap(), open.clone(), is_over.clone());
        thread::spawn(move || take(&socket, &open, &is_over))
    };
    let asked = send(&socket, &open, rate, batch.min(BATCH), lasts);
    let ended = Instant::now();
    while ended.elapsed() < PATIENCE && open.lock().unwrap().iter().any(Option::is_some) {
        thread::sleep(LOOK);
    }
    is_over.store(true, Ordering::Relaxed);
    Paced { asked, ..receiver.join().unwrap() }
}

/// What waits for its answer, by the id.
type Waiting = Mutex<Vec<Option<(Instant, Name)>>>;

fn send(socket: &UdpSocket, open: &Waiting, rate: u32, batch: usize, lasts: Duration) -> u64 {
    let (mut outbox, mut asked) = (Outbox::default(), 0_u64);
    let began = Instant::now();
    while began.elapsed() < lasts {
        {
            let mut open = open.lock().unwrap();
            for _ in 0..batch {
                let (id, name) = (asked as u16, Name::random());
                name.ask(id, outbox.message(None));
                open[usize::from(id)] = Some((Instant::now(), name));
                asked += 1;
            }
        }
        outbox.send(socket);
        let next = began + Duration::from_secs_f64(asked as f64 / f64::from(rate));
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    asked
}

fn take(socket: &UdpSocket, open: &Waiting, is_over: &AtomicBool) -> Paced {
    let (mut inbox, mut paced) = (Inbox::default(), Paced::default());
    while !is_over.load(Ordering::Relaxed) {
        if inbox.receive(socket).is_err() {
            continue;
        }
        let now = Instant::now();
        let mut open = open.lock().unwrap();
        for (reply, _) in inbox.datagrams() {
            let waiting = id(reply).and_then(|id| Some((id, open[usize::from(id)].take()?)));
            match waiting {
                Some((id, (asked, name))) if name.is_answered_by(id, reply) => paced.took.push(now - asked),
                _ => paced.wrong += 1,
            }
        }
    }
    paced.took.sort_unstable();
    paced
}

/// So many clients with an address each, from 127.0.0.2 on, that ask at a pace each.
pub fn many(clients: u8, server: SocketAddr, rate: u32, lasts: Duration) -> Paced {
    let client = |number: u8| {
        thread::spawn(move || {
            // Not all at the same moment.
            thread::sleep(Duration::from_secs(1) / rate * u32::from(number) / u32::from(clients));
            ask(Ipv4Addr::new(127, 0, 0, 2 + number), server, rate, 1, lasts)
        })
    };
    let threads: Vec<_> = (0..clients).map(client).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).fold(Paced::default(), Paced::and)
}

/// Asks for one name, so often from each of so many addresses, all before the first answer can be there. How many good answers
/// came.
pub fn identical(clients: u8, each: u16, server: SocketAddr) -> u64 {
    let name = Name::random();
    let sockets: Vec<_> = (0..clients)
        .map(|number| {
            let socket = UdpSocket::bind((IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2 + number)), 0)).unwrap();
            socket.connect(server).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        })
        .collect();
    let (mut message, mut answered) = (Vec::new(), 0);
    for id in 0..each {
        for socket in &sockets {
            message.clear();
            name.ask(id, &mut message);
            socket.send(&message).unwrap();
        }
        // A socket's buffer is not what is measured here.
        thread::sleep(Duration::from_micros(200));
    }
    let mut reply = [0; 1232];
    for socket in &sockets {
        let mut open: Vec<bool> = vec![true; usize::from(each)];
        while open.contains(&true) {
            let Ok(length) = socket.recv(&mut reply) else { break };
            let reply = &reply[..length];
            let place =
                id(reply).filter(|id| name.is_answered_by(*id, reply)).and_then(|id| open.get_mut(usize::from(id)));
            match place {
                Some(place) => answered += u64::from(std::mem::replace(place, false)),
                // What is no answer is the last word, too.
                None => *open.iter_mut().find(|place| **place).unwrap() = false,
            }
        }
    }
    answered
}
