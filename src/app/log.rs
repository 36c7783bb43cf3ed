//! Log lines as CoreDNS writes them: `[LEVEL] sentence key=value` on standard output, without a time.
//!
//! A thread of its own writes; where it is kept waiting, lines are dropped and counted, and queries go on.

use std::backtrace::Backtrace;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::config::{Config, ServerBlock};

/// Lines that wait to be written.
const WAITING_MAX: usize = 8192;
/// What is logged where RUST_LOG does not say it. What fails in the client of the API server is told by `watch`, once.
const FILTER: &str = "warn,kube_client=off,landfall=info,plugin=info,query=info";
/// The same with the directive `debug`.
const DEBUG_FILTER: &str = "warn,kube_client=off,landfall=debug,plugin=debug,query=info";

static OUTPUT: OnceLock<Output> = OnceLock::new();
/// Changes what is logged; not there where RUST_LOG says it.
static FILTER_IN_USE: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();
/// Whether panics are logged with the way that led to them.
static HAS_STACKTRACE: AtomicBool = AtomicBool::new(false);

/// Standard output, written by a thread.
#[derive(Debug)]
struct Output {
    lines: SyncSender<Line>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Line {
    Text(String),
    /// Everything before it was written.
    Flush(SyncSender<()>),
}

/// From now on log lines and [`print`] go to standard output, and a panic is one line.
pub fn start() {
    let (lines, received) = sync_channel(WAITING_MAX);
    let dropped = Arc::new(AtomicU64::new(0));
    let writer = {
        let dropped = dropped.clone();
        move || write(&received, &dropped)
    };
    if OUTPUT.set(Output { lines, dropped }).is_err()
        || std::thread::Builder::new().name("log".to_owned()).spawn(writer).is_err()
    {
        return;
    }
    let said = EnvFilter::try_from_default_env().ok();
    let is_said = said.is_some();
    let (filter, in_use) = reload::Layer::new(said.unwrap_or_else(|| EnvFilter::new(FILTER)));
    if !is_said {
        FILTER_IN_USE.get_or_init(|| in_use);
    }
    // Another subscriber is there already only in tests.
    let _ = tracing_subscriber::registry().with(Lines.with_filter(filter)).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let text =
            payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic: {}", text.unwrap_or("no text"));
        if HAS_STACKTRACE.load(Ordering::Relaxed) {
            let way = Backtrace::force_capture().to_string();
            way.lines().for_each(|line| tracing::error!("panic: {line}"));
        }
    }));
}

/// From now on as much is logged as a configuration wants (`debug`, `errors { stacktrace }`).
pub fn follow(config: &Config) {
    let has_stacktrace = |server: &ServerBlock| server.errors.as_ref().is_some_and(|errors| errors.stacktrace);
    HAS_STACKTRACE.store(config.servers.iter().any(has_stacktrace), Ordering::Relaxed);
    let is_debug = config.servers.iter().any(|server| server.debug);
    if let Some(filter) = FILTER_IN_USE.get() {
        // It fails only if there is no subscriber any more.
        let _ = filter.reload(EnvFilter::new(if is_debug { DEBUG_FILTER } else { FILTER }));
    }
}

/// Writes a line that is no log line.
pub fn print(line: impl fmt::Display) {
    send(Line::Text(format!("{line}\n")));
}

/// Waits until everything is written, at most a second.
pub fn flush() {
    let (done, is_done) = sync_channel(1);
    send(Line::Flush(done));
    // Whoever does not read our output does not get the rest.
    let _ = is_done.recv_timeout(Duration::from_secs(1));
}

fn send(line: Line) {
    let Some(output) = OUTPUT.get() else { return };
    if let Err(TrySendError::Full(_)) = output.lines.try_send(line) {
        output.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

fn write(lines: &Receiver<Line>, dropped: &AtomicU64) {
    let mut out = std::io::stdout();
    while let Ok(line) = lines.recv() {
        // A closed output is nothing to end for.
        let _ = match line {
            Line::Text(text) => out.write_all(text.as_bytes()),
            Line::Flush(done) => {
                let flushed = out.flush();
                let _ = done.try_send(());
                flushed
            }
        };
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(out, "[WARNING] {lost} log lines were dropped: the output is too slow");
        }
    }
}

/// The subscriber's layer that makes lines of events.
struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let metadata = event.metadata();
        send(Line::Text(line(*metadata.level(), metadata.target(), &text)));
    }
}

/// The sentence of an event, and its fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            name if value.is_empty() || value.contains(char::is_whitespace) => {
                let _ = write!(self.fields, " {name}={value:?}");
            }
            name => {
                let _ = write!(self.fields, " {name}={value}");
            }
        }
    }

    fn record_error(&mut self, field: &Field, error: &(dyn std::error::Error + 'static)) {
        self.record_str(field, &chain(error));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// An error with its sources.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            let _ = write!(text, ": {cause}");
        }
        source = error.source();
    }
    text
}

fn line(level: Level, target: &str, text: &Text) -> String {
    let word = match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    };
    let prefix = if target.starts_with("plugin/") { format!("{target}: ") } else { String::new() };
    format!("[{word}] {prefix}{}{}\n", escaped(&text.message), escaped(&text.fields))
}

/// A text from outside cannot begin a line of its own, or speak to a terminal.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => escaped.extend(character.escape_default()),
            false => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(level: Level, target: &str, message: &str, fields: &str, expected: &str) {
        let text = Text { message: message.to_owned(), fields: fields.to_owned() };
        assert_eq!(line(level, target, &text), expected);
    }

    #[test]
    fn a_line_has_a_level_perhaps_a_plugin_and_its_fields() {
        check(Level::INFO, "landfall::app", "Reloading", "", "[INFO] Reloading\n");
        check(Level::WARN, "plugin/ready", "a b", " c=d", "[WARNING] plugin/ready: a b c=d\n");
        check(Level::ERROR, "query", "a", "", "[ERROR] a\n");
    }

    #[test]
    fn a_line_is_one_line_whatever_is_in_it() {
        check(Level::INFO, "x", "a\nb\u{1b}[0m", " name=c\r", "[INFO] a\\nb\\u{1b}[0m name=c\\r\n");
    }

    #[test]
    fn an_error_tells_its_sources_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] std::io::Error);
        assert_eq!(chain(&Outer(std::io::Error::other("inner"))), "outer: inner");
    }
}
