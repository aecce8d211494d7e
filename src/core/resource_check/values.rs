//! What one field says, and what is wrong with that: what is checked of a text, a value of an enum, a list of them.

use crate::model::{algorithm::Named, policy::Lifetime};
use std::ops::RangeInclusive;

/// What a resource says in one field.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Whether it says anything.
    pub is_set: bool,
    /// What it says is so on a backend that has no such field.
    pub is_so_anyway: bool,
    /// What is wrong with it where the field is taken, and what would be accepted.
    pub wrong: Option<String>,
    /// What would be accepted, if that can be told; else empty.
    pub accepted: String,
}

/// A field of which nothing is checked here but whether it is there.
pub fn anything(is_set: bool) -> Said {
    Said {
        is_set,
        ..Said::default()
    }
}

/// A field whose true goes without saying; `can_be_false` if it can also be false.
pub fn truth(value: Option<bool>, can_be_false: bool) -> Said {
    let refused = value == Some(false) && !can_be_false;
    Said {
        is_set: value.is_some(),
        is_so_anyway: value == Some(true),
        wrong: refused.then(|| "this backend cannot switch it off; accepts true".to_owned()),
        ..Said::default()
    }
}

/// A text of so many characters.
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

/// One of the values that are taken.
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

/// Some of the values that are taken, at most `most`, each once. A value that nobody documented, `None`, can only be said
/// where one is already, which `may_be_there` tells: then nothing is known of the list here.
pub fn list<T: Named>(values: &[Option<T>], taken: &[T], most: usize, may_be_there: bool) -> Said {
    let accepted = accepted_of(taken, most);
    let unspecified = values.contains(&None);
    let mut wrong = Vec::new();
    if unspecified {
        wrong.push(format!("{} stands for no value", T::UNSPECIFIED));
    }
    let known: Vec<T> = values.iter().copied().flatten().collect();
    // Each value is told once, so that what is said is bounded by how many there are.
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

/// What a list accepts of which so many are taken.
pub fn accepted_of<T: Named>(taken: &[T], most: usize) -> String {
    match most {
        1 => accepted("one of ", taken),
        // Each once, so there cannot be more anyway.
        most if most > taken.len() => accepted("", taken),
        most => accepted(&format!("at most {most} of "), taken),
    }
}

/// Texts, each once.
pub fn texts(values: &[String]) -> Said {
    let mut sorted: Vec<&String> = values.iter().collect();
    sorted.sort();
    let twice = sorted.windows(2).find(|pair| pair[0] == pair[1]);
    let wrong = twice.map(|pair| {
        // What is said is not as long as what was sent may be.
        let shown: String = pair[0].chars().take(64).collect();
        format!("`{shown}` comes more than once; accepts each once")
    });
    Said {
        is_set: !values.is_empty(),
        wrong,
        ..Said::default()
    }
}

/// How long something lives: seconds within these, and kilobytes if it can be told in them.
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
