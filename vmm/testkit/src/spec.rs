// SPDX-License-Identifier: BSD-2-Clause
//! A guest as guestplan would hand it over: facts, nodes and images.

use crate::fake::Fake;
use vmm_core::addr::{Ipa, IpaRange};
use vmm_core::boot::KERNEL_MAGIC;
use vmm_core::host::Image;
use vmm_core::ids::{GicVersion, Trigger, VcpuCount};
use vmm_core::plan::{
    self, DeviceFacts, DeviceKind, Facts, IdleKind, InterruptFacts, Node, PlanBlock, RuleAction,
    RuleFacts, SeedKind, Window, checksum,
};
use vmm_core::uart::Uart;

use super::tree;

pub const RAM: u64 = 0x4000_0000;
pub const RAM_SIZE: u64 = 0x4_0000;
pub const KERNEL: u64 = RAM;
/// BSS included.
pub const KERNEL_SPAN: u64 = 0x1_0000;
pub const TREE: u64 = RAM + 0x2_0000;
pub const INITRD: u64 = RAM + 0x3_0000;
pub const GICD: u64 = 0x0800_0000;
pub const GICR: u64 = 0x080a_0000;
pub const MARKER: u64 = 0x0b00_0000;
pub const RTC: u64 = 0x0b00_1000;
pub const UART: u64 = 0x0900_0000;

/// Device lines of every test guest: two levels, two edges.
pub const LEVELS: [u16; 2] = [33, 40];
pub const EDGES: [u16; 2] = [47, 50];

/// A guest to be.
#[derive(Clone)]
pub struct Spec {
    pub facts: Facts,
    pub nodes: Vec<Node>,
    pub kernel: Vec<u8>,
    pub tree: Vec<u8>,
    pub initrd: Vec<u8>,
    /// What is in the region `seed`.
    pub seed: Vec<u8>,
    pub slots: u8,
    /// Whether its host can read list registers.
    pub reads: bool,
}

/// A file that starts with an arm64 Image header: `size` bytes, `span` with its BSS.
pub fn kernel(size: usize, span: u64) -> Vec<u8> {
    let mut image: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
    image[..64].fill(0);
    image[16..24].copy_from_slice(&span.to_le_bytes());
    image[56..60].copy_from_slice(&KERNEL_MAGIC.to_le_bytes());
    image
}

impl Spec {
    /// A guest with this interrupt controller and number of vCPUs.
    pub fn new(version: u32, vcpus: u32) -> Self {
        let kernel = kernel(200, KERNEL_SPAN);
        let initrd = b"an initial RAM file system".to_vec();
        let gic = GicVersion::new(version).unwrap();
        let mut facts = Facts::new("test_board", gic, Uart::Pl011);
        facts.vcpus = VcpuCount::new(vcpus).unwrap();
        facts.ram = Window { ipa: RAM, size: RAM_SIZE };
        facts.kernel = Window { ipa: KERNEL, size: kernel.len() as u64 };
        facts.initrd = Window { ipa: INITRD, size: initrd.len() as u64 };
        facts.gic.intid_count = 64;
        facts.gic.distributor = Window { ipa: GICD, size: 0x1_0000 };
        if gic == GicVersion::V3 {
            facts.gic.redistributors = Window { ipa: GICR, size: u64::from(vcpus) * 0x2_0000 };
        }
        facts.console.window = Window { ipa: UART, size: 0x1000 };
        facts.idle_timer.kind = IdleKind::Cntp;
        let mut spec = Self {
            facts,
            nodes: Vec::new(),
            kernel,
            tree: Vec::new(),
            initrd,
            seed: Vec::new(),
            slots: 4,
            reads: false,
        };
        spec.device(DeviceKind::Marker, Window { ipa: MARKER, size: 0x1000 });
        LEVELS.into_iter().for_each(|intid| spec.interrupt(intid, Trigger::Level));
        EDGES.into_iter().for_each(|intid| spec.interrupt(intid, Trigger::Edge));
        spec.set_tree(tree::of(&spec.facts).to_dtb());
        spec
    }

    /// The same with random numbers, which this seeds.
    pub fn with_seed(mut self, seed: [u8; 32]) -> Self {
        self.facts.seed = SeedKind::DeviceTree;
        self.seed = tree::with_seed(seed).to_dtb();
        self.set_tree(tree::of(&self.facts).to_dtb());
        self
    }

    /// Takes this device tree, as guestplan would have written it.
    pub fn set_tree(&mut self, dtb: Vec<u8>) {
        self.facts.device_tree = Window { ipa: TREE, size: dtb.len() as u64 };
        self.facts.device_tree_checksum = checksum(&dtb);
        self.tree = dtb;
    }

    /// The same with a real-time clock.
    pub fn with_clock(mut self) -> Self {
        self.device(DeviceKind::Rtc, Window { ipa: RTC, size: 0x1000 });
        self
    }

    /// Adds an emulated device.
    pub fn device(&mut self, kind: DeviceKind, window: Window) {
        let count = self.facts.device_count as usize;
        self.facts.devices[count] = DeviceFacts { kind, reserved: 0, window };
        self.facts.device_count += 1;
    }

    /// Adds a device's interrupt.
    pub fn interrupt(&mut self, intid: u16, trigger: Trigger) {
        let count = self.facts.interrupt_count as usize;
        self.facts.interrupts[count] =
            InterruptFacts { intid: intid.into(), trigger, ..InterruptFacts::default() };
        self.facts.interrupt_count += 1;
    }

    /// Adds a firmware rule.
    pub fn rule(&mut self, function: u32, action: RuleAction, value: u64) {
        let count = self.facts.rule_count as usize;
        self.facts.rules[count] = RuleFacts { function, action, value };
        self.facts.rule_count += 1;
    }

    /// The plan block's bytes.
    pub fn block(&self) -> Vec<u8> {
        let mut facts = self.facts;
        facts.node_count = self.nodes.len() as u32;
        let mut bytes = Vec::new();
        plan::write(&facts, &self.nodes, |piece| bytes.extend_from_slice(piece));
        bytes
    }

    /// The plan, read back from its block. Leaks the block: a test is short.
    pub fn plan(&self) -> PlanBlock<'static> {
        PlanBlock::read(aligned(&self.block())).unwrap()
    }

    /// A host with the images, lines and list registers of this guest.
    pub fn fake(&self) -> Fake {
        let ram = self.facts.ram;
        let mut fake =
            Fake::new(self.facts.vcpus.get(), IpaRange::new(Ipa(ram.ipa), ram.size).unwrap());
        (fake.slots, fake.reads) = (self.slots, self.reads);
        fake.groups = if self.facts.gic.version == GicVersion::V3 { 0b10 } else { 0b01 };
        fake.seed.clone_from(&self.seed);
        fake.set_image(Image::Kernel, &self.kernel);
        fake.set_image(Image::DeviceTree, &self.tree);
        fake.set_image(Image::Initrd, &self.initrd);
        for interrupt in &self.facts.interrupts[..self.facts.interrupt_count as usize] {
            fake.add_wire(interrupt.intid as u16, interrupt.trigger == Trigger::Edge);
        }
        fake
    }
}

/// A copy of `bytes` at a multiple of eight, as a prefilled region is.
pub fn aligned(bytes: &[u8]) -> &'static [u8] {
    let words: Vec<u64> = bytes
        .chunks(8)
        .map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        })
        .collect();
    let words: &'static [u64] = words.leak();
    &zerocopy::IntoBytes::as_bytes(words)[..bytes.len()]
}
