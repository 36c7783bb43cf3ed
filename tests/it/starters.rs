//! `config/`: what an operator can start from is right.

use std::path::{Path, PathBuf};

use landfall::config::corefile::Source;
use landfall::config::yaml::is_yaml;
use landfall::watch::manifests::Manifests;

/// Files of a folder and those below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn every_file_is_read_without_an_error_or_a_warning() {
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config"));
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let shown = file.display().to_string();
        let text = std::fs::read_to_string(&file).expect("a file");
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("yaml") if !is_yaml(&text) => {
                let manifests = Manifests::read(&file, None).expect("a file");
                assert_eq!(manifests.warnings, Vec::<String>::new(), "{shown}");
            }
            None | Some("corefile" | "yaml") => {
                // A machine without name servers in its resolv.conf can check everything else.
                let text = text
                    .replace("files: [/etc/resolv.conf]", "to: [192.0.2.53]")
                    .replace("/etc/resolv.conf", "192.0.2.53");
                let loaded = Source::Text { name: shown.clone(), text }.load(53);
                let loaded = loaded.unwrap_or_else(|errors| panic!("{shown}: {errors:?}"));
                assert_eq!(loaded.warnings, Vec::new(), "{shown}");
            }
            // The schema; see documentation.rs.
            Some("json") => {}
            Some(other) => panic!("{shown}: nothing reads .{other}"),
        }
    }
}
