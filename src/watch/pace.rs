//! How often the API server is asked, and how many requests wait for its answer at once.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep};

use crate::config::directive::ApiPace;

/// Bounds of the requests to an API server, shared by all that ask it.
#[derive(Debug, Default)]
pub struct Pace {
    rate: Option<Rate>,
    in_flight: Option<Semaphore>,
}

/// So many requests at once, and then one after each gap.
#[derive(Debug)]
struct Rate {
    gap: Duration,
    burst: u32,
    /// When the next request would be made if each waited for its gap.
    next: Mutex<Instant>,
}

impl Pace {
    /// The bounds that an operator wants.
    pub fn new(wanted: &ApiPace) -> Self {
        let rate = wanted.rate().map(|(gap, burst)| Rate { gap, burst, next: Mutex::new(Instant::now()) });
        let in_flight = (wanted.max_in_flight > 0).then(|| Semaphore::new(wanted.max_in_flight as usize));
        Self { rate, in_flight }
    }

    /// Waits until a request may be made. It counts as under way until what comes back is dropped.
    pub async fn wait(&self) -> Option<SemaphorePermit<'_>> {
        if let Some(rate) = &self.rate {
            sleep(rate.take(Instant::now())).await;
        }
        match &self.in_flight {
            // It is never closed.
            Some(places) => places.acquire().await.ok(),
            None => None,
        }
    }
}

impl Rate {
    /// How long the request that comes now has to wait.
    fn take(&self, now: Instant) -> Duration {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let due = now.max(*next);
        *next = due + self.gap;
        (due - now).saturating_sub(self.gap * (self.burst - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(qps: f64, burst: u32, max_in_flight: u32) -> Pace {
        Pace::new(&ApiPace { qps: qps.into(), burst, max_in_flight })
    }

    async fn waited(pace: &Pace) -> u128 {
        let began = Instant::now();
        drop(pace.wait().await);
        began.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_one_by_one() {
        let pace = pace(10.0, 2, 0);
        let mut waits = Vec::new();
        for _ in 0..4 {
            waits.push(waited(&pace).await);
        }
        assert_eq!(waits, [0, 0, 100, 100]);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(waited(&pace).await, 0, "the burst is there again");
    }

    #[tokio::test(start_paused = true)]
    async fn no_wish_is_no_bound() {
        let pace = pace(0.0, 0, 0);
        for _ in 0..1000 {
            assert_eq!(waited(&pace).await, 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_over_the_bound_wait_for_a_place() {
        let pace = pace(0.0, 0, 1);
        let first = pace.wait().await;
        assert!(tokio::time::timeout(Duration::from_secs(60), pace.wait()).await.is_err());
        drop(first);
        assert_eq!(waited(&pace).await, 0);
    }
}
