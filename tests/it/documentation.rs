//! What the documentation says of the code is made from the code. `UPDATE=1 cargo test documentation` writes it.

use std::path::Path;

use landfall::config::REFERENCES;
use landfall::config::corefile::{LEFT_OUT, REMOVED, SCHEMES_LEFT_OUT};

/// What stands between two lines of a page must be this.
fn check_section(page: &str, name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = std::fs::read_to_string(&path).expect("a page");
    let (begin, end) = (format!("<!-- begin: {name} -->\n"), format!("<!-- end: {name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{page} has no line {begin}"));
    let (found, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{page} has no line {end}"));
    if found != expected && std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, format!("{before}{begin}{expected}{end}{after}")).expect("a page that can be written");
        return;
    }
    assert!(found == expected, "{page}: {name} is not up to date; `UPDATE=1 cargo test documentation` writes it");
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/schema.json");
    let expected = landfall::config::Config::schema();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &expected).expect("a schema that can be written");
    }
    let found = std::fs::read_to_string(&path).expect("the schema");
    assert!(found == expected, "config/schema.json is not up to date; `UPDATE=1 cargo test documentation` writes it");
}

#[test]
fn the_migration_page_has_everything_that_was_removed() {
    let mut text = "| removed | since | instead | `--migrate` |\n|---|---|---|---|\n".to_owned();
    for removed in REMOVED {
        let name = format!("{} {}", removed.directive, removed.option);
        let migrates = if removed.is_migrated() { "yes" } else { "no" };
        text.push_str(&format!("| `{}` | {} | {} | {migrates} |\n", name.trim_end(), removed.since, removed.instead));
    }
    check_section("docs/migration.md", "removed", &text);
}

#[test]
fn the_page_of_differences_has_everything_that_is_left_out() {
    let mut text = "| left out | instead |\n|---|---|\n".to_owned();
    for (name, instead) in LEFT_OUT.iter().chain(&SCHEMES_LEFT_OUT) {
        text.push_str(&format!("| `{name}` | {instead} |\n"));
    }
    check_section("docs/differences.md", "left out", &text);
}

#[test]
fn the_configuration_page_has_every_directive_and_every_metric_of_ours_as_the_code_has_them() {
    check_section("docs/configuration.md", "directives", &directives());
    check_section("docs/configuration.md", "metrics", &metrics());
}

fn directives() -> String {
    let mut text = String::new();
    for known in REFERENCES {
        text.push_str(&format!("\n### {}\n\n`{}`\n\n{}\n\n", known.name, known.syntax, known.summary));
        if !known.options.is_empty() {
            text.push_str("| option | meaning | default |\n|---|---|---|\n");
        }
        for option in known.options {
            let cells = [format!("`{}`", option.syntax), option.meaning.to_owned(), option.default.to_owned()];
            text.push_str(&format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | ")));
        }
        text.push_str(&format!("\n```\n{}\n```\n", known.example));
    }
    text
}

fn metrics() -> String {
    let mut text = "| metric | labels | meaning |\n|---|---|---|\n".to_owned();
    for (name, labels, meaning) in landfall::metrics::Metrics::new().families() {
        if name.starts_with("landfall_") {
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            text.push_str(&format!("| `{name}` | {} | {meaning} |\n", labels.join(", ")));
        }
    }
    text
}
