// SPDX-License-Identifier: BSD-2-Clause
//! What the monitor leaves of the processor's state behind an instruction that it did itself, and
//! the exceptions that it has the guest take (Arm DDI 0487, D1.4 and D2.11).

use vmm_core::fault::Fault;
use vmm_core::host::{Action, El1};
use vmm_core::ids::Vcpu;
use vmm_core::plan::FLAG_ABORT;

use crate::common::machine::CPU0;
use crate::common::spec::{GICD, RAM, RAM_SIZE};
use crate::common::{Machine, Spec, esr};

/// PSTATE: EL1h, everything masked.
const EL1H: u64 = 0x3c5;
/// PSTATE.SS.
const STEP: u64 = 1 << 21;

fn machine(version: u32, flags: u32) -> Machine {
    let mut spec = Spec::new(version, 2);
    spec.facts.flags = flags;
    Machine::boot(&spec)
}

fn pstate(m: &Machine) -> u64 {
    m.fake.cpus[0].pstate
}

fn el1(m: &Machine, register: El1) -> u64 {
    m.fake.cpus[0].el1[register as usize]
}

#[test]
fn a_single_step_ends_behind_every_instruction_that_is_emulated() {
    let icc = esr::register(false, esr::ICC_SGI1R, 5);
    for (word, ipa) in [
        (esr::load(4, 1), GICD + 0x100),
        (esr::load(4, esr::ZR), GICD + 0x100),
        (esr::store(4, 1), GICD + 0x400),
        // Of these no register is read.
        (esr::store(4, esr::ZR), GICD + 0x400),
        (esr::store(4, 1), GICD + 0x4),
        (esr::SMC, 0),
        (esr::WFI, 0),
        (esr::WFE, 0),
        (icc, 0),
        (esr::load(4, 1) | esr::MAINTENANCE, 0x10),
    ] {
        let mut m = machine(3, 0);
        m.fake.cpus[0].pstate = EL1H | STEP | 0b01 << 10;
        m.fake.cpus[0].regs[0] = 0x8400_0000;
        let pc = m.pc(CPU0);
        m.trap(CPU0, word, ipa);
        assert_eq!((m.pc(CPU0), pstate(&m)), (pc + 4, EL1H), "{word:#x}");
    }
}

#[test]
fn an_it_block_goes_on_behind_a_thumb_instruction() {
    // ITTE EQ, at its first instruction: the condition is EQ, then EQ, then NE (E1.2.4).
    let it = |state: u64| state >> 2 << 10 | (state & 0b11) << 25;
    let thumb = 0x30_u64;
    let mut m = machine(2, 0);
    m.fake.cpus[0].pstate = thumb | it(0b0000_0110);
    let pc = m.pc(CPU0);
    // A 16-bit LDR.
    m.trap(CPU0, esr::load(4, 1) & !esr::IL, GICD + 0x100);
    assert_eq!((m.pc(CPU0), pstate(&m)), (pc + 2, thumb | it(0b0000_1100)));
    m.trap(CPU0, esr::store(4, 1) & !esr::IL, GICD + 0x400);
    assert_eq!((m.pc(CPU0), pstate(&m)), (pc + 4, thumb | it(0b0001_1000)));
    m.trap(CPU0, esr::load(4, 1), GICD + 0x100);
    assert_eq!((m.pc(CPU0), pstate(&m)), (pc + 8, thumb));
}

#[test]
fn a_host_that_cannot_change_a_32_bit_program_goes_on_or_stops_it() {
    let thumb = 0x30_u64;
    let in_block = thumb | 0b1_1000 << 8;
    for (word, pstate, goes_on) in [
        (esr::store(4, 1), thumb, true),
        (esr::store(4, 1), thumb | STEP, true),
        (esr::load(4, esr::ZR), thumb, true),
        (esr::load(4, 1), thumb, false),
        (esr::store(4, 1), in_block, false),
        // A64 programs are as ever.
        (esr::load(4, 1), 0, true),
    ] {
        let mut m = machine(2, 0);
        m.fake.forgets_aarch32 = true;
        m.fake.cpus[0].pstate = pstate;
        let pc = m.pc(CPU0);
        let action = m.trap(CPU0, word, GICD + 0x400);
        if goes_on {
            assert_eq!((action, m.pc(CPU0)), (Action::Resume, pc + 4), "{word:#x} {pstate:#x}");
            assert_eq!(self::pstate(&m), pstate, "written back it would be another");
        } else {
            let Action::Stop(kind) = action else { panic!("{word:#x} {pstate:#x} goes on") };
            assert_eq!(kind.name(), "aarch32-program");
        }
    }
}

#[test]
fn big_endian_accesses_are_the_other_way_round() {
    const EE: u64 = 1 << 25;
    let mut m = machine(2, 0);
    m.store(CPU0, GICD + 0x420, 4, 0x8010_2030);
    m.fake.cpus[0].el1[El1::Sctlr as usize] |= EE;
    assert_eq!(m.load(CPU0, GICD + 0x420, 4), 0x3020_1080);
    assert_eq!(m.load(CPU0, GICD + 0x420, 1), 0x30);
    m.store(CPU0, GICD + 0x424, 4, 0x1020_3080);
    m.fake.cpus[0].el1[El1::Sctlr as usize] &= !EE;
    assert_eq!(m.load(CPU0, GICD + 0x424, 4), 0x8030_2010);
    // Where the host cannot look they are taken as little-endian.
    m.fake.cpus[0].el1[El1::Sctlr as usize] |= EE;
    m.fake.is_far = true;
    assert_eq!(m.load(CPU0, GICD + 0x424, 4), 0x8030_2010);
}

#[test]
fn only_what_is_not_mapped_is_a_device() {
    let refused = [
        (0x09, "access flag fault"),
        (0x0d, "permission fault"),
        (0x0f, "permission fault"),
        (0x10, "synchronous external abort"),
        (0x21, "alignment fault"),
        (0x3d, "fault of another kind"),
    ];
    for (status, words) in refused {
        for flags in [0, FLAG_ABORT] {
            let mut m = machine(2, flags);
            let word = esr::store(4, 1) & !0x3f | status;
            let Action::Stop(_) = m.trap(CPU0, word, GICD) else { panic!("goes on") };
            let report = m.vm.fault().unwrap();
            assert_eq!(report.fault.kind().name(), "denied-access");
            assert!(report.fault.to_string().ends_with(words), "{}", report.fault);
            assert_eq!(m.vm.counters().mmio_write, 0);
        }
    }
    for status in [0x04, 0x05, 0x06, 0x07, 0x2b] {
        let mut m = machine(2, 0);
        assert_eq!(m.trap(CPU0, esr::load(4, 1) & !0x3f | status, GICD), Action::Resume);
    }
}

/// ESR_EL1, FAR_EL1, ELR_EL1, SPSR_EL1, program counter and PSTATE of an exception.
fn taken(m: &Machine) -> [u64; 6] {
    let [esr, far] = [el1(m, El1::Esr), el1(m, El1::Far)];
    [esr, far, el1(m, El1::Elr), el1(m, El1::Spsr), m.pc(CPU0), pstate(m)]
}

/// A machine whose plan has aborts taken, with vectors and something in the registers.
fn aborting(spsr: u64) -> Machine {
    let mut m = machine(2, FLAG_ABORT);
    let cpu = &mut m.fake.cpus[0];
    cpu.pstate = spsr;
    cpu.pc = 0xffff_8000_0000_1234;
    cpu.far = 0xffff_8000_1111_0008;
    cpu.el1[El1::Vbar as usize] = 0xffff_8000_0000_8000;
    m
}

#[test]
fn an_access_to_nothing_is_an_external_abort() {
    let far = 0xffff_8000_1111_0008;
    let (pc, vectors) = (0xffff_8000_0000_1234, 0xffff_8000_0000_8000);
    // From EL1 with its own stack pointer, with SP_EL0, from EL0, from AArch32; the flags stay.
    for (spsr, class, vector) in [
        (0x6000_0005, 0x25, 0x200),
        (0x6000_0004, 0x25, 0x000),
        (0x6000_0000, 0x24, 0x400),
        (0x6000_0030, 0x24, 0x600),
    ] {
        let mut m = aborting(spsr);
        assert_eq!(m.trap(CPU0, esr::store(4, 1), 0x10), Action::Resume);
        let word = class << 26 | 1 << 25 | 1 << 6 | 0x10;
        assert_eq!(taken(&m), [word, far, pc, spsr, vectors + vector, 0x6000_03c5]);
        let mut m = aborting(spsr);
        // A load of a pair: no syndrome, and no WnR.
        assert_eq!(m.trap(CPU0, esr::DATA, 0x10), Action::Resume);
        let word = class << 26 | 1 << 25 | 0x10;
        assert_eq!(taken(&m), [word, far, pc, spsr, vectors + vector, 0x6000_03c5]);
        assert_eq!(m.vm.counters().exceptions, 1);
        assert!(m.ended.is_none());
    }
}

#[test]
fn a_fetch_of_nothing_is_an_external_abort() {
    for (spsr, class, vector) in [(5, 0x21, 0x200), (0, 0x20, 0x400)] {
        let mut m = aborting(spsr);
        let pc = m.pc(CPU0);
        assert_eq!(m.trap(CPU0, esr::FETCH, RAM + RAM_SIZE), Action::Resume);
        let word = class << 26 | 1 << 25 | 0x10;
        assert_eq!(taken(&m), [word, pc, pc, spsr, 0xffff_8000_0000_8000 + vector, EL1H]);
    }
}

#[test]
fn an_abort_without_an_address_says_so() {
    let mut spec = Spec::new(2, 1);
    spec.facts.flags = FLAG_ABORT;
    let mut m = Machine::boot(&spec);
    m.fake.hides_addresses = true;
    m.fake.cpus[0].el1[El1::Far as usize] = 0x5555;
    assert_eq!(m.trap(CPU0, esr::load(4, 1), 0x10), Action::Resume);
    // FnV is bit 10; FAR_EL1 is left alone.
    let [word, far, ..] = taken(&m);
    assert_eq!((word, far), (0x25 << 26 | 1 << 25 | 1 << 10 | 0x10, 0x5555));
}

#[test]
fn a_host_that_does_not_reach_the_registers_stops_the_guest() {
    let mut m = machine(2, FLAG_ABORT);
    m.fake.is_far = true;
    let Action::Stop(_) = m.trap(CPU0, esr::load(4, 1), 0x10) else { panic!("goes on") };
    let report = m.vm.fault().unwrap();
    assert_eq!(report.fault.kind().name(), "unowned-address");
    assert_eq!(m.vm.counters().exceptions, 0);
}

#[test]
fn what_is_owned_and_what_is_a_walk_stops_the_guest_under_either_policy() {
    for (word, ipa, kind) in [
        (esr::DATA, GICD + 0x100, "no-syndrome"),
        (esr::load(4, 1) | esr::WALK, 0x10, "unreadable-address"),
        (esr::FETCH | esr::WALK, 0x10, "unreadable-address"),
    ] {
        let mut m = machine(2, FLAG_ABORT);
        let Action::Stop(_) = m.trap(CPU0, word, ipa) else { panic!("goes on") };
        let report = m.vm.fault().unwrap();
        assert_eq!(report.fault.kind().name(), kind);
    }
}

#[test]
fn the_physical_timer_is_an_undefined_instruction() {
    for version in [2, 3] {
        for op2 in 0..3 {
            for read in [false, true] {
                let mut m = machine(version, 0);
                let cpu = &mut m.fake.cpus[0];
                cpu.el1[El1::Vbar as usize] = 0x4000_8000;
                cpu.el1[El1::Far as usize] = 0x77;
                let (pc, registers) = (cpu.pc, cpu.regs);
                let word = esr::register(read, (3, 3, 14, 2, op2), 1);
                assert_eq!(m.trap(CPU0, word, 0), Action::Resume);
                assert_eq!(taken(&m), [1 << 25, 0x77, pc, EL1H, 0x4000_8200, EL1H]);
                assert_eq!(m.fake.cpus[0].regs, registers);
            }
        }
    }
    let mut m = machine(2, 0);
    m.fake.is_far = true;
    let Action::Stop(_) = m.trap(CPU0, esr::register(true, (3, 3, 14, 2, 1), 1), 0) else {
        panic!("goes on")
    };
    let report = m.vm.fault().unwrap();
    assert!(report.fault.to_string().contains("CNTP_CTL_EL0"), "{}", report.fault);
}

#[test]
fn the_last_cpu_that_turns_itself_off_stops_the_guest() {
    let mut m = Machine::boot_all(&Spec::new(2, 3));
    m.turn_off(Vcpu(0));
    m.wfi(Vcpu(1));
    // One sleeps, and may be woken.
    m.turn_off(Vcpu(2));
    m.fake.cpus[1].life = vmm_testkit::fake::Life::Running;
    let Action::Stop(_) = m.smc(Vcpu(1), &[0x8400_0002]) else { panic!("goes on") };
    let report = m.vm.fault().unwrap();
    assert_eq!((&report.fault, report.vcpu), (&Fault::AllCpusOff, Vcpu(1)));
    assert_eq!(m.events().last().unwrap()["kind"], "all-cpus-off");
}

/// WFIT X5 and WFET X5 (FEAT_WFxT).
const WFIT_X5: u64 = esr::WFI | 0b10 | 1 << 2 | 5 << 5;

#[test]
fn a_wait_with_a_deadline_ends_there() {
    let mut m = machine(2, 0);
    let now = m.fake.now;
    m.set_reg(CPU0, 5, now + 500);
    assert_eq!(m.trap(CPU0, WFIT_X5, 0), Action::Park { until: Some(now + 500) });
    m.fake.pass(499);
    m.settle();
    assert!(m.parked(CPU0));
    m.fake.pass(1);
    m.settle();
    assert!(m.runs(CPU0));
}

#[test]
fn the_earlier_of_timer_and_deadline_counts() {
    for (cval, deadline, first) in [(300, 500, 300), (700, 500, 500)] {
        let mut m = machine(2, 0);
        let now = m.fake.now;
        m.fake.cpus[0].timer.ctl = 1;
        m.fake.cpus[0].timer.cval = now + cval;
        m.set_reg(CPU0, 5, now + deadline);
        assert_eq!(m.trap(CPU0, WFIT_X5, 0), Action::Park { until: Some(now + first) });
    }
}

#[test]
fn a_deadline_that_has_passed_or_is_not_told_is_no_wait() {
    let xzr = WFIT_X5 | 31 << 5;
    for (word, at) in [(WFIT_X5, 1000), (WFIT_X5, 0), (xzr, 1 << 40), (esr::WFI | 0b10, 1 << 40)] {
        let mut m = machine(2, 0);
        assert_eq!(m.fake.now, 1000);
        m.set_reg(CPU0, 5, at);
        let pc = m.pc(CPU0);
        assert_eq!(m.trap(CPU0, word, 0), Action::Resume);
        assert_eq!((m.pc(CPU0), m.vm.counters().parks), (pc + 4, 0));
    }
}

/// MRC p15, 0, r1, c14, c2, 1 and MRRC p15, 2, r1, r2, c14: CNTP_CTL and CNTP_CVAL (DDI 0487, D24.2.46,
/// ISS encodings for EC 0x03 and 0x04).
#[test]
fn the_physical_timer_is_undefined_for_a_32_bit_program_too() {
    let always = 1 << 25 | 1 << 24 | 0xe << 20;
    let mrc = 0x03 << 26 | always | 1 << 17 | 14 << 10 | 1 << 5 | 2 << 1 | 1;
    let mrrc = 0x04 << 26 | always | 2 << 16 | 2 << 10 | 1 << 5 | 14 << 1 | 1;
    for word in [mrc, mrrc] {
        let mut m = machine(3, 0);
        m.fake.cpus[0].pstate = 0x10;
        let pc = m.pc(CPU0);
        assert_eq!(m.trap(CPU0, word, 0), Action::Resume);
        assert_eq!(m.vm.counters().exceptions, 1);
        // Lower level, AArch32, synchronous.
        assert_eq!(m.pc(CPU0) & 0x7ff, 0x600);
        assert_ne!(m.pc(CPU0), pc);
    }
}
