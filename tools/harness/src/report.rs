// SPDX-License-Identifier: BSD-2-Clause
//! The JSON report. A contract: its fields are in README.md beside this crate.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use serde::Serialize;
use vmm_report::Event;

use crate::error::{Error, Result};
use crate::session::{CommandResult, Outcome, Session};

/// Version of the report.
pub const SCHEMA: u32 = 1;

/// What was booted, and how each run ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Folder under boards/.
    pub board: String,
    /// `microkit`, `baremetal` or `bare`.
    pub host: &'static str,
    /// `release`, `debug`, `smp-release` or `smp-debug`.
    pub config: &'static str,
    /// Version of the interrupt controller, 2 or 3.
    pub gic: u8,
    /// Emulated machine.
    pub profile: String,
    /// Conformance guest, or `linux`.
    pub guest: String,
    /// Boot arguments of the guest's kernel.
    pub append: String,
    /// Guest RAM in MiB.
    pub ram_mib: u64,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Whether emulated time followed executed instructions.
    pub icount: bool,
    /// Sizes of what was built and loaded, in bytes, by file name.
    pub sizes: std::collections::BTreeMap<String, u64>,
    /// One entry for each run.
    pub runs: Vec<Run>,
    /// Exit code of the command.
    pub exit_code: u8,
}

/// One run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Run {
    /// How it ended, in one word.
    pub outcome: &'static str,
    /// How it ended, in words.
    pub message: String,
    /// Exit code that it stands for.
    pub exit_code: u8,
    /// Wall-clock seconds from the emulator's start to its end.
    pub seconds: f64,
    /// Wall-clock seconds from the emulator's start to the end of the first line that is not the
    /// monitor's.
    pub first_line_seconds: Option<f64>,
    /// Guest time at which Linux ran its first program, one entry for each boot in this run.
    pub init_seconds: Vec<f64>,
    /// Commands at the guest's shell.
    pub commands: Vec<CommandResult>,
    /// The monitor's events.
    pub events: Vec<Event>,
    /// The monitor's lines for a person.
    pub monitor: Vec<String>,
    /// Everything that came over the serial line.
    pub transcript: PathBuf,
    /// The end of the guest's text, for a person.
    #[serde(skip)]
    pub tail: Vec<String>,
}

/// Last lines of the guest that are shown when a run failed.
const TAIL: usize = 25;

impl Run {
    /// What a session leaves behind.
    #[must_use]
    pub fn new(session: &Session, outcome: &Outcome, spent: Duration, transcript: &Path) -> Self {
        let record = session.record();
        Self {
            outcome: word(outcome),
            message: outcome.words(),
            exit_code: outcome.code(),
            seconds: spent.as_secs_f64(),
            first_line_seconds: record.first_line.map(|at| at.as_secs_f64()),
            init_seconds: init_times(&session.guest()),
            commands: record.commands.clone(),
            events: record.events.clone(),
            monitor: record.words.clone(),
            transcript: transcript.to_owned(),
            tail: tail(&session.guest()),
        }
    }
}

impl Report {
    /// Writes the report.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| Error::Usage(format!("cannot make the report: {e}")))?;
        std::fs::write(path, text + "\n").map_err(|e| Error::file("write", path, &e))
    }
}

/// The outcome in a word.
#[must_use]
pub const fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::PoweredOff => "powered-off",
        Outcome::Expected => "expected",
        Outcome::Left => "left",
        Outcome::GuestFailed(_) => "guest-failed",
        Outcome::Stopped(_) => "stopped",
        Outcome::NoProgress(_) => "no-progress",
        Outcome::EmulatorFailed(_) => "emulator-failed",
    }
}

fn tail(guest: &str) -> Vec<String> {
    let lines: Vec<_> = guest.lines().collect();
    let from = lines.len().saturating_sub(TAIL);
    lines.get(from..).unwrap_or_default().iter().map(|&line| line.to_owned()).collect()
}

/// Seconds of Linux's clock at `Run /init as init process`, for each boot in the text.
#[must_use]
pub fn init_times(guest: &str) -> Vec<f64> {
    #[expect(clippy::expect_used, reason = "a constant pattern; a test compiles it")]
    static INIT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\[ *(\d+\.\d+)\] Run \S+ as init process").expect("a constant pattern")
    });
    let times = INIT.captures_iter(guest);
    times.filter_map(|found| found.get(1)?.as_str().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_init_is_read_from_the_kernels_stamp() {
        let text = "[    0.610239] Freeing unused kernel memory: 6464K\n[    0.614573] Run /init as init process\n";
        assert_eq!(init_times(text), [0.614573]);
    }

    #[test]
    fn each_boot_has_its_time() {
        let line = "[    1.5] Run /sbin/init as init process\n";
        assert_eq!(init_times(&line.repeat(3)), [1.5; 3]);
    }

    #[test]
    fn a_guest_without_stamps_has_no_time() {
        assert_eq!(init_times("Run /init as init process\n"), [0.0; 0]);
    }

    #[test]
    fn every_outcome_has_its_word_and_code() {
        let all = [
            (Outcome::PoweredOff, "powered-off", 0),
            (Outcome::Expected, "expected", 0),
            (Outcome::Left, "left", 0),
            (Outcome::GuestFailed(String::new()), "guest-failed", 1),
            (Outcome::Stopped(String::new()), "stopped", 2),
            (Outcome::NoProgress(String::new()), "no-progress", 124),
            (Outcome::EmulatorFailed(String::new()), "emulator-failed", 125),
        ];
        for (outcome, name, code) in all {
            assert_eq!((word(&outcome), outcome.code()), (name, code));
        }
    }
}
