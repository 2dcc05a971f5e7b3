// SPDX-License-Identifier: BSD-2-Clause
//! `ci/soak`: what must hold for hours. A hostile guest by seeds, restarts of Linux in a row, and
//! idle and load in turn; each part ends in figures and complaints.

mod clock;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use regex::Regex;
use vmm_report::{Counter, Event, EventKind, FaultKind};

use crate::bench::number;
use crate::boot;
use crate::conformance::{self, Guest};
use crate::error::Result;
use crate::image::{self, Image};
use crate::options::{BootOptions, Machine, SoakOptions};
use crate::report::Run;
use crate::session::{CommandResult, Script, Step};
use crate::soak::clock::UPTIME;

/// Seconds of one hostile guest that is not stopped before.
const HOSTILE_SECONDS: u64 = 20;
/// Most minutes of one restart.
const REBOOT: Duration = Duration::from_secs(120);
/// Longest stretch of idle or load.
const STRETCH: Duration = Duration::from_secs(30);
/// Room for translated code in QEMU, in MiB: by default up to 1 GiB, which would hide all else that
/// grows.
const TRANSLATED_MIB: u64 = 128;
/// How much QEMU may grow in the second half of a run, in bytes: that room, and change.
const GROWTH: u64 = 160 << 20;
/// Counters of things that Linux does once, when it starts.
const ONCE: [Counter; 4] =
    [Counter::Other, Counter::UnknownSmc, Counter::Unimplemented, Counter::Notes];

/// What a part came to.
#[derive(Debug, Default, PartialEq)]
struct SoakResult {
    /// One line.
    figures: String,
    /// What must not be.
    complaints: Vec<String>,
}

/// Runs all parts. The exit code is 1 if one has a complaint.
///
/// # Errors
/// Something is missing or does not build.
pub fn run(root: &Path, options: &SoakOptions) -> Result<u8> {
    let machine = options.guest.machine();
    let mut complaints = 0_usize;
    let mut tell = |name: &str, result: SoakResult| {
        crate::show::out(format_args!("{name}: {}", result.figures));
        result
            .complaints
            .iter()
            .for_each(|complaint| crate::show::out(format_args!("{name}: FAILED: {complaint}")));
        complaints = complaints.saturating_add(result.complaints.len());
    };
    if !options.hostile.is_zero() {
        tell("hostile guest", hostile(root, &machine, options.hostile, options.seed)?);
    }
    if options.reboots > 0 {
        tell("restarts", reboots(root, &machine, options.reboots)?);
    }
    if !options.load.is_zero() {
        tell("idle and load", idle_and_load(root, &machine, options.load)?);
    }
    Ok(u8::from(complaints > 0))
}

/// Hostile guests, one seed after the other: each odd one may do what stops it. Then Linux boots.
fn hostile(root: &Path, machine: &Machine, span: Duration, first: u64) -> Result<SoakResult> {
    let mut guests = vec![Guest::find(root, "hostile")?];
    if conformance::survives_stepping(root, machine)? {
        guests.push(Guest::find(root, "hostile-debug")?);
    }
    // What has to be built is built before the time runs.
    for guest in &guests {
        let machine = Machine { guest: Some(guest.name.clone()), ..machine.clone() };
        drop(Image::prepare(root, &machine)?);
    }
    let started = Instant::now();
    let mut result = SoakResult::default();
    let mut ends: BTreeMap<String, u32> = BTreeMap::new();
    let mut attempts = 0_u64;
    for seed in first.. {
        let left = span.saturating_sub(started.elapsed()).as_secs();
        if left == 0 {
            break;
        }
        let (fatal, seconds) = (seed % 2, left.min(HOSTILE_SECONDS));
        // Each even one in turns, each odd one the first, which knows what may be fatal.
        let Some(guest) = guests.iter().cycle().nth(turn(seed)) else { break };
        let machine = Machine {
            guest: Some(guest.name.clone()),
            append: format!("seed={seed} fatal={fatal} seconds={seconds}"),
            ..machine.clone()
        };
        let options = BootOptions { machine, ..BootOptions::default() };
        let image = Image::prepare(root, &options.machine)?;
        let run = boot::once(&image, &options.machine, guest.script(&options), 1)?;
        let text = std::fs::read(&run.transcript).unwrap_or_default();
        attempts = attempts.saturating_add(attempted(&String::from_utf8_lossy(&text)));
        match hostile_end(&run, fatal == 1) {
            Ok(end) => {
                let count = ends.entry(end).or_default();
                *count = count.saturating_add(1);
            }
            Err(why) => {
                let kept = run.transcript.with_extension(format!("seed-{seed}.log"));
                // Without the copy the seed still tells how to repeat it.
                let _ = std::fs::rename(&run.transcript, &kept);
                result
                    .complaints
                    .push(format!("seed {seed}: {why}; transcript: {}", kept.display()));
            }
        }
    }
    let after = linux(root, machine, vec![Step::command("true")], BootOptions::default().total())?;
    if after.exit_code != 0 {
        result.complaints.push(format!("the boot after it: {}", after.message));
    }
    let ends: Vec<_> = ends.iter().map(|(end, count)| format!("{count} {end}")).collect();
    result.figures = format!(
        "{:.1} minutes, {attempts} attempts in guests that passed; ends: {}; Linux boots after it",
        started.elapsed().as_secs_f64() / 60.0,
        ends.join(", ")
    );
    Ok(result)
}

/// Whose turn a seed is: every second one that may not be fatal is the second guest's.
fn turn(seed: u64) -> usize {
    usize::from(seed % 4 == 2)
}

/// How a hostile guest ended, if it may end so.
fn hostile_end(run: &Run, may_be_stopped: bool) -> std::result::Result<String, String> {
    let stop = run.events.iter().find(|event| event.event == EventKind::Stop);
    let by_no_guest = matches!(
        stop.and_then(Event::fault_kind),
        Some(FaultKind::BadImage | FaultKind::MonitorPanic)
    );
    match (run.exit_code, stop.and_then(|event| event.kind.as_deref())) {
        (0, None) => Ok("passed".into()),
        (2, Some(kind)) if by_no_guest => {
            Err(format!("no guest can cause {kind}: {}", run.message))
        }
        (2, Some(_)) if run.monitor.is_empty() => Err("it was stopped without a report".into()),
        (2, Some(kind)) if may_be_stopped => Ok(format!("stopped ({kind})")),
        _ => Err(run.message.clone()),
    }
}

/// How much the hostile guest says that it did.
fn attempted(text: &str) -> u64 {
    #[expect(clippy::expect_used, reason = "a constant pattern; a test compiles it")]
    static DONE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"hostile: (\d+) attempts").expect("a constant pattern"));
    let found = DONE.captures(text).and_then(|found| found.get(1)?.as_str().parse().ok());
    found.unwrap_or_default()
}

/// Linux, restarted by its own `reboot`.
fn reboots(root: &Path, machine: &Machine, count: u32) -> Result<SoakResult> {
    let restart = Step { restarts: true, ..Step::command("reboot -f") };
    let mut steps = vec![restart; count as usize];
    steps.push(Step::command("true"));
    let run = linux(root, machine, steps, REBOOT.saturating_mul(count.saturating_add(1)))?;
    let resets: Vec<_> =
        run.events.iter().filter(|event| event.event == EventKind::Reset).collect();
    let mut complaints = failure(&run);
    if resets.len() != count as usize {
        complaints.push(format!("the monitor reports {} resets of {count}", resets.len()));
    }
    let init = &run.init_seconds;
    // Emulated time follows the clock on the wall: a busy computer makes a slow guest.
    complaints.extend(grows("time to init, s", init, 3.0, 1.0));
    // From one reset to the next: what a boot and a restart cost.
    let mmio = |event: &Event| {
        let of = |counter| event.counter(counter).unwrap_or(0);
        number(of(Counter::MmioRead).saturating_add(of(Counter::MmioWrite)))
    };
    let each: Vec<_> = resets.windows(2).map(|two| mmio_between(two, mmio)).collect();
    complaints.extend(grows("MMIO exits a boot", &each, 1.1, 8.0));
    complaints.extend(memory(&run.commands));
    let figures = format!(
        "{count} in a row in {:.1} minutes; init at {} s; {} MMIO exits a boot; QEMU holds {}",
        run.seconds / 60.0,
        span(init),
        span(&each),
        held(&run.commands)
    );
    Ok(SoakResult { figures, complaints })
}

fn mmio_between(two: &[&Event], mmio: impl Fn(&Event) -> f64) -> f64 {
    match two {
        [before, after] => mmio(after) - mmio(before),
        _ => 0.0,
    }
}

/// Idle and load in turn. The guest's clock is compared with this computer's at each end.
fn idle_and_load(root: &Path, machine: &Machine, time: Duration) -> Result<SoakResult> {
    let marker = image::marker(root, machine)?;
    let (stretch, rounds) = stretches(time);
    let load = format!(
        "end=$(($(cut -d. -f1 /proc/uptime)+{stretch})); while [ $(cut -d. -f1 /proc/uptime) -lt $end ]; \
         do dd if=/dev/zero bs=64k count=64 2>/dev/null | md5sum; done"
    );
    let mut steps = Vec::new();
    let mut look = |before: Option<&str>| {
        let mark = format!("devmem {marker:#x} 32 1");
        steps.extend(before.into_iter().chain([UPTIME, &mark]).map(Step::command));
    };
    look(None);
    for _ in 0..rounds {
        look(Some(&format!("sleep {stretch}")));
        look(Some(&load));
    }
    let total = time.saturating_mul(2).saturating_add(BootOptions::default().total());
    let run = linux(root, machine, steps, total)?;
    let mut complaints = failure(&run);
    let drifts = clock::drifts(&clock::readings(&run.commands));
    for drift in drifts.iter().filter(|drift| drift.is_too_much()) {
        complaints.push(format!(
            "from {:.0} s on, for {:.0} s, the guest's clock gains {:+.3} s (+-{:.3})",
            drift.from, drift.length, drift.ahead, drift.uncertainty
        ));
    }
    let clock = drifts.first().map_or_else(
        || "the guest's clock was not read twice".to_owned(),
        |whole| {
            let (ahead, wrong) = (whole.ahead, whole.uncertainty);
            let percent = 100.0 / whole.length.max(1.0);
            format!(
                "the guest's clock gains {ahead:+.3} s ({:+.4} %), known to {wrong:.3} s ({:.4} %)",
                ahead * percent,
                wrong * percent
            )
        },
    );
    if drifts.is_empty() {
        complaints.push(clock.clone());
    }

    let marks: Vec<_> = run.events.iter().filter(|event| event.event == EventKind::Mark).collect();
    // Marks around a sleep are 0 and 1, 2 and 3, ...: a load lies between the others.
    let idle: Vec<_> = marks.chunks_exact(2).filter_map(idle_rate).collect();
    if idle.len() as u64 != rounds {
        complaints.push(format!("exits when idle: {} of {rounds} were measured", idle.len()));
    }
    complaints.extend(grows("exits a second when idle", &idle, 1.5, 5.0));
    complaints.extend(memory(&run.commands));
    complaints.extend(once_only(&marks));
    let figures = format!(
        "{:.1} minutes; {clock}; {} exits a second when idle; QEMU holds {}",
        run.seconds / 60.0,
        span(&idle),
        held(&run.commands)
    );
    Ok(SoakResult { figures, complaints })
}

/// Seconds of one stretch, and how many pairs of them the time holds.
fn stretches(time: Duration) -> (u64, u64) {
    let stretch = STRETCH.as_secs().min(time.as_secs().wrapping_shr(1)).max(1);
    let pairs = time.as_secs().checked_div(stretch.saturating_mul(2)).unwrap_or_default();
    (stretch, pairs.max(1))
}

/// Exits a second between two marks.
fn idle_rate(two: &[&Event]) -> Option<f64> {
    let [before, after] = two else { return None };
    let seconds = after.seconds()? - before.seconds()?;
    Some(number(after.exits()?.saturating_sub(before.exits()?)) / seconds.max(0.001))
}

/// A complaint if the mean of the last quarter is more than `factor` times that of the first, and
/// `slack` more.
fn grows(figure: &str, values: &[f64], factor: f64, slack: f64) -> Option<String> {
    let quarter = (values.len() / 4).max(1);
    let (first, last) =
        (mean(values.iter().take(quarter)), mean(values.iter().rev().take(quarter)));
    let (first, last) = (first?, last?);
    (last > factor * first + slack).then(|| format!("{figure}: from {first:.3} to {last:.3}"))
}

fn mean<'v>(values: impl ExactSizeIterator<Item = &'v f64>) -> Option<f64> {
    let count = values.len();
    (count > 0).then(|| values.sum::<f64>() / number(count as u64))
}

/// A complaint if QEMU grows in the second half, or nobody knows.
fn memory(commands: &[CommandResult]) -> Option<String> {
    let middle = commands.get(commands.len() / 2)?.resident_bytes;
    let (Some(middle), Some(last)) = (middle, commands.last()?.resident_bytes) else {
        return Some("QEMU's memory was not measured".into());
    };
    (last > middle.saturating_add(GROWTH)).then(|| {
        format!("QEMU grows from {} to {} MiB in the second half", middle >> 20, last >> 20)
    })
}

fn held(commands: &[CommandResult]) -> String {
    let at = |done: Option<&CommandResult>| {
        let bytes = done.and_then(|done| done.resident_bytes);
        bytes.map_or_else(|| "?".to_owned(), |bytes| (bytes >> 20).to_string())
    };
    let middle = commands.get(commands.len() / 2);
    format!(
        "{}, {}, {} MiB (first, middle, last)",
        at(commands.first()),
        at(middle),
        at(commands.last())
    )
}

/// Complaints about counters that have no reason to move once Linux runs.
fn once_only(marks: &[&Event]) -> Vec<String> {
    let (Some(first), Some(last)) = (marks.first(), marks.last()) else {
        return vec!["the monitor printed no mark".into()];
    };
    let count = |event: &Event, counter| event.counter(counter).unwrap_or(0);
    let counts = ONCE.map(|counter| (counter, count(first, counter), count(last, counter)));
    let moved = counts.into_iter().filter(|(_, before, after)| before != after);
    moved.map(|(counter, from, to)| format!("{counter} went from {from} to {to}")).collect()
}

fn failure(run: &Run) -> Vec<String> {
    let path = run.transcript.display();
    let failed = (run.exit_code != 0).then(|| format!("{}; transcript: {path}", run.message));
    failed.into_iter().collect()
}

/// Least and most.
fn span(values: &[f64]) -> String {
    let least = values.iter().copied().reduce(f64::min);
    let most = values.iter().copied().reduce(f64::max);
    match (least, most) {
        (Some(least), Some(most)) => format!("{least:.2} to {most:.2}"),
        _ => "no".into(),
    }
}

/// Boots Linux once with these commands and the room for translated code that is told above.
fn linux(root: &Path, machine: &Machine, steps: Vec<Step>, total: Duration) -> Result<Run> {
    let mut image = Image::prepare(root, machine)?;
    image.emulator.arguments.extend(["-accel".into(), format!("tcg,tb-size={TRANSLATED_MIB}")]);
    let options = BootOptions { machine: machine.clone(), run: steps, ..BootOptions::default() };
    let script = Script { total, ..boot::linux(&options) };
    boot::once(&image, machine, script, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(exit_code: u8, kind: Option<&str>, words: &[&str]) -> Run {
        let stop = kind.map(|kind| {
            let json = format!("{{\"v\":1,\"event\":\"stop\",\"kind\":\"{kind}\"}}");
            Event::parse(&json).unwrap()
        });
        Run {
            message: "it ended".into(),
            exit_code,
            events: stop.into_iter().collect(),
            monitor: words.iter().map(|&word| word.into()).collect(),
            ..Run::default()
        }
    }

    #[test]
    fn seeds_that_may_be_fatal_are_the_first_guest_s() {
        assert_eq!((0..8).map(turn).collect::<Vec<_>>(), [0, 0, 1, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn a_hostile_guest_passes_or_is_stopped_with_a_report() {
        let stopped = ended(2, Some("no-syndrome"), &["The guest was stopped: ..."]);
        assert_eq!(hostile_end(&ended(0, None, &[]), false), Ok("passed".into()));
        assert_eq!(hostile_end(&stopped, true), Ok("stopped (no-syndrome)".into()));
        assert!(hostile_end(&stopped, false).is_err(), "it was not to be stopped");
        assert!(hostile_end(&ended(2, Some("no-syndrome"), &[]), true).is_err(), "no report");
        assert!(hostile_end(&ended(2, Some("monitor-panic"), &["x"]), true).is_err());
        for code in [1, 124, 125] {
            assert!(hostile_end(&ended(code, None, &[]), true).is_err(), "{code}");
        }
    }

    #[test]
    fn a_short_time_still_has_both_stretches() {
        assert_eq!(stretches(Duration::from_secs(1800)), (30, 30));
        assert_eq!(stretches(Duration::from_secs(20)), (10, 1));
        assert_eq!(stretches(Duration::from_secs(1)), (1, 1));
    }

    #[test]
    fn attempts_are_read_from_the_guests_text() {
        assert_eq!(attempted("x\nhostile: 123 attempts, 4 interrupts\n"), 123);
        assert_eq!(attempted("nothing"), 0);
    }

    #[test]
    fn growth_is_from_the_first_quarter_to_the_last() {
        let flat = [5.0, 5.1, 4.9, 5.0, 5.0, 5.2, 5.0, 5.1];
        assert_eq!(grows("x", &flat, 1.1, 0.0), None);
        let rising: Vec<_> = (10..30).map(f64::from).collect();
        assert!(grows("x", &rising, 1.5, 0.0).is_some());
        assert_eq!(grows("x", &[], 1.0, 0.0), None);
    }

    #[test]
    fn memory_may_settle_but_not_grow() {
        let of = |sizes: [u64; 4]| {
            let held = |mib: u64| CommandResult {
                resident_bytes: Some(mib << 20),
                ..CommandResult::default()
            };
            memory(&sizes.map(held))
        };
        assert_eq!(of([100, 300, 320, 340]), None);
        assert!(of([100, 200, 300, 500]).is_some());
        assert!(memory(&vec![CommandResult::default(); 4]).is_some(), "not measured");
    }

    #[test]
    fn counters_of_the_start_must_not_move() {
        let mark = |notes: u64| {
            let json = format!("{{\"v\":1,\"event\":\"mark\",\"counters\":{{\"notes\":{notes}}}}}");
            Event::parse(&json).unwrap()
        };
        assert_eq!(once_only(&[&mark(1), &mark(1)]), [""; 0]);
        assert_eq!(once_only(&[&mark(1), &mark(3)]), ["notes went from 1 to 3"]);
        assert_eq!(once_only(&[]).len(), 1);
    }
}
