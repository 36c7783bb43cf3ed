//! DNS messages, names and records as values.
//!
//! This is the only place that names `hickory-proto`; everything else uses the words exported here. It never does
//! input or output, and never reads a clock.

mod answer;
mod budget;
mod explanation;
mod footprint;
mod master;
mod metadata;
mod mnemonic;
mod name;
mod query;
mod target;
mod transfer;
mod type_mnemonic;
mod wire;

pub use answer::{Answer, ExtendedError};
pub use budget::Budget;
pub use explanation::{Explanation, Step};
pub use footprint::footprint_bytes;
pub use hickory_proto::op::{OpCode, ResponseCode};
pub use hickory_proto::rr::{DNSClass as Class, Name, RData, Record, RecordType, rdata};
pub use master::{MasterFileError, Written, parse_record, read_master_file};
pub use metadata::Metadata;
pub use mnemonic::{class_mnemonic, mnemonic};
pub use name::{
    InvalidName, address_of_reverse_name, is_reverse, label_count, name_text, parse_name, reverse_name, reverse_zones,
};
pub use query::{Edns, Query, Transport};
pub use target::{covered_type, dname_target, server_name, with_target};
pub use transfer::{Records, Transfer};
pub use type_mnemonic::{parse_type, type_mnemonic};
use wire::data_of_octets;
pub use wire::{
    Malformed, Messages, NSID, OptRecord, Request, Signature, UpstreamMessage, encode, encode_question,
    encode_question_without_edns, flag_words, opt_option, opt_record, parse_request, parse_signature, parse_upstream,
    smallest_ttl,
};
pub use wire::{encode_notify, notify_reply};
