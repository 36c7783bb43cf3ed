//! `$GENERATE FROM-TO[/STEP] WORDS...`: one line of words for many records, as BIND has it.

use super::words::Word;

/// Numbers of one range at most, as in CoreDNS.
const NUMBERS_MAX: i64 = 65_536;

/// The numbers of `FROM-TO[/STEP]`; None: it is no range, or one of too many numbers.
pub fn range(text: &[u8]) -> Option<impl Iterator<Item = i64>> {
    let text = std::str::from_utf8(text).ok()?;
    let (range, step) = text.split_once('/').unwrap_or((text, "1"));
    let (from, to) = range.split_once('-')?;
    let (from, to, step): (u32, u32, u32) = (from.parse().ok()?, to.parse().ok()?, step.parse().ok()?);
    let is_bounded = from <= to && step > 0 && i64::from((to - from) / step) < NUMBERS_MAX;
    is_bounded.then(|| (i64::from(from)..=i64::from(to)).step_by(step as usize))
}

/// The words as one line.
pub fn template(words: &[Word<'_>]) -> Vec<u8> {
    let quoted = |word: &Word<'_>| match word.is_quoted {
        true => [b"\"", word.text, b"\""].concat(),
        false => word.text.to_vec(),
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(&b' ')
}

/// The line for a number: `$` is the number, `${OFFSET[,WIDTH[,BASE]]}` one derived from it, `$$` and `\$` a dollar.
pub fn fill(template: &[u8], number: i64) -> Result<Vec<u8>, String> {
    let (mut line, mut rest) = (Vec::new(), template);
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match (first, behind) {
            (b'\\', [b'$', behind @ ..]) | (b'$', [b'$', behind @ ..]) => {
                line.push(b'$');
                rest = behind;
            }
            (b'\\', [escaped, behind @ ..]) => {
                line.extend([b'\\', *escaped]);
                rest = behind;
            }
            (b'$', [b'{', behind @ ..]) => {
                let end = behind.iter().position(|octet| *octet == b'}').ok_or("'${' is not closed")?;
                let (modifier, behind) = behind.split_at(end);
                let modifier = String::from_utf8_lossy(modifier);
                let text = derived(number, &modifier).ok_or_else(|| format!("no modifier: ${{{modifier}}}"))?;
                line.extend(text.into_bytes());
                rest = behind.get(1..).unwrap_or_default();
            }
            (b'$', _) => line.extend(number.to_string().into_bytes()),
            (other, _) => line.push(*other),
        }
    }
    Ok(line)
}

/// `OFFSET[,WIDTH[,BASE]]`
fn derived(number: i64, modifier: &str) -> Option<String> {
    let mut parts = modifier.split(',');
    let offset: i32 = parts.next()?.parse().ok()?;
    let width = usize::from(parts.next().unwrap_or("0").parse::<u8>().ok()?);
    let base = parts.next().unwrap_or("d");
    let number = u32::try_from(number + i64::from(offset)).ok().filter(|number| *number <= i32::MAX as u32)?;
    match (base, parts.next()) {
        ("d", None) => Some(format!("{number:0width$}")),
        ("o", None) => Some(format!("{number:0width$o}")),
        ("x", None) => Some(format!("{number:0width$x}")),
        ("X", None) => Some(format!("{number:0width$X}")),
        _ => None,
    }
}
