// SPDX-License-Identifier: BSD-2-Clause
//! Fault messages of a virtual CPU's thread, decoded.
//!
//! Labels: seL4 `libsel4/sel4_arch_include/aarch64/sel4/sel4_arch/types.bf`. Words: the enums
//! `seL4_*_Msg` in `constants.h` beside it, filled in by `src/api/faults.c` and
//! `src/arch/arm/api/faults.c`.

use vmm_core::addr::Ipa;
use vmm_core::host::Exit;
use vmm_core::ids::Intid;

use crate::registers::TO_X7;

/// Message labels, `seL4_FaultType`.
pub mod label {
    /// A system call named a capability that is not there.
    pub const CAP_FAULT: u64 = 1;
    /// A system call with a number that the kernel does not know.
    pub const UNKNOWN_SYSCALL: u64 = 2;
    /// An exception that the kernel has no better name for.
    pub const USER_EXCEPTION: u64 = 3;
    /// The thread's budget ran out, and it has a handler for that.
    pub const TIMEOUT: u64 = 5;
    /// Stage-2 abort.
    pub const VM_FAULT: u64 = 6;
    /// Maintenance interrupt of the virtual interrupt interface.
    pub const VGIC_MAINTENANCE: u64 = 7;
    /// Any other trap from EL1: SMC, WFI, WFE, system register.
    pub const VCPU_FAULT: u64 = 8;
    /// A private interrupt that the kernel hands to the monitor: the virtual timer.
    pub const VPPI_EVENT: u64 = 9;
}

/// Guest registers that came with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// None.
    Nothing,
    /// The program counter.
    Pc(u64),
    /// The program counter, already moved past the instruction; it has to be written, because the
    /// kernel would restart the instruction.
    NextPc(u64),
    /// Everything up to X7, in the order of [`crate::registers`]; the program counter is already
    /// moved. The answer's words are written to X0 to X7 and the program counter.
    ToX7([u64; TO_X7]),
}

/// A decoded fault message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Why the virtual CPU stopped.
    pub exit: Exit,
    /// What came with it.
    pub carried: Carried,
}

/// A message that is not what its label says. The kernel never sends one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Too few words.
    #[error("fault message {label} has {have} words, should have {need}")]
    Short {
        /// Label.
        label: u64,
        /// Words that came.
        have: usize,
        /// Words that the label has.
        need: usize,
    },
    /// A number outside its range.
    #[error("maintenance names list register {value}, there are at most 64")]
    Slot {
        /// What came instead.
        value: u64,
    },
}

/// Size of an A64 instruction in bytes. (A guest's HVC is A64: the kernel runs AArch32 nowhere.)
const INSTRUCTION: u64 = 4;

/// Exception class of SMC in AArch64 state (Arm DDI 0487, D24.2.46).
const EC_SMC64: u64 = 0x17;

/// Decodes a message.
///
/// # Errors
/// [`Malformed`] where the words do not fit the label.
pub fn decode(label: u64, words: &[u64]) -> Result<Fault, Malformed> {
    match label {
        label::CAP_FAULT => {
            let [ip, ..] = take::<3>(label, words)?;
            // Only HVC is a system call of the kernel below a guest: SVC goes to the guest's EL1.
            Ok(Fault {
                exit: Exit::Hypercall,
                carried: Carried::NextPc(ip.wrapping_add(INSTRUCTION)),
            })
        }
        label::UNKNOWN_SYSCALL => {
            let [x0, x1, x2, x3, x4, x5, x6, x7, ip, sp, _next, spsr, _number] =
                take(label, words)?;
            let pc = ip.wrapping_add(INSTRUCTION);
            Ok(Fault {
                exit: Exit::Hypercall,
                carried: Carried::ToX7([pc, sp, spsr, x0, x1, x2, x3, x4, x5, x6, x7]),
            })
        }
        label::USER_EXCEPTION => {
            let [ip, _sp, _spsr, number, _code] = take(label, words)?;
            // In hypervisor mode the number is ESR_EL2 (`handleUserLevelFault(getESR(), 0)`).
            Ok(Fault { exit: Exit::Trap { esr: number, ipa: Ipa(0) }, carried: Carried::Pc(ip) })
        }
        label::VM_FAULT => {
            let [ip, address, _prefetch, syndrome] = take(label, words)?;
            Ok(Fault {
                exit: Exit::Trap { esr: syndrome, ipa: Ipa(address) },
                carried: Carried::Pc(ip),
            })
        }
        label::VGIC_MAINTENANCE => {
            let [slot] = take(label, words)?;
            let slot = match u8::try_from(slot) {
                _ if slot == u64::MAX => None,
                Ok(slot) if slot < 64 => Some(slot),
                _ => return Err(Malformed::Slot { value: slot }),
            };
            Ok(bare(Exit::Maintenance(slot)))
        }
        label::VCPU_FAULT => {
            let [syndrome] = take(label, words)?;
            Ok(bare(Exit::Trap { esr: syndrome, ipa: Ipa(0) }))
        }
        label::VPPI_EVENT => {
            let [ppi] = take(label, words)?;
            Ok(bare(if ppi == u64::from(Intid::VIRTUAL_TIMER.number()) {
                Exit::Timer
            } else {
                Exit::Other { name: "private interrupt", code: ppi }
            }))
        }
        label::TIMEOUT => Ok(bare(Exit::Other { name: "budget timeout", code: label })),
        _ => Ok(bare(Exit::Other { name: "fault message", code: label })),
    }
}

const fn bare(exit: Exit) -> Fault {
    Fault { exit, carried: Carried::Nothing }
}

fn take<const N: usize>(label: u64, words: &[u64]) -> Result<[u64; N], Malformed> {
    let short = Malformed::Short { label, have: words.len(), need: N };
    words.first_chunk().copied().ok_or(short)
}

impl Fault {
    /// How many registers to read at once, if any have to be read: a firmware call's arguments
    /// are read together, everything else register by register.
    #[must_use]
    pub const fn chunk(&self) -> usize {
        match self.exit {
            Exit::Trap { esr, .. } if (esr >> 26) & 0x3f == EC_SMC64 => TO_X7,
            Exit::Hypercall => TO_X7,
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use proptest::prelude::*;

    use super::*;

    const SYSCALL: [u64; 13] =
        [100, 101, 102, 103, 104, 105, 106, 107, 0x8000, 0x9000, 0x8004, 0x3c5, 0x8400_0000];

    #[test]
    fn a_stage_2_abort() {
        let fault = decode(6, &[0xffff_8000_0000_1000, 0x0800_0104, 0, 0x9380_0046]).unwrap();
        assert_eq!(fault.exit, Exit::Trap { esr: 0x9380_0046, ipa: Ipa(0x0800_0104) });
        assert_eq!(fault.carried, Carried::Pc(0xffff_8000_0000_1000));
    }

    #[test]
    fn a_prefetch_abort_is_told_by_its_syndrome() {
        let fault = decode(6, &[0x1000, 0x1000, 1, 0x8200_0006]).unwrap();
        assert_eq!(fault.exit, Exit::Trap { esr: 0x8200_0006, ipa: Ipa(0x1000) });
    }

    #[test]
    fn an_smc_comes_without_registers() {
        let fault = decode(8, &[0x5e00_0000]).unwrap();
        assert_eq!(fault.exit, Exit::Trap { esr: 0x5e00_0000, ipa: Ipa(0) });
        assert_eq!(fault.carried, Carried::Nothing);
    }

    #[test]
    fn an_smc_reads_its_arguments_at_once() {
        assert_eq!(decode(8, &[0x5e00_0000]).unwrap().chunk(), TO_X7);
    }

    #[test]
    fn a_wfi_reads_nothing_beyond_what_is_asked_for() {
        assert_eq!(decode(8, &[0x0700_0000 | 1 << 24]).unwrap().chunk(), 1);
    }

    #[test]
    fn a_data_abort_reads_nothing_beyond_what_is_asked_for() {
        assert_eq!(decode(6, &[0, 0, 0, 0x9380_0046]).unwrap().chunk(), 1);
    }

    #[test]
    fn a_system_register_trap_is_passed_on() {
        let fault = decode(8, &[0x6230_1200]).unwrap();
        assert_eq!(fault.exit, Exit::Trap { esr: 0x6230_1200, ipa: Ipa(0) });
    }

    #[test]
    fn maintenance_names_a_list_register() {
        assert_eq!(decode(7, &[0]).unwrap().exit, Exit::Maintenance(Some(0)));
        assert_eq!(decode(7, &[63]).unwrap().exit, Exit::Maintenance(Some(63)));
    }

    #[test]
    fn maintenance_may_name_none() {
        assert_eq!(decode(7, &[u64::MAX]).unwrap().exit, Exit::Maintenance(None));
    }

    #[test]
    fn maintenance_of_a_list_register_that_cannot_be_is_an_error() {
        for value in [64, 255, 256, u64::MAX - 1] {
            assert_eq!(decode(7, &[value]), Err(Malformed::Slot { value }));
        }
    }

    #[test]
    fn the_virtual_timer() {
        assert_eq!(decode(9, &[27]).unwrap().exit, Exit::Timer);
    }

    #[test]
    fn another_private_interrupt_is_named() {
        assert_eq!(
            decode(9, &[25]).unwrap().exit,
            Exit::Other { name: "private interrupt", code: 25 }
        );
    }

    #[test]
    fn an_unknown_system_call_is_a_hypercall_with_its_registers() {
        let fault = decode(2, &SYSCALL).unwrap();
        assert_eq!(fault.exit, Exit::Hypercall);
        assert_eq!(
            fault.carried,
            Carried::ToX7([0x8004, 0x9000, 0x3c5, 100, 101, 102, 103, 104, 105, 106, 107])
        );
    }

    #[test]
    fn a_hypercall_at_the_end_of_the_address_space_wraps() {
        let mut words = SYSCALL;
        words[8] = u64::MAX - 3;
        let Carried::ToX7([pc, ..]) = decode(2, &words).unwrap().carried else { panic!() };
        assert_eq!(pc, 0);
    }

    #[test]
    fn a_missing_capability_is_a_hypercall_whose_pc_must_be_moved() {
        let fault = decode(1, &[0x8000, 0, 0, 2, 64]).unwrap();
        assert_eq!(fault.exit, Exit::Hypercall);
        assert_eq!(fault.carried, Carried::NextPc(0x8004));
        assert_eq!(fault.chunk(), TO_X7);
    }

    #[test]
    fn a_user_exception_carries_its_syndrome() {
        let fault = decode(3, &[0x8000, 0x9000, 0x3c5, 0x0200_0000, 0]).unwrap();
        assert_eq!(fault.exit, Exit::Trap { esr: 0x0200_0000, ipa: Ipa(0) });
        assert_eq!(fault.carried, Carried::Pc(0x8000));
    }

    #[test]
    fn a_budget_timeout_is_named() {
        assert_eq!(
            decode(5, &[0, 0]).unwrap().exit,
            Exit::Other { name: "budget timeout", code: 5 }
        );
    }

    #[test]
    fn labels_without_a_word_are_passed_on_by_number() {
        for label in [0, 4, 10, u64::MAX] {
            assert_eq!(
                decode(label, &[]).unwrap().exit,
                Exit::Other { name: "fault message", code: label }
            );
        }
    }

    #[test]
    fn every_label_refuses_a_short_message() {
        for (label, need) in [(1, 3), (2, 13), (3, 5), (6, 4), (7, 1), (8, 1), (9, 1)] {
            for have in 0..need {
                assert_eq!(
                    decode(label, &[0; 13][..have]),
                    Err(Malformed::Short { label, have, need })
                );
            }
            assert!(decode(label, &[0; 13][..need]).is_ok());
        }
    }

    #[test]
    fn a_short_message_says_what_is_missing() {
        let error = decode(6, &[0]).unwrap_err();
        assert_eq!(error.to_string(), "fault message 6 has 1 words, should have 4");
    }

    proptest! {
        #[test]
        fn no_message_panics(label in 0u64..12, words in prop::collection::vec(any::<u64>(), 0..20)) {
            let _ = decode(label, &words);
        }

        #[test]
        fn longer_messages_mean_the_same(label in 0u64..12, words in prop::collection::vec(any::<u64>(), 13), more in any::<u64>()) {
            let mut longer = words.clone();
            longer.push(more);
            prop_assert_eq!(decode(label, &words), decode(label, &longer));
        }
    }
}
