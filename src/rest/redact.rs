//! Makes a cloud's text safe to show: bounded, readable and without secrets.

use crate::{
    rest::secret_echo::{quotes, quotes_token},
    text::clean,
};
use serde_json::{Map, Value};

/// Shown instead of a text that may quote a secret of its request.
pub const WITHHELD: &str = "(withheld: it may quote the key or the password)";

/// Returns a cloud's text about a request that carried these `secrets` (keys and passwords) and `tokens`: the result of
/// [`tidy`], or [`WITHHELD`] if the text may quote one of them.
pub fn said(text: &str, limit: usize, secrets: &[&str], tokens: &[&str]) -> String {
    // Text that is not shown reveals nothing.
    let text: String = text.chars().take(limit * 2).collect();
    let cleaned = clean(&text);
    let quotes = |text: &str| quotes(text, secrets) || quotes_token(text, tokens);
    if quotes(&text) || cleaned != text && quotes(&cleaned) {
        WITHHELD.to_owned()
    } else {
        tidy(&cleaned, limit)
    }
}

/// Cleans a text, masks the values of secret names (`psk: …`, `"password": "…"`), and shortens it to at most `limit`
/// bytes.
pub fn tidy(text: &str, limit: usize) -> String {
    let text: String = text.chars().take(limit * 2).collect();
    let mut shown = without_named_secrets(&clean(&text));
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

/// Removes every field whose name looks secret, at any depth, and the `value` of every pair whose `key` or `name` looks
/// secret.
pub fn forget_secrets(object: &mut Map<String, Value>) {
    let is_pair = object.contains_key("value");
    let names_secret = |key: &str| {
        let name = object.get(key).and_then(Value::as_str);
        name.is_some_and(is_secret_key)
    };
    let value_is_secret = is_pair && (names_secret("key") || names_secret("name"));
    object.retain(|key, value| {
        let is_secret = match key.as_str() {
            "value" => value_is_secret,
            "key" if is_pair => false,
            key => is_secret_key(key),
        };
        if !is_secret {
            forget_secrets_in(value);
        }
        !is_secret
    });
}

fn forget_secrets_in(value: &mut Value) {
    match value {
        Value::Object(object) => forget_secrets(object),
        Value::Array(list) => list.iter_mut().for_each(forget_secrets_in),
        _ => {}
    }
}

/// Parts of a secret's name, in any spelling: `pre_shared_key`, `preSharedKey`, `X-Auth-Token`.
const SECRET_PARTS: [&str; 13] = [
    "psk",
    "sharedkey",
    "privatekey",
    "apikey",
    "secret",
    "passw",
    "passphrase",
    "passcode",
    "token",
    "credential",
    "cookie",
    "authorization",
    "sessionid",
];

/// Last words of a secret's name. A name with the word `public`, such as `public_key`, is not secret.
const SECRET_ENDS: [&str; 4] = ["key", "keys", "pass", "pwd"];

/// Reports whether a value of this name must not be shown. Called for every key of every answer.
pub fn is_secret_key(key: &str) -> bool {
    // The words in lower case, concatenated, and where the last of them begins.
    let (mut words, mut last) = (String::with_capacity(key.len()), 0);
    let (mut begins, mut is_public) = (true, false);
    let mut before = ' ';
    for (at, c) in key.char_indices() {
        let next = key[at + c.len_utf8()..].chars().next();
        begins |= c.is_uppercase()
            && (before.is_lowercase() || next.is_some_and(char::is_lowercase))
            || !c.is_alphanumeric();
        if c.is_alphanumeric() {
            if std::mem::take(&mut begins) {
                is_public |= &words[last..] == "public";
                last = words.len();
            }
            match c.is_ascii() {
                true => words.push(c.to_ascii_lowercase()),
                false => words.extend(c.to_lowercase()),
            }
        }
        before = c;
    }
    let last = &words[last..];
    is_public |= last == "public";
    SECRET_ENDS.contains(&last) && !is_public || has_secret_part(words.as_bytes())
}

/// Searches for [`SECRET_PARTS`]. The searcher of `str::contains` would cost more to prepare than such short texts take.
fn has_secret_part(words: &[u8]) -> bool {
    let begins_here = |at: usize| {
        let rest = &words[at..];
        let mut parts = SECRET_PARTS.iter().map(|part| part.as_bytes());
        parts.any(|part| part[0] == rest[0] && rest.starts_with(part))
    };
    (0..words.len()).any(begins_here)
}

fn without_named_secrets(text: &str) -> String {
    if !text.contains([':', '=']) {
        return text.to_owned();
    }
    let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(is_of_name) {
        let name = &rest[begin..];
        let name = &name[..name.find(|c| !is_of_name(c)).unwrap_or(name.len())];
        let after = &rest[begin + name.len()..];
        let value = if is_secret_key(name) {
            value(name, after)
        } else {
            None
        };
        let (kept, left) = value.unwrap_or((0, 0));
        shown.push_str(&rest[..begin + name.len() + kept]);
        if value.is_some() {
            shown.push_str("***");
        }
        rest = &after[left..];
    }
    shown.push_str(rest);
    shown
}

/// Returns where in `after` the value of this name begins and ends. `None` if no `:` or `=` follows the name.
fn value(name: &str, after: &str) -> Option<(usize, usize)> {
    let separator = after.find(|c| !matches!(c, ' ' | '"' | '\'' | '\\'))?;
    let behind = after[separator..].strip_prefix([':', '='])?;
    let behind = behind.strip_prefix('>').unwrap_or(behind).trim_start();
    // String prefixes of Python.
    let value = match behind.strip_prefix(['u', 'b']) {
        Some(text) if text.starts_with(['"', '\'']) => text,
        _ => behind,
    };
    let at = after.len() - value.len();
    let slashes = value.len() - value.trim_start_matches('\\').len();
    if let Some(quote) = value[slashes..]
        .chars()
        .next()
        .filter(|c| matches!(c, '"' | '\''))
    {
        let begin = slashes + 1;
        return Some((
            at + begin,
            at + begin + quoted(&value[begin..], quote, slashes),
        ));
    }
    let end = match value.chars().next() {
        Some('[' | '{') => bracketed(value),
        // The value of such a header has several words.
        _ if is_secret_header(name) => value.len(),
        _ => value
            .find([' ', ',', '}', ']', ')', ';', '&'])
            .unwrap_or(value.len()),
    };
    Some((at, at + end))
}

fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with("authorization") || name.ends_with("cookie")
}

/// Returns the length of a quoted text. `opening` is the number of backslashes before its opening quote.
fn quoted(text: &str, quote: char, opening: usize) -> usize {
    let mut slashes = 0;
    for (at, c) in text.char_indices() {
        let is_end = match opening {
            0 => slashes % 2 == 0,
            _ => slashes == opening,
        };
        if c == quote && is_end {
            return at - opening;
        }
        slashes = if c == '\\' { slashes + 1 } else { 0 };
    }
    text.len()
}

/// Returns the length of a list or an object.
fn bracketed(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
        check("{u'psk': u'can\\'ary', 1}", "{u'psk': u'***', 1}");
        check(r#"{\"psk\": \"canary\", 1}"#, r#"{\"psk\": \"***\", 1}"#);
        check(
            r#"{"psk": "can\"ary\\", "a": 1}"#,
            r#"{"psk": "***", "a": 1}"#,
        );
        check(
            "j_username=a&j_password=canary&x=1",
            "j_username=a&j_password=***&x=1",
        );
        check("tokens are fine", "tokens are fine");
        check("PSK=canary", "PSK=***");
        check("preSharedKey => canary, x", "preSharedKey => ***, x");
        check("bad pre-shared key: canary", "bad pre-shared key: ***");
        check(
            "psks: ['canary', {'x': 'canary'}] and on",
            "psks: *** and on",
        );
        check("Authorization: Basic Y2FuYXJ5", "Authorization: ***");
        check("cookie: a=canary; b=canary", "cookie: ***");
        check("public_key: shown", "public_key: shown");
        check("psk", "psk");
        check("psk:", "psk:***");
    }

    #[test]
    fn a_secret_is_known_by_its_name() {
        for name in [
            "psk",
            "PSK",
            "psk_value",
            "pre_shared_key",
            "preSharedKey",
            "presharedkey",
            "pre-shared-key",
            "ikeKey",
            "APIKey",
            "key",
            "keys",
            "secret",
            "client_secret",
            "password",
            "j_password",
            "passwd",
            "pass",
            "passphrase",
            "token",
            "X-Auth-Token",
            "xsrfToken",
            "Set-Cookie",
            "JSESSIONID",
            "Authorization",
            "application_credential_secret",
        ] {
            assert!(is_secret_key(name), "{name}");
        }
        for name in [
            "public_key",
            "peerPublicKey",
            "keystone",
            "key_size",
            "monkey",
            "bypass",
            "authentication_mode",
            "auth_mode",
            "peer_id",
            "status",
            "",
        ] {
            assert!(!is_secret_key(name), "{name}");
        }
    }

    #[test]
    fn objects_lose_their_secrets_at_any_depth() {
        let object = json!({
            "psk": "canary", "a": [[{"preSharedKey": {"x": "canary"}, "b": 1}]], "public_key": "p",
            "pairs": [
                {"key": "psk", "value": "canary"}, {"name": "Password", "value": "canary"},
                {"key": "size", "value": 7}, {"key": "canary"},
            ],
        });
        let Value::Object(mut object) = object else {
            panic!("it is one")
        };
        forget_secrets(&mut object);
        assert_eq!(
            Value::Object(object),
            json!({
                "a": [[{"b": 1}]], "public_key": "p",
                "pairs": [{"key": "psk"}, {"name": "Password"}, {"key": "size", "value": 7}, {}],
            })
        );
    }

    #[test]
    fn text_is_bounded_and_readable() {
        assert_eq!(tidy("a\nb\0c", 10), "a b c");
        assert_eq!(tidy("a\u{202e}b\u{9b}c\u{200b}d", 20), "a b c d");
        assert_eq!(tidy("ääää", 5), "ää…");
    }

    #[test]
    fn words_that_may_quote_a_secret_are_withheld() {
        let shown = |text: &str| said(text, 40, &["can\nary-key"], &["0123456789abcdef"]);
        assert_eq!(shown("no such policy"), "no such policy");
        for quoting in [
            "bad ary-",
            "bad n\nar",
            "bad n ar",
            "bad WVhKNS1r YXJ5LWtleQ==",
            "bad 456789ab",
        ] {
            assert_eq!(shown(quoting), WITHHELD, "{quoting}");
        }
        assert_eq!(shown("bad 456789"), "bad 456789");
        assert_eq!(said("bad", 40, &["abc"], &["x"]), WITHHELD);
        assert_eq!(said("bad", 40, &[], &["x"]), "bad");
        assert_eq!(said("", 40, &["abc"], &[]), "");
    }

    /// A direct form of the rule, to compare with: splits the key into words, then checks the words.
    fn is_secret_by_words(key: &str) -> bool {
        let chars: Vec<char> = key.chars().collect();
        let mut words = vec![String::new()];
        for (at, c) in chars.iter().enumerate() {
            let before = if at > 0 { chars[at - 1] } else { ' ' };
            let next_is_small = chars.get(at + 1).is_some_and(|next| next.is_lowercase());
            let is_capital = c.is_uppercase() && (before.is_lowercase() || next_is_small);
            if is_capital || !c.is_alphanumeric() {
                words.push(String::new());
            }
            if c.is_alphanumeric() {
                words.last_mut().unwrap().extend(c.to_lowercase());
            }
        }
        words.retain(|word| !word.is_empty());
        let all = words.concat();
        let ends = words
            .last()
            .is_some_and(|last| SECRET_ENDS.contains(&last.as_str()));
        let is_public = words.iter().any(|word| word == "public");
        SECRET_PARTS.iter().any(|part| all.contains(part)) || ends && !is_public
    }

    proptest::proptest! {
        #[test]
        fn a_name_is_secret_by_its_words(
            key in "((p|P)ublic|[kK]ey(s)?|KEY|[pP]ass(w)?|pwd|[tT]oken|[pP]sk|[sS]hared|api|[a-cA-C]|[ÄäßIi̇İ]|[_. -]){0,6}",
        ) {
            proptest::prop_assert_eq!(is_secret_key(&key), is_secret_by_words(&key));
        }
    }
}
