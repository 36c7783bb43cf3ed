//! `template CLASS TYPE [ZONES...] { ... }`: answers by pattern, from templates.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Fallthrough, Opt, Reference, is_default};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::expression::{Expression, Kind, Scope};
use crate::config::go_template;
use crate::config::text::{AsText, Expanded, Text};
use crate::dns::{Class, Name, RecordType, ResponseCode};

/// Answers for the names that a pattern matches.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Of which class.
    #[serde_as(as = "AsText")]
    pub class: TemplateClass,
    /// Of which type.
    #[serde_as(as = "AsText")]
    #[serde(rename = "type")]
    pub record_type: TemplateType,
    /// Names at or below these zones.
    #[serde_as(as = "Expanded")]
    #[serde(default)]
    pub zones: Vec<Name>,
    /// Regular expressions over the name in lower case with its final dot; valid; one must match.
    #[serde(rename = "match", default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<String>,
    /// What is computed, one after the other; each is valid.
    #[serde(rename = "var", default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Variable>,
    /// Expressions that must all be true; each is valid.
    #[serde(rename = "expr", default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<String>,
    /// Templates of records; each is valid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answer: Vec<String>,
    /// Those of the authority section.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authority: Vec<String>,
    /// Those of the additional section.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional: Vec<String>,
    /// The answer's response code.
    #[serde_as(as = "AsText")]
    #[serde(rename = "rcode", default)]
    pub response_code: ResponseCode,
    /// The extended DNS error (RFC 8914).
    #[serde(rename = "ederror", default, skip_serializing_if = "Option::is_none")]
    pub extended_error: Option<TemplateError>,
    /// Where names go that no pattern matches.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fallthrough: Fallthrough,
}

/// A value that is computed of a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// What it is called in later expressions, and behind `.Var` in templates.
    pub name: String,
    /// The expression.
    pub expr: String,
}

/// An extended DNS error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateError {
    /// INFO-CODE.
    pub code: u16,
    /// EXTRA-TEXT.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A class, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TemplateClass {
    Any,
    One(Class),
}

/// A type, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TemplateType {
    Any,
    One(RecordType),
}

impl Directive for Template {
    type Values = Vec<Self>;

    const REFERENCE: Reference = Reference {
        name: "template",
        syntax: "template CLASS TYPE [ZONES...] { ... }",
        summary: "Answers made from templates, for names that a pattern matches. Repeatable; classes, types and codes in upper case, `ANY` for all. Where no pattern \
                  matches and nothing falls through, it is SERVFAIL. A CNAME in an answer to A or AAAA is followed.\n\n\
                  A template is text in the language of Go's text/template that makes one record as a master file has it: TTL (3600 without), class and type in \
                  any order, names absolute with or without the final dot. It knows `.Zone` `.Name` (in lower case) `.Class` `.Type` `.Match` (`index .Match 1`) \
                  `.Group` (`.Group.name`, `index .Group \"1\"`) `.Remote` `.Question` (`.Name` `.Qtype` `.Qclass`) `.Message` (header fields and `.Question`) `.Meta \"LABEL\"` `.Var`, \
                  and the functions of Go but `call`, and `parseInt TEXT BASE BITS`. It is checked when it is read as far as Go does; what fails for a query is SERVFAIL, \
                  counted in `coredns_template_template_failures_total` or `coredns_template_rr_failures_total`. One makes 64 KiB of text at most.",
        options: &[
            Opt {
                syntax: "match REGEXP...",
                meaning: "over the name in lower case with its final dot; one must match, and the first one that does has the groups",
                default: "every name",
            },
            Opt { syntax: "answer TEMPLATE...", meaning: "a record of the answer section each", default: "" },
            Opt {
                syntax: "authority TEMPLATE...",
                meaning: "of the authority section; an SOA for NXDOMAIN and NODATA",
                default: "",
            },
            Opt { syntax: "additional TEMPLATE...", meaning: "of the additional section", default: "" },
            Opt { syntax: "rcode CODE", meaning: "the response code", default: "NOERROR" },
            Opt { syntax: "ederror CODE [REASON]", meaning: "an extended DNS error (RFC 8914)", default: "" },
            Opt {
                syntax: "var NAME EXPRESSION",
                meaning: "a value for `.Var.NAME` and later expressions, which are those of `view` and know `group(NAME_OR_NUMBER)`",
                default: "",
            },
            Opt {
                syntax: "expr EXPRESSION",
                meaning: "must be true, or no pattern matches; quoted where it has a `#`",
                default: "",
            },
            Opt { syntax: "upstream", meaning: "left out, as in CoreDNS", default: "" },
            Fallthrough::OPTION,
        ],
        example: "template IN A example.org {\n    match ^ip-(?P<a>10)-(?P<b>[0-9]+)-([0-9]+)-([0-9]+)[.]\n    var low int(group('b')) < 100\n    expr low\n    \
                  answer \"{{ .Name }} 60 IN A {{ .Group.a }}.{{ .Group.b }}.{{ index .Match 3 }}.{{ index .Match 4 }}\"\n    ederror 21 \"made up\"\n    fallthrough\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Vec<Self>, CorefileError> {
        let mut templates = Vec::new();
        while cursor.advance() {
            let arguments = cursor.arguments();
            let [class, record_type, zones @ ..] = arguments.as_slice() else {
                return Err(cursor.error("takes a class and a type, e.g. `template IN AAAA`"));
            };
            let invalid =
                |what: &str, text: &str, expected: &str| cursor.error(format!("invalid {what} {text:?}; {expected}"));
            let mut template = Self {
                class: Text::read(class).ok_or_else(|| invalid("class", class, TemplateClass::WHAT))?,
                record_type: Text::read(record_type).ok_or_else(|| invalid("type", record_type, TemplateType::WHAT))?,
                zones: cursor.zones(zones),
                patterns: Vec::new(),
                variables: Vec::new(),
                conditions: Vec::new(),
                answer: Vec::new(),
                authority: Vec::new(),
                additional: Vec::new(),
                response_code: ResponseCode::NoError,
                extended_error: None,
                fallthrough: Fallthrough::default(),
            };
            let mut scope = Scope { has_groups: true, variables: Vec::new() };
            while cursor.next_option() {
                template.lower_option(cursor, &mut scope)?;
            }
            // Without any zone that is one, it is for no name; a warning says so.
            if !template.zones.is_empty() {
                templates.push(template);
            }
        }
        Ok(templates)
    }

    fn write(templates: &Vec<Self>, corefile: &mut Writer) {
        for template in templates {
            let head = ["template".to_owned(), template.class.text(), template.record_type.text()];
            corefile.block(head.into_iter().chain(template.zones.iter().map(Text::text)), |options| {
                template.write_options(options);
            });
        }
    }
}

impl Template {
    fn lower_option(&mut self, cursor: &mut Cursor<'_>, scope: &mut Scope) -> Result<(), CorefileError> {
        match cursor.word().to_owned().as_str() {
            "match" => {
                let patterns = cursor.arguments();
                if patterns.is_empty() {
                    return Err(cursor.error("match takes regular expressions"));
                }
                for pattern in patterns {
                    self.patterns.push(super::pattern::lower_pattern(cursor, &pattern)?);
                }
            }
            "answer" => self.answer.extend(lower_templates(cursor)?),
            "authority" => self.authority.extend(lower_templates(cursor)?),
            "additional" => self.additional.extend(lower_templates(cursor)?),
            "rcode" => {
                // One argument is taken, whatever follows: `{ rcode NXDOMAIN }` on one line is legal here.
                if !cursor.next_argument() {
                    return Err(cursor.error("rcode takes a response code, such as NXDOMAIN"));
                }
                self.response_code = ResponseCode::read(cursor.word()).ok_or_else(|| {
                    let what = "; codes are upper case: NOERROR, NXDOMAIN, REFUSED, SERVFAIL …";
                    cursor.error(format!("unknown rcode {:?}{what}", cursor.word()))
                })?;
            }
            "ederror" => self.extended_error = Some(lower_error(cursor)?),
            "var" => {
                let arguments = cursor.arguments();
                let Some((name, words)) = arguments.split_first().filter(|(_, words)| !words.is_empty()) else {
                    return Err(cursor.error("var takes a name and an expression"));
                };
                if !scope.takes(name) {
                    return Err(cursor.error(format!("{name:?} is no name for a variable, or has a meaning already")));
                }
                let (expr, kind) = lower_expression(cursor, &format!("var {name}"), words, scope)?;
                if kind == Kind::List {
                    return Err(
                        cursor.error(format!("var {name} is a list; it may be a text, a number or a truth value"))
                    );
                }
                scope.variables.push((name.clone(), kind));
                self.variables.push(Variable { name: name.clone(), expr });
            }
            "expr" => {
                let words = cursor.arguments();
                let (expr, kind) = lower_expression(cursor, "expr", &words, scope)?;
                if kind != Kind::Truth {
                    cursor.warn(format!("expr {expr:?} is neither true nor false, so that no name matches"));
                }
                self.conditions.push(expr);
            }
            "fallthrough" => self.fallthrough = Fallthrough::lower(cursor, &self.zones)?,
            "upstream" => {
                cursor.warn("upstream has no effect; remove it");
                cursor.arguments();
            }
            _ => return Err(cursor.unknown::<Self>()),
        }
        Ok(())
    }

    fn write_options(&self, options: &mut Writer) {
        if !self.patterns.is_empty() {
            options.line(std::iter::once("match").chain(self.patterns.iter().map(String::as_str)));
        }
        for Variable { name, expr } in &self.variables {
            options.line(["var", name].into_iter().chain(expr.split(' ')));
        }
        self.conditions.iter().for_each(|expr| options.line(std::iter::once("expr").chain(expr.split(' '))));
        for (word, templates) in
            [("answer", &self.answer), ("authority", &self.authority), ("additional", &self.additional)]
        {
            templates.iter().for_each(|template| options.line([word, template]));
        }
        options.line(["rcode", &self.response_code.text()]);
        if let Some(TemplateError { code, reason }) = &self.extended_error {
            let code = code.to_string();
            options
                .line(["ederror", &code].into_iter().chain(Some(reason.as_str()).filter(|reason| !reason.is_empty())));
        }
        self.fallthrough.write(options);
    }
}

fn lower_templates(cursor: &mut Cursor<'_>) -> Result<Vec<String>, CorefileError> {
    let section = cursor.word().to_owned();
    let templates = cursor.arguments();
    if templates.is_empty() {
        return Err(cursor.error(format!("{section} takes templates, each of one record, in quotes")));
    }
    for template in &templates {
        if let Err(error) = go_template::Template::parse(template) {
            // A quote within quotes ends the word.
            let is_cut = templates.len() > 1 && error.at <= template.chars().count();
            let advice = if is_cut { r#"; a quote within quotes is \", or use `text`"# } else { "" };
            return Err(cursor.error(format!("{section} {template:?}: {error}{advice}")));
        }
    }
    Ok(templates)
}

fn lower_expression(
    cursor: &mut Cursor<'_>,
    option: &str,
    words: &[String],
    scope: &Scope,
) -> Result<(String, Kind), CorefileError> {
    let text = words.join(" ");
    let advice = if text.ends_with('}') { "; put '}' on a line of its own" } else { "" };
    let expression = Expression::parse_in(&text, scope)
        .map_err(|error| cursor.error(format!("{option} {text:?}: {error}{advice}")))?;
    if !cursor.costs.spend_pattern(expression.states) {
        return Err(cursor.error("there are too many or too large patterns in this configuration"));
    }
    Ok((text, expression.kind()))
}

fn lower_error(cursor: &mut Cursor<'_>) -> Result<TemplateError, CorefileError> {
    let arguments = cursor.arguments();
    match arguments.as_slice() {
        [code] => Ok(TemplateError { code: cursor.number(code, "ederror", 0..=u16::MAX)?, reason: String::new() }),
        [code, reason] => {
            Ok(TemplateError { code: cursor.number(code, "ederror", 0..=u16::MAX)?, reason: reason.clone() })
        }
        _ => Err(cursor.error("ederror takes a number and a reason in quotes")),
    }
}

impl Text for TemplateClass {
    const WHAT: &'static str = "classes are upper case: IN, CH or ANY";

    fn read(text: &str) -> Option<Self> {
        if text == "ANY" { Some(Self::Any) } else { Class::read(text).map(Self::One) }
    }

    fn text(&self) -> String {
        match self {
            Self::Any => "ANY".to_owned(),
            Self::One(class) => class.text(),
        }
    }
}

impl Text for TemplateType {
    const WHAT: &'static str = "types are upper case, such as AAAA, or ANY";

    fn read(text: &str) -> Option<Self> {
        match text {
            "ANY" => Some(Self::Any),
            "*" => None,
            _ => RecordType::read(text).map(Self::One),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Any => "ANY".to_owned(),
            Self::One(record_type) => record_type.text(),
        }
    }
}
