// SPDX-License-Identifier: BSD-2-Clause
//! What stopped a guest, as data, and the one function that says it in words.

use core::fmt::{self, Write};

use crate::addr::Ipa;
use crate::boot::BootError;
use crate::host::{Intid, Vcpu};
use crate::plan::{GUEST_DISABLED, GUEST_ENABLED, NODE_DISABLED, NODE_GIVEN, Node, Plan};
use crate::report::BEGIN;
use crate::syndrome::{Abort, Access, Class, RegisterAccess, Syndrome, Timeout, status_words};

/// Why a guest was stopped.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// A load or store where neither memory nor a device is.
    UnownedAddress {
        /// The address.
        ipa: Ipa,
        /// The access, where the syndrome tells it.
        access: Option<Access>,
    },
    /// The guest jumped to where it has no memory.
    FetchOutsideRam {
        /// The address.
        ipa: Ipa,
    },
    /// A load or store of something that is there, and was refused.
    DeniedAccess {
        /// The address.
        ipa: Ipa,
        /// Fault status code.
        status: u8,
    },
    /// An access of a program in AArch32 state to an emulated device, which the host's kernel gives
    /// the monitor no way to answer.
    Aarch32Program {
        /// The address.
        ipa: Ipa,
    },
    /// The last virtual CPU that ran turned itself off.
    AllCpusOff,
    /// A load or store of an emulated device whose syndrome does not say which register moves.
    NoSyndrome {
        /// The address.
        ipa: Ipa,
    },
    /// The guest's own translation tables lie where it has no memory.
    UnreadableAddress {
        /// What the kernel reports; not the address that the instruction named.
        ipa: Ipa,
    },
    /// A trapped system register that nobody answers.
    UnknownRegister(RegisterAccess),
    /// Something that this monitor has no word for.
    UnknownExit {
        /// The kernel's name for it.
        what: &'static str,
        /// Its number.
        code: u64,
    },
    /// A device interrupt that fires again each time that the guest has ended it, while the guest
    /// does nothing else.
    InterruptStorm {
        /// The interrupt.
        intid: Intid,
        /// How often in a row.
        count: u32,
        /// For how long, in milliseconds.
        milliseconds: u64,
    },
    /// The images or the plan cannot be started.
    BadImage(BootError),
}

impl Fault {
    /// The name of the kind: part of the report's contract.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::UnownedAddress { .. } => "unowned-address",
            Self::FetchOutsideRam { .. } => "fetch-outside-ram",
            Self::DeniedAccess { .. } => "denied-access",
            Self::Aarch32Program { .. } => "aarch32-program",
            Self::AllCpusOff => "all-cpus-off",
            Self::NoSyndrome { .. } => "no-syndrome",
            Self::UnreadableAddress { .. } => "unreadable-address",
            Self::UnknownRegister(_) => "unknown-register",
            Self::UnknownExit { .. } => "unknown-exit",
            Self::InterruptStorm { .. } => "interrupt-storm",
            Self::BadImage(_) => "bad-image",
        }
    }

    /// The address that the report is about.
    #[must_use]
    pub const fn ipa(&self) -> Option<Ipa> {
        match self {
            Self::UnownedAddress { ipa, .. }
            | Self::FetchOutsideRam { ipa }
            | Self::DeniedAccess { ipa, .. }
            | Self::Aarch32Program { ipa }
            | Self::NoSyndrome { ipa }
            | Self::UnreadableAddress { ipa } => Some(*ipa),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnownedAddress { ipa, .. } => {
                write!(f, "it touched {ipa}, an address that it was not given")
            }
            Self::FetchOutsideRam { ipa } => {
                write!(f, "it jumped to {ipa}, where it has no memory")
            }
            Self::DeniedAccess { ipa, status } => {
                write!(f, "its access to {ipa} ended in: {}", status_words(*status))
            }
            Self::Aarch32Program { ipa } => write!(
                f,
                "its 32-bit program used the device at {ipa}, and this kernel lets nobody change the \
                 registers of one; 64-bit programs may"
            ),
            Self::AllCpusOff => f.write_str(
                "its last running CPU turned itself off (PSCI CPU_OFF), and nothing can turn one on",
            ),
            Self::NoSyndrome { ipa } => write!(
                f,
                "it used an instruction on the device at {ipa} that the processor does not describe \
                 (a pair, a vector or one with write-back); devices want plain loads and stores"
            ),
            Self::UnreadableAddress { ipa } => {
                write!(f, "its translation tables lead to {ipa}, where it has no memory")
            }
            Self::UnknownRegister(access) => {
                let verb = if access.read { "read" } else { "wrote" };
                write!(
                    f,
                    "it {verb} the system register {}, which this monitor does not have",
                    access.register
                )
            }
            Self::UnknownExit { what, code } => {
                write!(
                    f,
                    "the kernel reported \"{what}\" ({code:#x}), which this monitor does not know"
                )
            }
            Self::InterruptStorm { intid, count, milliseconds } => write!(
                f,
                "{intid} was still high when the guest ended it, {count} times in {milliseconds} ms \
                 in which it did nothing else: it ends the interrupt without quieting the device"
            ),
            Self::BadImage(error) => write!(f, "it cannot be started: {error}"),
        }
    }
}

/// Everything that is known of a stop.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultReport {
    /// What happened.
    pub fault: Fault,
    /// The vCPU.
    pub vcpu: Vcpu,
    /// Its program counter and link register, where it was running.
    pub at: Option<Place>,
    /// ESR_EL2, where there was a trap.
    pub esr: Option<u64>,
}

/// Where a vCPU was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Program counter (a virtual address of the guest).
    pub pc: u64,
    /// X30.
    pub lr: u64,
}

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
pub fn nearest<'p>(plan: &Plan<'p>, ipa: Ipa) -> Nearest<'p> {
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
    pub fn render(&self, plan: &Plan<'_>, out: &mut dyn Write) -> fmt::Result {
        write!(out, "{BEGIN}@ The guest was stopped: {}.", self.fault)?;
        if let Fault::UnownedAddress { access: Some(access), .. } = &self.fault {
            write!(out, "{END}  access    {access}")?;
        }
        if let Some(Place { pc, lr }) = self.at {
            write!(out, "{END}  {:<9} pc {pc:#x}, called from {lr:#x}", NumberedVcpu(self.vcpu))?;
        }
        if let Some(esr) = self.esr {
            write!(out, "{END}  syndrome  {esr:#x}: {}", SyndromeWords(esr))?;
        }
        if let Some(ipa) = self.fault.ipa() {
            self.render_node(plan, ipa, out)?;
        }
        out.write_str("\r\n")
    }

    fn render_node(&self, plan: &Plan<'_>, ipa: Ipa, out: &mut dyn Write) -> fmt::Result {
        let ram = plan.facts().ram.range();
        write!(out, "{END}  memory    the guest's RAM is {ram}")?;
        if plan.nodes().is_empty() {
            return Ok(());
        }
        match nearest(plan, ipa) {
            Nearest::Inside(node) => {
                write!(out, "{END}  device    {}", NodeWords(node))?;
                if matches!(self.fault, Fault::UnownedAddress { .. }) && node.state != NODE_GIVEN {
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
fn remedies(plan: &Plan<'_>, node: &Node, ipa: Ipa, out: &mut dyn Write) -> fmt::Result {
    let path = node.path.as_str();
    // guestplan finds a node by its name, too, where the path is too long for the table.
    let path = if path.starts_with("...") { path.rsplit('/').next().unwrap_or(path) } else { path };
    let own = node.guest_path.as_str();
    let board = plan.facts().board;
    let board = board.as_str();
    write!(out, "{END}Three ways out:")?;
    match node.guest {
        GUEST_ENABLED => {
            write!(out, "{END}  1. Disable the node in the guest's device tree:")?;
            write!(out, "{END}       &{{{own}}} {{ status = \"disabled\"; }};")?;
        }
        // Some drivers do not look at it (Linux's gic-v2m).
        GUEST_DISABLED => {
            write!(
                out,
                "{END}  1. Delete the node, which the guest's device tree disables in vain:"
            )?;
            write!(out, "{END}       /delete-node/ &{{{own}}};")?;
        }
        _ => {
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
            NODE_DISABLED => "disabled",
            NODE_GIVEN => "the guest's own",
            _ => "enabled on the board, not the guest's",
        };
        let (path, compatible) = (node.path.as_str(), node.compatible.as_str());
        write!(f, "{path} (\"{compatible}\", {state}) at {}", node.window.range())
    }
}

struct SyndromeWords(u64);

impl fmt::Display for SyndromeWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let abort = |f: &mut fmt::Formatter<'_>, what: &str, abort: &Abort| {
            write!(f, "{what}, {}", status_words(abort.status))?;
            if abort.walk { f.write_str(", on a walk of the guest's tables") } else { Ok(()) }
        };
        match Syndrome::decode(self.0).class {
            Class::Wait { event, timeout } => {
                f.write_str(if event { "WFE" } else { "WFI" })?;
                if timeout == Timeout::Never { Ok(()) } else { f.write_str("T") }
            }
            Class::Hypercall => f.write_str("HVC"),
            Class::Firmware => f.write_str("SMC"),
            Class::Register(access) => {
                write!(f, "{} {}", if access.read { "MRS of" } else { "MSR to" }, access.register)
            }
            Class::Fetch(what) => abort(f, "instruction abort", &what),
            Class::Data(what, Some(_)) => abort(
                f,
                if what.write { "data abort on a store" } else { "data abort on a load" },
                &what,
            ),
            Class::Data(what, None) => {
                abort(f, "data abort without an instruction syndrome", &what)
            }
            Class::Other(ec) => write!(f, "exception class {ec:#x}"),
        }
    }
}
