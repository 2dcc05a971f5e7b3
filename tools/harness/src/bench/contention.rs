// SPDX-License-Identifier: BSD-2-Clause
//! Loads that hand locks round between virtual CPUs, beside plain QEMU with as many of them.
//!
//! Under counted instructions all emulated processors share one clock and take turns, so that plain
//! QEMU has one core's worth of work a second, too: the two compare.

use std::path::Path;

use super::figure::Column;
use super::linux::{run, shell_script};
use crate::error::{Error, Result};
use crate::image::Image;
use crate::options::Machine;
use crate::session::CommandResult;

/// Virtual CPUs, and the figure for each.
const SIZES: [(u32, &str); 3] = [(1, "contention_1"), (2, "contention_2"), (4, "contention_4")];

/// A pipe, and a hundred forks on each of four virtual CPUs at once; each four times, because the guest
/// tells hundredths of a second.
const LOADS: [&str; 2] = [
    "for k in 1 2 3 4; do seq 1 20000 | sort -r | tail -1; done",
    "for k in 1 2 3 4; do for j in 1 2 3 4; do (for i in $(seq 100); do /bin/true; done) & done; wait; done",
];

/// Guest time of the loads in seconds, by [`SIZES`].
pub type Times = [[f64; LOADS.len()]; SIZES.len()];

/// Measures one machine.
///
/// # Errors
/// Something is missing, does not build, or a boot fails.
pub fn times(root: &Path, machine: &Machine) -> Result<Times> {
    let mut times = Times::default();
    for (of, (cpus, _)) in times.iter_mut().zip(SIZES) {
        *of = one(root, &Machine { cpus: Some(cpus), icount: true, ..machine.clone() })?;
    }
    Ok(times)
}

/// Adds how many times that without a monitor the slower of the loads takes.
pub fn compare(times: &Times, alone: &Times, column: &mut Column) {
    for (((_, key), here), there) in SIZES.into_iter().zip(times).zip(alone) {
        let ratios = here.iter().zip(there).map(|(here, there)| here / there);
        column.set(key, ratios.fold(0.0, f64::max));
    }
}

fn one(root: &Path, machine: &Machine) -> Result<[f64; LOADS.len()]> {
    let clock = "cut -d ' ' -f 1 /proc/uptime";
    let commands = LOADS.map(|load| format!("{clock}; {load}; {clock}")).to_vec();
    let image = Image::prepare(root, machine)?;
    let run = run(&image, machine, shell_script(machine, &commands))?;
    let mut times = [0.0; LOADS.len()];
    for (time, done) in times.iter_mut().zip(&run.commands) {
        let none = || Error::Emulator(format!("no two times in {:?}", done.output));
        *time = span(done).ok_or_else(none)?;
    }
    Ok(times)
}

/// Seconds between the first and the last number of an output, the times before and after the load:
/// hundredths, and at least one. The shell may tell behind them that its jobs are done.
fn span(done: &CommandResult) -> Option<f64> {
    let mut times = done.output.lines().filter_map(|line| line.trim().parse::<f64>().ok());
    let (from, to) = (times.next()?, times.next_back()?);
    Some((to - from).max(0.01))
}

#[cfg(test)]
mod tests {
    use super::super::figure::Subject;
    use super::*;

    #[test]
    fn the_slower_load_counts() {
        let mut column = Column::new(Subject::None);
        let alone = [[1.0, 2.0]; 3];
        compare(&[[1.0, 2.0], [1.5, 2.2], [1.0, 4.0]], &alone, &mut column);
        let figures = ["contention_1", "contention_2", "contention_4"].map(|key| column.get(key));
        assert_eq!(figures, [Some(1.0), Some(1.5), Some(2.0)]);
    }

    #[test]
    fn the_shells_word_of_its_jobs_is_no_time() {
        let span =
            |output: &str| span(&CommandResult { output: output.into(), ..Default::default() });
        assert!(
            span("79.50\n80.75\n[4]+  Done      (x)\n").is_some_and(|s| (s - 1.25).abs() < 1e-9)
        );
        assert_eq!(span("79.79\n[1]+  Done      (x)\n"), None);
        assert_eq!(span(""), None);
    }
}
