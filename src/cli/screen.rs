//! The progress of several connections at once: on a terminal one block that is redrawn, elsewhere one line per event.

use crate::{
    cli::{progress, text::Style},
    grpc::pb::{Realization, WatchRealizationResponse, watch_realization_response::Event},
};
use std::{
    io::{self, IsTerminal, Write},
    mem,
};

/// The most connections that are shown with their nodes. With more, each takes one line.
const DETAILED: usize = 4;

/// The most connections that are redrawn. With more, the block may be higher than the terminal and cannot be redrawn.
const DRAWN: usize = 10;

/// The output that shows the connections.
pub struct Screen<'a> {
    out: Box<dyn Write + Send + 'a>,
    style: Style,
    /// Whether the block is redrawn. Otherwise lines are only appended.
    terminal: bool,
    rows: Vec<Row>,
    /// The height of the block on the terminal, in lines.
    drawn: usize,
}

/// One connection on the screen.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// A short prefix of each line without a terminal.
    pub label: String,
    /// The heading above the lines on a terminal.
    pub title: String,
    /// The last state seen.
    pub seen: Option<Realization>,
    /// The last remark since then that carries no new state.
    pub note: Option<String>,
    /// The outcome of its watch.
    pub outcome: Option<String>,
}

impl<'a> Screen<'a> {
    /// Makes a screen on standard output.
    pub fn stdout(rows: Vec<Row>) -> Screen<'a> {
        let out = Box::new(io::stdout());
        Screen::new(out, Style::of_stdout(), io::stdout().is_terminal(), rows)
    }

    /// Makes a screen on `out`.
    pub fn new(
        out: Box<dyn Write + Send + 'a>,
        style: Style,
        terminal: bool,
        rows: Vec<Row>,
    ) -> Screen<'a> {
        Screen {
            out,
            style,
            terminal: terminal && rows.len() <= DRAWN,
            rows,
            drawn: 0,
        }
    }

    /// Shows the headings. A terminal shows them with every frame.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn begin(&mut self) -> io::Result<()> {
        if self.terminal {
            return self.redraw();
        }
        for row in &self.rows {
            writeln!(self.out, "{}", row.title)?;
        }
        writeln!(self.out)
    }

    /// Shows one message of the watch of connection number `index`.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn show(&mut self, index: usize, message: &WatchRealizationResponse) -> io::Result<()> {
        let row = &mut self.rows[index];
        match &message.event {
            Some(Event::Snapshot(seen) | Event::Change(seen)) => {
                row.seen = Some(seen.clone());
                row.note = None;
            }
            Some(Event::Heartbeat(_)) => {
                let line = progress::event(message, Style::Plain);
                row.note = line.lines().next().map(|line| line.trim().to_owned());
            }
            None => {}
        }
        if let Some(outcome) = &message.outcome {
            let line = progress::outcome_line(outcome, self.style);
            row.outcome = Some(line.trim_start().to_owned());
        }
        if self.terminal {
            return self.redraw();
        }
        let text = progress::event(message, self.style);
        self.lines(index, &text)
    }

    /// Shows a remark about connection number `index` that is not a message of its watch.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn note(&mut self, index: usize, note: &str) -> io::Result<()> {
        self.rows[index].note = Some(note.to_owned());
        match self.terminal {
            true => self.redraw(),
            false => self.lines(index, note),
        }
    }

    fn lines(&mut self, index: usize, text: &str) -> io::Result<()> {
        let widths = self.rows.iter().map(|row| row.label.len());
        let width = widths.max().unwrap_or(0);
        let label = &self.rows[index].label;
        for line in text.lines() {
            writeln!(self.out, "{label:<width$}  {line}")?;
        }
        self.out.flush()
    }

    fn redraw(&mut self) -> io::Result<()> {
        let lines: Vec<String> = self
            .rows
            .iter()
            .flat_map(|row| block(row, self.rows.len() <= DETAILED, self.style))
            .collect();
        let mut frame = String::new();
        let drawn = mem::replace(&mut self.drawn, lines.len());
        if drawn > 0 {
            frame.push_str(&format!("\x1b[{drawn}A"));
        }
        // Wrapping is off: a wrapped line would take two rows, and the next frame would begin in the wrong one.
        frame.push_str("\x1b[?7l");
        for line in &lines {
            frame.push_str(&format!("\x1b[2K{line}\n"));
        }
        frame.push_str("\x1b[J\x1b[?7h");
        self.out.write_all(frame.as_bytes())?;
        self.out.flush()
    }
}

/// Formats one connection: its state, its nodes if `detailed`, and its outcome.
fn block(row: &Row, detailed: bool, style: Style) -> Vec<String> {
    let mut lines = vec![style.bold(&row.title)];
    match &row.seen {
        Some(seen) if !detailed => lines.push(format!("  {}", progress::headline(seen, style))),
        Some(seen) => lines.extend(
            progress::realization(seen, style)
                .lines()
                .map(|line| format!("  {line}")),
        ),
        None => lines.push("  nothing has been seen yet".to_owned()),
    }
    if let Some(note) = row.note.as_ref().filter(|_| row.outcome.is_none()) {
        lines.push(format!("  {:11}{}", "", style.dim(note)));
    }
    if let Some(outcome) = &row.outcome {
        lines.push(format!("  {:11}{outcome}", ""));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::pb::{Node, Outcome, RealizationState, outcome};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn message(state: RealizationState, nodes: usize) -> WatchRealizationResponse {
        let node = Node {
            id: "n".to_owned(),
            state: state.into(),
            ..Node::default()
        };
        WatchRealizationResponse {
            event: Some(Event::Change(Realization {
                state: state.into(),
                nodes: vec![node; nodes],
                ..Realization::default()
            })),
            ..WatchRealizationResponse::default()
        }
    }

    fn shown(terminal: bool) -> String {
        let written = Written::default();
        let row = |label: &str| Row {
            label: label.to_owned(),
            title: format!("connection {label}"),
            ..Row::default()
        };
        let rows = vec![row("a"), row("bbb")];
        let mut screen = Screen::new(Box::new(written.clone()), Style::Plain, terminal, rows);
        screen.begin().unwrap();
        screen
            .show(0, &message(RealizationState::Pending, 2))
            .unwrap();
        let mut last = message(RealizationState::Active, 0);
        last.outcome = Some(Outcome {
            result: outcome::Result::Succeeded.into(),
            reason: None,
        });
        screen.show(1, &last).unwrap();
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn where_there_is_no_terminal_every_line_names_its_connection() {
        let text = shown(false);
        assert!(!text.contains('\x1b'), "{text:?}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..3], ["connection a", "connection bbb", ""]);
        assert_eq!(lines.len(), 8, "{text}");
        let (pending, outcome) = (lines[3], lines[7]);
        assert!(
            pending.starts_with("a    ") && pending.contains("PENDING"),
            "{text}"
        );
        assert!(
            outcome.starts_with("bbb  ") && outcome.ends_with("is reached"),
            "{text}"
        );
    }

    #[test]
    fn on_a_terminal_each_frame_is_drawn_over_the_one_before() {
        let text = shown(true);
        // Each row has a heading and a line; the second frame has two more lines for nodes.
        assert!(
            text.contains("\x1b[4A") && text.contains("\x1b[6A"),
            "{text:?}"
        );
        assert!(text.contains("  nothing has been seen yet"), "{text:?}");
    }
}
