// SPDX-License-Identifier: BSD-2-Clause
//! The figures as a picture: a panel for each of the most telling ones, a bar for each subject,
//! and a line at the target.

use vmm_plan::svg::Svg;

use super::figure::{Column, Numbers, ROWS, Row, Subject, Table};

/// What is drawn: the rest is in the table.
const DRAWN: [&str; 8] = [
    "init_s",
    "idle_percent",
    "idle_exits",
    "store_instructions",
    "load_instructions",
    "smc_instructions",
    "interrupt_instructions",
    "ram_kib",
];

/// All in pixels.
const WIDTH: i64 = 860;
const LABELS: i64 = 300;
const VALUES: i64 = 90;
const BAR: i64 = 18;
const HEAD: i64 = 30;
const GAP: i64 = 18;
const TITLE: i64 = 58;

struct Bar<'a> {
    table: &'a Table,
    column: &'a Column,
    value: f64,
}

/// The picture. The same figures give the same bytes.
#[must_use]
pub fn draw(numbers: &Numbers) -> String {
    let panels: Vec<_> = ROWS
        .iter()
        .filter(|row| DRAWN.contains(&row.key))
        .map(|row| (row, bars(numbers, row)))
        .filter(|(_, bars)| !bars.is_empty())
        .collect();
    let tall = |bars: &[Bar<'_>]| HEAD.saturating_add(GAP).saturating_add(rows(bars.len()));
    let height = panels.iter().map(|(_, bars)| tall(bars)).fold(TITLE, i64::saturating_add);
    let mut svg = Svg::new(WIDTH, height);
    svg.text(12, 24, "title", "A Linux guest under the monitor, and without");
    svg.text(12, 44, "small", &numbers.setting.words());
    let mut y = TITLE;
    for (row, bars) in &panels {
        panel(&mut svg, y, row, bars);
        y = y.saturating_add(tall(bars));
    }
    svg.finish()
}

fn bars<'a>(numbers: &'a Numbers, row: &Row) -> Vec<Bar<'a>> {
    let of = |table: &'a Table| {
        let bar =
            move |column: &'a Column| Some(Bar { table, column, value: column.get(row.key)? });
        table.columns.iter().filter_map(bar)
    };
    numbers.tables.iter().flat_map(of).collect()
}

fn rows(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(BAR)
}

fn panel(svg: &mut Svg, top: i64, row: &Row, bars: &[Bar<'_>]) {
    let longest = bars.iter().map(|bar| bar.value).chain(row.at_most).fold(0.0, f64::max);
    let width = |value: f64| pixels(value, longest);
    let below = top.saturating_add(HEAD);
    svg.text(12, below.saturating_sub(12), "head", row.name);
    for (at, bar) in bars.iter().enumerate() {
        let y = below.saturating_add(rows(at));
        let class = match bar.column.subject {
            Subject::None => "shared",
            Subject::Peer => "monitor",
            Subject::Monitor(_) => "guest",
        };
        let (board, gic, digits) = (&bar.table.board, bar.table.gic, row.digits);
        let name = format!("{board} GICv{gic}, {}", bar.column.subject.name());
        let base = y.saturating_add(13);
        svg.text_end(LABELS.saturating_sub(8), base, "small", &name);
        svg.bar(LABELS, y, width(bar.value), BAR.saturating_sub(4), class);
        let x = LABELS.saturating_add(width(bar.value)).saturating_add(6);
        svg.text(x, base, "text", &format!("{:.digits$}", bar.value));
    }
    if let Some(most) = row.at_most {
        let x = LABELS.saturating_add(width(most));
        svg.line(x, below.saturating_sub(4), x, below.saturating_add(rows(bars.len())));
        svg.text_end(x, below.saturating_sub(8), "small", &format!("at most {most}"));
    }
}

/// Length of a bar, at least one pixel.
#[expect(clippy::cast_possible_truncation, reason = "a share of a width in pixels")]
#[expect(clippy::cast_precision_loss, reason = "a width in pixels")]
fn pixels(value: f64, longest: f64) -> i64 {
    let room = WIDTH.saturating_sub(LABELS).saturating_sub(VALUES);
    let share = if longest > 0.0 { (value / longest).clamp(0.0, 1.0) } else { 0.0 };
    ((room as f64 * share).round() as i64).max(1)
}

#[cfg(test)]
mod tests {
    use super::super::figure::tests::table;
    use super::super::setting::Setting;
    use super::*;
    use crate::options::HostName;

    fn picture(key: &'static str, value: f64) -> String {
        let table = table(Subject::Monitor(HostName::Microkit), key, value);
        draw(&Numbers::new(Setting::default(), vec![table]))
    }

    #[test]
    fn a_figure_has_its_bar_its_value_and_its_target() {
        let svg = picture("idle_exits", 1.5);
        assert!(svg.contains("b GICv3, on seL4"), "{svg}");
        assert!(svg.contains(">1.5<") && svg.contains("at most 30"), "{svg}");
        assert_eq!(svg.matches("<rect").count(), 2, "{svg}");
    }

    #[test]
    fn the_longest_bar_fills_the_room_and_none_vanishes() {
        assert_eq!(pixels(4.0, 4.0), WIDTH - LABELS - VALUES);
        assert_eq!((pixels(0.0, 4.0), pixels(0.0, 0.0)), (1, 1));
        assert!(pixels(f64::NAN, 4.0) <= WIDTH);
    }

    #[test]
    fn what_is_drawn_has_a_row() {
        for key in DRAWN {
            assert!(ROWS.iter().any(|row| row.key == key), "{key}");
        }
    }

    #[test]
    fn nothing_measured_draws_no_panel() {
        assert_eq!(picture("exits", 58.0).matches("<rect").count(), 1);
    }
}
