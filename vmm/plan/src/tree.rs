// SPDX-License-Identifier: BSD-2-Clause
//! The guest's device tree: memory, chosen, cpus, psci, timer, interrupt controller and console,
//! and nothing else (Devicetree Specification 0.4, chapter 3; bindings in Linux
//! Documentation/devicetree/bindings).

use dtoolkit::ToPropertyValue;
use dtoolkit::fdt::Fdt;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

use crate::board::{Board, Gic, Trigger};
use crate::error::PlanError;
use crate::layout::Layout;
use crate::span::Span;
use crate::wish::Wish;

const GIC: u32 = 1;
const CLOCK: u32 = 2;
/// First cell of a shared and of a private interrupt (bindings/interrupt-controller/arm,gic.yaml).
const SPI: u32 = 0;
const PPI: u32 = 1;

/// A node under construction. Names are this file's own or checked before, so they are valid.
struct Build(DeviceTreeNode);

impl Build {
    fn new(name: impl Into<String>) -> Self {
        Self(DeviceTreeNode::new_unchecked(name))
    }

    fn with(mut self, name: &str, value: impl ToPropertyValue) -> Self {
        self.0
            .add_property(DeviceTreeProperty::new_unchecked(name, value));
        self
    }

    fn flag(self, name: &str) -> Self {
        self.with(name, Vec::<u8>::new())
    }

    fn child(mut self, child: Self) -> Self {
        self.0.add_child(child.0);
        self
    }
}

/// Address and size, two cells each.
fn reg(spans: &[Span]) -> Vec<u8> {
    let numbers = spans.iter().flat_map(|span| [span.base, span.size]);
    numbers.flat_map(u64::to_be_bytes).collect()
}

fn strings(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

const fn flags(trigger: Trigger) -> u32 {
    match trigger {
        Trigger::Level => 4,
        Trigger::Edge => 1,
    }
}

/// The guest's tree, from facts and places.
pub(crate) fn guest(board: &Board, wish: &Wish, gic: Gic<'_>, layout: &Layout) -> DeviceTree {
    let mut tree = DeviceTree::new();
    let console = console_name(board);
    let mut root = Build::new("")
        .with("#address-cells", 2_u32)
        .with("#size-cells", 2_u32)
        .with("interrupt-parent", GIC)
        .with("compatible", "linux,dummy-virt")
        .with("model", format!("{}, guest", board.title))
        .child(
            Build::new(format!("memory@{:x}", layout.ram.base))
                .with("device_type", "memory")
                .with("reg", reg(&[layout.ram])),
        )
        .child(cpus(board, wish.vcpus))
        .child(
            Build::new("psci")
                .with("compatible", &["arm,psci-1.0", "arm,psci-0.2"][..])
                .with("method", "smc"),
        )
        .child(timer(board))
        .child(interrupt_controller(gic, wish.vcpus))
        .child(clock(board))
        .child(uart(board, &console))
        .0;
    root.add_child(chosen(
        layout,
        wish,
        Some(format!("/{console}:{}n8", board.console.baud)),
    ));
    tree.root = root;
    tree
}

/// A guest tree of the user's own, with its `chosen` node filled.
pub(crate) fn given(dtb: &[u8], layout: &Layout, wish: &Wish) -> Result<DeviceTree, PlanError> {
    let fdt = Fdt::new(dtb).map_err(|error| PlanError::Tree {
        which: "given for the guest".into(),
        why: error.to_string(),
    })?;
    let mut tree = DeviceTree::from_fdt(&fdt);
    let fresh = chosen(layout, wish, None);
    let Some(old) = tree.root.child_mut("chosen") else {
        tree.root.add_child(fresh);
        return Ok(tree);
    };
    for property in dtoolkit::Node::properties(&fresh) {
        old.add_property(property.clone());
    }
    Ok(tree)
}

fn chosen(layout: &Layout, wish: &Wish, stdout: Option<String>) -> DeviceTreeNode {
    let mut node = Build::new("chosen");
    if let Some(stdout) = stdout {
        node = node.with("stdout-path", stdout);
    }
    if !wish.append.is_empty() {
        node = node.with("bootargs", wish.append.as_str());
    }
    if layout.initrd.size != 0 {
        node = node
            .with("linux,initrd-start", layout.initrd.base)
            .with("linux,initrd-end", layout.initrd.end());
    }
    node.0
}

fn cpus(board: &Board, vcpus: u32) -> Build {
    let cpus = Build::new("cpus")
        .with("#address-cells", 1_u32)
        .with("#size-cells", 0_u32);
    (0..vcpus).fold(cpus, |cpus, number| {
        cpus.child(
            Build::new(format!("cpu@{number:x}"))
                .with("device_type", "cpu")
                .with("compatible", board.cpu.compatible.as_str())
                .with("reg", number)
                .with("enable-method", "psci"),
        )
    })
}

fn timer(board: &Board) -> Build {
    let facts = &board.timer;
    // The order of bindings/timer/arm,arch_timer.yaml. Interrupt numbers of PPIs start at 16.
    let ppis = [
        facts.secure_ppi,
        facts.physical_ppi,
        facts.virtual_ppi,
        facts.hypervisor_ppi,
    ];
    let cells: Vec<u32> = ppis
        .iter()
        .flat_map(|ppi| [PPI, ppi.saturating_sub(16), flags(Trigger::Level)])
        .collect();
    Build::new("timer")
        .with("compatible", "arm,armv8-timer")
        .with("interrupts", cells)
        .flag("always-on")
}

fn interrupt_controller(gic: Gic<'_>, vcpus: u32) -> Build {
    let node = Build::new(format!("interrupt-controller@{:x}", gic.distributor().base));
    let node = match gic {
        Gic::V2(facts) => node
            .with("compatible", "arm,cortex-a15-gic")
            .with("reg", reg(&[facts.distributor, facts.cpu_interface])),
        Gic::V3(facts) => node.with("compatible", "arm,gic-v3").with(
            "reg",
            reg(&[
                facts.distributor,
                redistributors(facts.redistributors, vcpus),
            ]),
        ),
    };
    node.flag("interrupt-controller")
        .with("#address-cells", 0_u32)
        .with("#interrupt-cells", 3_u32)
        .with("phandle", GIC)
}

/// The frames of the vCPUs that there are: 128 KiB each (IHI 0069H, 12.10).
pub(crate) fn redistributors(all: Span, vcpus: u32) -> Span {
    let size = u64::from(vcpus).saturating_mul(0x2_0000);
    Span::new(all.base, size.min(all.size))
}

fn clock(board: &Board) -> Build {
    Build::new("clock-uart")
        .with("compatible", "fixed-clock")
        .with("#clock-cells", 0_u32)
        .with("clock-frequency", board.console.clock_hz)
        .with("phandle", CLOCK)
}

fn console_name(board: &Board) -> String {
    format!("serial@{:x}", board.console.registers.base)
}

fn uart(board: &Board, name: &str) -> Build {
    let facts = &board.console;
    Build::new(name)
        .with("compatible", strings(&facts.compatible))
        .with("reg", reg(&[facts.registers]))
        .with(
            "interrupts",
            [
                SPI,
                facts.interrupt.saturating_sub(32),
                flags(facts.trigger),
            ],
        )
        .with("clocks", vec![CLOCK; facts.clock_names.len()])
        .with("clock-names", strings(&facts.clock_names))
}
