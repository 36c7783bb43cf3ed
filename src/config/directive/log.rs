//! `log [NAMES...] [FORMAT] { class CLASS... }`: a line for each query.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Opt, Reference};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{Expanded, Text};
use crate::dns::Name;

/// Which queries are logged, and how. The first rule whose names fit applies.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogRule {
    /// Names at or below these zones.
    #[serde_as(as = "Expanded")]
    pub zones: Vec<Name>,
    /// The line with its placeholders.
    pub format: String,
    /// Which answers.
    pub classes: Vec<LogClass>,
}

/// A kind of answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogClass {
    /// All of them.
    All,
    /// NOERROR with data, and delegations.
    Success,
    /// NXDOMAIN and NODATA.
    Denial,
    /// Everything else.
    Error,
}

/// The line where the file says none.
const COMMON: &str = r#"{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration}"#;

impl Default for LogRule {
    fn default() -> Self {
        Self { zones: vec![Name::root()], format: COMMON.to_owned(), classes: vec![LogClass::All] }
    }
}

impl Directive for LogRule {
    type Values = Vec<Self>;

    const REFERENCE: Reference = Reference {
        name: "log",
        syntax: "log [NAMES...] [FORMAT] { ... }",
        summary: "A line for each query. Repeatable; the first whose names fit applies. Placeholders: `{type}` `{name}` `{class}` `{proto}` `{size}` `{remote}` \
                  `{port}` `{local}` `{>id}` `{>opcode}` `{>do}` `{>bufsize}` `{rcode}` `{rsize}` `{duration}` `{>rflags}` `{common}` `{combined}`, and `{/LABEL}` of `metadata`.",
        options: &[Opt {
            syntax: "class all|success|denial|error...",
            meaning: "which answers: NOERROR with data; NXDOMAIN and NODATA; all others",
            default: "all",
        }],
        example: "log cluster.local \"{remote} {name} {rcode}\" {\n    class denial error\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Vec<Self>, CorefileError> {
        let mut rules = Vec::new();
        while cursor.advance() {
            let mut arguments = cursor.arguments();
            let mut format = COMMON.to_owned();
            if arguments.len() > 1 && arguments.last().is_some_and(|last| last.contains('{')) {
                let combined = format!(r#"{COMMON} "{{>opcode}}""#);
                format =
                    arguments.pop().unwrap_or_default().replace("{common}", COMMON).replace("{combined}", &combined);
            }
            if let [only] = arguments.as_slice()
                && only.contains('{')
            {
                cursor.warn(format!("{only:?} is read as a zone; a format stands behind one, e.g. `log . FORMAT`"));
            }
            let zones = match arguments.is_empty() {
                true => vec![Name::root()],
                false => cursor.zones(&arguments),
            };
            let mut classes = Vec::new();
            while cursor.next_option() {
                if cursor.word() != "class" {
                    return Err(cursor.unknown::<Self>());
                }
                let arguments = cursor.arguments();
                if arguments.is_empty() {
                    return Err(cursor.error("class takes all, success, denial and error"));
                }
                for argument in arguments {
                    classes.push(LogClass::parse(cursor, &argument)?);
                }
            }
            if classes.is_empty() {
                classes.push(LogClass::All);
            }
            // Without any zone that is one, it is for no name; a warning says so.
            if !zones.is_empty() {
                rules.push(Self { zones, format, classes });
            }
        }
        Ok(rules)
    }

    fn write(rules: &Vec<Self>, corefile: &mut Writer) {
        for Self { zones, format, classes } in rules {
            let zones = zones.iter().map(Text::text);
            corefile.block(std::iter::once("log".to_owned()).chain(zones).chain([format.clone()]), |options| {
                options.line(std::iter::once("class").chain(classes.iter().map(|class| class.as_str())));
            });
        }
    }
}

impl LogClass {
    /// The word of the Corefile.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Success => "success",
            Self::Denial => "denial",
            Self::Error => "error",
        }
    }

    fn parse(cursor: &Cursor<'_>, text: &str) -> Result<Self, CorefileError> {
        match text {
            "all" => Ok(Self::All),
            "success" => Ok(Self::Success),
            "denial" => Ok(Self::Denial),
            "error" => Ok(Self::Error),
            "}" => Err(cursor.error("invalid Class: \"}\"; put '}' on a line of its own")),
            _ => Err(cursor.error(format!("invalid Class: {text:?}; there are all, success, denial and error"))),
        }
    }
}
