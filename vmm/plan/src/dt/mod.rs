// SPDX-License-Identifier: BSD-2-Clause
//! A device tree of somebody else's making, indexed: addresses as the CPU sees them, interrupts
//! as the GIC numbers them, references as nodes. Nothing in a tree can make this panic.

mod address;
mod blob;
mod interrupts;
mod node;
mod read;
mod references;
mod tree;

use dtoolkit::model::{DeviceTree, DeviceTreeNode};
use dtoolkit::{Node as _, Property as _};

pub use address::Cells;
pub use interrupts::is_gic;
pub(crate) use node::number;
pub use node::{Interrupt, Node, NodeId, Reference, Unreachable, Unresolved, cells, strings};
pub use read::{read, read_file};
pub use references::companions;
pub use tree::{MAX_DEPTH, Tree};

use crate::span::Span;

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
}
