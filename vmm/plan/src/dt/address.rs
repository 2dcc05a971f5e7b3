// SPDX-License-Identifier: BSD-2-Clause
//! `reg` through `ranges` (Devicetree Specification 0.4, 2.3.6 and 2.3.8), as Linux translates it
//! (drivers/of/address.c).

use super::node::{Node, NodeId, Unreachable, number};
use super::tree::Tree;
use crate::span::{Extent, Span};

impl Unreachable {
    /// In words.
    #[must_use]
    pub fn text(self, tree: &Tree) -> String {
        let path = |id| &tree.node(id).path;
        match self {
            Self::Cells { bus, address, size } => format!(
                "{} has #address-cells = {address} and #size-cells = {size}, and an address of a CPU has 1 or 2 cells with a size",
                path(bus)
            ),
            Self::NoRanges(bus) => {
                format!("{} has no ranges: what is below has no address of a CPU", path(bus))
            }
            Self::Outside(bus, entry) => {
                format!("{:#x} is in no window of the ranges of {}", entry.base, path(bus))
            }
            Self::Short(cells, width) => {
                format!("reg has {cells} cells, and its entries have {width} each")
            }
            Self::Empty(base) => format!("the entry at {base:#x} has a size of 0"),
            Self::Wraps(entry) => {
                format!("{:#x} with {:#x} bytes goes beyond 64 bits", entry.base, entry.size)
            }
        }
    }
}

/// How many cells an address and a size have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cells {
    /// `#address-cells`.
    pub address: u32,
    /// `#size-cells`.
    pub size: u32,
}

impl Cells {
    /// Those below `bus`; 2 and 1 where it does not say (Devicetree Specification 0.4, 2.3.5).
    #[must_use]
    pub fn below(bus: &Node) -> Self {
        let cell = |name, default| bus.cell(name).unwrap_or(default);
        Self { address: cell("#address-cells", 2), size: cell("#size-cells", 1) }
    }
}

/// Cells of an address and of a size below `bus`. Three and more (PCI) are no address of a CPU.
fn widths(tree: &Tree, bus: NodeId) -> Result<(usize, usize), Unreachable> {
    match Cells::below(tree.node(bus)) {
        Cells { address: address @ (1 | 2), size: size @ 0..=2 } => {
            Ok((address as usize, size as usize))
        }
        Cells { address, size } => Err(Unreachable::Cells { bus, address, size }),
    }
}

/// Registers of a node as the CPU addresses them, and why the other entries of `reg` are none.
pub(super) fn registers(tree: &Tree, id: NodeId) -> (Vec<Span>, Vec<Unreachable>) {
    let node = tree.node(id);
    let (mut found, mut not) = (Vec::new(), Vec::new());
    let (Some(parent), true) = (node.parent, node.properties.contains_key("reg")) else {
        return (found, not);
    };
    let (address, size) = match widths(tree, parent) {
        Ok((address, size)) if size > 0 => (address, size),
        Ok(_) => {
            let Cells { address, .. } = Cells::below(tree.node(parent));
            return (found, vec![Unreachable::Cells { bus: parent, address, size: 0 }]);
        }
        Err(why) => return (found, vec![why]),
    };
    let reg = node.cells("reg");
    let width = address.saturating_add(size);
    let entries = reg.chunks_exact(width);
    if !entries.remainder().is_empty() || reg.is_empty() {
        not.push(Unreachable::Short(reg.len(), width));
    }
    for entry in entries {
        let (base, size) = entry.split_at_checked(address).unwrap_or_default();
        let entry = Extent { base: number(base), size: number(size) };
        if entry.size == 0 {
            not.push(Unreachable::Empty(entry.base));
            continue;
        }
        match translate(tree, parent, entry) {
            Ok(span) => found.push(span),
            Err(why) => not.push(why),
        }
    }
    (found, not)
}

/// `entry` below the node `bus`, as an address of the root. Where it starts decides which window of
/// `ranges` it is in, as in Linux's `of_translate_address`; its size stays.
fn translate(tree: &Tree, bus: NodeId, mut entry: Extent) -> Result<Span, Unreachable> {
    for id in tree.up(bus) {
        let node: &Node = tree.node(id);
        let Some(parent) = node.parent else { break };
        let ranges = node.properties.get("ranges").ok_or(Unreachable::NoRanges(id))?;
        let (above, _) = widths(tree, parent)?;
        if ranges.is_empty() {
            continue;
        }
        let (child, size) = widths(tree, id)?;
        let cells = node.cells("ranges");
        let width = child.saturating_add(above).saturating_add(size);
        let base = cells.chunks_exact(width).find_map(|window| {
            let (from, rest) = window.split_at_checked(child)?;
            let (to, size) = rest.split_at_checked(above)?;
            let offset = entry.base.checked_sub(number(from))?;
            (offset < number(size)).then_some(number(to).checked_add(offset))
        });
        entry.base =
            base.ok_or(Unreachable::Outside(id, entry))?.ok_or(Unreachable::Wraps(entry))?;
    }
    Span::new(entry.base, entry.size).ok_or(Unreachable::Wraps(entry))
}
