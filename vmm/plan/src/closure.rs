// SPDX-License-Identifier: BSD-2-Clause
//! What comes along when devices of a board's tree are passed through: their nodes, the buses
//! above them, what they need and has no registers (fixed clocks, fixed regulators), and a list of
//! what they need and was neither given nor replaced.

use std::collections::{BTreeMap, BTreeSet};

use dtoolkit::model::{DeviceTreeNode, DeviceTreeProperty};

use crate::dt::{
    Cells, Node, NodeId, Reference, Tree, Unreachable, Unresolved, companions, is_gic,
};
use crate::error::PlanError;
use crate::finding::Rule;
use crate::irq::GicInterrupt;
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
    /// Whether that could be passed through as well.
    pub passable: bool,
}

/// Something about a passed node that cannot be planned, as a [`Finding`](crate::finding::Finding).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unplanned {
    /// The finding's kind.
    pub rule: Rule,
    /// Path of the node.
    pub node: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub way_out: String,
}

/// A device that the guest gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Path of its node.
    pub path: String,
    /// Its registers, not rounded to pages.
    pub registers: Vec<Span>,
    /// Its interrupts at the GIC.
    pub interrupts: Vec<GicInterrupt>,
}

/// Everything that comes along.
#[derive(Clone, Debug)]
pub struct Closure {
    /// Devices with registers or interrupts, in the order of the tree.
    pub devices: Vec<Device>,
    /// What they need and do not get.
    pub missing: Vec<Missing>,
    /// What of them cannot be planned.
    pub unplanned: Vec<Unplanned>,
    /// Top-level nodes of the guest's tree.
    pub nodes: Vec<DeviceTreeNode>,
    /// Aliases of what came along: name and path.
    pub aliases: Vec<(String, String)>,
    /// Phandle left for the guest's interrupt controller.
    pub gic_phandle: u32,
    /// The largest phandle in what came along.
    pub last_phandle: u32,
    /// `#address-cells` and `#size-cells` of the root.
    pub cells: Cells,
}

impl Closure {
    /// Registers of all devices.
    pub(crate) fn registers(&self) -> impl Iterator<Item = Span> + '_ {
        self.devices.iter().flat_map(|device| device.registers.iter().copied())
    }
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
    unplanned: BTreeSet<Unplanned>,
    /// Rate and phandle of fixed clocks made here.
    clocks: BTreeMap<u32, u32>,
    next_phandle: u32,
    /// Phandle left for the guest's interrupt controller.
    gic_phandle: u32,
}

impl Default for Closure {
    /// Nothing is passed through.
    fn default() -> Self {
        Self {
            devices: Vec::new(),
            missing: Vec::new(),
            unplanned: Vec::new(),
            nodes: Vec::new(),
            aliases: Vec::new(),
            gic_phandle: 1,
            last_phandle: 1,
            cells: Cells { address: 2, size: 2 },
        }
    }
}

impl Closure {
    /// The closure of `passes` in a board's tree.
    ///
    /// # Errors
    /// A wish names a node that is not there or that every guest has of its own, or gives the wrong
    /// number of clock rates; or the root counts addresses in cells that no CPU has.
    pub fn new(tree: &Tree, passes: &[Pass]) -> Result<Self, PlanError> {
        let mut builder = Builder {
            tree,
            wishes: BTreeMap::new(),
            roles: BTreeMap::new(),
            edits: BTreeMap::new(),
            missing: BTreeSet::new(),
            unplanned: BTreeSet::new(),
            clocks: BTreeMap::new(),
            next_phandle: 0,
            gic_phandle: 0,
        };
        let cells = root_cells(tree)?;
        for pass in passes {
            let id = tree.find(&pass.node).map_err(|range| PlanError::Wish {
                asked: "a node to pass through",
                value: format!("'{}'", pass.node),
                range: format!("a node of the board's tree ({range})"),
            })?;
            if builder.is_the_monitors(id) {
                return Err(PlanError::Wish {
                    asked: "a node to pass through",
                    value: format!("'{}'", pass.node),
                    range: "a device: processors, memory, PSCI, the CPUs' timer and the interrupt controller are the monitor's".into(),
                });
            }
            builder.wishes.insert(id, pass.clone());
        }
        builder.gic_phandle = builder.phandle();
        let mut queue: Vec<_> =
            builder.wishes.iter().map(|(id, pass)| (*id, pass.clone())).collect();
        while let Some((id, pass)) = queue.pop() {
            builder.include(id, &pass, &mut queue)?;
        }
        Ok(builder.finish(cells))
    }
}

/// `#address-cells` and `#size-cells` of the root, which the guest's tree takes over.
fn root_cells(tree: &Tree) -> Result<Cells, PlanError> {
    match Cells::below(tree.node(0)) {
        both @ Cells { address: 1 | 2, size: 1 | 2 } => Ok(both),
        Cells { address, size } => Err(PlanError::Tree {
            which: "of the board".into(),
            why: format!(
                "its root has #address-cells = {address} and #size-cells = {size}: an address of an arm64 CPU and a size have 1 or 2 cells each"
            ),
        }),
    }
}

impl Builder<'_> {
    /// Whether a node is part of what the monitor gives to every guest.
    fn is_the_monitors(&self, id: NodeId) -> bool {
        const OWN: [&str; 6] = ["aliases", "chosen", "cpus", "memory", "psci", "timer"];
        self.tree.up(id).any(|id| {
            let node = self.tree.node(id);
            // A timer at an address is a device like any other.
            let at_address = node.base_name() == "timer" && node.properties.contains_key("reg");
            let own = node.parent == Some(0) && OWN.contains(&node.base_name()) && !at_address;
            own || node.is_memory() || is_gic(node)
        }) || id == 0
    }

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
        // The first wish counts; this is also what ends a circle of references.
        if self.roles.get(&id) == Some(&Role::Whole) {
            return Ok(());
        }
        for id in self.subtree(id) {
            self.roles.insert(id, Role::Whole);
            self.references(id, pass, queue)?;
            self.interrupts(id, pass);
            self.registers(id);
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

    /// Registers that the tree promises and the guest does not get.
    fn registers(&mut self, id: NodeId) {
        let (tree, node) = (self.tree, self.tree.node(id));
        let above = node.parent.and_then(|parent| tree.device_of(parent));
        // What is on the bus of a device is reached through that device.
        let driven = |bus| {
            let mut up = tree.up(bus).filter(|&id| !tree.node(id).compatible.is_empty());
            up.next().is_some_and(|id| id != 0 && !tree.is_bus(id))
        };
        let reached = |why: &Unreachable| match *why {
            Unreachable::Cells { bus, .. } => above.is_some() || driven(bus),
            Unreachable::NoRanges(bus) => above.is_some() || self.wishes.contains_key(&bus),
            _ => false,
        };
        let bound = !node.compatible.is_empty() || self.wishes.contains_key(&id);
        let why = node.unreachable.iter().find(|why| bound && !reached(why));
        if let Some(why) = why {
            let way_out = match *why {
                Unreachable::NoRanges(bus) if !tree.node(bus).registers.is_empty() => format!(
                    "pass {} through as well, whose registers it shares",
                    tree.node(bus).path
                ),
                _ => "keep it from the guest, or correct reg and ranges in the board's tree".into(),
            };
            self.unplanned.insert(Unplanned {
                rule: Rule::RegistersMissing,
                node: node.path.clone(),
                problem: format!("the guest does not get all of its registers: {}", why.text(tree)),
                way_out,
            });
        }
        if self.wishes.contains_key(&id) && self.tree.is_bus(id) && node.registers.is_empty() {
            let devices = node.children.iter().map(|&child| self.tree.node(child));
            let devices: Vec<_> = devices
                .filter(|child| !child.registers.is_empty())
                .map(|child| child.path.as_str())
                .take(4)
                .collect();
            if !devices.is_empty() {
                self.unplanned.insert(Unplanned {
                    rule: Rule::RegistersMissing,
                    node: node.path.clone(),
                    problem: "it is a bus, and a bus alone gives the guest nothing".into(),
                    way_out: format!("pass the devices on it: {} ...", devices.join(", ")),
                });
            }
        }
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
            let provider = format!("phandle {:#x}, which no node has", reference.phandle);
            return self.miss_for_good(id, reference, provider);
        };
        if reference.property == "interrupt-map" {
            return self.no_map(id);
        }
        if self.is_the_monitors(target) {
            let path = self.tree.node(target).path.clone();
            return self.miss_for_good(id, reference, path);
        }
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

    /// Notes what could be passed through as well.
    fn miss(&mut self, id: NodeId, reference: &Reference, provider: String) {
        self.leave(id, reference, provider, true);
    }

    /// Notes what the guest can never have.
    fn miss_for_good(&mut self, id: NodeId, reference: &Reference, provider: String) {
        self.leave(id, reference, provider, false);
    }

    fn leave(&mut self, id: NodeId, reference: &Reference, provider: String, passable: bool) {
        self.missing.insert(Missing {
            node: self.tree.node(id).path.clone(),
            property: reference.property.clone(),
            need: reference.need,
            provider,
            passable,
        });
        self.edits.entry(id).or_default().remove.insert(reference.property.clone());
    }

    /// Leaves out an `interrupt-map`: it is written for the controllers of the board.
    fn no_map(&mut self, id: NodeId) {
        self.unplanned.insert(Unplanned {
            rule: Rule::IrqUnresolved,
            node: self.tree.node(id).path.clone(),
            problem: "its interrupt-map, the interrupts of the devices behind it, is not planned"
                .into(),
            way_out:
                "pass those devices through instead, or drop=others in its wish (they have to poll)"
                    .into(),
        });
        let names = ["interrupt-map", "interrupt-map-mask"].map(str::to_owned);
        self.edits.entry(id).or_default().remove.extend(names);
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
                    asked: "the number of clock rates",
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
    fn interrupts(&mut self, id: NodeId, pass: &Pass) {
        let node = self.tree.node(id);
        let names = ["interrupt-parent", "interrupts", "interrupts-extended"];
        self.edits.entry(id).or_default().remove.extend(names.map(str::to_owned));
        if node.interrupts.is_empty() {
            return;
        }
        let mut extended = Vec::new();
        for (number, interrupt) in node.interrupts.iter().enumerate() {
            let owner = |id| self.tree.device_of(id).unwrap_or(id);
            let controller = interrupt.controller.map(|id| (id, owner(id)));
            match (interrupt.gic, controller) {
                (Some(_), _) => {
                    extended.push(self.gic_phandle);
                    extended.extend(interrupt.at_gic);
                }
                // The specifier is for that controller, so it stays as it is.
                (None, Some((controller, owner)))
                    if self.wishes.contains_key(&owner)
                        && self.tree.node(controller).phandle().is_some() =>
                {
                    extended.extend(self.tree.node(controller).phandle());
                    extended.extend(&interrupt.cells);
                }
                _ if pass.drop.contains(&Need::Others) => return,
                _ => return self.no_interrupt(id, number),
            }
        }
        let bytes = |cells: Vec<u32>| cells.iter().flat_map(|cell| cell.to_be_bytes()).collect();
        let is_parent = |id| self.tree.node(id).properties.contains_key("#interrupt-cells");
        let between = self.tree.up(id).skip(1).any(is_parent);
        let edits = self.edits.entry(id).or_default();
        if !between && node.interrupts.iter().all(|interrupt| interrupt.gic.is_some()) {
            let cells = node.interrupts.iter().flat_map(|interrupt| interrupt.at_gic).collect();
            edits.set.push(("interrupts", bytes(cells)));
        } else {
            edits.set.push(("interrupts-extended", bytes(extended)));
        }
    }

    /// Notes that interrupt `number` of a node leads nowhere.
    fn no_interrupt(&mut self, id: NodeId, number: usize) {
        let (tree, node) = (self.tree, self.tree.node(id));
        let Some(interrupt) = node.interrupts.get(number) else { return };
        let why = interrupt.why.unwrap_or(Unresolved::NoParent);
        let way_out = match why {
            Unresolved::Controller(controller) => {
                let device = tree.device_of(controller).unwrap_or(controller);
                format!(
                    "pass {} through as well, or drop=others in its wish (no interrupt: its driver has to poll)",
                    tree.node(device).path
                )
            }
            _ => "correct it in the board's tree, or drop=others in its wish (no interrupt: its driver has to poll)".into(),
        };
        self.unplanned.insert(Unplanned {
            rule: Rule::IrqUnresolved,
            node: node.path.clone(),
            problem: format!("its interrupt {number} {}", why.text(tree)),
            way_out,
        });
    }

    fn finish(self, cells: Cells) -> Closure {
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
        Closure {
            devices,
            missing: self.missing.into_iter().collect(),
            unplanned: self.unplanned.into_iter().collect(),
            nodes,
            aliases,
            gic_phandle: self.gic_phandle,
            last_phandle: tree.last_phandle().max(self.next_phandle),
            cells,
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
