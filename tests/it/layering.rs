//! The direction of imports, and who alone may name a dependency.

use std::path::{Path, PathBuf};

/// The layers, the top first; modules of one row do not know each other.
const LAYERS: [&[&str]; 9] = [
    &["main", "cli"],
    &["app"],
    &["listen", "admin"],
    &["plugin"],
    &["upstream", "watch"],
    &["cluster", "nat64"],
    &["config", "metrics"],
    &["zone"],
    &["dns", "task"],
];

/// Dependencies with exclusive owners.
const OWNERS: [(&str, &[&str]); 15] = [
    ("data_encoding", &["dns", "listen", "upstream"]),
    ("h2", &["upstream"]),
    ("hickory_proto", &["dns"]),
    ("http", &["upstream", "watch"]),
    ("kube", &["watch"]),
    ("k8s_openapi", &["watch"]),
    ("clap", &["cli"]),
    ("axum", &["admin"]),
    ("prometheus", &["metrics"]),
    ("tokio_rustls", &["admin", "listen", "upstream"]),
    ("hyper", &["listen", "watch"]),
    ("quinn", &["listen", "upstream"]),
    ("tower", &["watch"]),
    ("rustls_platform_verifier", &["upstream"]),
    ("socket2", &["admin", "listen", "upstream"]),
];

/// Every source file with its top module and its text, comments left out.
fn sources() -> Vec<(PathBuf, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a source folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name != "lib.rs"))
        .map(|path| {
            let below = path.strip_prefix(&root).expect("a path below src");
            let top = below.iter().next().expect("a component").to_string_lossy().trim_end_matches(".rs").to_owned();
            let text = std::fs::read_to_string(&path).expect("a source file");
            let code =
                text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
            (path, top, code)
        })
        .collect()
}

fn layer(module: &str) -> usize {
    LAYERS.iter().position(|row| row.contains(&module)).unwrap_or_else(|| panic!("module {module} is in no layer"))
}

/// The modules of the crate that a text names by `crate::` or `landfall::`.
fn modules_named(code: &str) -> Vec<String> {
    let names = |prefix: &str| -> Vec<String> {
        code.match_indices(prefix)
            .map(|(at, _)| {
                code[at + prefix.len()..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
            })
            .collect()
    };
    names("crate::").into_iter().chain(names("landfall::")).filter(|name: &String| !name.is_empty()).collect()
}

fn names_crate(code: &str, dependency: &str) -> bool {
    code.match_indices(dependency).any(|(at, _)| {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        let after = &code[at + dependency.len()..];
        !(before.is_alphanumeric() || before == '_' || before == ':') && after.starts_with("::")
    })
}

#[test]
fn imports_point_downwards_only() {
    for (path, top, code) in sources() {
        for named in modules_named(&code).into_iter().filter(|named| *named != top) {
            assert!(
                layer(&named) > layer(&top) || (top == "main" && named == "cli"),
                "{}: {top} must not know {named}",
                path.display()
            );
        }
    }
}

#[test]
fn every_dependency_is_named_by_its_owner_only() {
    for (path, top, code) in sources() {
        for (dependency, owners) in OWNERS {
            assert!(
                owners.contains(&top.as_str()) || !names_crate(&code, dependency),
                "{}: only {owners:?} may name {dependency}",
                path.display()
            );
        }
    }
}

#[test]
fn a_wrong_import_would_be_found() {
    assert_eq!(modules_named("use crate::plugin::Router; let x = crate::dns::Name;"), ["plugin", "dns"]);
    assert!(names_crate("use hickory_proto::rr::Name;", "hickory_proto"));
    assert!(!names_crate("use crate::plugin::prometheus::X;", "prometheus"));
}
