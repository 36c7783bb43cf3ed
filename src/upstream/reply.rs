//! Which reply belongs to which question: the same id, QR, the same opcode, and the same question; over UDP also the same
//! letters, and our cookie.

use std::io;
use std::ops::Range;

use super::cookie::{COOKIE, Cookie};
use crate::dns::{opt_option, opt_record};
use crate::metrics::{Counter, Metrics};

/// Octets of a header (RFC 1035 section 4.1.1).
const HEADER: usize = 12;

/// Octets of a name at most (RFC 1035 section 2.3.4).
const NAME_MAX: usize = 255;

/// Octets of OPT before its options (RFC 6891 section 6.1.2).
const OPT_HEAD: usize = 11;

/// The lower bits of a response code.
const FORM_ERR: u8 = 1;

/// The code of a server that wants its cookie (RFC 7873 section 8).
const BAD_COOKIE: u16 = 23;

/// A question as it goes out, with an id of its own.
#[derive(Clone, Debug)]
pub(super) struct Question {
    octets: Vec<u8>,
    /// Where the name of the question ends, and type and class begin.
    name_end: usize,
    /// A bit for each octet of the name: a letter there is not in the case that the client wrote.
    flipped: [u64; 4],
    cookie: Option<Cookie>,
}

/// What a message is to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its reply.
    Reply,
    /// Its reply, but for the case of letters.
    WrongCase,
    /// Its reply, but without a cookie, which this server had sent before.
    NoCookie,
    /// The server wants another cookie, and says which.
    BadCookie,
    /// FORMERR without a question: it comes from a server that is older than EDNS, or from somebody who guessed the id. A
    /// server that has sent a cookie is not older.
    KnowsNoEdns,
    /// It has the id or the question, and is no reply: somebody guesses.
    NearMiss,
    /// It has neither.
    Foreign,
}

impl Question {
    /// Gives a message of one question an id that nobody can guess. The message is one of ours: OPT is its end.
    pub fn new(message: Vec<u8>) -> io::Result<Self> {
        let name_end = name_end(&message).filter(|end| message.len() >= end + 4 && *end <= HEADER + NAME_MAX);
        let Some(name_end) = name_end else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no message with a question"));
        };
        let mut question = Self { octets: message, name_end, flipped: [0; 4], cookie: None };
        question.renew_id();
        Ok(question)
    }

    /// The same without an id, where the connection tells what is the reply (RFC 8484 section 4.1).
    pub fn without_id(mut self) -> Self {
        if let Some(id) = self.octets.first_chunk_mut() {
            *id = [0; 2];
        }
        self
    }

    /// Another id.
    pub fn renew_id(&mut self) {
        if let Some(id) = self.octets.first_chunk_mut() {
            *id = rand::random::<[u8; 2]>();
        }
    }

    /// Writes the letters of the name in random case: whoever did not see the question has to guess that, too
    /// (draft-vixie-dnsext-dns0x20).
    pub fn mix_case(&mut self) {
        self.flip_case();
        self.flipped = rand::random();
        self.flip_case();
    }

    /// The name with the client's letters, for a connection, whose replies nobody else can make.
    pub fn unmixed(&self) -> Self {
        let mut question = self.clone();
        question.flip_case();
        question.flipped = [0; 4];
        question
    }

    /// Writes letters in the other case, and those that were back in their own.
    fn flip_case(&mut self) {
        if self.flipped == [0; 4] {
            return;
        }
        // A label is at most 63 octets long, which is below every letter: lengths stay as they are.
        let name = self.octets.get_mut(HEADER..self.name_end).unwrap_or_default();
        for (part, mut bits) in name.chunks_mut(64).zip(self.flipped) {
            for octet in part {
                *octet ^= (u8::from(octet.is_ascii_alphabetic()) & (bits & 1) as u8) << 5;
                bits >>= 1;
            }
        }
    }

    /// Puts a cookie into OPT, if there is one and no rule has put a cookie there.
    pub fn set_cookie(&mut self, cookie: Cookie) {
        if let Some(before) = self.cookie.take() {
            self.octets.truncate(self.octets.len() - 4 - before.octets().len());
        }
        let options_at = self.name_end + 4 + OPT_HEAD;
        let Some(options) = self.octets.get(options_at..) else { return };
        let Ok(length) = u16::try_from(options.len() + 4 + cookie.octets().len()) else { return };
        if opt_option(options, COOKIE).is_some() {
            return;
        }
        self.octets.extend(COOKIE.to_be_bytes());
        self.octets.extend([0, cookie.octets().len() as u8]);
        self.octets.extend_from_slice(cookie.octets());
        self.octets.splice(options_at - 2..options_at, length.to_be_bytes());
        self.cookie = Some(cookie);
    }

    /// The cookie that it was given.
    pub fn cookie(&self) -> Option<Cookie> {
        self.cookie
    }

    /// Whether there is OPT.
    fn has_opt(&self) -> bool {
        self.octets.len() > self.name_end + 4
    }

    /// The same question of a server that is older than EDNS (RFC 6891 section 6.2.2).
    pub fn remove_opt(&mut self) {
        self.octets.truncate(self.name_end + 4);
        if let Some(count) = self.octets.get_mut(HEADER - 2..HEADER) {
            count.fill(0);
        }
        self.cookie = None;
    }

    /// What is sent.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// The id.
    pub fn id(&self) -> Option<[u8; 2]> {
        self.octets.first_chunk().copied()
    }

    /// Whether a message of a connection belongs to this question. Letter case of the name does not count: some servers
    /// change it.
    pub fn is_answered_by(&self, reply: &[u8]) -> bool {
        matches!(self.verdict(reply), Verdict::Reply | Verdict::WrongCase)
    }

    /// What a message is to this question. Letter case counts where it was mixed, and cookies where one was sent.
    pub fn verdict(&self, message: &[u8]) -> Verdict {
        let is_same = |range: Range<usize>| message.get(range.clone()).is_some_and(|part| self.is_at(range, part));
        let name = HEADER..self.name_end;
        let is_name =
            |name: &[u8]| self.octets.get(HEADER..self.name_end).is_some_and(|own| own.eq_ignore_ascii_case(name));
        let has_id = is_same(0..2);
        let has_question = is_same(4..6)
            && is_same(self.name_end..self.name_end + 4)
            && message.get(name.clone()).is_some_and(is_name);
        let is_reply = self.has_flags_of(message);
        match (has_id, has_question) {
            (true, true) if is_reply && self.flipped != [0; 4] && !is_same(name) => Verdict::WrongCase,
            (true, true) if is_reply => self.verdict_of_cookie(message),
            (true, false) if is_reply && self.may_lack_edns() && bare_error(message) == Some(FORM_ERR) => {
                Verdict::KnowsNoEdns
            }
            (true, _) | (_, true) => Verdict::NearMiss,
            (false, false) => Verdict::Foreign,
        }
    }

    /// Whether a message of a connection is an error that leaves the question out: nobody but the server can have sent it.
    pub fn is_turned_down_by(&self, message: &[u8]) -> bool {
        message.get(..2).is_some_and(|id| self.is_at(0..2, id))
            && self.has_flags_of(message)
            && bare_error(message).is_some()
    }

    /// Whether QR is set, and the opcode is that of the question.
    fn has_flags_of(&self, message: &[u8]) -> bool {
        self.octets.get(2).zip(message.get(2)).is_some_and(|(own, flags)| flags & 0xf8 == 0x80 | own & 0x78)
    }

    /// Whether EDNS was used, and the server has not shown that it knows it.
    fn may_lack_edns(&self) -> bool {
        self.has_opt() && !self.cookie.is_some_and(|cookie| cookie.is_of_server())
    }

    fn is_at(&self, range: Range<usize>, part: &[u8]) -> bool {
        self.octets.get(range) == Some(part)
    }

    /// RFC 7873 section 5.3: a cookie that is not ours is a forger's.
    fn verdict_of_cookie(&self, message: &[u8]) -> Verdict {
        let Some(sent) = self.cookie else { return Verdict::Reply };
        let opt = opt_record(message);
        let Some(cookie) = opt.and_then(|opt| opt_option(opt.options, COOKIE)) else {
            return if sent.is_of_server() { Verdict::NoCookie } else { Verdict::Reply };
        };
        let code =
            opt.map_or(0, |opt| u16::from(opt.upper_code) << 4) | message.get(3).map_or(0, |low| u16::from(low & 0xf));
        match sent.answered_with(cookie) {
            None => Verdict::NearMiss,
            Some(answer) if code == BAD_COOKIE && answer.is_of_server() => Verdict::BadCookie,
            Some(_) => Verdict::Reply,
        }
    }

    /// The cookie of a reply to this question, if it has one.
    pub fn cookie_of(&self, reply: &[u8]) -> Option<Cookie> {
        let answer = self.cookie?.answered_with(opt_option(opt_record(reply)?.options, COOKIE)?)?;
        answer.is_of_server().then_some(answer)
    }

    /// Puts the reply in the place of the question, which is over; names in it point to the name of the question, so
    /// that gets the client's letters again. A datagram that was longer than what could be read is empty and has TC.
    pub fn replace_by(&mut self, reply: &[u8], is_whole: bool) {
        self.flip_case();
        self.flipped = [0; 4];
        self.octets.truncate(self.name_end);
        if let (Some(own), Some(header)) = (self.octets.get_mut(..HEADER), reply.get(..HEADER)) {
            own.copy_from_slice(header);
        }
        let end = if is_whole { reply.len() } else { self.name_end + 4 };
        self.octets.extend_from_slice(reply.get(self.name_end..end).unwrap_or_default());
        if !is_whole {
            self.octets.splice(6..HEADER, [0; 6]);
            if let Some(flags) = self.octets.get_mut(2) {
                *flags |= 0x02;
            }
        }
    }

    /// What is sent, or what was replied.
    pub fn into_octets(self) -> Vec<u8> {
        self.octets
    }
}

/// Where the name behind the header ends; it is our own, and so without pointers.
fn name_end(message: &[u8]) -> Option<usize> {
    let mut at = HEADER;
    loop {
        match usize::from(*message.get(at)?) {
            0 => return Some(at + 1),
            length => at += 1 + length,
        }
    }
}

/// The lower bits of the code of a message that is an error, and has no question.
fn bare_error(message: &[u8]) -> Option<u8> {
    let code = message.get(3)? & 0xf;
    (message.len() >= HEADER && code != 0 && message.get(4..6) == Some(&[0; 2])).then_some(code)
}

/// What came from one server and was no reply, counted by what it is instead.
#[derive(Debug)]
pub(super) struct Mismatches {
    case: Counter,
    cookie: Counter,
    near_miss: Counter,
    foreign: Counter,
    late: Counter,
}

impl Mismatches {
    /// Counts under the label of a server.
    pub fn new(to: &str, metrics: &Metrics) -> Self {
        let counter = |reason| metrics.landfall_upstream_mismatches.with_label_values(&[to, reason]);
        Self {
            case: counter("case"),
            cookie: counter("cookie"),
            near_miss: counter("near_miss"),
            foreign: counter("foreign"),
            late: counter("late"),
        }
    }

    /// Counts a message.
    pub fn count(&self, verdict: Verdict) {
        match verdict {
            Verdict::Reply => {}
            Verdict::WrongCase => self.case.inc(),
            Verdict::NoCookie | Verdict::BadCookie => self.cookie.inc(),
            Verdict::NearMiss | Verdict::KnowsNoEdns => self.near_miss.inc(),
            Verdict::Foreign => self.foreign.inc(),
        }
    }

    /// Counts a message that was for nobody any more.
    pub fn count_late(&self) {
        self.late.inc();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::super::cookie::Cookies;
    use super::*;

    const OPT: [u8; 11] = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];

    /// The question `ab.` of a type, with a header that is all zeros but for the one question.
    fn message(record_type: u16) -> Vec<u8> {
        let [high, low] = record_type.to_be_bytes();
        vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, b'a', b'b', 0, high, low, 0, 1]
    }

    /// The same with OPT and its options.
    fn message_with(opt: &[u8]) -> Vec<u8> {
        let mut octets = [&message(1), opt].concat();
        octets[11] = 1;
        octets
    }

    fn reply(question: &Question) -> Vec<u8> {
        let mut octets = question.octets().to_vec();
        octets[2] |= 0x80;
        octets
    }

    /// A cookie of ours, with a part of the server.
    fn with_part(cookie: Cookie, part: &[u8]) -> Cookie {
        cookie.answered_with(&[&cookie.octets()[..8], part].concat()).unwrap()
    }

    #[test]
    fn only_the_reply_to_the_question_is_one() {
        use Verdict::{Foreign, KnowsNoEdns, NearMiss, Reply, WrongCase};
        // Type 65 differs from type 97 only in what would be letter case.
        let mut question = Question::new([message(65), OPT.to_vec()].concat()).unwrap();
        question.flipped = [2, 0, 0, 0];
        question.flip_case();
        let check = |expected: Verdict, change: &dyn Fn(&mut Vec<u8>)| {
            let mut octets = reply(&question);
            change(&mut octets);
            assert_eq!(question.verdict(&octets), expected, "{octets:?}");
            assert_eq!(question.unmixed().is_answered_by(&octets), matches!(expected, Reply | WrongCase), "{octets:?}");
        };
        check(Reply, &|_| {});
        check(Reply, &|octets| octets.extend([9; 30]));
        check(Reply, &|octets| octets[2] |= 0x07);
        check(WrongCase, &|octets| octets[13] = b'a');
        check(WrongCase, &|octets| octets[14] = b'B');
        check(NearMiss, &|octets| octets[0] ^= 1);
        check(NearMiss, &|octets| octets[1] ^= 0x20);
        check(NearMiss, &|octets| octets[2] &= 0x7f);
        check(NearMiss, &|octets| octets[2] |= 0x20);
        check(NearMiss, &|octets| octets[5] = 0);
        check(NearMiss, &|octets| octets[5] = 2);
        check(NearMiss, &|octets| octets[12] = 1);
        check(NearMiss, &|octets| octets[13] = b'x');
        check(NearMiss, &|octets| octets[17] = 97);
        check(NearMiss, &|octets| octets[19] = 3);
        check(Foreign, &|octets| (octets[0], octets[13]) = (!octets[0], b'x'));
        check(Foreign, &|octets| octets.truncate(1));
        check(KnowsNoEdns, &|octets| (octets[3], octets[5]) = (0x81, 0));
        check(NearMiss, &|octets| (octets[1], octets[3], octets[5]) = (!octets[1], 0x81, 1));
        (2..message(65).len()).for_each(|length| check(NearMiss, &|octets| octets.truncate(length)));
    }

    #[test]
    fn letters_are_sent_in_any_case_and_come_back_as_they_were() {
        let name = [&[40][..], &[b'a'; 40], &[40], &[b'Z'; 40], &[2, b'1', b'-', 0, 0, 1, 0, 1]].concat();
        let message = [&message(1)[..HEADER], &name].concat();
        let mut question = Question::new(message.clone()).unwrap();
        question.mix_case();
        let sent = question.octets().to_vec();
        assert!(sent[HEADER..].eq_ignore_ascii_case(&message[HEADER..]));
        for part in [13..53, 54..94] {
            assert!(sent[part.clone()].iter().any(u8::is_ascii_lowercase), "{sent:?}");
            assert!(sent[part].iter().any(u8::is_ascii_uppercase), "{sent:?}");
        }
        assert_eq!(question.unmixed().octets()[HEADER..], message[HEADER..]);
        let answer = [&reply(&question)[..], &[0xc0, 12, 9, 9]].concat();
        question.replace_by(&answer, true);
        let octets = question.into_octets();
        assert_eq!((&octets[..HEADER], &octets[HEADER..message.len()]), (&answer[..HEADER], &message[HEADER..]));
        assert_eq!(octets[message.len()..], [0xc0, 12, 9, 9]);
    }

    #[test]
    fn a_cookie_goes_into_opt_once_and_comes_back() {
        let cookie = |part: &[u8]| with_part(Cookies::new().cookie(Instant::now()).unwrap(), part);
        let mut question = Question::new(message_with(&OPT)).unwrap();
        for part in [&[][..], &[1; 32], &[2; 8]] {
            let sent = cookie(part);
            question.set_cookie(sent);
            let opt = opt_record(question.octets()).expect("OPT");
            assert_eq!(opt.options.len(), 4 + 8 + part.len());
            assert_eq!(opt_option(opt.options, COOKIE), Some(sent.octets()));
            assert_eq!(question.octets().len(), message(1).len() + OPT.len() + opt.options.len());
            assert_eq!(question.cookie_of(&reply(&question)).is_some(), !part.is_empty());
        }
        question.remove_opt();
        assert_eq!((&question.octets()[2..], question.cookie()), (&message(1)[2..], None));
        let mut question = Question::new(message(1)).unwrap();
        question.set_cookie(cookie(&[]));
        assert_eq!((&question.octets()[2..], question.cookie()), (&message(1)[2..], None), "there is no OPT");
        let of_a_rule = [&OPT[..9], &[0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]].concat();
        let mut question = Question::new(message_with(&of_a_rule)).unwrap();
        question.set_cookie(cookie(&[]));
        assert_eq!(question.cookie(), None, "one is enough");
    }

    #[test]
    fn a_cookie_that_is_not_ours_is_no_reply_and_one_that_is_missing_is_noticed() {
        let ours = Cookies::new().cookie(Instant::now()).unwrap();
        let known = with_part(ours, &[1; 16]);
        let check = |sent: Cookie, answer: &[u8], code: u8, expected: Verdict| {
            let mut question = Question::new(message_with(&OPT)).unwrap();
            question.set_cookie(sent);
            let option = [&[0, 10, 0, answer.len() as u8][..], answer].concat();
            let option = if answer.is_empty() { Vec::new() } else { option };
            let opt = [&OPT[..5], &[code >> 4, 0, 0, 0, 0, option.len() as u8], &option].concat();
            let mut octets = [&reply(&question)[..message(1).len()], &opt].concat();
            (octets[3], octets[11]) = (code & 0xf, 1);
            assert_eq!(question.verdict(&octets), expected, "{octets:?}");
        };
        let renewed = with_part(ours, &[2; 16]);
        check(ours, &[], 0, Verdict::Reply);
        check(known, &[], 0, Verdict::NoCookie);
        for sent in [ours, known] {
            check(sent, renewed.octets(), 0, Verdict::Reply);
            check(sent, renewed.octets(), 23, Verdict::BadCookie);
            check(sent, renewed.octets(), 7, Verdict::Reply);
            check(sent, ours.octets(), 0, Verdict::Reply);
            check(sent, &[9; 24], 0, Verdict::NearMiss);
            check(sent, &[9; 24], 23, Verdict::NearMiss);
            check(sent, &renewed.octets()[..7], 0, Verdict::NearMiss);
            check(sent, &[renewed.octets(), &[0; 20]].concat(), 0, Verdict::NearMiss);
        }
    }

    #[test]
    fn a_cut_reply_is_empty_and_truncated() {
        let mut question = Question::new(message(1)).unwrap();
        let mut octets = reply(&question);
        octets[7] = 40;
        octets.extend([1; 5000]);
        let before = question.clone();
        question.replace_by(&octets, false);
        let octets = question.into_octets();
        assert!(before.is_answered_by(&octets));
        assert_eq!((octets.len(), octets[2] & 2, &octets[6..12]), (20, 2, &[0; 6][..]));
    }

    #[test]
    fn what_has_no_question_is_not_asked() {
        for length in [0, 5, 12, 14, 19] {
            assert!(Question::new(message(1)[..length].to_vec()).is_err(), "{length}");
        }
    }

    #[test]
    fn every_question_has_an_id_of_its_own() {
        let ids: std::collections::HashSet<_> =
            (0..100).map(|_| Question::new(message(1)).unwrap().octets()[..2].to_vec()).collect();
        assert!(ids.len() > 90);
    }
}
