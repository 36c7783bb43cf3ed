//! Tokens to server blocks of directives; imports and snippets are put in place.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::path::Path;

use super::lex::{Token, lex};
use super::{CorefileError, Surroundings};

/// A server block: its keys, and its directives with all their words.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// The words before the brace.
    pub keys: Vec<Token>,
    /// The directives; lines of the same directive are one.
    pub directives: Vec<Directive>,
}

/// All lines of one directive in a block, its name being the first token of each.
#[derive(Clone, Debug)]
pub struct Directive {
    /// Its name.
    pub name: String,
    /// Its words, in the order of the file.
    pub tokens: Vec<Token>,
}

/// How often files and snippets may be put in place: a snippet that imports itself through others ends here.
const EXPANSIONS_MAX: usize = 10_000;
/// How often the value of a variable may name another variable: one that names itself ends here.
const VARIABLES_MAX: usize = 100;
/// How many tokens there may be in all, which bounds what nested imports can make of a few lines.
const TOKENS_MAX: usize = 250_000;

/// Reads the blocks of a text.
pub fn parse(
    text: &str,
    file: &str,
    surroundings: &dyn Surroundings,
    warnings: &mut Vec<CorefileError>,
) -> Result<Vec<Block>, CorefileError> {
    let mut parser = Parser {
        tokens: lex(text, file),
        at: None,
        file: file.to_owned(),
        snippets: HashMap::new(),
        importers: HashMap::new(),
        expansions: 0,
        surroundings,
        warnings,
    };
    parser.blocks()
}

struct Parser<'a> {
    tokens: Vec<Token>,
    /// The token that is looked at; None before the first.
    at: Option<usize>,
    file: String,
    snippets: HashMap<String, Vec<Token>>,
    /// The files that an imported file is in, directly or through others.
    importers: HashMap<String, HashSet<String>>,
    expansions: usize,
    surroundings: &'a dyn Surroundings,
    warnings: &'a mut Vec<CorefileError>,
}

impl Parser<'_> {
    fn blocks(&mut self) -> Result<Vec<Block>, CorefileError> {
        let mut blocks = Vec::new();
        while self.advance() {
            let block = self.block()?;
            if !block.keys.is_empty() {
                blocks.push(block);
            }
        }
        Ok(blocks)
    }

    fn block(&mut self) -> Result<Block, CorefileError> {
        let (keys, is_at_end) = self.keys()?;
        let mut block = Block { keys, directives: Vec::new() };
        if is_at_end {
            return Ok(block);
        }
        if let [key] = block.keys.as_slice()
            && let Some(name) = key.text.strip_prefix('(').and_then(|name| name.strip_suffix(')'))
        {
            self.snippet(name.to_owned())?;
            return Ok(Block::default());
        }
        let has_brace = self.text() == "{";
        let begins = self.token().line;
        if !has_brace {
            // The braces of the only block may be left out.
            self.step_back();
        }
        self.directives(&mut block)?;
        if has_brace && self.text() != "}" {
            let quote = if self.text().contains('\n') { "; or is a quote open?" } else { "" };
            let what = format!("the block that begins in line {begins} is not closed: '}}' is missing{quote}");
            return Err(self.error(what));
        }
        if block.keys.is_empty() && !block.directives.is_empty() {
            let error = self.error("the block that ends here has no zone and is left out; is a variable not set?");
            self.warnings.push(error);
        }
        Ok(block)
    }

    /// The keys of a block, and whether the file ends with them.
    fn keys(&mut self) -> Result<(Vec<Token>, bool), CorefileError> {
        let mut keys = Vec::new();
        let mut expects_another = false;
        loop {
            let mut token = self.token();
            token.text = self.expand(&token.text);
            if token.text == "import" && self.is_on_new_line() {
                if !self.import()? {
                    return Ok((keys, true));
                }
                continue;
            }
            if token.text == "{" {
                if expects_another {
                    return Err(
                        self.error("another zone is expected after the comma, but there is '{'; remove the comma")
                    );
                }
                return Ok((keys, false));
            }
            if !token.text.is_empty() {
                expects_another = token.text.ends_with(',');
                token.text = token.text.strip_suffix(',').unwrap_or(&token.text).to_owned();
                keys.push(token);
            }
            if !self.advance() {
                if expects_another {
                    return Err(self.error("another zone is expected after the comma, but the file ends"));
                }
                return Ok((keys, true));
            }
            if !expects_another && self.is_on_new_line() {
                return Ok((keys, false));
            }
        }
    }

    /// Keeps the words of `(name) { ... }`.
    fn snippet(&mut self, name: String) -> Result<(), CorefileError> {
        if self.snippets.contains_key(&name) {
            return Err(self.error(format!("snippet {name:?} is there already; give this one another name")));
        }
        if self.text() != "{" {
            return Err(self.error(format!("snippet {name:?} needs '{{' behind its name")));
        }
        let (mut depth, mut tokens) = (1, Vec::new());
        while self.advance() {
            match self.text() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.snippets.insert(name, tokens);
                return Ok(());
            }
            tokens.push(self.token());
        }
        Err(self.error(format!("snippet {name:?} is not closed, '}}' is missing")))
    }

    fn directives(&mut self, block: &mut Block) -> Result<(), CorefileError> {
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        while self.advance() {
            match self.text() {
                "}" => break,
                "import" => {
                    self.import()?;
                    self.step_back();
                }
                _ => {
                    let directive = self.directive()?;
                    match places.get(&directive.name).and_then(|place| block.directives.get_mut(*place)) {
                        Some(earlier) => earlier.tokens.extend(directive.tokens),
                        None => {
                            places.insert(directive.name.clone(), block.directives.len());
                            block.directives.push(directive);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The words of one directive: its line, or up to the end of its braces.
    fn directive(&mut self) -> Result<Directive, CorefileError> {
        let name = self.expand(self.text());
        let mut tokens = vec![Token { text: name.clone(), ..self.token() }];
        let mut depth = 0;
        while self.advance() {
            let text = self.text();
            if text == "{" {
                depth += 1;
            } else if depth == 0 && self.is_on_new_line() {
                self.step_back();
                break;
            } else if text == "}" && depth == 0 {
                return Err(self.error(
                    "unexpected '}' because no matching opening brace is on its line; put '}' on a line of its own",
                ));
            } else if text == "}" {
                depth -= 1;
            } else if text == "import" && self.is_on_new_line() {
                self.import()?;
                self.step_back();
                continue;
            }
            let mut token = self.token();
            token.text = self.expand(&token.text);
            tokens.push(token);
        }
        match depth {
            0 => Ok(Directive { name, tokens }),
            _ => Err(self.error(format!("{name}: the file ends within its braces, '}}' is missing"))),
        }
    }

    /// Puts what `import PATTERN` names in its place, and stands on its first word; false if nothing follows.
    fn import(&mut self) -> Result<bool, CorefileError> {
        let start = self.at.unwrap_or(0);
        let arguments: Vec<String> =
            self.line_from(start).iter().skip(1).map(|token| self.expand(&token.text)).collect();
        let [pattern] = arguments.as_slice() else {
            return Err(self.error("import: takes one file, pattern or snippet"));
        };
        if pattern.is_empty() {
            return Err(self.error("import: the file name is empty"));
        }
        self.expansions += 1;
        if self.expansions > EXPANSIONS_MAX {
            return Err(self.error(format!(
                "import: more than {EXPANSIONS_MAX} imports; {pattern:?} seems to import itself through others"
            )));
        }
        let imported = match self.snippets.get(pattern) {
            Some(tokens) => tokens.clone(),
            None => self.import_files(pattern)?,
        };
        self.tokens.splice(start..start + 2, imported);
        if self.tokens.len() > TOKENS_MAX {
            return Err(self.error(format!("import: the imports make more than {TOKENS_MAX} words")));
        }
        self.at = Some(start);
        Ok(start < self.tokens.len())
    }

    fn import_files(&mut self, pattern: &str) -> Result<Vec<Token>, CorefileError> {
        let folder = Path::new(&*self.token().file).parent().map(Path::to_path_buf).unwrap_or_default();
        let path = folder.join(pattern);
        let full = path.to_string_lossy();
        if full.matches('*').count() > 1 || full.matches('?').count() > 1 || (full.contains('[') && full.contains(']'))
        {
            return Err(self.error(format!("import: a pattern may have one * and one ?, but {pattern:?} has others")));
        }
        let is_pattern = full.contains(['*', '?', '[', ']']);
        let files = match is_pattern {
            true => self.surroundings.matching(&full),
            false => vec![path.clone()],
        };
        if files.is_empty() {
            let error = self.error(format!("No files matching import glob pattern: {pattern}"));
            self.warnings.push(error);
        }
        let mut tokens = Vec::new();
        for file in files {
            tokens.extend(self.import_file(&file, is_pattern)?);
        }
        Ok(tokens)
    }

    fn import_file(&mut self, file: &Path, is_pattern: bool) -> Result<Vec<Token>, CorefileError> {
        self.note_importer(file)?;
        match self.surroundings.read(file) {
            Ok(text) => Ok(lex(&text, &file.to_string_lossy())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_pattern => Err(self.error(format!(
                "import: file {} is not there; to allow that, use a pattern such as \"*.conf\"",
                file.display()
            ))),
            Err(error) => Err(self.error(format!("import: cannot read {}: {error}", file.display()))),
        }
    }

    /// Remembers which files a file is in; one that is in itself would never end.
    fn note_importer(&mut self, file: &Path) -> Result<(), CorefileError> {
        let importer = self.token().file.to_string();
        let imported = file.to_string_lossy().into_owned();
        let mut around = self.importers.get(&importer).cloned().unwrap_or_default();
        around.insert(importer);
        if around.contains(&imported) {
            return Err(self.error(format!("import: {imported} imports itself, directly or through another file")));
        }
        self.importers.entry(imported).or_default().extend(around);
        Ok(())
    }

    /// The tokens from here to the end of the line.
    fn line_from(&self, start: usize) -> &[Token] {
        let rest = self.tokens.get(start..).unwrap_or_default();
        let length = rest.windows(2).take_while(|pair| matches!(pair, [a, b] if follows_on_line(a, b))).count();
        rest.get(..=length).unwrap_or(rest)
    }

    fn advance(&mut self) -> bool {
        let next = self.at.map_or(0, |at| at + 1);
        if next < self.tokens.len() {
            self.at = Some(next);
        }
        next < self.tokens.len()
    }

    fn step_back(&mut self) {
        self.at = self.at.and_then(|at| at.checked_sub(1));
    }

    fn token(&self) -> Token {
        let here = self.at.and_then(|at| self.tokens.get(at)).or(self.tokens.last());
        here.cloned().unwrap_or_else(|| Token { file: self.file.as_str().into(), line: 1, text: String::new() })
    }

    fn text(&self) -> &str {
        self.at.and_then(|at| self.tokens.get(at)).map_or("", |token| &token.text)
    }

    fn is_on_new_line(&self) -> bool {
        let Some(at) = self.at else { return false };
        let before = at.checked_sub(1).and_then(|before| self.tokens.get(before));
        match (before, self.tokens.get(at)) {
            (Some(before), Some(token)) => !follows_on_line(before, token),
            _ => true,
        }
    }

    /// Puts the values of `{%NAME%}` and `{$NAME}` in; a variable that is not set is empty.
    fn expand(&self, text: &str) -> String {
        expand(text, self.surroundings)
    }

    fn error(&self, what: impl Into<String>) -> CorefileError {
        let token = self.token();
        CorefileError { file: token.file.to_string(), line: token.line, what: what.into() }
    }
}

/// The lines of a directive in a block, each with its braces.
pub fn stanzas(tokens: &[Token]) -> Vec<Range<usize>> {
    let (mut starts, mut depth) = (Vec::new(), 0usize);
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| tokens.get(before));
        if depth == 0 && before.is_none_or(|before| !follows_on_line(before, token)) {
            starts.push(at);
        }
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    let ends = starts.iter().skip(1).copied().chain([tokens.len()]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
}

/// A text with the values of its variables: `{$NAME}` and `{%NAME%}`.
pub fn expand(text: &str, surroundings: &dyn Surroundings) -> String {
    expand_form(&expand_form(text, "{%", "%}", surroundings), "{$", "}", surroundings)
}

/// A value may name another variable; `{$}` stays, and so does what follows it, as in Caddy.
fn expand_form(text: &str, open: &str, close: &str, surroundings: &dyn Surroundings) -> String {
    let mut text = text.to_owned();
    for _ in 0..VARIABLES_MAX {
        let Some((before, after)) = text.split_once(open) else { break };
        let Some((name, behind)) = after.split_once(close).filter(|(name, _)| !name.is_empty()) else { break };
        let value = surroundings.variable(name).unwrap_or_default();
        text = format!("{before}{value}{behind}");
    }
    text
}

/// Whether `next` stands on the line on which `token` ends.
pub fn follows_on_line(token: &Token, next: &Token) -> bool {
    token.file == next.file && token.line + token.text.matches('\n').count() == next.line
}
