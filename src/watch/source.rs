//! Which API server, and with which credentials.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use tower::{BoxError, ServiceExt};

use super::pace::Pace;
use super::{Settings, token};
use crate::config::directive::ObjectSource;

/// A client of an API server; connections are made when it is used.
#[derive(Clone)]
pub struct ApiServer {
    /// The client.
    pub client: Client,
    /// Host and port, for metrics and log lines.
    pub host: String,
    /// How often it may be asked.
    pub pace: Arc<Pace>,
    /// The certificates that it is checked against: a cluster has its own.
    pub authorities: Vec<Vec<u8>>,
}

/// Where objects come from.
pub enum Source {
    /// An API server.
    Api(ApiServer),
    /// A file or folder of manifests.
    Manifests(PathBuf),
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Neither in a cluster nor with a kubeconfig.
    #[error(
        "no Kubernetes API server is known: this is no Pod of a cluster ({in_cluster}), and there is no usable kubeconfig \
         ({kubeconfig}); give one with --kubeconfig or KUBECONFIG, or use `manifests PATH`"
    )]
    Nothing {
        /// Why the service account is of no use.
        in_cluster: Box<InClusterError>,
        /// Why the kubeconfig is of no use.
        kubeconfig: Box<KubeconfigError>,
    },
    /// The kubeconfig that was named is of no use.
    #[error("kubeconfig {file:?} is of no use: {source}")]
    Kubeconfig {
        /// The file.
        file: PathBuf,
        /// Why.
        source: Box<KubeconfigError>,
    },
    /// The endpoint that was named is of no use.
    #[error("endpoint {url:?} is of no use: {source}")]
    Endpoint {
        /// The URL.
        url: String,
        /// Why.
        source: Box<KubeconfigError>,
    },
    /// Certificates or credentials are of no use.
    #[error("the credentials for {host} are of no use: {source}")]
    Credentials {
        /// Host and port.
        host: String,
        /// Why.
        source: Box<kube::Error>,
    },
}

/// Finds the API server and the credentials, unless the objects come from manifests.
pub async fn find(settings: &Settings) -> Result<Source, SourceError> {
    let options = KubeConfigOptions { context: settings.context.clone(), ..Default::default() };
    let config = match (&settings.source, &settings.kubeconfig) {
        (ObjectSource::Manifests(path), _) => return Ok(Source::Manifests(path.clone())),
        (_, Some(file)) => from_file(file, options).await?,
        (ObjectSource::Cluster, None) => from_surroundings(options).await?,
        (ObjectSource::Kubeconfig { file, context }, None) => {
            let context = options.context.or_else(|| context.clone());
            from_file(file, KubeConfigOptions { context, ..Default::default() }).await?
        }
        (ObjectSource::Endpoint { url, tls }, None) => from_endpoint(url, tls.as_ref()).await?,
    };
    connect(config, Pace::new(&settings.pace)).map(Source::Api)
}

async fn from_file(file: &Path, options: KubeConfigOptions) -> Result<Config, SourceError> {
    let failed = |source| SourceError::Kubeconfig { file: file.to_owned(), source: Box::new(source) };
    let kubeconfig = Kubeconfig::read_from(file).map_err(failed)?;
    Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(failed)
}

/// In a Pod the service account; else, or if a context is asked for, KUBECONFIG or ~/.kube/config.
async fn from_surroundings(options: KubeConfigOptions) -> Result<Config, SourceError> {
    let in_cluster = match Config::incluster() {
        Ok(config) if options.context.is_none() => return Ok(config),
        Ok(_) => None,
        Err(error) => Some(Box::new(error)),
    };
    Config::from_kubeconfig(&options).await.map_err(|error| match in_cluster {
        Some(in_cluster) => SourceError::Nothing { in_cluster, kubeconfig: Box::new(error) },
        None => SourceError::Kubeconfig { file: PathBuf::from("KUBECONFIG"), source: Box::new(error) },
    })
}

/// A kubeconfig made of the URL and the files, so that both ways are one.
async fn from_endpoint(url: &str, tls: Option<&(PathBuf, PathBuf, PathBuf)>) -> Result<Config, SourceError> {
    let failed = |source| SourceError::Endpoint { url: url.to_owned(), source: Box::new(source) };
    // Like CoreDNS: without a scheme it is plain HTTP.
    let server = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let (mut cluster, mut user) = (serde_json::json!({ "server": server }), serde_json::json!({}));
    if let Some((certificate, key, authority)) = tls {
        cluster = serde_json::json!({ "server": server, "certificate-authority": authority });
        user = serde_json::json!({ "client-certificate": certificate, "client-key": key });
    }
    let kubeconfig = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "endpoint",
        "clusters": [{ "name": "endpoint", "cluster": cluster }],
        "users": [{ "name": "endpoint", "user": user }],
        "contexts": [{ "name": "endpoint", "context": { "cluster": "endpoint", "user": "endpoint" } }],
    });
    let kubeconfig = Kubeconfig::from_yaml(&kubeconfig.to_string()).map_err(failed)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(failed)
}

fn connect(mut config: Config, pace: Pace) -> Result<ApiServer, SourceError> {
    let host = config.cluster_url.authority().map(ToString::to_string).unwrap_or_default();
    // kube's own retries would hide a failing API server for minutes; ours follow each failure at once.
    config.default_retry = false;
    let authorities = config.root_cert.clone().unwrap_or_default();
    let agent = concat!("Landfall/", env!("CARGO_PKG_VERSION"));
    if let (Ok(name), Ok(value)) = ("user-agent".parse(), agent.parse()) {
        config.headers.push((name, value));
    }
    match token::client(config, client) {
        Ok(client) => Ok(ApiServer { client, host, pace: Arc::new(pace), authorities }),
        Err(source) => Err(SourceError::Credentials { host, source: Box::new(source) }),
    }
}

/// kube's client over connections of our own.
fn client(config: Config) -> Result<Client, kube::Error> {
    if config.proxy_url.is_some() {
        return Client::try_from(config);
    }
    let connector = config.rustls_https_connector_with_connector(connector())?;
    let http: HttpClient<_, Body> = HttpClient::builder(TokioExecutor::new()).build(connector);
    let builder = ClientBuilder::new(http.map_err(BoxError::from), config.default_namespace.clone());
    let builder = builder.with_layer(&config.extra_headers_layer()?);
    Ok(match config.auth_layer()? {
        Some(auth) => builder.with_layer(&auth).with_layer(&config.base_uri_layer()).build(),
        None => builder.with_layer(&config.base_uri_layer()).build(),
    })
}

/// Connections to a machine that is gone end within half a minute, whether they wait or have something to say.
fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(Duration::from_secs(10)));
    connector.set_keepalive(Some(Duration::from_secs(10)));
    connector.set_keepalive_interval(Some(Duration::from_secs(5)));
    connector.set_keepalive_retries(Some(3));
    #[cfg(target_os = "linux")]
    connector.set_tcp_user_timeout(Some(Duration::from_secs(25)));
    connector
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(source: ObjectSource) -> Settings {
        Settings { source, ..Settings::default() }
    }

    #[tokio::test]
    async fn an_endpoint_needs_no_kubeconfig() {
        for (url, host) in [("http://127.0.0.1:8001", "127.0.0.1:8001"), ("[::1]:8001", "[::1]:8001")] {
            let source = ObjectSource::Endpoint { url: url.to_owned(), tls: None };
            let Ok(Source::Api(found)) = find(&settings(source)).await else { panic!("an API server") };
            assert_eq!(found.host, host);
        }
    }

    #[tokio::test]
    async fn a_kubeconfig_that_is_absent_is_named() {
        let source = ObjectSource::Kubeconfig { file: "/absent/config".into(), context: None };
        let error = find(&settings(source)).await.err().expect("an error").to_string();
        assert!(error.contains("/absent/config"), "{error}");
    }

    #[tokio::test]
    async fn the_arguments_win_but_not_over_manifests() {
        let mut settings = settings(ObjectSource::Endpoint { url: "http://127.0.0.1:1".to_owned(), tls: None });
        settings.kubeconfig = Some("/absent/config".into());
        assert!(find(&settings).await.is_err());
        settings.source = ObjectSource::Manifests("cluster".into());
        assert!(matches!(find(&settings).await, Ok(Source::Manifests(_))));
    }

    #[tokio::test]
    async fn certificates_that_are_absent_are_named() {
        let tls = Some(("/absent/cert".into(), "/absent/key".into(), "/absent/ca".into()));
        let source = ObjectSource::Endpoint { url: "https://127.0.0.1:1".to_owned(), tls };
        let error = find(&settings(source)).await.err().expect("an error").to_string();
        assert!(error.contains("/absent/ca"), "{error}");
    }
}
