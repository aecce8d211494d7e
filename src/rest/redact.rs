//! Makes upstream text fit to be shown: bounded, printable, without secrets.

/// Keys whose values are never shown, in any upstream text or body.
const SECRET_KEYS: [&str; 12] = [
    "psk",
    "password",
    "j_password",
    "secret",
    "token",
    "authorization",
    "cookie",
    "set-cookie",
    "jsessionid",
    "x-xsrf-token",
    "x-auth-token",
    "x-subject-token",
];

/// Whether a value under this key must not be shown.
pub fn is_secret_key(key: &str) -> bool {
    SECRET_KEYS
        .iter()
        .any(|secret| key.eq_ignore_ascii_case(secret))
}

/// Shortens to at most `limit` bytes, replaces control characters by blanks, and blanks out what follows
/// a secret's name (`psk: …`, `"password": "…"`).
///
/// Known secrets should be removed by [`without`] first: a cloud may quote a value without its name.
pub fn tidy(text: &str, limit: usize) -> String {
    let printable: String = text
        .chars()
        .take(limit * 2)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let mut shown = blank_named_secrets(&printable);
    if shown.len() > limit {
        let mut end = limit;
        while !shown.is_char_boundary(end) {
            end -= 1;
        }
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

/// Removes every occurrence of the given secrets, if they are long enough to be told from ordinary text.
pub fn without(text: &str, secrets: &[&str]) -> String {
    let mut shown = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= 4) {
        shown = shown.replace(secret, "***");
    }
    shown
}

fn blank_named_secrets(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let rest = &lower[at..];
        let at_word_start = at == 0 || !lower[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        let key = SECRET_KEYS
            .iter()
            .find(|key| at_word_start && rest.starts_with(**key));
        let value = key.and_then(|key| value_span(rest, key.len()));
        if let Some((start, end)) = value {
            shown.push_str(&text[at..at + start]);
            shown.push_str("***");
            at += end;
        } else {
            let next = text[at..].chars().next().map_or(1, char::len_utf8);
            shown.push_str(&text[at..at + next]);
            at += next;
        }
    }
    shown
}

/// Where the value stands after a key of length `key`, in `rest`: start and end. `None` if no `:` or `=` follows.
fn value_span(rest: &str, key: usize) -> Option<(usize, usize)> {
    let after = &rest[key..];
    let separator = after.find([':', '=']).filter(|at| {
        after[..*at]
            .chars()
            .all(|c| c == ' ' || c == '"' || c == '\'')
    })?;
    let value = after[separator + 1..].trim_start_matches([' ', 'u']);
    let start = rest.len() - value.len();
    let quote = value.chars().next().filter(|c| *c == '"' || *c == '\'');
    let (start, length) = match quote {
        Some(quote) => (start + 1, value[1..].find(quote).unwrap_or(value.len() - 1)),
        None => (
            start,
            value.find([' ', ',', '}', ';', '&']).unwrap_or(value.len()),
        ),
    };
    Some((start, start + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, shown: &str) {
        assert_eq!(tidy(text, 200), shown);
    }

    #[test]
    fn secrets_behind_their_names_are_blanked() {
        check(r#"{"psk": "canary", "a": 1}"#, r#"{"psk": "***", "a": 1}"#);
        check(
            "Invalid input for psk: canary",
            "Invalid input for psk: ***",
        );
        check("{'password': 'canary'}", "{'password': '***'}");
        check(
            "j_username=a&j_password=canary&x=1",
            "j_username=a&j_password=***&x=1",
        );
        check("tokens are fine", "tokens are fine");
        check("PSK=canary", "PSK=***");
    }

    #[test]
    fn text_is_bounded_and_printable() {
        assert_eq!(tidy("a\nb\0c", 10), "a b c");
        assert_eq!(tidy("ääää", 5), "ää…");
        assert_eq!(without("key is canary!", &["canary", "is"]), "key is ***!");
    }
}
