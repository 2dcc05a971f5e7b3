// SPDX-License-Identifier: BSD-2-Clause
//! Interrupts of a node, resolved to the GIC's numbers (Devicetree Specification 0.4, 2.4; Linux
//! bindings/interrupt-controller/arm,gic.yaml and arm,gic-v3.yaml, drivers/of/irq.c).

use super::node::{Interrupt, Node, NodeId, Unresolved};
use super::tree::{MAX_DEPTH, Tree};
use crate::irq::{FIRST_SPI, GicInterrupt, Trigger};

impl Unresolved {
    /// In words, after "its interrupt": what is wrong.
    #[must_use]
    pub fn text(self, tree: &Tree) -> String {
        match self {
            Self::NoParent => "has no interrupt-parent, and no node above it has one".into(),
            Self::NoController(phandle) => {
                format!("is for a controller with phandle {phandle:#x}, which no node has")
            }
            Self::Short(cells, wanted) => {
                format!("has a specifier of {cells} cells, and its controller asks for {wanted}")
            }
            Self::Kind(kind) => {
                format!("is of type {kind}: 0 is a shared one (SPI), 1 a private one (PPI)")
            }
            Self::Ppi(number) => format!("is PPI {number}: there are 0 to 15"),
            Self::Spi(number) => format!("is SPI {number}: no GIC has so many"),
            Self::Controller(id) => {
                let node = tree.node(id);
                let chip = node.compatible.first().map_or("", String::as_str);
                format!("goes to {} (\"{chip}\"), which stands before the GIC", node.path)
            }
            Self::Unmapped(id) => {
                format!("is in no entry of the interrupt-map of {}", tree.node(id).path)
            }
            Self::Loop => "goes through controllers that lead to each other".into(),
        }
    }
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

/// Most controllers and nexus nodes between a device and the GIC; a loop of them ends here.
const MAX_HOPS: usize = 8;

/// Whether a node is an interrupt controller of the Arm GIC family.
#[must_use]
pub fn is_gic(node: &Node) -> bool {
    GICS.iter().any(|gic| node.is(gic))
}

/// The controller or nexus that `interrupts` of a node means: the first with `#interrupt-cells` by
/// way of `interrupt-parent`, or upwards where there is none.
fn parent(tree: &Tree, id: NodeId) -> Result<NodeId, Unresolved> {
    let mut at = id;
    // Each step goes up or follows a phandle, so that only a loop of phandles takes more.
    for _ in 0..MAX_DEPTH.saturating_mul(2) {
        let node = tree.node(at);
        at = match node.cell("interrupt-parent") {
            Some(phandle) => tree.by_phandle(phandle).ok_or(Unresolved::NoController(phandle))?,
            None => node.parent.ok_or(Unresolved::NoParent)?,
        };
        if tree.node(at).properties.contains_key("#interrupt-cells") {
            return Ok(at);
        }
    }
    Err(Unresolved::Loop)
}

/// Cells of a specifier for `controller`.
fn width(tree: &Tree, controller: NodeId) -> usize {
    let cells = tree.node(controller).cell("#interrupt-cells").unwrap_or(1);
    // More than eight is no specifier of any binding; a wrong number must not loop for ever.
    cells.clamp(1, 8) as usize
}

/// Cells of a unit address in the `interrupt-map` of `nexus`. Where it does not say, a node above
/// does (drivers/of/irq.c, `of_irq_parse_raw`).
fn address_width(tree: &Tree, nexus: NodeId) -> usize {
    let cells = tree.up(nexus).find_map(|id| tree.node(id).cell("#address-cells")).unwrap_or(2);
    cells.min(4) as usize
}

/// Cells of a unit address of a controller as it stands in an `interrupt-map`.
fn parent_address_width(tree: &Tree, controller: NodeId) -> usize {
    let cells = tree.node(controller).cell("#address-cells").unwrap_or(0);
    cells.min(4) as usize
}

/// Cells before the phandle of an entry of the `interrupt-map` of `nexus`.
pub(super) fn own_width(tree: &Tree, nexus: NodeId) -> usize {
    address_width(tree, nexus).saturating_add(width(tree, nexus))
}

/// Cells behind the phandle of `controller` in an `interrupt-map`.
pub(super) fn entry_width(tree: &Tree, controller: NodeId) -> usize {
    parent_address_width(tree, controller).saturating_add(width(tree, controller))
}

/// The entry of the `interrupt-map` of `nexus` for a unit address and a specifier: the controller,
/// and address and specifier there (Devicetree Specification 0.4, 2.4.3).
fn mapped(
    tree: &Tree,
    nexus: NodeId,
    address: &[u32],
    cells: &[u32],
) -> Result<(NodeId, Vec<u32>, Vec<u32>), Unresolved> {
    let (at, wide) = (address_width(tree, nexus), width(tree, nexus));
    let own = (0..at).map(|cell| address.get(cell).copied().unwrap_or(0));
    let own: Vec<_> = own.chain(cells.iter().copied().take(wide)).collect();
    let mask = tree.node(nexus).cells("interrupt-map-mask");
    let mask = |index: usize| mask.get(index).copied().unwrap_or(u32::MAX);
    let map = tree.node(nexus).cells("interrupt-map");
    let mut rest = map.as_slice();
    let none = Unresolved::Unmapped(nexus);
    while !rest.is_empty() {
        let (entry, after) = rest.split_at_checked(own.len()).ok_or(none)?;
        let (&phandle, after) = after.split_first().ok_or(none)?;
        let controller = tree.by_phandle(phandle).ok_or(Unresolved::NoController(phandle))?;
        let (above, after) =
            after.split_at_checked(parent_address_width(tree, controller)).ok_or(none)?;
        let (specifier, after) = after.split_at_checked(width(tree, controller)).ok_or(none)?;
        let same = |(index, (own, entry)): (usize, (&u32, &u32))| (own ^ entry) & mask(index) == 0;
        if own.iter().zip(entry).enumerate().all(same) {
            return Ok((controller, above.to_vec(), specifier.to_vec()));
        }
        rest = after;
    }
    Err(none)
}

/// The GIC's specifier of the interrupt `cells` at `controller` that the device `id` raises.
fn resolve(
    tree: &Tree,
    id: NodeId,
    mut controller: NodeId,
    cells: &[u32],
) -> Result<[u32; 3], Unresolved> {
    let mut cells = cells.to_vec();
    let mut address = tree.node(id).cells("reg");
    for _ in 0..MAX_HOPS {
        let node = tree.node(controller);
        let wanted =
            if is_gic(node) { width(tree, controller).max(3) } else { width(tree, controller) };
        if cells.len() < wanted {
            return Err(Unresolved::Short(cells.len(), wanted));
        }
        if is_gic(node) {
            return match cells.as_slice() {
                [kind, number, flags, ..] => Ok([*kind, *number, *flags]),
                short => Err(Unresolved::Short(short.len(), wanted)),
            };
        }
        if node.properties.contains_key("interrupt-map") {
            (controller, address, cells) = mapped(tree, controller, &address, &cells)?;
        } else if TRANSPARENT.iter().any(|chip| node.is(chip)) {
            controller = parent(tree, controller)?;
        } else {
            return Err(Unresolved::Controller(controller));
        }
    }
    Err(Unresolved::Loop)
}

/// INTID and trigger of a specifier of the GIC.
fn intid([kind, number, flags]: [u32; 3]) -> Result<GicInterrupt, Unresolved> {
    let intid = match kind {
        0 => number.checked_add(FIRST_SPI).ok_or(Unresolved::Spi(number))?,
        1 if number < 16 => number.saturating_add(16),
        1 => return Err(Unresolved::Ppi(number)),
        _ => return Err(Unresolved::Kind(kind)),
    };
    let trigger = if flags & 3 == 0 { Trigger::Level } else { Trigger::Edge };
    Ok(GicInterrupt { intid, trigger })
}

fn interrupt(
    tree: &Tree,
    id: NodeId,
    controller: Result<NodeId, Unresolved>,
    cells: &[u32],
) -> Interrupt {
    let specifier = controller.and_then(|controller| resolve(tree, id, controller, cells));
    let gic = specifier.and_then(intid);
    Interrupt {
        controller: controller.ok(),
        cells: cells.to_vec(),
        gic: gic.ok(),
        at_gic: specifier.unwrap_or_default(),
        why: gic.err(),
    }
}

/// The interrupts of a node.
pub(super) fn interrupts(tree: &Tree, id: NodeId) -> Vec<Interrupt> {
    let node = tree.node(id);
    let mut all = Vec::new();
    let mut extended = node.cells("interrupts-extended").into_iter();
    while let Some(phandle) = extended.next() {
        let controller = tree.by_phandle(phandle).ok_or(Unresolved::NoController(phandle));
        let count = controller.map_or(usize::MAX, |controller| width(tree, controller));
        let cells: Vec<_> = extended.by_ref().take(count).collect();
        all.push(interrupt(tree, id, controller, &cells));
    }
    if all.is_empty() && node.properties.contains_key("interrupts") {
        let controller = parent(tree, id);
        let count = controller.map_or(usize::MAX, |controller| width(tree, controller));
        let cells = node.cells("interrupts");
        for cells in cells.chunks(count.min(cells.len()).max(1)) {
            all.push(interrupt(tree, id, controller, cells));
        }
    }
    all
}
