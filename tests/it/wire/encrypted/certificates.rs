//! Certificates of listeners, and of their clients.

use std::sync::Arc;
use std::time::Duration;

use landfall::config::Scheme;
use landfall::config::directive::{ClientAuth, Tls};
use landfall::listen::{Limits, Tuning};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{Identity, NAME, Server, next, question, tuning};
use crate::wire::socket::frame;

#[tokio::test]
async fn a_client_must_show_its_certificate_where_that_is_asked() {
    let (identity, stranger) = (Identity::new(), Identity::new());
    let authority = Some(identity.path("tls.crt"));
    let files = Tls { authority, client_auth: ClientAuth::RequireAndVerify, ..identity.files() };
    let server = Server::start(Scheme::Tls, files, Limits::default());
    assert!(asks(&server, identity.client(&[])).await);
    assert!(!asks(&server, identity.client_of(Some(&stranger))).await);
    assert!(!asks(&server, identity.client_of(None)).await);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_told() {
    let identity = Identity::new();
    let check_tuning = |tuning: Tuning, part: &str| {
        let error = Server::bind(Scheme::Tls, &tuning, Limits::default()).err().expect("an error").to_string();
        assert!(error.contains(part), "{error}");
    };
    let check = |files: Tls, part: &str| check_tuning(tuning(files), part);
    check_tuning(Tuning::default(), "a listener with tls:// needs a certificate");
    check(Tls { certificate: "/nowhere".into(), ..identity.files() }, "cannot read certificates from \"/nowhere\"");
    check(Tls { key: identity.path("tls.crt"), ..identity.files() }, "cannot read a private key");
    let other = Identity::new();
    check(Tls { key: other.path("tls.key"), ..identity.files() }, "keys may not be consistent");
}

/// Connects to a server, and asks.
async fn asks(server: &Server, client: ClientConfig) -> bool {
    let asked = async {
        let stream = TcpStream::connect(server.address()).await.ok()?;
        let name = ServerName::try_from(NAME).ok()?;
        let mut stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.ok()?;
        stream.write_all(&frame(&question(1))).await.ok()?;
        next(&mut stream).await
    };
    asked.await.is_some()
}

#[tokio::test]
async fn a_certificate_of_anybody_will_do_where_nobody_checks_it() {
    let (identity, stranger) = (Identity::new(), Identity::new());
    for (client_auth, needs_one) in
        [(ClientAuth::Nocert, false), (ClientAuth::Request, false), (ClientAuth::Require, true)]
    {
        let server = Server::start(Scheme::Tls, Tls { client_auth, ..identity.files() }, Limits::default());
        assert!(asks(&server, identity.client_of(Some(&stranger))).await, "{client_auth:?}");
        assert_eq!(asks(&server, identity.client_of(None)).await, !needs_one, "{client_auth:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_read_again_when_it_changes_and_kept_when_it_is_broken() {
    let identity = Identity::new();
    let server = Server::start(Scheme::Tls, identity.files(), Limits::default());
    let failures = || server.metrics.landfall_certificate_failures.with_label_values(&["tls://127.0.0.1:0"]).get();
    let old = identity.client(&[]);
    std::fs::write(identity.path("tls.crt"), "no certificate").expect("a file");
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(failures(), 1, "it is told once");
    assert!(asks(&server, old.clone()).await, "the old one is kept");
    std::fs::remove_file(identity.path("tls.crt")).expect("a file");
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(failures(), 2, "so is that it is gone");
    identity.renew();
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert!(!asks(&server, old).await);
    assert!(asks(&server, identity.client(&[])).await);
    assert_eq!(failures(), 2);
}

#[tokio::test]
async fn a_reload_names_other_files_and_keeps_sockets_and_connections() {
    let (identity, other) = (Identity::new(), Identity::new());
    let server = Server::start(Scheme::Tls, identity.files(), Limits::default());
    let mut before = identity.connect(server.address(), &[]).await.expect("TLS");
    let broken = tuning(Tls { key: "/nowhere".into(), ..other.files() });
    assert!(server.listener.prepare(server.router.clone(), &broken).is_err());
    assert!(asks(&server, identity.client(&[])).await, "nothing has changed");
    let change = server.listener.prepare(server.router.clone(), &tuning(other.files())).expect("a change");
    server.listener.replace(change);
    assert!(asks(&server, other.client(&[])).await);
    assert!(!asks(&server, identity.client(&[])).await);
    before.write_all(&frame(&question(1))).await.expect("a question");
    assert!(next(&mut before).await.is_some(), "who is connected stays so");
}

#[tokio::test]
async fn a_reload_looks_at_the_files_at_once() {
    let identity = Identity::new();
    let server = Server::start(Scheme::Tls, identity.files(), Limits::default());
    identity.renew();
    let change = server.listener.prepare(server.router.clone(), &tuning(identity.files())).expect("a change");
    server.listener.replace(change);
    assert!(asks(&server, identity.client(&[])).await);
}
