// SPDX-License-Identifier: BSD-2-Clause
//! What stopped a guest, as data. [`crate::report::stop`] says it in words.

use core::fmt;

use crate::addr::Ipa;
use crate::arm::syndrome::{Access, RegisterAccess, status_words};
use crate::boot::BootError;
use crate::host::FaultKind;
use crate::ids::{Intid, Vcpu};

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
        name: &'static str,
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
    /// The same without its details.
    #[must_use]
    pub const fn kind(&self) -> FaultKind {
        match self {
            Self::UnownedAddress { .. } => FaultKind::UnownedAddress,
            Self::FetchOutsideRam { .. } => FaultKind::FetchOutsideRam,
            Self::DeniedAccess { .. } => FaultKind::DeniedAccess,
            Self::Aarch32Program { .. } => FaultKind::Aarch32Program,
            Self::AllCpusOff => FaultKind::AllCpusOff,
            Self::NoSyndrome { .. } => FaultKind::NoSyndrome,
            Self::UnreadableAddress { .. } => FaultKind::UnreadableAddress,
            Self::UnknownRegister(_) => FaultKind::UnknownRegister,
            Self::UnknownExit { .. } => FaultKind::UnknownExit,
            Self::InterruptStorm { .. } => FaultKind::InterruptStorm,
            Self::BadImage(_) => FaultKind::BadImage,
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
            Self::UnknownExit { name, code } => {
                write!(
                    f,
                    "the kernel reported \"{name}\" ({code:#x}), which this monitor does not know"
                )
            }
            Self::InterruptStorm { intid, count, milliseconds } => write!(
                f,
                "{intid} was still high when the guest ended it, {count} times in {milliseconds} ms \
                 in which it did nothing else: it does not quiet the device, or the device asks again \
                 before each end"
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
    pub at: Option<CodeLocation>,
    /// ESR_EL2, where there was a trap.
    pub esr: Option<u64>,
}

/// Where a vCPU was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeLocation {
    /// Program counter (a virtual address of the guest).
    pub pc: u64,
    /// X30.
    pub lr: u64,
}
