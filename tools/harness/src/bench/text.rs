// SPDX-License-Identifier: BSD-2-Clause
//! The figures as Markdown.

use std::fmt::Write as _;

use super::figure::{Column, Numbers, ROWS, Row, Subject, Table};
use super::growth::Growth;

/// What the table in short shows, all machines beside each other.
const SHORT: [&str; 10] = [
    "init_ratio",
    "own_first_line_s",
    "idle_percent",
    "idle_exits",
    "store_instructions",
    "smc_instructions",
    "interrupt_instructions",
    "mmio_calls",
    "mmio_registers",
    "ram_kib",
];

/// One boot each that shows the same as `ci/bench`; B is a board, H a host (`bare` is no monitor).
const MADE: [(&[&str], &str); 8] = [
    (&["init_s", "init_ratio"], "ci/boot B --host H --icount --expect 'Run /init'"),
    (&["first_line_s"], "ci/boot B --host H --report FILE"),
    (&["own_first_line_s"], "ci/boot B --kernel Image --initrd initrd --report FILE"),
    (
        &["idle_percent", "idle_ratio", "idle_exits", "idle_calls"],
        "ci/boot B --host H --run 'sleep 30' --report FILE",
    ),
    (
        &["contention_1", "contention_2", "contention_4"],
        "ci/boot B --host H --icount --cpus N --run 'time (seq 1 20000 | sort -r | tail -1)'",
    ),
    (
        &["exits", "mmio_calls", "mmio_registers", "exit_calls"],
        "ci/boot B --host H --run 'devmem MARKER 32 1' --report FILE",
    ),
    (
        &[
            "load_instructions",
            "store_instructions",
            "smc_instructions",
            "interrupt_instructions",
            "load_calls",
            "store_calls",
            "smc_calls",
            "interrupt_calls",
            "interrupt_exit_calls",
        ],
        "ci/boot B --host H --guest costs --icount",
    ),
    (
        &["program_kib", "elf_kib", "ram_kib", "images_kib", "image_kib"],
        "ci/boot B --host H --report FILE",
    ),
];

/// Everything.
#[must_use]
pub fn document(numbers: &Numbers) -> String {
    let mut text = format!(
        "# Numbers\n\nWritten by `ci/bench --readme`, which measures everything here in one run. {}.\n\n\
         Times by instructions repeat exactly; those by the host's clock and processor wander with \
         the host. Both guests of a row have the same device tree, RAM and images. **Bold**: the \
         target in the last column was missed. What the first start takes: [first-start.md](first-start.md).\n",
        numbers.setting.words()
    );
    text.push_str(&short(numbers));
    for one in &numbers.tables {
        text.push_str(&table(one));
        text.push_str(&growth(one));
    }
    text.push_str(&made());
    text
}

/// Which command makes each figure.
#[must_use]
pub fn made() -> String {
    let mut text = String::from(
        "\n## The command behind each figure\n\n`ci/bench B --host H` measures them all. One at a time, where B is a \
         board and H a host (`microkit`, `baremetal`, or `bare` for no monitor):\n\n| Figure | Command |\n|---|---|\n",
    );
    for row in &ROWS {
        let command = MADE.iter().find(|(keys, _)| keys.contains(&row.key));
        let command = command.map_or_else(String::new, |(_, command)| format!("`{command}`"));
        let _ = writeln!(text, "| {} | {command} |", row.name);
    }
    text.push_str("| growth with virtual CPUs and RAM | `ci/boot B --host H --icount --cpus N --ram MIB --expect 'Run /init'` |\n");
    text
}

/// One machine's figures and exits.
#[must_use]
pub fn table(table: &Table) -> String {
    let heads: Vec<_> = table.columns.iter().map(|column| column.subject.name()).collect();
    let mut text = format!("\n## {}, GICv{} (`{}`)\n\n", table.title, table.gic, table.profile);
    line(&mut text, "", &heads, "at most");
    rule(&mut text, heads.len().saturating_add(1));
    for row in &ROWS {
        let cells: Vec<_> = table.columns.iter().map(|column| cell(row, column)).collect();
        if cells.iter().any(|cell| !cell.is_empty()) {
            line(&mut text, row.name, &cells, &target(row));
        }
    }
    let monitors = table.columns.iter().filter(|column| !column.exits.is_empty());
    for column in monitors {
        let exits = column.exits.iter().filter(|(_, count)| *count > 0);
        let exits: Vec<_> = exits.map(|(name, count)| format!("{name} {count}")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "\nExits to the shell, {}: {}.",
            column.subject.name(),
            exits.join(", ")
        );
    }
    text
}

/// How the time to init grows.
fn growth(table: &Table) -> String {
    let Some(first) = table.growth.first() else { return String::new() };
    let heads: Vec<_> = first.init_s.iter().map(|init| init.subject).collect();
    let mut text =
        String::from("\nTime to init by instructions, s (times that without a monitor):\n\n");
    line(&mut text, "virtual CPUs, RAM", &heads, "");
    rule(&mut text, heads.len().saturating_add(1));
    for one in &table.growth {
        let name = format!("{}, {} MiB", one.vcpus, one.ram_mib);
        line(&mut text, &name, &grown(one), "");
    }
    text
}

fn grown(growth: &Growth) -> Vec<String> {
    let base = growth.init_s.first().and_then(|init| init.seconds);
    let cell = |(at, seconds): (usize, Option<f64>)| match (seconds, base) {
        (None, _) => "**does not boot**".into(),
        (Some(seconds), Some(base)) if at > 0 => format!("{seconds:.3} ({:.3})", seconds / base),
        (Some(seconds), _) => format!("{seconds:.3}"),
    };
    growth.init_s.iter().map(|init| init.seconds).enumerate().map(cell).collect()
}

/// What matters most, all machines beside each other.
fn short(numbers: &Numbers) -> String {
    let columns = || {
        let of = |table: &'_ Table| table.columns.len();
        numbers.tables.iter().filter(move |table| of(table) > 0).flat_map(|table| {
            let monitors = table.columns.iter();
            monitors
                .filter(|column| matches!(column.subject, Subject::Monitor(_) | Subject::Peer))
                .map(move |column| (table, column))
        })
    };
    let heads: Vec<_> = columns()
        .map(|(table, column)| {
            format!("`{}` GICv{}, {}", table.board, table.gic, column.subject.name())
        })
        .collect();
    let mut text = String::from("\n## In short\n\n");
    line(&mut text, "", &heads, "at most");
    rule(&mut text, heads.len().saturating_add(1));
    for row in ROWS.iter().filter(|row| SHORT.contains(&row.key)) {
        let cells: Vec<_> = columns().map(|(_, column)| cell(row, column)).collect();
        if cells.iter().any(|cell| !cell.is_empty()) {
            line(&mut text, row.name, &cells, &target(row));
        }
    }
    text
}

fn cell(row: &Row, column: &Column) -> String {
    let digits = row.digits;
    match column.get(row.key) {
        None => String::new(),
        Some(value) if column.met(row) => format!("{value:.digits$}"),
        Some(value) => format!("**{value:.digits$}**"),
    }
}

fn target(row: &Row) -> String {
    let digits = row.digits;
    row.at_most.map_or_else(String::new, |most| format!("{most:.digits$}"))
}

fn line<T: AsRef<str>>(text: &mut String, name: &str, cells: &[T], last: &str) {
    let _ = write!(text, "| {name} |");
    for cell in cells {
        let _ = write!(text, " {} |", cell.as_ref());
    }
    let _ = writeln!(text, " {last} |");
}

fn rule(text: &mut String, columns: usize) {
    let _ = writeln!(text, "|---|{}", "---:|".repeat(columns));
}

#[cfg(test)]
mod tests {
    use super::super::figure::tests::table as sample;
    use super::super::growth::Init;
    use super::super::setting::Setting;
    use super::*;
    use crate::options::HostName;
    use vmm_report::Counter;

    const SEL4: Subject = Subject::Monitor(HostName::Microkit);

    #[test]
    fn a_missed_target_is_bold() {
        let text = table(&sample(SEL4, "idle_exits", 122.0));
        assert!(text.contains("|  | **122.0** | 30.0 |"), "{text}");
        let text = table(&sample(SEL4, "idle_exits", 30.0));
        assert!(text.contains("|  | 30.0 | 30.0 |"), "{text}");
    }

    #[test]
    fn rows_without_figures_are_left_out() {
        let text = table(&sample(SEL4, "idle_percent", 1.0));
        assert!(!text.contains("time to init"), "{text}");
    }

    #[test]
    fn exits_that_did_not_happen_are_left_out() {
        let mut table_of = sample(SEL4, "idle_percent", 1.0);
        table_of.columns[1].exits = vec![(Counter::Smc, 6), (Counter::Hvc, 0)];
        assert!(table(&table_of).ends_with("Exits to the shell, on seL4: smc 6.\n"));
    }

    #[test]
    fn growth_is_shown_beside_the_guest_alone() {
        let init = |subject, seconds| Init { subject, seconds, failed: None };
        let mut table_of = sample(SEL4, "idle_percent", 1.0);
        table_of.growth = vec![Growth {
            vcpus: 2,
            ram_mib: 256,
            init_s: vec![
                init("no monitor", Some(2.0)),
                init("on seL4", Some(2.5)),
                init("x", None),
            ],
        }];
        let text = growth(&table_of);
        assert!(
            text.contains("| 2, 256 MiB | 2.000 | 2.500 (1.250) | **does not boot** |"),
            "{text}"
        );
    }

    #[test]
    fn every_figure_has_its_command() {
        for row in &ROWS {
            let commands = MADE.iter().filter(|(keys, _)| keys.contains(&row.key)).count();
            assert_eq!(commands, 1, "{}", row.key);
        }
        assert!(made().contains("| exits to the shell | `ci/boot "), "{}", made());
    }

    #[test]
    fn the_short_rows_are_there() {
        for key in SHORT {
            assert!(ROWS.iter().any(|row| row.key == key), "{key}");
        }
        let numbers = Numbers::new(Setting::default(), vec![sample(SEL4, "ram_kib", 2000.0)]);
        let text = short(&numbers);
        assert!(text.contains("`b` GICv3, on seL4"), "{text}");
        assert!(text.contains("**2000** | 1024 |"), "{text}");
    }
}
