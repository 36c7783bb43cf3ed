//! What of another server's answer is believed.
//!
//! Pure: a message in, the records that belong to the question out. Everything else is dropped, whoever sent it: records
//! of other names, of other classes, of types that nobody asked for, and the whole additional section.

mod chain;

#[cfg(test)]
mod tests;

use self::chain::Chain;
use crate::dns::{
    Class, Name, Query, Record, RecordType, ResponseCode, Signature, UpstreamMessage, label_count, parse_signature,
};

/// No answer is good for longer.
const TTL_MAX: u32 = 24 * 60 * 60;

/// Why nothing of an answer is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It says of a name both that it does not exist and what is there.
    #[error("the answer denies a name and has data of it")]
    Contradiction,
    /// Its aliases lead back to themselves.
    #[error("the aliases of the answer lead in a circle")]
    Circle,
    /// Its aliases lead on and on.
    #[error("the answer has more than {} aliases in a row", Chain::ALIASES_MAX)]
    TooLong,
}

/// Leaves in a message only what belongs to the question:
///
/// - answer: the chain of aliases that begins at the name asked for, and the type asked for at its end;
/// - authority: of a negative answer the SOA of its last name; of a referral, for those who asked for name servers or
///   without RD, whom to ask next; with DO the proofs of the zones of the chain.
///
/// Names that are the question's have its letters. The records of one name and type have one TTL, the lowest (RFC 2181
/// section 5.2), and their signatures, too; those are left only beside what they sign, and only if the client set DO. A message
/// that says neither what there is nor that there is nothing has no records.
pub fn scrub(query: &Query, message: &mut UpstreamMessage) -> Result<(), Unusable> {
    let UpstreamMessage { answers, authority, additional, response_code, .. } = message;
    additional.clear();
    if !matches!(*response_code, ResponseCode::NoError | ResponseCode::NXDomain) {
        answers.clear();
        authority.clear();
        return Ok(());
    }
    answers.retain(|record| record.dns_class == Class::IN);
    authority.retain(|record| record.dns_class == Class::IN);
    let chain = Chain::follow(query, answers)?;
    arrange(answers, |record| chain.place(record));
    let word = match answers.iter().any(|record| chain.is_data(record)) {
        true if *response_code == ResponseCode::NXDomain => return Err(Unusable::Contradiction),
        true => Word::Data,
        false => Word::of(query, *response_code, &chain, authority),
    };
    sort_out_authority(query, &chain, &word, authority);
    for record in answers.iter_mut().chain(authority) {
        // RFC 8767 section 4: a TTL with its highest bit set is a long one.
        record.ttl = record.ttl.min(TTL_MAX);
        if record.name == query.name {
            record.name.clone_from(&query.name);
        }
    }
    Ok(())
}

/// What an answer says in the end.
enum Word {
    /// What was asked for.
    Data,
    /// That there is none, in the zone of that name.
    Denial(Name),
    /// That the servers of the zone of that name may know.
    Referral(Name),
    /// Nothing.
    Nothing,
}

impl Word {
    /// What an answer without data says.
    fn of(query: &Query, response_code: ResponseCode, chain: &Chain<'_>, authority: &[Record]) -> Self {
        let nearest = |record_type| {
            let of_type = authority.iter().filter(|record| record.record_type() == record_type);
            let above = of_type.map(|record| &record.name).filter(|apex| apex.zone_of(chain.last()));
            above.max_by_key(|apex| label_count(apex)).cloned()
        };
        // Who asks without RD asks step by step; others want an answer, and not to be sent elsewhere.
        let may_refer = query.record_type == RecordType::NS || !query.recursion_desired;
        match nearest(RecordType::SOA) {
            Some(apex) => Word::Denial(apex),
            None if may_refer && response_code == ResponseCode::NoError => {
                nearest(RecordType::NS).map_or(Word::Nothing, Word::Referral)
            }
            None => Word::Nothing,
        }
    }
}

fn sort_out_authority(query: &Query, chain: &Chain<'_>, word: &Word, authority: &mut Vec<Record>) {
    let proofs = if query.dnssec_ok() { signed_proofs(chain, authority) } else { Vec::new() };
    let mut has_soa = false;
    arrange(authority, |record| {
        let (record_type, is_signature) = type_and_role(query, record)?;
        // SOA and NS before proofs, as every server writes it.
        let key = (u16::from(record_type), record.name.clone());
        let belongs = match (record_type, word) {
            (RecordType::SOA, Word::Denial(apex)) if *apex == record.name => {
                is_signature || !std::mem::replace(&mut has_soa, true)
            }
            (RecordType::NS, Word::Referral(apex)) => *apex == record.name,
            (RecordType::DS, Word::Referral(apex)) => query.dnssec_ok() && *apex == record.name,
            (RecordType::NSEC | RecordType::NSEC3, _) => proofs.binary_search(&key).is_ok(),
            _ => false,
        };
        belongs.then_some((key, is_signature))
    });
}

/// Types and names of NSEC and NSEC3 that a zone of the chain has signed: they have other names than those of the chain.
fn signed_proofs(chain: &Chain<'_>, authority: &[Record]) -> Vec<(u16, Name)> {
    let proof = |record: &Record| {
        let Signature { covered, signer } = parse_signature(record)?;
        let is_proof = matches!(covered, RecordType::NSEC | RecordType::NSEC3);
        let is_of_chain = is_proof && signer.zone_of(&record.name) && chain.is_in(&signer);
        is_of_chain.then(|| (u16::from(covered), record.name.clone()))
    };
    let mut proofs: Vec<_> = authority.iter().filter_map(proof).collect();
    proofs.sort_unstable();
    proofs
}

/// The type that decides whether a record of the authority section belongs, its own or the one that it signs; and whether it is
/// a signature. None: a signature nobody wants.
fn type_and_role(query: &Query, record: &Record) -> Option<(RecordType, bool)> {
    match record.record_type() {
        RecordType::RRSIG => {
            parse_signature(record).filter(|_| query.dnssec_ok()).map(|signature| (signature.covered, true))
        }
        record_type => Some((record_type, false)),
    }
}

/// Leaves the records that have a key, in the order of their keys. Those of one key are the records of one name and type, and
/// those that are marked their signatures: they have one TTL, and signatures of nothing go.
fn arrange<K: Ord + Clone>(records: &mut Vec<Record>, mut key_of: impl FnMut(&Record) -> Option<(K, bool)>) {
    let mut keyed: Vec<_> = records.drain(..).filter_map(|record| Some((key_of(&record)?, record))).collect();
    keyed.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut signed = None;
    keyed.retain(|((key, is_signature), _)| {
        if !is_signature && signed.as_ref() != Some(key) {
            signed = Some(key.clone());
        }
        signed.as_ref() == Some(key)
    });
    for set in keyed.chunk_by_mut(|((one, _), _), ((other, _), _)| one == other) {
        let lowest = set.iter().map(|(_, record)| record.ttl).min().unwrap_or_default();
        set.iter_mut().for_each(|(_, record)| record.ttl = lowest);
    }
    records.extend(keyed.into_iter().map(|(_, record)| record));
}
