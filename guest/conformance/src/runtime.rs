// SPDX-License-Identifier: BSD-2-Clause
//! From the first instruction to the verdict.

use core::arch::global_asm;
use core::fmt;
use core::ops::Range;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::smccc::system_off;
use crate::{Platform, line};

global_asm!(include_str!("start.s"));

unsafe extern "Rust" {
    static GUEST_NAME: &'static str;
    fn guest_run(platform: &mut Platform);
}

/// What a processor held when it was entered.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Entry {
    /// X0 to X3: the device tree's address, then zeros (booting.rst). On CPUs besides the first X0
    /// is what CPU_ON was given.
    pub x: [u64; 4],
    /// DAIF.
    pub daif: u64,
    /// CurrentEL.
    pub current_el: u64,
    /// SCTLR_EL1.
    pub sctlr: u64,
    /// CNTV_CTL_EL0.
    pub timer: u64,
}

/// Where the guest is: first and last-plus-one address, memory behind the file included.
#[must_use]
pub fn image() -> Range<usize> {
    unsafe extern "C" {
        static image_header: u8;
        static image_end: u8;
    }
    (&raw const image_header).addr()..(&raw const image_end).addr()
}

fn name() -> &'static str {
    // SAFETY: `guest!` defines it, and nobody writes it.
    unsafe { GUEST_NAME }
}

#[unsafe(no_mangle)]
extern "C" fn runtime_start(entry: &Entry) -> ! {
    // SAFETY: by the boot protocol X0 is the address of a device tree that nothing writes to.
    let tree = unsafe { fdt::Fdt::from_ptr(entry.x[0] as *const u8) };
    // Without a device tree there is no console to say so: the time limit of whoever waits ends it.
    let Ok(tree) = tree else { system_off() };
    let mut platform = Platform::new(tree, *entry);
    // SAFETY: `guest!` defines it with this type.
    unsafe { guest_run(&mut platform) };
    line(format_args!("conformance: {}: PASS", name()));
    platform.console.drain();
    system_off()
}

#[unsafe(no_mangle)]
extern "C" fn runtime_exception(vector: u64, esr: u64, elr: u64, far: u64) -> ! {
    report_failure(format_args!(
        "exception by vector {vector}: ESR_EL1 {esr:#x}, ELR_EL1 {elr:#x}, FAR_EL1 {far:#x}"
    ))
}

/// Ends the guest: it failed for this reason, given as one line. See [`crate::fail!`].
pub fn report_failure(reason: fmt::Arguments<'_>) -> ! {
    static FAILED: AtomicBool = AtomicBool::new(false);
    // A failure while reporting one (the console is gone) must not go round for ever.
    if !FAILED.load(Ordering::Relaxed) {
        FAILED.store(true, Ordering::Relaxed);
        line(format_args!("conformance: {}: FAIL {reason}", name()));
    }
    system_off()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    match info.location() {
        Some(at) => crate::fail!("{} ({}:{})", info.message(), at.file(), at.line()),
        None => crate::fail!("{}", info.message()),
    }
}
