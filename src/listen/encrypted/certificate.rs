//! The certificate of a listener, read again when its files change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::directive::{ClientAuth, Tls};

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file is not what it should be.
    #[error("tls: cannot read {what} from {file:?}: {reason}")]
    File {
        /// What it should hold.
        what: &'static str,
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The parts do not fit.
    #[error("tls: cannot use the certificate {certificate:?}: {reason}")]
    Parts {
        /// The file of the certificate.
        certificate: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The certificate of a listener, as it is now.
#[derive(Debug)]
pub struct Certificate {
    files: Tls,
    /// The protocols that are spoken below TLS (RFC 7301).
    protocols: &'static [&'static [u8]],
    config: ArcSwap<ServerConfig>,
}

impl Certificate {
    /// Reads the files.
    pub fn read(files: &Tls, protocols: &'static [&'static [u8]]) -> Result<Self, CertificateError> {
        let config = server_config(files, protocols)?;
        Ok(Self { files: files.clone(), protocols, config: ArcSwap::from_pointee(config) })
    }

    /// TLS as it is now.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Whether the files are these.
    pub fn is_of(&self, files: &Tls) -> bool {
        self.files == *files
    }

    /// Reads the files again whenever they change, until it is told to stop. Those that cannot be used change nothing.
    pub async fn watch(&self, stop: CancellationToken) {
        let mut known = self.versions();
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_INTERVAL)).await.is_some() {
            let versions = self.versions();
            if versions == known {
                continue;
            }
            known = versions;
            let certificate = self.files.certificate.display();
            match server_config(&self.files, self.protocols) {
                Ok(config) => {
                    self.config.store(Arc::new(config));
                    info!(%certificate, "the certificate has changed");
                }
                Err(error) => warn!(%error, "the certificate has changed and cannot be used; the old one is kept"),
            }
        }
    }

    /// When the files were changed, and their sizes.
    fn versions(&self) -> Vec<Option<(SystemTime, u64)>> {
        let files = [Some(&self.files.certificate), Some(&self.files.key), self.files.authority.as_ref()];
        let version = |file: &PathBuf| {
            let metadata = std::fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        files.into_iter().flatten().map(version).collect()
    }
}

fn server_config(files: &Tls, protocols: &[&[u8]]) -> Result<ServerConfig, CertificateError> {
    let parts = |error: rustls::Error| CertificateError::Parts {
        certificate: files.certificate.clone(),
        reason: error.to_string(),
    };
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(parts)?;
    let builder = match client_verifier(files)? {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unreadable("a private key", &files.key, error))?;
    let mut config = builder.with_single_cert(certificates(&files.certificate)?, key).map_err(parts)?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

fn client_verifier(files: &Tls) -> Result<Option<Arc<dyn ClientCertVerifier>>, CertificateError> {
    let Some(authority) = files.authority.as_ref().filter(|_| files.client_auth != ClientAuth::Nocert) else {
        return Ok(None);
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority)? {
        roots.add(certificate).map_err(|error| unreadable("certificates", authority, error))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()));
    let builder =
        if files.client_auth == ClientAuth::VerifyIfGiven { builder.allow_unauthenticated() } else { builder };
    builder.build().map(Some).map_err(|error| unreadable("certificates", authority, error))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, pem::Error>>);
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(unreadable("certificates", file, "there is none in it")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unreadable("certificates", file, error)),
    }
}

fn unreadable(what: &'static str, file: &Path, reason: impl ToString) -> CertificateError {
    CertificateError::File { what, file: file.to_owned(), reason: reason.to_string() }
}
