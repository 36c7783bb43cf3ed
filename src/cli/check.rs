//! `landfall check FILE`: what is wrong with a Corefile, without starting anything.

use std::collections::BTreeSet;
use std::process::ExitCode;

use super::{complain, say};
use crate::config::corefile::Source;
use crate::config::{Config, ServerBlock};

/// Prints the errors of a Corefile, or its warnings and what it says.
pub fn run(corefile: &Source) -> ExitCode {
    match corefile.load(53) {
        Ok(loaded) => {
            loaded.warnings.iter().for_each(|warning| complain(format_args!("warning: {warning}")));
            say(format_args!("{corefile}: {}", summary(&loaded.config)));
            ExitCode::SUCCESS
        }
        Err(errors) => {
            errors.iter().for_each(complain);
            ExitCode::FAILURE
        }
    }
}

fn summary(config: &Config) -> String {
    let zones = config.servers.iter().flat_map(|server| &server.keys).count();
    let directives: BTreeSet<_> = config.servers.iter().flat_map(ServerBlock::directives).collect();
    let directives: Vec<_> = directives.into_iter().collect();
    format!(
        "{}, {}, {}: {}",
        counted(config.servers.len(), "server block"),
        counted(zones, "zone"),
        counted(directives.len(), "directive"),
        directives.join(" ")
    )
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_blocks_zones_and_directives() {
        let text = "a b:1053 {\n whoami\n log\n}\nc {\n log\n}";
        let loaded = Source::Text { name: "Corefile".to_owned(), text: text.to_owned() }.load(53).unwrap();
        assert_eq!(summary(&loaded.config), "2 server blocks, 3 zones, 2 directives: log whoami");
    }
}
