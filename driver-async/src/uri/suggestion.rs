//! What someone may have meant who misspelt the name of an option.

/// The name that is nearest to what was written, when it is near enough to be meant.
pub(super) fn nearest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let written: Vec<char> = written.to_lowercase().chars().collect();
    // One mistake in three characters still looks like the name; more is another word. Names of
    // any length below the bound would make long input cost time for nothing.
    let most = (written.len() / 3).clamp(1, 4);
    names
        .filter(|name| name.len().abs_diff(written.len()) <= most)
        .map(|name| (distance(&written, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many characters must be inserted, deleted, replaced or swapped with their neighbour to get
/// from one to the other (the restricted Damerau-Levenshtein distance).
fn distance(from: &[char], to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(from.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_name_that_was_meant() {
        let names = ["maxPoolSize", "minPoolSize", "w", "retryWrites"];
        let meant = |written| nearest(written, names.into_iter());
        assert_eq!(meant("MaxPoolSise"), Some("maxPoolSize"));
        assert_eq!(meant("maxPoolSizes"), Some("maxPoolSize"));
        assert_eq!(meant("rteryWrites"), Some("retryWrites"));
        assert_eq!(meant("fsync"), None);
        assert_eq!(meant("somethingElse"), None);
    }
}
