// SPDX-License-Identifier: BSD-2-Clause
//! What can be found, and why it matters.

use std::cmp::Ordering;
use std::fmt;

use serde::{Serialize, Serializer};

use self::Severity::{Error, Note};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// An error that was accepted by name ([`Accept`](crate::wish::Accept)).
    Accepted,
    /// The guest will not run as it should, or reaches what is not its own.
    Error,
}

macro_rules! rules {
    ($($rule:ident = $id:literal, $severity:ident, $text:literal;)*) => {
        /// A kind of finding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Rule {
            $(#[doc = $text] $rule,)*
        }

        impl Rule {
            /// Every kind, by subject.
            pub const ALL: &'static [Self] = &[$(Self::$rule,)*];

            /// Its name, which never changes.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self {
                    $(Self::$rule => $id,)*
                }
            }

            /// How bad it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$rule => $severity,)*
                }
            }

            /// What it means, why it matters and what to do: a paragraph.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$rule => $text,)*
                }
            }
        }
    };
}

rules! {
    MemoryMismatch = "memory-mismatch", Error,
        "The memory nodes of the guest's tree and the RAM that the guest is given must be the same \
         addresses. With more in the tree Linux touches memory that is not there and is stopped; with \
         less it wastes what it has. Change one number and the other follows by itself if guestplan \
         writes the tree.";
    RegionOverlap = "region-overlap", Error,
        "Two things are at the same guest-physical addresses: two regions, a region and a device that \
         the monitor emulates (GICD, GICR, the marker page, the clock), or RAM and the registers of a node. Only \
         one of them can answer, and the other is silently not there.";
    TwoOwners = "two-owners", Error,
        "A device, a piece of memory or an interrupt belongs to two at the same time. Two drivers of \
         one device undo each other's work, and a guest that shares memory with the monitor can change \
         it. The one exception is the console UART, which the monitor uses once the guest is stopped.";
    MixedMemory = "mixed-memory", Error,
        "A region crosses from normal memory into device registers. It has one set of attributes: \
         registers that are cached lose accesses, memory that is not cached is slow and does not keep \
         atomic operations.";
    RegionTooLarge = "region-too-large", Error,
        "The kernel cannot give a region of this size: the board's memory, less what the kernel, its \
         initial task and the other regions take, is smaller. The Microkit tool would refuse it as \
         well, but after the whole build.";
    RegionOutOfRange = "region-out-of-range", Error,
        "The kernel maps guest-physical addresses up to a limit: seL4 below 2^40 on a processor with 40 \
         bits of physical address, the bare-metal host below 4 GiB. Registers beyond cannot be given. \
         The Microkit tool would refuse them as well, but after the whole build, and the bare-metal host \
         when it starts.";
    PlanTooLarge = "plan-too-large", Error,
        "The plan block, by which the monitor knows its guest, has tables of a fixed size: so many \
         interrupts, regions and rules and no more. Pass fewer devices through. Regions and rules can have \
         larger tables in another monitor; interrupts cannot, because Microkit has 62 channels for a \
         protection domain.";
    NodeUnmapped = "node-unmapped", Error,
        "An enabled node has registers that the guest can reach neither in a region nor in an emulated \
         device. Its driver touches them when it starts, and the monitor stops the guest. Disable the \
         node, take its driver out of the kernel, or pass the device through.";
    RegistersMissing = "registers-missing", Error,
        "A node that is passed through has a reg that leads to no registers of the CPU: its address is in \
         no window of the bus, the bus has no ranges or counts in other cells, the entry is cut short or \
         has no size; or it is a bus, which has nothing of its own. The guest would get less than was \
         asked for. Correct the board's tree, or name the devices themselves.";
    RegionWithoutNode = "region-without-node", Error,
        "The guest is given device registers that no enabled node of its tree describes. No driver will \
         use them, but everything in the guest that can map memory can. Take the region out.";
    PageExposesNeighbour = "page-exposes-neighbour", Error,
        "Memory is given in pages of 4 KiB, and a region may be larger than the device it is for. The \
         pages of this one also hold registers of devices that the guest was not given, and it can use \
         them all the same.";
    IrqOffset = "irq-offset", Error,
        "A tree counts shared interrupts (SPI) from 0, the interrupt controller and Microkit count all \
         interrupts (INTID), where SPIs start at 32. This line has a number that a node's SPI has, so \
         32 is missing; another device's interrupt is passed through instead.";
    IrqTrigger = "irq-trigger", Error,
        "Tree and system file disagree on level or edge. A level interrupt taken as an edge is lost \
         when it stays high across its handling; an edge taken as a level may never be seen.";
    IrqOfDisabledNode = "irq-of-disabled-node", Error,
        "An interrupt line is passed through, but the node that raises it is disabled in the guest's \
         tree, or no node raises it. When it fires nobody acknowledges it at the device, so it stays \
         masked or fires without end.";
    IrqMissing = "irq-missing", Error,
        "The guest has a device's registers but not its interrupt. Its driver starts, waits for the \
         first interrupt, and waits for ever.";
    IrqOutOfRange = "irq-out-of-range", Error,
        "The kernel has a highest interrupt (seL4: MAX_IRQ), and the GIC has none from 1020 on. A line \
         beyond is refused by the kernel when the system starts, and a release kernel does so without \
         a word. Keep the device from the guest, or build a kernel that knows more.";
    IrqUnresolved = "irq-unresolved", Error,
        "An interrupt of a passed node does not lead to the GIC: another controller stands between that \
         the guest does not have, or its specifier is too short or of no known kind. Pass that \
         controller through as well, or let the driver do without (drop=others), if it can poll.";
    ProviderMissing = "provider-missing", Error,
        "A node needs a clock, a pin set-up, a power domain, a reset, a supply, a GPIO, a DMA channel or \
         anything else of a node that the guest does not have. Its driver is deferred and never starts, mostly \
         without a message. Replace it (fixed clocks), let the node do without (the firmware's set-up \
         stays as it is), or pass the provider through as well.";
    ProviderOwnsConsole = "provider-owns-console", Error,
        "The guest is given a device that the console's UART depends on: its clock, power or pin \
         controller. Linux turns off what it believes is unused, and so can stop the UART that \
         everyone uses, the monitor's reports included. A UART with fixed clocks needs none of them.";
    DmaNoSmmu = "dma-no-smmu", Error,
        "The device reads and writes memory on its own, and there is no SMMU between it and memory. \
         Whoever programs it reaches the kernel, the monitor and every other domain: the guest is then \
         as trusted as they are.";
    DmaUnknown = "dma-unknown", Error,
        "Nobody here knows whether the device reads or writes memory on its own, and there is no SMMU \
         between it and memory; so it is taken for one that does. What is known to leave memory alone \
         stands in vmm/plan/no_dma.txt with the reason. Look into its manual: put it there, or keep it \
         from the guest, or trust the guest (--accept dma-unknown).";
    BusBridge = "bus-bridge", Error,
        "The device is the bridge to a bus with addresses of its own, such as PCI. What lies behind it is \
         found by asking the bridge, in windows of memory (ranges), with interrupt lines (interrupt-map) \
         and an MSI controller, and none of that is planned: the guest is stopped by the first access. \
         A bridge stays with the board.";
    DmaAddresses = "dma-addresses", Error,
        "The device uses the addresses that the guest writes into it as physical ones. Guest RAM has \
         other physical addresses, or ones that the kernel chooses, so its transfers go to somebody \
         else's memory. Place guest RAM with equal addresses (--identity).";
    DriverNeedsFirmware = "driver-needs-firmware", Error,
        "A driver that stays in the guest makes a firmware call (SMC) which the monitor answers with -1, \
         'not supported'. Some drivers cope, some fail, some take the answer for a number. Disable the \
         driver, let the monitor answer with a value, or forward the call where the board allows it.";
    BoardMismatch = "board-mismatch", Error,
        "The board's own device tree and board.toml contradict each other: another machine, another \
         interrupt controller, console or timer. One of the two is not of this board, and a guest planned \
         from both is mute or stopped. Give the right tree, or correct the facts.";
    RamOverReserved = "ram-over-reserved", Error,
        "The board's own device tree keeps memory for others (/reserved-memory, /memreserve/), firmware \
         or another processor, or has no memory at all where the plan takes some. Two that write the same \
         memory damage each other. Place it elsewhere, by the facts of the board or with less RAM.";
    GicMismatch = "gic-mismatch", Error,
        "The interrupt controller in the guest's tree is not the one that the monitor gives it: another \
         version, or other addresses. Linux then has no interrupts at all, or stops on the first access.";
    GicvOnGicv3 = "gicv-on-gicv3", Error,
        "The virtual CPU interface of the GIC is mapped, but this guest has a GICv3, whose CPU interface \
         is in system registers. The page is not needed, and through it a guest acknowledges and ends \
         interrupts behind the monitor's back.";
    VcpuCount = "vcpu-count", Error,
        "The processors in the guest's tree, or the way to start and stop them (PSCI by SMC), are not \
         what the monitor gives. A processor too many is waited for at boot; HVC is a seL4 system call \
         and cannot carry PSCI.";
    StdoutUnmapped = "stdout-unmapped", Error,
        "The console that the guest's tree names is disabled, not mapped, or not there. The guest may \
         well run, but nobody hears of it.";
    ConsoleMismatch = "console-mismatch", Error,
        "The boot arguments name a console (console=) that is none of the guest's UARTs. With a console= \
         Linux does not look at the tree's stdout-path, so it runs and nobody hears of it. Name the \
         right one, or none.";
    ArgumentsCut = "arguments-cut", Error,
        "The boot arguments are longer than Linux's command line, 2,047 bytes on arm64. It keeps the \
         beginning and drops the rest without a word, and at the end stand mostly console= and root=.";
    ImageOverlap = "image-overlap", Error,
        "Kernel, device tree and initial RAM file system overlap, leave guest RAM, or are not where the \
         tree says. The kernel needs image_size bytes, which is more than its file: the zeroed data \
         behind it overwrites what lies there before anything has run.";
    InitramfsTooBig = "initramfs-too-big", Error,
        "The initial RAM file system unpacks into a tmpfs, which takes half of the memory that Linux has \
         left at boot and no more; an area for contiguous memory (64 MiB in Debian's kernel from 192 MiB \
         of RAM on) does not count. Beyond that, unpacking ends with a write error although memory is \
         free. More RAM, a smaller file system, cma=0 if no device needs it, or rootfstype=ramfs, which has no limit.";
    InitramfsUnusable = "initramfs-unusable", Error,
        "The file in the initial RAM file system's place is none that Linux unpacks: a compression it \
         does not read (xz with CRC64, which is the default of xz; lz4 in its frame format), an image of a \
         disk, a kernel. Linux says little about it and panics for want of a root file system. A disk \
         image may be meant where root=/dev/ram0 stands in the boot arguments.";
    InitramfsUnknown = "initramfs-unknown", Note,
        "The initial RAM file system is compressed in a format that does not say on its outside how much \
         it unpacks to, so whether it fits is not known before it boots.";
    NoEntropy = "no-entropy", Note,
        "Nothing seeds random numbers for the guest: firmware calls for them (SMCCC TRNG) are answered \
         NOT_SUPPORTED, and its tree has no rng-seed and no kaslr-seed. Linux gathers its own within \
         seconds or minutes, is loaded at the same place each time, and until it is ready takes one lock \
         for every random number, which several virtual CPUs in turns on a core hand over slowly.";
    SharedCore = "shared-core", Note,
        "There are more virtual CPUs than cores, so some take turns of 1 ms. One that waits for a lock \
         lets another run where the processor traps WFE (hardware under seL4 does, QEMU's emulation does \
         not: there a contended lock is handed over once a turn). Give the guest as many virtual CPUs as \
         the kernel has cores, or take a kernel with more.";
    DebugConsole = "debug-console", Note,
        "A debug kernel prints on the console that the guest owns. Its lines stand between the guest's \
         own. That is what a debug kernel is for; what people see should be built in release.";
}

impl Rule {
    /// The kind of that name.
    ///
    /// # Errors
    /// There is none; the text has all that there are.
    pub fn from_id(id: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().copied();
        known.clone().find(|rule| rule.id() == id).ok_or_else(|| {
            let all: Vec<_> = known.map(Self::id).collect();
            format!("no finding is called '{id}'; there is: {}", all.join(", "))
        })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.id())
    }
}

/// By name.
impl Ord for Rule {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id().cmp(other.id())
    }
}

impl PartialOrd for Rule {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
