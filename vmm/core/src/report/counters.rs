// SPDX-License-Identifier: BSD-2-Clause
//! What happened, counted. Every number that is known of a run comes from here.

use core::fmt;

use crate::host::HostStats;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts since the monitor started; they outlive reboots of the guest.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Every counter with its name, in the order of the report.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Loads from emulated registers.
    mmio_read,
    /// Stores to emulated registers.
    mmio_write,
    /// Firmware calls (SMC).
    smc,
    /// Hypervisor calls (HVC).
    hvc,
    /// WFI.
    wfi,
    /// WFE.
    wfe,
    /// Trapped system registers.
    sysreg,
    /// Virtual timer interrupts.
    timer,
    /// Interrupts that the guest ended.
    maintenance,
    /// Device interrupts.
    line,
    /// Deadlines of parked vCPUs.
    wakeup,
    /// Exits of any other kind.
    other,
    /// Times that a vCPU was parked until an interrupt.
    parks,
    /// Times that a vCPU that waits for an event let another have the core.
    yields,
    /// Injections into list registers.
    injected,
    /// Firmware calls that nobody knows.
    unknown_smc,
    /// Exceptions that the guest was made to take.
    exceptions,
    /// Accesses to registers that an emulated device does not have.
    unimplemented,
    /// Things worth a note that did not stop the guest.
    notes,
    /// Calls into the host's kernel for exits at emulated registers: from the exit to the next
    /// one, the answer included. The exit at hand is not in it.
    mmio_calls,
    /// Guest registers that those calls moved.
    mmio_registers,
    /// The most calls for one such exit.
    mmio_calls_max,
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

/// The counters as a JSON object, the host's own at its end.
pub struct Json<'a>(pub &'a Counters, pub HostStats);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (name, value) in self.0.each() {
            write!(f, "\"{name}\":{value},")?;
        }
        write!(f, "\"calls\":{},\"registers\":{}}}", self.1.calls, self.1.registers)
    }
}
