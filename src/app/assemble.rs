//! A configuration becomes routers: one for each listen address, with the pipelines of its server blocks.
//!
//! Nothing here opens a socket or starts a task but what the parts do themselves; what has to run afterwards is handed
//! back in [`Assembly`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future;
use tokio_util::sync::CancellationToken;

use super::places::listen_addresses;
pub use super::places::{Interface, PlaceError};
use super::wanted::Cluster;
use crate::cluster::{Resource, Store};
use crate::config::directive::{self, Kubernetes as KubernetesConfig, Timeouts};
use crate::config::{Config, Scheme, ServerBlock};
use crate::dns::{Name, name_text};
use crate::listen::{Endpoint, ListenAddress, Tuning};
use crate::metrics::Metrics;
use crate::nat64::InvalidPrefix;
use crate::plugin::acl::Acl;
use crate::plugin::auto::Auto;
use crate::plugin::autopath::Autopath;
use crate::plugin::cache::{Cache, Memory, RefreshQueue, RefreshSender, refresh_queue};
use crate::plugin::cancel::Cancel;
use crate::plugin::chaos::Chaos;
use crate::plugin::dns64::Dns64;
use crate::plugin::errors::Errors;
use crate::plugin::file::{File, LoadError};
use crate::plugin::forward::Forward;
use crate::plugin::hosts::Hosts;
use crate::plugin::k8s_external::K8sExternal;
use crate::plugin::kubernetes::Kubernetes;
use crate::plugin::loadbalance::LoadBalance;
use crate::plugin::local::Local;
use crate::plugin::log::Log;
use crate::plugin::loop_detection::LoopDetection;
use crate::plugin::nsid::Nsid;
use crate::plugin::prometheus::Prometheus;
use crate::plugin::rewrite::Rewrite;
use crate::plugin::template::Template;
use crate::plugin::transfer::{Notifier, Transfer};
use crate::plugin::view::View;
use crate::plugin::whoami::Whoami;
use crate::plugin::{Pipeline, Router, Zone};
use crate::task::Tasks;
use crate::upstream::{Exchange, Network, TlsError};

/// What a configuration is assembled with.
#[derive(Debug)]
pub struct Environment<'a> {
    /// The families that everything counts in.
    pub metrics: Arc<Metrics>,
    /// The addresses of this machine by interface.
    pub interfaces: Vec<Interface>,
    /// The name of this machine, for `chaos`.
    pub host_name: String,
    /// The clusters that [`clusters`](super::wanted::clusters) named, by their source.
    pub stores: &'a HashMap<Cluster, Arc<Store>>,
    /// What the caches of the configuration before this one remember, by [`Assembly::memories`]'s keys.
    pub memories: &'a HashMap<String, Memory>,
    /// Stands in for the network, if there is any.
    pub exchange: Option<Arc<dyn Exchange>>,
    /// The port of server blocks that name none.
    pub default_port: u16,
    /// Where probes of other servers run.
    pub tasks: Tasks,
}

/// A configuration that is ready to answer.
#[derive(Debug, Default)]
pub struct Assembly {
    /// What is answered on each listen address.
    pub routers: BTreeMap<Endpoint, Arc<Router>>,
    /// What is said of each endpoint beside that.
    pub tunings: BTreeMap<Endpoint, Tuning>,
    /// Questions that caches want to ask again.
    pub refreshes: Vec<Refresh>,
    /// Pipelines that want to know whether they forward to themselves, with the address that they listen on.
    pub loops: Vec<Loop>,
    /// Pipelines whose hosts files and counted errors want a task.
    pub pipelines: Vec<Arc<Pipeline>>,
    /// Zones whose files want a task.
    pub zone_files: Vec<ZoneFiles>,
    /// What is in use.
    pub enabled: Vec<Enabled>,
    /// What the caches remember, for the configuration after this one: by all that it depends on.
    pub memories: HashMap<String, Memory>,
}

/// Questions that a cache wants to ask again.
#[derive(Debug)]
pub struct Refresh {
    /// Its pipeline.
    pub pipeline: Arc<Pipeline>,
    /// Where that looks for names of this server's own.
    pub router: Arc<Router>,
    /// The questions.
    pub queue: RefreshQueue,
}

/// What a loop detection needs to run.
#[derive(Debug)]
pub struct Loop {
    /// The pipeline that forwards.
    pub pipeline: Arc<Pipeline>,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// How the listen address is asked.
    pub exchange: Arc<dyn Exchange>,
}

/// The zones that a server block reads from files, and who may have them. All its listen addresses share them.
#[derive(Clone, Debug)]
pub struct ZoneFiles {
    file: Option<Arc<File>>,
    auto: Vec<Arc<Auto>>,
    transfer: Option<Arc<Transfer>>,
}

impl ZoneFiles {
    fn of(server: &ServerBlock) -> Result<Self, LoadError> {
        let auto = |config: &directive::Auto| Arc::new(Auto::new(config.clone(), server.path(&config.directory)));
        Ok(Self {
            file: (!server.file.is_empty()).then(|| File::new(server)).transpose()?.map(Arc::new),
            auto: server.auto.iter().filter(|config| !config.directory.as_os_str().is_empty()).map(auto).collect(),
            transfer: (!server.transfer.is_empty()).then(|| Arc::new(Transfer::new(server.transfer.clone()))),
        })
    }

    /// Reads the zones again when their files change, until it is told to stop.
    pub async fn watch(self, stop: CancellationToken) {
        let notifier = Notifier::new(self.transfer);
        let file = async {
            if let Some(file) = &self.file {
                file.watch(&notifier).await;
            }
        };
        let watching = future::join(file, future::join_all(self.auto.iter().map(|auto| auto.watch(&notifier))));
        // When it ends before, there is nothing to look at.
        let _ = stop.run_until_cancelled(watching).await;
    }
}

/// A directive of a zone, as the metric `coredns_plugin_enabled` tells it.
#[derive(Debug)]
pub struct Enabled {
    /// The label of the listener.
    pub server: String,
    /// The zone.
    pub zone: String,
    /// The view of its block, if it has one.
    pub view: String,
    /// The directive.
    pub directive: &'static str,
}

/// Why a configuration that can be read cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// There is nothing to listen on.
    #[error("in the server block of {zone}: {source}")]
    Place {
        /// The first zone of the block.
        zone: Name,
        /// Why.
        source: PlaceError,
    },
    /// Two blocks serve the same zone on the same address.
    #[error(
        "cannot serve {zone} on {address}: it is already defined; merge the blocks, or give them different `bind` addresses"
    )]
    Twice {
        /// The zone.
        zone: Name,
        /// The endpoint.
        address: Endpoint,
    },
    /// A zone cannot be read.
    #[error(transparent)]
    Zone(#[from] LoadError),
    /// The NAT64 prefix cannot be used.
    #[error(transparent)]
    Prefix(#[from] InvalidPrefix),
    /// TLS towards other servers cannot be set up.
    #[error("forward")]
    Tls(#[from] TlsError),
}

/// Makes the routers of a configuration.
pub fn assemble(config: &Config, environment: &Environment<'_>) -> Result<Assembly, AssembleError> {
    let mut assembly = Assembly::default();
    let mut zones: BTreeMap<Endpoint, Vec<Zone>> = BTreeMap::new();
    let mut queues = Vec::new();
    for (block, server) in config.servers.iter().enumerate() {
        let place_error = |source| {
            let zone = server.keys.first().map(|key| key.zone.clone()).unwrap_or_default();
            AssembleError::Place { zone, source }
        };
        let places =
            listen_addresses(server, &environment.interfaces, environment.default_port).map_err(place_error)?;
        let local = reachable_addresses(places.keys(), &environment.interfaces);
        let zone_files = ZoneFiles::of(server)?;
        for (address, keys) in places {
            let label = address.label();
            tune(assembly.tunings.entry(address).or_default(), server);
            let (refresh, queue) = refresh_queue();
            let memory = memory_key(server, &label);
            let pipeline = Arc::new(pipeline(server, &label, &local, &zone_files, environment, refresh, &memory)?);
            if let Some(cache) = &pipeline.cache {
                assembly.memories.insert(memory, cache.memory());
            }
            queues.push((address, pipeline.clone(), queue));
            // What is not forwarded cannot come back.
            let is_plain = address.scheme == Scheme::Dns;
            if let (Some(_), Some(forward)) = (&pipeline.loop_detection, server.forward.first().filter(|_| is_plain)) {
                let exchange = exchange(server, forward, environment)?;
                assembly.loops.push(Loop { pipeline: pipeline.clone(), endpoint: address, exchange });
            }
            assembly.pipelines.push(pipeline.clone());
            let served = zones.entry(address).or_default();
            for zone in keys {
                let is_same = |other: &Zone| other.apex == zone && other.pipeline.view.is_none();
                if server.view.is_none() && served.iter().any(is_same) {
                    return Err(AssembleError::Twice { zone, address });
                }
                let enabled = |directive| Enabled {
                    server: label.clone(),
                    zone: name_text(&zone),
                    view: view_label(server),
                    directive,
                };
                assembly.enabled.extend(server.directives().into_iter().map(enabled));
                served.push(zone_of(zone, block, server, pipeline.clone(), &label, environment));
            }
        }
        assembly.zone_files.push(zone_files);
    }
    for (address, zones) in zones {
        let has_metrics = zones.iter().any(|zone| zone.prometheus.is_some());
        let dropped = has_metrics.then(|| {
            Prometheus::new(environment.metrics.clone(), address.label(), "dropped".to_owned(), String::new())
        });
        assembly.routers.insert(address, Arc::new(Router::new(zones, dropped)));
    }
    for (address, pipeline, queue) in queues {
        if let Some(router) = assembly.routers.get(&address).cloned() {
            assembly.refreshes.push(Refresh { pipeline, router, queue });
        }
    }
    Ok(assembly)
}

fn zone_of(
    apex: Name,
    block: usize,
    server: &ServerBlock,
    pipeline: Arc<Pipeline>,
    label: &str,
    environment: &Environment<'_>,
) -> Zone {
    let count = |_| {
        let metrics = environment.metrics.clone();
        Arc::new(Prometheus::new(metrics, label.to_owned(), name_text(&apex), view_label(server)))
    };
    let prometheus = server.prometheus.as_ref().map(count);
    Zone { apex, block, pipeline, prometheus }
}

/// Of the blocks of an endpoint, the first that says something counts.
fn tune(tuning: &mut Tuning, server: &ServerBlock) {
    if tuning.timeouts == Timeouts::default() {
        tuning.timeouts = server.timeouts.unwrap_or_default();
    }
    let sockets = server.multisocket.map(|sockets| match sockets {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        sockets => usize::from(sockets),
    });
    tuning.sockets = tuning.sockets.or(sockets);
    tuning.tls = tuning.tls.take().or_else(|| tls(server));
}

fn tls(server: &ServerBlock) -> Option<directive::Tls> {
    let mut tls = server.tls.clone()?;
    for file in [&mut tls.certificate, &mut tls.key].into_iter().chain(&mut tls.authority) {
        *file = server.path(file);
    }
    Some(tls)
}

/// What metrics call the view of a block.
fn view_label(server: &ServerBlock) -> String {
    server.view.as_ref().map(|view| view.name.clone()).unwrap_or_default()
}

/// All that the answers in a cache depend on: where it is, its settings, what changes answers behind it, and who gives them: another
/// server may know names that the one before has denied. What this server knows itself is asked for before the cache.
fn memory_key(server: &ServerBlock, label: &str) -> String {
    let behind = ServerBlock {
        keys: server.keys.clone(),
        view: server.view.clone(),
        cache: server.cache.clone(),
        header: server.header,
        minimal: server.minimal,
        forward: server.forward.clone(),
        ..ServerBlock::default()
    };
    format!("{label} {behind:?}")
}

fn pipeline(
    server: &ServerBlock,
    label: &str,
    local: &BTreeSet<IpAddr>,
    zone_files: &ZoneFiles,
    environment: &Environment<'_>,
    refresh: RefreshSender,
    memory: &str,
) -> Result<Pipeline, AssembleError> {
    let metrics = &environment.metrics;
    let dns64 =
        server.dns64.as_ref().map(|config| Dns64::new(config, label.to_owned(), metrics.clone())).transpose()?;
    let forward = server.forward.iter().map(|config| forward(server, config, environment)).collect::<Result<_, _>>()?;
    let view = view_label(server);
    let template = server
        .template
        .iter()
        .map(|config| Template::new(config.clone(), label.to_owned(), view.clone(), metrics.clone()));
    let acl = || Acl::new(server.acl.clone(), label.to_owned(), view.clone(), metrics.clone());
    let first_zone = server.keys.first().map(|key| &key.zone);
    Ok(Pipeline {
        view: server.view.clone().map(View::new),
        metadata: server.metadata.clone(),
        cancel: server.cancel.as_ref().map(|config| Cancel::new(config.timeout)),
        bufsize: server.bufsize,
        nsid: server.nsid.as_ref().map(|text| Nsid::new(if text.is_empty() { &environment.host_name } else { text })),
        errors: server.errors.clone().map(Errors::new),
        log: (!server.log.is_empty()).then(|| Log::new(server.log.clone())),
        local: server.local.map(|config| Local::new(config, metrics.local_localhost_requests.clone())),
        dns64,
        any: server.any,
        chaos: server.chaos.clone().map(|config| Chaos::new(config, environment.host_name.clone())),
        loadbalance: server.loadbalance.clone().map(|config| loadbalance(server, config)),
        rewrite: (!server.rewrite.is_empty()).then(|| Rewrite::new(&server.rewrite)),
        autopath: server.autopath.clone().map(|config| Autopath::new(config, label.to_owned(), metrics.clone())),
        acl: (!server.acl.is_empty()).then(acl),
        cache: server.cache.as_ref().map(|config| {
            let cache = Cache::new(config, label, &view, metrics, refresh);
            match environment.memories.get(memory) {
                Some(memory) => cache.with_memory(memory),
                None => cache,
            }
        }),
        header: server.header,
        minimal: server.minimal,
        template: template.collect(),
        transfer: zone_files.transfer.clone(),
        hosts: server.hosts.clone().map(|config| hosts(server, config, metrics)),
        k8s_external: server.k8s_external.clone().map(K8sExternal::new),
        kubernetes: server.kubernetes.as_ref().map(|config| kubernetes(config, local, environment)),
        file: zone_files.file.clone(),
        auto: zone_files.auto.clone(),
        loop_detection: first_zone.filter(|_| server.loop_detection).map(LoopDetection::new),
        forward,
        whoami: server.whoami.then_some(Whoami),
    })
}

fn hosts(server: &ServerBlock, config: directive::Hosts, metrics: &Arc<Metrics>) -> Arc<Hosts> {
    let file = server.path(&config.file);
    Arc::new(Hosts::new(directive::Hosts { file, ..config }, metrics.clone()))
}

fn loadbalance(server: &ServerBlock, mut config: directive::LoadBalance) -> LoadBalance {
    if let Some(weighted) = &mut config.weighted {
        weighted.file = server.path(&weighted.file);
    }
    LoadBalance::new(config)
}

fn forward(
    server: &ServerBlock,
    config: &directive::Forward,
    environment: &Environment<'_>,
) -> Result<Forward, AssembleError> {
    let exchange = exchange(server, config, environment)?;
    Ok(Forward::new(config, exchange, environment.metrics.clone(), environment.tasks.clone()))
}

fn exchange(
    server: &ServerBlock,
    config: &directive::Forward,
    environment: &Environment<'_>,
) -> Result<Arc<dyn Exchange>, TlsError> {
    if let Some(exchange) = &environment.exchange {
        return Ok(exchange.clone());
    }
    let mut config = config.clone();
    let files = config.tls.identity.iter_mut().flat_map(|(certificate, key)| [certificate, key]);
    files.chain(&mut config.tls.authority).for_each(|file| *file = server.path(file));
    Ok(Arc::new(Network::new(&config, &environment.metrics)?))
}

/// The plugin over the store of its cluster; one that nobody fills where the caller has none: it says SERVFAIL.
fn kubernetes(config: &KubernetesConfig, local: &BTreeSet<IpAddr>, environment: &Environment<'_>) -> Kubernetes {
    let store = environment.stores.get(&Cluster::of(config)).cloned();
    let store = store.unwrap_or_else(|| Arc::new(Store::new(vec![Resource::Namespaces, Resource::Services])));
    Kubernetes::new(config.clone(), store, local.iter().copied().collect())
}

/// The addresses under which other machines may reach a block.
fn reachable_addresses<'a>(places: impl Iterator<Item = &'a Endpoint>, interfaces: &[Interface]) -> BTreeSet<IpAddr> {
    let addresses = places.flat_map(|place| match place.address {
        ListenAddress::One(address) if !address.ip().is_unspecified() => vec![address.ip()],
        ListenAddress::One(_) | ListenAddress::All { .. } => {
            interfaces.iter().map(|interface| interface.address).collect()
        }
    });
    addresses.filter(|address| !address.is_loopback()).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::config::corefile::Source;

    /// The listen addresses of a Corefile.
    fn addresses(corefile: &str) -> Result<Vec<String>, String> {
        Ok(assembly(corefile)?.routers.keys().map(ToString::to_string).collect())
    }

    /// The assembly of a Corefile on a machine with two interfaces.
    fn assembly(corefile: &str) -> Result<Assembly, String> {
        let source = Source::Text { name: "Corefile".to_owned(), text: corefile.to_owned() };
        let config = source.load(53).expect("a Corefile").config;
        let interface = |name: &str, index, address: &str| Interface {
            name: name.to_owned(),
            index,
            address: address.parse().expect("an address"),
        };
        let environment = Environment {
            metrics: Arc::new(Metrics::new()),
            interfaces: vec![
                interface("lo", 1, "127.0.0.1"),
                interface("eth0", 2, "192.0.2.1"),
                interface("eth0", 2, "fe80::1"),
            ],
            host_name: String::new(),
            stores: &HashMap::new(),
            memories: &HashMap::new(),
            exchange: None,
            default_port: 53,
            tasks: Tasks::new(),
        };
        assemble(&config, &environment).map_err(|error| error.to_string())
    }

    fn check(corefile: &str, expected: &[&str]) {
        assert_eq!(addresses(corefile).expect(corefile), expected, "{corefile}");
    }

    fn check_error(corefile: &str, part: &str) {
        let error = addresses(corefile).expect_err(corefile);
        assert!(error.contains(part), "{corefile}: {error}");
    }

    #[test]
    fn blocks_of_one_address_share_a_router() {
        check(".:53 {\n whoami\n}\nexample.org {\n whoami\n}\nexample.net:5353 {\n whoami\n}\n", &["*:53", "*:5353"]);
    }

    #[test]
    fn an_interface_stands_for_its_addresses_and_a_link_local_one_has_a_scope() {
        check(". {\n bind eth0\n whoami\n}\n", &["192.0.2.1:53", "[fe80::1%2]:53"]);
        check(". {\n bind fe80::7%eth0 lo\n whoami\n}\n", &["127.0.0.1:53", "[fe80::7%2]:53"]);
        check(". {\n bind eth0 {\n except fe80::1%eth0\n }\n whoami\n}\n", &["192.0.2.1:53"]);
        check_error(". {\n bind eth1\n whoami\n}\n", "there is no interface \"eth1\"");
        check_error(". {\n bind lo {\n except 127.0.0.1\n }\n whoami\n}\n", "no address");
    }

    #[test]
    fn blocks_of_one_address_are_tuned_by_the_first_that_says_something() {
        let tls = "tls://a {\n root /etc/tls\n tls a.crt /a.key\n whoami\n}\ntls://b {\n tls b.crt b.key\n timeouts {\n idle 2s\n }\n whoami\n}\n";
        let plain = ". {\n multisocket 7\n whoami\n}\na {\n multisocket 8\n whoami\n}\ntls://c:53 {\n whoami\n}\n";
        let assembly = assembly(&format!("{tls}{plain}")).expect("an assembly");
        let tunings: Vec<_> =
            assembly.tunings.into_iter().map(|(endpoint, tuning)| (endpoint.label(), tuning)).collect();
        let [(dns, plain), (encrypted, tuned)] = tunings.as_slice() else { panic!("{tunings:?}") };
        assert_eq!((dns.as_str(), plain.sockets, encrypted.as_str()), ("dns://:53", Some(7), "tls://:853"));
        let files = tuned.tls.as_ref().expect("a certificate");
        assert_eq!((&*files.certificate, &*files.key), (Path::new("/etc/tls/a.crt"), Path::new("/a.key")));
        assert_eq!(tuned.timeouts.idle, Some(Duration::from_secs(2)));
    }

    #[test]
    fn what_is_remembered_is_of_the_servers_that_said_it() {
        let memories = |directives: &str| {
            let assembly = assembly(&format!(". {{\n cache 30\n {directives}\n}}\n")).expect("an assembly");
            assembly.memories.into_keys().collect::<Vec<_>>()
        };
        let before = memories("forward . 192.0.2.53");
        assert_eq!(memories("forward . 192.0.2.53\n log"), before);
        for other in ["forward . 192.0.2.54", "forward . 192.0.2.53\n forward a.test 192.0.2.54"] {
            assert_ne!(memories(other), before, "{other}");
        }
    }

    #[test]
    fn an_address_and_its_interface_cannot_serve_the_same_zone() {
        check_error(". {\n bind lo\n whoami\n}\n. {\n bind 127.0.0.1\n whoami\n}\n", "already defined");
    }
}
