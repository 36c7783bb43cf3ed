//! Clients that ask as fast as they are answered.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::datagrams::{Inbox, Outbox};
use super::question::{Name, id};

/// How many questions are open at a time.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    pub sockets: usize,
    /// At most 32, a batch.
    pub each: usize,
    /// How long nothing may come before what was asked is taken as lost.
    pub patience: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Saturated {
    /// Good answers.
    pub answered: u64,
    /// Replies that were none.
    pub wrong: u64,
    pub lost: u64,
}

/// Asks for random names, each one once, until the time is over or so many were asked, and waits for the last answers.
pub fn saturate(server: SocketAddr, open: Open, lasts: Duration, questions: u64) -> Saturated {
    let began = Instant::now();
    let (mut total, mut left, mut inbox) = (Saturated::default(), questions, Inbox::default());
    let mut clients: Vec<_> = (0..open.sockets).map(|_| Client::new(server, open)).collect();
    clients.iter_mut().for_each(|client| client.ask(&mut left));
    while began.elapsed() < lasts && left > 0 {
        for client in &mut clients {
            client.take(&mut inbox, &mut total);
            client.ask(&mut left);
        }
    }
    for client in &mut clients {
        while client.waiting.iter().any(Option::is_some) {
            client.take(&mut inbox, &mut total);
        }
    }
    total
}

/// A socket, and what it waits for: the lower half of an id is the place here.
struct Client {
    socket: UdpSocket,
    waiting: Vec<Option<(u16, Name)>>,
    outbox: Outbox,
}

impl Client {
    fn new(server: SocketAddr, open: Open) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(open.patience)).unwrap();
        Self { socket, waiting: vec![None; open.each], outbox: Outbox::default() }
    }

    /// Fills the places that are free.
    fn ask(&mut self, left: &mut u64) {
        for (place, waiting) in self.waiting.iter_mut().enumerate() {
            if waiting.is_none() && *left > 0 {
                let (id, name) = (u16::from_be_bytes([rand::random(), u8::try_from(place).unwrap()]), Name::random());
                name.ask(id, self.outbox.message(None));
                *waiting = Some((id, name));
                *left -= 1;
            }
        }
        self.outbox.send(&self.socket);
    }

    /// Takes what has come, or waits for it.
    fn take(&mut self, inbox: &mut Inbox, total: &mut Saturated) {
        if inbox.receive(&self.socket).is_err() {
            total.lost += self.waiting.iter_mut().filter_map(Option::take).count() as u64;
            return;
        }
        for (reply, _) in inbox.datagrams() {
            let place = id(reply).and_then(|id| self.waiting.get_mut(usize::from(id & 0xff)));
            match place.and_then(Option::take) {
                Some((id, name)) if name.is_answered_by(id, reply) => total.answered += 1,
                _ => total.wrong += 1,
            }
        }
    }
}
