// SPDX-License-Identifier: BSD-2-Clause
//! What happened, counted. Every number that is known of a run comes from here.

use vmm_report::Counter;

use crate::host::HostStats;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $counter:ident,)*) => {
        /// Counts since the monitor started; they outlive reboots of the guest.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Every counter with its count, in the order of the report.
            pub fn each(&self) -> impl Iterator<Item = (Counter, u64)> {
                [$((Counter::$counter, self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Loads from emulated registers.
    mmio_read = MmioRead,
    /// Stores to emulated registers.
    mmio_write = MmioWrite,
    /// Firmware calls (SMC).
    smc = Smc,
    /// Hypervisor calls (HVC).
    hvc = Hvc,
    /// WFI.
    wfi = Wfi,
    /// WFE.
    wfe = Wfe,
    /// Trapped system registers.
    sysreg = SystemRegister,
    /// Virtual timer interrupts.
    timer = Timer,
    /// Interrupts that the guest ended.
    maintenance = Maintenance,
    /// Device interrupts.
    device_interrupt = DeviceInterrupt,
    /// Deadlines of parked vCPUs.
    wakeup = WakeUp,
    /// Exits of any other kind.
    other = Other,
    /// Times that a vCPU was parked until an interrupt.
    parks = Parks,
    /// Times that a vCPU that waits for an event let another have the core.
    yields = Yields,
    /// Injections into list registers.
    injected = Injected,
    /// Firmware calls that nobody knows.
    unknown_smc = UnknownSmc,
    /// Exceptions that the guest was made to take.
    exceptions = Exceptions,
    /// Accesses to registers that an emulated device does not have.
    unimplemented = Unimplemented,
    /// Things worth a note that did not stop the guest.
    notes = Notes,
    /// Calls into the host's kernel for exits at emulated registers: from the exit to the next
    /// one, the answer included. The exit at hand is not in it.
    mmio_calls = MmioCalls,
    /// Guest registers that those calls moved.
    mmio_registers = MmioRegisters,
    /// The most calls for one such exit.
    mmio_calls_max = MmioCallsMax,
}

impl Counters {
    /// One more.
    pub fn count(counter: &mut u64) {
        *counter = counter.wrapping_add(1);
    }

    /// The host's kernel was asked for this much between an exit at an emulated register and the
    /// next exit.
    pub fn mmio_cost(&mut self, before: HostStats, after: HostStats) {
        let calls = after.calls.saturating_sub(before.calls);
        let registers = after.registers.saturating_sub(before.registers);
        self.mmio_calls = self.mmio_calls.wrapping_add(calls);
        self.mmio_registers = self.mmio_registers.wrapping_add(registers);
        self.mmio_calls_max = self.mmio_calls_max.max(calls);
    }
}
