//! A configuration becomes routers: one for each listen address, with the pipelines of its server blocks.
//!
//! Nothing here opens a socket or starts a task but what the parts do themselves; what has to run afterwards is handed
//! back in [`Assembly`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::cluster::{Resource, Store};
use crate::config::directive::{self, Bind, BindAddress, Kubernetes as KubernetesConfig, ObjectSource, PodMode};
use crate::config::{Config, ServerBlock};
use crate::dns::Name;
use crate::listen::ListenAddress;
use crate::metrics::Metrics;
use crate::nat64::InvalidPrefix;
use crate::plugin::cache::{Cache, RefreshQueue, refresh_queue};
use crate::plugin::chaos::Chaos;
use crate::plugin::dns64::Dns64;
use crate::plugin::errors::Errors;
use crate::plugin::forward::Forward;
use crate::plugin::hosts::Hosts;
use crate::plugin::kubernetes::Kubernetes;
use crate::plugin::loadbalance::LoadBalance;
use crate::plugin::log::Log;
use crate::plugin::loop_detection::LoopDetection;
use crate::plugin::prometheus::Prometheus;
use crate::plugin::template::Template;
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
    pub interfaces: Vec<(String, IpAddr)>,
    /// The name of this machine, for `chaos`.
    pub host_name: String,
    /// The clusters that [`clusters`] named, by their source.
    pub stores: &'a HashMap<Cluster, Arc<Store>>,
    /// Stands in for the network, if there is any.
    pub exchange: Option<Arc<dyn Exchange>>,
    /// The port of server blocks that name none.
    pub default_port: u16,
    /// Where probes of other servers run.
    pub tasks: Tasks,
}

/// Objects of one source, as some directives want them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cluster {
    /// Where they come from.
    pub source: ObjectSource,
    /// The label selector.
    pub labels: Option<String>,
}

/// A configuration that is ready to answer.
#[derive(Debug, Default)]
pub struct Assembly {
    /// What is answered on each listen address.
    pub routers: BTreeMap<ListenAddress, Arc<Router>>,
    /// Questions that caches want to ask again, by the router that they are asked of.
    pub refreshes: Vec<(Arc<Router>, RefreshQueue)>,
    /// Pipelines that want to know whether they forward to themselves, with the address that they listen on.
    pub loops: Vec<Loop>,
    /// Pipelines whose hosts files and counted errors want a task.
    pub pipelines: Vec<Arc<Pipeline>>,
    /// What is in use.
    pub enabled: Vec<Enabled>,
}

/// What a loop detection needs to run.
#[derive(Debug)]
pub struct Loop {
    /// The pipeline that forwards.
    pub pipeline: Arc<Pipeline>,
    /// Where it listens.
    pub address: ListenAddress,
    /// How the listen address is asked.
    pub exchange: Arc<dyn Exchange>,
}

/// A directive of a zone, as the metric `coredns_plugin_enabled` tells it.
#[derive(Debug)]
pub struct Enabled {
    /// The label of the listener.
    pub server: String,
    /// The zone.
    pub zone: String,
    /// The directive.
    pub directive: &'static str,
}

/// Why a configuration that can be read cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// `bind` names an interface that is not there.
    #[error("bind: there is no interface {name:?}, or it has no address")]
    Interface {
        /// The name.
        name: String,
    },
    /// Two blocks serve the same zone on the same address.
    #[error("cannot serve {zone} on {address}: it is already defined")]
    Twice {
        /// The zone.
        zone: Name,
        /// The listen address.
        address: ListenAddress,
    },
    /// The NAT64 prefix cannot be used.
    #[error(transparent)]
    Prefix(#[from] InvalidPrefix),
    /// TLS towards other servers cannot be set up.
    #[error("forward")]
    Tls(#[from] TlsError),
}

/// The clusters that a configuration needs, each with the resources that any of its directives wants.
pub fn clusters(config: &Config) -> HashMap<Cluster, BTreeSet<Resource>> {
    let mut clusters: HashMap<Cluster, BTreeSet<Resource>> = HashMap::new();
    for kubernetes in config.servers.iter().filter_map(|server| server.kubernetes.as_ref()) {
        let wanted = clusters.entry(Cluster::of(kubernetes)).or_default();
        wanted.extend([Resource::Namespaces, Resource::Services]);
        if !kubernetes.no_endpoints {
            wanted.insert(Resource::EndpointSlices);
        }
        if kubernetes.pods == PodMode::Verified {
            wanted.insert(Resource::Pods);
        }
    }
    clusters
}

impl Cluster {
    fn of(kubernetes: &KubernetesConfig) -> Self {
        Self { source: kubernetes.source.clone(), labels: kubernetes.labels.clone() }
    }
}

/// How long the first answer may wait for the clusters.
pub fn startup_timeout(config: &Config) -> Duration {
    let kubernetes = config.servers.iter().filter_map(|server| server.kubernetes.as_ref());
    kubernetes.map(|kubernetes| kubernetes.startup_timeout).max().unwrap_or_default()
}

/// Makes the routers of a configuration.
pub fn assemble(config: &Config, environment: &Environment<'_>) -> Result<Assembly, AssembleError> {
    let mut assembly = Assembly::default();
    let mut zones: BTreeMap<ListenAddress, Vec<Zone>> = BTreeMap::new();
    let mut queues = Vec::new();
    for server in &config.servers {
        for (address, keys) in listen_addresses(server, environment)? {
            let label = server_label(address);
            let (refresh, queue) = refresh_queue();
            let pipeline = Arc::new(pipeline(server, &label, environment, refresh)?);
            queues.push((address, queue));
            // What is not forwarded cannot come back.
            if let (Some(_), Some(forward)) = (&pipeline.loop_detection, server.forward.first()) {
                let exchange = exchange(forward, environment)?;
                assembly.loops.push(Loop { pipeline: pipeline.clone(), address, exchange });
            }
            assembly.pipelines.push(pipeline.clone());
            let served = zones.entry(address).or_default();
            for zone in keys {
                if served.iter().any(|other| other.apex == zone) {
                    return Err(AssembleError::Twice { zone, address });
                }
                let enabled = |directive| Enabled { server: label.clone(), zone: zone.to_ascii(), directive };
                assembly.enabled.extend(server.directives().into_iter().map(enabled));
                served.push(zone_of(zone, server, pipeline.clone(), &label, environment));
            }
        }
    }
    for (address, zones) in zones {
        let has_metrics = zones.iter().any(|zone| zone.prometheus.is_some());
        let dropped = has_metrics
            .then(|| Prometheus::new(environment.metrics.clone(), server_label(address), "dropped".to_owned()));
        assembly.routers.insert(address, Arc::new(Router::new(zones, dropped)));
    }
    for (address, queue) in queues {
        if let Some(router) = assembly.routers.get(&address) {
            assembly.refreshes.push((router.clone(), queue));
        }
    }
    Ok(assembly)
}

fn zone_of(
    apex: Name,
    server: &ServerBlock,
    pipeline: Arc<Pipeline>,
    label: &str,
    environment: &Environment<'_>,
) -> Zone {
    let count = |_| Arc::new(Prometheus::new(environment.metrics.clone(), label.to_owned(), apex.to_ascii()));
    let prometheus = server.prometheus.as_ref().map(count);
    Zone { apex, pipeline, prometheus }
}

/// The addresses that a block listens on, with the zones that it serves there.
fn listen_addresses(
    server: &ServerBlock,
    environment: &Environment<'_>,
) -> Result<BTreeMap<ListenAddress, Vec<Name>>, AssembleError> {
    let hosts = bind_addresses(&server.bind, environment)?;
    let mut addresses: BTreeMap<ListenAddress, Vec<Name>> = BTreeMap::new();
    for key in &server.keys {
        let port = key.port.unwrap_or(environment.default_port);
        let places = match &hosts {
            None => vec![ListenAddress::All { port }],
            Some(hosts) => hosts.iter().map(|host| ListenAddress::One(SocketAddr::new(*host, port))).collect(),
        };
        for place in places {
            addresses.entry(place).or_default().push(key.zone.clone());
        }
    }
    Ok(addresses)
}

/// The addresses of `bind`; None: all of them.
fn bind_addresses(bind: &Bind, environment: &Environment<'_>) -> Result<Option<BTreeSet<IpAddr>>, AssembleError> {
    if bind.addresses.is_empty() && bind.except.is_empty() {
        return Ok(None);
    }
    let mut addresses = BTreeSet::new();
    for wanted in &bind.addresses {
        addresses.extend(addresses_of(wanted, environment)?);
    }
    if bind.addresses.is_empty() {
        addresses.extend(environment.interfaces.iter().map(|(_, address)| *address));
    }
    for unwanted in &bind.except {
        for address in addresses_of(unwanted, environment)? {
            addresses.remove(&address);
        }
    }
    Ok(Some(addresses))
}

fn addresses_of(bind: &BindAddress, environment: &Environment<'_>) -> Result<Vec<IpAddr>, AssembleError> {
    match bind {
        BindAddress::Address(address, _) => Ok(vec![*address]),
        BindAddress::Interface(name) => {
            let addresses: Vec<IpAddr> = environment
                .interfaces
                .iter()
                .filter(|(interface, _)| interface == name)
                .map(|(_, address)| *address)
                .collect();
            match addresses.is_empty() {
                true => Err(AssembleError::Interface { name: name.clone() }),
                false => Ok(addresses),
            }
        }
    }
}

/// What metrics call a listener: `dns://:53`, `dns://[::1]:53`.
fn server_label(address: ListenAddress) -> String {
    match address {
        ListenAddress::All { port } => format!("dns://:{port}"),
        ListenAddress::One(address) => format!("dns://{address}"),
    }
}

fn pipeline(
    server: &ServerBlock,
    label: &str,
    environment: &Environment<'_>,
    refresh: crate::plugin::cache::RefreshSender,
) -> Result<Pipeline, AssembleError> {
    let metrics = &environment.metrics;
    let dns64 =
        server.dns64.as_ref().map(|config| Dns64::new(config, label.to_owned(), metrics.clone())).transpose()?;
    let forward = server.forward.iter().map(|config| forward(config, environment)).collect::<Result<_, _>>()?;
    let template =
        server.template.iter().map(|config| Template::new(config.clone(), label.to_owned(), metrics.clone()));
    let first_zone = server.keys.first().map(|key| &key.zone);
    Ok(Pipeline {
        bufsize: server.bufsize,
        errors: server.errors.clone().map(Errors::new),
        log: (!server.log.is_empty()).then(|| Log::new(server.log.clone())),
        dns64,
        chaos: server.chaos.clone().map(|config| Chaos::new(config, environment.host_name.clone())),
        loadbalance: server.loadbalance.clone().map(LoadBalance::new),
        cache: server.cache.as_ref().map(|config| Cache::new(config, label, metrics, refresh)),
        template: template.collect(),
        hosts: server.hosts.clone().map(|config| Arc::new(Hosts::new(config, metrics.clone()))),
        kubernetes: server.kubernetes.as_ref().map(|config| kubernetes(config, environment)),
        loop_detection: first_zone.filter(|_| server.loop_detection).map(LoopDetection::new),
        forward,
        whoami: server.whoami.then_some(Whoami),
    })
}

fn forward(config: &directive::Forward, environment: &Environment<'_>) -> Result<Forward, AssembleError> {
    let exchange = exchange(config, environment)?;
    Ok(Forward::new(config, exchange, environment.metrics.clone(), environment.tasks.clone()))
}

fn exchange(config: &directive::Forward, environment: &Environment<'_>) -> Result<Arc<dyn Exchange>, TlsError> {
    match &environment.exchange {
        Some(exchange) => Ok(exchange.clone()),
        None => Ok(Arc::new(Network::new(config, &environment.metrics)?)),
    }
}

/// The plugin over the store of its cluster; one that nobody fills where the caller has none: it says SERVFAIL.
fn kubernetes(config: &KubernetesConfig, environment: &Environment<'_>) -> Kubernetes {
    let store = environment.stores.get(&Cluster::of(config)).cloned();
    let store = store.unwrap_or_else(|| Arc::new(Store::new(vec![Resource::Namespaces, Resource::Services])));
    let local = environment.interfaces.iter().map(|(_, address)| *address).filter(|address| !address.is_loopback());
    Kubernetes::new(config.clone(), store, local.collect())
}
