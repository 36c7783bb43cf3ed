//! `loadbalance [round_robin] { prefer CIDR... }`: the order of addresses in an answer.

use crate::config::corefile::{CorefileError, Cursor};

use ipnet::IpNet;

/// In which order addresses stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadBalance {
    /// Addresses in these prefixes come first, in the order of the prefixes.
    pub prefer: Vec<IpNet>,
}

impl LoadBalance {
    /// Reads the directive.
    pub fn lower(cursor: &mut Cursor<'_>) -> Result<Self, CorefileError> {
        let mut loadbalance = Self::default();
        while cursor.advance() {
            match cursor.arguments().as_slice() {
                [] => {}
                [policy] if policy == "round_robin" => {}
                [policy, ..] if policy == "weighted" => {
                    return Err(cursor.error("weighted is not built yet; use round_robin"));
                }
                other => return Err(cursor.error(format!("unknown policy {other:?}; use round_robin"))),
            }
            while cursor.next_option() {
                if cursor.word() != "prefer" {
                    return Err(cursor.unknown("prefer"));
                }
                for argument in cursor.arguments() {
                    let prefix = argument
                        .parse()
                        .map_err(|_| cursor.error(format!("prefer takes prefixes, not {argument:?}")))?;
                    loadbalance.prefer.push(prefix);
                }
            }
        }
        Ok(loadbalance)
    }
}
