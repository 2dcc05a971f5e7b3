// SPDX-License-Identifier: BSD-2-Clause
//! What Linux shows: its time to init, its first line, what it costs while it sleeps, and the exits
//! on the way to its shell.

use std::path::Path;

use vmm_report::{Counter, Event};

use super::figure::{Column, number};
use super::memory;
use crate::boot;
use crate::error::{Error, Result};
use crate::image::{self, Image};
use crate::options::{BootOptions, HostName, Machine};
use crate::report::Run;
use crate::session::{Script, Step, pattern};

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
    percent(&run, column);
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
    percent(&run, column);

    let marked = |value| run.events.iter().find(|event| event.value == Some(value));
    let (Some(shell), Some(from), Some(to)) = (marked(1), marked(2), marked(3)) else {
        return Err(Error::Emulator("the monitor printed no mark".into()));
    };
    if let (Some(from_s), Some(to_s)) = (from.seconds(), to.seconds())
        && let (Some(before), Some(after)) = (from.exits(), to.exits())
        && to_s > from_s
    {
        column.set("idle_exits", number(after.saturating_sub(before)) / (to_s - from_s));
        let calls = |event: &Event| event.counter(Counter::Calls).unwrap_or(0);
        let calls = calls(to).saturating_sub(calls(from));
        if calls != 0 {
            column.set("idle_calls", number(calls) / (to_s - from_s));
        }
    }
    if let Some(exits) = shell.exits() {
        column.set("exits", number(exits));
    }
    let exits = Counter::ALL.iter().copied().filter(|counter| counter.is_exit());
    column.exits = exits.filter_map(|counter| Some((counter, shell.counter(counter)?))).collect();
    kernel_calls(shell, column);
    memory::measure(&image, machine, column)
}

/// Calls and registers on the way to the shell, where there is a kernel.
fn kernel_calls(shell: &Event, column: &mut Column) {
    let counted = |counter| shell.counter(counter).filter(|&count| count > 0);
    let Some(calls) = counted(Counter::Calls) else { return };
    if let Some(exits) = shell.exits() {
        column.set("exit_calls", number(calls) / number(exits).max(1.0));
    }
    let mmio = shell.counter(Counter::MmioRead).zip(shell.counter(Counter::MmioWrite));
    let Some((reads, writes)) = mmio else { return };
    for counter in [Counter::MmioCalls, Counter::MmioRegisters] {
        if let Some(sum) = counted(counter) {
            let each = number(sum) / number(reads.saturating_add(writes)).max(1.0);
            column.set(counter.name(), each);
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
        crate::show::err(format_args!("left out: our own guest is not in {}", folder.display()));
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
    let run = run(&image, &machine, init_script(&machine)?)?;
    let none = || Error::Emulator("the guest's kernel shows no time at its init".into());
    run.init_seconds.first().copied().ok_or_else(none)
}

/// Ends at the line that [`Run::init_seconds`] is read from.
///
/// # Errors
/// Never in practice: the pattern is constant.
pub fn init_script(machine: &Machine) -> Result<Script> {
    let expect = pattern(r"Run \S+ as init process\n").map_err(Error::Usage)?;
    let limits = BootOptions::default();
    Ok(Script {
        shell: false,
        steps: vec![],
        expect: Some(expect),
        must_print: None,
        reports: machine.host != HostName::Bare,
        allow: vec![],
        silence: limits.silence(),
        total: limits.total(),
    })
}

/// What is typed at the shell before the power-off.
#[must_use]
pub fn shell_script(machine: &Machine, commands: &[String]) -> Script {
    let limits = BootOptions::default();
    Script {
        shell: true,
        steps: commands.iter().map(|command| Step::command(command)).collect(),
        expect: None,
        must_print: None,
        reports: machine.host != HostName::Bare,
        allow: vec![],
        silence: limits.silence(),
        total: limits.total(),
    }
}

/// Boots once; anything but a power-off as asked for is an error.
fn boot_once(root: &Path, machine: &Machine, commands: Vec<String>) -> Result<(Image, Run)> {
    let image = Image::prepare(root, machine)?;
    let run = run(&image, machine, shell_script(machine, &commands))?;
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

/// Share of a processor that the emulator used during the second command, which sleeps. An emulator
/// that used none at all was not measured.
pub fn percent(run: &Run, column: &mut Column) {
    let Some(idle) = run.commands.get(1) else { return };
    if let Some(used) = idle.cpu_seconds.filter(|&used| used > 0.0) {
        column.set("idle_percent", 100.0 * used / idle.seconds.max(0.001));
    }
}

#[cfg(test)]
mod tests {
    use super::super::figure::Subject;
    use super::*;
    use crate::session::CommandResult;

    fn mark(counters: &str) -> Event {
        Event::parse(&format!("{{\"v\":1,\"event\":\"mark\",\"counters\":{{{counters}}}}}"))
            .unwrap()
    }

    #[test]
    fn a_processor_time_that_cannot_be_read_is_no_zero() {
        let idle = |cpu_seconds| {
            let done = CommandResult { seconds: 10.0, cpu_seconds, ..CommandResult::default() };
            let run = Run { commands: vec![done.clone(), done], ..Run::default() };
            let mut column = Column::new(Subject::None);
            percent(&run, &mut column);
            column.get("idle_percent")
        };
        assert_eq!(idle(Some(0.5)), Some(5.0));
        assert_eq!((idle(None), idle(Some(0.0))), (None, None));
    }

    #[test]
    fn the_run_to_init_ends_with_the_whole_line() {
        let pattern = init_script(&Machine::default()).unwrap().expect.unwrap();
        assert!(!pattern.is_match(b"[    1.5] Run /init as init"));
        assert!(pattern.is_match(b"[    1.5] Run /init as init process\n"));
    }

    #[test]
    fn means_are_over_mmio_exits_alone() {
        let mut column = Column::new(Subject::None);
        let others = Counter::ALL.iter().filter(|counter| counter.is_exit()).skip(3);
        let rest = others.map(|counter| format!(",\"{counter}\":0")).collect::<String>();
        let text = format!(
            "\"mmio_read\":1,\"mmio_write\":3,\"smc\":4,\"calls\":20,\"mmio_registers\":26{rest}"
        );
        kernel_calls(&mark(&text), &mut column);
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
