//! Filters of lists: a small part of AIP-160, parsed once and applied to every item.
//!
//! ```text
//! filter      = restriction { "AND" restriction }
//! restriction = field ( "=" | ":" ) value
//! value       = a word, or text in double quotes in which \" and \\ stand for " and \
//! ```
//!
//! The language is the same for every list. Its fields are data, per kind of list ([`schema`]).
//!
//! A dialect may let its cloud narrow a list, and the result is filtered again here, since clouds compare loosely
//! (MariaDB ignores case and trailing blanks) or ignore filters that they do not know.

pub mod restriction;
pub mod schema;
mod tokens;

pub use restriction::{Restriction, Wanted};

use crate::{
    core::{
        filter::{
            schema::{Takes, accepted, fields},
            tokens::{Token, tokens},
        },
        listed::{Listable, Listed},
    },
    model::{BackendName, ResourceName},
};
use std::{fmt, str::FromStr};

/// The longest filter, in bytes.
pub const MAX_BYTES: usize = 4_096;

/// A filter: an item has to meet every restriction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter(Vec<Restriction>);

impl Filter {
    /// Parses a filter of a list; blank text accepts everything.
    ///
    /// # Errors
    /// Says what is wrong and what is accepted for that list.
    pub fn read(text: &str, of: Listable) -> Result<Filter, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("is longer than {MAX_BYTES} bytes"));
        }
        let refused = |what: String| format!("{what}; {}", accepted(of));
        let mut tokens = tokens(text).map_err(refused)?.into_iter().peekable();
        let mut restrictions = Vec::new();
        while tokens.peek().is_some() {
            restrictions.push(restriction(&mut tokens, of).map_err(refused)?);
            match tokens.next() {
                None => break,
                Some(Token::Word(and)) if and == "AND" && tokens.peek().is_some() => {}
                Some(Token::Word(and)) if and == "AND" => {
                    return Err(refused("nothing follows the last AND".to_owned()));
                }
                Some(other) => {
                    return Err(refused(format!("{other} stands where AND is expected")));
                }
            }
        }
        Ok(Filter(restrictions))
    }

    /// Reports whether everything is accepted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the restrictions in the order written.
    pub fn restrictions(&self) -> &[Restriction] {
        &self.0
    }

    /// Reports whether an item of `backend` is accepted.
    pub fn accepts(&self, backend: &BackendName, listed: &impl Listed) -> bool {
        self.0.iter().all(|it| listed.meets(backend, it))
    }
}

impl From<Vec<Restriction>> for Filter {
    fn from(restrictions: Vec<Restriction>) -> Filter {
        Filter(restrictions)
    }
}

impl FromStr for Filter {
    type Err = String;

    /// Parses a filter of connections, like [`Filter::read`].
    fn from_str(text: &str) -> Result<Filter, String> {
        Filter::read(text, Listable::Connections)
    }
}

/// Formats the filter canonically, so that it parses back as the same filter.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, restriction) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" AND ")?;
            }
            restriction.fmt(f)?;
        }
        Ok(())
    }
}

fn restriction(
    tokens: &mut impl Iterator<Item = Token>,
    of: Listable,
) -> Result<Restriction, String> {
    let field = match tokens.next() {
        Some(Token::Word(field)) => field,
        Some(other) => return Err(format!("{other} stands where a field is expected")),
        None => return Err("a field is missing".to_owned()),
    };
    if ["AND", "OR", "NOT"].contains(&field.as_str()) {
        return Err(format!("`{field}` stands where a field is expected"));
    }
    let operator = match tokens.next() {
        Some(Token::Operator(operator)) => operator,
        _ => {
            return Err(format!(
                "`=` or `:` is expected behind {}",
                Token::Word(field)
            ));
        }
    };
    let value = match tokens.next() {
        Some(Token::Word(word)) if ["AND", "OR", "NOT"].contains(&word.as_str()) => {
            return Err(format!(
                "a value is missing before `{word}`, or its quotes are"
            ));
        }
        Some(Token::Word(value) | Token::Text(value)) => value,
        Some(Token::Operator(_)) | None => {
            return Err(format!("a value is missing behind {}", Token::Word(field)));
        }
    };
    value_of(field, operator, value, of)
}

fn value_of(
    field: String,
    operator: char,
    value: String,
    of: Listable,
) -> Result<Restriction, String> {
    let Some(known) = fields(of).iter().find(|known| known.path == field) else {
        return Err(format!(
            "there is no field {} to filter by",
            Token::Word(field)
        ));
    };
    match (&known.takes, operator) {
        (Takes::Text(asks), ':') => return Ok(asks(Wanted::Containing(value))),
        (_, ':') => return Err(format!("`{field}` takes `=` only")),
        _ => {}
    }
    match &known.takes {
        Takes::Text(asks) => Ok(asks(Wanted::Equal(value))),
        Takes::Id(asks) => Ok(asks(value)),
        Takes::Truth(asks) => match value.as_str() {
            "true" => Ok(asks(true)),
            "false" => Ok(asks(false)),
            _ => Err(format!("`{field}` is true or false")),
        },
        Takes::Name(collection, asks) => ResourceName::parse(*collection, &value)
            .map(asks)
            .map_err(|error| format!("`{field}` {error}")),
        Takes::Word { names, read } => {
            read(&value).ok_or_else(|| format!("`{field}` is one of {}", names().join(", ")))
        }
    }
}

#[cfg(test)]
mod tests;
