// SPDX-License-Identifier: BSD-2-Clause
//! Other CPUs: starting them by PSCI, and waiting for what they have done.
//!
//! The MMU is off, so memory is Device memory, where exclusive accesses need not work (Arm DDI 0487,
//! B2.12.2): CPUs talk by plain loads and stores, one writer to a place.

use core::cell::UnsafeCell;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use fdt::Fdt;

use crate::smccc::{self, smc};
use crate::timer::Limit;
use crate::{Entry, Platform, report_failure, require};

/// CPUs that the guests use.
pub const CPUS: usize = 4;

/// The CPUs besides the first.
pub const OTHERS: Range<usize> = 1..CPUS;

/// How long a CPU may take for anything, in milliseconds: on one core they take turns.
pub const PATIENCE: u64 = 20_000;

/// A number for each CPU, which it alone writes.
#[derive(Debug)]
pub struct PerCpu([AtomicU64; CPUS]);

impl PerCpu {
    /// All zero.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "for statics")]
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; CPUS])
    }

    /// A CPU's number.
    #[must_use]
    pub fn get(&self, cpu: usize) -> u64 {
        self.0[cpu].load(Ordering::SeqCst)
    }

    /// Changes a CPU's number.
    pub fn set(&self, cpu: usize, value: u64) {
        self.0[cpu].store(value, Ordering::SeqCst);
    }

    /// Fails the guest unless the number of this CPU becomes `value` soon.
    pub fn wait(&self, cpu: usize, value: u64, what: &str) {
        let limit = Limit::milliseconds(PATIENCE);
        while self.get(cpu) != value {
            require!(!limit.is_over(), "CPU {cpu}: {what} is {}, not {value}", self.get(cpu));
        }
    }
}

#[repr(C, align(16))]
struct Stack(UnsafeCell<[u8; 0x4000]>);

// SAFETY: only its address is used, as the stack of one CPU.
unsafe impl Sync for Stack {}

/// Stacks of the other CPUs.
static STACKS: [Stack; CPUS - 1] = [const { Stack(UnsafeCell::new([0; 0x4000])) }; CPUS - 1];

/// Address of the device tree, for the other CPUs.
static TREE: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    static secondary_entry: u8;
}

unsafe extern "Rust" {
    fn guest_secondary(cpu: usize, platform: &mut Platform);
}

fn stack_top(cpu: usize) -> u64 {
    (&raw const STACKS[cpu - 1]).addr() as u64 + size_of::<Stack>() as u64
}

/// Asks the firmware to start another CPU (1 and up); its answer. The CPU calls what `guest!` was
/// given for it, with a platform whose interrupt controller is its own.
#[must_use]
pub fn turn_on(platform: &Platform, cpu: usize) -> u64 {
    TREE.store(platform.entry.x[0] as usize, Ordering::SeqCst);
    let entry = (&raw const secondary_entry).addr() as u64;
    smc(smccc::CPU_ON[1], [cpu as u64, entry, stack_top(cpu)])
}

/// Starts every other CPU.
pub fn turn_all_on(platform: &Platform) {
    for cpu in OTHERS {
        let answer = turn_on(platform, cpu);
        require!(answer == 0, "CPU_ON of {cpu} answered {answer:#x}");
    }
}

/// Turns this CPU off.
pub fn turn_off() -> ! {
    let answer = smc(smccc::CPU_OFF, [0; 3]);
    report_failure(format_args!("CPU_OFF came back with {answer:#x}"))
}

/// AFFINITY_INFO of a CPU: 0 on, 1 off, 2 on its way on.
#[must_use]
pub fn affinity_info(cpu: usize) -> u64 {
    smc(smccc::AFFINITY_INFO[1], [cpu as u64, 0, 0])
}

#[unsafe(no_mangle)]
extern "C" fn runtime_secondary(entry: &Entry) -> ! {
    let Some(cpu) = OTHERS.into_iter().find(|cpu| stack_top(*cpu) == entry.x[0]) else {
        report_failure(format_args!("a CPU was started with X0 = {:#x}", entry.x[0]))
    };
    // SAFETY: the address that the first CPU was given, by whose device tree it runs.
    let tree = unsafe { Fdt::from_ptr(TREE.load(Ordering::SeqCst) as *const u8) };
    let Ok(tree) = tree else { report_failure(format_args!("CPU {cpu} finds no device tree")) };
    let mut platform = Platform::new(tree, *entry);
    platform.gic = platform.gic.of(cpu);
    // SAFETY: `guest!` defines it with this type.
    unsafe { guest_secondary(cpu, &mut platform) };
    turn_off()
}
