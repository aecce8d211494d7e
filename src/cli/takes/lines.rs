//! The answers of backends as text for people: a table, and details below it.

use crate::{
    cli::{
        explain,
        takes::answer::{Taken, Takes},
        text::{Style, clean, table},
        write::warning,
    },
    grpc::pb::PlannedStep,
};

/// Formats the table and the details.
pub fn all(answers: &[Taken], with_stand_in: bool, style: Style) -> String {
    let first = answers.first().map(|taken| taken.connection.as_str());
    let several = answers
        .iter()
        .any(|taken| Some(taken.connection.as_str()) != first);
    let mut heading = vec!["BACKEND", "TAKES IT"];
    if several {
        heading.insert(0, "CONNECTION");
    }
    let rows: Vec<Vec<String>> = answers
        .iter()
        .map(|taken| {
            let cells = [&taken.connection, &taken.backend, taken.takes.words()];
            let cells = cells.into_iter().skip(usize::from(!several));
            cells.map(clean).collect()
        })
        .collect();
    let mut lines = vec![table(&heading, &rows, style)];
    for taken in answers {
        let whose = match several {
            true => format!("{} on {}", clean(&taken.connection), clean(&taken.backend)),
            false => clean(&taken.backend),
        };
        lines.push(String::new());
        lines.push(format!("{}: {}", style.bold(&whose), clean(&taken.result)));
        lines.extend(details(taken).iter().map(|line| format!("  {line}")));
    }
    if with_stand_in {
        lines.push(String::new());
        lines.push(
            "The key is not known here, so a stand-in was asked with: whether a backend takes the key itself is not said."
                .to_owned(),
        );
    }
    lines.join("\n")
}

fn details(taken: &Taken) -> Vec<String> {
    let mut lines = steps(&taken.plan);
    lines.extend(taken.warnings.iter().map(warning));
    if taken.takes == Takes::OnceAttached {
        let options = taken.missing.iter().map(|field| option(field));
        lines.push(format!(
            "give {} with the backend, or {} in the file below `backends`; there are: isthmus list attachments {}",
            options.collect::<Vec<_>>().join(" and "),
            taken.missing.join(" and "),
            clean(&taken.backend)
        ));
        return lines;
    }
    let violations = taken.violations.iter();
    lines.extend(violations.map(|(field, why)| format!("{}: {}", clean(field), clean(why))));
    lines.extend(taken.notes.iter().map(|note| clean(note)));
    // The violation of a field already says what would be right.
    if taken.violations.is_empty() || taken.result == "REPLACEMENT_NEEDED" {
        lines.extend(
            explain::hint(&taken.result)
                .iter()
                .map(|it| it.trim().to_owned()),
        );
    }
    lines
}

/// Spells a field as an option: `localAddress` as `--local-address`.
fn option(field: &str) -> String {
    let mut option = String::from("--");
    for letter in field.chars() {
        if letter.is_ascii_uppercase() {
            option.push('-');
        }
        option.push(letter.to_ascii_lowercase());
    }
    option
}

/// Formats the steps of a plan, consecutive steps of one action on one line.
fn steps(plan: &[PlannedStep]) -> Vec<String> {
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    for step in plan {
        let action = step.action().as_str_name();
        let action = action.trim_start_matches("ACTION_").to_lowercase();
        let mut what = clean(&step.collection);
        if !step.fields.is_empty() {
            what.push_str(&format!(" ({})", clean(&step.fields.join(", "))));
        }
        match lines.last_mut() {
            Some((last, objects)) if *last == action => objects.push(what),
            _ => lines.push((action, vec![what])),
        }
    }
    let line =
        |(action, objects): (String, Vec<String>)| format!("{action} {}", objects.join(", "));
    lines.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::pb::planned_step::Action;

    #[test]
    fn steps_of_one_action_are_one_line() {
        let step = |action: Action, collection: &str, fields: &[&str]| PlannedStep {
            action: action.into(),
            collection: collection.to_owned(),
            fields: fields.iter().map(|it| (*it).to_owned()).collect(),
            ..PlannedStep::default()
        };
        let plan = [
            step(Action::Reuse, "ikePolicies", &[]),
            step(Action::Create, "ipsecPolicies", &[]),
            step(Action::Create, "connections", &[]),
            step(Action::Update, "peerEndpoints", &["peer.address", "dpd"]),
        ];
        assert_eq!(
            steps(&plan),
            [
                "reuse ikePolicies",
                "create ipsecPolicies, connections",
                "update peerEndpoints (peer.address, dpd)"
            ]
        );
    }

    #[test]
    fn several_connections_are_told_apart() {
        let taken = |connection: &str, takes: Takes| Taken {
            takes,
            result: "x".to_owned(),
            ..Taken::of(connection.to_owned(), "b")
        };
        let one = [taken("a", Takes::Yes)];
        assert_eq!(
            all(&one, false, Style::Plain),
            "BACKEND  TAKES IT\nb        yes\n\nb: x"
        );
        let two = [
            taken("a", Takes::Yes),
            Taken {
                notes: vec!["why".to_owned()],
                ..taken("c", Takes::No)
            },
        ];
        assert_eq!(
            all(&two, false, Style::Plain),
            "CONNECTION  BACKEND  TAKES IT\n\
             a           b        yes\n\
             c           b        no\n\
             \n\
             a on b: x\n\
             \n\
             c on b: x\n  why"
        );
    }
}
