//! The words of record types.

use std::borrow::Cow;

use super::RecordType;

/// Types that CoreDNS knows by name and hickory does not (IANA's registry of resource record types).
const OTHER_TYPES: [(&str, u16); 49] = [
    ("MD", 3),
    ("MF", 4),
    ("MB", 7),
    ("MG", 8),
    ("MR", 9),
    ("MINFO", 14),
    ("RP", 17),
    ("AFSDB", 18),
    ("X25", 19),
    ("ISDN", 20),
    ("RT", 21),
    ("NSAP-PTR", 23),
    ("PX", 26),
    ("GPOS", 27),
    ("LOC", 29),
    ("NXT", 30),
    ("EID", 31),
    ("NIMLOC", 32),
    ("ATMA", 34),
    ("KX", 36),
    ("APL", 42),
    ("IPSECKEY", 45),
    ("DHCID", 49),
    ("HIP", 55),
    ("NINFO", 56),
    ("RKEY", 57),
    ("TALINK", 58),
    ("ZONEMD", 63),
    ("SPF", 99),
    ("UINFO", 100),
    ("UID", 101),
    ("GID", 102),
    ("UNSPEC", 103),
    ("NID", 104),
    ("L32", 105),
    ("L64", 106),
    ("LP", 107),
    ("EUI48", 108),
    ("EUI64", 109),
    ("NXNAME", 128),
    ("IXFR", 251),
    ("MAILB", 253),
    ("MAILA", 254),
    ("URI", 256),
    ("AVC", 258),
    ("AMTRELAY", 260),
    ("RESINFO", 261),
    ("TA", 32768),
    ("DLV", 32769),
];

/// The type of a word in upper case, such as `AAAA`.
pub fn parse_type(word: &str) -> Option<RecordType> {
    let other = OTHER_TYPES.iter().find(|(name, _)| *name == word);
    other.map(|(_, number)| RecordType::from(*number)).or_else(|| word.parse().ok())
}

/// The word of a type as logs have it; `TYPE65280` for those without one (RFC 3597 section 5).
pub fn type_mnemonic(record_type: RecordType) -> Cow<'static, str> {
    let number = u16::from(record_type);
    match OTHER_TYPES.iter().find(|(_, other)| *other == number) {
        Some((word, _)) => (*word).into(),
        None if matches!(record_type, RecordType::Unknown(_)) => format!("TYPE{number}").into(),
        None => record_type.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_its_type_and_a_type_without_a_word_is_a_number() {
        for word in ["A", "AAAA", "HTTPS", "SPF", "LOC", "URI", "IXFR", "ANY"] {
            assert_eq!(parse_type(word).map(type_mnemonic).as_deref(), Some(word));
        }
        assert_eq!(type_mnemonic(RecordType::Unknown(65280)), "TYPE65280");
        assert_eq!(parse_type("aaaa"), None);
    }
}
