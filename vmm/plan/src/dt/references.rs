// SPDX-License-Identifier: BSD-2-Clause
//! What a node needs of other nodes, by the standard bindings' property names.

use super::interrupts;
use super::node::{NodeId, Reference};
use super::tree::Tree;
use crate::wish::Need;

/// How the phandles lie in a property.
#[derive(Clone, Copy)]
enum Shape {
    /// Phandles, each with as many cells behind it as this property of its target says.
    Counted(&'static str),
    /// Phandles, each with so many cells behind it.
    Fixed(usize),
    /// So many cells, a phandle, so many cells; and again.
    Within(usize, usize),
    /// One phandle; what is behind it are numbers.
    First,
    /// An `interrupt-map` (Devicetree Specification 0.4, 2.4.3).
    InterruptMap,
}

use Shape::{Counted, First, Fixed, InterruptMap, Within};

/// Properties of the standard bindings, sorted.
const LISTS: [(&str, Shape, Need); 46] = [
    ("access-controllers", Counted("#access-controller-cells"), Need::Others),
    ("assigned-clock-parents", Counted("#clock-cells"), Need::Clocks),
    ("assigned-clocks", Counted("#clock-cells"), Need::Clocks),
    ("backlight", Fixed(0), Need::Others),
    ("clocks", Counted("#clock-cells"), Need::Clocks),
    ("companion", Fixed(0), Need::Others),
    ("cooling-device", Counted("#cooling-cells"), Need::Others),
    ("cpu", Fixed(0), Need::Others),
    ("cpus", Fixed(0), Need::Others),
    ("dmas", Counted("#dma-cells"), Need::Dmas),
    ("ethernet", Fixed(0), Need::Others),
    ("extcon", Fixed(0), Need::Others),
    ("gpio-ranges", Fixed(3), Need::Pins),
    ("gpios", Counted("#gpio-cells"), Need::Gpios),
    ("hwlocks", Counted("#hwlock-cells"), Need::Others),
    ("interconnects", Counted("#interconnect-cells"), Need::Others),
    ("interrupt-affinity", Fixed(0), Need::Others),
    ("interrupt-map", InterruptMap, Need::Others),
    ("io-channels", Counted("#io-channel-cells"), Need::Others),
    ("iommu-map", Within(1, 2), Need::Others),
    ("iommus", Counted("#iommu-cells"), Need::Others),
    ("mboxes", Counted("#mbox-cells"), Need::Others),
    ("memory-region", Fixed(0), Need::Others),
    ("mmc-pwrseq", Fixed(0), Need::Others),
    ("msi-map", Within(1, 2), Need::Others),
    ("msi-parent", Counted("#msi-cells"), Need::Others),
    ("mux-controls", Counted("#mux-control-cells"), Need::Others),
    ("next-level-cache", Fixed(0), Need::Others),
    ("nvmem", Fixed(0), Need::Others),
    ("nvmem-cells", Counted("#nvmem-cell-cells"), Need::Others),
    ("operating-points-v2", Fixed(0), Need::Others),
    ("performance-domains", Counted("#performance-domain-cells"), Need::Others),
    ("phys", Counted("#phy-cells"), Need::Others),
    ("ports", Fixed(0), Need::Others),
    ("power-domains", Counted("#power-domain-cells"), Need::Power),
    ("pwms", Counted("#pwm-cells"), Need::Others),
    ("regmap", Fixed(0), Need::Others),
    ("remote-endpoint", Fixed(0), Need::Others),
    ("required-opps", Fixed(0), Need::Others),
    ("resets", Counted("#reset-cells"), Need::Resets),
    ("sfp", Fixed(0), Need::Others),
    ("shmem", Fixed(0), Need::Others),
    ("sound-dai", Counted("#sound-dai-cells"), Need::Others),
    ("sram", Fixed(0), Need::Others),
    ("syscon", First, Need::Others),
    ("thermal-sensors", Counted("#thermal-sensor-cells"), Need::Others),
];

/// Ends of names: whoever has one of these is a reference by its first cell.
const ENDS: [&str; 15] = [
    "-handle",
    "-handles",
    "-i2c-bus",
    "-phandle",
    "-phy-gpr",
    "-syscon",
    "i2c-bus",
    "mdio-parent-bus",
    "regmap-csw",
    "syscon-phy-power",
    "usb-phy",
    "wakeup-parent",
    ",grf",
    ",syscon",
    "-grf",
];

/// Properties of single makers, a reference by their first cell: those of Debian's 577 arm64 trees
/// where it is one in every tree, of nodes that have registers; sorted.
const MAKERS: [&str; 50] = [
    "allwinner,codec-analog-controls",
    "allwinner,pipelines",
    "allwinner,sram",
    "amlogic,ao-secure",
    "amlogic,ao-sysctrl",
    "amlogic,canvas",
    "arm,cs-dev-assoc",
    "ddc",
    "devfreq-events",
    "firmware",
    "fsl,ddrc",
    "fsl,fman-ports",
    "fsl,pcie-scfg",
    "fsl,stop-mode",
    "fsl,usbmisc",
    "fsl,usbphy",
    "intf_mode",
    "marvell,system-controller",
    "marvell,usb-misc-reg",
    "nvidia,dpaux",
    "nvidia,memory-controller",
    "nvidia,mipi-calibrate",
    "nvidia,outputs",
    "nvidia,phy",
    "nvidia,pmc",
    "nvidia,xusb-padctl",
    "phy",
    "ptp-timer",
    "qcom,acc",
    "qcom,bcm-voters",
    "qcom,gmu",
    "qcom,halt-regs",
    "qcom,ipc",
    "qcom,mmio",
    "qcom,qmp",
    "qcom,rpm-msg-ram",
    "qcom,rproc",
    "qcom,saw",
    "qcom,smem-states",
    "qcom,spare-regs",
    "renesas,fcp",
    "rockchip,pmu",
    "rockchip,usbgrf",
    "secure-monitor",
    "snps,axi-config",
    "snps,mtl-rx-config",
    "snps,mtl-tx-config",
    "ti,ringacc",
    "ti,sci",
    "ti,syscon-pcie-ctrl",
];

/// Cells of an entry, as its target says; no binding has so many as 16.
fn clamp(cells: u32) -> usize {
    cells.min(16) as usize
}

/// Kind of a property, and how its phandles lie.
fn classify(property: &str) -> Option<(Need, Shape)> {
    let listed = LISTS.binary_search_by_key(&property, |(name, ..)| name);
    if let Some((_, shape, need)) = listed.ok().and_then(|index| LISTS.get(index)) {
        return Some((*need, *shape));
    }
    let numbered = property.strip_prefix("pinctrl-");
    if numbered.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    }) {
        return Some((Need::Pins, Fixed(0)));
    }
    if property.ends_with("-supply") {
        return Some((Need::Supplies, Fixed(0)));
    }
    if property.ends_with("-gpios") || property.ends_with("-gpio") {
        return Some((Need::Gpios, Counted("#gpio-cells")));
    }
    let named =
        MAKERS.binary_search(&property).is_ok() || ENDS.iter().any(|end| property.ends_with(end));
    named.then_some((Need::Others, First))
}

/// Where the phandles are in `cells`: each with the cells from there on.
fn phandles(tree: &Tree, id: NodeId, shape: Shape, cells: &[u32]) -> Vec<u32> {
    let mut all = Vec::new();
    let mut rest = cells;
    let before = match shape {
        Within(before, _) => before,
        InterruptMap => interrupts::own_width(tree, id),
        Counted(_) | Fixed(_) | First => 0,
    };
    while let Some((&phandle, behind)) = rest.get(before..).and_then(<[u32]>::split_first) {
        // An empty entry of a list (Documentation/devicetree/bindings/clock/clock-bindings).
        let empty = matches!(phandle, 0 | u32::MAX);
        let target = tree.by_phandle(phandle);
        if !empty {
            all.push(phandle);
        }
        let skip = match (shape, target) {
            (First, _) => break,
            _ if empty => 0,
            (Fixed(count) | Within(_, count), _) => count,
            (Counted(count), Some(target)) => tree.node(target).cell(count).map_or(0, clamp),
            (InterruptMap, Some(target)) => interrupts::entry_width(tree, target),
            // How long the entry is only its target could say.
            (Counted(_) | InterruptMap, None) => break,
        };
        rest = behind.get(skip..).unwrap_or_default();
    }
    all
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
        let Some((need, shape)) = classify(property) else { continue };
        for phandle in phandles(tree, id, shape, &node.cells(property)) {
            let target = tree.by_phandle(phandle);
            all.push(Reference { need, property: property.clone(), phandle, target });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted() {
        assert!(LISTS.is_sorted_by_key(|(name, ..)| *name));
        assert!(MAKERS.is_sorted());
    }
}
