//! What is decided otherwise than CoreDNS answered, although nothing marks it as a defect; also in docs/differences.md.

use super::Exchanged;

/// Whether an answer is decided otherwise.
pub fn is_known(id: &str, exchanged: &Exchanged) -> bool {
    KNOWN.iter().any(|known| {
        known.id == id
            && known.name == exchanged.qname
            && known.record_type == exchanged.qtype
            && exchanged.step.as_str() >= known.since
    })
}

/// An answer of a Corefile.
struct Known {
    id: &'static str,
    name: &'static str,
    record_type: &'static str,
    /// The step of a changing cluster from which on it is decided so.
    since: &'static str,
    #[expect(dead_code, reason = "it is for who reads this")]
    why: &'static str,
}

const KNOWN: &[Known] = &[
    Known {
        id: "podnames",
        name: "foo.cluster.local.",
        record_type: "SOA",
        since: "",
        why: "the name does not exist, as the records of other Corefiles say, and falls through",
    },
    Known {
        id: "verified",
        name: "harbor.pod.cluster.local.",
        record_type: "TXT",
        since: "",
        why: "the name exists, as the records of other Corefiles say",
    },
    Known {
        id: "multicluster",
        name: "fort-pending.armada.svc.clusterset.local.",
        record_type: "TXT",
        since: "",
        why: "the name exists, as the answers for other types say",
    },
    Known {
        id: "autopath",
        name: "shore.example.harbor.svc.cluster.local.",
        record_type: "SOA",
        since: "",
        why: "the name does not exist, so the walk goes on to one that does",
    },
    Known {
        id: "noendpoints",
        name: "ext-local-headless.reef.svc.cluster.local.",
        record_type: "A",
        since: "",
        why: "its target does not exist without endpoints (RFC 6604)",
    },
    Known {
        id: "live",
        name: "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.0.0.4.4.2.0.0.1.0.0.0.0.d.f.ip6.arpa.",
        record_type: "PTR",
        since: "10",
        why: "the Service of its slice is gone, so the name that it would lead to is none",
    },
];
