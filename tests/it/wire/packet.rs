//! Requests as octets: whatever can be sent, right or wrong.

/// A message with one question, or with what its fields make of it.
#[derive(Clone, Debug)]
pub struct Packet {
    pub id: u16,
    pub flags: u16,
    /// Of questions, answers, authority and additional records.
    pub counts: [u16; 4],
    /// The name of the question as octets.
    pub name: Vec<u8>,
    pub record_type: u16,
    pub class: u16,
    /// What comes behind the question.
    pub rest: Vec<u8>,
}

pub const RD: u16 = 0x0100;

/// The class CH.
pub const CH: u16 = 3;

pub const A: u16 = 1;
pub const AAAA: u16 = 28;
pub const OPT: u16 = 41;

impl Packet {
    /// A query with RD.
    pub fn new(name: &str, record_type: u16) -> Self {
        Self {
            id: 0x4711,
            flags: RD,
            counts: [1, 0, 0, 0],
            name: octets_of(name),
            record_type,
            class: 1,
            rest: Vec::new(),
        }
    }

    /// The same with OPT.
    pub fn with_opt(self, opt: Opt) -> Self {
        let mut packet = self;
        packet.counts[3] += 1;
        packet.rest.extend(opt.octets());
        packet
    }

    pub fn octets(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        let [questions, answers, authority, additional] = self.counts;
        for field in [self.id, self.flags, questions, answers, authority, additional] {
            octets.extend(field.to_be_bytes());
        }
        octets.extend(&self.name);
        octets.extend(self.record_type.to_be_bytes());
        octets.extend(self.class.to_be_bytes());
        octets.extend(&self.rest);
        octets
    }
}

/// An OPT record.
#[derive(Clone, Debug)]
pub struct Opt {
    pub udp_size: u16,
    pub version: u8,
    pub flags: u16,
    /// Code and octets.
    pub options: Vec<(u16, Vec<u8>)>,
}

impl Default for Opt {
    fn default() -> Self {
        Self { udp_size: 1232, version: 0, flags: 0, options: Vec::new() }
    }
}

impl Opt {
    pub fn octets(&self) -> Vec<u8> {
        let mut options = Vec::new();
        for (code, data) in &self.options {
            options.extend(code.to_be_bytes());
            options.extend(u16::try_from(data.len()).expect("an option").to_be_bytes());
            options.extend(data);
        }
        let mut octets = vec![0];
        octets.extend(OPT.to_be_bytes());
        octets.extend(self.udp_size.to_be_bytes());
        octets.extend([0, self.version]);
        octets.extend(self.flags.to_be_bytes());
        octets.extend(u16::try_from(options.len()).expect("options").to_be_bytes());
        octets.extend(options);
        octets
    }
}

/// A name in presentation form without escapes, as octets.
pub fn octets_of(name: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        octets.push(u8::try_from(label.len()).expect("a label"));
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    octets
}
