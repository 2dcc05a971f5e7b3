// SPDX-License-Identifier: BSD-2-Clause
//! What a run is to do, and what counts as success.

use std::time::Duration;

use regex::bytes::Regex;

/// Longest command, in bytes: busybox's line editor keeps 1,023 and drops the rest without a word.
pub const LONGEST_COMMAND: usize = 1000;
/// Sends a serial BREAK before the one key behind it (Linux's magic SysRq).
const BREAK: &str = "BREAK ";
/// Says that the machine restarts under the command behind it.
const RESTART: &str = "RESTART ";

/// What the run is to do and what counts as success.
#[derive(Clone, Debug)]
pub struct Script {
    /// Whether the guest ends in a shell that is to be driven.
    pub shell: bool,
    /// Steps at the shell, then `poweroff -f`.
    pub steps: Vec<Step>,
    /// Ends the run with success when the guest's text matches. With a shell: must match the text
    /// before anything is typed, the output of a step, or what comes after the last one.
    pub expect: Option<Regex>,
    /// A line that the guest must have printed by the end.
    pub must_print: Option<String>,
    /// Whether there is a monitor, which must have reported the power-off.
    pub reports: bool,
    /// Kinds of lines that are no failure ([`crate::fatal`]).
    pub allow: Vec<String>,
    /// Longest silence.
    pub silence: Duration,
    /// Longest run.
    pub total: Duration,
}

/// What is done at the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// As it was asked for.
    pub asked: String,
    /// What is typed before the line end.
    pub typed: String,
    /// Whether a BREAK goes before it; the kernel takes the key then, and nothing is echoed.
    pub breaks: bool,
    /// Whether the machine restarts under it.
    pub restarts: bool,
}

impl Step {
    /// Reads `[RESTART ][BREAK k|COMMAND]`.
    ///
    /// # Errors
    /// It is no line that a shell's editor takes as it is; the text says the limit and the way out.
    pub fn read(asked: &str) -> Result<Self, String> {
        let (restarts, rest) = match asked.strip_prefix(RESTART) {
            Some(rest) => (true, rest),
            None => (false, asked),
        };
        let (breaks, typed) = match rest.strip_prefix(BREAK) {
            Some(key) => (true, key),
            None => (false, rest),
        };
        if typed.trim().is_empty() || typed.contains('\n') {
            return Err("a command is one line that is not empty; give --run once for each".into());
        }
        if let Some(odd) = typed.chars().find(|&c| !matches!(c, ' '..='~')) {
            return Err(format!(
                "a command holds printable ASCII alone, not {odd:?}, which the guest's line editor may \
                 take for one of its keys: printf '\\t' and the like say it"
            ));
        }
        if breaks && typed.len() != 1 {
            return Err(format!("'{BREAK}' takes one key, not '{typed}'"));
        }
        let length = typed.len();
        if length > LONGEST_COMMAND {
            return Err(format!(
                "a command has at most {LONGEST_COMMAND} bytes, this one has {length}: the guest's line \
                 editor drops what is longer. Give several --run, or put it into the guest as a file"
            ));
        }
        Ok(Self { asked: asked.to_owned(), typed: typed.to_owned(), breaks, restarts })
    }

    /// A command of the harness's own.
    #[must_use]
    pub fn command(line: &str) -> Self {
        Self { asked: line.into(), typed: line.into(), breaks: false, restarts: false }
    }
}

/// Reads a regular expression for [`Script::expect`]; it matches by line.
///
/// # Errors
/// It does not parse, or no text can tell a pass from a failure.
pub fn pattern(text: &str) -> Result<Regex, String> {
    let text = format!("(?m){text}");
    let regex = Regex::new(&text).map_err(|e| e.to_string())?;
    let parsed = regex_syntax::ParserBuilder::new().utf8(false).build().parse(&text);
    let shortest = parsed.ok().and_then(|parsed| parsed.properties().minimum_len());
    match shortest {
        Some(0) => Err("it matches the empty text, which is everywhere".into()),
        Some(1..=super::LOOK_BACK) => Ok(regex),
        _ => Err(format!(
            "it can never match: text is looked at in pieces of {} bytes",
            super::LOOK_BACK
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_a_line() {
        assert_eq!(Step::read("echo hi"), Ok(Step::command("echo hi")));
        let step = Step::read("RESTART reboot -f").unwrap();
        assert_eq!((step.typed.as_str(), step.breaks, step.restarts), ("reboot -f", false, true));
        let step = Step::read("RESTART BREAK b").unwrap();
        assert_eq!((step.typed.as_str(), step.breaks, step.restarts), ("b", true, true));
        for bad in ["", " ", "a\nb", "RESTART ", "BREAK bc"] {
            assert!(Step::read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_the_line_editor_would_change_is_refused_with_the_limit() {
        let error = Step::read(&format!("true {}; false", "x".repeat(1000))).unwrap_err();
        assert!(error.contains("at most 1000 bytes, this one has 1012"), "{error}");
        assert!(Step::read(&"x".repeat(LONGEST_COMMAND)).is_ok());
        for odd in ["echo a\tb", "echo \u{3}", "echo \u{1b}[A", "echo \u{e9}", "echo \r"] {
            assert!(Step::read(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn a_pattern_must_be_able_to_match_and_to_fail() {
        assert!(pattern("^42$").unwrap().is_match(b"a\n42\nb"));
        for (bad, why) in [("", "empty"), ("x*", "empty"), ("x{9000}", "never"), ("(", "")] {
            assert!(pattern(bad).unwrap_err().contains(why), "{bad}");
        }
    }
}
