//! The order of a list: `order_by` as in AIP-132, and where in that order a page ends.

use crate::{core::listed::Listed, model::BackendName};
use std::{cmp::Ordering, fmt, str::FromStr};

/// Says what is accepted, in errors.
pub const ACCEPTED: &str = "accepted are `name` and `display_name`, each at most once and with `asc` \
     or `desc` behind it if wanted, separated by a comma";

/// The order of a list. Ties are broken by name: by backend, then by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order(Vec<(Key, Direction)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Name,
    DisplayName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ascending,
    Descending,
}

/// The position of an item in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortPosition<'a> {
    pub display_name: &'a str,
    /// The backend, without `backends/`.
    pub backend: &'a str,
    pub id: &'a str,
}

impl<'a> SortPosition<'a> {
    /// Returns the position of an item of `backend`.
    pub fn of(backend: &'a BackendName, listed: &'a impl Listed) -> SortPosition<'a> {
        SortPosition {
            display_name: listed.display_name(),
            backend: backend.as_str(),
            id: listed.id(),
        }
    }
}

impl Order {
    /// Reports whether this is the order that lists have by default.
    pub fn is_natural(&self) -> bool {
        matches!(
            self.0.first(),
            None | Some((Key::Name, Direction::Ascending))
        )
    }

    /// Compares two positions. They are equal only if they are the same item.
    pub fn compare(&self, one: SortPosition<'_>, other: SortPosition<'_>) -> Ordering {
        let by_name = || (one.backend, one.id).cmp(&(other.backend, other.id));
        let keys = self.0.iter().map(|(key, direction)| {
            let ascending = match key {
                Key::Name => by_name(),
                Key::DisplayName => one.display_name.cmp(other.display_name),
            };
            match direction {
                Direction::Ascending => ascending,
                Direction::Descending => ascending.reverse(),
            }
        });
        keys.fold(Ordering::Equal, Ordering::then)
            .then_with(by_name)
    }
}

impl FromStr for Order {
    type Err = String;

    /// Parses an order; blank text is the natural order. The error says what is wrong and what is accepted.
    fn from_str(text: &str) -> Result<Order, String> {
        let mut keys: Vec<(Key, Direction)> = Vec::new();
        if text.trim().is_empty() {
            return Ok(Order(keys));
        }
        for part in text.split(',') {
            let words: Vec<&str> = part.split_whitespace().collect();
            let shown = || part.trim().chars().take(40).collect::<String>();
            let (field, direction) = match words[..] {
                [field] | [field, "asc"] => (field, Direction::Ascending),
                [field, "desc"] => (field, Direction::Descending),
                _ => return Err(format!("`{}` is not understood; {ACCEPTED}", shown())),
            };
            let key = match field {
                "name" => Key::Name,
                "display_name" => Key::DisplayName,
                _ => return Err(format!("cannot order by `{}`; {ACCEPTED}", shown())),
            };
            if keys.iter().any(|(known, _)| *known == key) {
                return Err(format!("`{field}` comes twice; {ACCEPTED}"));
            }
            keys.push((key, direction));
        }
        Ok(Order(keys))
    }
}

/// Formats the order canonically, so that it parses back as the same order; empty if there are no keys.
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, direction)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(match key {
                Key::Name => "name",
                Key::DisplayName => "display_name",
            })?;
            if *direction == Direction::Descending {
                f.write_str(" desc")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(text: &str) -> String {
        let order: Order = text.parse().unwrap();
        assert_eq!(order.to_string().parse(), Ok(order.clone()), "{text}");
        let mut places = [
            ("b", "x", "1"),
            ("a", "y", "2"),
            ("b", "a", "3"),
            ("a", "a", "4"),
            ("B", "z", "5"),
        ]
        .map(|(display_name, backend, id)| SortPosition {
            display_name,
            backend,
            id,
        });
        places.sort_by(|one, other| order.compare(*one, *other));
        places.map(|place| place.id).concat()
    }

    #[test]
    fn each_order_has_its_sequence_and_ties_are_broken_by_name() {
        for (text, expected) in [
            ("", "34125"),
            (" ", "34125"),
            ("name", "34125"),
            ("name asc", "34125"),
            ("name desc", "52143"),
            ("name desc, display_name", "52143"),
            ("display_name", "54231"),
            ("display_name asc", "54231"),
            ("  display_name   desc ", "31425"),
            ("display_name,name desc", "52413"),
        ] {
            assert_eq!(sorted(text), expected, "{text}");
        }
    }

    #[test]
    fn only_the_natural_order_needs_no_sorting() {
        for (text, natural) in [
            ("", true),
            ("name", true),
            ("name, display_name desc", true),
            ("name desc", false),
            ("display_name", false),
        ] {
            assert_eq!(
                text.parse::<Order>().unwrap().is_natural(),
                natural,
                "{text}"
            );
        }
    }

    #[test]
    fn everything_else_is_refused_with_what_is_accepted() {
        for text in [
            "colour",
            "display_name down",
            "display_name DESC",
            "display_name desc desc",
            "name,",
            ",",
            "name name",
            "display_name, display_name desc",
            "peer.address",
        ] {
            let error = text.parse::<Order>().expect_err(text);
            assert!(error.contains(ACCEPTED), "{text}: {error}");
        }
    }
}
