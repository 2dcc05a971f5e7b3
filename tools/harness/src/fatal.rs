// SPDX-License-Identifier: BSD-2-Clause
//! Lines of a guest's kernel that fail a run, whatever comes after them: `fatal.toml` has the list.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::{Regex, RegexSet};
use serde::Deserialize;

/// What a message begins behind: the start of the line, or a time stamp (with CONFIG_PRINTK_CALLER
/// also the thread or processor), then subsystems.
const BEGIN: &str = r"(?:^|\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? )(?:[\w./-]+: )*";

/// The list: names with what their lines look like, the message in the first group.
#[derive(Debug)]
struct List {
    kinds: Vec<(String, Regex)>,
    any: RegexSet,
}

static LIST: LazyLock<List> = LazyLock::new(read);

static STAMP: LazyLock<Regex> = LazyLock::new(|| constant(r"\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? "));

/// A message of Linux's kernel with its time stamp, up to its line end.
pub static MESSAGE: LazyLock<Regex> =
    LazyLock::new(|| constant(r"^\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? [^\n]*\n"));

#[expect(clippy::expect_used, reason = "constant patterns; a test compiles each")]
fn constant(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern")
}

#[expect(clippy::expect_used, reason = "a file of this crate; every test reads it")]
fn read() -> List {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        line: Vec<Line>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        name: String,
        pattern: String,
    }
    let file: File = toml::from_str(include_str!("fatal.toml")).expect("fatal.toml reads");
    let pattern = |line: &Line| format!("{BEGIN}({})", line.pattern);
    let any = RegexSet::new(file.line.iter().map(pattern)).expect("the patterns compile");
    let kind = |line: &Line| (line.name.clone(), constant(&pattern(line)));
    List { kinds: file.line.iter().map(kind).collect(), any }
}

/// Takes the name of a kind of line, to be allowed.
///
/// # Errors
/// There is none of that name; the text lists those that are there.
pub fn name(text: &str) -> Result<String, String> {
    let names: Vec<_> = LIST.kinds.iter().map(|(name, _)| name.as_str()).collect();
    if names.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("there is no kind of line '{text}'; there are: {}", names.join(", ")))
}

/// The kind of a line that fails a run, and where in it the words are that say so; `None` for every
/// other line.
#[must_use]
pub fn trouble(line: &[u8]) -> Option<(&'static str, Range<usize>)> {
    let first = LIST.any.matches(line).into_iter().next()?;
    let (name, pattern) = LIST.kinds.get(first)?;
    Some((name.as_str(), pattern.captures(line)?.get(1)?.range()))
}

/// A line without its time stamp, and what stands before that.
#[must_use]
pub fn quote(line: &[u8]) -> String {
    let message = STAMP.find(line).map_or(0, |found| found.end());
    String::from_utf8_lossy(line.get(message..).unwrap_or(line)).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(line: &[u8]) -> Option<&'static str> {
        Some(trouble(line)?.0)
    }

    #[test]
    fn each_kind_is_known_by_a_line_that_linux_prints() {
        for (line, is) in [
            ("[    9.1] Kernel panic - not syncing: sysrq triggered crash", "kernel-panic"),
            ("Kernel panic - not syncing: no stamp", "kernel-panic"),
            (
                "[   28.000000] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [sh:73]",
                "soft-lockup",
            ),
            ("[   61.0] rcu: INFO: rcu_preempt self-detected stall on CPU", "rcu-stall"),
            ("[   61.0] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:", "rcu-stall"),
            ("[  242.0] INFO: task sh:73 blocked for more than 120 seconds.", "hung-task"),
            ("[    1.0] BUG: scheduling while atomic: sh/73/0x00000002", "bug"),
            ("[    1.0] kernel BUG at mm/slub.c:381!", "bug"),
            ("[    1.0][   T73] WARNING: CPU: 0 PID: 1 at kernel/x.c:1 f+0x1/0x2", "warning"),
            ("guest# [    1.2] WARNING: possible circular locking dependency", "warning"),
            ("[    1.0] Unable to handle kernel NULL pointer dereference at 0", "oops"),
            ("[    1.0] Internal error: Oops: 96000004 [#1] SMP", "oops"),
            (
                "[    1.0] irq 11: nobody cared (try booting with the \"irqpoll\" option)",
                "unhandled-interrupt",
            ),
            ("[    1.0] Unexpected kernel BRK exception at EL1", "unexpected"),
            ("[    1.0] CPU0: Unexpected interrupt 1023", "unexpected"),
        ] {
            assert_eq!(kind(line.as_bytes()), Some(is), "{line}");
        }
    }

    #[test]
    fn ordinary_lines_are_of_no_kind() {
        for line in [
            "[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd034]",
            "[    0.000000] smccc: KVM: hypervisor services not detected (0x00 0x00)",
            "[    0.1] rcu: Hierarchical RCU implementation.",
            "guest# echo 'BUG: not at the start of a line'",
            "[    1.0] an unexpected case in small letters",
            "",
        ] {
            assert_eq!(kind(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_name_that_is_not_there_is_refused_with_the_list() {
        assert_eq!(name("warning"), Ok("warning".into()));
        assert!(name("warnings").unwrap_err().contains("kernel-panic, oops, "));
    }
}
