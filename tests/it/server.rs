//! The whole server without sockets: a Corefile, a cluster, the outside world.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::op::Message;
use landfall::app::assemble::{Environment, Interface, Refresh, assemble};
use landfall::app::wanted::{Cluster, clusters};
use landfall::cluster::{Resource, Selector, Snapshot, Store};
use landfall::config::corefile::Source;
use landfall::config::directive::Search;
use landfall::dns::parse_name;
use landfall::listen::respond;
use landfall::metrics::Metrics;
use landfall::plugin::Router;
use landfall::task::Tasks;
use landfall::watch::manifests::Manifests;
use tokio_util::sync::CancellationToken;

use crate::dialogue::Question;
use crate::internet::Internet;

/// The moment of every change: nothing here reads a clock.
const NOW_UNIX: u32 = 1_700_000_000;

/// The port of server blocks that name none.
const PORT: u16 = 53;

/// What a server finds where it runs. Nothing of the machine of the tests counts.
#[derive(Default)]
pub struct Machine {
    pub addresses: Vec<IpAddr>,
    pub search: Vec<String>,
}

/// A server whose packets are function calls.
pub struct InMemoryServer {
    router: Arc<Router>,
    stores: HashMap<Cluster, Arc<Store>>,
    internet: Arc<Internet>,
    metrics: Arc<Metrics>,
}

impl InMemoryServer {
    /// Assembles the server of a Corefile on a machine. Its clusters wait for [`InMemoryServer::set_cluster`], and nothing is
    /// in sync before.
    pub fn on_machine(corefile: &str, internet: Internet, machine: &Machine) -> Self {
        let source = Source::Text { name: "Corefile".to_owned(), text: corefile.to_owned() };
        let mut config = source.load(PORT).unwrap_or_else(|errors| panic!("{errors:?}")).config;
        for autopath in config.servers.iter_mut().filter_map(|server| server.autopath.as_mut()) {
            if autopath.search == Search::Kubernetes {
                autopath.domains = machine.search.iter().map(|domain| parse_name(domain).expect("a domain")).collect();
            }
        }
        let wanted = clusters(&config);
        let stores: HashMap<_, _> =
            wanted.into_iter().map(|(cluster, wanted)| (cluster, Arc::new(wanted.store()))).collect();
        let interface = |address: &IpAddr| Interface { name: "eth0".to_owned(), index: 2, address: *address };
        let (internet, metrics) = (Arc::new(internet), Arc::new(Metrics::new()));
        let environment = Environment {
            metrics: metrics.clone(),
            interfaces: machine.addresses.iter().map(interface).collect(),
            host_name: "host.test".to_owned(),
            stores: &stores,
            memories: &HashMap::new(),
            exchange: Some(internet.clone()),
            default_port: PORT,
            tasks: Tasks::new(),
        };
        let assembly = assemble(&config, &environment).unwrap_or_else(|error| panic!("{error}"));
        for Refresh { pipeline, router, queue } in assembly.refreshes {
            tokio::spawn(queue.run(pipeline, router, CancellationToken::new()));
        }
        for pipeline in assembly.pipelines {
            tokio::spawn(async move {
                if let Some(loadbalance) = &pipeline.loadbalance {
                    loadbalance.watch(CancellationToken::new()).await;
                }
            });
        }
        for zone_files in assembly.zone_files {
            tokio::spawn(zone_files.watch(CancellationToken::new()));
        }
        let mut routers = assembly.routers.into_iter().filter(|(address, _)| address.address.port() == PORT);
        let (_, router) = routers.next().expect("a block on port 53");
        Self { router, stores, internet, metrics }
    }

    /// Makes every cluster what these manifests say.
    pub fn set_cluster(&self, manifests: &str) {
        self.set_cluster_but(manifests, &[]);
    }

    /// The same, but of some resources nothing was heard.
    pub fn set_cluster_but(&self, manifests: &str, unheard: &[Resource]) {
        for (cluster, store) in &self.stores {
            let mut manifests = Manifests::parse("manifests", manifests, selector(cluster).as_ref());
            manifests.changes.retain(|change| !unheard.contains(&change.resource()));
            publish(store, manifests);
        }
    }

    /// Other servers, or only this one, know the zone as it is here from now on.
    pub fn set_upstream(&self, server: Option<IpAddr>, zone: &str) {
        self.internet.replace_zone_of(server, zone);
    }

    /// Other servers fail in these ways from now on, and in no other.
    pub fn set_faults(&self, faults: &str) {
        self.internet.replace_faults(faults);
    }

    /// How many questions other servers got.
    pub fn upstream_queries(&self) -> usize {
        self.internet.asked()
    }

    /// The page of metrics.
    pub fn metrics_page(&self) -> String {
        self.metrics.render()
    }

    /// Asks a question; None if no reply comes.
    pub async fn ask(&self, question: &Question) -> Option<Message> {
        let Question { client, local, transport, .. } = *question;
        let octets = question.octets(4711);
        let reply = respond(&self.router, &self.metrics, &octets, client, local, transport).await?;
        let parse = |octets: &[u8]| Message::from_vec(octets).expect("a well-formed reply");
        let mut message = parse(&reply.message);
        let more = reply.more.into_iter().flatten();
        message.answers.extend(more.flat_map(|octets| parse(&octets).answers));
        Some(message)
    }
}

fn selector(cluster: &Cluster) -> Option<Selector> {
    cluster.labels.as_deref().map(|text| Selector::parse(text).expect("a label selector"))
}

fn publish(store: &Store, manifests: Manifests) {
    let mut snapshot = Snapshot::clone(&store.load());
    for change in manifests.changes {
        snapshot.apply(change.restricted_to(store.kept()), NOW_UNIX);
    }
    store.publish(snapshot);
}
