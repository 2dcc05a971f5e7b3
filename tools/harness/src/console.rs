// SPDX-License-Identifier: BSD-2-Clause
//! Splits what comes over the serial line into the guest's text and the monitor's lines.
//!
//! The monitor writes only at the start of a line: `@ ` before words, `@{` before JSON, `@t `
//! before a step of a trace. What it prints begins with CAN and a line end
//! ([`vmm_report::BEGIN`]), which belong to it. Everything else is the guest's. Pure: bytes in,
//! values out.

use vmm_report::{EVENT, Event, TRACE, WORDS};

/// Longest line that can be the monitor's, in bytes. A fault report's JSON stays far below.
const LONGEST_LINE: usize = 16 * 1024;

/// One line of the monitor.
#[derive(Clone, Debug, PartialEq)]
pub enum MonitorLine {
    /// `@{...}`: an event with its counters.
    Event(Event),
    /// `@ ...`: words for a person, without the prefix.
    Words(String),
    /// `@t ...`: a step of a trace, without the prefix.
    Trace(String),
}

/// Ends a terminal's escape sequence wherever that stands.
const CAN: u8 = 0x18;

/// Where the cleaner stands in a terminal's escape sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Escape {
    #[default]
    None,
    /// Behind ESC, or behind ESC and intermediate bytes (ECMA-35, 13.2.1).
    Started,
    /// In a control sequence: behind ESC `[` (ECMA-48, 5.4).
    Control,
    /// In a control string: behind ESC and one of `]P_^X` (ECMA-48, 5.6).
    Text,
}

/// The splitter. Feed it bytes as they come; chunk borders may lie anywhere.
#[derive(Debug, Default)]
pub struct Console {
    guest: Vec<u8>,
    raw: Vec<u8>,
    held: Vec<u8>,
    inside_line: bool,
    escape: Escape,
    begin: Begin,
}

/// How much of the monitor's beginning has come: CAN, carriage return, line feed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Begin {
    #[default]
    No,
    /// CAN: the next line end may be the monitor's.
    Cancelled,
    /// And a line end, which waits for what comes behind it.
    Line {
        /// Whether the guest was inside a line before it.
        inside: bool,
    },
}

impl Console {
    /// The guest's text so far, without carriage returns and escape sequences.
    #[must_use]
    pub fn guest(&self) -> &[u8] {
        &self.guest
    }

    /// Everything so far, whoever wrote it, without control characters but line ends: what stands in
    /// escape sequences, or behind `@`, is here too.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Takes more bytes from the line; returns the monitor's lines that they complete, each with the
    /// length of the guest's text before it.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<(usize, MonitorLine)> {
        let mut lines = Vec::new();
        for &byte in bytes {
            if byte == b'\n' || !byte.is_ascii_control() {
                self.raw.push(byte);
            }
            if self.is_text(byte)
                && let Some(line) = self.take(byte)
            {
                lines.push((self.guest.len(), line));
            }
        }
        lines
    }

    /// The line is closed: a monitor's line without its end still counts if it is whole.
    pub fn finish(&mut self) -> Option<(usize, MonitorLine)> {
        let line = self.release()?;
        Some((self.guest.len(), line))
    }

    /// Whether the byte is text: carriage returns and escape sequences are not. Any control character
    /// ends a sequence, and counts for itself.
    fn is_text(&mut self, byte: u8) -> bool {
        if byte == CAN && self.begin == Begin::No && self.held.is_empty() {
            self.begin = Begin::Cancelled;
        }
        let (next, text) = match (self.escape, byte) {
            (_, 0x1b) => (Escape::Started, false),
            (_, b'\r' | 0 | CAN) | (Escape::Text, 0x07) => (Escape::None, false),
            (_, ..0x20) | (Escape::None, _) => (Escape::None, true),
            (Escape::Started, b'[') => (Escape::Control, false),
            (Escape::Started, b']' | b'P' | b'_' | b'^' | b'X') => (Escape::Text, false),
            (Escape::Started, b' '..=b'/') => (Escape::Started, false),
            (Escape::Control, b'@'..=b'~') | (Escape::Started, _) => (Escape::None, false),
            (Escape::Control | Escape::Text, _) => (self.escape, false),
        };
        self.escape = next;
        text
    }

    fn take(&mut self, byte: u8) -> Option<MonitorLine> {
        match self.begin {
            Begin::Cancelled if byte == b'\n' => {
                self.begin = Begin::Line { inside: self.inside_line };
                self.inside_line = false;
                return None;
            }
            Begin::Cancelled => self.begin = Begin::No,
            // A line that may be the monitor's decides whose the line end was.
            Begin::Line { .. } if byte == b'@' && self.held.is_empty() => {}
            Begin::Line { .. } if self.held.is_empty() => self.not_begun(),
            Begin::No | Begin::Line { .. } => {}
        }
        if byte == b'\n' {
            let line = self.release();
            if line.is_none() {
                self.guest.push(b'\n');
                self.inside_line = false;
            }
            return line;
        }
        if self.held.is_empty() && (self.inside_line || byte != b'@') {
            self.inside_line = true;
            self.guest.push(byte);
            return None;
        }
        self.held.push(byte);
        let may_be_ours = match self.held.as_slice() {
            [_] => true,
            [_, second] => matches!(second, b' ' | b'{' | b't'),
            [_, b't', third] => *third == b' ',
            longer => longer.len() <= LONGEST_LINE,
        };
        if !may_be_ours {
            self.not_begun();
            self.guest.append(&mut self.held);
            self.inside_line = true;
        }
        None
    }

    /// The line end that waited is the guest's.
    fn not_begun(&mut self) {
        if matches!(self.begin, Begin::Line { .. }) {
            self.guest.push(b'\n');
        }
        self.begin = Begin::No;
    }

    /// Ends the held line: the monitor's if it reads as such, otherwise the guest's.
    fn release(&mut self) -> Option<MonitorLine> {
        let held = std::mem::take(&mut self.held);
        let text = String::from_utf8_lossy(&held);
        let line = if let Some(words) = text.strip_prefix(WORDS) {
            Some(MonitorLine::Words(words.to_owned()))
        } else if let Some(step) = text.strip_prefix(TRACE) {
            Some(MonitorLine::Trace(step.to_owned()))
        } else {
            text.strip_prefix(EVENT).and_then(Event::parse).map(MonitorLine::Event)
        };
        if line.is_none() {
            self.not_begun();
            self.guest.extend_from_slice(&held);
            return None;
        }
        if let Begin::Line { inside } = self.begin {
            // The guest goes on where it was.
            self.inside_line = inside;
        }
        self.begin = Begin::No;
        line
    }
}

#[cfg(test)]
mod tests {
    use vmm_report::EventKind;

    use super::*;

    fn split(text: &str) -> (String, Vec<MonitorLine>) {
        let mut console = Console::default();
        let mut lines = console.feed(text.as_bytes());
        lines.extend(console.finish());
        let lines = lines.into_iter().map(|(_, line)| line).collect();
        (String::from_utf8_lossy(console.guest()).into_owned(), lines)
    }

    #[test]
    fn guest_text_passes_without_carriage_returns() {
        assert_eq!(split("one\r\ntwo\r\n"), ("one\ntwo\n".into(), vec![]));
    }

    #[test]
    fn escape_sequences_are_dropped() {
        let (guest, _) = split("guest# \x1b[6necho \x1b[1;31mred\x1b[0m\n");
        assert_eq!(guest, "guest# echo red\n");
    }

    #[test]
    fn a_two_byte_escape_is_dropped() {
        assert_eq!(split("a\x1bcb").0, "ab");
    }

    #[test]
    fn control_strings_and_character_sets_are_dropped() {
        assert_eq!(split("a\x1b]0;title\x07b\x1b]0;title\x1b\\c\x1bPq\x1b\\d\x1b(0e").0, "abcde");
    }

    #[test]
    fn any_control_character_ends_a_sequence_and_counts() {
        assert_eq!(split("a\x1b[3\nb\x1b]0;x\nc\x1b(\td\x1b[1\x18e").0, "a\nb\nc\tde");
    }

    #[test]
    fn no_open_sequence_swallows_the_monitors_line() {
        const OFF: &str = "\x18\r\n@{\"v\":1,\"event\":\"off\"}\r\n";
        for open in ["\x1b", "\x1b[", "\x1b[12;", "\x1b]0;", "\x1bP", "\x1b_x", "\x1b(", "@ "] {
            let (_, lines) = split(&format!("text {open}{OFF}"));
            assert_eq!(lines.len(), 1, "{open:?}");
        }
    }

    #[test]
    fn the_monitors_beginning_is_not_the_guests() {
        let (guest, lines) = split("ec\x18\r\n@ x\r\nho hi\n");
        assert_eq!((guest.as_str(), lines.len()), ("echo hi\n", 1));
        assert_eq!(split("a\x18\r\nb\x18\r\n@c\n").0, "a\nb\n@c\n");
    }

    #[test]
    fn a_line_has_its_place_in_the_guests_text() {
        let mut console = Console::default();
        let lines = console.feed(b"one\n@ x\ntwo\n@ y\n");
        let places: Vec<_> = lines.iter().map(|(at, _)| *at).collect();
        assert_eq!(places, [4, 8]);
    }

    #[test]
    fn words_leave_the_guest_text() {
        let (guest, lines) = split("boot\r\n@ monitor: guest stopped\r\nmore\r\n");
        assert_eq!(guest, "boot\nmore\n");
        assert_eq!(lines, [MonitorLine::Words("monitor: guest stopped".into())]);
    }

    #[test]
    fn an_event_is_parsed() {
        let (guest, lines) = split("@{\"v\":1,\"event\":\"off\",\"reason\":\"system-off\"}\r\n");
        assert_eq!(guest, "");
        let [MonitorLine::Event(event)] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!(event.event, EventKind::Off);
        assert_eq!(event.reason.as_deref(), Some("system-off"));
    }

    #[test]
    fn a_trace_step_is_recognised() {
        let (_, lines) = split("@t exit trap esr=0x93c08006\n");
        assert_eq!(lines, [MonitorLine::Trace("exit trap esr=0x93c08006".into())]);
    }

    #[test]
    fn an_at_inside_a_line_is_the_guests() {
        assert_eq!(split("mail me @ home\n"), ("mail me @ home\n".into(), vec![]));
    }

    #[test]
    fn an_at_line_of_the_guest_stays_the_guests() {
        assert_eq!(split("@home\n@@\n@\n"), ("@home\n@@\n@\n".into(), vec![]));
    }

    #[test]
    fn broken_json_stays_the_guests() {
        assert_eq!(split("@{not json}\n"), ("@{not json}\n".into(), vec![]));
    }

    #[test]
    fn json_that_is_no_event_stays_the_guests() {
        assert_eq!(split("@{\"a\":1}\n"), ("@{\"a\":1}\n".into(), vec![]));
    }

    #[test]
    fn an_unfinished_event_counts_at_the_end() {
        assert_eq!(split("@{\"v\":1,\"event\":\"off\"}").1.len(), 1);
    }

    #[test]
    fn a_cut_event_is_shown_as_text() {
        assert_eq!(split("@{\"v\":1,\"ev"), ("@{\"v\":1,\"ev".into(), vec![]));
    }

    #[test]
    fn chunk_borders_do_not_matter() {
        let text = "a\r\n@{\"v\":1,\"event\":\"mark\",\"value\":7}\r\n\x1b[6n@t x\n@ y\r\nmid\x18\r\n@ z\r\nend\x18\r\n@q\x18";
        let whole = split(text);
        for border in 0..text.len() {
            let mut console = Console::default();
            let mut lines = console.feed(&text.as_bytes()[..border]);
            lines.extend(console.feed(&text.as_bytes()[border..]));
            lines.extend(console.finish());
            let guest = String::from_utf8_lossy(console.guest()).into_owned();
            let lines = lines.into_iter().map(|(_, line)| line).collect();
            assert_eq!((guest, lines), whole, "border {border}");
        }
    }

    #[test]
    fn a_prompt_without_a_newline_is_visible_at_once() {
        let mut console = Console::default();
        console.feed(b"guest# ");
        assert_eq!(console.guest(), b"guest# ");
    }

    #[test]
    fn an_endless_at_line_is_given_back() {
        let text = format!("@ {}", "x".repeat(LONGEST_LINE));
        let mut console = Console::default();
        console.feed(text.as_bytes());
        assert_eq!(console.guest().len(), text.len());
    }

    #[test]
    fn bytes_that_are_not_utf8_pass() {
        let mut console = Console::default();
        console.feed(&[0xff, b'a', b'\n']);
        assert_eq!(console.guest(), [0xff, b'a', b'\n']);
    }
}
