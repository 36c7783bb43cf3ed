//! Asking again in the background, for `prefetch` and `serve_stale`.

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::poll_fn;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::dns::{Answer, Edns, Query};
use crate::plugin::{Pipeline, Router};

/// Questions that wait to be asked again, at most; what is over that is asked again when its answer is used next.
const WAITING_MAX: usize = 512;

/// Questions that are asked again at the same time, at most. With a server that takes 5 s to fail these are 50 names a second,
/// and with one that answers in 20 ms more than 10,000.
const RUNNING_MAX: usize = 256;

/// Where caches put the questions that are to be asked again. Clones lead to the same queue.
#[derive(Clone, Debug)]
pub struct RefreshSender {
    queue: mpsc::Sender<AskedAgain>,
}

/// The questions that wait to be asked again.
#[derive(Debug)]
pub struct RefreshQueue {
    queue: mpsc::Receiver<AskedAgain>,
}

/// A question that is asked again.
#[derive(Debug)]
pub struct AskedAgain {
    /// The question.
    pub query: Query,
    /// Who waits for the answer, if anybody does.
    reply: Option<oneshot::Sender<Answer>>,
}

/// The answer to a question that is asked again, when it comes.
#[derive(Debug)]
pub struct Reply(oneshot::Receiver<Answer>);

/// Why a question that is asked again has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// It takes longer, and goes on.
    Late,
    /// Nobody asks it any more: the server has another configuration.
    Dropped,
}

/// A queue: one end for the caches of a router, the other for the task that asks.
pub fn refresh_queue() -> (RefreshSender, RefreshQueue) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (RefreshSender { queue: sender }, RefreshQueue { queue: receiver })
}

impl RefreshSender {
    /// Puts a question into the queue, and returns whether there was room. The answer is for all: it is asked for with
    /// recursion, and without EDNS options, which were about one client.
    pub fn try_send(&self, query: &Query) -> bool {
        self.queue.try_send(AskedAgain::new(query, None)).is_ok()
    }

    /// The same, and who asks waits for the answer. None: there was no room.
    pub fn ask(&self, query: &Query) -> Option<Reply> {
        let (sender, receiver) = oneshot::channel();
        self.queue.try_send(AskedAgain::new(query, Some(sender))).ok()?;
        Some(Reply(receiver))
    }
}

impl AskedAgain {
    fn new(query: &Query, reply: Option<oneshot::Sender<Answer>>) -> Self {
        let edns = query.edns.as_ref().map(|edns| Edns { options: Vec::new(), ..edns.clone() });
        // What it costs is nobody's but the cache's.
        let budget = Arc::default();
        Self { query: Query { edns, recursion_desired: true, budget, may_wait: true, ..query.clone() }, reply }
    }

    /// Gives the answer to who waits for it, and back with its question if nobody does.
    pub fn give(self, answer: Answer) -> Option<(Query, Answer)> {
        let answer = match self.reply {
            Some(reply) => reply.send(answer).err()?,
            None => answer,
        };
        Some((self.query, answer))
    }
}

impl Reply {
    /// The answer, if it comes in time; what comes later goes to the cache.
    pub async fn within(mut self, patience: Duration) -> Result<Answer, Unanswered> {
        match timeout(patience, &mut self.0).await {
            Ok(reply) => reply.map_err(|_| Unanswered::Dropped),
            Err(_) => {
                // What was sent in this very moment would be lost otherwise.
                self.0.close();
                self.0.try_recv().map_err(|_| Unanswered::Late)
            }
        }
    }
}

impl RefreshQueue {
    /// Asks again what the cache of this pipeline wants, until `stop`; a panic costs its question alone. The pipeline is not chosen
    /// anew: another one may be behind the view or the name that `rewrite` made.
    pub async fn run(
        self,
        pipeline: Arc<Pipeline>,
        router: Arc<Router>,
        stop: CancellationToken,
    ) -> Result<(), Infallible> {
        let ask = |again: AskedAgain| {
            let (pipeline, router) = (pipeline.clone(), router.clone());
            async move {
                let name = again.query.name.clone();
                let asked = AssertUnwindSafe(pipeline.refresh(again, &router)).catch_unwind().await;
                if let (Err(_), Some(cache)) = (asked, &pipeline.cache) {
                    cache.note_panic(&name);
                }
            }
        };
        self.run_with(stop, ask).await;
        Ok(())
    }

    /// How many questions wait.
    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    async fn run_with<F: Future<Output = ()>>(mut self, stop: CancellationToken, ask: impl FnMut(AskedAgain) -> F) {
        let asked = poll_fn(move |context| self.queue.poll_recv(context));
        // None: told to stop, and what runs is dropped.
        let _ = stop.run_until_cancelled(asked.for_each_concurrent(RUNNING_MAX, ask)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::time::sleep;

    use super::super::testing::{WWW, config, query, told, www};
    use super::super::{Cache, Moment};
    use super::*;
    use crate::config::directive::{self, To};
    use crate::config::text::Text;
    use crate::dns::{Name, RecordType, encode};
    use crate::metrics::Metrics;
    use crate::plugin::forward::Forward;
    use crate::task::Tasks;
    use crate::upstream::{Attempt, Exchange, Exchanging};

    #[tokio::test(start_paused = true)]
    async fn the_queue_and_the_number_of_running_questions_are_bounded() {
        let (sender, queue) = refresh_queue();
        let sent = (0..10 * WAITING_MAX).filter(|_| sender.try_send(&query("www.example.", RecordType::A))).count();
        assert_eq!(sent, WAITING_MAX);
        let (running, asked) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let stop = CancellationToken::new();
        let ask = |_| async {
            assert!(running.fetch_add(1, Ordering::Relaxed) < RUNNING_MAX);
            sleep(Duration::from_secs(1)).await;
            running.fetch_sub(1, Ordering::Relaxed);
            asked.fetch_add(1, Ordering::Relaxed);
        };
        let work = queue.run_with(stop.clone(), ask);
        let end = async {
            sleep(Duration::from_millis(500)).await;
            assert_eq!(running.load(Ordering::Relaxed), RUNNING_MAX);
            sleep(Duration::from_secs(1000)).await;
            stop.cancel();
        };
        tokio::join!(work, end);
        assert_eq!(asked.load(Ordering::Relaxed), WAITING_MAX);
    }

    /// A server that takes some time, and says no more of whom it was asked by.
    #[derive(Debug, Default)]
    struct Slow {
        takes: Duration,
        panics: bool,
        asked: AtomicUsize,
    }

    impl Exchange for Slow {
        fn exchange(&self, _: Attempt) -> Exchanging<'_> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            assert!(!self.panics, "the question is one too many");
            Box::pin(async {
                sleep(self.takes).await;
                Ok(encode(&query(WWW, RecordType::A), &www(60)))
            })
        }
    }

    /// A block with a cache before that server, and what asks again for it.
    fn block(directive: &str, server: &Arc<Slow>) -> (Arc<Pipeline>, RefreshQueue) {
        let (sender, queue) = refresh_queue();
        let metrics = Arc::new(Metrics::new());
        let cache = Cache::new(&config(directive), "dns://:53", "", &metrics, sender);
        let config = directive::Forward {
            to: vec![To::read("192.0.2.53").expect("a server")],
            read_timeout: Duration::from_secs(10),
            ..directive::Forward::new(Name::root())
        };
        let forward = vec![Forward::new(&config, server.clone(), metrics, Tasks::default())];
        (Arc::new(Pipeline { cache: Some(cache), forward, ..Pipeline::default() }), queue)
    }

    fn now() -> Moment {
        Moment { time: tokio::time::Instant::now().into_std(), epoch: 0 }
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_goes_on_when_the_client_has_its_expired_answer() {
        let server = Arc::new(Slow { takes: Duration::from_secs(3), ..Slow::default() });
        let (pipeline, queue) = block("cache {\n serve_stale\n}", &server);
        let cache = pipeline.cache.as_ref().expect("a cache");
        let asked = query(WWW, RecordType::A);
        cache.put(&asked, www(60), now());
        sleep(Duration::from_secs(61)).await;
        let router = Arc::new(Router::new(Vec::new(), None));
        let stop = CancellationToken::new();
        let client = async {
            let (start, ask) = (now().time, || async { told(&pipeline.answer(&asked, &router).await) });
            let took = || now().time - start;
            assert_eq!((ask().await, took()), ("NOERROR 30 error 3".to_owned(), Duration::from_millis(1800)));
            assert_eq!((ask().await, took()), ("NOERROR 30 error 3".to_owned(), Duration::from_millis(1800)));
            sleep(Duration::from_millis(1300)).await;
            assert_eq!((ask().await, took()), ("NOERROR 60".to_owned(), Duration::from_millis(3100)));
            assert_eq!(server.asked.load(Ordering::Relaxed), 1);
            stop.cancel();
        };
        let (done, ()) = tokio::join!(queue.run(pipeline.clone(), router.clone(), stop.clone()), client);
        assert_eq!(done, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_may_not_wait_gets_the_expired_answer_at_once() {
        let server = Arc::new(Slow { takes: Duration::from_secs(1), ..Slow::default() });
        let (pipeline, queue) = block("cache {\n serve_stale\n}", &server);
        let asked = Query { may_wait: false, ..query(WWW, RecordType::A) };
        pipeline.cache.as_ref().expect("a cache").put(&asked, www(60), now());
        sleep(Duration::from_secs(61)).await;
        let (start, router) = (now().time, Arc::new(Router::new(Vec::new(), None)));
        assert_eq!(told(&pipeline.answer(&asked, &router).await), "NOERROR 30 error 3");
        assert_eq!((now().time, queue.waiting()), (start, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_question_that_is_asked_again_gets_its_answer() {
        let server = Arc::new(Slow { takes: Duration::from_secs(1), ..Slow::default() });
        let (pipeline, queue) = block("cache {\n serve_stale\n}", &server);
        let cache = pipeline.cache.as_ref().expect("a cache");
        let asked = query(WWW, RecordType::A);
        cache.put(&asked, www(60), now());
        sleep(Duration::from_secs(61)).await;
        let router = Arc::new(Router::new(Vec::new(), None));
        let stop = CancellationToken::new();
        let client = async {
            assert_eq!(told(&pipeline.answer(&asked, &router).await), "NOERROR 60");
            assert_eq!(cache.get(&asked, now()).map(|answer| told(&answer)).as_deref(), Some("NOERROR 60"));
            stop.cancel();
        };
        tokio::join!(queue.run(pipeline.clone(), router.clone(), stop.clone()), client).0.expect("it ends");
        assert_eq!(server.asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_question_that_a_reload_ends_asks_it() {
        let server = Arc::new(Slow { takes: Duration::from_secs(1), ..Slow::default() });
        let (pipeline, queue) = block("cache {\n serve_stale\n}", &server);
        let asked = query(WWW, RecordType::A);
        pipeline.cache.as_ref().expect("a cache").put(&asked, www(60), now());
        sleep(Duration::from_secs(61)).await;
        let (router, stop) = (Arc::new(Router::new(Vec::new(), None)), CancellationToken::new());
        let reload = async {
            sleep(Duration::from_millis(500)).await;
            stop.cancel();
        };
        let client = async { told(&pipeline.answer(&asked, &router).await) };
        let (done, (), told) = tokio::join!(queue.run(pipeline.clone(), router.clone(), stop.clone()), reload, client);
        assert_eq!((done, told.as_str(), server.asked.load(Ordering::Relaxed)), (Ok(()), "NOERROR 60", 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_costs_its_question_alone() {
        let server = Arc::new(Slow { panics: true, ..Slow::default() });
        let (pipeline, queue) = block("cache", &server);
        let cache = pipeline.cache.as_ref().expect("a cache");
        for number in 0..3 {
            assert!(cache.refresh.try_send(&query(&format!("n{number}.example."), RecordType::A)));
        }
        let (router, stop) = (Arc::new(Router::new(Vec::new(), None)), CancellationToken::new());
        let end = async {
            sleep(Duration::from_secs(1)).await;
            stop.cancel();
        };
        let (done, ()) = tokio::join!(queue.run(pipeline.clone(), router, stop.clone()), end);
        assert_eq!((done, server.asked.load(Ordering::Relaxed), cache.counters.panics.get()), (Ok(()), 3, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn stop_ends_questions_that_run() {
        let (sender, queue) = refresh_queue();
        assert!(sender.try_send(&query("www.example.", RecordType::A)));
        let stop = CancellationToken::new();
        let work = queue.run_with(stop.clone(), |_| std::future::pending());
        tokio::join!(work, async { stop.cancel() });
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_is_not_told_to_other_servers() {
        let (sender, queue) = refresh_queue();
        let mut asked = query("www.example.", RecordType::A);
        asked.recursion_desired = false;
        asked.edns =
            Some(Edns { udp_size: 1232, dnssec_ok: true, options: vec![(8, vec![0, 1, 32, 0, 192, 0, 2, 1])] });
        assert!(sender.try_send(&asked));
        drop(sender);
        let heard = Mutex::new(Vec::new());
        let keep = |again: AskedAgain| async { heard.lock().expect("no panic").push(again.query) };
        queue.run_with(CancellationToken::new(), keep).await;
        let heard = heard.into_inner().expect("no panic").remove(0);
        assert_eq!(heard.edns, Some(Edns { udp_size: 1232, dnssec_ok: true, options: vec![] }));
        assert!(heard.recursion_desired);
    }
}
