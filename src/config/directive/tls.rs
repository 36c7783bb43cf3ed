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
    /// A certificate, if there is one; who has signed it is not checked.
    Request,
    /// A certificate; who has signed it is not checked.
    Require,
    /// A certificate of one of the authorities, if there is one.
    VerifyIfGiven,
    /// A certificate of one of the authorities.
    RequireAndVerify,
}

impl ClientAuth {
    const ALL: [Self; 5] = [Self::Nocert, Self::Request, Self::Require, Self::VerifyIfGiven, Self::RequireAndVerify];

    fn as_str(self) -> &'static str {
        match self {
            Self::Nocert => "nocert",
            Self::Request => "request",
            Self::Require => "require",
            Self::VerifyIfGiven => "verify_if_given",
            Self::RequireAndVerify => "require_and_verify",
        }
    }

    fn needs_authority(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }

    fn lower(cursor: &mut Cursor<'_>) -> Result<Self, CorefileError> {
        let names = Self::ALL.map(Self::as_str);
        let text = cursor.one_argument("what is asked of clients")?;
        let found = Self::ALL.into_iter().find(|client_auth| client_auth.as_str() == text);
        found.ok_or_else(|| cursor.error(format!("unknown client_auth {text:?}; there are {}", names.join(", "))))
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
            syntax: "client_auth nocert|request|require|verify_if_given|require_and_verify",
            meaning: "what is asked of clients: nothing; a certificate of anybody, if they have one; a certificate of anybody; one of CA, if they have one; one of CA",
            default: "nocert",
        }],
        example: "tls /etc/landfall/tls.crt /etc/landfall/tls.key /etc/landfall/ca.crt {\n    client_auth require_and_verify\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        cursor.advance();
        let (certificate, key, authority) = match cursor.arguments().as_slice() {
            [certificate, key] => (certificate.into(), key.into(), None),
            [certificate, key, authority] => (certificate.into(), key.into(), Some(authority.into())),
            _ => {
                return Err(cursor.error(
                    "takes a certificate, its key, and perhaps the authority of clients; acme is left out: let cert-manager or the like write the files",
                ));
            }
        };
        let mut tls = Self { certificate, key, authority, client_auth: ClientAuth::default() };
        while cursor.next_option() {
            tls.client_auth = match cursor.word() {
                "client_auth" => ClientAuth::lower(cursor)?,
                "keylog" => {
                    return Err(
                        cursor.error("keylog gives away what connections say; remove it, and use log or explain")
                    );
                }
                _ => return Err(cursor.unknown::<Self>()),
            };
        }
        if tls.client_auth.needs_authority() && tls.authority.is_none() {
            let client_auth = tls.client_auth.as_str();
            return Err(
                cursor.error(format!("client_auth {client_auth} needs the authority of clients: `tls CERT KEY CA`"))
            );
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
