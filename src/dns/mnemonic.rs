//! The words of response codes and classes, as CoreDNS and dig have them.

use std::borrow::Cow;

use super::{Class, ResponseCode};

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
    fn a_class_without_a_word_is_a_number() {
        for (number, word) in [(1, "IN"), (3, "CH"), (254, "NONE"), (255, "ANY"), (2, "CS"), (7, "CLASS7")] {
            assert_eq!(class_mnemonic(Class::from(number)), word);
        }
    }

    #[test]
    fn a_code_without_a_word_is_a_number() {
        assert_eq!(mnemonic(ResponseCode::NXDomain), "NXDOMAIN");
        assert_eq!(mnemonic(ResponseCode::Unknown(12)), "RCODE12");
    }
}
