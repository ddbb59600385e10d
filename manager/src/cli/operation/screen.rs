//! A part of the terminal that is drawn again and again, below what was there before.

use crossterm::{
    cursor::{Hide, MoveTo, MoveToColumn, MoveUp, Show},
    queue,
    terminal::{Clear, ClearType},
};

use super::tree::Line;
use crate::cli::output::{Output, size};

/// The part of the terminal. The cursor is hidden until it goes.
pub struct Screen {
    /// How many lines were drawn last, and how wide the terminal was then.
    drawn: u16,
    width: u16,
}

impl Screen {
    /// Begins to draw where the cursor is.
    pub fn open(output: &mut Output) -> Self {
        let mut bytes = Vec::new();
        // Writing into memory cannot fail.
        let _ = queue!(bytes, Hide);
        output.raw(&String::from_utf8_lossy(&bytes));
        Self { drawn: 0, width: size().0 }
    }

    /// How many lines there is room for.
    pub fn room(&self) -> usize {
        usize::from(size().1).saturating_sub(1).max(1)
    }

    /// Draws lines over those that were drawn last.
    pub fn draw(&mut self, output: &mut Output, lines: &[Line]) {
        let (width, height) = size();
        let lines = &lines[..lines.len().min(usize::from(height).saturating_sub(1).max(1))];
        let colour = output.colour();
        let mut bytes = self.begin(width);
        for line in lines {
            let _ = queue!(bytes, Clear(ClearType::CurrentLine));
            bytes.extend_from_slice(line.write(usize::from(width), colour).as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        let _ = queue!(bytes, Clear(ClearType::FromCursorDown));
        output.raw(&String::from_utf8_lossy(&bytes));
        self.drawn = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        self.width = width;
    }

    /// Takes away what was drawn, and shows the cursor.
    pub fn close(&mut self, output: &mut Output) {
        let mut bytes = self.begin(size().0);
        let _ = queue!(bytes, Clear(ClearType::FromCursorDown), Show);
        output.raw(&String::from_utf8_lossy(&bytes));
        self.drawn = 0;
    }

    /// What moves the cursor to the first line that was drawn.
    fn begin(&self, width: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Writing into memory cannot fail.
        let _ = queue!(bytes, MoveToColumn(0));
        if width < self.width {
            // The terminal has broken lines: nobody knows where they begin.
            let _ = queue!(bytes, Clear(ClearType::All), MoveTo(0, 0));
        } else if self.drawn > 0 {
            let _ = queue!(bytes, MoveUp(self.drawn));
        }
        bytes
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // The terminal may be gone.
        let _ = crossterm::execute!(std::io::stdout(), Show);
    }
}
