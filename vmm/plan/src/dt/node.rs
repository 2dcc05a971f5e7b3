// SPDX-License-Identifier: BSD-2-Clause
//! A node of a tree, and what is known of it once the tree is indexed.

use std::collections::BTreeMap;

use crate::irq::GicInterrupt;
use crate::span::{Extent, Span};
use crate::wish::Need;

/// Index of a node in its [`super::Tree`].
pub type NodeId = usize;

/// A node.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Path from the root.
    pub path: String,
    /// Last part of the path, with its unit address.
    pub name: String,
    /// The node above it; `None` for the root.
    pub parent: Option<NodeId>,
    /// The nodes below it.
    pub children: Vec<NodeId>,
    /// Properties by name, as they are.
    pub properties: BTreeMap<String, Vec<u8>>,
    /// Most specific first.
    pub compatible: Vec<String>,
    /// Whether neither it nor a node above it says otherwise (Devicetree Specification 0.4, 2.3.4).
    pub enabled: bool,
    /// Registers as the CPU addresses them; empty where the CPU cannot.
    pub registers: Vec<Span>,
    /// Why other entries of `reg` are no registers.
    pub unreachable: Vec<Unreachable>,
    /// Interrupts that it raises.
    pub interrupts: Vec<Interrupt>,
    /// What it needs of other nodes.
    pub references: Vec<Reference>,
}

impl Node {
    /// Whether it is compatible with `what`.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.compatible.iter().any(|compatible| compatible == name)
    }

    /// A property as 32-bit numbers; empty if it is absent.
    #[must_use]
    pub fn cells(&self, property: &str) -> Vec<u32> {
        self.properties.get(property).map(|value| cells(value)).unwrap_or_default()
    }

    /// The first number of a property.
    #[must_use]
    pub fn cell(&self, property: &str) -> Option<u32> {
        self.cells(property).first().copied()
    }

    /// A property as texts; empty if it is absent.
    #[must_use]
    pub fn strings(&self, property: &str) -> Vec<String> {
        self.properties.get(property).map(|value| strings(value)).unwrap_or_default()
    }

    /// Its `phandle`.
    #[must_use]
    pub fn phandle(&self) -> Option<u32> {
        self.cell("phandle").or_else(|| self.cell("linux,phandle"))
    }

    /// Its name without the unit address.
    #[must_use]
    pub fn base_name(&self) -> &str {
        self.name.split('@').next().unwrap_or_default()
    }

    /// Whether it says that it is memory.
    #[must_use]
    pub fn is_memory(&self) -> bool {
        self.strings("device_type").first().is_some_and(|kind| kind == "memory")
    }
}

/// Big-endian 32-bit numbers; what is left over at the end is dropped.
#[must_use]
pub fn cells(value: &[u8]) -> Vec<u32> {
    value.as_chunks().0.iter().map(|cell| u32::from_be_bytes(*cell)).collect()
}

/// Texts that end with a zero byte each.
#[must_use]
pub fn strings(value: &[u8]) -> Vec<String> {
    let value = value.strip_suffix(&[0]).unwrap_or(value);
    if value.is_empty() {
        return Vec::new();
    }
    value.split(|&byte| byte == 0).map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

/// The numbers in `cells` as one, the most significant first; the upper ones are lost beyond two.
#[must_use]
pub(crate) fn number(cells: &[u32]) -> u64 {
    cells.iter().fold(0, |number, &cell| (number << 32) | u64::from(cell))
}

/// Why an entry of `reg` leads to no registers of the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// Addresses of the bus have this many cells, sizes that many: none of a CPU (I2C, PCI).
    Cells {
        /// The bus.
        bus: NodeId,
        /// `#address-cells`.
        address: u32,
        /// `#size-cells`.
        size: u32,
    },
    /// The bus has no `ranges`: nothing on it is at an address of the CPU.
    NoRanges(NodeId),
    /// The address is in no window of the bus's `ranges`.
    Outside(NodeId, Extent),
    /// `reg` ends within an entry: so many cells, in entries of that many.
    Short(usize, usize),
    /// The entry has a size of 0.
    Empty(u64),
    /// It goes beyond 64 bits.
    Wraps(Extent),
}

/// An interrupt that a node raises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupt {
    /// The controller that its specifier is for, if the tree has it.
    pub controller: Option<NodeId>,
    /// Its specifier there.
    pub cells: Vec<u32>,
    /// INTID and trigger, where it ends at the GIC.
    pub gic: Option<GicInterrupt>,
    /// Its specifier at the GIC, where it ends there: type, number, flags.
    pub at_gic: [u32; 3],
    /// Why it does not end at the GIC, where it does not.
    pub why: Option<Unresolved>,
}

/// Why an interrupt does not lead to the GIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// No node above it says which controller it is for.
    NoParent,
    /// No node has this phandle.
    NoController(u32),
    /// The specifier has so many cells, its controller asks for that many.
    Short(usize, usize),
    /// The GIC's type of interrupt is neither 0 (SPI) nor 1 (PPI).
    Kind(u32),
    /// A PPI with this number, which is beyond 15.
    Ppi(u32),
    /// An SPI with this number, whose INTID is beyond 32 bits.
    Spi(u32),
    /// It goes to this controller, which decides by itself what the GIC gets.
    Controller(NodeId),
    /// The `interrupt-map` of this node has no entry for it.
    Unmapped(NodeId),
    /// Controllers that lead to each other.
    Loop,
}

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
