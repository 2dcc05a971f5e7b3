// SPDX-License-Identifier: BSD-2-Clause
//! A map of memory, guest-physical beside physical, as text, Markdown and SVG.

use std::fmt::Write;

use serde::Serialize;
use vmm_core::addr::{Ipa, Pa};

use crate::memory::{Emulated, Kind, Owner};
use crate::plan::Plan;
use crate::span::{Size, Span};
use crate::svg::Svg;

/// Where something is on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Physical {
    /// At this address.
    At(Span<Pa>),
    /// Where the kernel chooses.
    Chosen,
    /// Nowhere: the monitor emulates it.
    Emulated,
    /// Within another row.
    Within,
}

/// One line of the map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What it is.
    pub name: String,
    /// Where the guest sees it; `None` if it does not.
    pub guest: Option<Span<Ipa>>,
    /// Where it is.
    pub physical: Physical,
    /// Bytes.
    pub size: u64,
    /// Who may touch it.
    pub owner: &'static str,
}

/// A map of memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Map {
    /// What it is a map of.
    pub title: String,
    /// What the guest sees first, by its addresses; then what only the monitor has.
    pub rows: Vec<Row>,
    /// Errors that were accepted by name: rule and subject.
    pub accepted: Vec<String>,
}

impl Map {
    /// The map of a plan; `images` says whether their places are of interest.
    #[must_use]
    pub fn new(plan: &Plan, images: bool) -> Self {
        let mut rows = Vec::new();
        for region in &plan.regions {
            if region.prefill.is_some() && !images {
                continue;
            }
            let physical = region.physical_span().map_or(Physical::Chosen, Physical::At);
            let (name, guest, owner) =
                (region.name.title(), region.guest_span(), region.owner.words());
            let name = match (region.kind, region.owner) {
                (Kind::Normal, Owner::Monitor) => format!("{name}, as it came"),
                _ => name.into(),
            };
            rows.push(Row { name, guest, physical, size: region.size, owner });
        }
        for Emulated { name, span } in plan.emulated() {
            rows.push(row(name, span, Physical::Emulated, "monitor"));
        }
        if images {
            let layout = &plan.layout;
            for (name, span) in
                [("kernel", layout.kernel), ("device tree", layout.tree), ("initrd", layout.initrd)]
            {
                if span.size() != 0 {
                    rows.push(row(name, span, Physical::Within, "guest"));
                }
            }
        }
        rows.sort_by_key(|row| {
            let physical = match row.physical {
                Physical::At(span) => span.base().0,
                _ => u64::MAX,
            };
            // What contains comes before what is contained.
            (
                row.guest.map_or(u64::MAX, |span| span.base().0),
                physical,
                u64::MAX.saturating_sub(row.size),
            )
        });
        let title = format!("{} on {}, GICv{}", plan.board.title, plan.wish.host.name(), plan.gic);
        Self { title, rows, accepted: plan.accepted.clone() }
    }

    /// For a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!(
            "{}\n{:<24} {:<24} {:>9}  {:<24} owner\n",
            self.title, "guest-physical", "physical", "size", "what"
        );
        for row in &self.rows {
            let _ = writeln!(
                out,
                "{:<24} {:<24} {:>9}  {:<24} {}",
                guest(row),
                physical(row),
                Size(row.size).to_string(),
                row.name,
                row.owner
            );
        }
        for accepted in &self.accepted {
            let _ = writeln!(out, "accepted: {accepted}");
        }
        out
    }

    /// For a README.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = format!(
            "**{}**\n\n| guest-physical | physical | size | what | owner |\n| --- | --- | ---: | --- | --- |\n",
            self.title
        );
        for row in &self.rows {
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} |",
                guest(row),
                physical(row),
                Size(row.size),
                row.name,
                row.owner
            );
        }
        for accepted in &self.accepted {
            let _ = write!(out, "\nAccepted: `{accepted}`\n");
        }
        out
    }

    /// As a picture: what the guest sees on the left, the board on the right. Not to scale.
    #[must_use]
    pub fn svg(&self) -> String {
        const ROW: i64 = 34;
        const TOP: i64 = 64;
        let lines = self.rows.len().saturating_add(self.accepted.len());
        let lines = i64::try_from(lines).unwrap_or(i64::MAX);
        let mut svg = Svg::new(920, lines.saturating_mul(ROW).saturating_add(TOP + 16));
        svg.text(16, 26, "title", &self.title);
        svg.text(16, 50, "head", "guest-physical");
        svg.text(470, 50, "head", "physical");
        for (row, step) in self.rows.iter().zip(0_i64..) {
            let y = step.saturating_mul(ROW).saturating_add(TOP);
            let class = match (row.physical, row.owner) {
                (Physical::Emulated, _) => "emulated",
                (_, "guest") => "guest",
                (_, "monitor") => "monitor",
                _ => "shared",
            };
            if let Some(span) = row.guest {
                svg.bar(16, y, 334, 28, class);
                svg.text(
                    24,
                    y.saturating_add(19),
                    "label",
                    &format!("{} · {}", row.name, Size(row.size)),
                );
                svg.text_end(342, y.saturating_add(19), "address", &span.base().to_string());
            }
            let right = match row.physical {
                Physical::At(span) => span.base().to_string(),
                Physical::Chosen => "the kernel chooses".into(),
                Physical::Emulated => "emulated".into(),
                Physical::Within => continue,
            };
            if row.guest.is_some() {
                svg.line(350, y.saturating_add(14), 470, y.saturating_add(14));
            }
            svg.bar(470, y, 434, 28, class);
            let label = if row.guest.is_some() {
                row.owner.to_owned()
            } else {
                format!("{} · {}", row.name, Size(row.size))
            };
            svg.text(478, y.saturating_add(19), "label", &label);
            svg.text_end(896, y.saturating_add(19), "address", &right);
        }
        let rows = i64::try_from(self.rows.len()).unwrap_or(i64::MAX);
        for (accepted, step) in self.accepted.iter().zip(rows..) {
            let y = step.saturating_mul(ROW).saturating_add(TOP);
            svg.text(16, y.saturating_add(19), "label", &format!("accepted: {accepted}"));
        }
        svg.finish()
    }
}

fn row(name: &str, span: Span<Ipa>, physical: Physical, owner: &'static str) -> Row {
    Row { name: name.into(), guest: Some(span), physical, size: span.size(), owner }
}

fn guest(row: &Row) -> String {
    row.guest.map_or("-".into(), |span| span.to_string())
}

fn physical(row: &Row) -> String {
    match row.physical {
        Physical::At(span) => span.to_string(),
        Physical::Chosen => "the kernel chooses".into(),
        Physical::Emulated => "emulated".into(),
        Physical::Within => "in RAM".into(),
    }
}
