//! Who the servers of a directive are, as far as that is known: those that it names by address, those that its files name
//! at the moment, and those that its names lead to.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::{info, warn};

use super::asking::Asking;
use super::lookup::{Addresses, Lookup, NotFound};
use super::server::Server;
use crate::config::directive::{self, Host, To};
use crate::config::text::Text;
use crate::dns::RecordType;
use crate::task::Tasks;
use crate::upstream::{Exchange, Upstream};

/// The servers, in the order of the directive, each once.
type List = Arc<Vec<Arc<Server>>>;

/// How often files are read again.
const FILE_INTERVAL: Duration = Duration::from_secs(5);

/// How soon a name is looked up again: never sooner, never later, and after a failure, if nothing or something is known.
const TTL_MIN: Duration = Duration::from_secs(5);
const TTL_MAX: Duration = Duration::from_secs(3600);
const RETRY_UNKNOWN: Duration = Duration::from_secs(1);
const RETRY_KNOWN: Duration = Duration::from_secs(30);

/// The servers of a directive.
#[derive(Debug)]
pub(super) struct Servers {
    list: watch::Receiver<List>,
}

/// Keeps the list as files and names have it.
struct Finder {
    words: Vec<Word>,
    lookup: Lookup,
    exchange: Arc<dyn Exchange>,
    list: watch::Sender<List>,
}

/// A word of the directive.
struct Word {
    to: To,
    /// The servers that it stands for.
    found: Vec<Upstream>,
    /// When to look again; None: never.
    due: Option<Instant>,
    /// Whether the last look failed.
    has_failed: bool,
}

impl Servers {
    /// The servers that are known at once; others are looked for in `tasks`.
    pub fn new(config: &directive::Forward, exchange: Arc<dyn Exchange>, asking: Arc<Asking>, tasks: &Tasks) -> Self {
        let (sender, list) = watch::channel(List::default());
        let lookup = Lookup::new(config, asking);
        let words = config.to.iter().map(|to| Word::new(to.clone(), &lookup)).collect();
        let finder = Finder { words, lookup, exchange, list: sender };
        finder.publish();
        if finder.next().is_some() {
            tasks.spawn("forward servers", |stop| async move {
                stop.run_until_cancelled(finder.run()).await;
                Ok::<(), Infallible>(())
            });
        }
        Self { list }
    }

    /// The servers. While none is known, they are waited for.
    pub async fn known(&self, deadline: Instant) -> List {
        let list = self.list.borrow().clone();
        if !list.is_empty() {
            return list;
        }
        let mut coming = self.list.clone();
        match timeout_at(deadline, coming.wait_for(|list| !list.is_empty())).await {
            Ok(Ok(list)) => list.clone(),
            Ok(Err(_)) | Err(_) => list,
        }
    }
}

impl Finder {
    /// Looks as long as there is anything to look for.
    async fn run(mut self) {
        while let Some(due) = self.next() {
            sleep_until(due).await;
            let now = Instant::now();
            let due = self.words.iter_mut().filter(|word| word.due.is_some_and(|due| due <= now));
            join_all(due.map(|word| word.look(&self.lookup))).await;
            self.publish();
        }
    }

    fn next(&self) -> Option<Instant> {
        self.words.iter().filter_map(|word| word.due).min()
    }

    /// Tells those who ask of a list that has changed. Servers that stay are as they were.
    fn publish(&self) {
        let mut upstreams: Vec<Upstream> = Vec::new();
        for upstream in self.words.iter().flat_map(|word| &word.found) {
            if !upstreams.contains(upstream) {
                upstreams.push(upstream.clone());
            }
        }
        let before = self.list.borrow().clone();
        if before.iter().map(|server| server.upstream()).eq(&upstreams) {
            return;
        }
        self.exchange.prepare(&upstreams);
        before.iter().filter(|server| !upstreams.contains(server.upstream())).for_each(|server| server.leave());
        let server = |upstream: Upstream| {
            let same = before.iter().find(|server| *server.upstream() == upstream);
            same.cloned().unwrap_or_else(|| Arc::new(Server::new(upstream)))
        };
        let list: Vec<_> = upstreams.into_iter().map(server).collect();
        if !before.is_empty() {
            let servers: Vec<_> = list.iter().map(|server| server.label()).collect();
            info!(servers = servers.join(" "), "other servers are asked from now on");
        }
        self.list.send_replace(Arc::new(list));
    }
}

impl Word {
    /// What it stands for at once.
    fn new(to: To, lookup: &Lookup) -> Self {
        let mut word = Self { to: to.clone(), found: Vec::new(), due: None, has_failed: false };
        match to {
            To::File(transport, file) => word.take(lookup.servers(transport, &file), FILE_INTERVAL),
            To::Server(server) => match server.host {
                Host::Address(address) => word.found = vec![lookup.upstream(&server, address)],
                Host::Name(_) => word.due = Some(Instant::now()),
            },
        }
        word
    }

    /// Looks again.
    async fn look(&mut self, lookup: &Lookup) {
        let (found, next) = match &self.to {
            To::File(transport, file) => (lookup.servers(*transport, file), FILE_INTERVAL),
            To::Server(server) => {
                let Host::Name(name) = &server.host else { return };
                match lookup.addresses(name).await {
                    Ok(Addresses { addresses, ttl, unknown }) => {
                        let found = addresses.into_iter().map(|address| lookup.upstream(server, address));
                        // What is known of the other family stays.
                        let is_unknown = |upstream: &&Upstream| match unknown {
                            Some(RecordType::A) => upstream.address.is_ipv4(),
                            Some(_) => upstream.address.is_ipv6(),
                            None => false,
                        };
                        let found = found.chain(self.found.iter().filter(is_unknown).cloned()).collect();
                        let most = if unknown.is_some() { RETRY_KNOWN } else { TTL_MAX };
                        (Ok(found), ttl.clamp(TTL_MIN, most))
                    }
                    Err(error) if self.found.is_empty() => (Err(error), RETRY_UNKNOWN),
                    Err(error) => (Err(error), RETRY_KNOWN),
                }
            }
        };
        self.take(found, next);
    }

    /// Takes what was found; what was known stays if that is nothing.
    fn take(&mut self, found: Result<Vec<Upstream>, NotFound>, next: Duration) {
        self.due = Some(Instant::now() + next);
        let had_failed = std::mem::replace(&mut self.has_failed, found.is_err());
        match found {
            Ok(found) => self.found = found,
            Err(error) if !had_failed => {
                warn!(to = self.to.text(), %error, "no servers are found; those that were known stay");
            }
            Err(_) => {}
        }
    }
}
