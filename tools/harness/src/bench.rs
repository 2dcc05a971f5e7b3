// SPDX-License-Identifier: BSD-2-Clause
//! `ci/bench`: the monitor against no monitor, and against another monitor where its image is
//! given, on the same emulated machine with the same device tree, boot arguments, RAM and images.
//!
//! Times that are to be compared are counted in emulated instructions, so that they repeat; what
//! the host's own clock and processor say is marked as such in the table.

mod contention;
mod costs;
mod figure;
mod growth;
mod linux;
mod memory;
mod peer;
mod plot;
mod publish;
mod setting;
mod text;

use std::path::Path;

use vmm_plan::Board;

use crate::error::{Error, Result};
use crate::image;
use crate::options::{BenchOptions, HostName, Machine};
use figure::{Column, Numbers, Subject, Table};
use setting::Setting;

pub use figure::number;

/// Runs the command. The exit code is 1 if a target is to be judged and is missed.
///
/// # Errors
/// Something is missing, does not build, or a boot fails.
pub fn run(root: &Path, options: &BenchOptions) -> Result<u8> {
    if options.peer.is_some() && options.board.is_none() {
        let text = "--peer needs a BOARD: another monitor's image is for one board";
        return Err(Error::Usage(text.into()));
    }
    if options.judge && options.host == Some(HostName::Microkit) {
        let text = "--judge with --host microkit: how much seL4 takes when idle is judged as a ratio \
                    to bare metal in the same run; leave --host out";
        return Err(Error::Usage(text.into()));
    }
    let mut tables = Vec::new();
    for board in boards(root, options.board.as_deref())? {
        for machines in groups(options, &board) {
            tables.push(measure(root, options, &board, &machines)?);
        }
    }
    if tables.is_empty() {
        let text =
            "nothing to measure: MICROKIT_SDK is not set, or no board has that host and controller";
        return Err(Error::Usage(text.into()));
    }
    let numbers = Numbers::new(Setting::here(root, options, &tables)?, tables);
    crate::show::out(format_args!("{}", text::document(&numbers)));
    if let Some(folder) = &options.out {
        publish::write(folder, &numbers)?;
    }
    if options.readme {
        publish::write(&root.join(publish::FOLDER), &numbers)?;
    }
    for missed in &numbers.missed {
        crate::show::err(format_args!("missed: {missed}"));
    }
    Ok(u8::from(options.judge && !numbers.missed.is_empty()))
}

/// The board that is asked for, or every one.
fn boards(root: &Path, wanted: Option<&str>) -> Result<Vec<Board>> {
    let folder = root.join("boards");
    let boards = match wanted {
        Some(name) => Board::find(&folder, name).map(|board| vec![board]),
        None => Board::all(&folder),
    };
    boards.map_err(usage)
}

fn usage(error: vmm_plan::PlanError) -> Error {
    Error::Usage(error.to_string())
}

/// The machines that are asked for, or all that this computer can run: those with one interrupt
/// controller share a table.
fn groups(options: &BenchOptions, board: &Board) -> Vec<Vec<Machine>> {
    let sdk = std::env::var_os("MICROKIT_SDK").is_some_and(|value| !value.is_empty());
    let hosts = [
        (HostName::Microkit, vmm_plan::Host::Microkit),
        (HostName::Baremetal, vmm_plan::Host::Baremetal),
    ];
    let gics = board.gics().filter(|gic| options.gic.is_none_or(|wanted| wanted == gic.version()));
    let group = |gic: vmm_plan::board::Gic<'_>| {
        let wanted = |(name, host): &(HostName, vmm_plan::Host)| {
            gic.hosts().contains(host)
                && options.host.is_none_or(|wanted| wanted == *name)
                && (*name != HostName::Microkit || sdk || options.host.is_some())
        };
        let machine = |(host, _)| Machine {
            board: board.name.clone(),
            host,
            gic: Some(gic.version()),
            ..Machine::default()
        };
        hosts.into_iter().filter(wanted).map(machine).collect::<Vec<_>>()
    };
    gics.map(group).filter(|machines| !machines.is_empty()).collect()
}

/// One table: no monitor, the peer, then the monitor on each host.
fn measure(
    root: &Path,
    options: &BenchOptions,
    board: &Board,
    machines: &[Machine],
) -> Result<Table> {
    let first = machines.first().ok_or_else(|| Error::Usage("no machine".into()))?;
    let bare = Machine { host: HostName::Bare, ..first.clone() };
    let idle = if options.quick { 8 } else { 30 };
    crate::show::err(format_args!(
        "measuring {} with GICv{} ...",
        first.board,
        first.gic.unwrap_or_default()
    ));

    let mut none = Column::new(Subject::None);
    linux::without_monitor(root, &bare, idle, &mut none)?;
    let base = costs::run(root, &bare)?;
    let alone = contention::times(root, &bare)?;
    let mut columns = vec![];
    if let Some(path) = &options.peer {
        columns.push(peer::measure(root, first, path, idle, &none)?);
    }
    for machine in machines {
        let mut column = Column::new(Subject::Monitor(machine.host));
        linux::with_monitor(root, machine, idle, &mut column)?;
        column.ratio("init_s", "init_ratio", &none);
        costs::compare(root, machine, &base, &mut column)?;
        contention::compare(&contention::times(root, machine)?, &alone, &mut column);
        if machine.host == HostName::Microkit {
            linux::own_guest(root, machine, &mut column)?;
        }
        columns.push(column);
    }
    idle_ratio(&mut columns);
    columns.insert(0, none);
    let growth = if options.quick { vec![] } else { growth::measure(root, machines) };
    let gic = board.gic_for(image::plan_host(first), first.gic).map_err(usage)?;
    Ok(Table {
        board: board.name.clone(),
        title: board.title.clone(),
        gic: gic.version(),
        profile: gic.profiles().first().cloned().unwrap_or_default(),
        columns,
        growth,
    })
}

/// How many times bare metal's share of a core seL4 takes for an idle guest: the one figure of the
/// host's processor that does not depend on which one it is.
fn idle_ratio(columns: &mut [Column]) {
    let of = |host| move |column: &&Column| column.subject == Subject::Monitor(host);
    let Some(baremetal) = columns.iter().find(of(HostName::Baremetal)).cloned() else { return };
    for column in columns.iter_mut().filter(|c| c.subject == Subject::Monitor(HostName::Microkit)) {
        column.ratio("idle_percent", "idle_ratio", &baremetal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(board: &str, host: Option<HostName>, gic: Option<u8>) -> Vec<(HostName, Option<u8>)> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let options = BenchOptions { host, gic, ..BenchOptions::default() };
        let board = boards(&root, Some(board)).unwrap().remove(0);
        let machines = groups(&options, &board).into_iter().flatten();
        machines.map(|machine| (machine.host, machine.gic)).collect()
    }

    #[test]
    fn without_a_name_every_board_is_measured() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let names: Vec<_> = boards(&root, None).unwrap().into_iter().map(|b| b.name).collect();
        assert!(names.contains(&"maaxboard".into()), "{names:?}");
        assert!(names.contains(&"qemu_virt_aarch64".into()), "{names:?}");
    }

    #[test]
    fn a_host_and_a_controller_choose_one_machine() {
        let host = HostName::Baremetal;
        assert_eq!(chosen("qemu", Some(host), Some(3)), [(host, Some(3))]);
    }

    #[test]
    fn a_judge_of_sel4_needs_bare_metal_beside_it() {
        let options =
            BenchOptions { judge: true, host: Some(HostName::Microkit), ..BenchOptions::default() };
        let error = run(Path::new("nowhere"), &options).unwrap_err().to_string();
        assert!(error.contains("leave --host out"), "{error}");
    }

    #[test]
    fn a_host_that_is_asked_for_is_not_left_out() {
        let host = HostName::Microkit;
        assert_eq!(chosen("qemu", Some(host), None), [(host, Some(2))]);
        assert_eq!(chosen("maaxboard", Some(host), None), [(host, Some(3))]);
    }
}
