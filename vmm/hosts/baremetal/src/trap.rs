// SPDX-License-Identifier: BSD-2-Clause
//! What a synchronous exception from the guest is, as the core wants it told.

use core::arch::asm;

use arm_sysregs::el1::accessors::{read_par_el1, write_par_el1};
use arm_sysregs::el2::accessors as el2;
use vmm_core::addr::Ipa;
use vmm_core::arm::syndrome::{Abort, Class, Syndrome};
use vmm_core::host::Exit;

/// The exit behind ESR_EL2, after a synchronous exception from the guest.
pub fn exit() -> Exit {
    let esr = el2::read_esr_el2().bits();
    match Syndrome::decode(esr).class {
        Class::Hypercall => Exit::Hypercall,
        Class::Fetch(abort) | Class::Data(abort, _) => Exit::Trap { esr, ipa: aborted_at(abort) },
        _ => Exit::Trap { esr, ipa: Ipa(0) },
    }
}

/// The address of a stage-2 abort. HPFAR_EL2 has the page, FAR_EL2 the place in it, with two
/// exceptions: FAR_EL2 says nothing about a translation table walk, and HPFAR_EL2 nothing about a
/// permission fault outside one (DDI 0487, D24.2.76).
fn aborted_at(abort: Abort) -> Ipa {
    let far = el2::read_far_el2().bits();
    let hpfar = (el2::read_hpfar_el2().bits() & 0xff_ffff_fff0) << 8;
    let permission = abort.status & 0x3c == 0xc;
    match (abort.walk, permission) {
        (true, _) => Ipa(hpfar),
        (false, false) => Ipa(hpfar | far & 0xfff),
        (false, true) => Ipa(translate(far).unwrap_or(hpfar) | far & 0xfff),
    }
}

/// The guest's own translation of a virtual address, as a page: `None` if it has none.
fn translate(address: u64) -> Option<u64> {
    let kept = read_par_el1();
    // SAFETY: only PAR_EL1 changes, which is the guest's and is put back.
    unsafe { asm!("at s1e1r, {}", "isb", in(reg) address, options(nostack)) };
    let par = read_par_el1().bits();
    // SAFETY: gives the guest's value back.
    unsafe { write_par_el1(kept) };
    // PAR_EL1.F, then the page in bits 51 to 12 (DDI 0487, D24.2.142).
    (par & 1 == 0).then_some(par & 0xf_ffff_ffff_f000)
}
