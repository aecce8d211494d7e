//! The tokens of filters.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// Letters, digits and the punctuation that needs no quotes.
    Word(String),
    /// Quoted text, without its quotes and escapes.
    Text(String),
    /// `=` or `:` behind a field.
    Operator(char),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Word(text) | Token::Text(text) => {
                // A filter may be long; its error messages stay short.
                let shown: String = text.chars().take(40).collect();
                write!(f, "`{shown}`")
            }
            Token::Operator(operator) => write!(f, "`{operator}`"),
        }
    }
}

/// Splits a filter into tokens. A word may contain colons, as addresses do, unless it stands where a field does.
///
/// # Errors
/// Says what is not understood.
pub fn tokens(text: &str) -> Result<Vec<Token>, String> {
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
