// SPDX-License-Identifier: BSD-2-Clause
//! Device trees of a guest, right ones and wrong ones.

use dtoolkit::ToPropertyValue;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};
use vmm_core::ids::GicVersion;
use vmm_core::plan::{Facts, SeedKind};

/// A node under construction.
pub struct Build(pub DeviceTreeNode);

impl Build {
    pub fn new(name: &str) -> Self {
        Self(DeviceTreeNode::new_unchecked(name))
    }

    pub fn with(mut self, name: &str, value: impl ToPropertyValue) -> Self {
        self.0.add_property(DeviceTreeProperty::new_unchecked(name, value));
        self
    }

    pub fn child(mut self, child: Self) -> Self {
        self.0.add_child(child.0);
        self
    }
}

/// Addresses and sizes, two cells each.
pub fn reg(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().copied().flat_map(u64::to_be_bytes).collect()
}

/// A tree with nothing but seeds, as an emulator leaves it.
pub fn with_seed(seed: [u8; 32]) -> DeviceTree {
    let mut tree = DeviceTree::new();
    let chosen = Build::new("chosen").with("rng-seed", seed.to_vec());
    tree.root = Build::new("").with("compatible", "an,emulator").child(chosen).0;
    tree
}

/// The tree that says what the plan says.
pub fn of(facts: &Facts) -> DeviceTree {
    let (ram, gic) = (facts.ram, facts.gic);
    let compatible =
        if gic.version == GicVersion::V3 { "arm,gic-v3" } else { "arm,cortex-a15-gic" };
    let second = if gic.version == GicVersion::V3 {
        gic.redistributors.ipa
    } else {
        gic.distributor.ipa + 0x1_0000
    };
    let cpus = Build::new("cpus").with("#address-cells", 1_u32).with("#size-cells", 0_u32);
    let cpus = (0..facts.vcpus as u32).fold(cpus, |cpus, number| {
        cpus.child(
            Build::new(&format!("cpu@{number:x}")).with("device_type", "cpu").with("reg", number),
        )
    });
    let mut chosen = Build::new("chosen");
    if facts.initrd.size != 0 {
        chosen = chosen
            .with("linux,initrd-start", facts.initrd.ipa)
            .with("linux,initrd-end", facts.initrd.ipa + facts.initrd.size);
    }
    if facts.seed != SeedKind::None {
        chosen = chosen.with("rng-seed", vec![0_u8; 32]).with("kaslr-seed", vec![0_u8; 8]);
    }
    let controller = Build::new(&format!("interrupt-controller@{:x}", gic.distributor.ipa))
        .with("compatible", compatible)
        .with("reg", reg(&[gic.distributor.ipa, gic.distributor.size, second, 0x2_0000]));
    let root = Build::new("")
        .with("#address-cells", 2_u32)
        .with("#size-cells", 2_u32)
        .child(
            Build::new(&format!("memory@{:x}", ram.ipa))
                .with("device_type", "memory")
                .with("reg", reg(&[ram.ipa, ram.size])),
        )
        .child(cpus)
        .child(Build::new("psci").with("compatible", "arm,psci-1.0").with("method", "smc"))
        .child(controller)
        .child(chosen);
    let mut tree = DeviceTree::new();
    tree.root = root.0;
    tree
}
