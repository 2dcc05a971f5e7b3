// SPDX-License-Identifier: BSD-2-Clause
//! The figures: what each one is, which target it has, and a table of them.

use std::collections::BTreeMap;

use serde::Serialize;
use vmm_report::Counter;

use super::growth::Growth;
use super::setting::Setting;
use crate::options::HostName;

/// Version of the JSON that `--out` writes.
const SCHEMA: u32 = 1;

/// What a figure is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Name in the JSON.
    pub key: &'static str,
    /// What it is, with its unit.
    pub name: &'static str,
    /// Digits behind the point.
    pub digits: usize,
    /// Whose figure it is: one that is missing there is a target missed.
    pub of: Of,
    /// What it should at most be under the monitor. Only ratios within one run, and counts, have
    /// that: what a clock or a processor says differs from one computer to the next.
    pub at_most: Option<f64>,
}

/// Whose figure a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The guest's alone, and under this monitor.
    All,
    /// This monitor's, on every host.
    Monitor,
    /// This monitor's on seL4.
    Sel4,
    /// Only where its guest was built.
    Some,
}

const fn row(key: &'static str, name: &'static str, digits: usize, of: Of) -> Row {
    Row { key, name, digits, of, at_most: None }
}

impl Row {
    const fn at_most(self, most: f64) -> Self {
        Self { at_most: Some(most), ..self }
    }

    /// Whether a column must have it.
    #[must_use]
    pub fn applies(&self, subject: Subject) -> bool {
        match (self.of, subject) {
            (Of::Some, _) | (_, Subject::Peer) => false,
            (Of::All, _) => true,
            (Of::Monitor | Of::Sel4, Subject::None) => false,
            (Of::Monitor, Subject::Monitor(_)) => true,
            (Of::Sel4, Subject::Monitor(host)) => host == HostName::Microkit,
        }
    }

    /// The target, where there is one for this column.
    #[must_use]
    pub fn target(&self, subject: Subject) -> Option<f64> {
        self.at_most.filter(|_| subject != Subject::None && self.applies(subject))
    }
}

/// Every figure, in the table's order. Targets are those of the issue that asked for them.
pub const ROWS: [Row; 29] = [
    row("init_s", "guest's time to init, by instructions, s", 3, Of::All),
    row("init_ratio", "time to init, times that without a monitor", 3, Of::Monitor).at_most(1.02),
    row("first_line_s", "emulator's start to the guest's first line, s (host's clock)", 2, Of::All),
    row(
        "own_first_line_s",
        "start to the first line of our own small guest, s (host's clock)",
        2,
        Of::Some,
    ),
    row("idle_percent", "idle, % of a core (host's processor)", 1, Of::All),
    row("idle_ratio", "idle, share of a core, times that on bare metal", 1, Of::Sel4).at_most(3.0),
    row("idle_exits", "idle, exits a second, the monitor's own wake-ups aside", 1, Of::Monitor)
        .at_most(30.0),
    row("idle_calls", "idle, kernel calls a second", 1, Of::Sel4),
    row(
        "contention_1",
        "two busy loads with 1 virtual CPU, times those without a monitor",
        2,
        Of::Monitor,
    )
    .at_most(1.2),
    row("contention_2", "the same with 2 virtual CPUs on one core", 2, Of::Monitor).at_most(1.2),
    row("contention_4", "the same with 4 virtual CPUs on one core", 2, Of::Monitor).at_most(1.2),
    row("exits", "exits to the shell", 0, Of::Monitor),
    row("load_instructions", "instructions an MMIO load", 0, Of::Monitor),
    row("store_instructions", "instructions an MMIO store", 0, Of::Monitor),
    row("smc_instructions", "instructions a firmware call", 0, Of::Monitor),
    row(
        "interrupt_instructions",
        "instructions a delivered interrupt, its end included",
        0,
        Of::Monitor,
    ),
    row("load_calls", "kernel calls an MMIO load", 2, Of::Sel4).at_most(3.0),
    row("store_calls", "kernel calls an MMIO store", 2, Of::Sel4).at_most(3.0),
    row("smc_calls", "kernel calls a firmware call", 2, Of::Sel4),
    row("interrupt_calls", "kernel calls a delivered interrupt", 2, Of::Sel4).at_most(4.0),
    row("interrupt_exit_calls", "kernel calls an exit of those", 2, Of::Sel4).at_most(2.0),
    row("mmio_calls", "kernel calls an MMIO exit to the shell, mean", 2, Of::Sel4).at_most(3.0),
    row("mmio_registers", "registers moved an MMIO exit to the shell, mean", 2, Of::Sel4)
        .at_most(8.0),
    row("exit_calls", "kernel calls an exit to the shell, mean", 2, Of::Sel4),
    row("program_kib", "the monitor's program in memory, KiB", 0, Of::Monitor),
    row("elf_kib", "the monitor's program as a file, KiB", 0, Of::Monitor),
    row("ram_kib", "the monitor's RAM without images, KiB", 0, Of::Monitor).at_most(1024.0),
    row("images_kib", "pristine images, KiB", 0, Of::Monitor),
    row("image_kib", "the image that boots, KiB", 0, Of::Sel4),
];

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Subject {
    /// The guest alone.
    None,
    /// Another monitor's image.
    Peer,
    /// This monitor.
    Monitor(HostName),
}

impl Subject {
    /// Head of its column.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None | Self::Monitor(HostName::Bare) => "no monitor",
            Self::Peer => "peer on seL4",
            Self::Monitor(HostName::Microkit) => "on seL4",
            Self::Monitor(HostName::Baremetal) => "bare metal",
        }
    }
}

/// The figures of one subject.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Column {
    /// What was measured.
    #[serde(serialize_with = "by_name")]
    pub subject: Subject,
    /// Figures by [`Row::key`]; what does not apply is left out.
    pub figures: BTreeMap<&'static str, f64>,
    /// Exits to the guest's shell, by cause.
    pub exits: Vec<(Counter, u64)>,
}

fn by_name<S: serde::Serializer>(subject: &Subject, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(subject.name())
}

impl Column {
    /// Without figures.
    #[must_use]
    pub const fn new(subject: Subject) -> Self {
        Self { subject, figures: BTreeMap::new(), exits: Vec::new() }
    }

    /// Adds a figure.
    pub fn set(&mut self, key: &'static str, value: f64) {
        debug_assert!(ROWS.iter().any(|row| row.key == key), "{key} has no row");
        self.figures.insert(key, value);
    }

    /// A figure.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<f64> {
        self.figures.get(key).copied()
    }

    /// Adds how many times `other` a figure is.
    pub fn ratio(&mut self, key: &str, to: &'static str, other: &Self) {
        if let (Some(here), Some(there)) = (self.get(key), other.get(key)) {
            self.set(to, here / there);
        }
    }

    /// Whether a figure is at most its target, where there are both.
    #[must_use]
    pub fn met(&self, row: &Row) -> bool {
        match (self.get(row.key), row.target(self.subject)) {
            (Some(value), Some(most)) => value <= most,
            _ => true,
        }
    }
}

/// The figures of one emulated machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// Folder under boards/.
    pub board: String,
    /// The board, for a person.
    pub title: String,
    /// Version of the interrupt controller.
    pub gic: u8,
    /// Emulated machine.
    pub profile: String,
    /// No monitor first.
    pub columns: Vec<Column>,
    /// How the time to init grows.
    pub growth: Vec<Growth>,
}

/// Everything of one run of the command.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Numbers {
    /// Version of this structure.
    pub schema: u32,
    /// Where and when.
    pub setting: Setting,
    /// One for each emulated machine.
    pub tables: Vec<Table>,
    /// Targets that were missed, in words.
    pub missed: Vec<String>,
}

impl Numbers {
    /// Judges the tables.
    #[must_use]
    pub fn new(setting: Setting, tables: Vec<Table>) -> Self {
        let missed = tables.iter().flat_map(missed).collect();
        Self { schema: SCHEMA, setting, tables, missed }
    }
}

fn missed(table: &Table) -> Vec<String> {
    let of = |column: &Column| -> Vec<String> {
        let complain = |row: &Row| {
            let (board, gic, host) = (&table.board, table.gic, column.subject.name());
            let (key, name, digits) = (row.key, row.name, row.digits);
            let Some(value) = column.get(key) else {
                return row
                    .applies(column.subject)
                    .then(|| format!("{board}, GICv{gic}, {host}: {key} was not measured"));
            };
            let most = row.target(column.subject).filter(|_| !column.met(row))?;
            // Near misses show: one digit more than the table has.
            let more = digits.saturating_add(1);
            Some(format!(
                "{board}, GICv{gic}, {host}: {name}: {value:.more$}, at most {most:.digits$}"
            ))
        };
        ROWS.iter().filter_map(complain).collect()
    };
    let (board, gic) = (&table.board, table.gic);
    let failures = table.growth.iter().flat_map(Growth::failures);
    let failures = failures.map(|failure| format!("{board}, GICv{gic}, {failure}"));
    table.columns.iter().flat_map(of).chain(failures).collect()
}

/// A count as a figure.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts and sizes of a boot are far below 2^53")]
pub const fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
pub mod tests {
    use super::super::growth::Init;
    use super::*;

    /// A table with one figure, for tests of everything that shows tables.
    pub fn table(subject: Subject, key: &'static str, value: f64) -> Table {
        let mut column = Column::new(subject);
        column.set(key, value);
        Table {
            board: "b".into(),
            title: "B".into(),
            gic: 3,
            profile: "p".into(),
            columns: vec![Column::new(Subject::None), column],
            growth: vec![],
        }
    }

    /// A column with every figure that it must have, each of them met.
    fn whole(subject: Subject) -> Column {
        let mut column = Column::new(subject);
        for row in ROWS.iter().filter(|row| row.applies(subject)) {
            column.set(row.key, row.at_most.unwrap_or(1.0));
        }
        column
    }

    /// What is missed of a table of these.
    fn missed(columns: Vec<Column>) -> Vec<String> {
        let table = Table { columns, ..table(Subject::Peer, "init_s", 1.0) };
        Numbers::new(Setting::default(), vec![table]).missed
    }

    fn missing(subject: Subject, key: &'static str, value: f64) -> Vec<String> {
        let mut column = whole(subject);
        column.set(key, value);
        missed(vec![whole(Subject::None), column])
    }

    const BAREMETAL: Subject = Subject::Monitor(HostName::Baremetal);
    const SEL4: Subject = Subject::Monitor(HostName::Microkit);

    #[test]
    fn a_target_is_met_up_to_its_value() {
        assert!(missing(BAREMETAL, "init_ratio", 1.02).is_empty());
        assert_eq!(missing(BAREMETAL, "init_ratio", 1.021).len(), 1);
        assert!(missing(BAREMETAL, "init_s", 99.0).is_empty());
    }

    #[test]
    fn a_missed_target_is_named_with_machine_value_and_limit() {
        let text = missing(SEL4, "idle_exits", 31.5).remove(0);
        assert_eq!(
            text,
            "b, GICv3, on seL4: idle, exits a second, the monitor's own wake-ups aside: 31.50, at most 30.0"
        );
    }

    #[test]
    fn every_figure_that_is_taken_away_is_missed_by_name() {
        for subject in [Subject::None, BAREMETAL, SEL4] {
            assert_eq!(missed(vec![whole(subject)]), [""; 0]);
            for row in ROWS.iter().filter(|row| row.applies(subject)) {
                let mut column = whole(subject);
                column.figures.remove(row.key);
                let text = format!("b, GICv3, {}: {} was not measured", subject.name(), row.key);
                assert_eq!(missed(vec![column]), [text]);
            }
        }
        for judged in ROWS.iter().filter(|row| row.at_most.is_some()) {
            assert!(judged.applies(SEL4), "{}", judged.key);
        }
    }

    #[test]
    fn what_a_clock_or_a_processor_of_the_host_says_is_not_judged() {
        for row in ROWS.iter().filter(|row| row.name.contains("(host's")) {
            assert_eq!(row.at_most, None, "{}", row.key);
        }
    }

    #[test]
    fn nobody_else_has_targets() {
        assert!(missing(Subject::Peer, "idle_exits", 122.0).is_empty());
        assert!(missing(Subject::None, "init_ratio", 122.0).is_empty());
    }

    #[test]
    fn a_target_of_sel4_is_not_bare_metals() {
        assert!(missing(BAREMETAL, "mmio_calls", 9.0).is_empty());
        assert_eq!(missing(SEL4, "mmio_calls", 9.0).len(), 1);
    }

    #[test]
    fn a_size_that_does_not_boot_is_missed() {
        let init = Init { subject: "bare metal", seconds: None, failed: Some("why".into()) };
        let growth = vec![Growth { vcpus: 4, ram_mib: 256, init_s: vec![init] }];
        let table = Table { columns: vec![], growth, ..table(BAREMETAL, "init_s", 1.0) };
        let missed = Numbers::new(Setting::default(), vec![table]).missed;
        assert_eq!(missed, ["b, GICv3, bare metal: 4 virtual CPUs, 256 MiB: why"]);
    }

    #[test]
    fn no_two_rows_have_one_name() {
        for (at, row) in ROWS.iter().enumerate() {
            assert!(ROWS[..at].iter().all(|other| other.key != row.key), "{}", row.key);
        }
    }
}
