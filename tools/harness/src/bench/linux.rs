// SPDX-License-Identifier: BSD-2-Clause
//! What Linux shows: its time to init, its first line, what it costs while it sleeps, and the exits
//! on the way to its shell.

use std::path::Path;

use super::figure::{Column, number};
use super::memory;
use crate::boot;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::image::{self, Image};
use crate::options::{BootOptions, HostName, Machine};
use crate::report::Run;
use crate::session::Script;

/// Counters that stand for one exit each.
const EXITS: [&str; 10] = [
    "mmio_read",
    "mmio_write",
    "smc",
    "hvc",
    "wfi",
    "wfe",
    "sysreg",
    "timer",
    "maintenance",
    "line",
];

/// Boots of the small guest: the middle one counts.
const TRIES: usize = 3;

/// What the guest shows alone.
///
/// # Errors
/// Something is missing, does not build, or a boot fails.
pub fn without_monitor(
    root: &Path,
    machine: &Machine,
    idle: u32,
    column: &mut Column,
) -> Result<()> {
    column.set("init_s", init(root, machine)?);
    let (_, run) = boot_once(root, machine, vec!["true".into(), format!("sleep {idle}")])?;
    first_line(&run, column);
    column.set("idle_percent", percent(&run));
    Ok(())
}

/// What it shows under the monitor.
///
/// # Errors
/// Something is missing, does not build, or a boot fails.
pub fn with_monitor(root: &Path, machine: &Machine, idle: u32, column: &mut Column) -> Result<()> {
    column.set("init_s", init(root, machine)?);
    let marker = image::marker(root, machine)?;
    let mark = |number: u8| format!("devmem {marker:#x} 32 {number}");
    // In one line: what is typed interrupts the guest too.
    let asleep = format!("{}; sleep {idle}; {}", mark(2), mark(3));
    let (image, run) = boot_once(root, machine, vec![mark(1), asleep])?;
    first_line(&run, column);
    column.set("idle_percent", percent(&run));

    let marked = |value| run.events.iter().find(|event| event.value == Some(value));
    let (Some(shell), Some(from), Some(to)) = (marked(1), marked(2), marked(3)) else {
        return Err(Error::Emulator("the monitor printed no mark".into()));
    };
    let span = to.seconds().unwrap_or_default() - from.seconds().unwrap_or_default();
    let idle_exits = exits(to).saturating_sub(exits(from));
    column.set("idle_exits", number(idle_exits) / span.max(0.001));
    column.set("exits", number(exits(shell)));
    column.exits = EXITS.map(|name| (name, shell.counter(name))).to_vec();
    kernel_calls(shell, column);
    memory::measure(&image, machine, column)
}

/// Calls and registers on the way to the shell, where there is a kernel.
fn kernel_calls(shell: &Event, column: &mut Column) {
    let calls = shell.counter("calls");
    if calls == 0 {
        return;
    }
    column.set("exit_calls", number(calls) / number(exits(shell)).max(1.0));
    let mmio = number(shell.counter("mmio_read").saturating_add(shell.counter("mmio_write")));
    for name in ["mmio_calls", "mmio_registers"] {
        if shell.counters.contains_key(name) {
            column.set(name, number(shell.counter(name)) / mmio.max(1.0));
        }
    }
}

/// When the first line of the guest that guest/buildroot builds comes, if it was built.
///
/// # Errors
/// Something is missing, does not build, or a boot fails.
pub fn own_guest(root: &Path, machine: &Machine, column: &mut Column) -> Result<()> {
    let folder = image::cache()?.join("small");
    let (kernel, initrd) = (folder.join("Image"), folder.join("initrd"));
    if !kernel.exists() || !initrd.exists() {
        eprintln!("left out: our own guest is not in {}", folder.display());
        return Ok(());
    }
    let machine = Machine { kernel: Some(kernel), initrd: Some(initrd), ..machine.clone() };
    let mut times = Vec::new();
    for _ in 0..TRIES {
        let (_, run) = boot_once(root, &machine, vec![])?;
        times.extend(run.first_line_seconds);
    }
    times.sort_by(f64::total_cmp);
    if let Some(middle) = times.get(times.len() / 2) {
        column.set("own_first_line_s", *middle);
    }
    Ok(())
}

/// Guest time at init, in seconds, counted in instructions; the run ends there.
///
/// # Errors
/// Something is missing, does not build, or the boot fails.
pub fn init(root: &Path, machine: &Machine) -> Result<f64> {
    let machine = Machine { icount: true, ..machine.clone() };
    let image = Image::prepare(root, &machine)?;
    let run = run(&image, &machine, init_script()?)?;
    let none = || Error::Emulator("the guest's kernel shows no time at its init".into());
    run.init_seconds.first().copied().ok_or_else(none)
}

/// Ends at the line that [`Run::init_seconds`] is read from.
///
/// # Errors
/// Never in practice: the pattern is constant.
pub fn init_script() -> Result<Script> {
    let pattern = r"Run \S+ as init process\n";
    let expect = regex::bytes::Regex::new(pattern).map_err(|e| Error::Usage(e.to_string()))?;
    let limits = BootOptions::default();
    Ok(Script {
        shell: false,
        commands: vec![],
        expect: Some(expect),
        must_print: None,
        reports: false,
        silence: limits.silence(),
        total: limits.total(),
    })
}

/// What is typed at the shell before the power-off.
#[must_use]
pub fn shell_script(machine: &Machine, commands: Vec<String>) -> Script {
    let limits = BootOptions::default();
    Script {
        shell: true,
        commands,
        expect: None,
        must_print: None,
        reports: machine.host != HostName::Bare,
        silence: limits.silence(),
        total: limits.total(),
    }
}

/// Boots once; anything but a power-off as asked for is an error.
fn boot_once(root: &Path, machine: &Machine, commands: Vec<String>) -> Result<(Image, Run)> {
    let image = Image::prepare(root, machine)?;
    let run = run(&image, machine, shell_script(machine, commands))?;
    Ok((image, run))
}

/// Runs a script; anything but success is an error.
///
/// # Errors
/// The run failed; the text says how and where its transcript is.
pub fn run(image: &Image, machine: &Machine, script: Script) -> Result<Run> {
    let run = boot::once(image, machine, script, 1)?;
    if run.exit_code == 0 {
        return Ok(run);
    }
    let (host, transcript) = (machine.host.name(), run.transcript.display());
    Err(Error::Emulator(format!("{host}: {}; transcript: {transcript}", run.message)))
}

/// When the guest's first line came.
pub fn first_line(run: &Run, column: &mut Column) {
    if let Some(at) = run.first_line_seconds {
        column.set("first_line_s", at);
    }
}

/// Exits of any kind so far.
#[must_use]
pub fn exits(event: &Event) -> u64 {
    EXITS.iter().map(|name| event.counter(name)).fold(0, u64::saturating_add)
}

/// Share of a processor that the emulator used during the second command, which sleeps.
#[must_use]
pub fn percent(run: &Run) -> f64 {
    run.commands.get(1).map_or(0.0, |idle| 100.0 * idle.cpu_seconds / idle.seconds.max(0.001))
}

#[cfg(test)]
mod tests {
    use super::super::figure::Subject;
    use super::*;

    fn mark(counters: &str) -> Event {
        Event::parse(&format!("{{\"v\":1,\"event\":\"mark\",\"counters\":{{{counters}}}}}"))
            .unwrap()
    }

    #[test]
    fn exits_are_summed_without_what_is_no_exit() {
        assert_eq!(exits(&mark("\"mmio_read\":6,\"wfi\":4,\"parks\":9,\"calls\":99")), 10);
    }

    #[test]
    fn the_run_to_init_ends_with_the_whole_line() {
        let pattern = init_script().unwrap().expect.unwrap();
        assert!(!pattern.is_match(b"[    1.5] Run /init as init"));
        assert!(pattern.is_match(b"[    1.5] Run /init as init process\n"));
    }

    #[test]
    fn means_are_over_mmio_exits_alone() {
        let mut column = Column::new(Subject::None);
        let text = "\"mmio_read\":1,\"mmio_write\":3,\"smc\":4,\"calls\":20,\"mmio_registers\":26";
        kernel_calls(&mark(text), &mut column);
        assert_eq!(column.get("exit_calls"), Some(2.5));
        assert_eq!(column.get("mmio_registers"), Some(6.5));
        assert_eq!(column.get("mmio_calls"), None);
    }

    #[test]
    fn without_a_kernel_there_are_no_calls() {
        let mut column = Column::new(Subject::None);
        kernel_calls(&mark("\"smc\":4,\"calls\":0,\"mmio_calls\":0"), &mut column);
        assert!(column.figures.is_empty());
    }
}
