//! What an unknown name may have meant.

/// The sentence for a name that is not among `known`: the nearest one, if one is near, and all there are.
pub(super) fn unknown<'a>(
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    let meant = nearest(name, &known).map_or(String::new(), |n| format!("; did you mean {n:?}?"));
    if known.is_empty() {
        return format!("this service knows no {what} {name:?}; it offers none at all");
    }
    format!(
        "this service knows no {what} {name:?}{meant}\nit offers:\n  {}",
        known.join("\n  ")
    )
}

/// The known name that takes the fewest edits, if those are at most a quarter of the name.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    // Comparing costs the product of the lengths, and this name comes from outside.
    const LONGEST: usize = 200;
    if name.len() > LONGEST {
        return None;
    }
    known
        .iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (distance(name, candidate), *candidate))
        .min()
        .filter(|(edits, candidate)| *edits <= candidate.len().max(name.len()) / 4)
        .map(|(_, candidate)| candidate)
}

/// How many bytes must be added, dropped or changed.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn suggests_what_is_near_and_lists_all() {
        let known = ["beam:x:split_words:v1", "beam:x:count_words:v1"];
        let text = unknown("transform", "beam:x:split_word:v1", known);
        assert_eq!(
            text,
            "this service knows no transform \"beam:x:split_word:v1\"; did you mean \"beam:x:split_words:v1\"?\n\
             it offers:\n  beam:x:count_words:v1\n  beam:x:split_words:v1"
        );
        assert!(!unknown("transform", "something else", known).contains("did you mean"));
        assert!(!unknown("transform", &"x".repeat(1 << 20), known).contains("did you mean"));
        assert!(unknown("transform", "x", []).contains("none at all"));
    }
}
