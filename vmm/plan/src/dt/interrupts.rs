// SPDX-License-Identifier: BSD-2-Clause
//! Interrupts of a node, resolved to the GIC's numbers (Devicetree Specification 0.4, 2.4; Linux
//! bindings/interrupt-controller/arm,gic.yaml and arm,gic-v3.yaml).

use super::{Node, NodeId, Tree};
use crate::board::Trigger;

/// An interrupt that a node raises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupt {
    /// The controller that its specifier is for, if the tree has it.
    pub controller: Option<NodeId>,
    /// Its specifier.
    pub cells: Vec<u32>,
    /// INTID and trigger, where it ends at the GIC.
    pub gic: Option<(u32, Trigger)>,
}

const GICS: [&str; 8] = [
    "arm,gic-v3",
    "arm,gic-400",
    "arm,cortex-a15-gic",
    "arm,cortex-a7-gic",
    "arm,cortex-a9-gic",
    "arm,eb11mp-gic",
    "arm,gic-v2",
    "qcom,msm-qgic2",
];

/// Controllers that only watch for wake-up: the specifier goes on to the GIC unchanged.
const TRANSPARENT: [&str; 8] = [
    "fsl,imx6q-gpc",
    "fsl,imx7d-gpc",
    "fsl,imx8mm-gpc",
    "fsl,imx8mn-gpc",
    "fsl,imx8mp-gpc",
    "fsl,imx8mq-gpc",
    "nvidia,tegra210-ictlr",
    "ti,omap5-wugen-mpu",
];

/// Whether a node is an interrupt controller of the Arm GIC family.
#[must_use]
pub fn is_gic(node: &Node) -> bool {
    GICS.iter().any(|gic| node.is(gic))
}

/// The controller that `interrupts` of a node means.
fn parent(tree: &Tree, id: NodeId) -> Option<NodeId> {
    for (step, above) in tree.up(id).enumerate() {
        let node = tree.node(above);
        if let Some(phandle) = node.cell("interrupt-parent") {
            return tree.by_phandle(phandle);
        }
        if step > 0 && node.properties.contains_key("interrupt-controller") {
            return Some(above);
        }
    }
    None
}

fn width(tree: &Tree, controller: NodeId) -> usize {
    let cells = tree.node(controller).cell("#interrupt-cells").unwrap_or(1);
    // More than eight is no specifier of any binding; a wrong number must not loop for ever.
    usize::try_from(cells.clamp(1, 8)).unwrap_or(1)
}

/// INTID and trigger of a specifier for `controller`.
fn resolve(tree: &Tree, mut controller: NodeId, cells: &[u32]) -> Option<(u32, Trigger)> {
    // A chain of wake-up controllers is short; a loop of them ends here.
    for _ in 0..4 {
        let node = tree.node(controller);
        if is_gic(node) {
            let [kind, number, flags, ..] = *cells else { return None };
            let intid = match kind {
                0 => number.checked_add(32)?,
                1 => number.checked_add(16)?,
                _ => return None,
            };
            let edge = flags & 3 != 0;
            return Some((intid, if edge { Trigger::Edge } else { Trigger::Level }));
        }
        if !TRANSPARENT.iter().any(|chip| node.is(chip)) {
            return None;
        }
        controller = parent(tree, controller)?;
    }
    None
}

/// The interrupts of a node.
pub(super) fn interrupts(tree: &Tree, id: NodeId) -> Vec<Interrupt> {
    let node = tree.node(id);
    let mut all = Vec::new();
    let mut extended = node.cells("interrupts-extended").into_iter();
    while let Some(phandle) = extended.next() {
        let controller = tree.by_phandle(phandle);
        let count = controller.map_or(usize::MAX, |controller| width(tree, controller));
        let cells: Vec<_> = extended.by_ref().take(count).collect();
        let gic = controller.and_then(|controller| resolve(tree, controller, &cells));
        all.push(Interrupt { controller, cells, gic });
    }
    if all.is_empty() && node.properties.contains_key("interrupts") {
        let controller = parent(tree, id);
        let count = controller.map_or(usize::MAX, |controller| width(tree, controller));
        let cells = node.cells("interrupts");
        for cells in cells.chunks(count.min(cells.len()).max(1)) {
            let gic = controller.and_then(|controller| resolve(tree, controller, cells));
            all.push(Interrupt { controller, cells: cells.to_vec(), gic });
        }
    }
    all
}
