//! Filters of lists: a small part of AIP-160, read once and asked of every connection.
//!
//! ```text
//! filter      = restriction { "AND" restriction }
//! restriction = field ( "=" | ":" ) value
//! value       = a word, or text in double quotes in which \" and \\ stand for " and \
//! ```
//!
//! Clouds compare loosely (MariaDB ignores case and trailing blanks) or ignore filters they do not know, so a
//! dialect may let its cloud narrow a list, and what comes back is asked here again.

use crate::model::{BackendName, Collection, Connection, ResourceName};
use std::{fmt, net::IpAddr, str::FromStr};

/// The longest filter, in bytes.
pub const MAX_BYTES: usize = 4_096;

/// What is accepted, for whoever wrote something else.
pub const ACCEPTED: &str = "accepted are restrictions joined by AND: \
     `display_name` or `peer.address` with `=` (equals) or `:` (contains, whatever the case), \
     `admin_enabled` or `managed` with `=` and true or false, \
     `vpn_service` or `local_endpoint` with `=` and a resource name; \
     values with other characters than letters, digits and -._/:@+% stand in double quotes";

/// Which connections are wanted: those that meet every restriction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter(Vec<Restriction>);

/// One thing a connection must meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restriction {
    /// `display_name`
    DisplayName(Wanted),
    /// `peer.address`
    PeerAddress(Wanted),
    /// `admin_enabled`; a connection of which its cloud does not say meets neither value.
    AdminEnabled(bool),
    /// `managed`
    Managed(bool),
    /// `vpn_service`
    VpnService(ResourceName),
    /// `local_endpoint`
    LocalEndpoint(ResourceName),
}

/// What a text must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// This, to the letter.
    Equal(String),
    /// Anything with this in it, upper and lower case being the same.
    Containing(String),
}

impl Filter {
    /// Whether every connection is wanted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What must be met, in the order written.
    pub fn restrictions(&self) -> &[Restriction] {
        &self.0
    }

    /// Whether a connection of `backend` is wanted.
    pub fn accepts(&self, backend: &BackendName, connection: &Connection) -> bool {
        let is = |name: &ResourceName, id: &Option<String>| {
            name.backend == *backend && Some(&*name.id) == id.as_deref()
        };
        self.0.iter().all(|restriction| match restriction {
            Restriction::DisplayName(wanted) => wanted.is_met_by(&connection.display_name),
            Restriction::PeerAddress(wanted) => wanted.is_met_by_address(&connection.peer.address),
            Restriction::AdminEnabled(wanted) => connection.admin_enabled == Some(*wanted),
            Restriction::Managed(wanted) => connection.managed == *wanted,
            Restriction::VpnService(name) => is(name, &connection.vpn_service),
            Restriction::LocalEndpoint(name) => is(name, &connection.local_endpoint),
        })
    }
}

impl Wanted {
    fn is_met_by(&self, text: &str) -> bool {
        match self {
            Wanted::Equal(wanted) => text == wanted,
            Wanted::Containing(wanted) => text.to_lowercase().contains(&wanted.to_lowercase()),
        }
    }

    /// Two spellings of one address are equal.
    fn is_met_by_address(&self, text: &str) -> bool {
        let address = |text: &str| text.parse::<IpAddr>().ok();
        match self {
            Wanted::Equal(wanted) if address(wanted).is_some() => address(wanted) == address(text),
            _ => self.is_met_by(text),
        }
    }
}

impl FromStr for Filter {
    type Err = String;

    /// Reads a filter; blank text wants everything. The error says what is wrong and what is accepted.
    fn from_str(text: &str) -> Result<Filter, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("is longer than {MAX_BYTES} bytes"));
        }
        let refused = |what: String| format!("{what}; {ACCEPTED}");
        let mut tokens = tokens(text).map_err(refused)?.into_iter().peekable();
        let mut restrictions = Vec::new();
        while tokens.peek().is_some() {
            restrictions.push(restriction(&mut tokens).map_err(refused)?);
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
}

/// The filter in its plainest spelling, which reads back as the same.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, restriction) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" AND ")?;
            }
            match restriction {
                Restriction::DisplayName(wanted) => write!(f, "display_name{wanted}")?,
                Restriction::PeerAddress(wanted) => write!(f, "peer.address{wanted}")?,
                Restriction::AdminEnabled(wanted) => write!(f, "admin_enabled={wanted}")?,
                Restriction::Managed(wanted) => write!(f, "managed={wanted}")?,
                Restriction::VpnService(name) => {
                    write!(f, "vpn_service={}", Quoted(&name.to_string()))?;
                }
                Restriction::LocalEndpoint(name) => {
                    write!(f, "local_endpoint={}", Quoted(&name.to_string()))?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Equal(text) => write!(f, "={}", Quoted(text)),
            Wanted::Containing(text) => write!(f, ":{}", Quoted(text)),
        }
    }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = self.0.replace('\\', "\\\\").replace('"', "\\\"");
        write!(f, "\"{escaped}\"")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// Letters, digits and the signs that need no quotes.
    Word(String),
    /// What stood in quotes.
    Text(String),
    /// `=` or `:` behind a field.
    Operator(char),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Word(text) | Token::Text(text) => {
                // A filter may be long; what is wrong with it is not.
                let shown: String = text.chars().take(40).collect();
                write!(f, "`{shown}`")
            }
            Token::Operator(operator) => write!(f, "`{operator}`"),
        }
    }
}

/// A word may hold colons (addresses do) unless it stands where a field does.
fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(&next) = rest.peek() {
        let after_operator = matches!(tokens.last(), Some(Token::Operator(_)));
        match next {
            blank if blank.is_whitespace() => {
                rest.next();
            }
            '=' | ':' if !after_operator || next == '=' => {
                rest.next();
                tokens.push(Token::Operator(next));
            }
            '"' => {
                rest.next();
                tokens.push(Token::Text(quoted(&mut rest)?));
            }
            _ => {
                let mut word = String::new();
                while let Some(&next) = rest.peek()
                    && is_plain(next, after_operator)
                {
                    word.push(next);
                    rest.next();
                }
                if word.is_empty() {
                    return Err(format!("`{next}` is not understood outside of quotes"));
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

fn is_plain(sign: char, in_value: bool) -> bool {
    sign.is_alphanumeric() || "-._/@+%".contains(sign) || (in_value && sign == ':')
}

fn quoted(rest: &mut impl Iterator<Item = char>) -> Result<String, String> {
    let mut text = String::new();
    loop {
        match rest.next() {
            Some('"') => return Ok(text),
            Some('\\') => match rest.next() {
                Some(sign @ ('"' | '\\')) => text.push(sign),
                _ => return Err("only \\\" and \\\\ are escapes".to_owned()),
            },
            Some(sign) => text.push(sign),
            None => return Err("a quotation is not closed".to_owned()),
        }
    }
}

fn restriction(tokens: &mut impl Iterator<Item = Token>) -> Result<Restriction, String> {
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
    let wanted = |value| match operator {
        ':' => Wanted::Containing(value),
        _ => Wanted::Equal(value),
    };
    match field.as_str() {
        "display_name" => return Ok(Restriction::DisplayName(wanted(value))),
        "peer.address" => return Ok(Restriction::PeerAddress(wanted(value))),
        "admin_enabled" | "managed" | "vpn_service" | "local_endpoint" => {}
        _ => {
            return Err(format!(
                "there is no field {} to filter by",
                Token::Word(field)
            ));
        }
    }
    if operator != '=' {
        return Err(format!("`{field}` takes `=` only"));
    }
    let truth = || match value.as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("`{field}` is true or false")),
    };
    let name = |collection| {
        ResourceName::parse(collection, &value).map_err(|error| format!("`{field}` {error}"))
    };
    Ok(match field.as_str() {
        "admin_enabled" => Restriction::AdminEnabled(truth()?),
        "managed" => Restriction::Managed(truth()?),
        "vpn_service" => Restriction::VpnService(name(Collection::VpnServices)?),
        _ => Restriction::LocalEndpoint(name(Collection::LocalEndpoints)?),
    })
}

#[cfg(test)]
mod tests;
