//! Medians, percentiles, and tables that can be pasted into the README.

use crate::support::machine;

/// The middle one; of an even number, the mean of the two.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}

/// The value below which `share` of them are. Sorts them.
pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let at = (last as f64 * share).round() as usize;
    values.get(at).copied().unwrap_or(f64::NAN)
}

/// A number with as many digits as mean something.
pub fn number(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "-".to_owned(),
        at if at >= 10_000.0 => {
            let rounded = (value / 100.0).round() as i64 * 100;
            format!("{},{:03}", rounded / 1000, rounded % 1000)
        }
        at if at >= 100.0 => format!("{value:.0}"),
        at if at >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A table as Markdown.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these columns.
    pub fn new(columns: &[&str]) -> Table {
        Table {
            rows: vec![columns.iter().map(|name| (*name).to_owned()).collect()],
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Prints it.
    pub fn print(&self) {
        let columns = self.rows[0].len();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (index, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths);
            let cells: Vec<String> = cells
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            println!("| {} |", cells.join(" | "));
            if index == 0 {
                let lines: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                println!("| {} |", lines.join(" | "));
            }
        }
        println!();
    }
}

/// Begins the report of a bench.
pub fn begin(title: &str, quick: bool) {
    println!("\n## {title}\n");
    println!("{}", machine::describe());
    println!("Measured at commit `{}`.", machine::commit());
    if quick {
        println!("--quick: shows that everything works; the figures mean nothing.");
    }
    println!();
}

/// What was aimed at, and whether it was reached.
pub fn aim(what: &str, value: f64, at_least: f64) {
    verdict(
        what,
        value,
        value >= at_least,
        &format!(">= {}", number(at_least)),
    );
}

/// The same where less is better.
pub fn at_most(what: &str, value: f64, most: f64) {
    verdict(what, value, value <= most, &format!("<= {}", number(most)));
}

fn verdict(what: &str, value: f64, reached: bool, aim: &str) {
    let word = if reached { "reached" } else { "MISSED" };
    println!("- {what}: {} (aim {aim}: {word})", number(value));
}
