// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Cuts a byte stream into lines of bounded length.

/// A line grew beyond the bound.
#[derive(Debug)]
pub(crate) struct TooLong;

/// Bytes that have come, of which whole lines are taken.
#[derive(Debug)]
pub(crate) struct Lines {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are known to hold no line end.
    searched: usize,
    limit: usize,
}

impl Lines {
    /// Lines of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), searched: 0, limit }
    }

    /// Adds what was read.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() > self.limit && !self.buffer[..self.limit].contains(&b'\n') {
            return Err(TooLong);
        }
        Ok(())
    }

    /// The next whole line, without its end.
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        let Some(found) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n')
        else {
            self.searched = self.buffer.len();
            return None;
        };
        let rest = self.buffer.split_off(self.searched + found + 1);
        let mut line = std::mem::replace(&mut self.buffer, rest);
        self.searched = 0;
        while matches!(line.last(), Some(b'\n' | b'\r')) {
            line.pop();
        }
        Some(line)
    }

    /// Forgets everything up to and including the last `mark`, whole lines and pieces alike. Returns
    /// whether the mark was there.
    pub(crate) fn skip_past(&mut self, mark: u8) -> bool {
        match self.buffer.iter().rposition(|byte| *byte == mark) {
            Some(at) => {
                self.buffer.drain(..=at);
                self.searched = 0;
                true
            }
            None => false,
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.buffer.clear();
        self.searched = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_whatever_the_pieces() {
        let mut lines = Lines::new(16);
        lines.push(b"ab").unwrap();
        assert_eq!(lines.next(), None);
        lines.push(b"c\r\n\nde\nf").unwrap();
        assert_eq!(lines.next().unwrap(), b"abc");
        assert_eq!(lines.next().unwrap(), b"");
        assert_eq!(lines.next().unwrap(), b"de");
        assert_eq!(lines.next(), None);
        lines.push(b"\n").unwrap();
        assert_eq!(lines.next().unwrap(), b"f");
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut lines = Lines::new(4);
        lines.push(b"1234").unwrap();
        assert!(lines.push(b"5").is_err());
    }

    #[test]
    fn what_stands_before_a_mark_is_forgotten() {
        let mut lines = Lines::new(64);
        lines.push(b"old\nreply\xffnew\n").unwrap();
        assert!(lines.skip_past(0xff));
        assert_eq!(lines.next().unwrap(), b"new");
        assert!(!lines.skip_past(0xff));
    }
}
