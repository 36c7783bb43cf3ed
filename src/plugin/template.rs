//! `template`: answers by pattern, from templates.

use std::sync::Arc;

use regex::Regex;

use super::Router;
use super::file::follow;
use crate::config::directive::{Template as Config, TemplateClass, TemplateType};
use crate::config::expression::{Expression, Scene, Scope, Value};
use crate::config::go_template::{self, Facts};
use crate::dns::{Answer, Class, Query, RData, Record, RecordType, ResponseCode};
use crate::dns::{class_mnemonic, name_text, parse_record, type_mnemonic};
use crate::metrics::Metrics;

/// The name of the plugin in metrics.
const NAME: &str = "template";

/// The TTL of a record that names none, as in CoreDNS.
const TTL_DEFAULT: u32 = 3600;

/// Answers for the names that a pattern matches.
#[derive(Debug)]
pub struct Template {
    config: Config,
    patterns: Vec<Regex>,
    variables: Vec<(String, Expression)>,
    conditions: Vec<Expression>,
    /// The answer, authority and additional sections.
    sections: [Vec<go_template::Template>; 3],
    server: String,
    view: String,
    metrics: Arc<Metrics>,
}

const SECTIONS: [&str; 3] = ["answer", "authority", "additional"];

/// A query that a template is for: the pattern that it matched, and what the groups of that matched.
struct Matched<'a> {
    query: &'a Query,
    zone: &'a str,
    name: &'a str,
    class: &'a str,
    record_type: &'a str,
    regex: &'a str,
    groups: Vec<(Option<&'a str>, &'a str)>,
}

impl Template {
    /// A template of the server and view with these labels. What cannot be read is left out; the configuration refuses it before.
    pub fn new(config: Config, server: String, view: String, metrics: Arc<Metrics>) -> Self {
        // Without a pattern every name matches.
        let every = [".*".to_owned()];
        let patterns = if config.patterns.is_empty() { every.as_slice() } else { &config.patterns };
        let patterns = patterns.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect();
        let mut scope = Scope { has_groups: true, variables: Vec::new() };
        let mut variables = Vec::new();
        for variable in &config.variables {
            if let Ok(expression) = Expression::parse_in(&variable.expr, &scope) {
                scope.variables.push((variable.name.clone(), expression.kind()));
                variables.push((variable.name.clone(), expression));
            }
        }
        let conditions = config.conditions.iter().filter_map(|text| Expression::parse_in(text, &scope).ok()).collect();
        let sections = [&config.answer, &config.authority, &config.additional];
        let sections =
            sections.map(|texts| texts.iter().filter_map(|text| go_template::Template::parse(text).ok()).collect());
        Self { config, patterns, variables, conditions, sections, server, view, metrics }
    }

    /// Whether it is for questions of other classes than IN, too.
    pub fn knows_other_classes(&self) -> bool {
        self.config.class != TemplateClass::One(Class::IN)
    }

    /// The answer, whose aliases are not followed yet; None: ask the next plugin. Where no pattern matches and nothing falls through,
    /// it is SERVFAIL.
    fn lookup(&self, query: &Query) -> Option<Answer> {
        let zone = self.config.zones.iter().filter(|zone| zone.zone_of(&query.name)).max_by_key(|zone| zone.len())?;
        let (class, record_type) = self.asked(query)?;
        let (zone, name) = (name_text(zone), name_text(&query.name.to_lowercase()));
        let (class, record_type) = (class_mnemonic(class), type_mnemonic(record_type));
        let found = self.patterns.iter().find_map(|pattern| Some((pattern, pattern.captures(&name)?)));
        let Some((pattern, captures)) = found else { return self.pass_on(query, "no pattern matches") };
        let groups = pattern.capture_names().zip(captures.iter());
        let groups = groups.map(|(name, group)| (name, group.map_or("", |group| group.as_str()))).collect();
        let regex = pattern.as_str();
        let matched =
            Matched { query, zone: &zone, name: &name, class: &class, record_type: &record_type, regex, groups };
        let Some((holds, variables)) = self.computed(&matched) else {
            return Some(self.fail(query, "an expression cannot be computed for this query".to_owned()));
        };
        if !holds {
            return self.pass_on(query, "a pattern matches, but an expression is not true");
        }
        query.explain(NAME, || format!("{name} matches {regex:?}"));
        self.metrics.template_matches.with_label_values(&self.labels(&matched)).inc();
        Some(self.answer(&matched, &variables).by(NAME))
    }

    /// Class and type that are asked for; those of the template where all are. None: it is not for them.
    fn asked(&self, query: &Query) -> Option<(Class, RecordType)> {
        let class = match self.config.class {
            TemplateClass::Any => query.class,
            TemplateClass::One(class) if query.class == class || query.class == Class::ANY => class,
            TemplateClass::One(_) => return None,
        };
        let record_type = match self.config.record_type {
            TemplateType::Any => query.record_type,
            TemplateType::One(one) if query.record_type == one || query.record_type == RecordType::ANY => one,
            TemplateType::One(_) => return None,
        };
        Some((class, record_type))
    }

    fn pass_on(&self, query: &Query, why: &str) -> Option<Answer> {
        if !self.config.fallthrough.covers(&query.name) {
            return Some(self.fail(query, format!("{why}, and nothing falls through")));
        }
        query.explain(NAME, || format!("{why}; the name falls through"));
        None
    }

    fn fail(&self, query: &Query, why: String) -> Answer {
        query.explain(NAME, || format!("{why}: SERVFAIL"));
        Answer::serv_fail(why).by(NAME)
    }

    /// Whether all conditions are true, and the values of the variables; None: that cannot be said.
    fn computed<'a>(&'a self, matched: &'a Matched<'a>) -> Option<(bool, Vec<(&'a str, go_template::Value<'a>)>)> {
        let mut scene = Scene { query: matched.query, groups: &matched.groups, variables: Vec::new(), item: None };
        for (_, expression) in &self.variables {
            let value = expression.value(&scene)?;
            scene.variables.push(value);
        }
        for condition in &self.conditions {
            if condition.value(&scene)? != Value::Truth(true) {
                return Some((false, Vec::new()));
            }
        }
        let names = self.variables.iter().map(|(name, _)| name.as_str());
        Some((true, names.zip(scene.variables.into_iter().map(go_template::Value::from)).collect()))
    }

    fn labels<'a>(&'a self, matched: &'a Matched<'_>) -> [&'a str; 5] {
        // Numbers of clients' choice never become labels.
        let [class, record_type] = [(matched.class, "CLASS"), (matched.record_type, "TYPE")].map(|(name, generic)| {
            let number = name.strip_prefix(generic).and_then(|number| number.parse::<u16>().ok());
            if number.is_some() { "other" } else { name }
        });
        [&self.server, matched.zone, &self.view, class, record_type]
    }

    fn answer(&self, matched: &Matched<'_>, variables: &[(&str, go_template::Value<'_>)]) -> Answer {
        let code = self.config.response_code;
        if code == ResponseCode::ServFail {
            return Answer::serv_fail("a template says so");
        }
        let answer = match self.records(matched, variables) {
            Ok([answers, authority, additional]) => {
                Answer::positive(answers).with_authority(authority).with_additional(additional)
            }
            Err(failure) => return self.fail(matched.query, failure),
        };
        let answer = answer.with_response_code(code);
        match &self.config.extended_error {
            Some(error) => answer.with_extended_error(error.code, error.reason.clone()),
            None => answer,
        }
    }

    /// The records of each section; or why one is none, which is counted.
    fn records(
        &self,
        matched: &Matched<'_>,
        variables: &[(&str, go_template::Value<'_>)],
    ) -> Result<[Vec<Record>; 3], String> {
        let Matched { query, zone, name, class, record_type, regex, groups } = matched;
        let facts = Facts { query, zone, name, class, record_type, regex, groups, variables };
        let mut sections = [const { Vec::new() }; 3];
        for ((section, templates), records) in SECTIONS.into_iter().zip(&self.sections).zip(&mut sections) {
            for template in templates {
                let labels = || [self.labels(matched).as_slice(), &[section, &template.canonical]].concat();
                let text = template.text(&facts).map_err(|failure| {
                    self.metrics.template_failures.with_label_values(&labels()).inc();
                    format!("the {section} template fails: {failure}")
                })?;
                let record = parse_record(&text, TTL_DEFAULT).map_err(|what| {
                    self.metrics.template_rr_failures.with_label_values(&labels()).inc();
                    format!("the {section} template makes no record: {what}: {:?}", shortened(&text))
                })?;
                query.explain(NAME, || format!("{section}: {text}"));
                records.push(record);
            }
        }
        Ok(sections)
    }
}

/// What the first template says that is for a query; aliases are followed for addresses.
pub async fn lookup(templates: &[Template], query: &Query, router: &Router) -> Option<Answer> {
    let answer = templates.iter().find_map(|template| template.lookup(query))?;
    let is_followed = matches!(query.record_type, RecordType::A | RecordType::AAAA)
        && answer.answers.iter().any(|record| matches!(record.data, RData::CNAME(_)));
    // In a box of its own: answers that follow answers are to take little room.
    Some(if is_followed { Box::pin(follow_aliases(answer, query, router)).await.by(NAME) } else { answer })
}

/// A response code that the template names stays, whatever the alias leads to. Of several aliases the first is followed: a name has one.
async fn follow_aliases(mut answer: Answer, query: &Query, router: &Router) -> Answer {
    let code = answer.response_code();
    let (authority, additional) = (std::mem::take(&mut answer.authority), std::mem::take(&mut answer.additional));
    let targets = answer.answers.iter().enumerate().find_map(|(index, record)| match &record.data {
        RData::CNAME(target) => Some((index, target.0.clone())),
        _ => None,
    });
    let Some((index, target)) = targets else { return answer };
    let rest = answer.answers.split_off(index + 1);
    let end = router.follow_up(query, target, query.record_type).await;
    if end.is_dropped() {
        return end;
    }
    answer = follow(answer, end);
    if answer.failure().is_some() {
        return answer;
    }
    answer.answers.extend(rest);
    answer.authority.extend(authority);
    answer.additional.extend(additional);
    if code == ResponseCode::NoError { answer } else { answer.with_response_code(code) }
}

/// As much of a text as somebody reads.
fn shortened(text: &str) -> &str {
    text.char_indices().nth(200).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

impl<'a> From<Value<'a>> for go_template::Value<'a> {
    fn from(value: Value<'a>) -> Self {
        match value {
            Value::Truth(truth) => Self::Truth(truth),
            Value::Number(number) => Self::Int(number),
            Value::Text(text) => Self::Text(text),
        }
    }
}
