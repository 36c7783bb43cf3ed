//! A template and the facts of a query to a text.

use super::function::Function;
use super::node::{Command, Node, Number, Operand, Pipe, words_of};
use super::value::{Object, Value};
use super::{Facts, Failure, LENGTH_MAX, Template, format};

/// Steps at most, one for each part that is looked at and one for each octet and value that is made or copied.
const STEPS_MAX: usize = 200_000;
/// How deep templates that use templates may go, counted in blocks and brackets.
const DEPTH_MAX: usize = 200;

type Done<T> = Result<T, Failure>;

/// What happens behind a part.
#[derive(PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

/// Makes one text.
pub struct Machine<'a> {
    template: &'a Template,
    facts: &'a Facts<'a>,
    variables: Vec<(&'a str, Value<'a>)>,
    text: String,
    steps: usize,
    depth: usize,
}

impl<'a> Machine<'a> {
    pub fn new(template: &'a Template, facts: &'a Facts<'a>) -> Self {
        let variables = vec![("$", Value::Object(Object::Facts))];
        Self { template, facts, variables, text: String::new(), steps: 0, depth: 0 }
    }

    pub fn run(mut self) -> Done<String> {
        self.list(&Value::Object(Object::Facts), &self.template.main)?;
        Ok(self.text)
    }

    fn spend(&mut self, steps: usize, at: &dyn ToString) -> Done<()> {
        self.steps += steps;
        match self.steps <= STEPS_MAX {
            true => Ok(()),
            false => Err(failure("it takes too many steps", at)),
        }
    }

    fn deeper<T>(&mut self, at: &dyn ToString, run: impl FnOnce(&mut Self) -> Done<T>) -> Done<T> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(failure("templates use templates too deep", at));
        }
        let done = run(self)?;
        self.depth -= 1;
        Ok(done)
    }

    fn list(&mut self, dot: &Value<'a>, list: &'a [Node]) -> Done<Flow> {
        for node in list {
            self.spend(1, node)?;
            let flow = self.deeper(node, |machine| machine.node(dot, node))?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn node(&mut self, dot: &Value<'a>, node: &'a Node) -> Done<Flow> {
        match node {
            Node::Text(text) => self.write(text, node)?,
            Node::Action(pipe) => {
                let value = self.pipe(dot, pipe)?;
                if pipe.variables.is_empty() {
                    let text = match value {
                        Value::Nothing => "<no value>".to_owned(),
                        value => format::printed(&value).map_err(|what| failure(what, pipe))?,
                    };
                    self.write(&text, pipe)?;
                }
            }
            Node::Choice { is_with, branches, otherwise } => {
                let outer = self.variables.len();
                let flow = self.choice(dot, *is_with, branches, otherwise.as_deref().unwrap_or_default());
                self.variables.truncate(outer);
                return flow;
            }
            Node::Range { pipe, list, otherwise } => {
                let outer = self.variables.len();
                let flow = self.range(dot, pipe, list, otherwise.as_deref().unwrap_or_default());
                self.variables.truncate(outer);
                return flow;
            }
            Node::Template { name, pipe } => self.template(dot, name, pipe.as_ref())?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn write(&mut self, text: &str, at: &dyn ToString) -> Done<()> {
        self.spend(text.len(), at)?;
        self.text.push_str(text);
        match self.text.len() <= LENGTH_MAX {
            true => Ok(()),
            false => Err(failure(format!("the text has more than {LENGTH_MAX} octets"), at)),
        }
    }

    fn choice(
        &mut self,
        dot: &Value<'a>,
        is_with: bool,
        branches: &'a [(Pipe, Vec<Node>)],
        otherwise: &'a [Node],
    ) -> Done<Flow> {
        for (pipe, list) in branches {
            let value = self.pipe(dot, pipe)?;
            if value.is_true() {
                return self.list(if is_with { &value } else { dot }, list);
            }
        }
        self.list(dot, otherwise)
    }

    fn range(&mut self, dot: &Value<'a>, pipe: &'a Pipe, list: &'a [Node], otherwise: &'a [Node]) -> Done<Flow> {
        let value = self.pipe(dot, pipe)?;
        let count = match &value {
            Value::Int(count) => Some(u64::try_from(*count).unwrap_or_default()),
            Value::Uint(count) => Some(*count),
            _ => None,
        };
        if let Some(count) = count {
            if pipe.variables.len() > 1 {
                return Err(failure("a range over a number takes one variable", pipe));
            }
            let numbers = (0..count).map(|number| match value {
                Value::Uint(_) => Value::Uint(number),
                _ => Value::Int(i64::try_from(number).unwrap_or(i64::MAX)),
            });
            return self.rounds(dot, pipe, numbers.map(|number| (number.clone(), number)), list, otherwise);
        }
        match value {
            Value::Nothing => self.list(dot, otherwise),
            Value::List(values) => {
                let items = (0..).map(Value::Int).zip(values);
                self.rounds(dot, pipe, items, list, otherwise)
            }
            Value::Texts(entries) | Value::Map(entries) => {
                let items = entries.into_iter().map(|(name, value)| (Value::Text(name), value));
                self.rounds(dot, pipe, items, list, otherwise)
            }
            other => Err(failure(format!("{} cannot be ranged over", other.kind()), pipe)),
        }
    }

    fn rounds(
        &mut self,
        dot: &Value<'a>,
        pipe: &'a Pipe,
        items: impl Iterator<Item = (Value<'a>, Value<'a>)>,
        list: &'a [Node],
        otherwise: &'a [Node],
    ) -> Done<Flow> {
        let (inner, mut is_empty) = (self.variables.len(), true);
        for (index, item) in items {
            is_empty = false;
            self.spend(1, pipe)?;
            match pipe.variables.as_slice() {
                [one] => self.assign(one, item.clone(), pipe)?,
                [one, other] => {
                    self.assign(one, index, pipe)?;
                    self.assign(other, item.clone(), pipe)?;
                }
                _ => {}
            }
            let flow = self.list(&item, list)?;
            self.variables.truncate(inner);
            if flow == Flow::Break {
                break;
            }
        }
        if is_empty { self.list(dot, otherwise) } else { Ok(Flow::On) }
    }

    fn template(&mut self, dot: &Value<'a>, name: &'a str, pipe: Option<&'a Pipe>) -> Done<()> {
        let defined = self.template.defined.get(name);
        let list = defined.ok_or_else(|| failure("there is no such template", &format!("template {name:?}")))?;
        let dot = pipe.map_or(Ok(Value::Nothing), |pipe| self.pipe(dot, pipe))?;
        let variables = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        self.list(&dot, list)?;
        self.variables = variables;
        Ok(())
    }

    /// The value of a pipe, which its variables get, too.
    fn pipe(&mut self, dot: &Value<'a>, pipe: &'a Pipe) -> Done<Value<'a>> {
        let mut last = None;
        for command in &pipe.commands {
            self.spend(1, pipe)?;
            last = Some(self.deeper(pipe, |machine| machine.command(dot, command, last.take()))?);
        }
        let value = last.unwrap_or(Value::Nothing);
        for name in &pipe.variables {
            match pipe.is_assignment {
                true => self.assign(name, value.clone(), pipe)?,
                false => self.variables.push((name, value.clone())),
            }
        }
        Ok(value)
    }

    fn assign(&mut self, name: &str, value: Value<'a>, at: &Pipe) -> Done<()> {
        let found = self.variables.iter_mut().rev().find(|(known, _)| *known == name);
        let (_, variable) = found.ok_or_else(|| failure(format!("undefined variable {name:?}"), at))?;
        *variable = value;
        Ok(())
    }

    /// A command; `last` is the value of the one before, its last argument.
    fn command(&mut self, dot: &Value<'a>, command: &'a Command, last: Option<Value<'a>>) -> Done<Value<'a>> {
        let Some((first, arguments)) = command.split_first() else { return Ok(Value::Nothing) };
        match first {
            Operand::Function(function) => self.call(dot, *function, command, last),
            Operand::Field(names) => {
                let value = self.taken(dot, first)?;
                self.method(dot, value, names, (first, arguments), last)
            }
            Operand::Variable(name, names) if !names.is_empty() => {
                let value = self.variable(name, first)?;
                self.method(dot, value, names, (first, arguments), last)
            }
            Operand::Chain(operand, names) => {
                let value = self.operand(dot, operand)?;
                self.method(dot, value, names, (first, arguments), last)
            }
            Operand::Nil => Err(failure("nil is no command", first)),
            _ if !arguments.is_empty() || last.is_some() => Err(failure("this takes no arguments", first)),
            _ => self.operand(dot, first),
        }
    }

    /// Fields of a value; the last one may be the method that takes arguments: `Meta`.
    fn method(
        &mut self,
        dot: &Value<'a>,
        value: Value<'a>,
        names: &[String],
        (first, arguments): (&Operand, &'a [Operand]),
        last: Option<Value<'a>>,
    ) -> Done<Value<'a>> {
        let (name, before) = names.split_last().map_or(("", names), |(name, before)| (name.as_str(), before));
        let mut value = value;
        for name in before {
            value = self.field(&value, name, first)?;
        }
        if value == Value::Object(Object::Facts) && name == "Meta" {
            let values = self.arguments(dot, arguments, last)?;
            return match values.as_slice() {
                [Value::Text(label)] => {
                    Ok(Value::Text(self.facts.query.metadata.get(label).unwrap_or_default().into()))
                }
                _ => Err(failure("Meta takes one text, the label", first)),
            };
        }
        match arguments.is_empty() && last.is_none() || value == Value::Nothing {
            true => self.field(&value, name, first),
            false => Err(failure(format!("{name} takes no arguments"), first)),
        }
    }

    fn field(&mut self, value: &Value<'a>, name: &str, at: &Operand) -> Done<Value<'a>> {
        let field = value.field(name, self.facts).map_err(|what| failure(what, at))?;
        self.spend(field.weight(), at)?;
        Ok(field)
    }

    fn variable(&mut self, name: &str, at: &Operand) -> Done<Value<'a>> {
        let found = self.variables.iter().rev().find(|(known, _)| *known == name);
        let value = found.map_or(Value::Nothing, |(_, value)| value.clone());
        self.spend(value.weight(), at)?;
        Ok(value)
    }

    fn taken(&mut self, value: &Value<'a>, at: &Operand) -> Done<Value<'a>> {
        self.spend(value.weight(), at)?;
        Ok(value.clone())
    }

    /// The value of an argument.
    fn operand(&mut self, dot: &Value<'a>, operand: &'a Operand) -> Done<Value<'a>> {
        self.spend(1, operand)?;
        match operand {
            Operand::Dot => self.taken(dot, operand),
            Operand::Nil => Ok(Value::Nothing),
            Operand::Truth(truth) => Ok(Value::Truth(*truth)),
            Operand::Number(Number::Int(number), _) => Ok(Value::Int(*number)),
            Operand::Number(Number::Float(number), _) => Ok(Value::Float(*number)),
            Operand::Number(Number::TooLarge, _) => Err(failure("the number is too large", operand)),
            Operand::Text(text, _) => Ok(Value::Text(text.as_str().into())),
            Operand::Field(names) => {
                let value = self.taken(dot, operand)?;
                self.method(dot, value, names, (operand, &[]), None)
            }
            Operand::Variable(name, names) if names.is_empty() => self.variable(name, operand),
            Operand::Variable(name, names) => {
                let value = self.variable(name, operand)?;
                self.method(dot, value, names, (operand, &[]), None)
            }
            Operand::Function(function) => self.call(dot, *function, std::slice::from_ref(operand), None),
            Operand::Pipe(pipe) => self.pipe(dot, pipe),
            Operand::Chain(inner, names) => {
                let value = self.operand(dot, inner)?;
                self.method(dot, value, names, (operand, &[]), None)
            }
        }
    }

    fn arguments(
        &mut self,
        dot: &Value<'a>,
        arguments: &'a [Operand],
        last: Option<Value<'a>>,
    ) -> Done<Vec<Value<'a>>> {
        let mut values = arguments.iter().map(|argument| self.operand(dot, argument)).collect::<Result<Vec<_>, _>>()?;
        values.extend(last);
        Ok(values)
    }

    /// A function and its arguments, the words of a command.
    fn call(
        &mut self,
        dot: &Value<'a>,
        function: Function,
        command: &'a [Operand],
        last: Option<Value<'a>>,
    ) -> Done<Value<'a>> {
        let arguments = command.get(1..).unwrap_or_default();
        if let Function::And | Function::Or = function {
            let mut value = None;
            for argument in arguments {
                let found = self.operand(dot, argument)?;
                if found.is_true() == (function == Function::Or) {
                    return Ok(found);
                }
                value = Some(found);
            }
            return last.or(value).ok_or_else(|| failure("it takes at least one value", &words_of(command)));
        }
        let values = self.arguments(dot, arguments, last)?;
        self.spend(values.iter().map(Value::length).sum(), &function.name())?;
        let value = function.call(&values).map_err(|what| failure(what, &words_of(command)))?;
        self.spend(value.weight(), &function.name())?;
        Ok(value)
    }
}

fn failure(what: impl Into<String>, at: &dyn ToString) -> Failure {
    let mut action = at.to_string();
    // Somebody has to find it; nobody reads more.
    if let Some((end, _)) = action.char_indices().nth(100) {
        action.truncate(end);
        action.push('…');
    }
    Failure { what: what.into(), action }
}
