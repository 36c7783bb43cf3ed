//! Cookies towards a server (RFC 7873): who has never seen what we send cannot answer in the server's place.

use std::time::Duration;

use tokio::time::Instant;

/// The option code of cookies.
pub(super) const COOKIE: u16 = 10;

/// Octets of our part, and of both parts at most.
const CLIENT: usize = 8;
const LENGTH_MAX: usize = 40;

/// How long a server is left alone that sends no cookies, or not always (RFC 7873 section 5.3: one of several behind an
/// address).
const WITHOUT: Duration = Duration::from_secs(600);

/// A cookie as it is sent: our part, and that of the server if it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cookie {
    octets: [u8; LENGTH_MAX],
    length: usize,
}

impl Cookie {
    /// Our part. RFC 7873 section 4.1 wants it to be nobody else's and to be kept: it is random, and kept beside the
    /// sockets to one server from one address.
    fn of_ours() -> Self {
        let mut octets = [0; LENGTH_MAX];
        if let Some(client) = octets.first_chunk_mut::<CLIENT>() {
            *client = rand::random();
        }
        Self { octets, length: CLIENT }
    }

    /// Both parts, or ours.
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }

    /// Whether the part of the server is there.
    pub fn is_of_server(&self) -> bool {
        self.length > CLIENT
    }

    /// What a server answered to this cookie: our part, and its own of 8 to 32 octets or none. None: this is not it.
    pub fn answered_with(&self, answer: &[u8]) -> Option<Self> {
        let is_ours = answer.get(..CLIENT) == self.octets.get(..CLIENT);
        let mut octets = [0; LENGTH_MAX];
        octets.get_mut(..answer.len())?.copy_from_slice(answer);
        (is_ours && matches!(answer.len(), CLIENT | 16..=LENGTH_MAX)).then_some(Self { octets, length: answer.len() })
    }
}

/// What is known of the cookies of a server.
#[derive(Debug)]
pub(super) struct Cookies {
    cookie: Cookie,
    /// It sends none.
    without_until: Option<Instant>,
}

/// What one question learned of the cookies of its server.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lesson {
    /// The cookie of the reply.
    pub heard: Option<Cookie>,
    /// There was something that had everything but the cookie.
    pub is_missing: bool,
    /// Somebody else may have answered first.
    pub is_doubtful: bool,
}

impl Cookies {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self { cookie: Cookie::of_ours(), without_until: None }
    }

    /// What to send; None: nothing.
    pub fn cookie(&mut self, now: Instant) -> Option<Cookie> {
        if self.without_until.is_some_and(|until| until <= now) {
            self.without_until = None;
        }
        self.without_until.is_none().then_some(self.cookie)
    }

    /// Takes what a question learned that was sent with a cookie. A server that is not known to send cookies and did
    /// not send one is left alone, also if it did not answer: it may not like what it does not know.
    pub fn learn(&mut self, lesson: Lesson, now: Instant) {
        match lesson.heard {
            Some(heard) => (self.cookie, self.without_until) = (heard, None),
            None if lesson.is_missing || !(self.cookie.is_of_server() || lesson.is_doubtful) => {
                *self = Self { without_until: Some(now + WITHOUT), ..Self::new() };
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that was answered with a part of so many octets.
    fn answered(sent: Cookie, length: usize) -> Option<Cookie> {
        sent.answered_with(&[sent.octets()[..CLIENT].to_vec(), vec![7; length]].concat())
    }

    #[test]
    fn a_cookie_is_ours_with_8_to_32_octets_of_the_server_or_none() {
        let sent = Cookie::of_ours();
        for (length, is_one) in [(0, true), (1, false), (7, false), (8, true), (32, true), (33, false), (100, false)] {
            assert_eq!(answered(sent, length).is_some(), is_one, "{length}");
        }
        assert!(answered(Cookie::of_ours(), 8).is_some_and(|other| sent.answered_with(other.octets()).is_none()));
        assert!(sent.answered_with(&[]).is_none());
    }

    #[test]
    fn a_server_without_cookies_is_left_alone_for_ten_minutes() {
        let (mut cookies, now) = (Cookies::new(), Instant::now());
        assert!(cookies.cookie(now).is_some_and(|cookie| !cookie.is_of_server()));
        cookies.learn(Lesson::default(), now);
        assert!(cookies.cookie(now + WITHOUT - Duration::from_secs(1)).is_none());
        assert!(cookies.cookie(now + WITHOUT).is_some());
    }

    #[test]
    fn what_is_lost_or_doubtful_says_nothing_of_the_cookies_of_a_server() {
        let (mut cookies, now) = (Cookies::new(), Instant::now());
        cookies.learn(Lesson { is_doubtful: true, ..Lesson::default() }, now);
        let sent = cookies.cookie(now).expect("not known");
        let heard = answered(sent, 16);
        cookies.learn(Lesson { heard, ..Lesson::default() }, now);
        cookies.learn(Lesson::default(), now);
        assert_eq!(cookies.cookie(now), heard);
        cookies.learn(Lesson { is_missing: true, is_doubtful: true, ..Lesson::default() }, now);
        assert!(cookies.cookie(now).is_none(), "not all of those behind the address have cookies");
    }
}
