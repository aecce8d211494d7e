//! The mark on every object that the gateway creates: ` [isthmus:<uuid>]` at the end of its description.

use crate::core::dialect::Mark;

const OPEN: &str = "[isthmus:";
const CLOSE: char = ']';

/// The length of a mark in characters, including the space before it.
pub const LENGTH: usize = 1 + OPEN.len() + 36 + 1;

/// Appends the mark to a description.
pub fn put(description: &str, mark: &Mark) -> String {
    join(description, mark.as_str())
}

/// Splits a description into the user's text and the UUID of the mark, if there is one.
pub fn split(description: &str) -> (&str, Option<&str>) {
    let found = description
        .strip_suffix(CLOSE)
        .and_then(|rest| rest.rsplit_once(OPEN))
        .filter(|(_, uuid)| uuid.len() == 36 && uuid::Uuid::try_parse(uuid).is_ok());
    match found {
        Some((own, uuid)) => (own.strip_suffix(' ').unwrap_or(own), Some(uuid)),
        None => (description, None),
    }
}

/// Reports whether the object with this description was created by the call with this mark.
pub fn is(description: &str, mark: &Mark) -> bool {
    split(description).1 == Some(mark.as_str())
}

/// Returns a new description that keeps the mark of the old one.
pub fn keep(description: &str, old: &str) -> String {
    match split(old).1 {
        Some(uuid) => join(description, uuid),
        None => description.to_owned(),
    }
}

fn join(description: &str, uuid: &str) -> String {
    format!("{description} {OPEN}{uuid}{CLOSE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_and_taken_off_and_kept() {
        let (mine, other) = (Mark::new(), Mark::new());
        for own in ["", "to the branch", "ends in a blank ", "[isthmus:x]"] {
            let marked = put(own, &mine);
            assert_eq!(marked.chars().count(), own.chars().count() + LENGTH);
            assert_eq!(split(&marked), (own, Some(mine.as_str())), "{marked}");
            assert!(is(&marked, &mine) && !is(&marked, &other));
            assert_eq!(split(&keep("new", &marked)), ("new", Some(mine.as_str())));
        }
    }

    #[test]
    fn other_text_is_no_mark() {
        let mark = Mark::new();
        let in_the_middle = format!("{} and more", put("", &mark));
        for text in [
            "",
            "isthmus",
            "[isthmus:]",
            "[isthmus:no-uuid]",
            &in_the_middle,
        ] {
            assert_eq!(split(text), (text, None));
            assert_eq!(keep("new", text), "new");
        }
    }

    #[test]
    fn a_cloud_that_trims_blanks_leaves_the_mark() {
        let mark = Mark::new();
        assert!(is(put("", &mark).trim(), &mark));
    }
}
