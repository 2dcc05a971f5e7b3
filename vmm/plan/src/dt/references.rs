// SPDX-License-Identifier: BSD-2-Clause
//! What a node needs of other nodes, by the standard bindings' property names.

use super::{NodeId, Tree};
use crate::wish::Need;

/// A reference to another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// What kind of thing it gives.
    pub need: Need,
    /// The property that says so.
    pub property: String,
    /// Its phandle there.
    pub phandle: u32,
    /// The node, if the tree has it.
    pub target: Option<NodeId>,
}

/// Properties whose entries are a phandle and as many cells as the target says.
const LISTS: [(&str, &str, Need); 17] = [
    ("clocks", "#clock-cells", Need::Clocks),
    ("assigned-clocks", "#clock-cells", Need::Clocks),
    ("assigned-clock-parents", "#clock-cells", Need::Clocks),
    ("power-domains", "#power-domain-cells", Need::Power),
    ("resets", "#reset-cells", Need::Resets),
    ("dmas", "#dma-cells", Need::Dmas),
    ("iommus", "#iommu-cells", Need::Others),
    ("phys", "#phy-cells", Need::Others),
    ("mboxes", "#mbox-cells", Need::Others),
    ("interconnects", "#interconnect-cells", Need::Others),
    ("io-channels", "#io-channel-cells", Need::Others),
    ("pwms", "#pwm-cells", Need::Others),
    ("thermal-sensors", "#thermal-sensor-cells", Need::Others),
    ("hwlocks", "#hwlock-cells", Need::Others),
    ("sound-dai", "#sound-dai-cells", Need::Others),
    ("nvmem-cells", "#nvmem-cell-cells", Need::Others),
    ("gpios", "#gpio-cells", Need::Gpios),
];

/// Properties that are phandles and nothing else.
const PLAIN: [&str; 6] = [
    "memory-region",
    "operating-points-v2",
    "next-level-cache",
    "phy-handle",
    "backlight",
    "remote-endpoint",
];

/// Kind of a property, and the name of the cell count at its target, where it has one.
fn classify(property: &str) -> Option<(Need, Option<&'static str>)> {
    if let Some((_, cells, need)) = LISTS.iter().find(|(name, ..)| *name == property) {
        return Some((*need, Some(cells)));
    }
    let numbered = property.strip_prefix("pinctrl-");
    if numbered.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    }) {
        return Some((Need::Pins, None));
    }
    if property.ends_with("-supply") {
        return Some((Need::Supplies, None));
    }
    if property.ends_with("-gpios") || property.ends_with("-gpio") {
        return Some((Need::Gpios, Some("#gpio-cells")));
    }
    PLAIN.contains(&property).then_some((Need::Others, None))
}

/// The references of a node.
pub(super) fn references(tree: &Tree, id: NodeId) -> Vec<Reference> {
    let node = tree.node(id);
    let mut all = Vec::new();
    // Tables about the tree, not devices.
    if matches!(node.name.as_str(), "aliases" | "__symbols__" | "__fixups__" | "__local_fixups__") {
        return all;
    }
    for property in node.properties.keys() {
        let Some((need, count)) = classify(property) else { continue };
        let mut cells = node.cells(property).into_iter();
        while let Some(phandle) = cells.next() {
            // An empty entry of a list (Documentation/devicetree/bindings/clock/clock-bindings).
            if phandle == 0 {
                continue;
            }
            let target = tree.by_phandle(phandle);
            all.push(Reference { need, property: property.clone(), phandle, target });
            let skip = match (count, target) {
                (None, _) => 0,
                (Some(count), Some(target)) => tree.node(target).cell(count).unwrap_or(0),
                // How long the entry is only its target could say.
                (Some(_), None) => break,
            };
            for _ in 0..skip {
                if cells.next().is_none() {
                    break;
                }
            }
        }
    }
    all
}

/// Whether a property goes when a node does without `need`: the references themselves and the
/// names and rates beside them.
#[must_use]
pub fn companions(property: &str, need: Need) -> bool {
    if classify(property).is_some_and(|(kind, _)| kind == need) {
        return true;
    }
    match need {
        Need::Clocks => matches!(property, "clock-names" | "assigned-clock-rates"),
        Need::Pins => property == "pinctrl-names",
        Need::Power => property == "power-domain-names",
        Need::Resets => property == "reset-names",
        Need::Dmas => property == "dma-names",
        Need::Supplies | Need::Gpios | Need::Others => false,
    }
}
