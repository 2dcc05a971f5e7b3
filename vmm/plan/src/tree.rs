// SPDX-License-Identifier: BSD-2-Clause
//! The guest's device tree: memory, chosen, cpus, psci, timer, interrupt controller and console,
//! and nothing else (Devicetree Specification 0.4, chapter 3; bindings in Linux
//! Documentation/devicetree/bindings).

use dtoolkit::ToPropertyValue;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

use crate::board::{Board, Clock, ClockKind, Gic};
use crate::closure::Closure;
use crate::dt::Cells;
use crate::irq::Trigger;
use crate::layout::Layout;
use crate::memory::redistributors;
use crate::span::{Address, Span};
use crate::wish::Wish;

/// First cell of a shared and of a private interrupt (bindings/interrupt-controller/arm,gic.yaml).
const SPI: u32 = 0;
const PPI: u32 = 1;

/// Bytes of `/chosen/rng-seed`: Linux believes each bit of it (drivers/of/fdt.c), and is ready with
/// 256.
const RNG_SEED: usize = 32;
/// Bytes of `/chosen/kaslr-seed` (bindings: dtschema, chosen.yaml).
const KASLR_SEED: usize = 8;

/// A node under construction. Names are this file's own or a checked tree's, so they are valid.
struct Build(DeviceTreeNode);

impl Build {
    fn new(name: impl Into<String>) -> Self {
        Self(DeviceTreeNode::new_unchecked(name))
    }

    fn with(mut self, name: &str, value: impl ToPropertyValue) -> Self {
        self.0.add_property(DeviceTreeProperty::new_unchecked(name, value));
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

/// `number` in `cells` cells.
fn cells(number: u64, cells: u32) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    if cells == 1 { bytes.iter().skip(4).copied().collect() } else { bytes.to_vec() }
}

/// `reg` below a root with these `#address-cells` and `#size-cells`.
fn reg<A: Address>(spans: &[Span<A>], width: Cells) -> Vec<u8> {
    spans
        .iter()
        .flat_map(|span| {
            [cells(span.base().number(), width.address), cells(span.size(), width.size)].concat()
        })
        .collect()
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

/// The guest's tree: facts, places, and what is passed through.
pub(crate) fn guest(
    board: &Board,
    wish: &Wish,
    gic: Gic<'_>,
    layout: &Layout,
    given: &Closure,
) -> DeviceTree {
    let mut tree = DeviceTree::new();
    let width = given.cells;
    let mut root = Build::new("")
        .with("#address-cells", width.address)
        .with("#size-cells", width.size)
        .with("interrupt-parent", given.gic_phandle)
        .with("compatible", "linux,dummy-virt")
        .with("model", format!("{}, guest", board.title))
        .child(
            Build::new(format!("memory@{:x}", layout.ram.base().0))
                .with("device_type", "memory")
                .with("reg", reg(&[layout.ram], width)),
        )
        .child(cpus(board, wish.vcpus))
        .child(
            Build::new("psci")
                .with("compatible", &["arm,psci-1.0", "arm,psci-0.2"][..])
                .with("method", "smc"),
        )
        .child(timer(board, gic, wish.vcpus))
        .child(interrupt_controller(gic, wish.vcpus, given));
    for node in &given.nodes {
        root.0.add_child(node.clone());
    }
    let clock = board.clock_beside(given.registers());
    let base = board.console.registers.base();
    let passed =
        given.devices.iter().find(|device| device.registers.iter().any(|span| span.base() == base));
    let feed = unused_phandle(given);
    if passed.is_none() || clock.is_some() {
        root = root.child(clock_node(board, feed));
    }
    if let Some(clock) = clock {
        root = root.child(rtc(clock, feed, width));
    }
    let console = if let Some(device) = passed {
        device.path.clone()
    } else {
        root = root.child(uart(board, feed, width));
        format!("/{}", console_name(board))
    };
    let mut aliases = Build::new("aliases");
    for (name, path) in &given.aliases {
        aliases = aliases.with(name, path.as_str());
    }
    if given.aliases.iter().all(|(_, path)| *path != console) {
        // Linux' i.MX UART driver wants a number (drivers/tty/serial/imx.c, of_alias_get_id).
        let free = (0..).map(|number: u32| format!("serial{number}"));
        let mut free = free.filter(|name| given.aliases.iter().all(|(taken, _)| taken != name));
        aliases = aliases.with(&free.next().unwrap_or_default(), console.as_str());
    }
    let chosen =
        chosen(board, layout, wish, Some(format!("{console}:{}n8", board.console.baud)), width);
    tree.root = root.child(aliases).child(Build(chosen)).0;
    tree
}

/// A guest tree of the user's own, with its `chosen` node filled.
pub(crate) fn given(
    mut tree: DeviceTree,
    board: &Board,
    layout: &Layout,
    wish: &Wish,
) -> DeviceTree {
    let fresh = chosen(board, layout, wish, None, Cells { address: 2, size: 2 });
    let Some(old) = tree.root.child_mut("chosen") else {
        tree.root.add_child(fresh);
        return tree;
    };
    for property in dtoolkit::Node::properties(&fresh) {
        old.add_property(property.clone());
    }
    tree
}

fn chosen(
    board: &Board,
    layout: &Layout,
    wish: &Wish,
    stdout: Option<String>,
    width: Cells,
) -> DeviceTreeNode {
    let mut node = Build::new("chosen");
    if let Some(stdout) = stdout {
        node = node.with("stdout-path", stdout);
    }
    if !wish.append.is_empty() {
        node = node.with("bootargs", wish.append.as_str());
    }
    if board.seed.is_some() && wish.entropy {
        // Room for what the monitor puts there at every start of the guest.
        node =
            node.with("rng-seed", vec![0_u8; RNG_SEED]).with("kaslr-seed", vec![0_u8; KASLR_SEED]);
    }
    if layout.initrd.size() != 0 {
        node = node
            .with("linux,initrd-start", cells(layout.initrd.base().0, width.address))
            .with("linux,initrd-end", cells(layout.initrd.end().0, width.address));
    }
    node.0
}

fn cpus(board: &Board, vcpus: u32) -> Build {
    let cpus = Build::new("cpus").with("#address-cells", 1_u32).with("#size-cells", 0_u32);
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

fn timer(board: &Board, gic: Gic<'_>, vcpus: u32) -> Build {
    let facts = &board.timer;
    // On GICv2 a PPI names its CPUs, a bit each from bit 8 (bindings/interrupt-controller/arm,gic.yaml).
    let cpus = match gic {
        Gic::V2(_) => (0..vcpus.min(8)).fold(0, |mask, cpu| mask | 0x100_u32 << cpu),
        Gic::V3(_) => 0,
    };
    // The order of bindings/timer/arm,arch_timer.yaml. Interrupt numbers of PPIs start at 16.
    let ppis = [facts.secure_ppi, facts.physical_ppi, facts.virtual_ppi, facts.hypervisor_ppi];
    let flags = flags(Trigger::Level) | cpus;
    let cells: Vec<u32> =
        ppis.iter().flat_map(|ppi| [PPI, ppi.saturating_sub(16), flags]).collect();
    Build::new("timer")
        .with("compatible", "arm,armv8-timer")
        .with("interrupts", cells)
        .flag("always-on")
}

fn interrupt_controller(gic: Gic<'_>, vcpus: u32, given: &Closure) -> Build {
    let node = Build::new(format!("interrupt-controller@{:x}", gic.distributor().base()));
    let node = match gic {
        Gic::V2(facts) => node
            .with("compatible", "arm,cortex-a15-gic")
            .with("reg", reg(&[facts.distributor, facts.cpu_interface], given.cells)),
        Gic::V3(facts) => {
            let frames = redistributors(facts.redistributors, vcpus);
            node.with("compatible", "arm,gic-v3")
                .with("reg", reg(&[facts.distributor, frames], given.cells))
        }
    };
    node.flag("interrupt-controller")
        .with("#address-cells", 0_u32)
        .with("#interrupt-cells", 3_u32)
        .with("phandle", given.gic_phandle)
}

/// A phandle that nothing in the guest's tree uses.
fn unused_phandle(given: &Closure) -> u32 {
    given.last_phandle.max(given.gic_phandle).saturating_add(1)
}

fn clock_node(board: &Board, phandle: u32) -> Build {
    Build::new("clock-uart")
        .with("compatible", "fixed-clock")
        .with("#clock-cells", 0_u32)
        .with("clock-frequency", board.console.clock_hz)
        .with("phandle", phandle)
}

/// The emulated real-time clock. Its driver takes an interrupt for an alarm: it has none.
fn rtc(clock: &Clock, feed: u32, width: Cells) -> Build {
    let ClockKind::Pl031 = clock.kind;
    Build::new(format!("rtc@{:x}", clock.registers.base()))
        .with("compatible", &["arm,pl031", "arm,primecell"][..])
        .with("reg", reg(&[clock.registers], width))
        // Linux's bus of PrimeCells asks for one (bindings/arm/primecell.yaml).
        .with("clocks", vec![feed])
        .with("clock-names", "apb_pclk")
}

fn console_name(board: &Board) -> String {
    format!("serial@{:x}", board.console.registers.base())
}

fn uart(board: &Board, clock: u32, width: Cells) -> Build {
    let facts = &board.console;
    Build::new(console_name(board))
        .with("compatible", strings(&facts.compatible))
        .with("reg", reg(&[facts.registers], width))
        .with("interrupts", [SPI, facts.interrupt.saturating_sub(32), flags(facts.trigger)])
        .with("clocks", vec![clock; facts.clock_names.len()])
        .with("clock-names", strings(&facts.clock_names))
}
