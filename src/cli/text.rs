//! The layout of text for people: pure functions from words to lines.

pub use crate::text::clean;

use std::io::IsTerminal;

/// Whether text may be emphasized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    /// ANSI bold, dim and colours.
    Ansi,
}

impl Style {
    /// Returns the style for standard output: ANSI on a terminal, unless `NO_COLOR` is set.
    pub fn of_stdout() -> Style {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if std::io::stdout().is_terminal() && !unwanted {
            Style::Ansi
        } else {
            Style::Plain
        }
    }

    /// Marks what matters most in a line.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// Marks what matters least.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// Marks a removed line of a diff, in red.
    pub fn removed(self, text: &str) -> String {
        self.wrap("31", text)
    }

    /// Marks an added line of a diff, in green.
    pub fn added(self, text: &str) -> String {
        self.wrap("32", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        match self {
            Style::Ansi if !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }
}

/// Formats rows in columns below a heading, without blanks at the ends of lines.
pub fn table(heading: &[&str], rows: &[Vec<String>], style: Style) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(heading[column].len())
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let heading: Vec<String> = heading.iter().map(|&cell| cell.to_owned()).collect();
    let mut text = style.dim(&aligned(&heading, &widths));
    for row in rows {
        text.push('\n');
        text.push_str(&aligned(row, &widths));
    }
    text
}

fn aligned(row: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> = row
        .iter()
        .zip(widths)
        .map(|(cell, &width)| format!("{cell:<width$}"))
        .collect();
    cells.join("  ").trim_end().to_owned()
}

/// Formats labelled values, one per line, and leaves out the empty ones.
pub fn facts(facts: &[(&str, String)]) -> String {
    let told = || facts.iter().filter(|(_, value)| !value.is_empty());
    let width = told().map(|(label, _)| label.chars().count()).max();
    let width = width.unwrap_or_default().max(16);
    let lines: Vec<String> = told()
        .map(|(label, value)| format!("{label:<width$}  {value}"))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![
            vec!["a".to_owned(), "längst".to_owned(), String::new()],
            vec!["bcdef".to_owned(), "x".to_owned(), "y".to_owned()],
        ];
        assert_eq!(
            table(&["NAME", "B", "C"], &rows, Style::Plain),
            "NAME   B       C\na      längst\nbcdef  x       y"
        );
    }

    #[test]
    fn facts_without_a_value_are_left_out() {
        let text = facts(&[("peer", "p".to_owned()), ("mtu", String::new())]);
        assert_eq!(text, "peer              p");
    }
}
