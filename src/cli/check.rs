//! `landfall check FILE`: what is wrong with a Corefile, without starting anything.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::process::ExitCode;

use super::{complain, say};
use crate::config::ServerBlock;
use crate::config::corefile::{Loaded, Source, System};
use crate::plugin::file::{File, LoadError};

/// Prints the errors of a Corefile, or its warnings; the last line is for scripts: `result=ok` or `result=refused`, and counts.
pub fn run(corefile: &Source, system: System) -> ExitCode {
    match corefile.load_with(system) {
        Ok(loaded) => {
            loaded.warnings.iter().for_each(|warning| complain(format_args!("warning: {warning}")));
            match zone_errors(&loaded) {
                errors if errors.is_empty() => {
                    say(format_args!("{} file={corefile}", summary(&loaded)));
                    ExitCode::SUCCESS
                }
                errors => refuse(corefile, &errors),
            }
        }
        Err(errors) => refuse(corefile, &errors),
    }
}

fn refuse(corefile: &Source, errors: &[impl Display]) -> ExitCode {
    errors.iter().for_each(complain);
    say(format_args!("result=refused errors={} file={corefile}", errors.len()));
    ExitCode::FAILURE
}

/// What is wrong with the zones of `file`, the first error of each server block.
fn zone_errors(loaded: &Loaded) -> Vec<LoadError> {
    loaded.config.servers.iter().filter_map(|server| File::new(server).err()).collect()
}

/// `result=ok warnings=N servers=N zones=N directives=NAME,NAME...`
fn summary(loaded: &Loaded) -> String {
    let Loaded { config, warnings, .. } = loaded;
    let zones = config.servers.iter().flat_map(|server| &server.keys).count();
    let directives: BTreeSet<_> = config.servers.iter().flat_map(ServerBlock::directives).collect();
    let directives: Vec<_> = directives.into_iter().collect();
    let (warnings, servers, directives) = (warnings.len(), config.servers.len(), directives.join(","));
    format!("result=ok warnings={warnings} servers={servers} zones={zones} directives={directives}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_blocks_zones_and_directives() {
        let text = "a b:1053 {\n whoami\n log\n}\nc {\n log\n}";
        let loaded = Source::Text { name: "Corefile".to_owned(), text: text.to_owned() }.load(53).unwrap();
        assert_eq!(summary(&loaded), "result=ok warnings=0 servers=2 zones=3 directives=log,whoami");
    }
}
