//! What is wrong with a configuration, and where.

use std::{fmt, ops::Range};

/// One problem, and what is accepted instead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where the problem is; `None` if it concerns the whole file.
    pub position: Option<Position>,
    /// What is wrong and what is accepted. Never holds a secret.
    pub message: String,
}

impl Problem {
    /// The place as compilers write it: `isthmus.toml:3:1`.
    pub fn place(&self, file: &str) -> String {
        match self.position {
            Some(Position { line, column }) => format!("{file}:{line}:{column}"),
            None => file.to_owned(),
        }
    }
}

/// A place in a text. Both fields count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    /// The character within the line.
    pub column: usize,
}

impl Position {
    /// The position of the byte `offset` in `text`.
    pub fn of(text: &str, offset: usize) -> Position {
        // The parser's offset should be on a character boundary. If it is not, the line is still right.
        let before = text.get(..offset.min(text.len())).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    pub(crate) fn of_span(text: &str, span: &Range<usize>) -> Position {
        Position::of(text, span.start)
    }
}

/// All problems of one file, in the order of its lines.
///
/// Displays them as compilers do, one on each line: `isthmus.toml:3:1: unknown key …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// The file's name, as the caller gave it.
    pub file: String,
    /// At least one.
    pub problems: Vec<Problem>,
}

impl Problems {
    /// Sorts the problems by position.
    pub(crate) fn new(file: &str, mut problems: Vec<Problem>) -> Problems {
        problems.sort();
        Problems {
            file: file.to_owned(),
            problems,
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}: {}", problem.place(&self.file), problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_lines_and_characters_from_one() {
        let text = "a\nüb\nc";
        let at = |offset| {
            let Position { line, column } = Position::of(text, offset);
            (line, column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(2), (2, 1));
        assert_eq!(at(4), (2, 2));
        assert_eq!(at(6), (3, 1));
        assert_eq!(at(99), (3, 2));
    }
}
