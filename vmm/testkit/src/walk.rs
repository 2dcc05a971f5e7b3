// SPDX-License-Identifier: BSD-2-Clause
//! A second reading of device trees, for comparison with the planner's. It is written from the
//! Devicetree Specification 0.4 (5: flattened format; 2.2 and 2.3: names, addresses; 2.4:
//! interrupts) and Linux's bindings (Documentation/devicetree), and uses nothing of the planner:
//! it has a reader of its own, and follows addresses and interrupts step by step from the device
//! up. Where both are wrong they are wrong in two ways.

use std::collections::HashMap;

/// A node with its properties as they are.
#[derive(Debug, Default)]
pub struct Node {
    pub path: String,
    pub parent: Option<usize>,
    pub properties: HashMap<String, Vec<u8>>,
}

/// A tree: parents before their children, the root first.
#[derive(Debug, Default)]
pub struct Walk {
    pub nodes: Vec<Node>,
    phandles: HashMap<u32, usize>,
    /// Whether a path, a property or a phandle is there twice, so that nobody can say what is meant.
    pub ambiguous: bool,
}

/// What one entry of `reg` is to the CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Register {
    /// First address and bytes.
    At(u64, u64),
    /// The bus has no sizes (I2C, SPI, processors): a number, no memory.
    NoSize,
    /// Zero bytes.
    Empty,
    /// A bus without `ranges` is on the way.
    NoRanges,
    /// No window of a bus on the way has its first address.
    Outside,
    /// It begins in a window of a bus and ends behind it.
    Crosses(u64, u64),
    /// An address or size that 64 bits do not hold.
    TooWide,
}

/// Where one interrupt arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// At the GIC: INTID and the low four bits of its flags.
    Gic(u32, u32),
    /// The same, through a controller that hands specifiers on as they are: its driver may be asked
    /// for.
    Behind(u32, u32),
    /// At a controller that decodes it into something of its own.
    Inner(String),
    /// The specifier or a map on the way is incomplete, or leads nowhere.
    Broken(&'static str),
}

/// Compatibles of Linux's two GIC drivers (drivers/irqchip/irq-gic.c, irq-gic-v3.c).
const GICS: [&str; 10] = [
    "arm,gic-400",
    "arm,arm11mp-gic",
    "arm,arm1176jzf-devchip-gic",
    "arm,cortex-a15-gic",
    "arm,cortex-a9-gic",
    "arm,cortex-a7-gic",
    "qcom,msm-8660-qgic",
    "qcom,msm-qgic2",
    "arm,pl390",
    "arm,gic-v3",
];

/// Controllers whose drivers hand the specifier on to their parent unchanged (drivers/irqchip:
/// irq-imx-gpcv2.c, irq-tegra.c, irq-mtk-sysirq.c; arch/arm/mach-omap2/omap-wakeupgen.c;
/// arch/arm/mach-imx/gpc.c).
const HAND_ON: [&str; 12] = [
    "fsl,imx6q-gpc",
    "fsl,imx7d-gpc",
    "fsl,imx8mq-gpc",
    "fsl,imx8mm-gpc",
    "fsl,imx8mn-gpc",
    "fsl,imx8mp-gpc",
    "nvidia,tegra20-ictlr",
    "nvidia,tegra30-ictlr",
    "nvidia,tegra210-ictlr",
    "mediatek,mt6577-sysirq",
    "ti,omap4-wugen-mpu",
    "ti,omap5-wugen-mpu",
];

/// Most cells of an address that is followed; PCI's have three.
const WIDEST: usize = 4;

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn string(bytes: &[u8], at: usize) -> Option<String> {
    let rest = bytes.get(at..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}

fn cells(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|cell| u32::from_be_bytes(cell.try_into().unwrap())).collect()
}

/// Cells as one number, most significant first; `None` beyond 64 bits.
fn number(cells: &[u32]) -> Option<u64> {
    let wide = cells
        .iter()
        .try_fold(0_u128, |sum, cell| sum.checked_mul(1 << 32).map(|sum| sum | u128::from(*cell)));
    u64::try_from(wide?).ok()
}

impl Walk {
    /// Reads the structure block (5.4); `None` where it is none.
    pub fn read(blob: &[u8]) -> Option<Self> {
        const BEGIN: u32 = 1;
        const END: u32 = 2;
        const PROPERTY: u32 = 3;
        const NOP: u32 = 4;
        if word(blob, 0)? != 0xd00d_feed {
            return None;
        }
        let strings = word(blob, 12)? as usize;
        let mut at = word(blob, 8)? as usize;
        let mut walk = Self::default();
        let mut open: Vec<usize> = Vec::new();
        loop {
            let token = word(blob, at)?;
            at += 4;
            match token {
                BEGIN => {
                    let name = string(blob, at)?;
                    at = (at + name.len() + 1).next_multiple_of(4);
                    let parent = open.last().copied();
                    let path = match parent {
                        None => "/".to_owned(),
                        Some(0) => format!("/{name}"),
                        Some(parent) => format!("{}/{name}", walk.nodes[parent].path),
                    };
                    open.push(walk.nodes.len());
                    walk.nodes.push(Node { path, parent, ..Node::default() });
                }
                END => {
                    open.pop()?;
                    if open.is_empty() {
                        break;
                    }
                }
                PROPERTY => {
                    let (length, name) = (word(blob, at)? as usize, word(blob, at + 4)? as usize);
                    let value = blob.get(at + 8..(at + 8).checked_add(length)?)?.to_vec();
                    at = (at + 8 + length).next_multiple_of(4);
                    let name = string(blob, strings.checked_add(name)?)?;
                    let node = walk.nodes.get_mut(*open.last()?)?;
                    walk.ambiguous |= node.properties.insert(name, value).is_some();
                }
                NOP => {}
                _ => return None,
            }
        }
        let mut paths = std::collections::HashSet::new();
        for (id, node) in walk.nodes.iter().enumerate() {
            walk.ambiguous |= !paths.insert(node.path.clone());
            if let Some(phandle) = node.properties.get("phandle").and_then(|value| word(value, 0)) {
                walk.ambiguous |= walk.phandles.insert(phandle, id).is_some();
            }
        }
        Some(walk)
    }

    fn cells_of(&self, node: usize, property: &str) -> Option<Vec<u32>> {
        self.nodes[node].properties.get(property).map(|value| cells(value))
    }

    fn cell(&self, node: usize, property: &str) -> Option<u32> {
        self.cells_of(node, property)?.first().copied()
    }

    /// 2.3.5: of a node's children, 2 and 1 unless it says otherwise; nothing is inherited.
    fn shape(&self, bus: usize) -> (usize, usize) {
        let cell = |name, default| self.cell(bus, name).unwrap_or(default) as usize;
        (cell("#address-cells", 2), cell("#size-cells", 1))
    }

    fn is_compatible(&self, node: usize, wanted: &[&str]) -> bool {
        let value = self.nodes[node].properties.get("compatible").map_or(&[][..], Vec::as_slice);
        value.split(|byte| *byte == 0).any(|one| wanted.iter().any(|name| name.as_bytes() == one))
    }

    /// IEEE 1275's PCI bus: three cells, of which the first tells the space.
    fn is_pci(&self, bus: usize) -> bool {
        let kind = self.nodes[bus].properties.get("device_type");
        kind.is_some_and(|kind| kind.starts_with(b"pci\0") || kind.starts_with(b"pciex\0"))
    }

    /// Every whole entry of `reg`, and whether cells are left over.
    pub fn registers(&self, id: usize) -> (Vec<Register>, bool) {
        let Some(parent) = self.nodes[id].parent else { return (Vec::new(), false) };
        let Some(reg) = self.cells_of(id, "reg") else { return (Vec::new(), false) };
        let (address, size) = self.shape(parent);
        let entry = address + size;
        if entry == 0 {
            return (Vec::new(), !reg.is_empty());
        }
        let whole = reg.chunks_exact(entry);
        let left = !whole.remainder().is_empty();
        let each = |entry: &[u32]| {
            let (base, bytes) = entry.split_at(address);
            if size == 0 {
                return Register::NoSize;
            }
            match number(bytes) {
                None => Register::TooWide,
                Some(0) => Register::Empty,
                Some(bytes) => self.climb(parent, base.to_vec(), bytes),
            }
        };
        (whole.map(each).collect(), left)
    }

    /// Takes an address on `bus` up to the root (2.3.8), where it is the CPU's.
    fn climb(&self, bus: usize, address: Vec<u32>, bytes: u64) -> Register {
        let (mut bus, mut address, mut crosses) = (bus, address, false);
        while let Some(parent) = self.nodes[bus].parent {
            let Some(ranges) = self.cells_of(bus, "ranges") else { return Register::NoRanges };
            let (child, length) = self.shape(bus);
            let above = self.shape(parent).0;
            if above > WIDEST {
                return Register::TooWide;
            }
            if ranges.is_empty() {
                // The same address, in as many cells as it has above.
                let Some(same) = number(&address) else { return Register::TooWide };
                address = split(same, above);
            } else {
                let entry = child + above + length;
                let found = ranges.chunks_exact(entry.max(1)).find_map(|window| {
                    let (from, rest) = window.split_at(child);
                    let (to, size) = rest.split_at(above);
                    let offset = if child == 3 && self.is_pci(bus) {
                        // Memory and I/O are spaces of their own; bits 24 and 25 of the first cell.
                        if (from[0] ^ address[0]) & 0x0300_0000 != 0
                            || address[0] & 0x0300_0000 == 0
                        {
                            return None;
                        }
                        number(&address[1..])?.checked_sub(number(&from[1..])?)?
                    } else if child > 2 && from[..child - 2] != address[..child - 2] {
                        // Whatever the leading cells mean (a chip select, a function), it differs.
                        return None;
                    } else {
                        let low = child.saturating_sub(2);
                        number(&address[low..])?.checked_sub(number(&from[low..])?)?
                    };
                    let size = number(size)?;
                    (offset < size).then_some((to.to_vec(), offset, size))
                });
                let Some((to, offset, size)) = found else { return Register::Outside };
                crosses |= bytes > size - offset;
                let Some(base) = number(&to).and_then(|base| base.checked_add(offset)) else {
                    return Register::TooWide;
                };
                address = split(base, above);
            }
            bus = parent;
        }
        match number(&address).filter(|base| base.checked_add(bytes).is_some()) {
            None => Register::TooWide,
            Some(base) if crosses => Register::Crosses(base, bytes),
            Some(base) => Register::At(base, bytes),
        }
    }

    /// 2.4: the controller that a node's `interrupts` are for.
    fn interrupt_parent(&self, node: usize) -> Option<usize> {
        let mut at = node;
        // A tree cannot be deeper than it has nodes, and a loop of handles ends here, too.
        for _ in 0..self.nodes.len() {
            at = match self.cell(at, "interrupt-parent") {
                Some(phandle) => *self.phandles.get(&phandle)?,
                None => self.nodes[at].parent?,
            };
            if self.nodes[at].properties.contains_key("#interrupt-cells") {
                return Some(at);
            }
        }
        None
    }

    /// Every interrupt of a node, in order.
    pub fn interrupts(&self, id: usize) -> Vec<Interrupt> {
        let extended = self.cells_of(id, "interrupts-extended");
        if let Some(list) = extended.filter(|list| !list.is_empty()) {
            let mut all = Vec::new();
            let mut rest = list.as_slice();
            while let Some((phandle, after)) = rest.split_first() {
                let Some(&controller) = self.phandles.get(phandle) else {
                    all.push(Interrupt::Broken("no such controller"));
                    break;
                };
                let count = self.cell(controller, "#interrupt-cells").unwrap_or(0) as usize;
                if after.len() < count {
                    all.push(Interrupt::Broken("half a specifier"));
                    break;
                }
                let (specifier, after) = after.split_at(count);
                all.push(self.arrive(id, controller, specifier.to_vec()));
                rest = after;
            }
            return all;
        }
        let Some(list) = self.cells_of(id, "interrupts") else { return Vec::new() };
        let Some(controller) = self.interrupt_parent(id) else {
            return if list.is_empty() {
                Vec::new()
            } else {
                vec![Interrupt::Broken("no controller")]
            };
        };
        let count = self.cell(controller, "#interrupt-cells").unwrap_or(0) as usize;
        if count == 0 {
            return vec![Interrupt::Broken("specifiers without cells")];
        }
        let whole = list.chunks_exact(count);
        let left = !whole.remainder().is_empty();
        let mut all: Vec<_> =
            whole.map(|specifier| self.arrive(id, controller, specifier.to_vec())).collect();
        if left {
            all.push(Interrupt::Broken("half a specifier"));
        }
        all
    }

    /// 2.4.3: through the maps of nexus nodes to a controller.
    fn arrive(&self, device: usize, controller: usize, specifier: Vec<u32>) -> Interrupt {
        let (mut at, mut specifier) = (controller, specifier);
        let parent = self.nodes[device].parent.unwrap_or(0);
        let unit = self.cells_of(device, "reg").unwrap_or_default();
        let mut unit: Vec<u32> = unit.into_iter().take(self.shape(parent).0).collect();
        let mut behind = false;
        for _ in 0..self.nodes.len() {
            if self.is_compatible(at, &GICS) {
                return match gic(&specifier) {
                    Interrupt::Gic(intid, flags) if behind => Interrupt::Behind(intid, flags),
                    other => other,
                };
            }
            if self.is_compatible(at, &HAND_ON) {
                let Some(next) = self.interrupt_parent(at) else {
                    return Interrupt::Broken("no controller");
                };
                (at, behind) = (next, true);
                continue;
            }
            let Some(map) = self.cells_of(at, "interrupt-map") else {
                return Interrupt::Inner(self.nodes[at].path.clone());
            };
            // A nexus compares as many cells of the unit address as its own bus has.
            let own = self.cell(at, "#address-cells").unwrap_or(0) as usize;
            if own > WIDEST {
                return Interrupt::Broken("an address that is too wide");
            }
            unit.resize(own, 0);
            let key: Vec<u32> = unit.iter().chain(&specifier).copied().collect();
            let mask = self.cells_of(at, "interrupt-map-mask");
            let mask = mask.unwrap_or_else(|| vec![u32::MAX; key.len()]);
            match self.look_up(&map, &key, &mask) {
                Ok((next, next_unit, next_specifier)) => {
                    (at, unit, specifier) = (next, next_unit, next_specifier);
                }
                Err(why) => return Interrupt::Broken(why),
            }
        }
        Interrupt::Broken("maps in a circle")
    }

    /// The first row of an `interrupt-map` that fits: controller, unit address, specifier.
    fn look_up(
        &self,
        map: &[u32],
        key: &[u32],
        mask: &[u32],
    ) -> Result<(usize, Vec<u32>, Vec<u32>), &'static str> {
        let mut rest = map;
        while !rest.is_empty() {
            if rest.len() <= key.len() {
                return Err("a map cut short");
            }
            let (row, after) = rest.split_at(key.len());
            let Some(&next) = self.phandles.get(&after[0]) else {
                return Err("no such controller");
            };
            let unit = self.cell(next, "#address-cells").unwrap_or(0) as usize;
            let count = self.cell(next, "#interrupt-cells").unwrap_or(0) as usize;
            let after = &after[1..];
            if after.len() < unit + count {
                return Err("a map cut short");
            }
            let mask = mask.iter().copied().chain(std::iter::repeat(u32::MAX));
            if row.iter().zip(key).zip(mask).all(|((row, key), mask)| (row ^ key) & mask == 0) {
                let specifier = after[unit..unit + count].to_vec();
                return Ok((next, after[..unit].to_vec(), specifier));
            }
            rest = &after[unit + count..];
        }
        Err("no row of the map fits")
    }
}

/// A number as `count` cells.
fn split(number: u64, count: usize) -> Vec<u32> {
    (0..count).rev().map(|cell| if cell > 1 { 0 } else { (number >> (32 * cell)) as u32 }).collect()
}

/// Linux bindings/interrupt-controller/arm,gic.yaml and arm,gic-v3.yaml: kind, number, flags.
fn gic(specifier: &[u32]) -> Interrupt {
    let &[kind, number, flags, ..] = specifier else {
        return Interrupt::Broken("half a specifier");
    };
    let (first, count) = match kind {
        0 => (32, 988),
        1 => (16, 16),
        2 => (4096, 1024),
        3 => (1056, 64),
        _ => return Interrupt::Broken("a kind of interrupt that no GIC has"),
    };
    if number >= count {
        return Interrupt::Broken("a number that no GIC has");
    }
    Interrupt::Gic(first + number, flags & 0xf)
}
