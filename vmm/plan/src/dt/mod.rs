// SPDX-License-Identifier: BSD-2-Clause
//! A device tree of somebody else's making, indexed: addresses as the CPU sees them, interrupts
//! as the GIC numbers them, references as nodes. Nothing in a tree can make this panic.

mod address;
mod blob;
mod interrupts;
mod read;
mod references;

use std::collections::{BTreeMap, HashMap};

use dtoolkit::model::{DeviceTree, DeviceTreeNode};
use dtoolkit::{Node as _, Property as _};

pub use address::{Cells, Unreachable};
pub use interrupts::{Interrupt, Unresolved, is_gic};
pub use read::{MAX_DEPTH, read, read_file};
pub use references::{Reference, companions};

use crate::span::Span;

/// Index of a node in its [`Tree`].
pub type NodeId = usize;

/// A device tree, indexed.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
    phandles: HashMap<u32, NodeId>,
    paths: HashMap<String, NodeId>,
    /// The memory reservation block (Devicetree Specification 0.4, 5.3).
    reserved: Vec<Span>,
}

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

impl Tree {
    /// Indexes a tree.
    #[must_use]
    pub fn new(tree: &DeviceTree) -> Self {
        let mut index = Self::default();
        index.add(&tree.root, None, true, 0);
        let reserved = tree.memory_reservations.iter();
        // One that leaves the address space keeps all from its beginning.
        let span = |at: u64, size| Span::until(at, at.saturating_add(size));
        index.reserved = reserved.map(|entry| span(entry.address(), entry.size())).collect();
        for id in 0..index.nodes.len() {
            let node = index.node(id);
            if let Some(phandle) = node.phandle() {
                index.phandles.entry(phandle).or_insert(id);
            }
            index.paths.insert(index.node(id).path.clone(), id);
        }
        // Only now: a reference may lead to any node, also to one that comes later.
        for id in 0..index.nodes.len() {
            let (registers, unreachable) = address::registers(&index, id);
            let interrupts = interrupts::interrupts(&index, id);
            let references = references::references(&index, id);
            if let Some(node) = index.nodes.get_mut(id) {
                node.registers = registers;
                node.unreachable = unreachable;
                node.interrupts = interrupts;
                node.references = references;
            }
        }
        index
    }

    fn add(
        &mut self,
        from: &DeviceTreeNode,
        parent: Option<NodeId>,
        enabled: bool,
        depth: usize,
    ) -> NodeId {
        let id = self.nodes.len();
        let above = parent.map(|parent| self.node(parent).path.as_str());
        let path = match above {
            None => "/".into(),
            Some("/") => format!("/{}", from.name()),
            Some(above) => format!("{above}/{}", from.name()),
        };
        let mut node = Node { path, name: from.name().into(), parent, ..Node::default() };
        for property in from.properties() {
            node.properties.insert(property.name().into(), property.value().to_vec());
        }
        node.compatible = node.strings("compatible");
        let status = node.strings("status");
        node.enabled =
            enabled && status.first().is_none_or(|status| status == "okay" || status == "ok");
        let enabled = node.enabled;
        self.nodes.push(node);
        if depth < MAX_DEPTH {
            for child in from.children() {
                let child = self.add(child, Some(id), enabled, depth.saturating_add(1));
                if let Some(node) = self.nodes.get_mut(id) {
                    node.children.push(child);
                }
            }
        }
        id
    }

    /// A node by its index; the root for an index of another tree.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        static NONE: std::sync::OnceLock<Node> = std::sync::OnceLock::new();
        self.nodes.get(id).or(self.nodes.first()).unwrap_or_else(|| NONE.get_or_init(Node::default))
    }

    /// All nodes with their indices, parents before children.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate()
    }

    /// Memory that the tree's memory reservation block keeps for others.
    #[must_use]
    pub fn reserved(&self) -> &[Span] {
        &self.reserved
    }

    /// The node with this path.
    #[must_use]
    pub fn by_path(&self, path: &str) -> Option<NodeId> {
        self.paths.get(path).copied()
    }

    /// The node with this phandle.
    #[must_use]
    pub fn by_phandle(&self, phandle: u32) -> Option<NodeId> {
        self.phandles.get(&phandle).copied()
    }

    /// The largest phandle in use.
    #[must_use]
    pub fn last_phandle(&self) -> u32 {
        self.phandles.keys().copied().max().unwrap_or(0)
    }

    /// The node and those above it, up to the root.
    pub fn up(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(Some(id), |&id| self.node(id).parent)
    }

    /// The node and all below it.
    #[must_use]
    pub fn below(&self, id: NodeId) -> Vec<NodeId> {
        let mut all = vec![id];
        let mut next = 0;
        while let Some(&id) = all.get(next) {
            all.extend_from_slice(&self.node(id).children);
            next = next.saturating_add(1);
        }
        all
    }

    /// The node that `what` means: a path, an alias, or a node name that exists once.
    ///
    /// # Errors
    /// Nothing is called that, or more than one node is; the message lists what comes close.
    pub fn find(&self, name: &str) -> Result<NodeId, String> {
        if name.starts_with('/') {
            return self.by_path(name).ok_or_else(|| format!("the tree has no node {name}"));
        }
        for table in ["/aliases", "/__symbols__"] {
            let path = self.by_path(table).map(|id| self.node(id).strings(name));
            let path = path.and_then(|path| path.first().cloned());
            if let Some(id) = path.and_then(|path| self.by_path(&path)) {
                return Ok(id);
            }
        }
        let named: Vec<_> = self
            .nodes()
            .filter(|(_, node)| node.name == name || node.base_name() == name)
            .map(|(id, _)| id)
            .collect();
        match named.as_slice() {
            [one] => Ok(*one),
            [] => Err(format!("the tree has no node, alias or label '{name}'; give its path")),
            many => {
                let paths: Vec<_> =
                    many.iter().take(8).map(|&id| self.node(id).path.as_str()).collect();
                Err(format!(
                    "'{name}' is {} nodes: {}; give one path",
                    many.len(),
                    paths.join(", ")
                ))
            }
        }
    }

    /// The device that a node belongs to: itself or the first above it that has registers and is
    /// more than a bus. A group of pins belongs to its pin controller.
    #[must_use]
    pub fn device_of(&self, id: NodeId) -> Option<NodeId> {
        self.up(id).find(|&id| !self.node(id).registers.is_empty() && !self.is_bus(id))
    }

    /// Whether a node only hands addresses through.
    #[must_use]
    pub fn is_bus(&self, id: NodeId) -> bool {
        let node = self.node(id);
        node.is("simple-bus") || node.is("simple-pm-bus") || node.is("simple-mfd")
    }

    /// Path that `chosen` gives for standard output, without its options.
    #[must_use]
    pub fn stdout(&self) -> Option<NodeId> {
        let chosen = self.node(self.by_path("/chosen")?);
        let text = ["stdout-path", "linux,stdout-path"]
            .iter()
            .find_map(|name| chosen.strings(name).into_iter().next())?;
        let path = text.split(':').next().unwrap_or_default();
        if path.starts_with('/') {
            return self.by_path(path);
        }
        let aliases = self.node(self.by_path("/aliases")?);
        self.by_path(aliases.strings(path).first()?)
    }
}
