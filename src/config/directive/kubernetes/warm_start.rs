//! `warm_start FILE [MAX_AGE]`: what was known when the server ran last (ours).

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{AsText, Text};

/// How old the file may be, if nothing else is said.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// Where the last snapshot of a cluster is kept.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WarmStart {
    /// The file; a relative one is below `root`.
    pub file: PathBuf,
    /// An older file is passed over.
    #[serde_as(as = "AsText")]
    #[serde(default = "max_age")]
    pub max_age: Duration,
}

fn max_age() -> Duration {
    MAX_AGE
}

impl WarmStart {
    pub(super) fn lower(cursor: &mut Cursor<'_>) -> Result<Self, CorefileError> {
        match cursor.arguments().as_slice() {
            [file] => Ok(Self { file: file.into(), max_age: MAX_AGE }),
            [file, age] => Ok(Self { file: file.into(), max_age: cursor.duration(age, "the age of a warm start")? }),
            _ => Err(cursor.error("warm_start takes a file and perhaps how old it may be")),
        }
    }

    pub(super) fn write(&self, options: &mut Writer) {
        options.line(["warm_start", &self.file.display().to_string(), &self.max_age.text()]);
    }
}
