// SPDX-License-Identifier: BSD-2-Clause
//! The guest's device tree against the plan: both must say the same, or the guest would look for
//! things that are not there. The tree is guestplan's own and its checksum has been compared, so
//! the `fdt` crate may read it; foreign trees are guestplan's business.

use fdt::Fdt;
use fdt::node::FdtNode;

use crate::addr::{Ipa, IpaRange};
use crate::ids::GicVersion;
use crate::plan::{PlanBlock, Window};

/// What the device tree and the plan disagree on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Not a device tree.
    #[error("this is no device tree that can be read (bad magic, size or version)")]
    Unreadable,
    /// Without it a guest does not start.
    #[error("the device tree has no {0} node")]
    Missing(&'static str),
    /// The memory node.
    #[error("the device tree gives the guest memory at {tree}, the plan {plan}")]
    Memory {
        /// What the tree says.
        tree: IpaRange,
        /// What the plan says.
        plan: IpaRange,
    },
    /// The interrupt controller's registers or version.
    #[error("the device tree's interrupt controller is not the plan's: GICv{version} at {at}")]
    Gic {
        /// The plan's version.
        version: GicVersion,
        /// The plan's distributor.
        at: IpaRange,
    },
    /// Processors.
    #[error("the device tree has {tree} CPUs, the plan {plan}")]
    Cpus {
        /// What the tree says.
        tree: usize,
        /// What the plan says.
        plan: u8,
    },
    /// Firmware calls come by SMC: HVC is the kernel's under the monitor.
    #[error("the device tree's psci node must say method = \"smc\"")]
    PsciMethod,
    /// The initial RAM file system.
    #[error("the device tree puts the initrd at {tree}, the plan at {plan}")]
    Initrd {
        /// What the tree says.
        tree: IpaRange,
        /// What the plan says.
        plan: IpaRange,
    },
}

/// Compares a device tree with the plan.
///
/// # Errors
/// The first thing that they disagree on.
pub fn check(plan: &PlanBlock<'_>, tree: &[u8]) -> Result<(), TreeError> {
    let facts = plan.facts();
    let fdt = Fdt::new(tree).map_err(|_| TreeError::Unreadable)?;

    let ram = facts.ram.range();
    let memory = fdt.find_node("/memory").ok_or(TreeError::Missing("memory"))?;
    let given = nth_reg(memory, 0).ok_or(TreeError::Missing("memory"))?;
    if given != ram {
        return Err(TreeError::Memory { tree: given, plan: ram });
    }

    let gic = facts.gic;
    let at = gic.distributor.range();
    let names: &[&str] = match gic.version {
        GicVersion::V2 => &["arm,cortex-a15-gic", "arm,gic-400", "arm,cortex-a7-gic"],
        GicVersion::V3 => &["arm,gic-v3"],
    };
    let controller =
        fdt.find_compatible(names).ok_or(TreeError::Gic { version: gic.version, at })?;
    let starts = |index, window: Window| {
        nth_reg(controller, index).is_some_and(|reg| reg.base() == Ipa(window.ipa))
    };
    let frames = gic.version == GicVersion::V2 || starts(1, gic.redistributors);
    if !starts(0, gic.distributor) || !frames {
        return Err(TreeError::Gic { version: gic.version, at });
    }

    let cpus = fdt.find_node("/cpus").ok_or(TreeError::Missing("cpus"))?;
    let count = cpus.children().filter(|node| node.name.starts_with("cpu@")).count();
    if count != usize::from(facts.vcpus.get()) {
        return Err(TreeError::Cpus { tree: count, plan: facts.vcpus.get() });
    }

    let psci = fdt.find_node("/psci").ok_or(TreeError::Missing("psci"))?;
    if psci.property("method").and_then(|method| method.as_str()) != Some("smc") {
        return Err(TreeError::PsciMethod);
    }

    if facts.initrd.size != 0 {
        let chosen = fdt.find_node("/chosen").ok_or(TreeError::Missing("chosen"))?;
        let start =
            number(chosen, "linux,initrd-start").ok_or(TreeError::Missing("linux,initrd-start"))?;
        let end =
            number(chosen, "linux,initrd-end").ok_or(TreeError::Missing("linux,initrd-end"))?;
        // One that ends before it begins is empty, and so is no plan's.
        let tree = IpaRange::new(Ipa(start), end.saturating_sub(start)).unwrap_or_default();
        let plan = facts.initrd.range();
        if tree != plan {
            return Err(TreeError::Initrd { tree, plan });
        }
    }
    Ok(())
}

/// An entry of the `reg` of a node below the root.
fn nth_reg(node: FdtNode<'_, '_>, index: usize) -> Option<IpaRange> {
    let reg = node.reg()?.nth(index)?;
    IpaRange::new(Ipa(reg.starting_address as u64), reg.size? as u64)
}

/// A property of one or two cells.
fn number(node: FdtNode<'_, '_>, name: &str) -> Option<u64> {
    let value = node.property(name)?.value;
    match value.len() {
        4 => Some(u64::from(u32::from_be_bytes(value.try_into().ok()?))),
        8 => Some(u64::from_be_bytes(value.try_into().ok()?)),
        _ => None,
    }
}
