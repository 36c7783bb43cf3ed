//! What is typed: arguments, subcommands, exit codes.
//!
//! CoreDNS's flags work as its manifests write them: with one dash or two, the value behind a blank or `=`.

mod check;
mod convert;
mod demo;
mod explain;
mod serve;

use std::ffi::OsString;
use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::app::Access;
use crate::app::explain::Request;
use crate::config::REFERENCES;
use crate::config::corefile::{self, Source, System};
use crate::dns::{Transport, parse_name, parse_type};

/// Exit code for arguments that cannot be understood.
const USAGE: u8 = 2;

/// A cluster DNS server for Kubernetes that takes CoreDNS's Corefile.
#[derive(Debug, Parser)]
#[command(
    name = "landfall",
    disable_version_flag = true,
    args_override_self = true,
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(flatten)]
    serve: ServeFlags,
    /// Print the directives that are built, and end.
    #[arg(long, action = clap::ArgAction::SetTrue)]
    plugins: bool,
    /// Print the version, and end.
    #[arg(long, action = clap::ArgAction::SetTrue)]
    version: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer queries; what happens without a subcommand, too.
    #[command(args_override_self = true)]
    Serve(ServeFlags),
    /// Read a Corefile, say everything that is wrong with it, and end with 1 if something is.
    Check {
        /// The Corefile; `stdin` or `-` reads it from there.
        file: PathBuf,
        /// Put what takes its place in place of what CoreDNS has removed, and tell each change.
        #[arg(long)]
        migrate: bool,
    },
    /// Answer one question without listening, and print step by step what led to the answer. Ends with 0 if there is an
    /// answer, with 1 if the configuration has mistakes, with 3 if the answer is SERVFAIL or nothing comes back.
    Explain(ExplainFlags),
    /// Print a Corefile as YAML, or YAML as a Corefile.
    Convert {
        /// The configuration; `stdin` or `-` reads it from there.
        file: PathBuf,
        /// Put what takes its place in place of what CoreDNS has removed, and tell each change.
        #[arg(long)]
        migrate: bool,
        /// What is printed [default: the other form].
        #[arg(long, value_name = "FORM")]
        to: Option<convert::Form>,
    },
    /// Print the JSON Schema of the configuration, with which editors complete YAML.
    Schema,
    /// Answer queries for a small cluster that is built in, without a network, and print what to ask.
    #[command(args_override_self = true)]
    Demo {
        /// The port on 127.0.0.1 and [::1].
        #[arg(long = "dns.port", alias = "p", short = 'p', value_name = "PORT", default_value_t = 5300)]
        port: u16,
    },
}

#[derive(Debug, Args)]
struct ExplainFlags {
    /// The name that is asked for.
    name: String,
    /// The type.
    #[arg(value_name = "TYPE", default_value = "A")]
    record_type: String,
    /// The configuration [default: as for serve].
    #[arg(long, value_name = "FILE")]
    conf: Option<PathBuf>,
    /// The cluster and the configuration of `landfall demo`.
    #[arg(long, conflicts_with_all = ["conf", "manifests", "kubeconfig"])]
    demo: bool,
    /// The address of the client, which decides about dns64, acl and views.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    client: IpAddr,
    /// Over what the client asks.
    #[arg(long, value_name = "TRANSPORT", default_value = "udp", value_parser = ["udp", "tcp"])]
    transport: String,
    /// The port of the listener that is asked [default: that of the longest zone of the name].
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Objects of the cluster from YAML files in place of an API server.
    #[arg(long, value_name = "PATH", conflicts_with = "kubeconfig")]
    manifests: Option<PathBuf>,
    /// How to reach the cluster from outside it.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Print JSON: question, listener, server_blocks, warnings, steps, answer, took_ms.
    #[arg(long)]
    json: bool,
}

impl ExplainFlags {
    fn run(self) -> ExitCode {
        let name = parse_name(&self.name).map_err(|error| error.to_string());
        let record_type = parse_type(&self.record_type.to_ascii_uppercase())
            .ok_or_else(|| format!("{:?} is no record type", self.record_type));
        let (name, record_type) = match (name, record_type) {
            (Ok(name), Ok(record_type)) => (name, record_type),
            (Err(error), _) | (_, Err(error)) => {
                complain(error);
                return ExitCode::from(USAGE);
            }
        };
        let source = match (self.demo, self.conf) {
            (true, _) => demo::source(),
            (false, None) => default_source(),
            (false, Some(file)) => match source(file) {
                Ok(source) => source,
                Err(code) => return code,
            },
        };
        let built_in = self.demo.then_some(demo::CLUSTER);
        let request = Request {
            source,
            access: Access { kubeconfig: self.kubeconfig, context: self.context, built_in },
            manifests: self.manifests,
            name,
            record_type,
            client: self.client,
            transport: if self.transport == "tcp" { Transport::Tcp } else { Transport::Udp },
            port: self.port,
        };
        explain::run(request, self.json)
    }
}

#[derive(Debug, Args)]
struct ServeFlags {
    /// The Corefile; `stdin` reads it from there [default: ./Corefile, or else a built-in one with whoami and log].
    #[arg(long, value_name = "FILE")]
    conf: Option<PathBuf>,
    /// The port of server blocks that name none.
    #[arg(long = "dns.port", alias = "p", short = 'p', value_name = "PORT", default_value_t = 53)]
    port: u16,
    /// Write the process id to this file.
    #[arg(long, value_name = "FILE")]
    pidfile: Option<PathBuf>,
    /// Say nothing at start.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true")]
    quiet: bool,
    /// Put what takes its place in place of what CoreDNS has removed, and log each change.
    #[arg(long)]
    migrate: bool,
    /// How to reach the cluster from outside it.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; its current one where none is named.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

/// What `landfall serve` is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeArguments {
    /// Where the Corefile is; a reload reads it again.
    pub corefile: Source,
    /// The port of server blocks that name none.
    pub port: u16,
    /// Where the process id is written.
    pub pidfile: Option<PathBuf>,
    /// Say nothing at start.
    pub quiet: bool,
    /// Replace what CoreDNS has removed.
    pub migrates: bool,
    /// How to reach the cluster, for `kubernetes` directives that do not say it themselves.
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig.
    pub context: Option<String>,
}

/// What `landfall demo` is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoArguments {
    /// The port on 127.0.0.1 and \[::1\].
    pub port: u16,
}

/// Runs the program with its arguments, the first of which is the program's name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(with_two_dashes(arguments)) {
        Ok(arguments) => arguments,
        Err(message) => {
            // Nothing is left to be done if the terminal is gone.
            let _ = message.print();
            return ExitCode::from(if message.use_stderr() { USAGE } else { 0 });
        }
    };
    if arguments.version {
        say(format_args!("Landfall-{}", env!("CARGO_PKG_VERSION")));
        say(format_args!("{}/{}", std::env::consts::OS, std::env::consts::ARCH));
        return ExitCode::SUCCESS;
    }
    if arguments.plugins {
        REFERENCES.iter().for_each(|known| say(known.name));
        return ExitCode::SUCCESS;
    }
    match arguments.command {
        None => arguments.serve.run(),
        Some(Command::Serve(flags)) => flags.run(),
        Some(Command::Check { file, migrate }) => {
            source(file).map_or_else(|code| code, |source| check::run(&source, System { port: 53, migrates: migrate }))
        }
        Some(Command::Convert { file, migrate, to }) => {
            let system = System { port: 53, migrates: migrate };
            source(file).map_or_else(|code| code, |source| convert::run(&source, system, to))
        }
        Some(Command::Explain(flags)) => flags.run(),
        Some(Command::Schema) => convert::schema(),
        Some(Command::Demo { port }) => demo::run(DemoArguments { port }),
    }
}

impl ServeFlags {
    fn run(self) -> ExitCode {
        let Self { conf, port, pidfile, quiet, migrate, kubeconfig, context } = self;
        match conf.map_or_else(|| Ok(default_source()), source) {
            Ok(corefile) => {
                serve::run(ServeArguments { corefile, port, pidfile, quiet, migrates: migrate, kubeconfig, context })
            }
            Err(code) => code,
        }
    }
}

/// The Corefile that is named, standard input being read at once: it can be read only once.
fn source(file: PathBuf) -> Result<Source, ExitCode> {
    if file.as_os_str() != "stdin" && file.as_os_str() != "-" {
        return Ok(Source::File(file));
    }
    let mut octets = Vec::new();
    let read = std::io::stdin().read_to_end(&mut octets).and_then(|_| corefile::text(octets));
    let text = read.map_err(|error| {
        complain(corefile::unreadable("stdin", &error));
        ExitCode::FAILURE
    })?;
    Ok(Source::Text { name: "stdin".to_owned(), text })
}

/// Writes a line to standard output. Whoever closed it does not want the rest: that is no failure.
fn say(line: impl fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Writes a line to standard error, if there is one.
fn complain(line: impl fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn default_source() -> Source {
    let file = PathBuf::from("Corefile");
    match file.exists() {
        true => Source::File(file),
        false => Source::built_in(),
    }
}

/// Go's flags have one dash as well as two; clap's long ones have two.
fn with_two_dashes(arguments: impl IntoIterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let mut is_at_end = false;
    arguments.into_iter().map(move |argument| {
        is_at_end |= argument == "--";
        match argument.to_str().and_then(|text| text.strip_prefix('-')) {
            Some(flag) if !is_at_end && !flag.starts_with('-') && flag.len() > 1 && !flag.starts_with("p=") => {
                format!("--{flag}").into()
            }
            _ => argument,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        let words = std::iter::once("landfall").chain(line.split_whitespace());
        Arguments::try_parse_from(with_two_dashes(words.map(OsString::from)))
    }

    fn check_serve(line: &str, conf: Option<&str>, port: u16) {
        let arguments = parse(line).unwrap();
        let flags = match arguments.command {
            None => arguments.serve,
            Some(Command::Serve(flags)) => flags,
            Some(other) => panic!("{line}: {other:?}"),
        };
        assert_eq!((flags.conf, flags.port), (conf.map(PathBuf::from), port), "{line}");
    }

    #[test]
    fn the_command_is_well_formed() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn flags_have_one_dash_or_two_and_a_blank_or_an_equals_sign() {
        check_serve("", None, 53);
        check_serve("-conf /etc/coredns/Corefile", Some("/etc/coredns/Corefile"), 53);
        check_serve("--conf=stdin -dns.port=5300", Some("stdin"), 5300);
        check_serve("-p 5300", None, 5300);
        check_serve("-p=5300", None, 5300);
        check_serve("--p 5300", None, 5300);
        check_serve("serve --dns.port 5300 -conf x", Some("x"), 5300);
    }

    #[test]
    fn the_last_of_two_flags_counts() {
        check_serve("-conf a -conf b -dns.port 1 -p 2", Some("b"), 2);
    }

    #[test]
    fn quiet_may_have_a_value() {
        let quiet = |line: &str| parse(line).unwrap().serve.quiet;
        assert!(!quiet(""));
        assert!(quiet("-quiet"));
        assert!(quiet("-quiet=true"));
        assert!(!quiet("-quiet=false"));
        assert!(quiet("-quiet -conf x"));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for line in [
            "-unknown",
            "-p5300",
            "-p 65536",
            "-dns.port -1",
            "-conf",
            "extra",
            "serve extra",
            "check",
            "check a b",
            "demo extra",
            "-conf x serve",
            "-quiet=perhaps",
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.use_stderr(), "{line}");
        }
    }

    #[test]
    fn the_demo_has_its_own_port() {
        let port = |line: &str| match parse(line).unwrap().command {
            Some(Command::Demo { port }) => port,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(port("demo"), 5300);
        assert_eq!(port("demo -dns.port 0"), 0);
    }
}
