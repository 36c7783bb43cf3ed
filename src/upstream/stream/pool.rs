//! Which of the connections to a server takes the next question. Time is an argument.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// How long connections are kept, and how many.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long an idle one is kept.
    pub expire: Duration,
    /// How long any takes questions.
    pub max_age: Option<Duration>,
    /// Idle ones at most.
    pub idle_max: usize,
    /// Questions on one of them at most.
    pub questions_max: usize,
}

/// The connections that take questions. What is taken out of it lasts until the questions on it are over.
#[derive(Debug)]
pub struct Pool<C> {
    limits: Limits,
    open: Vec<Open<C>>,
    /// Whether a task looks for those whose time is over.
    pub is_swept: bool,
}

#[derive(Debug)]
struct Open<C> {
    connection: Arc<C>,
    begun: Instant,
    /// When the last question on it was over.
    used: Instant,
    /// Questions on it.
    questions: usize,
}

impl<C> Pool<C> {
    /// No connections yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, open: Vec::new(), is_swept: false }
    }

    /// Takes out what has ended, and those whose time is over.
    pub fn tidy(&mut self, has_ended: impl Fn(&C) -> bool, now: Instant) {
        let Limits { expire, max_age, idle_max, .. } = self.limits;
        self.open.retain(|open| {
            let is_old = max_age.is_some_and(|max| now.duration_since(open.begun) >= max);
            let is_over = open.questions == 0 && now.duration_since(open.used) >= expire;
            !(is_old || is_over || has_ended(&open.connection))
        });
        while self.idle().count() > idle_max {
            let Some((oldest, _)) = self.idle().min_by_key(|(_, open)| open.used) else { return };
            self.open.swap_remove(oldest);
        }
    }

    /// An idle connection takes a question: the one that was used last, so that the others may expire.
    pub fn take_idle(&mut self) -> Option<Arc<C>> {
        let at = self.idle().max_by_key(|(_, open)| open.used)?.0;
        self.open.get_mut(at).map(Open::take)
    }

    /// A connection that has questions already takes another one: the one that has the fewest.
    pub fn take_busy(&mut self) -> Option<Arc<C>> {
        let max = self.limits.questions_max;
        let has_room = self.open.iter_mut().filter(|open| open.questions < max);
        has_room.min_by_key(|open| open.questions).map(Open::take)
    }

    /// A new connection has its first question.
    pub fn add(&mut self, connection: Arc<C>, now: Instant) {
        self.open.push(Open { connection, begun: now, used: now, questions: 1 });
    }

    /// A question is over. If the connection is not well, it takes no more of them.
    pub fn leave(&mut self, connection: &Arc<C>, is_well: bool, now: Instant) {
        let Some(at) = self.open.iter().position(|open| Arc::ptr_eq(&open.connection, connection)) else { return };
        if !is_well {
            self.open.swap_remove(at);
        } else if let Some(open) = self.open.get_mut(at) {
            open.questions -= 1;
            open.used = now;
        }
    }

    /// Whether there is a connection without questions.
    pub fn has_idle(&self) -> bool {
        self.idle().next().is_some()
    }

    fn idle(&self) -> impl Iterator<Item = (usize, &Open<C>)> {
        self.open.iter().enumerate().filter(|(_, open)| open.questions == 0)
    }
}

impl<C> Open<C> {
    fn take(&mut self) -> Arc<C> {
        self.questions += 1;
        self.connection.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { expire: Duration::from_secs(10), max_age: None, idle_max: 64, questions_max: 2 };

    fn after(seconds: u64) -> Instant {
        static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        *START + Duration::from_secs(seconds)
    }

    /// Connections that are all idle; each was used a second after the one before, beginning at 0.
    fn idle(limits: Limits, names: &[char]) -> Pool<char> {
        let mut pool = Pool::new(limits);
        for (second, name) in names.iter().enumerate() {
            let connection = Arc::new(*name);
            pool.add(connection.clone(), after(0));
            pool.leave(&connection, true, after(second as u64));
        }
        pool
    }

    /// All that take questions one after the other, idle ones first.
    fn taken(pool: &mut Pool<char>, second: u64) -> String {
        pool.tidy(|_| false, after(second));
        std::iter::from_fn(|| pool.take_idle()).map(|name| *name).collect()
    }

    #[test]
    fn the_idle_connection_that_was_used_last_is_the_next() {
        assert_eq!(taken(&mut idle(LIMITS, &['a', 'b', 'c']), 2), "cba");
    }

    #[test]
    fn an_idle_connection_expires() {
        assert_eq!(taken(&mut idle(LIMITS, &['a', 'b', 'c']), 9), "cba");
        assert_eq!(taken(&mut idle(LIMITS, &['a', 'b', 'c']), 11), "c");
    }

    #[test]
    fn a_connection_with_questions_does_not_expire() {
        let mut pool = Pool::new(LIMITS);
        pool.add(Arc::new('a'), after(0));
        pool.tidy(|_| false, after(100));
        assert!(pool.take_busy().is_some());
    }

    #[test]
    fn an_old_connection_takes_no_questions_used_or_not() {
        let mut pool = idle(Limits { max_age: Some(Duration::from_secs(5)), ..LIMITS }, &['a', 'b']);
        pool.add(Arc::new('c'), after(0));
        pool.add(Arc::new('d'), after(1));
        pool.tidy(|_| false, after(4));
        assert_eq!(pool.open.len(), 4);
        pool.tidy(|_| false, after(5));
        assert_eq!((pool.take_idle(), pool.take_busy().as_deref()), (None, Some(&'d')));
    }

    #[test]
    fn of_too_many_idle_connections_those_stay_that_were_used_last() {
        assert_eq!(taken(&mut idle(Limits { idle_max: 2, ..LIMITS }, &['a', 'b', 'c', 'd']), 4), "dc");
    }

    #[test]
    fn a_busy_connection_takes_questions_up_to_its_bound_the_least_busy_first() {
        let mut pool = Pool::new(LIMITS);
        let (a, b) = (Arc::new('a'), Arc::new('b'));
        pool.add(a.clone(), after(0));
        pool.add(b.clone(), after(0));
        let mut taken: Vec<_> = std::iter::from_fn(|| pool.take_busy()).collect();
        taken.sort_unstable();
        assert_eq!(taken, [a.clone(), b.clone()]);
        pool.leave(&b, true, after(1));
        assert_eq!(pool.take_busy(), Some(b));
        assert_eq!(pool.take_busy(), None);
    }

    #[test]
    fn what_has_ended_or_is_not_well_takes_no_questions() {
        let mut pool = idle(LIMITS, &['a', 'b']);
        let b = pool.take_idle().unwrap();
        pool.leave(&b, false, after(2));
        // Another question on it, which is over later.
        pool.leave(&b, true, after(3));
        pool.tidy(|name| *name == 'a', after(3));
        assert!(pool.open.is_empty());
    }
}
