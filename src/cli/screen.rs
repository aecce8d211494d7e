//! What goes on with several connections at once: on a terminal one block that is drawn over, elsewhere one line for each
//! event.

use crate::{
    cli::{progress, text::Style},
    grpc::pb::{Realization, WatchRealizationResponse, watch_realization_response::Event},
};
use std::{
    io::{self, IsTerminal, Write},
    mem,
};

/// With more connections than this only one line of each is shown, without its nodes.
const DETAILED: usize = 4;

/// With more than this a block may be higher than the terminal, where it cannot be drawn over.
const DRAWN: usize = 10;

/// Where the connections are shown.
pub struct Screen<'a> {
    out: Box<dyn Write + Send + 'a>,
    style: Style,
    /// Whether the cursor can be moved; else nothing is ever drawn over.
    terminal: bool,
    rows: Vec<Row>,
    /// How many lines were drawn last time.
    drawn: usize,
}

/// One connection on the screen.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// What stands before each of its lines where there is no terminal; short.
    pub label: String,
    /// What stands above them on a terminal.
    pub title: String,
    /// What was seen last.
    pub seen: Option<Realization>,
    /// What was said since, that changes nothing.
    pub note: Option<String>,
    /// How its watch ended.
    pub outcome: Option<String>,
}

impl<'a> Screen<'a> {
    /// Standard output, with these rows.
    pub fn stdout(rows: Vec<Row>) -> Screen<'a> {
        let out = Box::new(io::stdout());
        Screen::new(out, Style::of_stdout(), io::stdout().is_terminal(), rows)
    }

    /// Some other place.
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

    /// Says which rows there are. A terminal shows that with every frame.
    ///
    /// # Errors
    /// If nobody reads any more.
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
    /// If nobody reads any more.
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

    /// Says something of connection number `index` that is no message of its watch.
    ///
    /// # Errors
    /// If nobody reads any more.
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
        // A line that wraps would take two rows, and the next frame would begin in the wrong one.
        frame.push_str("\x1b[?7l");
        for line in &lines {
            frame.push_str(&format!("\x1b[2K{line}\n"));
        }
        frame.push_str("\x1b[J\x1b[?7h");
        self.out.write_all(frame.as_bytes())?;
        self.out.flush()
    }
}

/// One connection: its line, where there is room its nodes beneath, and how it ended.
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
        // Each row has a title and a line; in the second frame there are two nodes more.
        assert!(
            text.contains("\x1b[4A") && text.contains("\x1b[6A"),
            "{text:?}"
        );
        assert!(text.contains("  nothing has been seen yet"), "{text:?}");
    }
}
