//! `root PATH`: the folder of relative file names.

use std::io;
use std::path::{Path, PathBuf};

use super::{Directive, Reference};
use crate::config::corefile::{CorefileError, Cursor, Writer};

/// The directive; its value is the folder.
#[derive(Debug)]
pub struct Root;

impl Directive for Root {
    type Values = Option<PathBuf>;

    const REFERENCE: Reference = Reference {
        name: "root",
        syntax: "root PATH",
        summary: "The folder of the relative file names of `hosts`, `file`, `auto`, `tls`, of `tls` in `forward` and of the weights of \
                  `loadbalance`. Where it is not there, that is a warning.",
        options: &[],
        example: "root /etc/coredns/zones",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<PathBuf>, CorefileError> {
        let mut root = None;
        while cursor.advance() {
            let arguments = cursor.arguments();
            let (path, rest) = arguments.split_first().ok_or_else(|| cursor.error("takes a path"))?;
            cursor.leave_out(rest);
            root = Some(PathBuf::from(path));
        }
        if let Some(root) = &root
            && !is_folder(cursor, root)?
        {
            cursor.warn(format!("Root path does not exist: {}", root.display()));
        }
        Ok(root)
    }

    fn write(root: &Option<PathBuf>, corefile: &mut Writer) {
        if let Some(root) = root {
            corefile.line(["root", &root.display().to_string()]);
        }
    }
}

/// Whether a folder is there; one that may come later is not.
pub(super) fn is_folder(cursor: &Cursor<'_>, path: &Path) -> Result<bool, CorefileError> {
    match cursor.surroundings.find(path) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(cursor.error(format!("unable to access {}: {error}", path.display()))),
        Ok(()) => Err(cursor.error(format!("{} is a file, and not a folder", path.display()))),
    }
}
