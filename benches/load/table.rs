//! What was found, beside what was to be found: a table for people, and JSON.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

/// Rows, with the facts of the machine.
#[derive(Debug, Serialize)]
pub struct Table {
    /// Which bench this is.
    bench: String,
    machine: Vec<(String, String)>,
    rows: Vec<Row>,
}

/// A figure.
#[derive(Debug, Serialize)]
struct Row {
    what: String,
    /// None: there is none.
    target: Option<String>,
    figure: Option<f64>,
    /// The figure for people, or why there is none.
    text: String,
    holds: Option<bool>,
}

impl Table {
    pub fn new(bench: &str) -> Self {
        Self { bench: bench.to_owned(), machine: machine(), rows: Vec::new() }
    }

    pub fn at_most(&mut self, what: &str, figure: f64, limit: f64, unit: &str) {
        self.row(what, figure, format!("<= {limit} {unit}"), unit, figure <= limit);
    }

    pub fn at_least(&mut self, what: &str, figure: f64, limit: f64, unit: &str) {
        self.row(what, figure, format!(">= {limit} {unit}"), unit, figure >= limit);
    }

    /// A figure that has no target.
    pub fn tell(&mut self, what: &str, figure: f64, unit: &str) {
        let text = text(figure, unit);
        self.rows.push(Row { what: what.to_owned(), target: None, figure: Some(figure), text, holds: None });
    }

    /// Why there is no figure, or what else is to be known.
    pub fn note(&mut self, what: &str, text: &str) {
        let text = text.to_owned();
        self.rows.push(Row { what: what.to_owned(), target: None, figure: None, text, holds: None });
    }

    fn row(&mut self, what: &str, figure: f64, target: String, unit: &str, holds: bool) {
        let (target, text) = (Some(target.trim().to_owned()), text(figure, unit));
        self.rows.push(Row { what: what.to_owned(), target, figure: Some(figure), text, holds: Some(holds) });
    }

    /// Prints all, and writes `target/bench-NAME.json`. The exit code says whether all targets are met.
    pub fn end(self) -> ExitCode {
        for (what, fact) in &self.machine {
            println!("{what}: {fact}");
        }
        println!("\n{:58} {:>12} {:>14}  verdict", "what", "target", "figure");
        for row in &self.rows {
            let verdict = row.holds.map_or("", |holds| if holds { "pass" } else { "FAIL" });
            println!("{:58} {:>12} {:>14}  {verdict}", row.what, row.target.as_deref().unwrap_or(""), row.text);
        }
        let file = artifact(&format!("bench-{}.json", self.bench));
        fs::write(&file, serde_json::to_string_pretty(&self).unwrap()).unwrap();
        println!("\n{}", file.display());
        if self.rows.iter().any(|row| row.holds == Some(false)) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// A file in `target`.
pub fn artifact(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join(name)
}

fn text(figure: f64, unit: &str) -> String {
    let places = if figure.abs() < 10.0 { 2 } else { 0 };
    format!("{figure:.places$} {unit}").trim().to_owned()
}

fn machine() -> Vec<(String, String)> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let facts = [
        ("processor", format!("{}, {cores} cores", field(&read("/proc/cpuinfo"), "model name"))),
        ("memory", field(&read("/proc/meminfo"), "MemTotal")),
        ("kernel", read("/proc/sys/kernel/osrelease").trim().to_owned()),
        ("load before", read("/proc/loadavg").trim().to_owned()),
        ("version", format!("landfall {}", env!("CARGO_PKG_VERSION"))),
    ];
    facts.into_iter().map(|(what, fact)| (what.to_owned(), fact)).collect()
}
