//! Asking again in the background, for `prefetch` and `serve_stale`.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::dns::{Edns, Query};
use crate::plugin::{Pipeline, Router};

/// Questions that wait to be asked again, at most; what is over that is asked again when its answer is used next.
const WAITING_MAX: usize = 256;

/// Questions that are asked again at the same time, at most.
const RUNNING_MAX: usize = 32;

/// Where caches put the questions that are to be asked again. Clones lead to the same queue.
#[derive(Clone, Debug)]
pub struct RefreshSender {
    queue: mpsc::Sender<Query>,
}

/// The questions that wait to be asked again.
#[derive(Debug)]
pub struct RefreshQueue {
    queue: mpsc::Receiver<Query>,
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
        let edns = query.edns.as_ref().map(|edns| Edns { options: Vec::new(), ..edns.clone() });
        self.queue
            .try_send(Query { edns, recursion_desired: true, budget: Arc::default(), may_wait: true, ..query.clone() })
            .is_ok()
    }
}

impl RefreshQueue {
    /// Asks again what the cache of this pipeline wants, until `stop`. The pipeline is not chosen anew: another one may be
    /// behind the view or the name that `rewrite` made.
    pub async fn run(
        self,
        pipeline: Arc<Pipeline>,
        router: Arc<Router>,
        stop: CancellationToken,
    ) -> Result<(), Infallible> {
        let ask = |query| {
            let (pipeline, router) = (pipeline.clone(), router.clone());
            async move { pipeline.refresh(&query, &router).await }
        };
        self.run_with(stop, ask).await;
        Ok(())
    }

    /// How many questions wait.
    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    async fn run_with<F: Future<Output = ()>>(mut self, stop: CancellationToken, ask: impl FnMut(Query) -> F) {
        let queries = poll_fn(move |context| self.queue.poll_recv(context));
        // None: told to stop, and what runs is dropped.
        let _ = stop.run_until_cancelled(queries.for_each_concurrent(RUNNING_MAX, ask)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use tokio::time::sleep;

    use super::super::Cache;
    use super::super::testing::{config, nx, query, server, soa};
    use super::*;
    use crate::dns::{Name, RecordType};
    use crate::metrics::Metrics;
    use crate::plugin::Zone;
    use crate::plugin::template::Template;

    #[tokio::test(start_paused = true)]
    async fn the_queue_and_the_number_of_running_questions_are_bounded() {
        let (sender, queue) = refresh_queue();
        let sent = (0..1000).filter(|_| sender.try_send(&query("www.example.", RecordType::A))).count();
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
            sleep(Duration::from_millis(6500)).await;
            // 256 questions, 32 at a time.
            assert_eq!(asked.load(Ordering::Relaxed), 6 * RUNNING_MAX);
            sleep(Duration::from_secs(2)).await;
            stop.cancel();
        };
        tokio::join!(work, end);
        assert_eq!(asked.load(Ordering::Relaxed), WAITING_MAX);
    }

    /// The answer of the template takes the place of what is remembered: so the question went past the cache, and came back to
    /// it.
    #[tokio::test(start_paused = true)]
    async fn what_is_asked_again_is_asked_behind_the_cache() {
        let (sender, queue) = refresh_queue();
        let metrics = Arc::new(Metrics::new());
        let template = server("cache\ntemplate IN A {\n rcode NXDOMAIN\n}").template.remove(0);
        let cache = Cache::new(&config("cache"), "dns://:53", "", &metrics, sender.clone());
        let template = vec![Template::new(template, "dns://:53".to_owned(), String::new(), metrics)];
        let pipeline = Arc::new(Pipeline { cache: Some(cache), template, ..Pipeline::default() });
        let zone = Zone { apex: Name::root(), block: 0, pipeline: pipeline.clone(), prometheus: None };
        let router = Arc::new(Router::new(vec![zone], None));
        let asked = query("www.example.", RecordType::A);
        let cache = pipeline.cache.as_ref().expect("a cache");
        cache.put(&asked, nx(soa(60, 60)), Instant::now());
        assert!(cache.get(&asked, Instant::now()).is_some());
        assert!(sender.try_send(&asked));
        let stop = CancellationToken::new();
        let run = queue.run(pipeline.clone(), router, stop.clone());
        let end = async {
            sleep(Duration::from_secs(1)).await;
            stop.cancel();
        };
        let (done, ()) = tokio::join!(run, end);
        assert_eq!(done, Ok(()));
        assert!(cache.get(&asked, Instant::now()).is_none());
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
        let keep = |query: Query| async { heard.lock().expect("no panic").push(query) };
        queue.run_with(CancellationToken::new(), keep).await;
        let heard = heard.into_inner().expect("no panic").remove(0);
        assert_eq!(heard.edns, Some(Edns { udp_size: 1232, dnssec_ok: true, options: vec![] }));
        assert!(heard.recursion_desired);
    }
}
