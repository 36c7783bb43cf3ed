//! Kubeconfigs, and the certificates of a server that asks its clients for theirs.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::rights::{DNS, TOKENS};

/// Writes a kubeconfig whose user has a token in a file. Its current context leads nowhere; `fake` is the right one.
pub fn write_token_kubeconfig(folder: &Path, server: SocketAddr) -> PathBuf {
    let (token, _) = TOKENS.iter().find(|(_, user)| *user == DNS).unwrap();
    let file = write_token(folder, token);
    write_kubeconfig(folder, &format!("server: http://{server}"), &format!("tokenFile: {}", file.display()))
}

/// Puts a token into the file.
pub fn write_token(folder: &Path, token: &str) -> PathBuf {
    let (next, file) = (folder.join("next-token"), folder.join("token"));
    fs::write(&next, token).unwrap();
    fs::rename(next, &file).unwrap();
    file
}

/// Makes certificates, and a kubeconfig whose user has one.
pub fn write_certificate_kubeconfig(folder: &Path, server: SocketAddr) -> (PathBuf, TlsAcceptor) {
    let provider = Arc::new(ring::default_provider());
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let issue = |address: Option<SocketAddr>, name: &str| {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = address.map(|address| address.ip().to_string()).into_iter().collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, name);
        (parameters.signed_by(&key, &issuer).unwrap(), key)
    };

    let (client, client_key) = issue(None, "dns");
    fs::write(folder.join("authority.pem"), authority_certificate.pem()).unwrap();
    fs::write(folder.join("client.pem"), client.pem()).unwrap();
    fs::write(folder.join("client-key.pem"), client_key.serialize_pem()).unwrap();
    let kubeconfig = write_kubeconfig(
        folder,
        &format!("server: https://{server}\n    certificate-authority: authority.pem"),
        "client-certificate: client.pem\n    client-key: client-key.pem",
    );

    let (certificate, key) = issue(Some(server), "fake");
    let mut roots = RootCertStore::empty();
    roots.add(authority_certificate.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    (kubeconfig, TlsAcceptor::from(Arc::new(config)))
}

fn write_kubeconfig(folder: &Path, cluster: &str, user: &str) -> PathBuf {
    let path = folder.join("kubeconfig");
    let text = format!(
        "apiVersion: v1
kind: Config
current-context: nowhere
clusters:
- name: fake
  cluster:
    {cluster}
- name: nowhere
  cluster:
    server: http://127.0.0.1:9
users:
- name: dns
  user:
    {user}
contexts:
- name: fake
  context: {{cluster: fake, user: dns}}
- name: nowhere
  context: {{cluster: nowhere, user: dns}}
"
    );
    fs::write(&path, text).unwrap();
    path
}
