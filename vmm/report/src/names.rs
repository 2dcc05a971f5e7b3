// SPDX-License-Identifier: BSD-2-Clause
//! The names in the monitor's lines.

use core::fmt;

macro_rules! names {
    ($(#[$doc:meta])* $kind:ident { $($(#[$one:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "read", derive(serde::Serialize, serde::Deserialize))]
        pub enum $kind {
            $($(#[$one])* #[cfg_attr(feature = "read", serde(rename = $name))] $variant,)*
        }

        impl $kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As it stands in the line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The one of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

names! {
    /// What happened.
    EventKind {
        /// The guest is about to run for the first time.
        Start = "start",
        /// The guest wrote to the marker page.
        Mark = "mark",
        /// The guest asked for a reset.
        Reset = "reset",
        /// The guest was stopped, or cannot be started.
        Stop = "stop",
        /// The guest asked to be powered off.
        Off = "off",
    }
}

impl EventKind {
    /// Whether nothing follows.
    #[must_use]
    pub const fn is_last(self) -> bool {
        matches!(self, Self::Stop | Self::Off)
    }
}

names! {
    /// Why a guest was stopped.
    FaultKind {
        /// A load or store where neither memory nor a device is.
        UnownedAddress = "unowned-address",
        /// A jump to where the guest has no memory.
        FetchOutsideRam = "fetch-outside-ram",
        /// An access to something that is there, and was refused.
        DeniedAccess = "denied-access",
        /// An access of a program in AArch32 state that the host's kernel lets nobody answer.
        Aarch32Program = "aarch32-program",
        /// The last virtual CPU that ran turned itself off.
        AllCpusOff = "all-cpus-off",
        /// An access to an emulated device that the syndrome does not describe.
        NoSyndrome = "no-syndrome",
        /// Translation tables where the guest has no memory.
        UnreadableAddress = "unreadable-address",
        /// A trapped system register that nobody answers.
        UnknownRegister = "unknown-register",
        /// An exit that the monitor has no word for.
        UnknownExit = "unknown-exit",
        /// A device interrupt that fires again each time that the guest has ended it.
        InterruptStorm = "interrupt-storm",
        /// Images or a plan that cannot be started.
        BadImage = "bad-image",
        /// The monitor itself cannot go on.
        MonitorPanic = "monitor-panic",
    }
}

names! {
    /// What an event says.
    Field {
        /// Version of the line: a number.
        Version = "v",
        /// What happened: [`EventKind`].
        Event = "event",
        /// The generic timer's counter when it happened: a number.
        Ticks = "ticks",
        /// Rate of that counter in hertz: a number.
        Hz = "hz",
        /// A list of numbers: item n counts the exits that were answered in fewer than 2^n ticks.
        Latency = "latency",
        /// What was counted since the monitor started: an object with a number for each [`Counter`].
        Counters = "counters",
        /// Of a start: folder of the board.
        Board = "board",
        /// Of a start: version of the guest's interrupt controller.
        Gic = "gic",
        /// Of a start: how many virtual CPUs there are.
        Vcpus = "vcpus",
        /// Of a start: whether the guest gets random numbers.
        Entropy = "entropy",
        /// Of a start: guest-physical address of RAM.
        Ram = "ram",
        /// Of a start: bytes of RAM.
        RamSize = "ram_size",
        /// Of a start: bytes of the kernel's file.
        Kernel = "kernel",
        /// Of a start: bytes of the device tree.
        DeviceTree = "dtb",
        /// Of a start: bytes of the initial RAM file system.
        Initrd = "initrd",
        /// Of a start: errors of the plan that were accepted by name; absent if there is none.
        Accepted = "accepted",
        /// Of a mark: the number that the guest stored.
        Value = "value",
        /// Of a reset: the guest's n-th start.
        Boots = "boots",
        /// Of an off: why.
        Reason = "reason",
        /// Of a stop: [`FaultKind`].
        Kind = "kind",
        /// Of a stop without times and counters: the reason in words.
        What = "what",
        /// Of a stop: the virtual CPU.
        Vcpu = "vcpu",
        /// Of a stop: program counter, where the virtual CPU was running.
        Pc = "pc",
        /// Of a stop: X30, where the virtual CPU was running.
        Lr = "lr",
        /// Of a stop: ESR_EL2, where there was a trap.
        Esr = "esr",
        /// Of a stop: guest-physical address, where the stop is about one.
        Ipa = "ipa",
        /// Of a stop: path of the device that this address is of.
        Node = "node",
    }
}

names! {
    /// What is counted, in the order of the line.
    Counter {
        /// Loads from emulated registers.
        MmioRead = "mmio_read",
        /// Stores to emulated registers.
        MmioWrite = "mmio_write",
        /// Firmware calls (SMC).
        Smc = "smc",
        /// Hypervisor calls (HVC).
        Hvc = "hvc",
        /// WFI.
        Wfi = "wfi",
        /// WFE.
        Wfe = "wfe",
        /// Trapped system registers.
        SystemRegister = "sysreg",
        /// Virtual timer interrupts.
        Timer = "timer",
        /// Interrupts that the guest ended.
        Maintenance = "maintenance",
        /// Device interrupts.
        DeviceInterrupt = "line",
        /// Deadlines of parked virtual CPUs.
        WakeUp = "wakeup",
        /// Exits of any other kind.
        Other = "other",
        /// Times that a virtual CPU was parked until an interrupt.
        Parks = "parks",
        /// Times that a virtual CPU that waits for an event let another have the core.
        Yields = "yields",
        /// Injections into list registers.
        Injected = "injected",
        /// Firmware calls that nobody knows.
        UnknownSmc = "unknown_smc",
        /// Exceptions that the guest was made to take.
        Exceptions = "exceptions",
        /// Accesses to registers that an emulated device does not have.
        Unimplemented = "unimplemented",
        /// Things worth a note that did not stop the guest.
        Notes = "notes",
        /// Calls into the host's kernel for exits at emulated registers.
        MmioCalls = "mmio_calls",
        /// Guest registers that those calls moved.
        MmioRegisters = "mmio_registers",
        /// The most calls for one such exit.
        MmioCallsMax = "mmio_calls_max",
        /// Calls into the host's kernel.
        Calls = "calls",
        /// Guest registers that calls moved.
        Registers = "registers",
    }
}

impl Counter {
    /// Whether each count is one exit of a guest that runs on. [`Counter::WakeUp`] is none: the guest
    /// was parked; nor is [`Counter::Other`], which stops the guest.
    #[must_use]
    pub const fn is_exit(self) -> bool {
        match self {
            Self::MmioRead
            | Self::MmioWrite
            | Self::Smc
            | Self::Hvc
            | Self::Wfi
            | Self::Wfe
            | Self::SystemRegister
            | Self::Timer
            | Self::Maintenance
            | Self::DeviceInterrupt => true,
            Self::WakeUp
            | Self::Other
            | Self::Parks
            | Self::Yields
            | Self::Injected
            | Self::UnknownSmc
            | Self::Exceptions
            | Self::Unimplemented
            | Self::Notes
            | Self::MmioCalls
            | Self::MmioRegisters
            | Self::MmioCallsMax
            | Self::Calls
            | Self::Registers => false,
        }
    }
}
