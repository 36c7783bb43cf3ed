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
        summary: "The folder of the relative file names of `hosts`, `file`, `auto`, `tls`, of `tls` in `forward`, of the weights of \
                  `loadbalance` and of `warm_start`. Where it is not there, that is a warning.",
        options: &[],
        example: "root /etc/coredns/zones",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<PathBuf>, CorefileError> {
        let mut root = None;
        while cursor.advance() {
            let arguments = cursor.arguments();
            let [path] = arguments.as_slice() else { return Err(cursor.error("takes one path")) };
            root = Some(PathBuf::from(path));
        }
        if let Some(root) = &root {
            look_for_folder(cursor, root, "Root path")?;
        }
        Ok(root)
    }

    fn write(root: &Option<PathBuf>, corefile: &mut Writer) {
        if let Some(root) = root {
            corefile.line(["root", &root.display().to_string()]);
        }
    }
}

/// A folder may come later: that it is not there is no error.
pub(super) fn look_for_folder(cursor: &mut Cursor<'_>, path: &Path, what: &str) -> Result<(), CorefileError> {
    match cursor.surroundings.find(path) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            cursor.warn(format!("{what} does not exist: {}", path.display()));
        }
        Err(error) => return Err(cursor.error(format!("unable to access {}: {error}", path.display()))),
        Ok(()) => cursor.warn(format!("{what} is a file, and not a folder: {}", path.display())),
    }
    Ok(())
}
