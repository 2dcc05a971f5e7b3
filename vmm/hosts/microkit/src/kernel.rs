// SPDX-License-Identifier: BSD-2-Clause
//! Calls into seL4 on behalf of virtual CPUs, counted.
//!
//! `sel4` has most of them. Moving a prefix of a thread's registers and firmware calls are written
//! out here: the first because its wrapper always moves all thirty-six through a struct, the
//! second because it has no wrapper.

use sel4::sys::invocation_label;
use sel4::{Cap, MessageInfoBuilder, VCpuReg, cap};
use vmm_core::host::{HostStats, Injection};
use vmm_core::ids::{Intid, Vcpu};
use vmm_microkit_abi::slots;

/// The thread that runs a virtual CPU.
const fn thread(vcpu: Vcpu) -> cap::Tcb {
    Cap::from_bits(slots::vm_tcb(vcpu))
}

/// A virtual CPU's interrupts, timer and system registers.
const fn processor(vcpu: Vcpu) -> cap::VCpu {
    Cap::from_bits(slots::vcpu(vcpu))
}

/// Any capability will do: `call` is the same for all.
const SMC: cap::Unspecified = Cap::from_bits(slots::SMC);

/// MPIDR_EL1: the bit that is always one (Arm DDI 0487, D24.2.138).
const MPIDR_RES1: u64 = 1 << 31;

/// Every register of EL1 and of the timer that the kernel lets a monitor write, but for SCTLR, which
/// does not start as zero, the offset of the virtual counter, ACTLR, which belongs to the processor's
/// maker, and the virtual CPU's number. `VCpuReg` lacks two of them.
const CLEARED: [sel4::sys::seL4_VCPUReg::Type; 20] = {
    use sel4::sys::seL4_VCPUReg as register;
    [
        register::seL4_VCPUReg_CPACR,
        register::seL4_VCPUReg_TTBR0,
        register::seL4_VCPUReg_TTBR1,
        register::seL4_VCPUReg_TCR,
        register::seL4_VCPUReg_MAIR,
        register::seL4_VCPUReg_AMAIR,
        register::seL4_VCPUReg_CIDR,
        register::seL4_VCPUReg_AFSR0,
        register::seL4_VCPUReg_AFSR1,
        register::seL4_VCPUReg_ESR,
        register::seL4_VCPUReg_FAR,
        register::seL4_VCPUReg_PAR,
        register::seL4_VCPUReg_VBAR,
        register::seL4_VCPUReg_TPIDR_EL1,
        register::seL4_VCPUReg_SP_EL1,
        register::seL4_VCPUReg_ELR_EL1,
        register::seL4_VCPUReg_SPSR_EL1,
        register::seL4_VCPUReg_CNTV_CTL,
        register::seL4_VCPUReg_CNTV_CVAL,
        register::seL4_VCPUReg_CNTKCTL_EL1,
    ]
};

/// Whether the registers of EL1 can be read and written while a virtual CPU is stopped. Those that
/// the kernel does not save whenever it leaves a virtual CPU are in the core that ran it last, and
/// it looks for them on the monitor's own (seL4 `readVCPUReg`): so not where there are several.
pub const REACHES_EL1: bool = sel4::sel4_cfg_usize!(MAX_NUM_NODES) == 1;

/// Counts what is asked of the kernel.
#[derive(Default)]
pub struct Kernel {
    stats: HostStats,
}

/// What the kernel refused, for the log; none of it can happen while the system file gives this
/// protection domain a virtual CPU.
fn complain<T>(what: &str, result: Result<T, sel4::Error>) -> Option<T> {
    result.inspect_err(|error| log::error!("seL4 refused {what}: {error:?}")).ok()
}

impl Kernel {
    /// What was asked for so far.
    pub const fn stats(&self) -> HostStats {
        self.stats
    }

    /// Counts one call that is made elsewhere.
    pub const fn count(&mut self) {
        self.stats.calls = self.stats.calls.saturating_add(1);
    }

    /// Counts guest registers that a call moves. What a fault message carries comes for nothing.
    const fn moved(&mut self, registers: usize) {
        self.stats.registers = self.stats.registers.saturating_add(registers as u64);
    }

    /// Calls a capability with `words`; the answer's words are in the IPC buffer.
    fn call<T: sel4::CapType>(
        &mut self,
        cap: Cap<T>,
        label: u32,
        words: &[u64],
    ) -> Result<(), sel4::Error> {
        self.count();
        sel4_microkit::with_msg_regs_mut(|to| {
            for (to, from) in to.iter_mut().zip(words) {
                *to = *from;
            }
        });
        let info = MessageInfoBuilder::default().label(label.into()).length(words.len()).build();
        let answer = cap.call(info);
        u32::try_from(answer.label()).ok().and_then(sel4::Error::from_sys).map_or(Ok(()), Err)
    }

    /// Hands the first `count` registers of a virtual CPU's thread to `take`.
    pub fn read_registers(&mut self, vcpu: Vcpu, count: usize, take: impl FnOnce(&[u64])) {
        self.moved(count);
        let words = [0, count as u64];
        let answer = self.call(thread(vcpu), invocation_label::TCBReadRegisters, &words);
        if complain("to read registers", answer).is_some() {
            sel4_microkit::with_msg_regs(|words| take(words.get(..count).unwrap_or(words)));
        }
    }

    /// Writes the first registers of a virtual CPU's thread, and lets it run if `resume`.
    pub fn write_registers(&mut self, vcpu: Vcpu, registers: &[u64], resume: bool) {
        self.moved(registers.len());
        let mut words = [0; 2 + vmm_microkit_abi::registers::COUNT];
        let [flags, count, rest @ ..] = &mut words;
        *flags = u64::from(resume);
        *count = registers.len() as u64;
        for (to, from) in rest.iter_mut().zip(registers) {
            *to = *from;
        }
        let used = words.get(..registers.len().saturating_add(2)).unwrap_or(&words);
        let answer = self.call(thread(vcpu), invocation_label::TCBWriteRegisters, used);
        complain("to write registers", answer);
    }

    /// Stops a virtual CPU's thread; a fault of it that waits for an answer, or to be received, is
    /// forgotten.
    pub fn suspend(&mut self, vcpu: Vcpu) {
        self.count();
        complain("to suspend a virtual CPU", thread(vcpu).tcb_suspend());
    }

    /// Lets a virtual CPU's thread run on.
    pub fn resume(&mut self, vcpu: Vcpu) {
        self.count();
        complain("to resume a virtual CPU", thread(vcpu).tcb_resume());
    }

    /// Reads a system register of a virtual CPU; zero if that is refused.
    pub fn read(&mut self, vcpu: Vcpu, register: VCpuReg) -> u64 {
        self.count();
        let value = processor(vcpu).vcpu_read_regs(register);
        // No register: nothing is on, and nothing is due.
        complain("to read a system register", value).unwrap_or(0)
    }

    /// Writes a system register of a virtual CPU.
    pub fn write(&mut self, vcpu: Vcpu, register: VCpuReg, value: u64) {
        self.count();
        complain("to write a system register", processor(vcpu).vcpu_write_regs(register, value));
    }

    /// Clears what a start clears: nothing of an earlier life is seen (docs/registers.md).
    pub fn clear(&mut self, vcpu: Vcpu) {
        for register in CLEARED {
            let answer =
                self.call(processor(vcpu), invocation_label::ARMVCPUWriteReg, &[register, 0]);
            complain("to clear a system register", answer);
        }
    }

    /// Makes a virtual CPU's number its affinity, before it runs for the first time; `false` where
    /// the system file gives this protection domain no such virtual CPU.
    ///
    /// `VCpuReg` has this register for kernels of several cores alone; the kernel always has it.
    pub fn number(&mut self, vcpu: Vcpu) -> bool {
        let register = sel4::sys::seL4_VCPUReg::seL4_VCPUReg_VMPIDR_EL2;
        let words = [register, MPIDR_RES1 | u64::from(vcpu.0)];
        self.call(processor(vcpu), invocation_label::ARMVCPUWriteReg, &words).is_ok()
    }

    /// Overwrites list register `slot`.
    ///
    /// # Errors
    /// The slot does not exist or holds an active interrupt.
    pub fn inject(&mut self, vcpu: Vcpu, slot: u8, irq: Injection) -> Result<(), sel4::Error> {
        self.count();
        processor(vcpu).vcpu_inject_irq(irq.intid.number(), irq.priority, irq.group, slot)
    }

    /// How many list registers there are: the kernel says so when asked for one too many. `None`
    /// where the system file gave this protection domain no virtual CPU.
    pub fn list_register_count(&mut self) -> Option<u8> {
        // Slot 255; the other fields are in range (seL4 `decodeVCPUInjectIRQ`).
        match self.call(processor(Vcpu(0)), invocation_label::ARMVCPUInjectIRQ, &[255 << 32]) {
            Err(sel4::Error::RangeError) => {
                u8::try_from(sel4_microkit::get_mr(1)).ok().and_then(|most| most.checked_add(1))
            }
            _ => None,
        }
    }

    /// Unmasks the virtual timer's interrupt, from when the virtual CPU is entered next.
    pub fn ack_timer(&mut self, vcpu: Vcpu) {
        self.count();
        let intid = Intid::VIRTUAL_TIMER.number().into();
        complain("to unmask the virtual timer", processor(vcpu).vcpu_ack_vppi(intid));
    }

    /// Makes a firmware call. Everything is zero if that is refused.
    pub fn smc(&mut self, args: [u64; 8]) -> [u64; 4] {
        let answer = self.call(SMC, invocation_label::ARMSMCCall, &args);
        match complain("a firmware call (smc=\"true\" in the system file?)", answer) {
            Some(()) => [0, 1, 2, 3].map(sel4_microkit::get_mr),
            None => [0; 4],
        }
    }
}
