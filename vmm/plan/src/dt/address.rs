// SPDX-License-Identifier: BSD-2-Clause
//! `reg` through `ranges` (Devicetree Specification 0.4, 2.3.6 and 2.3.8).

use super::{Node, NodeId, Tree, number};
use crate::span::Span;

/// Cells of an address and of a size below `node`. Three and more (PCI) are no address of a CPU.
fn widths(node: &Node) -> Option<(usize, usize)> {
    let width =
        |property: &str, default: u32| usize::try_from(node.cell(property).unwrap_or(default)).ok();
    let (address, size) = (width("#address-cells", 2)?, width("#size-cells", 1)?);
    (matches!(address, 1 | 2) && size <= 2).then_some((address, size))
}

/// Registers of a node as the CPU addresses them.
pub(super) fn registers(tree: &Tree, id: NodeId) -> Vec<Span> {
    let node = tree.node(id);
    let Some(parent) = node.parent else { return Vec::new() };
    let Some((address, size)) = widths(tree.node(parent)) else { return Vec::new() };
    if size == 0 {
        return Vec::new();
    }
    let reg = node.cells("reg");
    reg.chunks_exact(address.saturating_add(size))
        .filter_map(|entry| {
            let (base, size) = entry.split_at_checked(address)?;
            let span = Span { base: number(base), size: number(size) };
            span.base.checked_add(span.size)?;
            translate(tree, parent, span)
        })
        .filter(|span| span.size != 0)
        .collect()
}

/// `span` below the node `bus`, as an address of the root.
fn translate(tree: &Tree, bus: NodeId, mut span: Span) -> Option<Span> {
    for id in tree.up(bus) {
        let node = tree.node(id);
        let Some(parent) = node.parent else { return Some(span) };
        let ranges = node.properties.get("ranges")?;
        if ranges.is_empty() {
            continue;
        }
        let (child, size) = widths(node)?;
        let (above, _) = widths(tree.node(parent))?;
        let cells = node.cells("ranges");
        let width = child.saturating_add(above).saturating_add(size);
        span = cells.chunks_exact(width).find_map(|entry| {
            let (from, rest) = entry.split_at_checked(child)?;
            let (to, size) = rest.split_at_checked(above)?;
            let (from, to, size) = (number(from), number(to), number(size));
            let offset = span.base.checked_sub(from)?;
            let fits = offset.checked_add(span.size)? <= size;
            let base = to.checked_add(offset)?;
            base.checked_add(span.size)?;
            fits.then_some(Span { base, size: span.size })
        })?;
    }
    None
}
