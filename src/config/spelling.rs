//! Which known name somebody may have meant.

/// The known name nearest to `given`, if it is near enough to be meant.
pub(super) fn closest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters wrong is still a slip of the pen; more is another word.
    let limit = (given.chars().count() / 3).max(1);
    let near = known.into_iter().map(|name| (distance(given, name), name)).filter(|(distance, _)| *distance <= limit);
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// How many letters have to be put in, left out or replaced to make one of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.chars().enumerate() {
        let mut current = vec![row + 1];
        let mut left = row + 1;
        for ((wanted, diagonal), up) in other.iter().zip(&above).zip(above.iter().skip(1)) {
            left = (diagonal + usize::from(letter != *wanted)).min(up + 1).min(left + 1);
            current.push(left);
        }
        above = current;
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_a_strange_one_is_not() {
        let known = ["listen", "list_interval", "database"];
        assert_eq!(closest("lisen", known), Some("listen"));
        assert_eq!(closest("list_intervall", known), Some("list_interval"));
        assert_eq!(closest("datbase", known), Some("database"));
        assert_eq!(closest("colour", known), None);
    }

    #[test]
    fn letters_are_counted() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
