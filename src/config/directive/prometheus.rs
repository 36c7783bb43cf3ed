//! `prometheus [ADDRESS] { ... }`: metrics.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClientAuth, Directive, Opt, Reference, Tls, is_default};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::yaml;

/// The metrics page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Prometheus {
    /// HOST:PORT as CoreDNS takes it; an empty host means all addresses.
    pub address: String,
    /// A web configuration file of Prometheus, with the certificate of the page.
    #[serde(skip_serializing_if = "is_default")]
    pub tls: Option<PathBuf>,
}

impl Default for Prometheus {
    fn default() -> Self {
        Self { address: "localhost:9153".to_owned(), tls: None }
    }
}

impl Directive for Prometheus {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "prometheus",
        syntax: "prometheus [ADDRESS] { ... }",
        summary: "`/metrics`, `localhost:9153` by default. Names, labels and buckets are CoreDNS's; what is ours begins with `landfall_`.",
        options: &[
            Opt { syntax: "runtime_metrics", meaning: "left out with a warning: there is no Go runtime", default: "" },
            Opt {
                syntax: "tls FILE",
                meaning: "over HTTPS, with the `tls_server_config` of a web configuration file of Prometheus: `cert_file`, `key_file`, `client_ca_file`, `client_auth_type` \
                          (`NoClientCert`, `VerifyClientCertIfGiven`, `RequireAndVerifyClientCert`) and `min_version: TLS12`. Certificates are read again when they change",
                default: "HTTP",
            },
        ],
        example: "prometheus :9153",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        cursor.advance();
        let mut prometheus = Self::default();
        match cursor.arguments().as_slice() {
            [] => {}
            [address] => prometheus.address = super::lower_address(cursor, address)?,
            _ => return Err(cursor.error("takes one address")),
        }
        while cursor.next_option() {
            match cursor.word() {
                "runtime_metrics" => {
                    cursor.no_argument()?;
                    cursor.warn("runtime_metrics is left out: there is no Go runtime");
                }
                "tls" if prometheus.tls.is_some() => {
                    return Err(cursor.error("tls is there already; remove one of them"));
                }
                "tls" => {
                    let file = PathBuf::from(cursor.one_argument("a web configuration file of Prometheus")?);
                    let text = cursor.surroundings.read(&file);
                    let text =
                        text.map_err(|error| cursor.error(format!("tls: cannot read {}: {error}", file.display())))?;
                    web_config(&text, &file).map_err(|wrong| cursor.error(format!("tls: {wrong}")))?;
                    prometheus.tls = Some(file);
                }
                _ => return Err(cursor.unknown::<Self>()),
            }
        }
        match cursor.advance() {
            true => Err(cursor.once()),
            false => Ok(Some(prometheus)),
        }
    }

    fn write(prometheus: &Option<Self>, corefile: &mut Writer) {
        let Some(Self { address, tls }) = prometheus else { return };
        corefile.block(["prometheus", address], |options| {
            if let Some(file) = tls {
                options.line(["tls".to_owned(), file.display().to_string()]);
            }
        });
    }
}

/// What of a web configuration file is understood.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebConfig {
    tls_server_config: TlsServerConfig,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsServerConfig {
    cert_file: PathBuf,
    key_file: PathBuf,
    client_ca_file: Option<PathBuf>,
    #[serde(default)]
    client_auth_type: ClientAuthType,
    /// There is nothing below, and more is not asked for.
    #[serde(default, rename = "min_version")]
    _min_version: MinVersion,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
enum ClientAuthType {
    #[default]
    NoClientCert,
    VerifyClientCertIfGiven,
    RequireAndVerifyClientCert,
}

#[derive(Default, Deserialize)]
enum MinVersion {
    #[default]
    #[serde(rename = "TLS12")]
    Tls12,
}

/// The certificate that a web configuration file of Prometheus says, or what is wrong with it. Its files are beside it.
pub fn web_config(text: &str, file: &Path) -> Result<Tls, String> {
    let wrong = |what: String| format!("{}: {what}", file.display());
    let WebConfig { tls_server_config: tls } = yaml::parse(text).map_err(|error| wrong(error.to_string()))?;
    let client_auth = match tls.client_auth_type {
        ClientAuthType::NoClientCert => ClientAuth::Nocert,
        ClientAuthType::VerifyClientCertIfGiven => ClientAuth::VerifyIfGiven,
        ClientAuthType::RequireAndVerifyClientCert => ClientAuth::RequireAndVerify,
    };
    if (client_auth == ClientAuth::Nocert) != tls.client_ca_file.is_none() {
        return Err(wrong("client_ca_file and a client_auth_type that checks go together".to_owned()));
    }
    let beside = |path: PathBuf| file.parent().unwrap_or(Path::new("")).join(path);
    Ok(Tls {
        certificate: beside(tls.cert_file),
        key: beside(tls.key_file),
        authority: tls.client_ca_file.map(beside),
        client_auth,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(&str, Option<&str>, ClientAuth), &str>) {
        let text = format!("tls_server_config:\n  cert_file: a.crt\n  key_file: /k/a.key\n{text}");
        match (web_config(&text, Path::new("/etc/web.yml")), expected) {
            (Ok(tls), Ok((certificate, authority, client_auth))) => {
                assert_eq!((tls.certificate, tls.key), (certificate.into(), "/k/a.key".into()));
                assert_eq!((tls.authority, tls.client_auth), (authority.map(Into::into), client_auth));
            }
            (Err(wrong), Err(part)) => assert!(wrong.starts_with("/etc/web.yml: ") && wrong.contains(part), "{wrong}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn a_web_configuration_has_a_certificate_and_what_is_asked_of_clients() {
        check("", Ok(("/etc/a.crt", None, ClientAuth::Nocert)));
        check("  min_version: TLS12\n", Ok(("/etc/a.crt", None, ClientAuth::Nocert)));
        let clients = "  client_ca_file: ca.crt\n  client_auth_type: ";
        for (word, client_auth) in [
            ("RequireAndVerifyClientCert", ClientAuth::RequireAndVerify),
            ("VerifyClientCertIfGiven", ClientAuth::VerifyIfGiven),
        ] {
            check(&format!("{clients}{word}\n"), Ok(("/etc/a.crt", Some("/etc/ca.crt"), client_auth)));
        }
        check(&format!("{clients}RequireAnyClientCert\n"), Err("RequireAnyClientCert"));
        check(&format!("{clients}NoClientCert\n"), Err("go together"));
        check("  client_auth_type: RequireAndVerifyClientCert\n", Err("go together"));
        check("  min_version: TLS13\n", Err("TLS13"));
        check("basic_auth_users:\n  a: b\n", Err("basic_auth_users"));
        check("  cipher_suites: [x]\n", Err("cipher_suites"));
    }
}
