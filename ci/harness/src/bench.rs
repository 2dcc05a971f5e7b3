// SPDX-License-Identifier: BSD-2-Clause
//! `ci/bench`: the monitor against no monitor, on the same emulated machine with the same device
//! tree, boot arguments, RAM and images.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use vmm_plan::Board;

use crate::boot;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::image::{self, Image};
use crate::options::{BenchOptions, BootOptions, HostName, Machine};
use crate::program;
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

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// What is measured, with its unit.
    pub name: &'static str,
    /// Without a monitor.
    pub bare: Option<f64>,
    /// With the monitor.
    pub monitor: f64,
    /// What it should at most be.
    pub at_most: Option<f64>,
}

impl Figure {
    fn met(&self) -> bool {
        self.at_most.is_none_or(|most| self.monitor <= most)
    }
}

/// The figures of one machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// Folder under boards/.
    pub board: String,
    /// What the monitor runs on.
    pub host: &'static str,
    /// Version of the interrupt controller.
    pub gic: u8,
    /// Emulated machine.
    pub profile: String,
    /// The figures.
    pub figures: Vec<Figure>,
    /// Exits from the monitor's start to the guest's shell, by cause.
    pub exits: Vec<(&'static str, u64)>,
}

/// Runs the command. The exit code is 1 if a target is to be judged and is missed.
///
/// # Errors
/// Something is missing, does not build, or a boot fails.
pub fn run(root: &Path, options: &BenchOptions) -> Result<u8> {
    let mut tables = Vec::new();
    let board = Board::find(&root.join("boards"), &options.board)
        .map_err(|error| Error::Usage(error.to_string()))?;
    for machine in machines(options, &board) {
        let table = measure(root, &machine, options.quick)?;
        print!("{}", text(&table));
        tables.push(table);
    }
    if tables.is_empty() {
        return Err(Error::Usage("nothing to measure: MICROKIT_SDK is not set".into()));
    }
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&tables)
            .map_err(|e| Error::Usage(format!("cannot make the report: {e}")))?;
        std::fs::write(path, text + "\n").map_err(|e| Error::file("write", path, &e))?;
    }
    let met = tables.iter().flat_map(|table| &table.figures).all(Figure::met);
    Ok(u8::from(options.judge && !met))
}

/// The machines that are asked for, or all that this computer can run.
fn machines(options: &BenchOptions, board: &Board) -> Vec<Machine> {
    let sdk = std::env::var_os("MICROKIT_SDK").is_some_and(|value| !value.is_empty());
    let hosts = [
        (HostName::Microkit, vmm_plan::Host::Microkit),
        (HostName::Baremetal, vmm_plan::Host::Baremetal),
    ];
    let all = hosts.into_iter().flat_map(|(name, host)| {
        let gics = board.gics().filter(move |gic| gic.hosts().contains(&host));
        gics.map(move |gic| (name, gic.version()))
    });
    let wanted = |(host, gic): &(HostName, u8)| {
        options.host.is_none_or(|wanted| wanted == *host)
            && options.gic.is_none_or(|wanted| wanted == *gic)
            && (*host != HostName::Microkit || sdk || options.host.is_some())
    };
    let machine = |(host, gic)| Machine {
        board: options.board.clone(),
        host,
        gic: Some(gic),
        ..Machine::default()
    };
    all.filter(wanted).map(machine).collect()
}

fn measure(root: &Path, machine: &Machine, quick: bool) -> Result<Table> {
    let bare = Machine { host: HostName::Bare, ..machine.clone() };
    let counted = |machine: &Machine| {
        let machine = Machine { icount: true, ..machine.clone() };
        let run = boot_once(root, &machine, vec![])?.1;
        let none = || Error::Emulator("the guest's kernel shows no time at its init".into());
        run.init_seconds.first().copied().ok_or_else(none)
    };
    let init = (counted(&bare)?, counted(machine)?);

    let idle = format!("sleep {}", if quick { 10 } else { 30 });
    let quiet = boot_once(root, &bare, vec!["true".into(), idle.clone()])?.1;
    let marker = image::marker(root, machine)?;
    let mark = |number: u8| format!("devmem {marker:#x} 32 {number}");
    let (image, run) = boot_once(root, machine, vec![mark(1), idle, mark(2)])?;

    let marked = |value| run.events.iter().find(|event| event.value == Some(value));
    let (Some(shell), Some(later)) = (marked(1), marked(2)) else {
        return Err(Error::Emulator("the monitor printed no mark".into()));
    };
    let span = later.seconds().unwrap_or_default() - shell.seconds().unwrap_or_default();
    let idle_exits = number(exits(later).saturating_sub(exits(shell))) / span.max(0.001);
    let mut figures = vec![
        figure("time to init by instructions, s", Some(init.0), init.1, None),
        figure("the same, ratio", None, init.1 / init.0, Some(1.05)),
        figure(
            "emulator's start to the guest's first line, s",
            quiet.first_line_seconds,
            run.first_line_seconds.unwrap_or_default(),
            None,
        ),
        figure("idle, % of a processor", Some(percent(&quiet)), percent(&run), Some(5.0)),
        figure("idle, exits a second", None, idle_exits, Some(30.0)),
        figure("exits to the shell", None, number(exits(shell)), None),
    ];
    if shell.counter("calls") > 0 {
        let per_exit = |name| number(shell.counter(name)) / number(exits(shell)).max(1.0);
        figures.push(figure("kernel calls an exit", None, per_exit("calls"), Some(3.0)));
        figures.push(figure("registers moved an exit", None, per_exit("registers"), Some(8.0)));
    }
    if let Some(monitor) = &image.monitor {
        let size = number(program::memory_size(monitor)?) / 1024.0;
        figures.push(figure("monitor's program in memory, KiB", None, size, Some(160.0)));
    }
    Ok(Table {
        board: image.plan.board.name.clone(),
        host: machine.host.name(),
        gic: image.plan.gic,
        profile: image.profile,
        figures,
        exits: EXITS.map(|name| (name, shell.counter(name))).to_vec(),
    })
}

const fn figure(
    name: &'static str,
    bare: Option<f64>,
    monitor: f64,
    at_most: Option<f64>,
) -> Figure {
    Figure { name, bare, monitor, at_most }
}

/// A count as a figure.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of a boot are small")]
pub const fn number(count: u64) -> f64 {
    count as f64
}

/// Exits of any kind so far.
#[must_use]
pub fn exits(event: &Event) -> u64 {
    EXITS.iter().map(|name| event.counter(name)).fold(0, u64::saturating_add)
}

/// Share of a processor that the emulator used during the second command, which sleeps.
fn percent(run: &Run) -> f64 {
    run.commands.get(1).map_or(0.0, |idle| 100.0 * idle.cpu_seconds / idle.seconds.max(0.001))
}

/// Boots once; anything but a power-off as asked for is an error.
fn boot_once(root: &Path, machine: &Machine, commands: Vec<String>) -> Result<(Image, Run)> {
    let image = Image::prepare(root, machine)?;
    let limits = BootOptions::default();
    let script = Script {
        shell: true,
        commands,
        expect: None,
        must_print: None,
        reports: machine.host != HostName::Bare,
        silence: limits.silence(),
        total: limits.total(),
    };
    let run = boot::once(&image, machine, script, 1)?;
    if run.exit_code == 0 {
        return Ok((image, run));
    }
    let (host, transcript) = (machine.host.name(), run.transcript.display());
    Err(Error::Emulator(format!("{host}: {}; transcript: {transcript}", run.message)))
}

/// The table as Markdown.
fn text(table: &Table) -> String {
    let mut text =
        format!("\n{} on {}, GICv{} ({})\n\n", table.board, table.host, table.gic, table.profile);
    text.push_str("| | without a monitor | with the monitor | at most |\n|---|---|---|---|\n");
    for figure in &table.figures {
        let show =
            |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.3}"));
        let verdict = if figure.met() { "" } else { " MISSED" };
        let (bare, most) = (show(figure.bare), show(figure.at_most));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {bare} | {:.3}{verdict} | {most} |",
            figure.name, figure.monitor
        );
    }
    let exits: Vec<_> = table.exits.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let _ = writeln!(text, "\nExits to the shell: {}", exits.join(", "));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(board: &str, host: Option<HostName>, gic: Option<u8>) -> Vec<(HostName, Option<u8>)> {
        let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
        let options = BenchOptions { board: board.into(), host, gic, ..BenchOptions::default() };
        let machines = machines(&options, &Board::find(&boards, board).unwrap());
        machines.into_iter().map(|machine| (machine.host, machine.gic)).collect()
    }

    fn mark(counters: &str) -> Event {
        Event::parse(&format!("{{\"v\":1,\"event\":\"mark\",\"counters\":{{{counters}}}}}"))
            .unwrap()
    }

    #[test]
    fn a_target_is_met_up_to_its_value() {
        assert!(figure("x", None, 1.05, Some(1.05)).met());
        assert!(!figure("x", None, 1.06, Some(1.05)).met());
        assert!(figure("x", None, 9.0, None).met());
    }

    #[test]
    fn exits_are_summed_without_what_is_no_exit() {
        assert_eq!(exits(&mark("\"mmio_read\":6,\"wfi\":4,\"parks\":9,\"calls\":99")), 10);
    }

    #[test]
    fn a_host_and_a_controller_choose_one_machine() {
        let host = HostName::Baremetal;
        assert_eq!(chosen("qemu", Some(host), Some(3)), [(host, Some(3))]);
    }

    #[test]
    fn a_host_that_is_asked_for_is_not_left_out() {
        let host = HostName::Microkit;
        assert_eq!(chosen("qemu", Some(host), None), [(host, Some(2))]);
        assert_eq!(chosen("maaxboard", Some(host), None), [(host, Some(3))]);
    }

    #[test]
    fn a_missed_target_is_marked() {
        let table = Table {
            board: "b".into(),
            host: "microkit",
            gic: 2,
            profile: "p".into(),
            figures: vec![figure("idle", Some(0.2), 122.0, Some(5.0))],
            exits: vec![("smc", 6)],
        };
        let text = text(&table);
        assert!(text.contains("| idle | 0.200 | 122.000 MISSED | 5.000 |"), "{text}");
        assert!(text.ends_with("smc 6\n"), "{text}");
    }
}
