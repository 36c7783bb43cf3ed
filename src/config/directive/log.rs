//! `log [NAMES...] [FORMAT] { class CLASS... }`: a line for each query.

use crate::config::corefile::{CorefileError, Cursor};

use crate::dns::Name;

/// Which queries are logged, and how. The first rule whose names fit applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRule {
    /// Names at or below these zones.
    pub zones: Vec<Name>,
    /// The line with its placeholders.
    pub format: String,
    /// Which answers.
    pub classes: Vec<LogClass>,
}

/// A kind of answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

impl LogRule {
    /// Reads all `log` lines of a block.
    pub fn lower(cursor: &mut Cursor<'_>) -> Result<Vec<Self>, CorefileError> {
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
                    return Err(cursor.unknown("class"));
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
            rules.push(Self { zones, format, classes });
        }
        Ok(rules)
    }
}

impl LogClass {
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
