// SPDX-License-Identifier: BSD-2-Clause
//! What one exit costs: the conformance guest `costs` counts the ticks of a thousand of each kind.
//! Emulated time follows instructions, and without a monitor the same guest on the same machine
//! executes nothing but its own loop: the difference is what the exit costs.
//!
//! On seL4 the kernel calls between two of the guest's marks are counted too.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use vmm_report::{Counter, Event, EventKind};

use super::figure::{Column, number};
use super::linux;
use crate::conformance::Guest;
use crate::console::Console;
use crate::error::{Error, Result};
use crate::image::{self, Image};
use crate::options::{BootOptions, HostName, Machine};
use crate::report::Run;

const GUEST: &str = "costs";

/// What the guest times, in its order; figures of instructions and of kernel calls.
const KINDS: [(&str, &str, &str); 4] = [
    ("store", "store_instructions", "store_calls"),
    ("load", "load_instructions", "load_calls"),
    ("smc", "smc_instructions", "smc_calls"),
    ("interrupt", "interrupt_instructions", "interrupt_calls"),
];

/// Emulated instructions for one of each kind, the guest's own loop included.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Costs(BTreeMap<String, f64>);

impl Costs {
    /// Reads what the guest printed.
    fn read(guest: &str) -> Option<Self> {
        #[expect(clippy::expect_used, reason = "constant patterns; a test compiles them")]
        static PATTERNS: LazyLock<[Regex; 2]> = LazyLock::new(|| {
            let regex = |text| Regex::new(text).expect("a constant pattern");
            [
                regex(r"(?m)^costs: (\d+) ticks a second$"),
                regex(r"(?m)^costs: (\w+) (\d+) times in (\d+) ticks$"),
            ]
        });
        let [rate, kinds] = &*PATTERNS;
        let hertz: f64 = rate.captures(guest)?.get(1)?.as_str().parse().ok()?;
        let per_tick = 1e9 / hertz / f64::from(image::NANOSECONDS_PER_INSTRUCTION);
        let mut costs = BTreeMap::new();
        for found in kinds.captures_iter(guest) {
            let number = |at| found.get(at)?.as_str().parse::<f64>().ok();
            let each = number(3)? * per_tick / number(2)?.max(1.0);
            costs.insert(found.get(1)?.as_str().to_owned(), each);
        }
        Some(Self(costs))
    }

    fn of(&self, kind: &str) -> Option<f64> {
        self.0.get(kind).copied()
    }
}

/// Runs the guest.
///
/// # Errors
/// Something is missing, does not build, or the guest fails.
pub fn run(root: &Path, machine: &Machine) -> Result<Costs> {
    Ok(run_once(root, machine)?.0)
}

/// Runs the guest under the monitor, and adds what an exit costs there.
///
/// # Errors
/// Something is missing, does not build, or the guest fails.
pub fn compare(root: &Path, machine: &Machine, base: &Costs, column: &mut Column) -> Result<()> {
    let (costs, run) = run_once(root, machine)?;
    for (kind, instructions, _) in KINDS {
        if let (Some(here), Some(without)) = (costs.of(kind), base.of(kind)) {
            column.set(instructions, here - without);
        }
    }
    if machine.host == HostName::Microkit {
        let marks: Vec<_> =
            run.events.iter().filter(|event| event.event == EventKind::Mark).collect();
        kernel_calls(&marks, column)
            .ok_or_else(|| Error::Emulator(format!("{GUEST} set no marks")))?;
    }
    Ok(())
}

fn run_once(root: &Path, machine: &Machine) -> Result<(Costs, Run)> {
    let marks = if machine.host == HostName::Bare { "" } else { "marks=1" };
    let machine = Machine {
        guest: Some(GUEST.into()),
        append: marks.into(),
        icount: true,
        ..machine.clone()
    };
    let image = Image::prepare(root, &machine)?;
    let options = BootOptions { machine: machine.clone(), ..BootOptions::default() };
    let run = linux::run(&image, &machine, Guest::find(root, GUEST)?.script(&options))?;
    let path = &run.transcript;
    let text = std::fs::read(path).map_err(|e| Error::file("read", path, &e))?;
    let mut console = Console::default();
    console.feed(&text);
    let costs = Costs::read(&String::from_utf8_lossy(console.guest()));
    let none = || Error::Emulator(format!("{GUEST} printed no times: {}", path.display()));
    Ok((costs.ok_or_else(none)?, run))
}

/// Calls between two marks, less those between the first two, between which there is nothing but
/// the mark itself.
fn kernel_calls(marks: &[&Event], column: &mut Column) -> Option<()> {
    let between = |at: usize, counter: Counter| {
        let (from, to) = (marks.get(at)?, marks.get(at.checked_add(1)?)?);
        let (before, after) = (from.counter(counter)?, to.counter(counter)?);
        Some(number(after.saturating_sub(before)))
    };
    let nothing = between(0, Counter::Calls)?;
    for (at, (kind, _, key)) in (1..).zip(KINDS) {
        // Of what is not counted, or did not happen, there is no figure.
        let Some(calls) = between(at, Counter::Calls).map(|calls| calls - nothing) else {
            continue;
        };
        let mut each = |key, exits: Option<f64>| {
            if let Some(exits) = exits.filter(|&exits| exits > 0.0) {
                column.set(key, calls / exits);
            }
        };
        match kind {
            // A mark is a store itself.
            "store" => each(key, between(at, Counter::MmioWrite).map(|stores| stores - 1.0)),
            "load" => each(key, between(at, Counter::MmioRead)),
            "smc" => each(key, between(at, Counter::Smc)),
            _ => {
                each(key, between(at, Counter::Injected));
                let exits = between(at, Counter::Timer).zip(between(at, Counter::Maintenance));
                each("interrupt_exit_calls", exits.map(|(timer, ended)| timer + ended));
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::figure::Subject;
    use super::*;

    #[test]
    fn ticks_become_instructions() {
        let text = "costs: 62500000 ticks a second\ncosts: store 1000 times in 375 ticks\n\
                    costs: load 1000 times in 750 ticks\ncosts: smc 10 times in 10 ticks\n\
                    costs: interrupt 1000 times in 3250 ticks\n";
        let costs = Costs::read(text).unwrap();
        assert_eq!((costs.of("store"), costs.of("load")), (Some(3.0), Some(6.0)));
        assert_eq!((costs.of("smc"), costs.of("interrupt")), (Some(8.0), Some(26.0)));
    }

    #[test]
    fn a_kind_that_is_missing_is_no_zero() {
        let text = "costs: 62500000 ticks a second\ncosts: store 1000 times in 375 ticks\n";
        let costs = Costs::read(text).unwrap();
        assert_eq!((costs.of("store"), costs.of("load")), (Some(3.0), None));
        assert_eq!(Costs::read("conformance: costs: PASS\n"), None);
    }

    #[test]
    fn the_calls_of_a_mark_are_taken_off() {
        let mark = |text: &str| {
            let mut event =
                Event::parse(&format!(r#"{{"v":1,"event":"mark","counters":{{{text}}}}}"#))
                    .unwrap();
            for name in ["mmio_read", "smc", "injected", "timer", "maintenance"] {
                event.counters.entry(name.into()).or_default();
            }
            event
        };
        let marks = [
            mark(r#""calls":10,"mmio_write":1"#),
            mark(r#""calls":13,"mmio_write":2"#),
            mark(r#""calls":46,"mmio_write":13"#),
            mark(r#""calls":69,"mmio_write":14,"mmio_read":10"#),
            mark(r#""calls":102,"mmio_write":15,"mmio_read":10,"smc":10"#),
            mark(
                r#""calls":145,"mmio_write":16,"mmio_read":10,"smc":10,"injected":10,"timer":10,"maintenance":10"#,
            ),
        ];
        let mut column = Column::new(Subject::None);
        kernel_calls(&marks.iter().collect::<Vec<_>>(), &mut column).unwrap();
        assert_eq!(column.get("store_calls"), Some(3.0));
        assert_eq!(column.get("load_calls"), Some(2.0));
        assert_eq!(column.get("smc_calls"), Some(3.0));
        assert_eq!(column.get("interrupt_calls"), Some(4.0));
        assert_eq!(column.get("interrupt_exit_calls"), Some(2.0));
        assert_eq!(kernel_calls(&[], &mut column), None);
        let mut column = Column::new(Subject::None);
        let without = marks.clone().map(|mut mark| {
            mark.counters.remove("smc");
            mark
        });
        kernel_calls(&without.iter().collect::<Vec<_>>(), &mut column).unwrap();
        assert_eq!(column.get("smc_calls"), None, "not counted is no zero");
        assert_eq!(column.get("load_calls"), Some(2.0));
    }
}
