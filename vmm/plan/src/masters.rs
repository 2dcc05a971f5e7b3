// SPDX-License-Identifier: BSD-2-Clause
//! Which devices read and write memory on their own. What is known to leave it alone is a list by
//! `compatible`; whatever is not on it is taken for a bus master.

use std::collections::HashMap;

use crate::dt::Node;

/// What is known of a device's way to memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dma {
    /// It reads and writes memory on its own; in words, how that is known.
    Master(String),
    /// It does not, for this reason.
    None(&'static str),
    /// Nobody here knows.
    Unknown,
}

/// The list: a line at the margin is a reason, an indented one names devices.
const LIST: &str = include_str!("../no_dma.txt");

/// What a node says of itself if it is a bus master (Linux bindings/iommu/iommu.txt, dma/dma.txt,
/// Devicetree Specification 0.4, 2.3.10).
const SAYS: [&str; 3] = ["iommus", "dma-coherent", "#dma-cells"];

/// Names of the Devicetree Specification 0.4 (2.2.2) for devices that read and write memory on
/// their own.
const NAMES: [&str; 19] = [
    "can",
    "crypto",
    "display",
    "display-controller",
    "dma-controller",
    "dma",
    "ethernet",
    "gpu",
    "lcd-controller",
    "mmc",
    "nand-controller",
    "pcie",
    "pci",
    "sata",
    "usb",
    "video-codec",
    "virtio_mmio",
    "virtio",
    "vpu",
];

/// The list, by `compatible`.
#[derive(Clone, Debug)]
pub struct Masters {
    harmless: HashMap<&'static str, &'static str>,
}

impl Masters {
    /// The list that comes with this crate.
    #[must_use]
    pub fn built_in() -> Self {
        let mut harmless = HashMap::new();
        let mut reason = "";
        for line in LIST.lines().filter(|line| !line.starts_with('#')) {
            match line.strip_prefix('\t') {
                Some(names) => harmless.extend(names.split(' ').map(|name| (name, reason))),
                None => reason = line,
            }
        }
        Self { harmless }
    }

    /// What is on the list, with its reason.
    pub fn harmless(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.harmless.iter().map(|(compatible, reason)| (*compatible, *reason))
    }

    /// What is known of the device of a node.
    #[must_use]
    pub fn of(&self, node: &Node) -> Dma {
        if let Some(says) = SAYS.iter().find(|property| node.properties.contains_key(**property)) {
            return Dma::Master(format!("its node says so ({says})"));
        }
        let name = node.base_name();
        if NAMES.contains(&name) {
            return Dma::Master(format!("a device named {name} does"));
        }
        let known = |compatible: &String| self.harmless.get(compatible.as_str());
        node.compatible.iter().find_map(known).map_or(Dma::Unknown, |reason| Dma::None(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_has_a_reason_and_stands_once() {
        let names = LIST.lines().filter_map(|line| line.strip_prefix('\t'));
        let count: usize = names.map(|line| line.split(' ').count()).sum();
        let masters = Masters::built_in();
        assert_eq!(masters.harmless().count(), count);
        for (compatible, reason) in masters.harmless() {
            let (kind, why) = reason.split_once(": ").unwrap();
            assert!(!kind.is_empty() && why.len() > 15, "{compatible}: {reason}");
            let good = compatible.bytes().all(|byte| byte.is_ascii_graphic());
            assert!(good && !compatible.is_empty(), "{compatible}");
        }
    }

    #[test]
    fn a_device_is_a_master_until_it_is_known_to_be_none() {
        let masters = Masters::built_in();
        let node = |name: &str, compatible: &str| Node {
            name: name.into(),
            compatible: vec![compatible.into()],
            ..Node::default()
        };
        assert!(matches!(masters.of(&node("serial@0", "arm,pl011")), Dma::None(_)));
        assert_eq!(masters.of(&node("csi@0", "fsl,imx8mq-csi")), Dma::Unknown);
        assert!(matches!(masters.of(&node("usb@0", "arm,pl011")), Dma::Master(_)));
        // PL080 and PL330, DMA controllers, are 'arm,primecell' as well.
        assert_eq!(masters.of(&node("thing@0", "arm,primecell")), Dma::Unknown);
        let mut says = node("serial@0", "arm,pl011");
        says.properties.insert("iommus".into(), vec![0; 4]);
        assert!(matches!(masters.of(&says), Dma::Master(_)));
    }
}
