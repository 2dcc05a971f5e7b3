// SPDX-License-Identifier: BSD-2-Clause
//! What a boot was like, from the JSON report of `ci/boot`: milestones, exits by cause and by
//! device, and how long things took. As text and as SVG.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vmm_report::{Counter, Event, TRACE};

use crate::board::Board;
use crate::error::PlanError;
use crate::span::Span;
use crate::svg::Svg;

/// A report of `ci/boot`, schema 1; fields that are not needed here are skipped.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// Version of the format.
    pub schema: u32,
    /// Folder of the board.
    pub board: String,
    /// What the monitor ran on.
    pub host: String,
    /// GIC version.
    #[serde(default)]
    pub gic: u8,
    /// What was booted.
    #[serde(default)]
    pub guest: String,
    /// One entry for each run.
    pub runs: Vec<Run>,
}

/// One run.
#[derive(Clone, Debug, Deserialize)]
pub struct Run {
    /// How it ended, in one word.
    pub outcome: String,
    /// Wall-clock seconds.
    #[serde(default)]
    pub seconds: f64,
    /// Guest seconds to the first program.
    #[serde(default)]
    pub init_seconds: Vec<f64>,
    /// Commands at the guest's shell.
    #[serde(default)]
    pub commands: Vec<Command>,
    /// The monitor's events.
    #[serde(default)]
    pub events: Vec<Event>,
    /// File with everything that came over the serial line.
    #[serde(default)]
    pub transcript: String,
}

/// A command at the guest's shell.
#[derive(Clone, Debug, Deserialize)]
pub struct Command {
    /// As typed.
    pub command: String,
    /// Wall-clock seconds to its end.
    pub seconds: f64,
}

/// The numbers of a report.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// For each run: seconds and what happened.
    pub milestones: Vec<Vec<Milestone>>,
    /// For each run: exits by cause.
    pub exits: Vec<Vec<(String, u64)>>,
    /// For each run: how many exits were answered in which time.
    pub latency: Vec<Vec<(String, u64)>>,
    /// Accesses by device, where there is a trace.
    pub devices: Vec<(String, u64)>,
    /// Guest time to the first program.
    pub boots: Vec<(String, u64)>,
    /// Commands at the shell.
    pub commands: Vec<(String, u64)>,
}

/// A point of a boot: seconds from the monitor's start, and what happened.
pub type Milestone = (f64, String);

impl Run {
    /// Events by time, in seconds from the first.
    #[must_use]
    pub fn milestones(&self) -> Vec<Milestone> {
        let start = self.events.first().and_then(|event| event.ticks).unwrap_or(0);
        let words = |event: &Event| match (&event.value, &event.kind) {
            (Some(value), _) => format!("{} {value}", event.event),
            (None, Some(kind)) => format!("{} ({kind})", event.event),
            (None, None) => event.event.to_string(),
        };
        let at = |event: &Event| {
            let since = event.ticks.unwrap_or(0).saturating_sub(start);
            event.hz.filter(|hz| *hz > 0).map(|hz| (seconds(since, hz), words(event)))
        };
        self.events.iter().filter_map(at).collect()
    }

    /// Exits and wake-ups by cause at the end of the run, the most frequent first.
    #[must_use]
    pub fn exits(&self) -> Vec<(&'static str, u64)> {
        let Some(last) = self.events.last() else { return Vec::new() };
        let wanted = |counter: &&Counter| counter.is_exit() || **counter == Counter::WakeUp;
        let mut exits: Vec<_> = Counter::ALL
            .iter()
            .filter(wanted)
            .filter_map(|counter| Some((counter.name(), last.counter(*counter)?)))
            .filter(|(_, count)| *count > 0)
            .collect();
        exits.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        exits
    }
}

impl Run {
    /// How long the monitor took to answer exits, over the whole run: bins of powers of two of the
    /// counter's ticks, named by their upper ends.
    #[must_use]
    pub fn latency(&self) -> Vec<(String, u64)> {
        let Some(last) = self.events.last() else { return Vec::new() };
        let Some(hz) = last.hz.filter(|hz| *hz > 0) else { return Vec::new() };
        let name = |bin| format!("< {:.1} us", 1e6 * seconds(1_u64.wrapping_shl(bin), hz));
        (0_u32..)
            .zip(&last.latency)
            .filter(|(_, count)| **count > 0)
            .map(|(bin, count)| (name(bin), *count))
            .collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a time for people needs no 64 bits")]
fn seconds(ticks: u64, hz: u64) -> f64 {
    ticks as f64 / hz as f64
}

/// How often something took how long: bins of powers of two of a millisecond.
#[must_use]
pub fn histogram(times: impl Iterator<Item = f64>) -> Vec<(String, u64)> {
    let mut bins: BTreeMap<u32, u64> = BTreeMap::new();
    for time in times.filter(|time| time.is_finite() && *time >= 0.0) {
        let mut bin = 0_u32;
        let mut limit = 0.001;
        while time >= limit && bin < 24 {
            limit *= 2.0;
            bin = bin.saturating_add(1);
        }
        let count = bins.entry(bin).or_default();
        *count = count.saturating_add(1);
    }
    let name = |bin: u32| {
        let most = 1_u64 << bin.min(24);
        if most < 1024 { format!("< {most} ms") } else { format!("< {} s", most / 1024) }
    };
    bins.into_iter().map(|(bin, count)| (name(bin), count)).collect()
}

impl Report {
    /// Reads a report.
    ///
    /// # Errors
    /// The file does not read, or is no report of schema 1.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let wrong = |why: String| PlanError::BoardFile { path: path.display().to_string(), why };
        let text = std::fs::read_to_string(path).map_err(PlanError::file(path))?;
        let report: Self = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if report.schema != 1 {
            return Err(wrong(format!("a report of schema {}, this reads 1", report.schema)));
        }
        Ok(report)
    }

    /// Exits by device: from the steps of a trace in the transcripts, if there are any.
    #[must_use]
    pub fn devices(&self, board: Option<&Board>) -> Vec<(String, u64)> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for run in &self.runs {
            let text = std::fs::read(&run.transcript).unwrap_or_default();
            for ipa in String::from_utf8_lossy(&text).lines().filter_map(abort) {
                let count = counts.entry(device(ipa, board)).or_default();
                *count = count.saturating_add(1);
            }
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        counts
    }

    /// For programs: the numbers that [`Report::text`] and [`Report::svg`] show.
    #[must_use]
    pub fn summary(&self, board: Option<&Board>) -> Summary {
        let (boots, commands) = self.times();
        let owned = |(name, count): (&str, u64)| (name.to_owned(), count);
        Summary {
            milestones: self.runs.iter().map(Run::milestones).collect(),
            exits: self
                .runs
                .iter()
                .map(|run| run.exits().into_iter().map(owned).collect())
                .collect(),
            latency: self.runs.iter().map(Run::latency).collect(),
            devices: self.devices(board),
            boots: histogram(boots.into_iter()),
            commands: histogram(commands.into_iter()),
        }
    }

    fn title(&self) -> String {
        format!("{} on {}, GICv{}, {}", self.board, self.host, self.gic, self.guest)
    }

    /// All times of the report: boots, and commands at the shell.
    fn times(&self) -> (Vec<f64>, Vec<f64>) {
        let boots = self.runs.iter().flat_map(|run| run.init_seconds.iter().copied()).collect();
        let commands = self
            .runs
            .iter()
            .flat_map(|run| run.commands.iter().map(|command| command.seconds))
            .collect();
        (boots, commands)
    }

    /// For a terminal.
    #[must_use]
    pub fn text(&self, board: Option<&Board>) -> String {
        let mut out = format!("{}\n", self.title());
        for (run, number) in self.runs.iter().zip(1..) {
            let _ = writeln!(out, "run {number}: {}, {:.1} s", run.outcome, run.seconds);
            for (time, event) in run.milestones() {
                let _ = writeln!(out, "  {time:>9.3} s  {event}");
            }
            let exits: Vec<_> =
                run.exits().iter().map(|(name, count)| format!("{name} {count}")).collect();
            if !exits.is_empty() {
                let _ = writeln!(out, "  exits: {}", exits.join(", "));
            }
            chart(&mut out, "  the monitor's answers to exits", &run.latency());
        }
        for (device, count) in self.devices(board) {
            let _ = writeln!(out, "  {count:>9} accesses to {device}");
        }
        let (boots, commands) = self.times();
        for (title, times) in
            [("guest time to the first program", boots), ("commands at the shell", commands)]
        {
            chart(&mut out, title, &histogram(times.into_iter()));
        }
        out
    }

    /// As a picture: milestones of the first run, exits by cause and device, times.
    #[must_use]
    pub fn svg(&self, board: Option<&Board>) -> String {
        let run = self.runs.first();
        let milestones = run.map(Run::milestones).unwrap_or_default();
        let owned = |list: Vec<(&str, u64)>| {
            list.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
        };
        let (boots, commands) = self.times();
        let charts: [(&str, Vec<(String, u64)>); 5] = [
            ("exits by cause", run.map(|run| owned(run.exits())).unwrap_or_default()),
            ("the monitor's answers to exits", run.map(Run::latency).unwrap_or_default()),
            ("accesses by device", self.devices(board)),
            ("guest time to the first program", histogram(boots.into_iter())),
            ("commands at the shell", histogram(commands.into_iter())),
        ];
        let mut lines = milestones.len().saturating_add(2);
        for (_, chart) in charts.iter().filter(|(_, chart)| !chart.is_empty()) {
            lines = lines.saturating_add(chart.len()).saturating_add(2);
        }
        let height = i64::try_from(lines).unwrap_or(i64::MAX).saturating_mul(20).saturating_add(40);
        let mut svg = Svg::new(820, height);
        svg.text(16, 26, "title", &self.title());
        let mut y = 56_i64;
        svg.text(16, y, "head", "milestones, seconds from the monitor's start");
        let last = milestones.last().map_or(1.0, |(time, _)| time.max(0.001));
        for (time, event) in &milestones {
            y = y.saturating_add(20);
            svg.bar(260, y.saturating_sub(10), scale(*time / last), 12, "guest");
            svg.text(16, y, "label", event);
            svg.text_end(250, y, "address", &format!("{time:.3}"));
        }
        for (title, chart) in charts.iter().filter(|(_, chart)| !chart.is_empty()) {
            y = y.saturating_add(40);
            svg.text(16, y, "head", title);
            let most = chart.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
            for (name, count) in chart {
                y = y.saturating_add(20);
                svg.bar(260, y.saturating_sub(10), scale(seconds(*count, most)), 12, "monitor");
                svg.text(16, y, "label", name);
                svg.text_end(250, y, "address", &count.to_string());
            }
        }
        svg.finish()
    }
}

/// A histogram for a terminal: the longest bar is 60 characters.
fn chart(out: &mut String, title: &str, bins: &[(String, u64)]) {
    if bins.is_empty() {
        return;
    }
    let _ = writeln!(out, "{title}:");
    let most = bins.iter().map(|(_, count)| *count).max().unwrap_or(1).max(60);
    for (bin, count) in bins {
        let length = count.saturating_mul(60).div_ceil(most);
        let bar: String = (0..length).map(|_| '#').collect();
        let _ = writeln!(out, "  {bin:>12} {count:>7} {bar}");
    }
}

/// A share of the picture's width, at least a point.
#[expect(clippy::cast_possible_truncation, reason = "a float to integer cast saturates")]
fn scale(share: f64) -> i64 {
    ((share * 540.0) as i64).clamp(1, 540)
}

/// Address of the abort that a step of a trace reports: `@t exit VCPU trap ESR IPA`.
fn abort(line: &str) -> Option<u64> {
    let mut words = line.trim().strip_prefix(TRACE)?.strip_prefix("exit ")?.split(' ');
    let (_, trap, esr, ipa) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let hex = |word: &str| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok();
    // Exception classes 0x20 and 0x24: instruction and data aborts (Arm DDI 0487, D24.2.46).
    let class = hex(esr)? >> 26;
    (trap == "trap" && matches!(class, 0x20 | 0x24)).then(|| hex(ipa)).flatten()
}

/// The device of a board at an address.
fn device(ipa: u64, board: Option<&Board>) -> String {
    let mut known: Vec<(&str, Span)> = Vec::new();
    if let Some(board) = board {
        known.push(("the marker page", board.marker.registers));
        known.extend(board.clock.as_ref().map(|clock| ("the real-time clock", clock.registers)));
        known.push(("the console", board.console.registers));
        known.extend(board.gics().map(|gic| ("GICD", gic.distributor())));
        known.extend(board.gic.v3.as_ref().map(|gic| ("GICR", gic.redistributors)));
    }
    let found = known.iter().find(|(_, span)| span.base() <= ipa && ipa < span.end());
    found.map_or_else(|| format!("the page at {:#x}", ipa & !0xfff), |(name, _)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"schema":1,"board":"b","host":"microkit","gic":2,"guest":"linux","extra":0,"runs":[
        {"outcome":"off","seconds":4.5,"init_seconds":[1.1],"commands":[{"command":"true","seconds":0.03}],
         "events":[{"v":1,"event":"start","ticks":1000,"hz":1000,"counters":{"smc":0}},
                   {"v":1,"event":"mark","value":7,"ticks":2500,"hz":1000,"counters":{}},
                   {"v":1,"event":"off","ticks":3000,"hz":1000,"latency":[0,5,0,120],"counters":{"smc":6,"mmio_write":165,"injected":9}}],
         "transcript":""}]}"#;

    #[test]
    fn milestones_start_at_zero_and_exits_are_sorted() {
        let report: Report = serde_json::from_str(REPORT).unwrap();
        let run = &report.runs[0];
        let milestones = run.milestones();
        assert_eq!(
            milestones,
            [(0.0, "start".into()), (1.5, "mark 7".into()), (2.0, "off".into())]
        );
        assert_eq!(run.exits(), [("mmio_write", 165), ("smc", 6)]);
        let text = report.text(None);
        assert!(
            text.contains("1.500 s  mark 7") && text.contains("exits: mmio_write 165, smc 6"),
            "{text}"
        );
        assert_eq!(run.latency(), [("< 2000.0 us".into(), 5), ("< 8000.0 us".into(), 120)]);
        assert!(text.contains("< 8000.0 us     120 ####"), "{text}");
        let svg = report.svg(None);
        assert!(svg.contains("the monitor's answers to exits"));
        assert!(
            svg.starts_with("<svg") && svg.contains("mark 7") && svg.contains("exits by cause")
        );
    }

    #[test]
    fn times_fall_into_bins() {
        let bins = histogram([0.0005, 0.0011, 0.0012, 1.1, f64::NAN, -1.0].into_iter());
        assert_eq!(bins, [("< 1 ms".into(), 1), ("< 2 ms".into(), 2), ("< 2 s".into(), 1)]);
    }

    #[test]
    fn traces_give_accesses_by_device() {
        assert_eq!(abort("@t exit 0 trap 0x93800007 0x8000004"), Some(0x800_0004));
        assert_eq!(abort("@t exit 0 trap 0x5e000000 0x0"), None);
        assert_eq!(abort("@t resume"), None);
        assert_eq!(device(0x1234, None), "the page at 0x1000");
    }
}
