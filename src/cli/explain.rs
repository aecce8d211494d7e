//! `explain`: what a reason means, and what to do about it.

use crate::{
    cli::{
        exit::Exit,
        reasons::{Explanation, RESULTS, of_error, of_result, of_state},
        text::{Style, clean, table},
    },
    core::error::ErrorReason,
    model::codes,
};
use std::io::{self, Write};

/// Explains one reason, or lists all.
pub fn run(reason: Option<&str>) -> Exit {
    let style = Style::of_stdout();
    let text = match reason {
        None => list(style),
        Some(reason) => match explain(reason, style) {
            Some(text) => text,
            None => {
                eprintln!(
                    "isthmus: the gateway gives no reason `{}`; `isthmus explain` lists all. Beside a state it may be \
                     the cloud's own word, which is passed on as it is",
                    clean(reason)
                );
                return Exit::Usage;
            }
        },
    };
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => Exit::Done,
        // The reader of the output closed the pipe.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => {
            eprintln!("isthmus: could not print: {error}");
            Exit::CouldNotAsk
        }
    }
}

/// Returns the lines below an error with this reason: what to do, and where to read more. Returns none for a reason
/// that this build does not know, such as one from a newer gateway.
pub fn hint(reason: &str) -> Vec<String> {
    let Some(error) = error_reason(reason) else {
        return Vec::new();
    };
    vec![
        format!("  what to do: {}", of_error(error).caller),
        format!("  `isthmus explain {reason}` says more"),
    ]
}

/// Returns the explanation of a reason, in any case and with `-` or `_`, or `None` if there is no such reason.
fn explain(reason: &str, style: Style) -> Option<String> {
    let code = reason.trim().to_uppercase().replace('-', "_");
    let places = [
        ("the reason of an error", error_reason(&code).map(of_error)),
        ("the reason of a state", of_state(&code)),
        ("the result of a watch", of_result(&code)),
    ];
    let parts: Vec<String> = places
        .into_iter()
        .filter_map(|(place, explanation)| Some((place, explanation?)))
        .map(|(place, explanation)| {
            let heading = format!("{}, as {place}", style.bold(&code));
            format!("{heading}\n{}", paragraphs(&explanation))
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join("\n\n"))
}

fn paragraphs(explanation: &Explanation) -> String {
    [
        ("what it means", explanation.meaning),
        ("what you can do", explanation.caller),
        ("what the operator can do", explanation.operator),
    ]
    .map(|(label, text)| format!("  {label}:\n{}", wrapped(text)))
    .join("\n")
}

fn list(style: Style) -> String {
    let errors: Vec<Vec<String>> = ErrorReason::ALL
        .iter()
        .map(|reason| vec![reason.to_string(), first_sentence(of_error(*reason))])
        .collect();
    let states: Vec<Vec<String>> = codes::ALL
        .iter()
        .filter_map(|code| Some(vec![(*code).to_owned(), first_sentence(of_state(code)?)]))
        .collect();
    let results: Vec<Vec<String>> = RESULTS
        .iter()
        .filter_map(|code| Some(vec![(*code).to_owned(), first_sentence(of_result(code)?)]))
        .collect();
    [
        table(&["REASON OF AN ERROR", "MEANS"], &errors, style),
        table(&["REASON OF A STATE", "MEANS"], &states, style),
        table(&["RESULT OF A WATCH", "MEANS"], &results, style),
    ]
    .join("\n\n")
}

fn first_sentence(explanation: Explanation) -> String {
    let end = explanation.meaning.find(". ");
    let sentence = end.map_or(explanation.meaning, |end| &explanation.meaning[..end]);
    sentence.trim_end_matches('.').to_owned()
}

fn error_reason(code: &str) -> Option<ErrorReason> {
    ErrorReason::ALL
        .into_iter()
        .find(|reason| reason.as_str() == code)
}

/// Wraps text into indented lines of readable length.
fn wrapped(text: &str) -> String {
    const WIDTH: usize = 92;
    const INDENT: &str = "    ";
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > WIDTH {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            let blank = if line.is_empty() { INDENT } else { " " };
            line.push_str(blank);
            line.push_str(word);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_reason() -> Vec<&'static str> {
        let errors = ErrorReason::ALL.iter().map(|reason| reason.as_str());
        let states = codes::ALL.iter().copied();
        errors.chain(states).chain(RESULTS).collect()
    }

    #[test]
    fn every_reason_is_explained() {
        for reason in every_reason() {
            let text = explain(reason, Style::Plain).unwrap_or_else(|| panic!("{reason}"));
            assert!(text.starts_with(reason), "{text}");
            for label in [
                "what it means:\n    ",
                "you can do:\n    ",
                "operator can do:\n    ",
            ] {
                assert!(text.contains(label), "{text}");
            }
            assert!(
                text.lines().all(|line| line.chars().count() <= 100),
                "{text}"
            );
            assert!(
                list(Style::Plain).contains(&format!("\n{reason} ")),
                "{reason}"
            );
        }
    }

    #[test]
    fn explanations_are_sentences() {
        let errors = ErrorReason::ALL.into_iter().map(of_error);
        let states = codes::ALL.iter().filter_map(|code| of_state(code));
        let results = RESULTS.iter().filter_map(|code| of_result(code));
        for explanation in errors.chain(states).chain(results) {
            let Explanation {
                meaning,
                caller,
                operator,
            } = explanation;
            for text in [meaning, caller, operator] {
                assert!(text.ends_with('.') && !text.contains("  "), "{text}");
                assert!(text.starts_with(|c: char| c.is_uppercase()), "{text}");
            }
        }
    }

    #[test]
    fn a_reason_of_both_is_explained_as_both() {
        let text = explain("upstream-auth", Style::Plain).unwrap();
        assert!(
            text.starts_with("UPSTREAM_AUTH, as the reason of an error\n"),
            "{text}"
        );
        assert!(
            text.contains("\n\nUPSTREAM_AUTH, as the reason of a state\n"),
            "{text}"
        );
        assert_eq!(explain("VM_DEPLOYMENT_FAILED", Style::Plain), None);
        assert_eq!(explain("", Style::Plain), None);
    }

    #[test]
    fn every_error_says_what_to_do() {
        for reason in ErrorReason::ALL {
            let hint = hint(reason.as_str());
            assert!(hint[0].contains(of_error(reason).caller), "{hint:?}");
            assert!(
                hint[1].contains(&format!("`isthmus explain {reason}`")),
                "{hint:?}"
            );
        }
        assert_eq!(hint("OF_A_NEWER_GATEWAY"), Vec::<String>::new());
    }
}
