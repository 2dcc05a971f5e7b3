// SPDX-License-Identifier: BSD-2-Clause
//! The list of devices without DMA against every device tree of Debian's arm64 kernel, by eyes of
//! its own.

mod common;

use std::collections::BTreeMap;

use common::debians_trees;
use vmm_plan::dt::{self, Node};
use vmm_plan::masters::{Dma, Masters};

/// Names of nodes that are bus masters: those of the specification, and those that real trees have
/// beside them.
const MASTERS: [&str; 62] = [
    "ahci",
    "can",
    "crypto",
    "csi",
    "dc",
    "deinterlace",
    "display",
    "display-controller",
    "display-subsystem",
    "dma",
    "dma-controller",
    "dpu",
    "dsp",
    "edma",
    "eth",
    "ethernet",
    "etr",
    "fec",
    "fman",
    "gmu",
    "gpu",
    "hda",
    "icssg",
    "infiniband",
    "iommu",
    "ipa",
    "isi",
    "isp",
    "isp0",
    "isp1",
    "jpegdec",
    "jpegenc",
    "jr",
    "lcd-controller",
    "lcdif",
    "mdp",
    "mdss",
    "mmc",
    "nand",
    "nand-controller",
    "npu",
    "pci",
    "pcie",
    "pcie-ep",
    "pcie_ep",
    "pruss",
    "remoteproc",
    "rga",
    "sata",
    "sdhci",
    "smmu",
    "ufs",
    "ufshc",
    "usb",
    "video",
    "video-codec",
    "video-decoder",
    "video-encoder",
    "vop",
    "vpu",
    "vsp",
    "wifi",
];

/// What makes a node a bus master whatever it is called.
fn is_master(node: &Node) -> bool {
    let has = |property: &str| node.properties.contains_key(property);
    let kind = node.strings("device_type");
    has("iommus")
        || has("iommu-map")
        || has("dma-coherent")
        || has("#dma-cells")
        || has("#iommu-cells")
        || node.strings("interconnect-names").iter().any(|name| name == "dma-mem")
        || kind.iter().any(|kind| kind == "pci" || kind == "network")
        || MASTERS.contains(&node.base_name())
}

#[test]
fn no_bus_master_of_any_board_is_on_the_list() {
    let paths = debians_trees();
    let masters = Masters::built_in();
    let mut seen: BTreeMap<&str, usize> =
        masters.harmless().map(|(compatible, _)| (compatible, 0)).collect();
    let (mut devices, mut harmless, mut real) = (0, 0, 0);
    for path in &paths {
        let (_, tree) = dt::read_file(path).unwrap();
        for (_, node) in tree.nodes().filter(|(_, node)| !node.registers.is_empty()) {
            devices += 1;
            real += usize::from(is_master(node));
            if let Dma::None(reason) = masters.of(node) {
                harmless += 1;
                let master = is_master(node);
                assert!(!master, "{}: {} is '{reason}'", path.display(), node.path);
            }
            for compatible in &node.compatible {
                if let Some(count) = seen.get_mut(compatible.as_str()) {
                    *count += 1;
                }
            }
        }
    }
    if paths.is_empty() {
        return;
    }
    println!(
        "{} trees, {devices} devices: {harmless} known to leave memory alone, {real} bus masters",
        paths.len()
    );
    // Nothing stands on the list that no board has: a name written wrongly would not be found out.
    let never: Vec<_> =
        seen.iter().filter(|(_, count)| **count == 0).map(|(name, _)| name).collect();
    assert!(never.is_empty(), "no tree has {never:?}");
    assert!(harmless > devices / 10 && real > devices / 10);
}
