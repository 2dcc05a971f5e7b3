// SPDX-License-Identifier: BSD-2-Clause
//! The judge: what to type, when to stop, and how a run ended. Pure: console bytes and times in,
//! requests and one outcome out, so that recorded text tests it.
//!
//! The guest's shell is driven by its prompt. Any line that ends in `# ` or `$ ` and stays the
//! last one is taken for the first prompt; then the harness sets a prompt of its own that carries
//! a number of this run, which no output can know, a number of the shell, counted from 1 at each
//! start, and the exit status of the last command. The echo of the command that sets it holds no
//! status. At a login the harness is root, without a password.

mod echo;
mod lines;
mod script;

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use regex::bytes::Regex;
use vmm_report::{Event, EventKind};

use crate::console::{Console, MonitorLine};
use crate::fatal;
pub use crate::outcome::Outcome;
use crate::show;
use lines::{Doubt, Lines};
pub use script::{Script, Step, pattern};

/// How long a line that looks like the first prompt must stay the last one.
const PROMPT_STANDS: Duration = Duration::from_millis(300);
/// After this silence a newline is typed to bring a prompt back that kernel messages ran over.
const NUDGE: Duration = Duration::from_secs(5);
/// How long the emulator may take to end once the monitor has stopped the guest.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// How far back patterns are looked for when text arrives in pieces, in bytes.
const LOOK_BACK: usize = 8 * 1024;
/// How the monitor's words for a person begin at a stop.
const STOPPED: &str = "The guest was stopped: ";
/// Types this at the end.
const LEAVE: &str = "poweroff -f";

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
    /// Processor time that the emulator has used, where that can be read.
    pub cpu: Option<Duration>,
    /// Bytes of memory that the emulator holds, where that can be read.
    pub resident: Option<u64>,
}

/// What a command at the guest's shell printed, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct CommandResult {
    /// As asked for.
    pub command: String,
    /// Its output.
    pub output: String,
    /// Exit status; `None` if the machine restarted under it.
    pub status: Option<u32>,
    /// Wall-clock seconds from its typing to its end.
    pub seconds: f64,
    /// Processor seconds that the emulator used meanwhile; `None` if they could not be read.
    pub cpu_seconds: Option<f64>,
    /// Wall-clock seconds from the emulator's start to its end.
    pub at_seconds: f64,
    /// Bytes of memory that the emulator held at its end; `None` if they could not be read.
    pub resident_bytes: Option<u64>,
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

/// A number of a run, which its guest cannot guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub u64);

impl Nonce {
    /// Of this run.
    #[must_use]
    pub fn random() -> Self {
        use std::hash::{BuildHasher, Hasher, RandomState};
        // Its keys come from the operating system's random numbers.
        Self(RandomState::new().build_hasher().finish())
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
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
    /// A command that restarts the machine has ended well; the restart is to come.
    Restart,
    /// The guest was asked to power off.
    Leaving,
}

/// One run, as seen from the serial line. Times count from the emulator's start.
#[derive(Debug)]
pub struct Session {
    script: Script,
    nonce: Nonce,
    console: Console,
    phase: Phase,
    /// Number of the shell, from 1.
    shell: u32,
    /// Where in the guest's text the current wait begins.
    since: usize,
    /// How much of the guest's text was looked at.
    seen: usize,
    /// How much of it was looked at for lines that fail a run.
    judged: usize,
    /// How much of the line as it came was looked at for the same: an open sequence or an `@` hides
    /// nothing.
    judged_raw: usize,
    /// Text of the guest that is no echo, for the expected text.
    spoken: Vec<Range<usize>>,
    /// Where the last piece of it begins, while nothing was typed.
    speaks: Option<usize>,
    now: Moment,
    typed_at: Moment,
    last_output: Duration,
    last_nudge: Duration,
    lines: Lines,
    /// When the monitor said that there is no guest any more, and how much text there was.
    ended: Option<(Duration, usize)>,
    restarts: u32,
    /// The first line that fails the run, with its kind.
    fatal: Option<String>,
    left: bool,
    record: Record,
    outcome: Option<Outcome>,
    patterns: Patterns,
}

#[derive(Debug)]
struct Patterns {
    own_prompt: Regex,
    boots: Regex,
    failed: Regex,
}

impl Patterns {
    #[expect(clippy::expect_used, reason = "patterns of this file; every test compiles them")]
    fn new(nonce: Nonce) -> Self {
        let regex = |text: &str| Regex::new(text).expect("a pattern of this file");
        Self {
            own_prompt: regex(&format!(r"harness-{nonce}-(\d+)\[(\d+)\]# ")),
            boots: regex(r"(?m)^\[ *0\.000000\] Booting Linux on physical CPU"),
            failed: regex(r"(?m)^conformance: \S+: FAIL.*$"),
        }
    }
}

impl Session {
    /// A run that has just begun.
    #[must_use]
    pub fn new(script: Script, nonce: Nonce) -> Self {
        let phase = if script.shell { Phase::FirstPrompt } else { Phase::Watch };
        Self {
            script,
            nonce,
            console: Console::default(),
            phase,
            shell: 1,
            since: 0,
            seen: 0,
            judged: 0,
            judged_raw: 0,
            spoken: Vec::new(),
            speaks: Some(0),
            now: Moment::default(),
            typed_at: Moment::default(),
            last_output: Duration::ZERO,
            last_nudge: Duration::ZERO,
            lines: Lines::default(),
            ended: None,
            restarts: 0,
            fatal: None,
            left: false,
            record: Record::default(),
            outcome: None,
            patterns: Patterns::new(nonce),
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
        for (at, line) in self.console.feed(bytes) {
            self.monitor(at, line);
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
        if let Some((at, _)) = self.ended {
            if now.saturating_sub(at) < STOP_GRACE {
                return vec![];
            }
            if self.lines.ended() == Some(EventKind::Stop) {
                return self.end(self.stop_outcome());
            }
        }
        if silent >= self.script.silence {
            return self.give_up(&format!("nothing on the console for {} s", silent.as_secs()));
        }
        if now >= self.script.total {
            return self.give_up(&format!("still running after {} s", now.as_secs()));
        }
        if matches!(self.phase, Phase::Command | Phase::Restart)
            && !self.script.reports
            && silent >= PROMPT_STANDS
            && self.step().is_some_and(|step| step.restarts)
            && self.at_first_prompt()
        {
            // Nobody else tells of it. If the old shell goes on, its prompt will show.
            let prompt = self.last_line().len();
            self.restarted(self.console.guest().len().saturating_sub(prompt));
        }
        if self.phase != Phase::FirstPrompt {
            return vec![];
        }
        if silent >= PROMPT_STANDS && self.at_first_prompt() {
            // Wide lines keep the shell's editor from breaking the echo.
            let (nonce, shell) = (self.nonce, self.shell);
            let line = format!("stty cols 2000 2>/dev/null; PS1='harness-{nonce}-{shell}[$?]# '");
            return self.send(Phase::OwnPrompt, &line);
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

    /// Whoever sits at the console leaves the emulator by hand.
    pub const fn leave(&mut self) {
        self.left = true;
    }

    /// The emulator ended with this exit code, or by a signal; `said` is what it wrote besides.
    pub fn exited(&mut self, code: Option<i32>, said: &str) {
        if let Some((at, line)) = self.console.finish() {
            self.monitor(at, line);
        }
        self.look();
        self.judge_lines(self.console.guest().len());
        if self.outcome.is_none() {
            self.outcome = Some(self.judge(code, said));
        }
    }

    fn judge(&self, code: Option<i32>, said: &str) -> Outcome {
        if self.lines.ended() == Some(EventKind::Stop) {
            return self.stop_outcome();
        }
        if let Some(why) = failed_emulator(code, said) {
            return Outcome::EmulatorFailed(why);
        }
        if let Some(found) = self.patterns.failed.find(self.console.guest()) {
            return Outcome::GuestFailed(String::from_utf8_lossy(found.as_bytes()).into_owned());
        }
        if let Some(line) = &self.fatal {
            return Outcome::GuestFailed(line.clone());
        }
        if self.left {
            return Outcome::Left;
        }
        if let Some(why) = self.missing() {
            return Outcome::GuestFailed(why);
        }
        if self.script.reports && self.lines.ended() != Some(EventKind::Off) {
            let why = "it ended without the monitor's power-off line";
            return Outcome::EmulatorFailed(why.into());
        }
        Outcome::PoweredOff
    }

    /// What was asked for and did not come.
    fn missing(&self) -> Option<String> {
        if self.script.shell {
            if let Some(step) = self.step() {
                return Some(format!("it powered off before '{}' was done", step.asked));
            }
            if self.phase != Phase::Leaving {
                return Some(format!("it ended too soon ({})", self.wait()));
            }
        }
        for done in &self.record.commands {
            if let Some(status @ 1..) = done.status {
                return Some(format!("'{}' ended with status {status}", done.command));
            }
        }
        if let Some(expect) = &self.script.expect
            && !self.has_spoken(expect)
        {
            return Some(format!("'{}' did not come", words(expect)));
        }
        let line = self.script.must_print.as_ref()?;
        let printed = self.guest().lines().any(|have| have == line);
        (!printed).then(|| format!("it did not print '{line}'"))
    }

    fn monitor(&mut self, at: usize, line: MonitorLine) {
        if !self.script.reports || self.outcome.is_some() {
            // Without a monitor nobody but the guest prints such a line.
            return;
        }
        match line {
            MonitorLine::Words(words) => self.record.words.push(words),
            MonitorLine::Trace(step) => self.record.trace.push(step),
            MonitorLine::Event(event) => {
                match self.lines.take(&event) {
                    Ok(()) => {}
                    Err(Doubt::Monitor(why)) => return self.ends(Outcome::EmulatorFailed(why)),
                    Err(Doubt::Guest(why)) => return self.ends(Outcome::GuestFailed(why)),
                }
                match event.event {
                    EventKind::Stop | EventKind::Off => self.ended = Some((self.now.wall, at)),
                    EventKind::Reset => {
                        self.judge_lines(at);
                        self.restarted(at);
                    }
                    EventKind::Start | EventKind::Mark => {}
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
        let guest = self.console.guest();
        if let (Some((_, at)), Some(last)) = (self.ended, self.lines.ended())
            && let Some(text) = guest.get(at..).map(<[u8]>::trim_ascii)
            && !text.is_empty()
            && !self.left
        {
            let text = String::from_utf8_lossy(text);
            let text = text.lines().next().unwrap_or_default();
            let why = format!(
                "'{text}' follows a line like the monitor's '{last}', after which there is no guest: it printed that line itself"
            );
            return self.end(Outcome::GuestFailed(why));
        }
        let whole =
            guest.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end.saturating_add(1));
        if self.judge_lines(whole) {
            let line = self.fatal.clone().unwrap_or_default();
            return self.end(Outcome::GuestFailed(line));
        }
        let from = self.seen.saturating_sub(LOOK_BACK);
        if !self.script.shell {
            let recent = self.console.guest().get(from..).unwrap_or_default();
            return match &self.script.expect {
                Some(expect) if expect.is_match(recent) => {
                    let failed = self.fatal.clone().map(Outcome::GuestFailed);
                    self.end(failed.unwrap_or(Outcome::Expected))
                }
                _ => vec![],
            };
        }
        self.look_for_prompt(from.max(self.since))
    }

    fn look_for_prompt(&mut self, from: usize) -> Vec<Request> {
        let recent = self.console.guest().get(from..).unwrap_or_default();
        let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<u32>().ok();
        let prompts = self.patterns.own_prompt.captures_iter(recent).filter_map(|found| {
            let (whole, shell, status) = (found.get(0)?, found.get(1)?, found.get(2)?);
            let status = number(status.as_bytes()).unwrap_or(u32::MAX);
            Some((from.saturating_add(whole.start()), number(shell.as_bytes())?, status))
        });
        let waits = matches!(self.phase, Phase::FirstPrompt | Phase::OwnPrompt);
        let of_this = |&(_, shell, _): &(usize, u32, u32)| shell == self.shell || waits;
        let Some((at, shell, status)) = prompts.into_iter().find(of_this) else { return vec![] };
        if shell != self.shell {
            let why = "its shell goes on after a line that told of a restart: the guest printed that line itself";
            return self.end(Outcome::GuestFailed(why.into()));
        }
        match self.phase {
            Phase::OwnPrompt => self.next_step(),
            Phase::Command => self.command_ended(at, status),
            _ => vec![],
        }
    }

    /// The command's prompt is there: its output lies between its echo and that.
    fn command_ended(&mut self, prompt: usize, status: u32) -> Vec<Request> {
        let Some(step) = self.step().cloned() else { return vec![] };
        let text = self.console.guest().get(self.since..prompt).unwrap_or_default();
        // A key behind a BREAK is the kernel's: only the line end is echoed.
        let typed = if step.breaks { "" } else { &step.typed };
        let echoed = echo::end(text, typed).or_else(|| step.breaks.then_some(0));
        let Some(echoed) = echoed else {
            let line = String::from_utf8_lossy(
                text.split(|&byte| byte == b'\n').next().unwrap_or_default(),
            );
            let why = format!("'{}' was typed, but its shell read '{line}'", step.asked);
            return self.end(Outcome::GuestFailed(why));
        };
        let output = self.since.saturating_add(echoed)..prompt;
        if step.restarts && status == 0 {
            self.phase = Phase::Restart;
            self.since = self.console.guest().len();
            return vec![];
        }
        self.finish_command(output, Some(status));
        self.next_step()
    }

    fn next_step(&mut self) -> Vec<Request> {
        match self.step().cloned() {
            None => self.send(Phase::Leaving, LEAVE),
            Some(Step { typed, breaks, .. }) => {
                let mut requests = if breaks { vec![Request::Break] } else { vec![] };
                requests.extend(self.send(Phase::Command, &typed));
                requests
            }
        }
    }

    /// The step that is to be done, or is being done.
    fn step(&self) -> Option<&Step> {
        self.script.steps.get(self.record.commands.len())
    }

    /// The machine has restarted, and says so at this place of the guest's text.
    fn restarted(&mut self, at: usize) {
        self.restarts = self.restarts.saturating_add(1);
        if let Some(line) = self.fatal.clone() {
            return self.ends(Outcome::GuestFailed(line));
        }
        if self.phase == Phase::Watch {
            return;
        }
        let asked = self.step().is_some_and(|step| step.restarts);
        if !asked || !matches!(self.phase, Phase::Command | Phase::Restart) {
            let why = format!("the machine restarted, which nobody asked for ({})", self.wait());
            return self.ends(Outcome::GuestFailed(why));
        }
        self.finish_command(self.since.min(at)..at, None);
        self.phase = Phase::FirstPrompt;
        self.shell = self.shell.saturating_add(1);
        self.since = at;
        self.speaks = Some(at);
    }

    fn finish_command(&mut self, output: Range<usize>, status: Option<u32>) {
        let Some(step) = self.step() else { return };
        let text = self.console.guest().get(output.clone()).unwrap_or_default();
        let cpu = self.now.cpu.zip(self.typed_at.cpu);
        let done = CommandResult {
            command: step.asked.clone(),
            output: String::from_utf8_lossy(text).into_owned(),
            status,
            seconds: self.now.wall.saturating_sub(self.typed_at.wall).as_secs_f64(),
            cpu_seconds: cpu.map(|(now, then)| now.saturating_sub(then).as_secs_f64()),
            at_seconds: self.now.wall.as_secs_f64(),
            resident_bytes: self.now.resident,
        };
        self.spoken.push(output);
        self.record.commands.push(done);
    }

    fn send(&mut self, phase: Phase, line: &str) -> Vec<Request> {
        let length = self.console.guest().len();
        if let Some(from) = self.speaks.take() {
            self.spoken.push(from..length);
        }
        self.phase = phase;
        self.since = length;
        self.typed_at = self.now;
        vec![Request::Type(format!("{line}\n"))]
    }

    /// Whether the text came, but for what is the echo of something typed.
    fn has_spoken(&self, expect: &Regex) -> bool {
        let guest = self.console.guest();
        let last = match self.phase {
            Phase::Leaving => {
                let text = guest.get(self.since..).unwrap_or_default();
                echo::end(text, LEAVE).map(|end| self.since.saturating_add(end))
            }
            _ => self.speaks,
        };
        let last = last.map(|from| from..guest.len());
        let pieces = self.spoken.iter().chain(&last);
        pieces.filter_map(|piece| guest.get(piece.clone())).any(|text| expect.is_match(text))
    }

    /// Looks for lines that fail the run, up to there. Whether the kernel ends with one of them.
    fn judge_lines(&mut self, to: usize) -> bool {
        let text = self.console.guest().get(self.judged..to).unwrap_or_default();
        self.judged = self.judged.max(to);
        let mut found = text.split(|&byte| byte == b'\n').find_map(|line| self.trouble(line));
        let ends = |mark: &[u8]| text.windows(mark.len()).any(|part| part == mark);
        let ends = ends(b"---[ end Kernel panic");
        let raw = self.console.raw();
        let whole = raw.iter().rposition(|&byte| byte == b'\n').unwrap_or_default();
        if found.is_none() && whole > self.judged_raw {
            let lines = raw.get(self.judged_raw..whole).unwrap_or_default();
            found = lines.split(|&byte| byte == b'\n').find_map(|line| self.trouble(line));
        }
        self.judged_raw = self.judged_raw.max(whole);
        if self.fatal.is_none() {
            self.fatal = found;
        }
        ends && self.fatal.is_some()
    }

    /// What a line that fails the run says; `None` for every other, and for what is allowed or is what is
    /// expected. A pattern that matches elsewhere in the line, in its time stamp say, expects nothing.
    fn trouble(&self, line: &[u8]) -> Option<String> {
        let (kind, words) = fatal::trouble(line)?;
        let expected = self.script.expect.as_ref().and_then(|expect| expect.find(line));
        let expected = expected.is_some_and(|at| at.start() < words.end && words.start < at.end());
        let allowed = self.script.allow.iter().any(|name| name == kind);
        (!expected && !allowed).then(|| format!("{} ({kind})", fatal::quote(line)))
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
        let stop = self.record.events.iter().rev().find(|event| event.event == EventKind::Stop);
        let kind = stop.and_then(|event| event.kind.clone());
        let kind = kind.unwrap_or_else(|| "no kind given".into());
        // A host that has not started its guest says why in the event itself.
        let why = stop.and_then(|event| event.what.as_deref());
        let words = || self.record.words.iter().rev().find_map(|line| line.strip_prefix(STOPPED));
        Outcome::Stopped(match why.or_else(words) {
            Some(words) => format!("{kind}: {}", words.trim_end_matches('.')),
            None => kind,
        })
    }

    /// The time is over.
    fn give_up(&mut self, why: &str) -> Vec<Request> {
        let boots = self.patterns.boots.find_iter(self.console.guest()).count();
        let restarts = match self.script.reports {
            true => u64::from(self.restarts),
            false => (boots as u64).saturating_sub(1),
        };
        let restarts = match restarts {
            0 => String::new(),
            1 => "; the guest restarted once".into(),
            many => format!("; the guest restarted {many} times"),
        };
        let why = format!("{why} ({}){restarts}", self.wait());
        self.end(match &self.fatal {
            Some(line) => Outcome::GuestFailed(format!("{line}; then {why}")),
            None => Outcome::NoProgress(why),
        })
    }

    fn ends(&mut self, outcome: Outcome) {
        self.outcome.get_or_insert(outcome);
    }

    fn end(&mut self, outcome: Outcome) -> Vec<Request> {
        self.ends(outcome);
        vec![Request::End]
    }

    /// What the run waits for, in words.
    fn wait(&self) -> String {
        let step = || self.step().map_or("", |step| step.asked.as_str());
        match (self.phase, &self.script.expect, &self.script.must_print) {
            (Phase::Watch, Some(expect), _) => format!("waiting for '{}'", words(expect)),
            (Phase::Watch, None, Some(line)) => format!("waiting for '{line}' and the power-off"),
            (Phase::FirstPrompt, ..) => "waiting for the guest's shell".into(),
            (Phase::OwnPrompt, ..) => "waiting for the guest's shell to answer".into(),
            (Phase::Command, ..) => format!("waiting for '{}' to end", step()),
            (Phase::Restart, ..) => format!("waiting for '{}' to restart the machine", step()),
            (Phase::Watch | Phase::Leaving, ..) => "waiting for the guest to power off".into(),
        }
    }
}

/// A pattern as it was given.
fn words(expect: &Regex) -> &str {
    expect.as_str().trim_start_matches("(?m)")
}

/// What an emulator that ended says of itself, if it failed.
fn failed_emulator(code: Option<i32>, said: &str) -> Option<String> {
    let told = said.lines().find(|line| line.contains("terminating on signal"));
    match (code, told) {
        (None, _) => Some("it was killed by a signal (by hand, or for want of memory)".into()),
        (Some(0), None) => None,
        (Some(_), Some(told)) => Some(format!("it was told to end: {}", show::line(told))),
        (Some(code), None) => {
            // Warnings come before what ended it.
            let said = said.lines().last().map(|line| format!(": {line}")).unwrap_or_default();
            Some(format!("exit code {code}{said}"))
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
