//! Where Kubernetes objects come from: `kubeconfig`, `endpoint`, `tls` and `manifests`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::is_default;
use crate::config::corefile::{CorefileError, Cursor, Writer};

/// Where Kubernetes objects come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObjectSource {
    /// The service account of the Pod; or else `--kubeconfig`, KUBECONFIG, ~/.kube/config.
    #[default]
    Cluster,
    /// A kubeconfig file (`kubeconfig FILE [CONTEXT]`).
    Kubeconfig {
        /// The file.
        file: PathBuf,
        /// The context in it; None: its current one.
        #[serde(default, skip_serializing_if = "is_default")]
        context: Option<String>,
    },
    /// The URL of an API server, with an optional certificate, key and authority (`endpoint URL`, `tls CERT KEY CA`).
    Endpoint {
        /// The URL.
        url: String,
        /// Certificate, key and authority.
        #[serde(default, skip_serializing_if = "is_default")]
        tls: Option<(PathBuf, PathBuf, PathBuf)>,
    },
    /// A file or folder of manifests (`manifests PATH`, ours).
    Manifests(PathBuf),
}

impl ObjectSource {
    /// Reads an option that says where objects come from; `self` is what those before it said.
    pub(super) fn lower_option(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        let option = cursor.word().to_owned();
        let arguments = cursor.arguments();
        *self = match (option.as_str(), arguments.as_slice()) {
            ("endpoint", [url, others @ ..]) => {
                cursor.leave_out(others);
                let tls = match std::mem::take(self) {
                    Self::Endpoint { tls, .. } => tls,
                    Self::Cluster | Self::Kubeconfig { .. } | Self::Manifests(_) => None,
                };
                Self::Endpoint { url: url.clone(), tls }
            }
            ("tls", [certificate, key, authority]) => {
                let tls = Some((certificate.into(), key.into(), authority.into()));
                match std::mem::take(self) {
                    Self::Endpoint { url, .. } => Self::Endpoint { url, tls },
                    Self::Cluster | Self::Kubeconfig { .. } | Self::Manifests(_) => {
                        Self::Endpoint { url: String::new(), tls }
                    }
                }
            }
            ("kubeconfig", [file]) => Self::Kubeconfig { file: file.into(), context: None },
            ("kubeconfig", [file, context]) => Self::Kubeconfig { file: file.into(), context: Some(context.clone()) },
            ("manifests", [path]) => Self::Manifests(path.into()),
            ("endpoint", _) => return Err(cursor.error("endpoint takes a URL")),
            ("tls", _) => return Err(cursor.error("tls takes a certificate, a key and an authority")),
            ("kubeconfig", _) => return Err(cursor.error("kubeconfig takes a file and perhaps a context")),
            _ => return Err(cursor.error("manifests takes a file or a folder")),
        };
        Ok(())
    }

    pub(super) fn write(&self, options: &mut Writer) {
        let path = |path: &PathBuf| path.display().to_string();
        match self {
            Self::Cluster => {}
            Self::Kubeconfig { file, context } => {
                options.line(["kubeconfig".to_owned(), path(file)].into_iter().chain(context.clone()));
            }
            Self::Endpoint { url, tls } => {
                options.line(["endpoint", url]);
                if let Some((certificate, key, authority)) = tls {
                    options.line(["tls".to_owned(), path(certificate), path(key), path(authority)]);
                }
            }
            Self::Manifests(manifests) => options.line(["manifests".to_owned(), path(manifests)]),
        }
    }
}
