//! Streams that break, dribble, or belong to somebody else: the next server answers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, crypto};

use super::{Evil, World, scene};

const NAME: &str = "dns.example";

/// A server whose certificate is good for a name, or was once.
fn tls_server(name: &str, is_expired: bool) -> (Evil, String) {
    let mut parameters = CertificateParams::new([name.to_owned()]).expect("a name");
    if is_expired {
        parameters.not_before = date_time_ymd(2000, 1, 1);
        parameters.not_after = date_time_ymd(2001, 1, 1);
    }
    let key = KeyPair::generate().expect("a key");
    let certificate = parameters.self_signed(&key).expect("a certificate");
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .expect("a certificate");
    (Evil::with_tls(Arc::new(config)), certificate.pem())
}

/// A server that asks two others over TLS, one after the other, and believes these certificates.
fn world(bad: &Evil, good: Evil, folder: &Path, believed: &[&str]) -> World {
    let authorities = folder.join("authorities.pem");
    std::fs::write(&authorities, believed.concat()).expect("a file");
    let forward = format!(
        "forward . tls://{} tls://{} {{\n policy sequential\n max_fails 0\n read_timeout 1s\n \
         tls {}\n tls_servername {NAME}\n }}",
        bad.address,
        good.address,
        authorities.display()
    );
    World { scene: scene(&forward), evil: good }
}

#[test]
fn nothing_is_asked_of_who_has_another_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    for (what, name, is_expired, is_believed) in [
        ("another name", "evil.example", false, true),
        ("another authority", NAME, false, false),
        ("an expired one", NAME, true, true),
    ] {
        let (bad, bad_certificate) = tls_server(name, is_expired);
        let (good, good_certificate) = tls_server(NAME, false);
        let believed = if is_believed { vec![&*bad_certificate, &*good_certificate] } else { vec![&*good_certificate] };
        let world = world(&bad, good, folder.path(), &believed);
        for _ in 0..3 {
            world.ask("good").check_good();
        }
        assert_eq!(bad.asked_over_streams(), 0, "{what}");
        assert_eq!(world.evil.asked_over_streams(), 3, "{what}");
    }
}

#[test]
fn a_handshake_that_never_ends_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let (good, certificate) = tls_server(NAME, false);
    // It reads, and waits for more.
    let silent = Evil::start();
    let world = world(&silent, good, folder.path(), &[&certificate]);
    world.ask("good").check_good();
    assert_eq!(silent.asked_over_streams(), 0);
}

#[test]
fn an_answer_that_breaks_off_or_drips_is_asked_of_the_next_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let (bad, good) = (Evil::start(), Evil::start().made_good());
    let options = "policy sequential\n max_fails 0\n read_timeout 1s\n force_tcp";
    let forward = format!("forward . {} {} {{\n {options}\n }}", bad.address, good.address);
    let over_tcp = (bad, World { scene: scene(&forward), evil: good });
    let [(bad, one), (good, other)] = [tls_server(NAME, false), tls_server(NAME, false)];
    let world = world(&bad, good.made_good(), folder.path(), &[&one, &other]);
    for (bad, world) in [over_tcp, (bad, world)] {
        for script in ["close", "drip", "close"] {
            world.ask(script).check_good();
        }
        assert!(bad.asked_over_streams() >= 3);
    }
}

#[test]
fn connections_are_kept_until_they_are_old_or_idle() {
    for (option, is_kept) in [("", true), ("expire 1ms", false), ("max_idle_conns 1", true)] {
        let evil = Evil::start();
        let forward = format!("forward . {} {{\n force_tcp\n {option}\n }}", evil.address);
        let world = World { scene: scene(&forward), evil };
        for _ in 0..3 {
            world.ask("good").check_good();
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(world.evil.streams(), if is_kept { 1 } else { 3 }, "{option:?}");
    }
}
