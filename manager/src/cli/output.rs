//! What a command shows: data on standard output, the rest on standard error, and both in the execution's log.

use std::io::{self, IsTerminal, Write};

use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, Width, presets};
use protocol::state::State;
use serde::Serialize;

use super::{args::Format, exit::Exit, log_file::LogFile};

/// Where a command shows things.
pub struct Output {
    format: Format,
    log: LogFile,
    colour: bool,
    terminal: bool,
    /// Whoever read the output has enough of it.
    closed: bool,
}

impl Output {
    /// Opens the output of a command.
    pub fn open(format: Format, command: &str) -> Self {
        // A terminal that cannot move its cursor is written to like a pipe.
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = io::stdout().is_terminal() && !is_dumb;
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { format, log: LogFile::open(command), colour, terminal, closed: false }
    }

    /// How answers are written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether somebody looks at the output as it comes.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether colours are wanted.
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// Writes to the log alone what is shown in another form.
    pub fn log(&mut self, text: &str) {
        self.log.write(text);
    }

    /// Whether nobody reads the output any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Shows a line of data.
    pub fn line(&mut self, text: &str) {
        self.raw(&format!("{text}\n"));
        self.log.write(text);
    }

    /// Shows a line of data that must not be in the log.
    pub fn secret(&mut self, text: &str) {
        self.raw(&format!("{text}\n"));
        self.log.write("(a secret)");
    }

    /// Writes to standard output as it is, and not to the log.
    pub fn raw(&mut self, text: &str) {
        if self.closed {
            return;
        }
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        drop(stdout);
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                self.log.write("(the output was closed)");
            }
            // An answer of which a part is missing must not look like one.
            Err(error) => {
                self.error(&format!("cannot write the output: {error}"));
                self.finish(Exit::Failed);
                std::process::exit(i32::from(Exit::Failed.code()));
            }
        }
    }

    /// Shows a document as JSON.
    pub fn json(&mut self, value: &impl Serialize) {
        let text = serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("null // {error}"));
        self.line(&text);
    }

    /// Shows a unified diff, coloured where somebody looks at it.
    pub fn diff(&mut self, text: &str) {
        for line in text.lines() {
            let colour = match line.as_bytes().first() {
                Some(b'+') => "32",
                Some(b'-') => "31",
                Some(b'@') => "36",
                _ => "0",
            };
            if self.colour {
                self.raw(&format!("\u{1b}[{colour}m{}\u{1b}[0m\n", harmless(line)));
                self.log.write(line);
            } else {
                self.line(line);
            }
        }
    }

    /// Shows a table; on a terminal that is too narrow for it its last column takes more lines.
    pub fn show(&mut self, mut table: Table) {
        self.log.write(&text_of(&table));
        let text = self.fitted(&mut table);
        self.raw(&format!("{text}\n"));
    }

    /// Writes a table so that it fits the terminal, if there is one.
    pub fn fitted(&self, table: &mut Table) -> String {
        if self.terminal {
            fit(table, usize::from(size().0));
        }
        text_of(table)
    }

    /// Says something that is not data.
    pub fn note(&mut self, text: &str) {
        self.log.write(text);
        // There is nobody to tell when this fails.
        let _closed = writeln!(io::stderr(), "{text}");
    }

    /// Says what went wrong.
    pub fn error(&mut self, text: &str) {
        self.note(&format!("tomcat-grid: {text}"));
    }

    /// Ends the log with the result.
    pub fn finish(&mut self, exit: Exit) {
        self.log.finish(exit);
    }

    /// A table with headings, for people.
    pub fn table(&self, headings: &[&str]) -> Table {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if self.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(headings.iter().map(|heading| Cell::new(heading).add_attribute(Attribute::Bold)));
        table
    }
}

/// The size of a terminal that does not tell it.
const USUAL: (u16, u16) = (120, 40);

/// The width and the height of the terminal, in characters.
pub fn size() -> (u16, u16) {
    crossterm::terminal::size().ok().filter(|(width, height)| *width > 0 && *height > 0).unwrap_or(USUAL)
}

/// The least width in which a column can be read that is broken into lines, in characters.
const LEAST: usize = 12;

/// Breaks the last column of a table that is wider than the terminal: what is in the others is to be seen at once.
fn fit(table: &mut Table, width: usize) {
    let widths = table.column_max_content_widths();
    let Some((content, others)) = widths.split_last() else { return };
    // Each cell has a blank on either side; one that ends a line is cut off.
    let taken: usize = others.iter().map(|width| usize::from(*width) + 2).sum();
    let left = width.saturating_sub(taken);
    if left >= LEAST
        && usize::from(*content) + 1 > left
        && let Some(last) = table.column_mut(others.len())
    {
        last.set_constraint(ColumnConstraint::Absolute(Width::Fixed(u16::try_from(left).unwrap_or(u16::MAX))));
    }
}

/// Writes a table without the blanks that end its lines.
pub fn text_of(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A state by shape, word and colour, so that none of them is needed.
pub fn state_cell(state: State) -> Cell {
    let (mark, colour) = mark(state);
    Cell::new(format!("{mark} {state}")).fg(colour)
}

/// The shape and colour of a state.
pub fn mark(state: State) -> (&'static str, Color) {
    match state {
        State::Active => ("●", Color::Green),
        State::Starting => ("◐", Color::Cyan),
        State::Stopping => ("◑", Color::Cyan),
        State::Unresponsive => ("▲", Color::Red),
        State::Stopped => ("○", Color::Reset),
        State::NotAvailable => ("?", Color::Magenta),
    }
}

/// Control characters of other people's texts would act on the terminal.
pub fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_broken_at_blanks_in_the_last_column() {
        let table = || {
            let mut table = Table::new();
            table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
            table.set_header(["SERVICE", "HOW"]).add_row(["shop-a@web-1", "stopped after 1 s, active after 3 s"]);
            table
        };
        for (width, lines) in [
            (80, " SERVICE       HOW\n shop-a@web-1  stopped after 1 s, active after 3 s"),
            (36, " SERVICE       HOW\n shop-a@web-1  stopped after 1 s,\n               active after 3 s"),
            // Too narrow for anything: the terminal breaks it.
            (20, " SERVICE       HOW\n shop-a@web-1  stopped after 1 s, active after 3 s"),
        ] {
            let mut table = table();
            fit(&mut table, width);
            assert_eq!(text_of(&table), lines);
        }
    }
}
