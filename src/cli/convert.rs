//! `landfall convert FILE`: a Corefile as YAML, or YAML as a Corefile.

use std::process::ExitCode;

use clap::ValueEnum;

use super::{complain, say};
use crate::config::corefile::{Source, System};
use crate::config::{Config, yaml};

/// How a configuration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// YAML, which editors complete with the help of the schema.
    Yaml,
    /// CoreDNS's form.
    Corefile,
}

/// Prints a configuration in the other form, or in the one that is named. What is imported and the values of variables stand in
/// it; comments do not.
pub fn run(source: &Source, system: System, form: Option<Form>) -> ExitCode {
    let loaded = match source.load_with(system) {
        Ok(loaded) => loaded,
        Err(errors) => {
            errors.iter().for_each(complain);
            return ExitCode::FAILURE;
        }
    };
    loaded.warnings.iter().for_each(|warning| complain(format_args!("warning: {warning}")));
    let form = form.unwrap_or(if loaded.is_yaml { Form::Corefile } else { Form::Yaml });
    match write(&loaded.config, form) {
        Ok(text) => {
            say(text.trim_end());
            ExitCode::SUCCESS
        }
        Err(reason) => {
            complain(format_args!("{source}: {reason}"));
            ExitCode::FAILURE
        }
    }
}

fn write(config: &Config, form: Form) -> Result<String, String> {
    match form {
        Form::Yaml => yaml::write(config).map_err(|error| error.to_string()),
        Form::Corefile => {
            let written = config.to_corefile();
            written.map(|written| written.text).map_err(|words| format!("a Corefile cannot hold the words {words:?}"))
        }
    }
}

/// Prints the JSON Schema of the configuration, for editors that complete and check YAML.
pub fn schema() -> ExitCode {
    say(Config::schema().trim_end());
    ExitCode::SUCCESS
}
