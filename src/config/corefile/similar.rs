//! What somebody may have meant.

/// The known word that is nearest to this one, if it is near: other letter case, or one slip in three letters.
pub fn similar<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // Longer words are not compared: nobody slips there, and it would take time.
    let word = Some(word).filter(|word| word.len() <= 64)?.to_ascii_lowercase();
    let distances = known.iter().map(|known| (distance(&word, &known.to_ascii_lowercase()), *known));
    let (distance, nearest) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= word.chars().count().div_ceil(3).min(3)).then_some(nearest)
}

/// How many letters have to be put in, left out, changed or swapped with their neighbour to get from one to the other.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let at = |row: &[usize], place: usize| row.get(place).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, wanted) in other.iter().enumerate() {
            let mut best =
                (at(&last, j) + usize::from(letter != wanted)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let is_swapped = i > 0 && j > 0 && one.get(i - 1) == Some(wanted) && other.get(j - 1) == Some(letter);
            if is_swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    at(&last, other.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_forgiven_and_another_word_is_not() {
        let known = ["cache", "forward", "fallthrough", "kubernetes", "log"];
        for (word, meant) in [
            ("cahce", Some("cache")),
            ("Cache", Some("cache")),
            ("foward", Some("forward")),
            ("fallthru", Some("fallthrough")),
            ("kuberentes", Some("kubernetes")),
            ("lgo", Some("log")),
            ("proxy", None),
            ("", None),
        ] {
            assert_eq!(similar(word, &known), meant, "{word}");
        }
    }
}
