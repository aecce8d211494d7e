//! Detects whether a text quotes a secret, in any form in which a cloud may return what it was sent.
//!
//! Each position of the text is decoded in each form, as if a quotation began there. The surrounding text, the quoted
//! part of the secret, and its offset in a longer base64 string therefore do not matter.

use crate::text::clean;
use std::collections::HashSet;

/// Consecutive bytes of a secret that count as a quotation.
const RUN: usize = 4;

/// The same for tokens. Answers contain so many token-like characters that shorter runs match by chance.
const TOKEN_RUN: usize = 8;

/// Reports whether `text` contains four consecutive bytes of one of the `secrets`, either literally or decoded once
/// from percent encoding, JSON or Python escapes, hexadecimal digits or base64.
///
/// A secret shorter than that cannot be recognized, so any text counts as quoting it.
pub fn quotes(text: &str, secrets: &[&str]) -> bool {
    let is_short = |secret: &&str| (1..RUN).contains(&secret.len());
    !text.is_empty() && (secrets.iter().any(is_short) || quotes_run(text, secrets, RUN))
}

/// Reports the same for tokens, which are long and belong to the gateway: eight consecutive bytes count, and shorter
/// tokens are ignored.
pub fn quotes_token(text: &str, tokens: &[&str]) -> bool {
    quotes_run(text, tokens, TOKEN_RUN)
}

/// Reports whether the text quotes `run` consecutive bytes of one of the secrets. `run` is at most sixteen.
fn quotes_run(text: &str, secrets: &[&str], run: usize) -> bool {
    let long = secrets.iter().copied().filter(|secret| secret.len() >= run);
    let secrets: Vec<&str> = long.collect();
    if secrets.is_empty() {
        return false;
    }
    // A text is shown cleaned, so a secret may appear in its cleaned form.
    let cleaned: Vec<String> = secrets.iter().map(|secret| clean(secret)).collect();
    let all = secrets
        .into_iter()
        .chain(cleaned.iter().map(String::as_str));
    let pieces: HashSet<&[u8]> = all.flat_map(|it| it.as_bytes().windows(run)).collect();
    let text = text.as_bytes();
    (0..text.len()).any(|at| {
        READERS.iter().any(|read| {
            let told = told(text, at, run, *read);
            told.is_some_and(|told| pieces.contains(&told[..run]))
        }) || base64(text, at, run, &pieces)
    })
}

/// Decodes one character at a position and returns the next position. `None` if the text there is not in the reader's
/// form.
type Reader = fn(&[u8], usize) -> Option<(Char, usize)>;

const READERS: [Reader; 6] = [
    plain,
    |text, at| percent(text, at, b' '),
    |text, at| percent(text, at, b'+'),
    |text, at| escaped(text, at, 1),
    |text, at| escaped(text, at, 2),
    hexadecimal,
];

/// A character, or one byte of it.
#[derive(Clone, Copy, Default)]
struct Char {
    bytes: [u8; 4],
    length: usize,
}

impl From<u8> for Char {
    fn from(byte: u8) -> Char {
        Char {
            bytes: [byte, 0, 0, 0],
            length: 1,
        }
    }
}

impl From<char> for Char {
    fn from(char: char) -> Char {
        let mut bytes = [0; 4];
        let length = char.encode_utf8(&mut bytes).len();
        Char { bytes, length }
    }
}

/// Decodes at least `run` bytes from this position.
fn told(text: &[u8], mut at: usize, run: usize, read: Reader) -> Option<[u8; 20]> {
    let (mut told, mut length) = ([0; 20], 0);
    while length < run {
        let (char, next) = read(text, at)?;
        told[length..length + char.length].copy_from_slice(&char.bytes[..char.length]);
        (length, at) = (length + char.length, next);
    }
    Some(told)
}

fn plain(text: &[u8], at: usize) -> Option<(Char, usize)> {
    Some(((*text.get(at)?).into(), at + 1))
}

/// Percent encoding. `+` is a space in a query, and literal in a path.
fn percent(text: &[u8], at: usize, plus: u8) -> Option<(Char, usize)> {
    match *text.get(at)? {
        b'%' => match pair(text, at + 1) {
            Some(byte) => Some((byte.into(), at + 3)),
            None => Some((b'%'.into(), at + 1)),
        },
        b'+' => Some((plus.into(), at + 1)),
        byte => Some((byte.into(), at + 1)),
    }
}

/// Escapes of a JSON, Python or Rust string, nested `level` times.
fn escaped(text: &[u8], at: usize, level: u32) -> Option<(Char, usize)> {
    let slashes = slashes(text, at);
    let one = 1 << level;
    if slashes == 0 || slashes >= one {
        return Some(((*text.get(at)?).into(), at + slashes.clamp(1, one)));
    }
    let at = at + slashes;
    let code = |digits: usize| number(text.get(at + 1..at + 1 + digits)?);
    let char = |char: char| Some((char.into(), at + 1));
    match *text.get(at)? {
        b'n' => char('\n'),
        b'r' => char('\r'),
        b't' => char('\t'),
        b'b' => char('\u{8}'),
        b'f' => char('\u{c}'),
        b'0' => char('\0'),
        b'x' => Some((pair(text, at + 1)?.into(), at + 3)),
        b'U' => Some((char::from_u32(code(8)?)?.into(), at + 9)),
        b'u' if text.get(at + 1) == Some(&b'{') => {
            let digits = text[at + 2..]
                .iter()
                .take(8)
                .position(|byte| *byte == b'}')?;
            let code = number(&text[at + 2..at + 2 + digits])?;
            Some((char::from_u32(code)?.into(), at + 3 + digits))
        }
        b'u' => {
            let (first, next) = (code(4)?, at + 5);
            if let Some(char) = char::from_u32(first) {
                return Some((char.into(), next));
            }
            // The first half of a surrogate pair; the other half is escaped the same way.
            let other = next + self::slashes(text, next);
            let second = number(text.get(other + 1..other + 5)?)?;
            let both =
                char::decode_utf16([u16::try_from(first).ok()?, u16::try_from(second).ok()?])
                    .next()?;
            Some((both.ok()?.into(), other + 5))
        }
        byte => Some((byte.into(), at + 1)),
    }
}

/// Pairs of digits, with or without separators: `6b65`, `6b:65`, `0x6b, 0x65`, `\x6b\x65`.
fn hexadecimal(text: &[u8], at: usize) -> Option<(Char, usize)> {
    let byte = pair(text, at)?;
    let mut next = at + 2;
    let between = text[next..].iter().take(4);
    next += between
        .take_while(|byte| !byte.is_ascii_alphanumeric())
        .count();
    next += match text.get(next..) {
        Some([b'0', b'x' | b'X', ..]) => 2,
        Some([b'x' | b'X', ..]) => 1,
        _ => 0,
    };
    Some((byte.into(), next))
}

/// Reports whether the base64 at this position decodes to one of the pieces. A byte may begin at any even bit of a
/// digit.
fn base64(text: &[u8], mut at: usize, run: usize, pieces: &HashSet<&[u8]>) -> bool {
    let (mut bits, mut length) = (0_u128, 0);
    // At most sixteen bytes, with up to four bits before them and six after. Excess bits are shifted out on the left.
    while length < 8 * run + 4 {
        let Some((value, next)) = sextet(text, at) else {
            break;
        };
        (bits, length, at) = (bits << 6 | u128::from(value), length + 6, next);
    }
    [0, 2, 4].into_iter().any(|before| {
        let Some(behind) = length.checked_sub(8 * run + before) else {
            return false;
        };
        let bytes = (bits >> behind).to_be_bytes();
        pieces.contains(&bytes[bytes.len() - run..])
    })
}

/// Decodes a base64 digit of either alphabet. Skips line breaks, and decodes digits that a URL or JSON escapes.
fn sextet(text: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        match text.get(at..)? {
            [b'\r' | b'\n', ..] => at += 1,
            [b'\\', b'r' | b'n', ..] => at += 2,
            [b'\\', b'/', ..] => at += 1,
            _ => break,
        }
    }
    let (sign, next) = match (*text.get(at)?, pair(text, at + 1)) {
        (b'%', Some(byte)) => (byte, at + 3),
        (byte, _) => (byte, at + 1),
    };
    let value = match sign {
        b'A'..=b'Z' => sign - b'A',
        b'a'..=b'z' => sign - b'a' + 26,
        b'0'..=b'9' => sign - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some((value, next))
}

fn slashes(text: &[u8], at: usize) -> usize {
    text[at..].iter().take_while(|byte| **byte == b'\\').count()
}

/// Parses two hexadecimal digits.
fn pair(text: &[u8], at: usize) -> Option<u8> {
    let byte = number(text.get(at..at + 2)?)?;
    u8::try_from(byte).ok()
}

/// Parses up to eight hexadecimal digits.
fn number(digits: &[u8]) -> Option<u32> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    u32::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{
        Engine,
        prelude::{
            BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD,
        },
    };
    use proptest::prelude::*;

    /// Returns every form in which a cloud may return what it was sent.
    fn forms(told: &str, around: (&str, &str)) -> Vec<(&'static str, String)> {
        let bytes = told.as_bytes();
        let hex = |with: &dyn Fn(u8) -> String, between: &str| {
            let pairs: Vec<String> = bytes.iter().map(|byte| with(*byte)).collect();
            pairs.join(between)
        };
        let lower = |byte: u8| format!("{byte:02x}");
        let upper = |byte: u8| format!("{byte:02X}");
        let units = |prefix: &str| -> String {
            let units = told.encode_utf16();
            units.map(|unit| format!("{prefix}{unit:04x}")).collect()
        };
        let within = format!("{}{told}{}", around.0, around.1);
        let query: String = reqwest::Url::parse_with_params("x:?", [("k", told)])
            .unwrap()
            .query()
            .unwrap_or_default()
            .to_owned();
        let json = serde_json::Value::from(told).to_string();
        let base64 = BASE64_STANDARD.encode(&within);
        vec![
            ("as it is", told.to_owned()),
            ("percent", hex(&|byte| format!("%{byte:02X}"), "")),
            (
                "percent, lower case",
                hex(&|byte| format!("%{byte:02x}"), ""),
            ),
            ("a query", query),
            ("hex", hex(&lower, "")),
            ("hex, upper case", hex(&upper, "")),
            ("hex with colons", hex(&lower, ":")),
            ("hex with blanks", hex(&upper, " ")),
            ("hex of a dump", hex(&|byte| format!("0x{byte:02x}"), ", ")),
            ("hex of Python", hex(&|byte| format!("\\x{byte:02x}"), "")),
            ("JSON", json[1..json.len() - 1].to_owned()),
            ("JSON twice", serde_json::Value::from(json).to_string()),
            ("JSON, escaped", units("\\u")),
            ("JSON, escaped twice", units("\\\\u")),
            (
                "Python",
                format!("{told:?}").replace("\\'", "'").replace('\'', "\\'"),
            ),
            ("base64", BASE64_STANDARD.encode(told)),
            (
                "base64 without padding",
                BASE64_STANDARD_NO_PAD.encode(told),
            ),
            ("base64 of more", base64.clone()),
            ("base64 for URLs", BASE64_URL_SAFE.encode(&within)),
            (
                "base64 for URLs without padding",
                BASE64_URL_SAFE_NO_PAD.encode(&within),
            ),
            (
                "base64 in a query",
                base64
                    .replace('+', "%2B")
                    .replace('/', "%2F")
                    .replace('=', "%3D"),
            ),
            ("base64 in JSON", base64.replace('/', "\\/")),
            ("base64 in lines", {
                let lines: Vec<&str> = base64
                    .as_bytes()
                    .chunks(19)
                    .map(|line| std::str::from_utf8(line).unwrap())
                    .collect();
                lines.join("\r\n")
            }),
        ]
    }

    /// Generates a key and a piece of it of at least four characters.
    fn key_and_piece() -> impl Strategy<Value = (String, String)> {
        let plain = "[ -~]{4,40}";
        let any = prop::collection::vec(any::<char>(), 4..20).prop_map(String::from_iter);
        prop_oneof![3 => plain.prop_map(String::from), 1 => any]
            .prop_flat_map(|key| {
                let length = key.chars().count();
                (Just(key), 0..=length - 4, 4..=length)
            })
            .prop_map(|(key, from, most)| {
                let piece = key.chars().skip(from).take(most).collect();
                (key, piece)
            })
    }

    #[test]
    fn ordinary_words_quote_nothing_and_a_short_key_always_may() {
        let key = "5f2d7a90c1b3";
        for words in [
            "",
            "Invalid input for mtu. Reason: '12' is not in valid range.",
            "IPsecSiteConnection 7b0c3f1e-9a52-4d5e-8b1a-0d7e4f5a6b21 could not be found.",
            "5f2 d7a 90c 1b3",
        ] {
            assert!(!quotes(words, &[key, ""]), "{words}");
        }
        assert!(quotes("bad", &["abc"]) && !quotes("", &["abc"]) && !quotes("bad", &[""]));
        assert!(quotes_token("5f2d7a90", &[key]) && !quotes_token("5f2d7a9", &[key, "5f2"]));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_piece_of_a_key_is_known_in_every_form_and_surrounding(
            (key, piece) in key_and_piece(),
            before in prop_oneof!["[ -~]{0,12}", "[0-9a-fA-F%x\\\\+/ :]{0,12}"],
            after in prop_oneof!["[ -~]{0,12}", "[0-9a-fA-F%x\\\\+/ :]{0,12}"],
        ) {
            for (form, told) in forms(&piece, (&before, &after)) {
                let text = format!("{before}{told}{after}");
                prop_assert!(quotes(&text, &["other-secret", &key]), "{form}: {text:?} of {key:?}");
            }
        }
    }
}
