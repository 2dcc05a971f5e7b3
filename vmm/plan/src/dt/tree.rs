// SPDX-License-Identifier: BSD-2-Clause
//! An indexed tree: how its nodes are found.

use std::collections::HashMap;

use super::node::{Node, NodeId};
use crate::span::Span;

/// Deepest nesting of nodes that is read. Linux itself stops at 64 (drivers/of/fdt.c).
pub const MAX_DEPTH: usize = 64;

/// A device tree, indexed.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) phandles: HashMap<u32, NodeId>,
    pub(super) paths: HashMap<String, NodeId>,
    /// The memory reservation block (Devicetree Specification 0.4, 5.3).
    pub(super) reserved: Vec<Span>,
}

impl Tree {
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
