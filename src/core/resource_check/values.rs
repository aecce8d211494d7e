//! Checks of single values: a text, an enum value, a list of enum values, a lifetime.

use crate::model::{algorithm::Named, policy::Lifetime};
use std::ops::RangeInclusive;

/// The result of checking one field.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Whether the field is set.
    pub is_set: bool,
    /// Whether the value matches the behavior of a backend without this field.
    pub is_so_anyway: bool,
    /// What is wrong with the value on a backend with this field, and what is accepted.
    pub wrong: Option<String>,
    /// What is accepted, if that can be told; otherwise empty.
    pub accepted: String,
}

/// Checks only whether a field is set.
pub fn anything(is_set: bool) -> Said {
    Said {
        is_set,
        ..Said::default()
    }
}

/// Checks a field whose default is true. `can_be_false` says whether it can be switched off.
pub fn truth(value: Option<bool>, can_be_false: bool) -> Said {
    let refused = value == Some(false) && !can_be_false;
    Said {
        is_set: value.is_some(),
        is_so_anyway: value == Some(true),
        wrong: refused.then(|| "this backend cannot switch it off; accepts true".to_owned()),
        ..Said::default()
    }
}

/// Checks the number of characters of a text.
pub fn text(value: &str, length: &RangeInclusive<usize>) -> Said {
    let count = value.chars().count();
    let wrong = (!length.contains(&count)).then(|| {
        let (least, most) = (length.start(), length.end());
        format!("has {count} characters; accepts {least} to {most}")
    });
    Said {
        is_set: !value.is_empty(),
        wrong,
        ..Said::default()
    }
}

/// Checks that a value is one of those taken.
pub fn one<T: Named>(value: Option<T>, taken: &[T]) -> Said {
    let accepted = accepted("", taken);
    let refused = value.filter(|value| !taken.contains(value));
    Said {
        is_set: value.is_some(),
        wrong: refused.map(|value| format!("{}; {accepted}", not_taken(&[value]))),
        accepted,
        ..Said::default()
    }
}

/// Checks that a list has at most `most` values, each of them taken and without duplicates. An undocumented value,
/// `None`, can only be given where it is there already, which `may_be_there` says is possible. Then nothing of the list
/// is judged here.
pub fn list<T: Named>(values: &[Option<T>], taken: &[T], most: usize, may_be_there: bool) -> Said {
    let accepted = accepted_of(taken, most);
    let unspecified = values.contains(&None);
    let mut wrong = Vec::new();
    if unspecified {
        wrong.push(format!("{} stands for no value", T::UNSPECIFIED));
    }
    let known: Vec<T> = values.iter().copied().flatten().collect();
    // Each value is reported once, which bounds the message.
    let refused: Vec<T> = T::ALL
        .iter()
        .copied()
        .filter(|value| known.contains(value) && !taken.contains(value))
        .collect();
    if !refused.is_empty() {
        wrong.push(not_taken(&refused));
    }
    for value in T::ALL {
        if known.iter().filter(|it| *it == value).count() > 1 {
            wrong.push(format!("{} comes more than once", value.as_str()));
        }
    }
    if values.len() > most {
        wrong.push(format!("has {} values", values.len()));
    }
    if unspecified && may_be_there {
        wrong.clear();
    }
    Said {
        is_set: !values.is_empty(),
        wrong: (!wrong.is_empty()).then(|| format!("{}; {accepted}", wrong.join("; "))),
        accepted,
        ..Said::default()
    }
}

/// Says what a list of at most `most` values accepts.
pub fn accepted_of<T: Named>(taken: &[T], most: usize) -> String {
    match most {
        1 => accepted("one of ", taken),
        // Duplicates are refused, so a list cannot be longer anyway.
        most if most > taken.len() => accepted("", taken),
        most => accepted(&format!("at most {most} of "), taken),
    }
}

/// Checks that no text comes twice.
pub fn texts(values: &[String]) -> Said {
    let mut sorted: Vec<&String> = values.iter().collect();
    sorted.sort();
    let twice = sorted.windows(2).find(|pair| pair[0] == pair[1]);
    let wrong = twice.map(|pair| {
        // Keeps the message short, however long the text is.
        let shown: String = pair[0].chars().take(64).collect();
        format!("`{shown}` comes more than once; accepts each once")
    });
    Said {
        is_set: !values.is_empty(),
        wrong,
        ..Said::default()
    }
}

/// Checks a lifetime: seconds within `seconds`, or kilobytes if the backend counts them.
pub fn lifetime(
    value: Option<Lifetime>,
    seconds: Option<&RangeInclusive<u64>>,
    kilobytes: bool,
) -> Said {
    let times = seconds.map(|range| format!("`time` from {} to {} s", range.start(), range.end()));
    let volumes = kilobytes.then(|| "`kilobytes`".to_owned());
    let each: Vec<String> = times.into_iter().chain(volumes).collect();
    let accepted = match each.is_empty() {
        true => "leave it unset".to_owned(),
        false => format!("accepts {}", each.join(" or ")),
    };
    let wrong = match value {
        None => None,
        Some(Lifetime::Seconds(time)) => match seconds {
            Some(range) if range.contains(&time) => None,
            _ => Some(format!("`time` is {time} s; {accepted}")),
        },
        Some(Lifetime::Kilobytes(_)) if kilobytes => None,
        Some(Lifetime::Kilobytes(_)) => Some(format!(
            "this backend does not count `kilobytes`; {accepted}"
        )),
    };
    Said {
        is_set: value.is_some(),
        wrong,
        accepted,
        ..Said::default()
    }
}

fn not_taken<T: Named>(values: &[T]) -> String {
    format!("this backend does not take {}", names(values))
}

fn accepted<T: Named>(how_many: &str, taken: &[T]) -> String {
    match taken {
        [] => "leave it unset".to_owned(),
        taken => format!("accepts {how_many}{}", names(taken)),
    }
}

fn names<T: Named>(values: &[T]) -> String {
    let names: Vec<&str> = values.iter().map(|value| value.as_str()).collect();
    names.join(", ")
}
