// SPDX-License-Identifier: BSD-2-Clause
//! The machine as its device tree describes it.

use core::ops::Range;

use fdt::Fdt;
use fdt::node::FdtNode;

use crate::Entry;
use crate::console::Console;
use crate::gic::Gic;
use crate::mmio::Device;

/// What a guest knows of its machine.
#[derive(Debug)]
pub struct Platform {
    /// How the guest was entered.
    pub entry: Entry,
    /// The UART that `/chosen` names.
    pub console: Console,
    /// INTID of its interrupt.
    pub console_intid: u32,
    /// Interrupt controller, not yet set up.
    pub gic: Gic,
    /// INTID of the virtual timer.
    pub timer_intid: u32,
    /// First and last-plus-one address of RAM.
    pub ram: Range<usize>,
    /// The device tree itself.
    pub tree: Fdt<'static>,
}

/// The node with this name. The `fdt` crate's own search ends at the first NOP, and QEMU leaves
/// some where it edits a tree.
fn named<'b>(tree: &'b Fdt<'static>, name: &str) -> Option<FdtNode<'b, 'static>> {
    tree.all_nodes().find(|node| node.name == name)
}

/// The node that `stdout-path` names, without its options (Devicetree Specification 0.4, 3.6).
fn stdout<'b>(tree: &'b Fdt<'static>) -> Option<FdtNode<'b, 'static>> {
    let value = named(tree, "chosen")?.property("stdout-path")?.as_str()?;
    let path = value.split_once(':').map_or(value, |(path, _options)| path);
    named(tree, path.rsplit_once('/')?.1)
}

fn ram(tree: &Fdt<'static>) -> Option<Range<usize>> {
    let is_memory = |node: &FdtNode<'_, '_>| {
        node.property("device_type").and_then(|kind| kind.as_str()) == Some("memory")
    };
    let region = tree.all_nodes().find(is_memory)?.reg()?.next()?;
    let base = region.starting_address as usize;
    Some(base..base + region.size?)
}

fn window(node: FdtNode<'_, '_>, index: usize) -> Option<Device> {
    let region = node.reg()?.nth(index)?;
    // SAFETY: the device tree names a device there.
    Some(unsafe { Device::new(region.starting_address as usize) })
}

/// INTID of the interrupt at `index`: cells are kind (0 SPI, 1 PPI), number, flags (Linux
/// Documentation/devicetree/bindings/interrupt-controller/arm,gic.yaml).
fn intid(node: FdtNode<'_, '_>, index: usize) -> Option<u32> {
    let cells = node.property("interrupts")?.value.chunks_exact(12).nth(index)?;
    let cell = |at: usize| Some(u32::from_be_bytes(cells.get(at..at + 4)?.try_into().ok()?));
    Some(cell(4)? + if cell(0)? == 1 { 16 } else { 32 })
}

impl Platform {
    /// Reads the device tree. The console becomes usable as early as possible, so that what is
    /// missing can be said.
    ///
    /// # Panics
    /// A node that every machine has is missing.
    #[must_use]
    pub fn new(tree: Fdt<'static>, entry: Entry) -> Self {
        let stdout = stdout(&tree).expect("/chosen names no console in stdout-path");
        let compatible = stdout.compatible().expect("the console has no compatible");
        let device = window(stdout, 0).expect("the console has no registers");
        let console = Console::new(compatible.all(), device).expect("unknown kind of console");
        console.make_default();

        let console_intid = intid(stdout, 0).expect("the console has no interrupt");
        let timer = tree.find_compatible(&["arm,armv8-timer"]).expect("no timer");
        // Secure, non-secure, virtual, hypervisor (bindings/timer/arm,arch_timer.yaml).
        let timer_intid = intid(timer, 2).expect("the timer has no virtual interrupt");
        let ram = ram(&tree).expect("no memory");
        Self { entry, console, console_intid, gic: Self::gic(&tree), timer_intid, ram, tree }
    }

    fn gic(tree: &Fdt<'_>) -> Gic {
        let v2 = ["arm,cortex-a15-gic", "arm,gic-400", "arm,cortex-a9-gic"];
        if let Some(node) = tree.find_compatible(&v2) {
            let distributor = window(node, 0).expect("the GIC has no distributor");
            Gic::v2(distributor, window(node, 1).expect("the GIC has no CPU interface"))
        } else {
            let node = tree.find_compatible(&["arm,gic-v3"]).expect("no GICv2 or GICv3");
            let distributor = window(node, 0).expect("the GIC has no distributor");
            Gic::v3(distributor, window(node, 1).expect("the GIC has no redistributors"))
        }
    }

    /// An SPI that no device drives: the `index`th, leaving out the console's. There are at least
    /// sixteen.
    #[must_use]
    pub fn spare_spi(&self, index: u32) -> u32 {
        let intid = 36 + index;
        let behind_console = (36..=intid).contains(&self.console_intid);
        intid + u32::from(behind_console)
    }

    /// The number behind `name=` in the boot arguments, decimal or with `0x`.
    #[must_use]
    pub fn argument(&self, name: &str) -> Option<u64> {
        let arguments = core::str::from_utf8(self.chosen("bootargs")?).ok()?.trim_end_matches('\0');
        let is_ours = |word: &&str| word.split_once('=').is_some_and(|(key, _)| key == name);
        let (_, value) = arguments.split(' ').find(is_ours)?.split_once('=')?;
        match value.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => value.parse().ok(),
        }
    }

    /// A property of `/chosen`.
    #[must_use]
    pub fn chosen(&self, name: &str) -> Option<&'static [u8]> {
        Some(named(&self.tree, "chosen")?.property(name)?.value)
    }

    /// The registers of the first device that is compatible with this.
    #[must_use]
    pub fn device(&self, compatible: &str) -> Option<Device> {
        let is = |node: &FdtNode<'_, '_>| {
            node.compatible().is_some_and(|all| all.all().any(|one| one == compatible))
        };
        window(self.tree.all_nodes().find(is)?, 0)
    }

    /// The page that takes marks: the boot argument `marker=ADDRESS`.
    #[must_use]
    pub fn marker(&self) -> Option<Device> {
        let address = usize::try_from(self.argument("marker")?).ok()?;
        // SAFETY: whoever gave the argument names a page without memory.
        Some(unsafe { Device::new(address) })
    }
}
