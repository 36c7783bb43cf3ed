//! Messages of another server, octet by octet: whatever can be sent, right or wrong.

use crate::wire::packet::{A, OPT, octets_of};

pub const NS: u16 = 2;
pub const CNAME: u16 = 5;
pub const SOA: u16 = 6;
pub const TXT: u16 = 16;
pub const DNAME: u16 = 39;

/// QR, RD and RA.
pub const FLAGS: u16 = 0x8180;
pub const TC: u16 = 0x0200;
pub const AD: u16 = 0x0020;

/// The address that is right, and the one that nobody is ever to see.
pub const GOOD: [u8; 4] = [192, 0, 2, 1];
pub const FORGED: [u8; 4] = [6, 6, 6, 6];

const HEADER: usize = 12;

/// A question as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub id: u16,
    /// In lower case, with the final dot.
    pub name: String,
    pub recursion_desired: bool,
    /// Name, type and class as octets.
    pub question: Vec<u8>,
}

impl Asked {
    /// Reads a message; it is our own, so there is nothing wrong with it.
    pub fn read(message: &[u8]) -> Self {
        let (mut at, mut name) = (HEADER, String::new());
        while message[at] != 0 {
            let label = &message[at + 1..at + 1 + usize::from(message[at])];
            name += &String::from_utf8_lossy(label).to_lowercase();
            name.push('.');
            at += 1 + label.len();
        }
        let number = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
        let recursion_desired = message[2] & 1 != 0;
        Self { id: number(0), name, recursion_desired, question: message[HEADER..at + 5].to_vec() }
    }

    /// The first label, which says what is to happen.
    pub fn script(&self) -> &str {
        self.name.split('.').next().unwrap_or_default()
    }
}

/// A reply, or what looks like one.
#[derive(Clone, Debug)]
pub struct Reply {
    pub id: u16,
    pub flags: u16,
    /// Name, type and class of each question.
    pub questions: Vec<Vec<u8>>,
    /// Answer, authority, additional.
    pub sections: [Vec<Vec<u8>>; 3],
}

impl Reply {
    /// NOERROR without a record.
    pub fn to(asked: &Asked) -> Self {
        Self { id: asked.id, flags: FLAGS, questions: vec![asked.question.clone()], sections: Default::default() }
    }

    /// The answer that is right.
    pub fn good(asked: &Asked) -> Self {
        Self::to(asked).with(0, [address(&asked.name, GOOD)])
    }

    /// One that is not.
    pub fn forged(asked: &Asked) -> Self {
        Self::to(asked).with(0, [address(&asked.name, FORGED)])
    }

    pub fn with(mut self, section: usize, records: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.sections[section].extend(records);
        self
    }

    pub fn with_flags(mut self, flags: u16) -> Self {
        self.flags |= flags;
        self
    }

    pub fn octets(&self) -> Vec<u8> {
        let counts = [&self.questions, &self.sections[0], &self.sections[1], &self.sections[2]].map(Vec::len);
        let counts = counts.map(|count| u16::try_from(count).expect("a count"));
        let mut octets: Vec<u8> = [self.id, self.flags].into_iter().chain(counts).flat_map(u16::to_be_bytes).collect();
        octets.extend(self.questions.iter().chain(self.sections.iter().flatten()).flatten());
        octets
    }
}

/// A record of class IN, good for five minutes.
pub fn record(owner: &str, record_type: u16, data: &[u8]) -> Vec<u8> {
    record_of(owner, record_type, 1, 300, data)
}

pub fn record_of(owner: &str, record_type: u16, class: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut octets = octets_of(owner);
    octets.extend([record_type, class].into_iter().flat_map(u16::to_be_bytes));
    octets.extend(ttl.to_be_bytes());
    octets.extend(u16::try_from(data.len()).expect("data").to_be_bytes());
    octets.extend(data);
    octets
}

pub fn address(owner: &str, address: [u8; 4]) -> Vec<u8> {
    record(owner, A, &address)
}

/// CNAME, DNAME or NS.
pub fn pointer(owner: &str, record_type: u16, target: &str) -> Vec<u8> {
    record(owner, record_type, &octets_of(target))
}

pub fn soa(apex: &str) -> Vec<u8> {
    let numbers = [1, 7200, 3600, 604_800, 60].into_iter().flat_map(u32::to_be_bytes);
    record(apex, SOA, &[octets_of("ns."), octets_of("ops."), numbers.collect()].concat())
}

/// OPT with an extended error of no text.
pub fn opt(error: u16) -> Vec<u8> {
    let [high, low] = error.to_be_bytes();
    record_of(".", OPT, 1232, 0, &[0, 15, 0, 2, high, low])
}
