//! A cursor over octets that never reads past their end.

use super::{HEADER, Malformed};
use crate::dns::Name;

/// Octets of a name at most (RFC 1035 section 2.3.4).
const NAME_MAX: usize = 255;

/// A cursor over a message.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
}

/// The fields of a header.
pub(super) struct Header {
    pub id: u16,
    pub flags: u16,
    pub questions: u16,
    pub answers: u16,
    pub authority: u16,
    pub additional: u16,
}

impl<'a> Reader<'a> {
    pub fn new(octets: &'a [u8]) -> Self {
        Self { octets, at: 0 }
    }

    pub fn is_at_end(&self) -> bool {
        self.at >= self.octets.len()
    }

    /// Octets that are left.
    pub fn rest(&self) -> usize {
        self.octets.len().saturating_sub(self.at)
    }

    pub fn header(&mut self) -> Result<Header, Malformed> {
        Ok(Header {
            id: self.u16()?,
            flags: self.u16()?,
            questions: self.u16()?,
            answers: self.u16()?,
            authority: self.u16()?,
            additional: self.u16()?,
        })
    }

    pub fn u8(&mut self) -> Result<u8, Malformed> {
        let octet = *self.octets.get(self.at).ok_or_else(too_short)?;
        self.at += 1;
        Ok(octet)
    }

    pub fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length).ok_or_else(too_short)?;
        let taken = self.octets.get(self.at..end).ok_or_else(too_short)?;
        self.at = end;
        Ok(taken)
    }

    /// Reads a name that holds no pointer: that of a question, which has nothing before it to point to.
    pub fn plain_name(&mut self) -> Result<Name, Malformed> {
        let (mut name, mut length) = (Name::new(), 1);
        loop {
            let size = usize::from(self.u8()?);
            match size {
                0 => break,
                1..=63 => {
                    name = name.append_label(self.take(size)?).map_err(|_| Malformed::new("a name that cannot be"))?
                }
                _ => return Err(Malformed::new("a label that is too long, or a pointer, in the question")),
            }
            length += size + 1;
            if length > NAME_MAX {
                return Err(Malformed::new("a name of more than 255 octets"));
            }
        }
        name.set_fqdn(true);
        Ok(name)
    }

    /// Passes over a name; returns whether it is the root. Pointers must point backwards, past the header.
    pub fn skip_name(&mut self) -> Result<bool, Malformed> {
        let start = self.at;
        loop {
            match self.u8()? {
                0 => return Ok(self.at == start + 1),
                size @ 1..=63 => {
                    self.take(usize::from(size))?;
                }
                high @ 0xc0..=0xff => {
                    let target = usize::from(u16::from_be_bytes([high & 0x3f, self.u8()?]));
                    if target < HEADER || target >= start {
                        return Err(Malformed::new("a pointer that does not point backwards"));
                    }
                    return Ok(false);
                }
                _ => return Err(Malformed::new("a label of an unknown kind")),
            }
            if self.at - start > NAME_MAX {
                return Err(Malformed::new("a name of more than 255 octets"));
            }
        }
    }
}

/// The name that stands at an offset of a record's data, not compressed.
pub fn plain_name_at(octets: &[u8], offset: usize) -> Option<Name> {
    Reader { octets, at: offset }.plain_name().ok()
}

fn too_short() -> Malformed {
    Malformed::new("it ends too early")
}
