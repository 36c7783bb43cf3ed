//! `view NAME { expr EXPRESSION }`: which queries the server block takes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Directive, Opt, Reference};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::expression::Expression;

/// Which queries the server block takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// What metrics and metadata call it.
    pub name: String,
    /// Expressions that must all be true; each is valid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expr: Vec<String>,
}

impl Directive for View {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "view",
        syntax: "view NAME { ... }",
        summary: "The block takes a query only if all expressions are true; else the next block of the same zone is tried in the order of the file, then the \
                  next shorter zone. Any number of blocks with a view and one without may share a zone and port. `NAME` is the label `view` of metrics.\n\n\
                  An expression has texts (`'A'`), numbers, `true`, `false`, lists (`['A', 'AAAA']`) and ranges (`1..5`), the operators `==` `!=` `<` `<=` `>` `>=` \
                  `in` `contains` `startsWith` `endsWith` `matches` (each of the last five also behind `not`), `&&` `||` `!` (or `and` `or` `not`), `? :`, `+` `-` `*` `%`, and the functions \
                  `type()` `name()` `class()` `proto()` `size()` `client_ip()` `port()` `id()` `opcode()` `do()` `bufsize()` `server_ip()` `server_port()` of the query, \
                  `metadata(LABEL)`, `incidr(ADDRESS, PREFIX)`, `len(TEXT)`, `lower(TEXT)`, `upper(TEXT)`, `replace(TEXT, FROM, TO)`, `int(TEXT)`, and `any` `all` `none` \
                  of a list and a condition in which `#` is its item, as in `any(['10.0.0.0/8', 'fd00::/8'], incidr(client_ip(), #))`. Names are in lower case with their final dot, \
                  ports are texts. A backslash in a text is written twice. It is checked when it is read; what cannot be said for a query counts as false.",
        options: &[Opt { syntax: "expr EXPRESSION", meaning: "must be true; repeatable", default: "" }],
        example: "view internal {\n    expr incidr(client_ip(), '10.0.0.0/8') || client_ip() == '192.0.2.1'\n    expr type() in ['A', 'AAAA'] && name() matches '^web[0-9]+\\\\.'\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        cursor.advance();
        let arguments = cursor.arguments();
        let [name] = arguments.as_slice() else {
            return Err(cursor.error(format!("takes one name, not {arguments:?}")));
        };
        let mut expr = Vec::new();
        while cursor.next_option() {
            if cursor.word() != "expr" {
                return Err(cursor.unknown::<Self>());
            }
            let text = cursor.arguments().join(" ");
            let advice = if text.ends_with('}') { "; put '}' on a line of its own" } else { "" };
            let expression =
                Expression::parse(&text).map_err(|error| cursor.error(format!("expr {text:?}: {error}{advice}")))?;
            if !cursor.costs.spend_pattern(expression.states) {
                return Err(cursor.error("there are too many or too large patterns in this configuration"));
            }
            if !expression.is_condition() {
                cursor.warn(format!("expr {text:?} is neither true nor false, so that the block takes no query"));
            }
            expr.push(text);
        }
        match cursor.advance() {
            true => Err(cursor.once()),
            false => Ok(Some(Self { name: name.clone(), expr })),
        }
    }

    fn write(view: &Option<Self>, corefile: &mut Writer) {
        let Some(Self { name, expr }) = view else { return };
        corefile.block(["view", name], |options| {
            expr.iter().for_each(|text| options.line(std::iter::once("expr").chain(text.split(' '))));
        });
    }
}
