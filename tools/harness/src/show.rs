// SPDX-License-Identifier: BSD-2-Clause
//! What a person sees. A reader that has gone (`| head -1`) changes no exit code, and text of a guest
//! cannot steer the terminal, wherever it got into what is printed.

use std::fmt::{Arguments, Write as _};
use std::io::Write as _;

/// Prints to standard output, [`harmless`].
pub fn out(text: Arguments<'_>) {
    // Nobody reads any more: the exit code still tells.
    let _ = writeln!(std::io::stdout().lock(), "{}", harmless(&text.to_string()));
}

/// Prints to standard error, [`harmless`].
pub fn err(text: Arguments<'_>) {
    // As above.
    let _ = writeln!(std::io::stderr().lock(), "{}", harmless(&text.to_string()));
}

/// A guest's text, harmless to a terminal: control characters but tab and line feed are written out
/// (`\u{7}`), and so are those that turn the direction of a line (Unicode 15, 23.2), and its own line ends.
#[must_use]
pub fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if turns || (c.is_control() && !matches!(c, '\n' | '\t')) {
            // Writing to a string cannot fail.
            let _ = write!(shown, "{}", c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// As [`harmless`], in one line.
#[must_use]
pub fn line(text: &str) -> String {
    harmless(text).replace('\n', "\\n").replace('\t', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_control_characters_stays() {
        let text = "plain\n\ttext, \u{e9}\u{4e2d}\n";
        assert_eq!(harmless(text), text);
    }

    #[test]
    fn nothing_steers_the_terminal() {
        let text = "a\u{7}b\u{8}c\rd\u{1b}[2Ke\u{9b}1mf\u{7f}g\u{202e}h\u{61c}i\u{2028}j";
        let shown = harmless(text);
        let expected =
            "a\\u{7}b\\u{8}c\\u{d}d\\u{1b}[2Ke\\u{9b}1mf\\u{7f}g\\u{202e}h\\u{61c}i\\u{2028}j";
        assert_eq!(shown, expected);
        assert_eq!(harmless(&shown), shown);
        assert!(!shown.chars().any(char::is_control));
    }

    #[test]
    fn a_line_is_one() {
        assert_eq!(line("a\nb\tc"), "a\\nb c");
    }
}
