//! DNS over TLS, HTTPS and QUIC: listeners in this process, and clients of each.

mod certificates;
mod https;
mod quic;
mod tls;
mod tools;
mod upstream;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use landfall::app::assemble::{Environment, assemble};
use landfall::config::Scheme;
use landfall::config::corefile::Source;
use landfall::config::directive::{ClientAuth, Tls};
use landfall::listen::{Capacity, Endpoint, Limits, ListenAddress, ListenError, Listener, PortUse, Tuning};
use landfall::metrics::Metrics;
use landfall::plugin::Router;
use landfall::task::Tasks;
use landfall::upstream::{Attempt, Exchange, Exchanging};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_rustls::{TlsConnector, rustls};

use super::limits::{BIG, router};
use super::packet::{A, Packet};

const NAME: &str = "dns.example";
const SHORT: Duration = Duration::from_millis(300);

/// A certificate that signs itself, in files.
struct Identity {
    folder: tempfile::TempDir,
}

impl Identity {
    fn new() -> Self {
        let identity = Self { folder: tempfile::tempdir().expect("a folder") };
        identity.renew();
        identity
    }

    /// Another one in the same files.
    fn renew(&self) {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
        std::fs::write(self.path("tls.key"), made.signing_key.serialize_pem()).expect("a file");
        std::fs::write(self.path("tls.crt"), made.cert.pem()).expect("a file");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn files(&self) -> Tls {
        let (certificate, key) = (self.path("tls.crt"), self.path("tls.key"));
        Tls { certificate, key, authority: None, client_auth: ClientAuth::Nocert }
    }

    fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.path("tls.crt")).expect("a certificate")
    }

    /// A client that believes this certificate, and shows it, too, if it is asked.
    fn client(&self, protocols: &[&[u8]]) -> ClientConfig {
        let mut config = self.client_of(Some(self));
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config
    }

    /// A client that believes this certificate, and shows another one.
    fn client_of(&self, other: Option<&Self>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS");
        let builder = builder.with_root_certificates(roots);
        let Some(other) = other else { return builder.with_no_client_auth() };
        let key = PrivateKeyDer::from_pem_file(other.path("tls.key")).expect("a key");
        builder.with_client_auth_cert(vec![other.certificate()], key).expect("a client")
    }

    async fn connect(&self, server: SocketAddr, protocols: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(Arc::new(self.client(protocols)));
        let name = ServerName::try_from(NAME).expect("a name");
        connector.connect(name, TcpStream::connect(server).await?).await
    }
}

/// A listener with this certificate, and what it counts.
struct Server {
    listener: Listener,
    router: Arc<Router>,
    metrics: Arc<Metrics>,
    upstream: Arc<Upstream>,
}

impl Server {
    /// Answers for [`BIG`].
    fn start(scheme: Scheme, files: Tls, limits: Limits) -> Self {
        Self::bind(scheme, &tuning(files), limits).expect("a listener")
    }

    fn bind(scheme: Scheme, tuning: &Tuning, limits: Limits) -> Result<Self, ListenError> {
        let metrics = Arc::new(Metrics::new());
        Self::with_router(router(&metrics), scheme, tuning, limits, metrics, Arc::default())
    }

    /// Answers as a Corefile says; other servers answer when there are permits for it.
    fn of(corefile: &str, scheme: Scheme, files: Tls) -> Self {
        let (metrics, upstream) = (Arc::new(Metrics::new()), Arc::<Upstream>::default());
        let source = Source::Text { name: "Corefile".to_owned(), text: corefile.to_owned() };
        let config = source.load(53).unwrap_or_else(|errors| panic!("{errors:?}")).config;
        let environment = Environment {
            metrics: metrics.clone(),
            interfaces: Vec::new(),
            host_name: String::new(),
            stores: &HashMap::new(),
            memories: &HashMap::new(),
            exchange: Some(upstream.clone()),
            default_port: 53,
            tasks: Tasks::new(),
        };
        let assembly = assemble(&config, &environment).expect("an assembly");
        let router = assembly.routers.into_values().next().expect("a server block");
        Self::with_router(router, scheme, &tuning(files), Limits::default(), metrics, upstream).expect("a listener")
    }

    fn with_router(
        router: Arc<Router>,
        scheme: Scheme,
        tuning: &Tuning,
        limits: Limits,
        metrics: Arc<Metrics>,
        upstream: Arc<Upstream>,
    ) -> Result<Self, ListenError> {
        let capacity = Arc::new(Capacity::new(limits, metrics.clone()));
        let endpoint = Endpoint { scheme, address: ListenAddress::One((Ipv4Addr::LOCALHOST, 0).into()) };
        let listener = Listener::bind(endpoint, PortUse::Alone, router.clone(), tuning, &capacity)?;
        Ok(Self { listener, router, metrics, upstream })
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_address()
    }

    fn refused(&self, bound: &str) -> u64 {
        self.metrics.landfall_queries_refused.with_label_values(&[bound]).get()
    }

    /// Waits until a query waits for another server.
    async fn is_waiting(&self) {
        until("a query waits", || self.metrics.landfall_queries_in_flight.get() > 0).await;
    }

    /// Stops, which waits for a query that waits for another server; returns what the client gets.
    async fn stops_after<T>(self, reply: impl Future<Output = T>) -> T {
        self.is_waiting().await;
        let stopping = tokio::spawn(self.listener.stop(Duration::from_secs(4)));
        tokio::time::sleep(SHORT).await;
        assert!(!stopping.is_finished());
        self.upstream.0.add_permits(1);
        let reply = reply.await;
        assert!(stopping.await.expect("no panic"));
        reply
    }

    /// Waits until no connection is left.
    async fn is_left(&self) {
        until("nobody is connected", || self.metrics.landfall_tcp_connections.get() == 0).await;
    }
}

/// A zone `big` with so many hosts, which may be transferred, and one whose queries have no reply.
fn big_and_dropped(identity: &Identity, hosts: u32) -> String {
    let zone = format!("$TTL 60\n@ SOA ns a 1 1 1 1 1\n@ NS ns\n$GENERATE 1-{hosts} h$ A 192.0.2.1\n");
    std::fs::write(identity.path("db"), zone).expect("a zone");
    format!(
        "big dropped {{\n acl dropped {{\n drop\n }}\n file {} big {{\n reload 0\n }}\n transfer {{\n to *\n }}\n}}\n",
        identity.path("db").display()
    )
}

fn tuning(files: Tls) -> Tuning {
    Tuning { tls: Some(files), ..Tuning::default() }
}

/// Another server, which answers when it may.
#[derive(Debug)]
struct Upstream(Semaphore);

impl Default for Upstream {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Exchange for Upstream {
    fn exchange(&self, attempt: Attempt) -> Exchanging<'_> {
        Box::pin(async move {
            self.0.acquire().await.expect("permission").forget();
            let question = Message::from_vec(&attempt.message).expect("a question");
            let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
            reply.add_query(question.queries[0].clone());
            Ok(reply.to_vec().expect("a reply"))
        })
    }
}

fn question(id: u16) -> Vec<u8> {
    Packet { id, ..Packet::new(BIG, A) }.octets()
}

/// The next message of a stream; None: it has ended.
async fn next(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<Vec<u8>> {
    let length = stream.read_u16().await.ok()?;
    let mut message = vec![0; length.into()];
    stream.read_exact(&mut message).await.ok()?;
    Some(message)
}

/// Waits for a condition.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect(what);
}
