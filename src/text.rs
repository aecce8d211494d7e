//! Text from outside, made safe to show.

use std::borrow::Cow;

/// Puts the text on one line, with a blank for every character that moves the cursor, breaks the line, changes the
/// reading direction, or is invisible.
///
/// Those are the control characters (C0, C1, DEL), the line and paragraph separators, and Unicode's format characters,
/// such as U+202E, U+200B and U+FEFF. They can control a terminal, or make one text look like another.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if is_unseen(c) { ' ' } else { c })
        .collect()
}

/// Cleans text that the gateway has laid out. Line breaks and tabs stay, and so do escape sequences if `styled`. Text
/// from outside within it must already be clean of both.
pub fn clean_lines(text: &str, styled: bool) -> Cow<'_, str> {
    let goes = |c: char| is_unseen(c) && c != '\n' && c != '\t' && !(styled && c == '\u{1b}');
    match text.contains(goes) {
        true => text
            .chars()
            .map(|c| if goes(c) { ' ' } else { c })
            .collect(),
        false => Cow::Borrowed(text),
    }
}

/// Cleans JSON. Nothing is lost, because such characters become `\u` escapes.
pub fn clean_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_unseen) {
        return Cow::Borrowed(json);
    }
    let mut clean = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unseen(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                clean.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

/// Reports whether the character moves the cursor, breaks the line, changes the reading direction, or is invisible:
/// general categories Cc, Cf, Zl and Zp of Unicode 17, other characters that show as nothing, and the whole block of
/// tags.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_hides_or_turns_text_is_a_blank() {
        assert_eq!(clean("a\x1b[2Jb\nc\u{7f}"), "a [2Jb c ");
        for unseen in [
            '\u{9b}',
            '\u{85}',
            '\u{ad}',
            '\u{61c}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            assert_eq!(
                clean(&format!("a{unseen}b")),
                "a b",
                "U+{:04X}",
                u32::from(unseen)
            );
        }
        assert_eq!(
            clean("Größe – 東京 e\u{301} 🙂"),
            "Größe – 東京 e\u{301} 🙂"
        );
    }

    #[test]
    fn what_is_laid_out_keeps_its_lines_and_json_its_meaning() {
        assert_eq!(clean_lines("a\nb\u{202e}\x1b[1m", true), "a\nb \x1b[1m");
        assert_eq!(clean_lines("a\nb\u{9b}\x1b[1m", false), "a\nb  [1m");
        let text = "a\u{202e}b\u{200b}\u{e0041}\u{9b}ü";
        let json = serde_json::Value::from(text).to_string();
        let cleaned = clean_json(&json);
        assert_eq!(cleaned, "\"a\\u202eb\\u200b\\udb40\\udc41\\u009bü\"");
        assert_eq!(serde_json::from_str::<String>(&cleaned).unwrap(), text);
    }
}
