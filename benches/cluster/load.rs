//! Clients: questions at a pace, changes at a pace, and how long a change takes until it is in an answer.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::api::Api;
use crate::objects::Size;

/// Clients that ask at the same time.
const CLIENTS: u32 = 4;
/// Those that look for changes.
const WATCHERS: usize = 4;
/// How long a reply may take.
const REPLY: Duration = Duration::from_secs(1);
/// How often it is looked for a change.
const LOOK: Duration = Duration::from_millis(1);
/// How long it is looked for one.
const LOST: Duration = Duration::from_secs(10);

/// A client.
struct Client {
    socket: UdpSocket,
    size: Size,
    id: u16,
}

impl Client {
    fn new(server: SocketAddr, size: Size) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(REPLY)).unwrap();
        Self { socket, size, id: 0 }
    }

    /// The address of a Service; None: no reply, or one without it.
    fn ask(&mut self, service: usize) -> Option<Ipv4Addr> {
        self.id = self.id.wrapping_add(1);
        let mut message = [&self.id.to_be_bytes()[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
        for label in format!("{}.svc.cluster.local", self.size.name(service)).split('.') {
            message.push(u8::try_from(label.len()).unwrap());
            message.extend_from_slice(label.as_bytes());
        }
        message.extend_from_slice(&[0, 0, 1, 0, 1]);
        self.socket.send(&message).ok()?;
        let mut reply = [0; 512];
        let length = self.socket.recv(&mut reply).ok()?;
        let is_answer = reply[..2] == message[..2] && reply[3] & 15 == 0 && reply[7] == 1;
        let address: [u8; 4] = reply[..length].last_chunk().copied()?;
        is_answer.then(|| address.into())
    }
}

/// Questions that go on until they are ended.
pub struct Questions {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    began: Instant,
    clients: Vec<JoinHandle<usize>>,
}

impl Questions {
    /// Begins to ask so many questions a second. The first half of the Services may have any address, the others have their
    /// first one.
    pub fn start(server: SocketAddr, size: Size, rate: u32) -> Self {
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let gap = Duration::from_secs(1) * CLIENTS / rate;
        let client = |number: u32| {
            let (stop, asked, mut client) = (stop.clone(), asked.clone(), Client::new(server, size));
            thread::spawn(move || {
                let (mut next, mut wrong) = (Instant::now() + gap * number / CLIENTS, 0);
                let mut service = number as usize * 977;
                while !stop.load(Ordering::Relaxed) {
                    service = (service + 7919) % size.services;
                    let answer = client.ask(service);
                    let is_right = match service < size.services / 2 {
                        true => answer.is_some(),
                        false => answer == Some(size.first_address(service)),
                    };
                    wrong += usize::from(!is_right);
                    asked.fetch_add(1, Ordering::Relaxed);
                    next += gap;
                    thread::sleep(next.saturating_duration_since(Instant::now()));
                }
                wrong
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { stop, asked, began: Instant::now(), clients }
    }

    /// Ends them: how many a second were asked, and how many answers were wrong.
    pub fn end(self) -> (f64, usize) {
        self.stop.store(true, Ordering::Relaxed);
        let rate = self.asked.load(Ordering::Relaxed) as f64 / self.began.elapsed().as_secs_f64();
        (rate, self.clients.into_iter().map(|client| client.join().unwrap()).sum())
    }
}

/// Changes addresses at a pace; how long each that was looked for took, in order.
pub fn changes(api: &Api, server: SocketAddr, size: Size, rate: u32, lasts: Duration) -> Vec<Duration> {
    let (sender, samples) = sync_channel::<(Instant, usize, Ipv4Addr)>(WATCHERS * 64);
    let samples = Arc::new(Mutex::new(samples));
    let watchers: Vec<_> = (0..WATCHERS)
        .map(|_| {
            let (samples, client) = (samples.clone(), Client::new(server, size));
            thread::spawn(move || look(&samples, client))
        })
        .collect();
    let (began, gap) = (Instant::now(), Duration::from_secs(1) / rate);
    // A look takes time: no more are looked for than the watchers can.
    let every = usize::try_from(rate.div_ceil(100)).unwrap();
    let (seed, mut number) = (rate.to_be_bytes(), 0);
    while began.elapsed() < lasts {
        let [.., third, fourth] = u32::try_from(number).unwrap().to_be_bytes();
        let (service, address) = (number % (size.services / 2), Ipv4Addr::new(172, seed[3], third, fourth));
        api.change(service, address);
        if number % every == 0 {
            // Where the watchers do not keep up, fewer are looked for.
            let _ = sender.try_send((Instant::now(), service, address));
        }
        number += 1;
        let next = began + gap * u32::try_from(number).unwrap();
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    drop(sender);
    let mut took: Vec<Duration> = watchers.into_iter().flat_map(|watcher| watcher.join().unwrap()).collect();
    took.sort();
    took
}

fn look(samples: &Mutex<Receiver<(Instant, usize, Ipv4Addr)>>, mut client: Client) -> Vec<Duration> {
    let mut took = Vec::new();
    loop {
        let received = samples.lock().unwrap().recv();
        let Ok((changed, service, address)) = received else { return took };
        while client.ask(service) != Some(address) && changed.elapsed() < LOST {
            thread::sleep(LOOK);
        }
        took.push(changed.elapsed());
    }
}
