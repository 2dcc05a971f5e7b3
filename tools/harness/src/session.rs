// SPDX-License-Identifier: BSD-2-Clause
//! The judge: what to type, when to stop, and how a run ended. Pure: console bytes and times in,
//! requests and one outcome out, so that recorded text tests it.
//!
//! The guest's shell is driven by its prompt. Any line that ends in `# ` or `$ ` and stays the
//! last one is taken for the first prompt; then the harness sets a prompt of its own that carries
//! the exit status of the last command. That one cannot be mistaken: the echo of the command that
//! sets it holds no number. At a login the harness is root, without a password.

use std::time::Duration;

use regex::bytes::Regex;

use crate::console::{Console, MonitorLine};
use crate::event::{self, Event};
pub use crate::outcome::Outcome;

/// How long a line that looks like the first prompt must stay the last one.
const PROMPT_STANDS: Duration = Duration::from_millis(300);
/// After this silence a newline is typed to bring a prompt back that kernel messages ran over.
const NUDGE: Duration = Duration::from_secs(5);
/// How long the emulator may take to end once the monitor has stopped the guest.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// How far back patterns are looked for when text arrives in pieces, in bytes.
const LOOK_BACK: usize = 8 * 1024;
/// Sets the harness's prompt; wide lines keep the shell's editor from breaking the echo.
const SET_PROMPT: &str = "stty cols 2000 2>/dev/null; PS1='harness[$?]# '";
/// How the monitor's words for a person begin at a stop.
const STOPPED: &str = "The guest was stopped: ";
/// Prefix of a `--run` text that sends a serial BREAK and then one key (Linux's magic SysRq).
const BREAK: &str = "BREAK ";

/// What the run is to do and what counts as success.
#[derive(Clone, Debug)]
pub struct Script {
    /// Whether the guest ends in a shell that is to be driven.
    pub shell: bool,
    /// Commands for the shell, then `poweroff -f`.
    pub commands: Vec<String>,
    /// Ends the run with success when the guest's text matches. With commands: must have matched
    /// by the end.
    pub expect: Option<Regex>,
    /// A line that the guest must have printed by the end.
    pub must_print: Option<String>,
    /// Whether the monitor must have reported a power-off.
    pub reports: bool,
    /// Longest silence.
    pub silence: Duration,
    /// Longest run.
    pub total: Duration,
}

/// What the runner does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Type this text.
    Type(String),
    /// Send a BREAK condition.
    Break,
    /// End the emulator; the outcome is known.
    End,
}

/// A moment of a run, counted from the emulator's start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moment {
    /// By the clock on the wall.
    pub wall: Duration,
    /// Processor time that the emulator has used.
    pub cpu: Duration,
    /// Bytes of memory that the emulator holds.
    pub resident: u64,
}

/// What a command at the guest's shell printed, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct CommandResult {
    /// As typed.
    pub command: String,
    /// Its output.
    pub output: String,
    /// Exit status; `None` if the machine restarted under it.
    pub status: Option<u32>,
    /// Wall-clock seconds from its typing to its end.
    pub seconds: f64,
    /// Processor seconds that the emulator used meanwhile.
    pub cpu_seconds: f64,
    /// Wall-clock seconds from the emulator's start to its end.
    pub at_seconds: f64,
    /// Bytes of memory that the emulator held at its end.
    pub resident_bytes: u64,
}

/// Everything that a run left behind.
#[derive(Debug, Default)]
pub struct Record {
    /// Commands that ended.
    pub commands: Vec<CommandResult>,
    /// The monitor's events.
    pub events: Vec<Event>,
    /// The monitor's lines for a person.
    pub words: Vec<String>,
    /// The monitor's trace.
    pub trace: Vec<String>,
    /// When the guest's first line ended.
    pub first_line: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Nothing to type.
    Watch,
    /// The first prompt is to come.
    FirstPrompt,
    /// The harness's own prompt is to come.
    OwnPrompt,
    /// A command runs.
    Command,
    /// The guest was asked to power off.
    Leaving,
}

/// One run, as seen from the serial line. Times count from the emulator's start.
#[derive(Debug)]
pub struct Session {
    script: Script,
    console: Console,
    phase: Phase,
    /// Where in the guest's text the current wait begins.
    since: usize,
    /// How much of the guest's text was looked at.
    seen: usize,
    now: Moment,
    typed_at: Moment,
    last_output: Duration,
    last_nudge: Duration,
    stopped_at: Option<Duration>,
    expected: bool,
    record: Record,
    outcome: Option<Outcome>,
    patterns: Patterns,
}

#[derive(Debug)]
struct Patterns {
    own_prompt: Regex,
    restart: Regex,
    dead: Regex,
    failed: Regex,
}

impl Patterns {
    #[expect(clippy::expect_used, reason = "constant patterns; every test compiles them")]
    fn new() -> Self {
        let regex = |text| Regex::new(text).expect("a constant pattern");
        Self {
            own_prompt: regex(r"harness\[(\d+)\]# "),
            restart: regex(r"Booting Linux on physical CPU"),
            dead: regex(r"---\[ end (Kernel panic.*?) \]---"),
            failed: regex(r"(?m)^conformance: \S+: FAIL.*$"),
        }
    }
}

impl Session {
    /// A run that has just begun.
    #[must_use]
    pub fn new(script: Script) -> Self {
        let phase = if script.shell { Phase::FirstPrompt } else { Phase::Watch };
        Self {
            script,
            console: Console::default(),
            phase,
            since: 0,
            seen: 0,
            now: Moment::default(),
            typed_at: Moment::default(),
            last_output: Duration::ZERO,
            last_nudge: Duration::ZERO,
            stopped_at: None,
            expected: false,
            record: Record::default(),
            outcome: None,
            patterns: Patterns::new(),
        }
    }

    /// How the run ended, once that is known.
    #[must_use]
    pub const fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Everything learnt so far.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// The guest's text so far.
    #[must_use]
    pub fn guest(&self) -> String {
        String::from_utf8_lossy(self.console.guest()).into_owned()
    }

    /// Takes bytes from the serial line.
    pub fn output(&mut self, now: Moment, bytes: &[u8]) -> Vec<Request> {
        self.now = now;
        self.last_output = now.wall;
        let lines = self.console.feed(bytes);
        for line in lines {
            self.monitor(line);
        }
        if self.record.first_line.is_none() && self.console.guest().contains(&b'\n') {
            self.record.first_line = Some(now.wall);
        }
        let requests = self.look();
        self.seen = self.console.guest().len();
        requests
    }

    /// Time passes. Call it a few times a second.
    pub fn tick(&mut self, now: Moment) -> Vec<Request> {
        self.now = now;
        let now = now.wall;
        if self.outcome.is_some() {
            return vec![Request::End];
        }
        let silent = now.saturating_sub(self.last_output);
        if let Some(at) = self.stopped_at {
            if now.saturating_sub(at) < STOP_GRACE {
                return vec![];
            }
            return self.end(self.stop_outcome());
        }
        if silent >= self.script.silence {
            let why =
                format!("nothing on the console for {} s ({})", silent.as_secs(), self.wait());
            return self.end(Outcome::NoProgress(why));
        }
        if now >= self.script.total {
            let why = format!("still running after {} s ({})", now.as_secs(), self.wait());
            return self.end(Outcome::NoProgress(why));
        }
        if self.phase != Phase::FirstPrompt {
            return vec![];
        }
        if silent >= PROMPT_STANDS && self.at_first_prompt() {
            return self.send(Phase::OwnPrompt, SET_PROMPT);
        }
        if silent >= PROMPT_STANDS && self.last_line().ends_with(b"login: ") {
            return self.send(Phase::FirstPrompt, "root");
        }
        if silent >= NUDGE && now.saturating_sub(self.last_nudge) >= NUDGE {
            self.last_nudge = now;
            return vec![Request::Type("\n".into())];
        }
        vec![]
    }

    /// The emulator ended with this exit code, or by a signal; `said` is what it wrote besides.
    pub fn exited(&mut self, code: Option<i32>, said: &str) {
        if let Some(line) = self.console.finish() {
            self.monitor(line);
        }
        self.look();
        if self.outcome.is_none() {
            self.outcome = Some(self.judge(code, said));
        }
    }

    fn judge(&self, code: Option<i32>, said: &str) -> Outcome {
        if self.stopped_at.is_some() {
            return self.stop_outcome();
        }
        match code {
            Some(0) => {}
            Some(code) => {
                // Warnings come before what ended it.
                let said = said.lines().last().map(|line| format!(": {line}")).unwrap_or_default();
                return Outcome::EmulatorFailed(format!("exit code {code}{said}"));
            }
            None => {
                let why = "it was killed by a signal (by hand, or for want of memory)";
                return Outcome::EmulatorFailed(why.into());
            }
        }
        if let Some(found) = self.patterns.failed.find(self.console.guest()) {
            return Outcome::GuestFailed(String::from_utf8_lossy(found.as_bytes()).into_owned());
        }
        if self.script.shell
            && let Some(command) = self.script.commands.get(self.record.commands.len())
        {
            return Outcome::GuestFailed(format!("it powered off before '{command}' was done"));
        }
        for done in &self.record.commands {
            if let Some(status @ 1..) = done.status {
                return Outcome::GuestFailed(format!(
                    "'{}' ended with status {status}",
                    done.command
                ));
            }
        }
        if let Some(expect) = &self.script.expect
            && !self.expected
        {
            return Outcome::GuestFailed(format!("'{expect}' did not come"));
        }
        if let Some(line) = &self.script.must_print
            && !self.guest().lines().any(|have| have == line)
        {
            return Outcome::GuestFailed(format!("it did not print '{line}'"));
        }
        if self.script.reports && !self.record.events.iter().any(|event| event.event == "off") {
            let why = "it ended without the monitor's power-off line";
            return Outcome::EmulatorFailed(why.into());
        }
        Outcome::PoweredOff
    }

    fn monitor(&mut self, line: MonitorLine) {
        match line {
            MonitorLine::Words(words) => self.record.words.push(words),
            MonitorLine::Trace(step) => self.record.trace.push(step),
            MonitorLine::Event(event) => {
                if event.v != event::VERSION {
                    let why = format!(
                        "the monitor's lines have version {}, this harness reads {}: build both from one revision",
                        event.v,
                        event::VERSION
                    );
                    self.outcome = Some(Outcome::EmulatorFailed(why));
                }
                match event.event.as_str() {
                    "stop" => self.stopped_at = Some(self.now.wall),
                    "reset" => self.restarted(self.console.guest().len()),
                    _ => {}
                }
                self.record.events.push(event);
            }
        }
    }

    /// Looks at the text that came.
    fn look(&mut self) -> Vec<Request> {
        if self.outcome.is_some() {
            return vec![Request::End];
        }
        let from = self.seen.saturating_sub(LOOK_BACK);
        let recent = self.console.guest().get(from..).unwrap_or_default();
        if let Some(found) = self.patterns.dead.captures(recent).and_then(|all| all.get(1)) {
            let words = String::from_utf8_lossy(found.as_bytes()).trim_end().to_owned();
            return self.end(Outcome::GuestFailed(words));
        }
        if let Some(expect) = &self.script.expect
            && !self.expected
            && expect.is_match(recent)
        {
            self.expected = true;
            if self.script.commands.is_empty() {
                return self.end(Outcome::Expected);
            }
        }
        let from = from.max(self.since);
        let recent = self.console.guest().get(from..).unwrap_or_default();
        if self.phase == Phase::Command
            && let Some(found) = self.patterns.restart.find(recent)
        {
            self.restarted(from.saturating_add(found.end()));
            return vec![];
        }
        if !matches!(self.phase, Phase::OwnPrompt | Phase::Command) {
            return vec![];
        }
        let Some(found) = self.patterns.own_prompt.captures(recent) else { return vec![] };
        let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse().ok();
        let status = found.get(1).and_then(|digits| number(digits.as_bytes()));
        let prompt = found.get(0).map_or(0, |whole| whole.start());
        if self.phase == Phase::Command {
            let end = from.saturating_add(prompt);
            let text = self.console.guest().get(self.since..end).unwrap_or_default();
            let text = String::from_utf8_lossy(text);
            // The first line is the echo of what was typed.
            let output = text.split_once('\n').map_or("", |(_, output)| output).to_owned();
            self.finish_command(output, Some(status.unwrap_or(u32::MAX)));
        }
        self.next_command()
    }

    fn next_command(&mut self) -> Vec<Request> {
        let next = self.script.commands.get(self.record.commands.len()).cloned();
        match next.as_deref() {
            None => self.send(Phase::Leaving, "poweroff -f"),
            Some(command) => match command.strip_prefix(BREAK) {
                None => self.send(Phase::Command, command),
                Some(key) => {
                    let mut requests = vec![Request::Break];
                    requests.extend(self.send(Phase::Command, key));
                    requests
                }
            },
        }
    }

    fn finish_command(&mut self, output: String, status: Option<u32>) {
        if let Some(command) = self.script.commands.get(self.record.commands.len()) {
            let since = self.typed_at;
            self.record.commands.push(CommandResult {
                command: command.clone(),
                output,
                status,
                seconds: self.now.wall.saturating_sub(since.wall).as_secs_f64(),
                cpu_seconds: self.now.cpu.saturating_sub(since.cpu).as_secs_f64(),
                at_seconds: self.now.wall.as_secs_f64(),
                resident_bytes: self.now.resident,
            });
        }
    }

    /// The machine starts again: the command that did it is done, and a new shell will come.
    fn restarted(&mut self, since: usize) {
        if self.phase == Phase::Command {
            self.finish_command(String::new(), None);
        }
        if matches!(self.phase, Phase::OwnPrompt | Phase::Command) {
            self.phase = Phase::FirstPrompt;
            self.since = since;
        }
    }

    fn send(&mut self, phase: Phase, line: &str) -> Vec<Request> {
        self.phase = phase;
        self.since = self.console.guest().len();
        self.typed_at = self.now;
        vec![Request::Type(format!("{line}\n"))]
    }

    /// The line that has no end yet, of the current wait.
    fn last_line(&self) -> &[u8] {
        let text = self.console.guest().get(self.since..).unwrap_or_default();
        text.rsplit(|&byte| byte == b'\n').next().unwrap_or_default()
    }

    fn at_first_prompt(&self) -> bool {
        let line = self.last_line();
        line.len() <= 60 && (line.ends_with(b"# ") || line.ends_with(b"$ "))
    }

    fn stop_outcome(&self) -> Outcome {
        let stop = self.record.events.iter().rev().find(|event| event.event == "stop");
        let kind = stop.and_then(|event| event.kind.clone());
        let kind = kind.unwrap_or_else(|| "no kind given".into());
        // A host that has not started its guest says why in the event itself.
        let what = stop.and_then(|event| event.rest.get("what")?.as_str());
        let words = || self.record.words.iter().find_map(|line| line.strip_prefix(STOPPED));
        Outcome::Stopped(match what.or_else(words) {
            Some(words) => format!("{kind}: {}", words.trim_end_matches('.')),
            None => kind,
        })
    }

    fn end(&mut self, outcome: Outcome) -> Vec<Request> {
        self.outcome = Some(outcome);
        vec![Request::End]
    }

    /// What the run waits for, in words.
    fn wait(&self) -> String {
        match self.phase {
            Phase::Watch => "waiting for the guest to power off".into(),
            Phase::FirstPrompt => "waiting for the guest's shell".into(),
            Phase::OwnPrompt => "waiting for the guest's shell to answer".into(),
            Phase::Command => {
                let command = self.script.commands.get(self.record.commands.len());
                format!("waiting for '{}' to end", command.map_or("", String::as_str))
            }
            Phase::Leaving => "waiting for the guest to power off".into(),
        }
    }
}

#[cfg(test)]
mod tests;
