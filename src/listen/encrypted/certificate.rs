//! The certificate of a listener, read again when its files change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::any_certificate::AnyCertificate;
use crate::config::directive::{ClientAuth, Tls};
use crate::metrics::Counter;

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
    /// There is none.
    #[error("a listener with {scheme}:// needs a certificate: `tls CERT KEY`")]
    Missing {
        /// What is to be spoken.
        scheme: &'static str,
    },
}

/// The certificate of a listener, as it is now.
#[derive(Debug)]
pub struct Certificate {
    /// The protocols that are spoken below TLS (RFC 7301).
    protocols: &'static [&'static [u8]],
    version: ArcSwap<Version>,
    /// What was read last, whether it could be used or not; None: it could not even be read.
    seen: Mutex<Option<Fingerprint>>,
    failures: Counter,
}

/// What the files said at one time.
#[derive(Debug)]
pub struct Version {
    files: Tls,
    fingerprint: Fingerprint,
    config: Arc<ServerConfig>,
}

/// The SHA-256 of each file.
type Fingerprint = Vec<[u8; 32]>;

/// What is in the files.
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authority: Option<Vec<u8>>,
}

impl Certificate {
    /// Reads the files; those that change and cannot be used are counted in `failures`.
    pub fn read(files: &Tls, protocols: &'static [&'static [u8]], failures: Counter) -> Result<Self, CertificateError> {
        let version = Contents::read(files)?.version(files, protocols)?;
        let seen = Mutex::new(Some(version.fingerprint.clone()));
        Ok(Self { protocols, version: ArcSwap::from_pointee(version), seen, failures })
    }

    /// TLS as it is now.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.version.load().config.clone()
    }

    /// What other files say; None: they are the same files.
    pub fn prepare(&self, files: &Tls) -> Result<Option<Version>, CertificateError> {
        match self.version.load().files == *files {
            true => Ok(None),
            false => Contents::read(files)?.version(files, self.protocols).map(Some),
        }
    }

    /// From now on these files count.
    pub fn replace(&self, version: Version) {
        self.version.store(Arc::new(version));
    }

    /// Looks at the files now and then, until it is told to stop.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_INTERVAL)).await.is_some() {
            let certificate = Arc::clone(&self);
            // A panic is logged where it happens.
            let _ = tokio::task::spawn_blocking(move || certificate.look()).await;
        }
    }

    /// Takes what the files say now, if they have changed. What cannot be used changes nothing, and is told once.
    pub fn look(&self) {
        if let Err(error) = self.take_changes() {
            self.failures.inc();
            warn!(%error, "the certificate has changed and cannot be used; the old one is kept");
        }
    }

    fn take_changes(&self) -> Result<(), CertificateError> {
        let current = self.version.load_full();
        let contents = Contents::read(&current.files);
        let fingerprint = contents.as_ref().ok().map(Contents::fingerprint);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *seen, fingerprint.clone());
        if before == fingerprint || fingerprint.as_ref() == Some(&current.fingerprint) {
            return Ok(());
        }
        let version = contents?.version(&current.files, self.protocols)?;
        info!(certificate = %version.files.certificate.display(), "the certificate has changed");
        // A reload may have named other files meanwhile.
        self.version.compare_and_swap(&current, Arc::new(version));
        Ok(())
    }
}

impl Contents {
    fn read(files: &Tls) -> Result<Self, CertificateError> {
        let read = |what, file: &Path| std::fs::read(file).map_err(|error| unreadable(what, file, error));
        Ok(Self {
            certificate: read("certificates", &files.certificate)?,
            key: read("a private key", &files.key)?,
            authority: files.authority.as_deref().map(|file| read("certificates", file)).transpose()?,
        })
    }

    fn fingerprint(&self) -> Fingerprint {
        [&self.certificate, &self.key]
            .into_iter()
            .chain(&self.authority)
            .map(|file| Sha256::digest(file).into())
            .collect()
    }

    fn version(&self, files: &Tls, protocols: &[&[u8]]) -> Result<Version, CertificateError> {
        let parts = |error: rustls::Error| CertificateError::Parts {
            certificate: files.certificate.clone(),
            reason: error.to_string(),
        };
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(parts)?;
        let builder = match self.client_verifier(files)? {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier),
        };
        let key = PrivateKeyDer::from_pem_slice(&self.key);
        let key = key.map_err(|error| unreadable("a private key", &files.key, error))?;
        let chain = certificates(&self.certificate, &files.certificate)?;
        let mut config = builder.with_single_cert(chain, key).map_err(parts)?;
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Version { files: files.clone(), fingerprint: self.fingerprint(), config: Arc::new(config) })
    }

    fn client_verifier(&self, files: &Tls) -> Result<Option<Arc<dyn ClientCertVerifier>>, CertificateError> {
        let may_be_absent = match files.client_auth {
            ClientAuth::Nocert => return Ok(None),
            ClientAuth::Request => return Ok(Some(Arc::new(AnyCertificate::new(false)))),
            ClientAuth::Require => return Ok(Some(Arc::new(AnyCertificate::new(true)))),
            ClientAuth::VerifyIfGiven => true,
            ClientAuth::RequireAndVerify => false,
        };
        let (Some(authority), Some(file)) = (&self.authority, &files.authority) else {
            let reason = "client_auth needs the authority of clients".to_owned();
            return Err(CertificateError::Parts { certificate: files.certificate.clone(), reason });
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(authority, file)? {
            roots.add(certificate).map_err(|error| unreadable("certificates", file, error))?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()));
        let builder = if may_be_absent { builder.allow_unauthenticated() } else { builder };
        let verifier = builder.build().map_err(|error| unreadable("certificates", file, error))?;
        Ok(Some(verifier))
    }
}

fn certificates(pem: &[u8], file: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, pem::Error>>() {
        Ok(certificates) if certificates.is_empty() => Err(unreadable("certificates", file, "there is none in it")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unreadable("certificates", file, error)),
    }
}

fn unreadable(what: &'static str, file: &Path, reason: impl ToString) -> CertificateError {
    CertificateError::File { what, file: file.to_owned(), reason: reason.to_string() }
}
