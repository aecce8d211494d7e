//! Text from outside, made fit for people to read.

/// The text on one line and as it is shown: a blank for every character that moves the cursor, breaks the line,
/// turns the reading direction or shows as nothing.
///
/// Those are the control characters (C0, C1, DEL), the line and paragraph separators, and Unicode's format
/// characters, such as U+202E, U+200B and U+FEFF. They can make a terminal do things, or a text read as another.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if is_unseen(c) { ' ' } else { c })
        .collect()
}

/// General categories Cc, Cf, Zl and Zp of Unicode 17, and the block of tags as a whole.
fn is_unseen(c: char) -> bool {
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
}
