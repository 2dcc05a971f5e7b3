// SPDX-License-Identifier: BSD-2-Clause
//! Random accesses, calls, waits and page tables, one after the other, as `seed=` says, for `seconds=`: the
//! monitor answers each, or with `fatal=1` stops the guest at one of them. Afterwards the calls
//! that everyone makes are answered as ever.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use guest_conformance::gic::{GICR_TYPER, Gic, ICACTIVER, IGROUPR, TYPER};
use guest_conformance::mmio::Device;
use guest_conformance::smccc::{self, NOT_SUPPORTED, PSCI_VERSION};
use guest_conformance::tables::{PAGES, Tables};
use guest_conformance::timer::{self, Limit, milliseconds};
use guest_conformance::{Platform, guest, line, read_register, require, write_register};

guest!(run, irq);

global_asm!(include_str!("../hostile.s"));

/// Default of `seconds=`.
const SECONDS: u64 = 1;
/// Interrupts taken in one storm.
const STORM: u32 = 1000;

static GIC: AtomicUsize = AtomicUsize::new(0);
static TAKEN: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" {
    static hostile_vectors: u8;
    /// Runs the instruction with this value in X0 and this address in X1.
    fn hostile_instruction(x0: u64, x1: u64, instruction: u32) -> u64;
}

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }
}

/// Takes whatever is pending; after a storm's worth it turns the timer off.
fn irq() {
    // SAFETY: `run` stores the address of a Gic that lives until the guest ends.
    let gic = unsafe { &*(GIC.load(Ordering::Relaxed) as *const Gic) };
    let taken = TAKEN.load(Ordering::Relaxed) + 1;
    TAKEN.store(taken, Ordering::Relaxed);
    let acknowledged = gic.acknowledge();
    if taken.is_multiple_of(STORM) {
        timer::disarm();
    }
    gic.end(acknowledged);
}

/// A load or store of any width, sign and register but X1, with the address in X1.
fn load_or_store(random: &mut Random) -> u32 {
    let [size, kind] = [random.below(4) as u32, random.below(4) as u32];
    let register = random.of(&[0, 2, 3, 8, 15, 31]);
    // LDR and STR, unsigned immediate 0 (Arm DDI 0487, C6.2); size 3 with kind 2 is PRFM, with
    // kind 3 nothing.
    size << 30 | 0b111001 << 24 | kind << 22 | 1 << 5 | register
}

/// A page of an emulated device, with its size.
fn device(platform: &Platform, random: &mut Random) -> (Device, u64) {
    let gic = platform.gic;
    let gicd = (gic.distributor, if gic.is_v3() { 0x1_0000 } else { 0x1000 });
    match gic.redistributor {
        Some(gicr) if random.below(2) == 0 => (gicr, 0x2_0000),
        _ => gicd,
    }
}

fn touch_device(platform: &Platform, random: &mut Random) {
    let (device, size) = device(platform, random);
    let mut offset = random.below(size - 8);
    if random.below(8) != 0 {
        offset &= !7;
    }
    execute(random.next(), device.address(offset as usize) as u64, load_or_store(random));
}

/// Reads the marker page; what is written to it is printed, so nothing is.
fn read_marker(platform: &Platform, random: &mut Random) {
    let Some(marker) = platform.marker() else { return };
    let address = marker.address(random.below(0x1000 - 8) as usize & !7);
    execute(0, address as u64, load_or_store(random) | 1 << 22);
}

fn execute(x0: u64, x1: u64, instruction: u32) -> u64 {
    // SAFETY: the instructions made here change X0, X2, X3, X8 and X15 at most, of which a call
    // may change all; they load and store at devices or where nothing is.
    unsafe { hostile_instruction(x0, x1, instruction) }
}

fn call_firmware(random: &mut Random) {
    let fast = [0x8000_0000, 0x8200_0000, 0x8300_0000, 0x8400_0000, 0xc200_0000, 0xc400_0000];
    let id = match random.below(4) {
        0 => random.next() as u32,
        _ => random.of(&fast) | random.below(0x20) as u32,
    };
    // What ends or restarts the machine, or waits: not here.
    let number = id & 0x1f;
    let is_psci = id & 0xbfff_ffe0 == 0x8400_0000;
    if !is_psci || !matches!(number, 1 | 2 | 3 | 8 | 9 | 12 | 18) {
        let _ = smccc::smc(id, [random.next(), random.next(), random.next()]);
    }
}

fn call_hypervisor(random: &mut Random) {
    // Under seL4 X7 is a system call, and those of a release kernel are -1 to -11.
    let x7 = match random.below(2) {
        0 => 0_u64.wrapping_sub(random.below(12)),
        _ => random.next() >> 1,
    };
    // SAFETY: a hypervisor may answer in X0 to X17; there is none that takes memory.
    unsafe {
        asm!("hvc #0", inout("x0") random.next() => _, inout("x1") random.next() => _,
             inout("x7") x7 => _, clobber_abi("C"));
    }
}

/// Lets the timer interrupt, whatever became of the controller: ends what may be active, takes
/// what is pending in either group.
fn recover(platform: &Platform) {
    let gic = platform.gic;
    let intid = platform.timer_intid;
    gic.set_up();
    if gic.is_v3() {
        write_register!("S3_0_C12_C12_4", 1 << 1); // ICC_CTLR_EL1.EOImode
        (0..1020).for_each(|intid| write_register!("S3_0_C12_C11_1", intid)); // ICC_DIR_EL1
        write_register!("S3_0_C12_C12_4", 0);
    } else {
        (0..1020).for_each(|intid| gic.end(intid));
    }
    for _ in 0..16 {
        if gic.is_v3() {
            write_register!("S3_0_C12_C12_6", 1); // ICC_IGRPEN0_EL1
            write_register!("S3_0_C12_C8_1", read_register!("S3_0_C12_C8_0")); // EOIR0, IAR0
        }
        gic.end(gic.acknowledge());
    }
    gic.page(intid).write(ICACTIVER, !0); // GICD_ISACTIVER at random is not ended by an EOI
    gic.page(intid).write(IGROUPR, if gic.is_v3() { !0 } else { 0 });
    gic.set_priority(intid, 0);
    gic.enable(intid);
}

fn wait(platform: &Platform, random: &mut Random) {
    recover(platform);
    timer::arm(timer::now() + milliseconds(random.below(3)));
    if random.below(2) == 0 {
        platform.gic.send_to_self(random.below(16) as u32); // pending, whatever the timer does
    }
    // SAFETY: waits; IRQs are masked.
    unsafe { asm!("wfi") };
    timer::disarm();
}

/// Interrupts through the vector, as fast as they come, for a millisecond.
fn storm(platform: &Platform) {
    recover(platform);
    timer::arm(0);
    let limit = Limit::milliseconds(1);
    // SAFETY: the handler takes interrupts in any state of the controller.
    unsafe { asm!("msr daifclr, #2") };
    while !limit.is_over() {}
    // SAFETY: masks IRQs again.
    unsafe { asm!("msr daifset, #2") };
    timer::disarm();
}

fn interface(platform: &Platform, random: &mut Random) {
    let gic = platform.gic;
    match random.below(7) {
        0 => gic.set_mask(random.next() as u8),
        1 => drop(gic.acknowledge()),
        2 => gic.end(random.below(1024) as u32),
        3 => gic.send_to_self(random.below(16) as u32),
        4 => gic.pend(random.below(64) as u32),
        5 => gic.enable(random.below(64) as u32),
        _ => gic.set_up(),
    }
}

/// MRS or MSR of a register at random, X0; not those that the guest itself stands on. The physical
/// timer's are only for `is_fatal`: most hosts keep it to themselves, and their monitor stops a
/// guest that uses it.
fn system_register(random: &mut Random, is_fatal: bool) {
    let bits = random.next() as u32;
    let (read, op0) = (bits & 1 << 21, 2 + (bits >> 19 & 1));
    let (op1, crn, crm) = (bits >> 16 & 7, bits >> 12 & 0xf, bits >> 8 & 0xf);
    let own = op0 == 2 || matches!((crn, crm), (1 | 2, _) | (4, 2) | (12, 0)) || op1 == 6;
    let physical_timer = (op0, op1, crn, crm) == (3, 3, 14, 2);
    if (read != 0 || !own) && (is_fatal || !physical_timer) {
        let random = random.next();
        execute(random, 0, 0xd500_0000 | op0 << 19 | bits & 0x0027_ffe0);
    }
}

/// Page tables that are rewritten while the guest stands on them, with loads and stores through
/// them. Pages lead to memory, to a device or nowhere, with any attributes; the guest takes the
/// aborts itself. With `is_fatal` they and their table may lie anywhere.
fn rewrite_tables(platform: &Platform, random: &mut Random, is_fatal: bool) {
    let gicd = platform.gic.distributor.address(0) as u64;
    let tables = Tables::turn_on(platform, random.next() >> 16);
    for _ in 0..16 {
        let index = random.below(PAGES);
        let output = match random.below(8) {
            0..4 => tables.spare(),
            4..7 => gicd,
            _ if is_fatal => random.next() & 0xff_ffff_f000,
            _ => tables.spare(),
        };
        // Permissions, shareability, access flag, attributes; no bits of the address, no hint that
        // neighbours belong together.
        let bits = random.next() & (0x60_u64 << 48 | 0xfff);
        tables.set_page(index, output | bits);
        if is_fatal && random.below(256) == 0 {
            tables.set_window(Some(random.next() & 0xff_ffff_f000));
        }
        if !is_fatal || random.below(2) == 0 {
            Tables::forget();
        }
        let offset = random.below(0x1000 - 8);
        execute(random.next(), tables.page(index) + offset, load_or_store(random));
    }
    tables.turn_off();
}

/// What a monitor stops a guest for, unless it has an answer.
fn fatal(platform: &Platform, random: &mut Random) {
    let gicd = platform.gic.distributor.address(0) as u64;
    let nowhere = random.next() & 0xff_ffff_fff8;
    line(format_args!("hostile: one that may be fatal, address {nowhere:#x}"));
    match random.below(5) {
        0 => drop(execute(0, nowhere, load_or_store(random))),
        1 => drop(execute(0, nowhere, 0xd61f_0020)), // BR X1
        2 => drop(execute(0, gicd, 0x2940_0820)),    // LDP W0, W2, [X1]
        3 => drop(execute(0, gicd, 0xb840_4420)),    // LDR W0, [X1], #4
        _ => drop(execute(0, gicd, 0xc85f_7c20)),    // LDXR X0, [X1]
    }
}

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    gic.set_up();
    GIC.store((&raw const gic).expose_provenance(), Ordering::Relaxed);
    // SAFETY: the vectors skip what is refused, and call `irq`.
    write_register!("vbar_el1", (&raw const hostile_vectors).addr() as u64);

    let seed = platform.argument("seed").unwrap_or(1);
    let seconds = platform.argument("seconds").unwrap_or(SECONDS);
    let is_fatal = platform.argument("fatal").unwrap_or(0) != 0;
    line(format_args!("hostile: seed {seed}, {seconds} s"));
    let typer = gic.distributor.read(TYPER);
    let mut random = Random(seed);
    let mut done = 0_u64;
    let limit = Limit::milliseconds(1000 * seconds);
    while !limit.is_over() {
        match random.below(64) {
            0..24 => touch_device(platform, &mut random),
            24..32 => read_marker(platform, &mut random),
            32..42 => call_firmware(&mut random),
            42..50 => call_hypervisor(&mut random),
            50..59 => interface(platform, &mut random),
            59 => system_register(&mut random, is_fatal),
            60 => wait(platform, &mut random),
            61 => storm(platform),
            62 if random.below(4) == 0 => rewrite_tables(platform, &mut random, is_fatal),
            _ if is_fatal && random.below(64) == 0 => fatal(platform, &mut random),
            _ => {}
        }
        done += 1;
    }

    timer::disarm();
    let version = smccc::smc(PSCI_VERSION, [0; 3]);
    require!(version >> 16 == 1, "PSCI_VERSION answers {version:#x}");
    let unknown = smccc::smc(0x8600_ff01, [0; 3]);
    require!(unknown == NOT_SUPPORTED, "an unknown call answers {unknown:#x}");
    let after = gic.distributor.read(TYPER);
    require!(after == typer, "GICD_TYPER was {typer:#x}, is {after:#x}");
    if let Some(gicr) = gic.redistributor {
        require!(gicr.read(GICR_TYPER) & 1 << 4 != 0, "GICR_TYPER.Last is gone");
    }
    let taken = TAKEN.load(Ordering::Relaxed);
    line(format_args!("hostile: {done} attempts, {taken} interrupts"));
}
