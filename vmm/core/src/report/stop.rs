// SPDX-License-Identifier: BSD-2-Clause
//! The report of a stop for people: what happened, where, and the three ways out.

use core::fmt::{self, Write};

use vmm_report::{BEGIN, WORDS};

use crate::addr::Ipa;
use crate::arm::syndrome::Syndrome;
use crate::fault::{CodeLocation, Fault, FaultReport};
use crate::ids::Vcpu;
use crate::plan::{GuestNode, Node, NodeState, PlanBlock};

/// The device that an address belongs to, or its neighbours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Nearest<'p> {
    /// In this device's registers.
    Inside(&'p Node),
    /// Between these two, either of which may be missing.
    Between(Option<&'p Node>, Option<&'p Node>),
}

/// Finds what is at an address in the board's device tree.
#[must_use]
pub fn nearest<'p>(plan: &PlanBlock<'p>, ipa: Ipa) -> Nearest<'p> {
    let nodes = plan.nodes();
    // Of nested windows (a bus and its devices) the smallest is the device.
    let inside = nodes
        .iter()
        .filter(|node| node.window.range().contains(ipa))
        .min_by_key(|node| node.window.size);
    if let Some(node) = inside {
        return Nearest::Inside(node);
    }
    let below = nodes
        .iter()
        .filter(|node| node.window.range().end() <= ipa)
        .max_by_key(|node| node.window.range().end());
    let above = nodes
        .iter()
        .filter(|node| node.window.range().base() > ipa)
        .min_by_key(|node| node.window.ipa);
    Nearest::Between(below, above)
}

/// Ends a line of the report: the console is a raw UART.
const END: &str = "\r\n@ ";

impl FaultReport {
    /// Writes the report for a person: what happened, where, and the ways out. Each line starts
    /// with `@ `, the first one behind [`BEGIN`].
    ///
    /// # Errors
    /// Those of `out`.
    pub fn render(&self, plan: &PlanBlock<'_>, out: &mut dyn Write) -> fmt::Result {
        write!(out, "{BEGIN}{WORDS}The guest was stopped: {}.", self.fault)?;
        if let Fault::UnownedAddress { access: Some(access), .. } = &self.fault {
            write!(out, "{END}  access    {access}")?;
        }
        if let Some(CodeLocation { pc, lr }) = self.at {
            write!(out, "{END}  {:<9} pc {pc:#x}, called from {lr:#x}", NumberedVcpu(self.vcpu))?;
        }
        if let Some(esr) = self.esr {
            write!(out, "{END}  syndrome  {esr:#x}: {}", Syndrome::decode(esr))?;
        }
        if let Some(ipa) = self.fault.ipa() {
            self.render_node(plan, ipa, out)?;
        }
        out.write_str("\r\n")
    }

    fn render_node(&self, plan: &PlanBlock<'_>, ipa: Ipa, out: &mut dyn Write) -> fmt::Result {
        let ram = plan.facts().ram.range();
        write!(out, "{END}  memory    the guest's RAM is {ram}")?;
        if plan.nodes().is_empty() {
            return Ok(());
        }
        match nearest(plan, ipa) {
            Nearest::Inside(node) => {
                write!(out, "{END}  device    {}", NodeWords(node))?;
                if matches!(self.fault, Fault::UnownedAddress { .. })
                    && node.state != NodeState::Given
                {
                    remedies(plan, node, ipa, out)?;
                }
                Ok(())
            }
            Nearest::Between(below, above) => {
                write!(out, "{END}  device    none there in the board's device tree")?;
                if let Some(node) = below {
                    write!(out, "{END}    below   {}", NodeWords(node))?;
                }
                if let Some(node) = above {
                    write!(out, "{END}    above   {}", NodeWords(node))?;
                }
                Ok(())
            }
        }
    }
}

/// The three ways out, as lines to paste.
fn remedies(plan: &PlanBlock<'_>, node: &Node, ipa: Ipa, out: &mut dyn Write) -> fmt::Result {
    let path = node.path.as_str();
    // guestplan finds a node by its name, too, where the path is too long for the table.
    let path = if path.starts_with("...") { path.rsplit('/').next().unwrap_or(path) } else { path };
    let own = node.guest_path.as_str();
    let board = plan.facts().board;
    let board = board.as_str();
    write!(out, "{END}Three ways out:")?;
    match node.guest {
        GuestNode::Enabled => {
            write!(out, "{END}  1. Disable the node in the guest's device tree:")?;
            write!(out, "{END}       &{{{own}}} {{ status = \"disabled\"; }};")?;
        }
        // Some drivers do not look at it (Linux's gic-v2m).
        GuestNode::Disabled => {
            write!(
                out,
                "{END}  1. Delete the node, which the guest's device tree disables in vain:"
            )?;
            write!(out, "{END}       /delete-node/ &{{{own}}};")?;
        }
        GuestNode::Absent => {
            write!(
                out,
                "{END}  1. Leave the address alone: the guest's device tree has no node for it, so it"
            )?;
            write!(out, "{END}     was a program, or a driver that knows the address by itself")?;
        }
    }
    write!(out, "{END}  2. Disable the driver in the guest's kernel configuration:")?;
    if node.option.as_str().is_empty() {
        write!(
            out,
            "{END}       guestplan drivers names the option of \"{}\"",
            node.compatible.as_str()
        )?;
    } else {
        write!(out, "{END}       # CONFIG_{} is not set", node.option.as_str())?;
    }
    // A PrimeCell says what it is in the last 32 bytes of its registers (the PL011: Arm DDI 0183G, 3.3.15).
    let from_end = node.window.range().end().0.checked_sub(ipa.0);
    if from_end.is_some_and(|bytes| bytes <= 0x20) {
        write!(
            out,
            "{END}       (of a PrimeCell Linux's bus reads this register with or without a driver)"
        )?;
    }
    write!(out, "{END}  3. Give the device to the guest, by --pass {path}")?;
    write!(out, "{END}     or at the end of boards/{board}/board.toml:")?;
    write!(out, "{END}       [[pass]]")?;
    write!(out, "{END}       node = \"{path}\"")?;
    let first = node.window.ipa & !0xfff;
    let end = node.window.range().end().0.checked_next_multiple_of(0x1000).unwrap_or(u64::MAX);
    let size = end.saturating_sub(first);
    write!(
        out,
        "{END}     which maps <memory_region size=\"{size:#x}\" phys_addr=\"{first:#x}\"/>"
    )?;
    if size != node.window.size {
        write!(out, "{END}     (whole pages: neighbours in them come along)")?;
    }
    Ok(())
}

struct NumberedVcpu(Vcpu);

impl fmt::Display for NumberedVcpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Padding wants a str.
        f.pad(match self.0.0 {
            0 => "vcpu 0",
            1 => "vcpu 1",
            2 => "vcpu 2",
            _ => "vcpu 3",
        })
    }
}

struct NodeWords<'n>(&'n Node);

impl fmt::Display for NodeWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = self.0;
        let state = match node.state {
            NodeState::Disabled => "disabled",
            NodeState::Given => "the guest's own",
            NodeState::Enabled => "enabled on the board, not the guest's",
        };
        let (path, compatible) = (node.path.as_str(), node.compatible.as_str());
        write!(f, "{path} (\"{compatible}\", {state}) at {}", node.window.range())
    }
}
