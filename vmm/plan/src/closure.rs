// SPDX-License-Identifier: BSD-2-Clause
//! What comes along when devices of a board's tree are passed through: their nodes, the buses
//! above them, what they need and has no registers (fixed clocks, fixed regulators), and a list of
//! what they need and was neither given nor replaced.

use std::collections::{BTreeMap, BTreeSet};

use dtoolkit::model::{DeviceTreeNode, DeviceTreeProperty};

use crate::board::Trigger;
use crate::dt::{Node, NodeId, Reference, Tree, companions};
use crate::error::PlanError;
use crate::span::Span;
use crate::wish::{Need, Pass};

/// Something that a passed node needs and does not get.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// Path of the node that needs it.
    pub node: String,
    /// The property that says so; it is left out of the guest's tree.
    pub property: String,
    /// What kind of thing it is.
    pub need: Need,
    /// Path of the device that has it, or what is known of it.
    pub provider: String,
}

/// A device that the guest gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Path of its node.
    pub path: String,
    /// Its registers, not rounded to pages.
    pub registers: Vec<Span>,
    /// Its interrupts at the GIC.
    pub interrupts: Vec<(u32, Trigger)>,
}

/// Everything that comes along.
#[derive(Clone, Debug)]
pub struct Closure {
    /// Devices with registers or interrupts, in the order of the tree.
    pub devices: Vec<Device>,
    /// What they need and do not get.
    pub missing: Vec<Missing>,
    /// Top-level nodes of the guest's tree.
    pub nodes: Vec<DeviceTreeNode>,
    /// Aliases of what came along: name and path.
    pub aliases: Vec<(String, String)>,
    /// Phandle left for the guest's interrupt controller.
    pub gic_phandle: u32,
    /// The largest phandle in what came along.
    pub last_phandle: u32,
    /// `#address-cells` and `#size-cells` of the root.
    pub cells: (u32, u32),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Only hands addresses through.
    Bus,
    /// Comes along with its properties.
    Whole,
}

/// What changes in a node that comes along.
#[derive(Default)]
struct Edits {
    remove: BTreeSet<String>,
    set: Vec<(&'static str, Vec<u8>)>,
}

struct Builder<'t> {
    tree: &'t Tree,
    wishes: BTreeMap<NodeId, Pass>,
    roles: BTreeMap<NodeId, Role>,
    edits: BTreeMap<NodeId, Edits>,
    missing: BTreeSet<Missing>,
    /// Rate and phandle of fixed clocks made here.
    clocks: BTreeMap<u32, u32>,
    next_phandle: u32,
}

impl Default for Closure {
    /// Nothing is passed through.
    fn default() -> Self {
        Self {
            devices: Vec::new(),
            missing: Vec::new(),
            nodes: Vec::new(),
            aliases: Vec::new(),
            gic_phandle: 1,
            last_phandle: 1,
            cells: (2, 2),
        }
    }
}

impl Closure {
    /// The closure of `passes` in a board's tree.
    ///
    /// # Errors
    /// A wish names a node that is not there, or gives the wrong number of clock rates.
    pub fn new(tree: &Tree, passes: &[Pass]) -> Result<Self, PlanError> {
        let mut builder = Builder {
            tree,
            wishes: BTreeMap::new(),
            roles: BTreeMap::new(),
            edits: BTreeMap::new(),
            missing: BTreeSet::new(),
            clocks: BTreeMap::new(),
            next_phandle: 0,
        };
        for pass in passes {
            let id = tree.find(&pass.node).map_err(|range| PlanError::Wish {
                what: "a node to pass through",
                value: format!("'{}'", pass.node),
                range: format!("a node of the board's tree ({range})"),
            })?;
            builder.wishes.insert(id, pass.clone());
        }
        let gic_phandle = builder.phandle();
        let mut queue: Vec<_> =
            builder.wishes.iter().map(|(id, pass)| (*id, pass.clone())).collect();
        while let Some((id, pass)) = queue.pop() {
            builder.include(id, &pass, &mut queue)?;
        }
        Ok(builder.finish(gic_phandle))
    }
}

impl Builder<'_> {
    /// A phandle that the board's tree does not use.
    fn phandle(&mut self) -> u32 {
        loop {
            self.next_phandle = self.next_phandle.saturating_add(1);
            // A tree that uses all of them does not fit into any memory.
            if self.tree.by_phandle(self.next_phandle).is_none() || self.next_phandle == u32::MAX {
                return self.next_phandle;
            }
        }
    }

    fn include(
        &mut self,
        id: NodeId,
        pass: &Pass,
        queue: &mut Vec<(NodeId, Pass)>,
    ) -> Result<(), PlanError> {
        if self.roles.get(&id) == Some(&Role::Whole) {
            return Ok(());
        }
        for id in self.subtree(id) {
            self.roles.insert(id, Role::Whole);
            self.references(id, pass, queue)?;
            self.interrupts(id);
        }
        for above in self.tree.up(id).skip(1) {
            let node = self.tree.node(above);
            if node.parent.is_none() || self.roles.contains_key(&above) {
                break;
            }
            if node.registers.is_empty() || self.tree.is_bus(above) {
                self.roles.insert(above, Role::Bus);
            } else {
                // A device behind a device (on an I2C bus, say): both or neither.
                let pass = Pass { drop: pass.drop.clone(), ..Pass::default() };
                self.wishes.insert(above, pass.clone());
                queue.push((above, pass));
                break;
            }
        }
        Ok(())
    }

    /// A node with what is below it and has no registers of its own: groups of pins, endpoints,
    /// the devices on a serial bus.
    fn subtree(&self, id: NodeId) -> Vec<NodeId> {
        let mut all = vec![id];
        let mut next = 0;
        while let Some(&id) = all.get(next) {
            next = next.saturating_add(1);
            for &child in &self.tree.node(id).children {
                let node = self.tree.node(child);
                let disabled =
                    node.strings("status").first().is_some_and(|status| status == "disabled");
                if node.registers.is_empty() && !disabled {
                    all.push(child);
                }
            }
        }
        all
    }

    fn references(
        &mut self,
        id: NodeId,
        pass: &Pass,
        queue: &mut Vec<(NodeId, Pass)>,
    ) -> Result<(), PlanError> {
        let node = self.tree.node(id);
        for reference in &node.references {
            if pass.drop.contains(&reference.need) {
                self.leave_out(id, reference.need);
            } else if reference.need == Need::Clocks && !pass.clocks.is_empty() {
                self.fixed_clocks(id, pass)?;
            } else {
                self.follow(id, reference, pass, queue);
            }
        }
        Ok(())
    }

    /// A reference that stays: to a device that the guest has, or to a node without registers,
    /// which comes along.
    fn follow(
        &mut self,
        id: NodeId,
        reference: &Reference,
        pass: &Pass,
        queue: &mut Vec<(NodeId, Pass)>,
    ) {
        let Some(target) = reference.target else {
            return self.miss(id, reference, "a node that the tree does not have".into());
        };
        match self.tree.device_of(target) {
            Some(device) if !self.wishes.contains_key(&device) && !self.is_inside(id, device) => {
                self.miss(id, reference, self.tree.node(device).path.clone());
            }
            Some(_) => {}
            None => queue.push((target, Pass { drop: pass.drop.clone(), ..Pass::default() })),
        }
    }

    fn is_inside(&self, id: NodeId, device: NodeId) -> bool {
        self.tree.up(id).any(|above| above == device)
    }

    fn miss(&mut self, id: NodeId, reference: &Reference, provider: String) {
        self.missing.insert(Missing {
            node: self.tree.node(id).path.clone(),
            property: reference.property.clone(),
            need: reference.need,
            provider,
        });
        self.edits.entry(id).or_default().remove.insert(reference.property.clone());
    }

    fn leave_out(&mut self, id: NodeId, need: Need) {
        let names =
            self.tree.node(id).properties.keys().filter(|name| companions(name, need)).cloned();
        self.edits.entry(id).or_default().remove.extend(names);
    }

    fn fixed_clocks(&mut self, id: NodeId, pass: &Pass) -> Result<(), PlanError> {
        if self
            .edits
            .get(&id)
            .is_some_and(|edits| edits.set.iter().any(|(name, _)| *name == "clocks"))
        {
            return Ok(());
        }
        let node = self.tree.node(id);
        let count =
            node.references.iter().filter(|reference| reference.property == "clocks").count();
        let rates = match pass.clocks.as_slice() {
            [one] => vec![*one; count],
            many if many.len() == count => many.to_vec(),
            many => {
                return Err(PlanError::Wish {
                    what: "the number of clock rates",
                    value: many.len().to_string(),
                    range: format!("1 or {count}: {} has so many clocks", node.path),
                });
            }
        };
        let names = node.properties.keys().filter(|name| {
            companions(name, Need::Clocks) && !matches!(name.as_str(), "clocks" | "clock-names")
        });
        let names: Vec<_> = names.cloned().collect();
        let mut value = Vec::new();
        for hz in rates {
            let phandle = match self.clocks.get(&hz) {
                Some(phandle) => *phandle,
                None => self.phandle(),
            };
            self.clocks.insert(hz, phandle);
            value.extend_from_slice(&phandle.to_be_bytes());
        }
        let edits = self.edits.entry(id).or_default();
        edits.remove.extend(names);
        if count > 0 {
            edits.set.push(("clocks", value));
        }
        Ok(())
    }

    /// Interrupts that end at the GIC go straight there; others need their controller.
    fn interrupts(&mut self, id: NodeId) {
        let node = self.tree.node(id);
        if node.interrupts.is_empty() {
            return;
        }
        let edits = self.edits.entry(id).or_default();
        edits.remove.insert("interrupt-parent".into());
        if node.interrupts.iter().all(|interrupt| interrupt.gic.is_some()) {
            edits.remove.insert("interrupts-extended".into());
            let cells = node.interrupts.iter().flat_map(|interrupt| interrupt.cells.iter().take(3));
            edits.set.push(("interrupts", cells.flat_map(|cell| cell.to_be_bytes()).collect()));
            return;
        }
        let controllers = node.interrupts.iter().filter_map(|interrupt| interrupt.controller);
        let devices: BTreeSet<_> = controllers.filter_map(|id| self.tree.device_of(id)).collect();
        let given =
            !devices.is_empty() && devices.iter().all(|device| self.wishes.contains_key(device));
        if given {
            // The specifiers are for that controller, so they stay as they are.
            edits.remove.remove("interrupt-parent");
            if let Some(&controller) = devices.iter().next()
                && let Some(phandle) = self.tree.node(controller).phandle()
                && !node.properties.contains_key("interrupts-extended")
            {
                edits.set.push(("interrupt-parent", phandle.to_be_bytes().to_vec()));
            }
            return;
        }
        edits.remove.extend(["interrupts".to_owned(), "interrupts-extended".to_owned()]);
        let provider = devices.iter().next().map(|&id| self.tree.node(id).path.clone());
        self.missing.insert(Missing {
            node: node.path.clone(),
            property: "interrupts".into(),
            need: Need::Others,
            provider: provider
                .unwrap_or_else(|| "an interrupt controller that the tree does not have".into()),
        });
    }

    fn finish(self, gic_phandle: u32) -> Closure {
        let tree = self.tree;
        let root = tree.node(0);
        let mut nodes: Vec<_> = root
            .children
            .iter()
            .filter(|id| self.roles.contains_key(id))
            .map(|&id| self.emit(id))
            .collect();
        for (hz, phandle) in &self.clocks {
            let mut node = DeviceTreeNode::new_unchecked(format!("clock-{hz}"));
            node.add_property(DeviceTreeProperty::new_unchecked("compatible", "fixed-clock"));
            node.add_property(DeviceTreeProperty::new_unchecked("#clock-cells", 0_u32));
            node.add_property(DeviceTreeProperty::new_unchecked("clock-frequency", *hz));
            node.add_property(DeviceTreeProperty::new_unchecked("phandle", *phandle));
            nodes.push(node);
        }
        let whole = self.roles.iter().filter(|(_, role)| **role == Role::Whole).map(|(id, _)| *id);
        let devices = whole
            .clone()
            .map(|id| device(tree.node(id)))
            .filter(|device| !device.registers.is_empty() || !device.interrupts.is_empty())
            .collect();
        let paths: BTreeSet<_> = whole.map(|id| tree.node(id).path.as_str()).collect();
        let table = tree.by_path("/aliases").map(|id| tree.node(id));
        let aliases = table
            .iter()
            .flat_map(|table| {
                table.properties.keys().map(|name| (name.clone(), table.strings(name)))
            })
            .filter_map(|(name, path)| Some((name, path.into_iter().next()?)))
            .filter(|(_, path)| paths.contains(path.as_str()))
            .collect();
        let cells = |name, default| root.cell(name).unwrap_or(default).clamp(1, 2);
        Closure {
            devices,
            missing: self.missing.into_iter().collect(),
            nodes,
            aliases,
            gic_phandle,
            last_phandle: tree.last_phandle().max(self.next_phandle),
            cells: (cells("#address-cells", 2), cells("#size-cells", 1)),
        }
    }

    fn emit(&self, id: NodeId) -> DeviceTreeNode {
        const BUS: [&str; 4] = ["#address-cells", "#size-cells", "ranges", "dma-ranges"];
        let from = self.tree.node(id);
        let whole = self.roles.get(&id) == Some(&Role::Whole);
        let mut node = DeviceTreeNode::new_unchecked(from.name.as_str());
        if !whole && self.tree.is_bus(id) {
            node.add_property(DeviceTreeProperty::new_unchecked("compatible", "simple-bus"));
        }
        let edits = self.edits.get(&id);
        for (name, value) in &from.properties {
            let keep = if whole {
                let wished = self.wishes.contains_key(&id) && name == "status";
                !wished
                    && name != "linux,phandle"
                    && edits.is_none_or(|edits| !edits.remove.contains(name))
            } else {
                BUS.contains(&name.as_str())
            };
            if keep {
                node.add_property(DeviceTreeProperty::new_unchecked(
                    name.as_str(),
                    value.as_slice(),
                ));
            }
        }
        for (name, value) in edits.iter().flat_map(|edits| &edits.set) {
            node.add_property(DeviceTreeProperty::new_unchecked(*name, value.as_slice()));
        }
        for &child in from.children.iter().filter(|child| self.roles.contains_key(child)) {
            node.add_child(self.emit(child));
        }
        node
    }
}

fn device(node: &Node) -> Device {
    Device {
        path: node.path.clone(),
        registers: node.registers.clone(),
        interrupts: node.interrupts.iter().filter_map(|interrupt| interrupt.gic).collect(),
    }
}
