//! `landfall explain NAME [TYPE]`: which part of the server does what with a question, and why.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::{complain, say};
use crate::app::explain::{ExplainError, Explained, Request, explain};
use crate::dns::{ResponseCode, class_mnemonic, flag_words, mnemonic, name_text, type_mnemonic};

/// Exit code for questions that were answered with SERVFAIL, or with nothing.
const UNANSWERED: u8 = 3;

/// Prints what happens to the question, and the answer.
pub fn run(request: Request, as_json: bool) -> ExitCode {
    let explained = match explain(request) {
        Ok(explained) => explained,
        Err(ExplainError::Configuration(errors)) => {
            errors.iter().for_each(complain);
            return ExitCode::FAILURE;
        }
        Err(error) => {
            complain(error);
            return ExitCode::FAILURE;
        }
    };
    match as_json {
        true => say(format_args!("{:#}", as_value(&explained))),
        false => say(Text::new(std::io::stdout().is_terminal()).write(&explained).trim_end()),
    }
    match explained.reply.is_none() || explained.answer.response_code() == ResponseCode::ServFail {
        true => ExitCode::from(UNANSWERED),
        false => ExitCode::SUCCESS,
    }
}

/// For people: aligned, a line for each step, look-ups of the server itself indented.
struct Text {
    is_coloured: bool,
}

impl Text {
    fn new(is_coloured: bool) -> Self {
        Self { is_coloured }
    }

    fn write(&self, explained: &Explained) -> String {
        let Explained { query, listener, places, .. } = explained;
        let mut text = format!(
            "{} {} {}, from {} over {}, to the listener {listener}\n",
            self.bold(&name_text(&query.name)),
            class_mnemonic(query.class),
            type_mnemonic(query.record_type),
            query.client.ip(),
            query.transport.as_str().to_uppercase(),
        );
        for (index, place) in places.iter().enumerate() {
            // Writing to a string does not fail.
            let _ = writeln!(text, "  server block {} is {place}", index + 1);
        }
        for warning in &explained.warnings {
            let _ = writeln!(text, "  warning: {warning}");
        }
        text.push('\n');
        let indent = |depth: u8| "  ".repeat(usize::from(depth) + 1);
        let width =
            explained.steps.iter().map(|step| indent(step.depth).len() + step.plugin.len()).max().unwrap_or_default();
        for step in &explained.steps {
            let head = format!("{}{}", indent(step.depth), step.plugin);
            let _ =
                writeln!(text, "{}{}  {}", self.bold(&head), " ".repeat(width.saturating_sub(head.len())), step.text);
        }
        text.push('\n');
        text.push_str(&self.answer(explained));
        text
    }

    fn answer(&self, explained: &Explained) -> String {
        let Explained { answer, reply, took, .. } = explained;
        let Some(reply) = reply else { return format!("nothing comes back (dropped by {})\n", answer.source()) };
        let by = if answer.source().is_empty() { "the server" } else { answer.source() };
        let mut text = format!(
            "{}, {}, {} octets, by {by} in {took:.1?}\n",
            self.bold(&mnemonic(answer.response_code())),
            flag_words(reply).replace(',', " "),
            reply.len()
        );
        if let Some(error) = answer.extended_error() {
            let _ = writeln!(text, "  EDE {}: {}", error.code, error.text);
        }
        if let Some(failure) = answer.failure() {
            let _ = writeln!(text, "  because: {failure}");
        }
        let sections =
            [("answer", &answer.answers), ("authority", &answer.authority), ("additional", &answer.additional)];
        for (name, records) in sections.into_iter().filter(|(_, records)| !records.is_empty()) {
            let _ = writeln!(text, "  {name}");
            for record in records {
                let _ = writeln!(text, "    {record}");
            }
        }
        text
    }

    fn bold(&self, text: &str) -> String {
        if self.is_coloured { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// For machines.
fn as_value(explained: &Explained) -> Value {
    let Explained { query, answer, reply, steps, .. } = explained;
    let texts = |records: &[crate::dns::Record]| records.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "question": {
            "name": name_text(&query.name),
            "type": type_mnemonic(query.record_type),
            "class": class_mnemonic(query.class),
            "client": query.client.ip(),
            "transport": query.transport.as_str(),
        },
        "listener": explained.listener.to_string(),
        "server_blocks": explained.places,
        "warnings": explained.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "steps": steps
            .iter()
            .map(|step| json!({ "depth": step.depth, "plugin": step.plugin, "text": step.text }))
            .collect::<Vec<_>>(),
        "answer": reply.as_ref().map(|reply| json!({
            "status": mnemonic(answer.response_code()),
            "flags": flag_words(reply).split(',').collect::<Vec<_>>(),
            "plugin": answer.source(),
            "size_bytes": reply.len(),
            "extended_error": answer.extended_error().map(|error| json!({ "code": error.code, "text": error.text })),
            "failure": answer.failure(),
            "answer": texts(&answer.answers),
            "authority": texts(&answer.authority),
            "additional": texts(&answer.additional),
        })),
        "took_ms": explained.took.as_secs_f64() * 1000.0,
    })
}
