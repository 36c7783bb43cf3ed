//! TLS towards servers: whose certificates are believed, and which is ours.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_platform_verifier::Verifier;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::config::directive::ForwardTls;

/// Why TLS towards servers cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file of certificates or of a key is not what it should be.
    #[error("cannot read {what} from {file:?}: {reason}")]
    File {
        /// What it should hold.
        what: &'static str,
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The key does not belong to the certificate, or is of a kind that TLS does not use.
    #[error("cannot use the certificate {certificate:?} with the key {key:?}")]
    Identity {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What is wrong with them.
        source: rustls::Error,
    },
    /// The system has no certificate authorities, or none that can be read.
    #[error("cannot use the certificate authorities of this system")]
    System(#[source] rustls::Error),
    /// A server cannot have such a name.
    #[error("not a server name: {0:?}")]
    Name(String),
    /// The library offers no such version of TLS.
    #[error("cannot set up TLS")]
    Version(#[source] rustls::Error),
}

/// The protocol that a connection for HTTP/2 names (RFC 9113 section 3.2).
pub(super) const HTTP_2: &[u8] = b"h2";

/// The protocol that a connection for DNS over QUIC names (RFC 9250 section 4.1.1).
const DOQ: &[u8] = b"doq";

/// TLS as a `forward` wants it.
#[derive(Clone)]
pub(super) struct Connectors {
    /// For DNS over TLS.
    pub tls: TlsConnector,
    /// For HTTP/2.
    pub https: TlsConnector,
    /// For QUIC, which takes only the settings.
    pub quic: TlsConnector,
}

/// TLS as a `forward` wants it; files are read once.
pub(super) fn connectors(config: &ForwardTls) -> Result<Connectors, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Version)?;
    let builder = match &config.authority {
        Some(file) => builder.with_root_certificates(authorities(file)?),
        None => builder.dangerous().with_custom_certificate_verifier(system_authorities(provider)?),
    };
    let plain = match &config.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable("a private key", key, error))?;
            builder.with_client_auth_cert(chain, secret).map_err(|source| TlsError::Identity {
                certificate: certificate.clone(),
                key: key.clone(),
                source,
            })?
        }
    };
    let naming = |protocol: &[u8]| {
        let mut config = plain.clone();
        config.alpn_protocols = vec![protocol.to_vec()];
        Arc::new(config).into()
    };
    Ok(Connectors { https: naming(HTTP_2), quic: naming(DOQ), tls: Arc::new(plain).into() })
}

/// Whose certificate a server must show: that of a name, or else that of its address.
pub(super) fn server_name(name: Option<&str>, address: IpAddr) -> Result<ServerName<'static>, TlsError> {
    match name {
        None => Ok(ServerName::from(address)),
        Some(name) => ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned())),
    }
}

/// "Dangerous" is the library's word for every verifier that is not its own; this one has the same rules.
fn system_authorities(provider: Arc<CryptoProvider>) -> Result<Arc<Verifier>, TlsError> {
    Verifier::new(provider).map(Arc::new).map_err(TlsError::System)
}

fn authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(file)? {
        store.add(certificate).map_err(|error| unreadable("certificates", file, error))?;
    }
    Ok(store)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, pem::Error>>);
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(unreadable("certificates", file, "there is none in it")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unreadable("certificates", file, error)),
    }
}

fn unreadable(what: &'static str, file: &Path, reason: impl ToString) -> TlsError {
    TlsError::File { what, file: file.to_owned(), reason: reason.to_string() }
}
