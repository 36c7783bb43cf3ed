//! The plugins of a server block, in the order in which they act.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Router;
use super::acl::Acl;
use super::any;
use super::auto::Auto;
use super::autopath::Autopath;
use super::cache::{AskedAgain, Cache, Moment, Unanswered};
use super::cancel::Cancel;
use super::chaos::Chaos;
use super::dns64::Dns64;
use super::errors::Errors;
use super::file::File;
use super::forward::Forward;
use super::hosts::Hosts;
use super::k8s_external::K8sExternal;
use super::kubernetes::Kubernetes;
use super::loadbalance::LoadBalance;
use super::local::Local;
use super::log::Log;
use super::loop_detection::LoopDetection;
use super::minimal;
use super::nsid::Nsid;
use super::own_names;
use super::rewrite::Rewrite;
use super::template::{self, Template};
use super::transfer::{Sources, Transfer};
use super::view::View;
use super::whoami::Whoami;
use crate::config::directive;
use crate::dns::{Answer, Class, Edns, Metadata, Name, Query, RecordType, Transport};

/// What `errors` logs where a block has no plugin that could answer.
const NO_NEXT_PLUGIN: &str = "no next plugin found";

/// The plugins of one server block. Made once by assembly; only caches, upstream health and counters change inside.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "each field is the plugin of its name")]
pub struct Pipeline {
    pub view: Option<View>,
    pub metadata: Option<directive::Metadata>,
    pub cancel: Option<Cancel>,
    pub nsid: Option<Nsid>,
    pub bufsize: Option<u16>,
    pub errors: Option<Errors>,
    pub log: Option<Log>,
    pub local: Option<Local>,
    pub dns64: Option<Dns64>,
    pub any: bool,
    pub chaos: Option<Chaos>,
    pub loadbalance: Option<LoadBalance>,
    pub rewrite: Option<Rewrite>,
    pub autopath: Option<Autopath>,
    pub acl: Option<Acl>,
    pub cache: Option<Cache>,
    pub header: Option<directive::Header>,
    pub minimal: bool,
    pub template: Vec<Template>,
    pub transfer: Option<Arc<Transfer>>,
    pub hosts: Option<Arc<Hosts>>,
    pub k8s_external: Option<K8sExternal>,
    pub kubernetes: Option<Kubernetes>,
    pub file: Option<Arc<File>>,
    pub auto: Vec<Arc<Auto>>,
    pub loop_detection: Option<LoopDetection>,
    pub forward: Vec<Forward>,
    pub whoami: Option<Whoami>,
}

impl Pipeline {
    /// Whether there is nothing that could answer, or act on an answer.
    pub fn is_empty(&self) -> bool {
        let has_no_option = matches!(
            self,
            Self {
                view: None,
                metadata: None,
                cancel: None,
                nsid: None,
                bufsize: None,
                errors: None,
                log: None,
                local: None,
                dns64: None,
                any: false,
                chaos: None,
                loadbalance: None,
                rewrite: None,
                acl: None,
                autopath: None,
                cache: None,
                header: None,
                minimal: _,
                template: _,
                transfer: None,
                hosts: None,
                k8s_external: None,
                kubernetes: None,
                file: None,
                auto: _,
                loop_detection: None,
                forward: _,
                whoami: None,
            }
        );
        has_no_option && self.template.is_empty() && self.auto.is_empty() && self.forward.is_empty()
    }

    /// Whether questions of other classes than IN come here. As in CoreDNS, `forward` is enough, although it asks nobody.
    pub fn knows_other_classes(&self) -> bool {
        self.chaos.is_some() || !self.forward.is_empty() || self.template.iter().any(Template::knows_other_classes)
    }

    /// Whether this block answers a name from what it knows itself, or is the one to deny it.
    pub fn knows(&self, name: &Name) -> bool {
        self.local.as_ref().is_some_and(|local| local.serves(name))
            || self.hosts.as_ref().is_some_and(|hosts| hosts.knows(name))
            || self.k8s_external.as_ref().is_some_and(|external| external.serves(name))
            || self.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.serves(name))
            || self.file.as_ref().is_some_and(|file| file.serves(name))
            || self.auto.iter().any(|auto| auto.serves(name))
    }

    /// Whether this block takes a query, whose labels are collected before `view` decides.
    pub fn takes(&self, query: &mut Query) -> bool {
        query.metadata = self.labels(query);
        let Some(view) = &self.view else { return true };
        let takes = view.takes(query);
        query.explain("view", || format!("{} {} the query", view.name, if takes { "takes" } else { "does not take" }));
        takes
    }

    /// What `metadata` collects of a query before it is answered.
    fn labels(&self, query: &Query) -> Metadata {
        let Some(wanted) = &self.metadata else { return Metadata::default() };
        let metadata = Metadata::wanted();
        if wanted.zones.iter().any(|zone| zone.zone_of(&query.name)) {
            if let Some(view) = &self.view {
                metadata.tell("view/name", || view.name.clone());
            }
            if let Some(kubernetes) = &self.kubernetes {
                kubernetes.tell(query, &metadata);
            }
        }
        metadata
    }

    /// Makes the query what it is to this block: `bufsize` lowers what the client said of its size.
    pub fn admit(&self, query: &mut Query) {
        let Some(bufsize) = self.bufsize else { return };
        match query.edns.as_mut() {
            Some(Edns { udp_size, .. }) if *udp_size > bufsize => *udp_size = bufsize,
            _ => return,
        }
        query.explain("bufsize", || format!("the client takes more than {bufsize} octets; it gets no more"));
    }

    /// Answers a query. The functions of this file are the order of the plugins, outermost first.
    pub async fn answer(&self, query: &Query, router: &Router) -> Answer {
        let answer = match &self.cancel {
            Some(cancel) => cancel.limit(Box::pin(self.answer_in_time(query, router))).await,
            None => self.answer_in_time(query, router).await,
        };
        match &self.nsid {
            Some(nsid) => nsid.tell(query, answer),
            None => answer,
        }
    }

    async fn answer_in_time(&self, query: &Query, router: &Router) -> Answer {
        if let Some(answer) = self.local.as_ref().and_then(|local| local.lookup(query)) {
            return answer;
        }
        match &self.dns64 {
            Some(dns64) if dns64.applies_to(query) => Box::pin(dns64.answer(query, self, router)).await,
            _ => self.answer_as_asked(query, router).await,
        }
    }

    /// What is behind DNS64: the answer without any synthesis.
    pub async fn answer_as_asked(&self, query: &Query, router: &Router) -> Answer {
        if let Some(answer) = any::lookup(query).filter(|_| self.any) {
            return answer;
        }
        if let Some(answer) = self.chaos.as_ref().and_then(|chaos| chaos.lookup(query)) {
            return answer;
        }
        let mut answer = self.answer_rewritten(query, router).await;
        if let Some(loadbalance) = &self.loadbalance {
            loadbalance.arrange(query, &mut answer);
        }
        answer
    }

    async fn answer_rewritten(&self, query: &Query, router: &Router) -> Answer {
        let Some(rewrite) = &self.rewrite else { return self.answer_in_path(query, router).await };
        match rewrite.rewrite(query) {
            Ok(None) => self.answer_in_path(query, router).await,
            Ok(Some(rewritten)) => {
                let answer = self.answer_in_path(&rewritten.query, router).await;
                rewritten.restore(answer, router).await
            }
            Err(no_name) => no_name.answer(),
        }
    }

    async fn answer_in_path(&self, query: &Query, router: &Router) -> Answer {
        match &self.autopath {
            Some(autopath) => autopath.answer(query, self, router).await,
            None => self.answer_if_allowed(query, router).await,
        }
    }

    /// What the client gets for one name, `acl` first.
    pub async fn answer_if_allowed(&self, query: &Query, router: &Router) -> Answer {
        if let Some(refusal) = self.refusal(query) {
            return refusal;
        }
        if query.class != Class::IN {
            return self.answer_other_class(query, router).await;
        }
        // A transfer of many messages could not be forwarded.
        if matches!(query.record_type, RecordType::AXFR | RecordType::IXFR) {
            return self.transfer(query);
        }
        own_names::follow(query, self.answer_from_cache(query, router).await, router).await
    }

    /// What the client gets in place of an answer, if `acl` does not let it ask.
    pub fn refusal(&self, query: &Query) -> Option<Answer> {
        self.acl.as_ref()?.refusal(query)
    }

    /// Questions of class CH and the like that `chaos` does not answer: only `template` may, and they are never forwarded.
    async fn answer_other_class(&self, query: &Query, router: &Router) -> Answer {
        if let Some(answer) = template::lookup(&self.template, query, router).await {
            return answer;
        }
        let is_local = self.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.serves(&query.name));
        Answer::refused().with_recursion_available(!is_local && self.is_forwarded(query))
    }

    /// Whole zones: `transfer` says who gets them.
    fn transfer(&self, query: &Query) -> Answer {
        let Some(transfer) = &self.transfer else { return Answer::refused() };
        let sources = Sources { file: self.file.as_deref(), auto: &self.auto, kubernetes: self.kubernetes.as_ref() };
        transfer.answer(query, sources)
    }

    /// What this server knows itself is asked for before what is remembered of others, so that nothing remembered hides a Service or
    /// a host that came later. Unlike CoreDNS, whose cache stands before all of them.
    async fn answer_from_cache(&self, query: &Query, router: &Router) -> Answer {
        let changed = self.header.as_ref().map(|header| header.of_query(query));
        let asked = changed.as_ref().unwrap_or(query);
        if let Some(answer) = self.answer_of_our_own(asked, router).await {
            let answer = self.trim(query, answer);
            return match &self.cache {
                Some(cache) => cache.limit(query, answer),
                None => answer,
            };
        }
        let Some(cache) = &self.cache else { return self.answer_of_others(query, asked, router).await };
        let at = self.moment();
        if let Some(answer) = cache.get(query, at) {
            return answer;
        }
        let ask = || self.answer_of_others(query, asked, router);
        let answer = match cache.patience(query, at) {
            None => Some(ask().await),
            // What has expired is better than to be refused.
            Some(_) if !query.may_wait => None,
            Some(patience) => {
                let aside = match cache.ask_aside(query, at) {
                    Some(reply) => reply.within(patience).await,
                    None => Err(Unanswered::Dropped),
                };
                match aside {
                    Ok(answer) => Some(answer),
                    Err(Unanswered::Late) => None,
                    Err(Unanswered::Dropped) => timeout(patience, ask()).await.ok(),
                }
            }
        };
        match answer {
            Some(answer) => cache.put(query, answer, later(at)),
            None => {
                let stale = cache.give_up_waiting(query, later(at));
                stale.unwrap_or_else(|| Answer::serv_fail("no answer in time"))
            }
        }
    }

    /// Asks other servers what the cache wants to know again, and goes on when nobody waits for the answer any more.
    pub async fn refresh(&self, again: AskedAgain, router: &Router) {
        let Some(cache) = &self.cache else { return };
        let query = &again.query;
        let changed = self.header.as_ref().map(|header| header.of_query(query));
        let asked = changed.as_ref().unwrap_or(query);
        let at = self.moment();
        let mut answer = self.answer_of_others(query, asked, router).await;
        if answer.is_truncated() && asked.transport == Transport::Udp {
            // What is remembered may have come over TCP.
            let whole = Query { transport: Transport::Tcp, ..asked.clone() };
            answer = self.answer_of_others(query, &whole, router).await;
        }
        if let Some((query, answer)) = again.give(answer) {
            cache.renew(&query, answer, later(at));
        }
    }

    /// Now, for the cache.
    fn moment(&self) -> Moment {
        Moment { time: Instant::now().into_std(), epoch: self.forward.iter().map(Forward::recoveries).sum() }
    }

    /// Asks other servers `asked`, which `header` made of the query.
    async fn answer_of_others(&self, query: &Query, asked: &Query, router: &Router) -> Answer {
        let mut passed_on = None;
        for forward in self.forward.iter().filter(|forward| forward.covers(&asked.name)) {
            let answer = own_names::cut(asked, forward.answer(asked).await, router);
            let is_passed_on = forward.passes_on(&answer);
            passed_on = Some(answer);
            if !is_passed_on {
                break;
            }
        }
        self.trim(query, passed_on.unwrap_or_else(|| Answer::serv_fail(NO_NEXT_PLUGIN)))
    }

    /// `minimal` and `header` change what the plugins behind them say.
    fn trim(&self, query: &Query, mut answer: Answer) -> Answer {
        if self.minimal {
            query.explain("minimal", || "a positive answer has its answer section only".to_owned());
            minimal::reduce(&mut answer);
        }
        match &self.header {
            Some(header) => {
                query.explain("header", || "flags are as the configuration wants them".to_owned());
                header.of_response(answer)
            }
            None => answer,
        }
    }

    /// What this server knows itself; None: other servers are to be asked.
    async fn answer_of_our_own(&self, query: &Query, router: &Router) -> Option<Answer> {
        if let Some(answer) = template::lookup(&self.template, query, router).await {
            return Some(answer);
        }
        if let Some(answer) = self.hosts.as_ref().and_then(|hosts| hosts.lookup(query)) {
            return Some(answer);
        }
        if let (Some(external), Some(kubernetes)) = (&self.k8s_external, &self.kubernetes)
            && let Some(answer) = external.lookup(query, kubernetes, router).await
        {
            return Some(answer);
        }
        if let Some(kubernetes) = &self.kubernetes
            && let Some(answer) = kubernetes.lookup(query, router).await
        {
            return Some(answer);
        }
        if let Some(file) = &self.file
            && let Some(answer) = file.lookup(query, router).await
        {
            return Some(answer);
        }
        for auto in &self.auto {
            if let Some(answer) = auto.lookup(query, router).await {
                return Some(answer);
            }
        }
        if let Some(answer) = self.loop_detection.as_ref().and_then(|detection| detection.lookup(query)) {
            return Some(answer);
        }
        match self.is_forwarded(query) {
            true => None,
            false => Some(self.last_word(query, router).await),
        }
    }

    fn is_forwarded(&self, query: &Query) -> bool {
        self.forward.iter().any(|forward| forward.covers(&query.name))
    }

    /// The answer where nobody else is asked.
    async fn last_word(&self, query: &Query, router: &Router) -> Answer {
        if let Some(whoami) = &self.whoami {
            return whoami.answer(query);
        }
        match self.denial(query, router).await {
            Some(answer) => {
                query.explain("server", || "no plugin is left that could know better".to_owned());
                answer
            }
            // Who serves zones of its own is asked for others by mistake.
            None if self.file.is_some() || !self.auto.is_empty() => Answer::refused(),
            None => {
                query.explain("server", || "no plugin is left that could answer: SERVFAIL".to_owned());
                Answer::serv_fail(NO_NEXT_PLUGIN)
            }
        }
    }

    /// What the last plugin that let the name fall through knows of it.
    async fn denial(&self, query: &Query, router: &Router) -> Option<Answer> {
        if let Some(file) = &self.file
            && let Some(answer) = file.denial(query, router).await
        {
            return Some(answer);
        }
        let kubernetes = self.kubernetes.as_ref()?;
        if let Some(answer) = kubernetes.denial(query) {
            return Some(answer);
        }
        self.k8s_external.as_ref()?.denial(query, kubernetes)
    }

    /// Tells those who watch what was answered: the error log, the query log.
    pub fn observe(&self, query: &Query, answer: &Answer, reply: Option<&[u8]>, took: Duration) {
        if let Some(errors) = &self.errors {
            errors.observe(query, answer);
        }
        if let Some(log) = &self.log {
            log.observe(query, answer, reply, took);
        }
    }
}

/// The time when an answer has come, to a question that was asked at `at`.
fn later(at: Moment) -> Moment {
    Moment { time: Instant::now().into_std(), ..at }
}
