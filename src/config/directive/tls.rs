//! `tls CERT KEY [CA] { ... }`: the certificate of encrypted listeners.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Directive, Opt, Reference, is_default};
use crate::config::corefile::{CorefileError, Cursor, Writer};

/// The certificate of encrypted listeners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// A file with the certificate and those above it, in PEM.
    pub certificate: PathBuf,
    /// A file with its key, in PEM.
    pub key: PathBuf,
    /// A file with the authorities of clients, in PEM.
    #[serde(default, skip_serializing_if = "is_default")]
    pub authority: Option<PathBuf>,
    /// What is asked of clients.
    #[serde(default, skip_serializing_if = "is_default")]
    pub client_auth: ClientAuth,
}

/// What is asked of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// No certificate.
    #[default]
    Nocert,
    /// A certificate, which is checked if there is one.
    VerifyIfGiven,
    /// A certificate of one of the authorities.
    RequireAndVerify,
}

impl ClientAuth {
    fn as_str(self) -> &'static str {
        match self {
            Self::Nocert => "nocert",
            Self::VerifyIfGiven => "verify_if_given",
            Self::RequireAndVerify => "require_and_verify",
        }
    }
}

impl Directive for Tls {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "tls",
        syntax: "tls CERT KEY [CA] { ... }",
        summary: "The certificate of the listeners with `tls://`, `https://` and `quic://` of this block. The files are read again when they change; one that cannot be \
                  used leaves the certificate that is in use.",
        options: &[Opt {
            syntax: "client_auth nocert|verify_if_given|require_and_verify",
            meaning: "what is asked of clients: nothing; a certificate of CA if they have one; such a certificate. `request` and `require`, which check nothing, are \
                      refused",
            default: "nocert",
        }],
        example: "tls /etc/landfall/tls.crt /etc/landfall/tls.key /etc/landfall/ca.crt {\n    client_auth require_and_verify\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        cursor.advance();
        let (certificate, key, authority) = match cursor.arguments().as_slice() {
            [first, ..] if first == "acme" => {
                return Err(cursor.error("acme is not built; let cert-manager or the like write the files"));
            }
            [certificate, key] => (certificate.into(), key.into(), None),
            [certificate, key, authority] => (certificate.into(), key.into(), Some(authority.into())),
            _ => return Err(cursor.error("takes a certificate, its key, and perhaps the authority of clients")),
        };
        let mut tls = Self { certificate, key, authority, client_auth: ClientAuth::default() };
        while cursor.next_option() {
            if cursor.word() != "client_auth" {
                return Err(cursor.unknown::<Self>());
            }
            tls.client_auth = match cursor.one_argument("nocert, verify_if_given or require_and_verify")?.as_str() {
                "nocert" => ClientAuth::Nocert,
                "verify_if_given" => ClientAuth::VerifyIfGiven,
                "require_and_verify" => ClientAuth::RequireAndVerify,
                word @ ("request" | "require") => {
                    return Err(cursor.error(format!("client_auth {word} checks nothing of the certificate; use verify_if_given or require_and_verify")));
                }
                other => {
                    return Err(cursor.error(format!(
                        "unknown client_auth {other:?}; there are nocert, verify_if_given and require_and_verify"
                    )));
                }
            };
        }
        if tls.client_auth != ClientAuth::Nocert && tls.authority.is_none() {
            return Err(cursor.error("client_auth needs the authority of clients: `tls CERT KEY CA`"));
        }
        match cursor.advance() {
            true => Err(cursor.once()),
            false => Ok(Some(tls)),
        }
    }

    fn write(tls: &Option<Self>, corefile: &mut Writer) {
        let Some(tls) = tls else { return };
        let files = [Some(&tls.certificate), Some(&tls.key), tls.authority.as_ref()];
        let files = files.into_iter().flatten().map(|file| file.display().to_string());
        corefile.block(std::iter::once("tls".to_owned()).chain(files), |options| {
            if tls.client_auth != ClientAuth::Nocert {
                options.line(["client_auth", tls.client_auth.as_str()]);
            }
        });
    }
}
