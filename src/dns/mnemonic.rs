//! The words of response codes, types and classes, as CoreDNS and dig have them.

use std::borrow::Cow;

use super::{Class, RecordType, ResponseCode};

/// The word of a response code as metrics and query logs have it: `NOERROR`, `NXDOMAIN`; `RCODE12` for those without one.
pub fn mnemonic(code: ResponseCode) -> Cow<'static, str> {
    let word = match u16::from(code) {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        // 16 is BADVERS (RFC 6891) and BADSIG (RFC 8945); CoreDNS says the latter.
        16 => "BADSIG",
        17 => "BADKEY",
        18 => "BADTIME",
        19 => "BADMODE",
        20 => "BADNAME",
        21 => "BADALG",
        22 => "BADTRUNC",
        23 => "BADCOOKIE",
        number => return format!("RCODE{number}").into(),
    };
    word.into()
}

/// Types whose words hickory-proto does not know.
const RARE_TYPES: [(u16, &str); 45] = [
    (3, "MD"),
    (4, "MF"),
    (7, "MB"),
    (8, "MG"),
    (9, "MR"),
    (14, "MINFO"),
    (17, "RP"),
    (18, "AFSDB"),
    (19, "X25"),
    (20, "ISDN"),
    (21, "RT"),
    (23, "NSAP-PTR"),
    (26, "PX"),
    (27, "GPOS"),
    (29, "LOC"),
    (30, "NXT"),
    (31, "EID"),
    (32, "NIMLOC"),
    (34, "ATMA"),
    (36, "KX"),
    (42, "APL"),
    (45, "IPSECKEY"),
    (49, "DHCID"),
    (55, "HIP"),
    (56, "NINFO"),
    (57, "RKEY"),
    (58, "TALINK"),
    (63, "ZONEMD"),
    (99, "SPF"),
    (100, "UINFO"),
    (101, "UID"),
    (102, "GID"),
    (103, "UNSPEC"),
    (104, "NID"),
    (105, "L32"),
    (106, "L64"),
    (107, "LP"),
    (108, "EUI48"),
    (109, "EUI64"),
    (253, "MAILB"),
    (254, "MAILA"),
    (256, "URI"),
    (258, "AVC"),
    (260, "AMTRELAY"),
    (32769, "DLV"),
];

/// The word of a type: `A`, `HTTPS`; `TYPE65280` for those without one (RFC 3597 section 5).
pub fn type_mnemonic(record_type: RecordType) -> Cow<'static, str> {
    let RecordType::Unknown(number) = record_type else { return <&str>::from(record_type).into() };
    match RARE_TYPES.iter().find(|(rare, _)| *rare == number) {
        Some((_, word)) => (*word).into(),
        None => format!("TYPE{number}").into(),
    }
}

/// The word of a class: `IN`; `CLASS7` for those without one.
pub fn class_mnemonic(class: Class) -> Cow<'static, str> {
    match class {
        Class::Unknown(2) => "CS".into(),
        Class::Unknown(number) => format!("CLASS{number}").into(),
        known => <&str>::from(known).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_or_class_without_a_word_is_a_number() {
        for (number, word) in
            [(1, "A"), (65, "HTTPS"), (255, "ANY"), (29, "LOC"), (65280, "TYPE65280"), (128, "TYPE128")]
        {
            assert_eq!(type_mnemonic(RecordType::from(number)), word);
        }
        for (number, word) in [(1, "IN"), (3, "CH"), (254, "NONE"), (255, "ANY"), (2, "CS"), (7, "CLASS7")] {
            assert_eq!(class_mnemonic(Class::from(number)), word);
        }
        assert!(RARE_TYPES.iter().all(|(number, _)| matches!(RecordType::from(*number), RecordType::Unknown(_))));
    }

    #[test]
    fn a_code_without_a_word_is_a_number() {
        assert_eq!(mnemonic(ResponseCode::NXDomain), "NXDOMAIN");
        assert_eq!(mnemonic(ResponseCode::Unknown(12)), "RCODE12");
    }
}
