//! What is answered to a query, before it becomes octets.

use std::sync::Arc;

use super::{RData, Record, ResponseCode, Transfer};

/// An answer: the response code, the flags that are ours to say, and three sections.
///
/// Made by the constructors, each of which stands for one meaning; id, question, RD, CD and OPT are copied from the
/// query when the answer is encoded.
#[derive(Clone, Debug)]
pub struct Answer {
    response_code: ResponseCode,
    authoritative: bool,
    recursion_available: bool,
    authentic_data: bool,
    /// RD, where it is not the client's.
    recursion_desired: Option<bool>,
    truncated: bool,
    dropped: bool,
    /// Its aliases lead on, and what is there is not part of it.
    leading_on: bool,
    /// The answer section, aliases in their order.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authority: Vec<Record>,
    /// The additional section without OPT.
    pub additional: Vec<Record>,
    transfer: Option<Transfer>,
    extended_error: Option<ExtendedError>,
    server_id: Option<Arc<str>>,
    failure: Option<String>,
    source: &'static str,
}

/// An extended DNS error (RFC 8914), sent only to clients that sent OPT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedError {
    /// INFO-CODE.
    pub code: u16,
    /// EXTRA-TEXT.
    pub text: String,
}

impl Answer {
    fn new(response_code: ResponseCode) -> Self {
        Self {
            response_code,
            authoritative: false,
            recursion_available: false,
            authentic_data: false,
            recursion_desired: None,
            truncated: false,
            dropped: false,
            leading_on: false,
            answers: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            transfer: None,
            extended_error: None,
            server_id: None,
            failure: None,
            source: "",
        }
    }

    /// NOERROR with data that this server is the authority of.
    pub fn positive(answers: Vec<Record>) -> Self {
        Self { authoritative: true, answers, ..Self::new(ResponseCode::NoError) }
    }

    /// A whole zone, in as many messages as it takes.
    pub fn transfer(transfer: Transfer) -> Self {
        Self { transfer: Some(transfer), ..Self::positive(Vec::new()) }
    }

    /// NODATA: the name exists, but not with this type (RFC 2308 section 2.2). `soa` says how long that holds.
    pub fn no_data(soa: Option<Record>) -> Self {
        Self { authoritative: true, authority: soa.into_iter().collect(), ..Self::new(ResponseCode::NoError) }
    }

    /// NXDOMAIN: neither the name nor anything below it exists (RFC 8020).
    pub fn nx_domain(soa: Option<Record>) -> Self {
        Self { authoritative: true, authority: soa.into_iter().collect(), ..Self::new(ResponseCode::NXDomain) }
    }

    /// REFUSED: this server does not answer such a question for this client.
    pub fn refused() -> Self {
        Self::new(ResponseCode::Refused)
    }

    /// SERVFAIL: something kept us from knowing. `failure` is what the `errors` directive logs.
    pub fn serv_fail(failure: impl Into<String>) -> Self {
        Self { failure: Some(failure.into()), ..Self::new(ResponseCode::ServFail) }
    }

    /// No reply at all. It counts as a failure for whoever needs an answer to go on.
    pub fn dropped() -> Self {
        Self { dropped: true, ..Self::new(ResponseCode::ServFail) }
    }

    /// Another server's answer, with that server's flags.
    pub fn relayed(response_code: ResponseCode, authoritative: bool, recursion_available: bool) -> Self {
        Self { authoritative, recursion_available, ..Self::new(response_code) }
    }

    /// The same with records in the answer section.
    pub fn with_answers(mut self, answers: Vec<Record>) -> Self {
        self.answers = answers;
        self
    }

    /// The same with records in the additional section.
    pub fn with_additional(mut self, additional: Vec<Record>) -> Self {
        self.additional = additional;
        self
    }

    /// The same with records in the authority section.
    pub fn with_authority(mut self, authority: Vec<Record>) -> Self {
        self.authority = authority;
        self
    }

    /// The same with another response code.
    pub fn with_response_code(mut self, response_code: ResponseCode) -> Self {
        self.response_code = response_code;
        self
    }

    /// The same with an extended DNS error.
    pub fn with_extended_error(mut self, code: u16, text: impl Into<String>) -> Self {
        self.extended_error = Some(ExtendedError { code, text: text.into() });
        self
    }

    /// The same with the name of the server (NSID, RFC 5001), of 128 octets at most.
    pub fn with_server_id(mut self, server_id: Arc<str>) -> Self {
        self.server_id = Some(server_id);
        self
    }

    /// The same with TC set or clear: the answer is known to be incomplete.
    pub fn with_truncated(mut self, truncated: bool) -> Self {
        self.truncated = truncated;
        self
    }

    /// The same as one whose aliases lead to a name that is asked for anew whenever it is given.
    pub fn leading_on(mut self) -> Self {
        self.leading_on = true;
        self
    }

    /// The same with AA set or clear.
    pub fn with_authoritative(mut self, authoritative: bool) -> Self {
        self.authoritative = authoritative;
        self
    }

    /// The same with RA set or clear.
    pub fn with_recursion_available(mut self, recursion_available: bool) -> Self {
        self.recursion_available = recursion_available;
        self
    }

    /// The same with RD set or clear, whatever the client said.
    pub fn with_recursion_desired(mut self, recursion_desired: bool) -> Self {
        self.recursion_desired = Some(recursion_desired);
        self
    }

    /// The same with AD set or clear.
    pub fn with_authentic_data(mut self, authentic_data: bool) -> Self {
        self.authentic_data = authentic_data;
        self
    }

    /// The same, said to come from the plugin of that name (the `plugin` label of the response metrics).
    pub fn by(mut self, plugin: &'static str) -> Self {
        self.source = plugin;
        self
    }

    /// The response code.
    pub fn response_code(&self) -> ResponseCode {
        self.response_code
    }

    /// AA.
    pub fn is_authoritative(&self) -> bool {
        self.authoritative
    }

    /// RA.
    pub fn is_recursion_available(&self) -> bool {
        self.recursion_available
    }

    /// RD, where it is not the client's.
    pub fn recursion_desired(&self) -> Option<bool> {
        self.recursion_desired
    }

    /// AD.
    pub fn is_authentic_data(&self) -> bool {
        self.authentic_data
    }

    /// TC.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// Whether there is to be no reply at all.
    pub fn is_dropped(&self) -> bool {
        self.dropped
    }

    /// Whether what its aliases lead to is asked for anew whenever it is given.
    pub fn is_leading_on(&self) -> bool {
        self.leading_on
    }

    /// The zone that this is a transfer of, if it is one.
    pub fn as_transfer(&self) -> Option<&Transfer> {
        self.transfer.as_ref()
    }

    /// The extended DNS error, if any.
    pub fn extended_error(&self) -> Option<&ExtendedError> {
        self.extended_error.as_ref()
    }

    /// The name of the server, for clients that asked for it.
    pub fn server_id(&self) -> Option<&str> {
        self.server_id.as_deref()
    }

    /// What kept us from knowing, if anything did.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// The plugin that answered, empty if none did.
    pub fn source(&self) -> &'static str {
        self.source
    }

    /// Whether this says that the name does not exist.
    pub fn is_nx_domain(&self) -> bool {
        self.response_code == ResponseCode::NXDomain
    }

    /// Whether this is NOERROR without any record in the answer section.
    pub fn is_no_data(&self) -> bool {
        self.response_code == ResponseCode::NoError && self.answers.is_empty()
    }

    /// The SOA record of the authority section, if there is one.
    pub fn soa(&self) -> Option<&Record> {
        self.authority.iter().find(|record| matches!(record.data, RData::SOA(_)))
    }

    /// All records of the three sections.
    pub fn records_mut(&mut self) -> impl Iterator<Item = &mut Record> {
        self.answers.iter_mut().chain(&mut self.authority).chain(&mut self.additional)
    }
}
