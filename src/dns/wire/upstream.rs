//! Questions to other servers, and their answers.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query as Question};

use super::{Malformed, UDP_SIZE_MAX};
use crate::dns::{Class, Name, Query, Record, RecordType, ResponseCode};

/// An answer of another server, parsed but not yet believed.
#[derive(Debug, Clone)]
pub struct UpstreamMessage {
    /// The id.
    pub id: u16,
    /// The question, letter case as received.
    pub question: (Name, RecordType, Class),
    /// The response code, with the upper bits of OPT.
    pub response_code: ResponseCode,
    /// AA.
    pub authoritative: bool,
    /// TC.
    pub truncated: bool,
    /// RA.
    pub recursion_available: bool,
    /// AD.
    pub authentic_data: bool,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authority: Vec<Record>,
    /// The additional section without OPT.
    pub additional: Vec<Record>,
}

/// Reads an answer of another server: QR set, opcode QUERY, exactly one question.
pub fn parse_upstream(packet: &[u8]) -> Result<UpstreamMessage, Malformed> {
    let message = Message::from_vec(packet).map_err(|error| Malformed::new(error.to_string()))?;
    let metadata = &message.metadata;
    if metadata.message_type != MessageType::Response || metadata.op_code != OpCode::Query {
        return Err(Malformed::new("not an answer to a query"));
    }
    let [question] = message.queries.as_slice() else {
        return Err(Malformed::new("not exactly one question"));
    };
    Ok(UpstreamMessage {
        id: metadata.id,
        question: (question.name.clone(), question.query_type, question.query_class),
        response_code: metadata.response_code,
        authoritative: metadata.authoritative,
        truncated: metadata.truncation,
        recursion_available: metadata.recursion_available,
        authentic_data: metadata.authentic_data,
        answers: message.answers,
        authority: message.authorities,
        additional: message.additionals,
    })
}

/// Writes the question of a client as we ask it of another server: RD, CD and DO are the client's, everything else is
/// ours. The id is 0 until somebody sends it.
pub fn encode_question(query: &Query) -> Vec<u8> {
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = query.recursion_desired;
    message.metadata.checking_disabled = query.checking_disabled;
    let mut question = Question::query(query.name.clone(), query.record_type);
    question.set_query_class(query.class);
    message.add_query(question);
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_SIZE_MAX).set_dnssec_ok(query.dnssec_ok());
    message.edns = Some(edns);
    // A question of one name always fits; an empty message would be refused by whoever gets it.
    message.to_vec().unwrap_or_default()
}
