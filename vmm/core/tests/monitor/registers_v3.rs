// SPDX-License-Identifier: BSD-2-Clause
//! GICv3's distributor, redistributors and system registers (Arm IHI 0069H, 12.9, 12.11, 12.2).

use vmm_core::host::Action;
use vmm_core::ids::Vcpu;

use crate::common::machine::CPU0;
use crate::common::spec::{GICD, GICR, LEVELS};
use crate::common::{Machine, Spec, esr};

const CPU1: Vcpu = Vcpu(1);

fn machine(vcpus: u32) -> Machine {
    Machine::boot_all(&Spec::new(3, vcpus))
}

/// Base of a vCPU's redistributor.
const fn rd(v: u64) -> u64 {
    GICR + v * 0x2_0000
}

/// Base of its SGI frame.
const fn sgi(v: u64) -> u64 {
    rd(v) + 0x1_0000
}

fn ones(m: &mut Machine, at: u64) -> u64 {
    m.store(CPU0, at, 4, u64::MAX);
    m.load(CPU0, at, 4)
}

#[test]
fn control_has_routing_on_and_one_security_state() {
    let mut m = machine(1);
    assert_eq!(m.load(CPU0, GICD, 4), 0x50);
    assert_eq!(ones(&mut m, GICD), 0x53);
    m.store(CPU0, GICD, 4, 0b10);
    assert_eq!(m.load(CPU0, GICD, 4), 0x52);
    m.store(CPU0, GICD, 4, 0);
    assert_eq!(m.load(CPU0, GICD, 4), 0x50, "neither can be turned off");
}

#[test]
fn type_tells_lines_and_no_lpis() {
    for (lines, field) in [(64, 1), (288, 8), (992, 30)] {
        let mut spec = Spec::new(3, 2);
        spec.facts.gic.intid_count = lines;
        let mut m = Machine::boot(&spec);
        let typer = m.load(CPU0, GICD + 4, 4);
        assert_eq!(typer & 0x1f, field);
        assert_eq!(typer >> 17 & 1, 0, "no LPIs");
        assert_eq!(typer >> 10 & 1, 0, "one security state");
        assert_eq!((typer >> 19 & 0x1f) + 1, 10, "bits of an INTID");
        assert_eq!(typer >> 24 & 1, 1, "affinity 3 counts");
        assert_eq!(typer >> 25 & 1, 1, "no 1-of-N");
        assert_eq!(ones(&mut m, GICD + 4), typer, "read-only");
    }
}

#[test]
fn an_sgi_frame_has_registers_of_32_interrupts_alone() {
    let mut m = machine(1);
    let shared = [0x084, 0x104, 0x204, 0x420, 0xc08];
    for at in shared {
        // The word before it, where that is one of the frame's, and it.
        m.store(CPU0, sgi(0) + (at & !7), 8, u64::MAX);
        assert_eq!(m.load(CPU0, sgi(0) + at, 4), 0, "{at:#x}");
    }
    for at in shared {
        assert_eq!(m.load(CPU0, GICD + at, 4), 0, "{at:#x} of the distributor");
    }
}

#[test]
fn identification() {
    let mut m = machine(1);
    assert_eq!(ones(&mut m, GICD + 0x0008), 0x43b);
    assert_eq!(ones(&mut m, GICD + 0xffe8) >> 4, 3, "architecture 3");
    assert_eq!(ones(&mut m, rd(0) + 0x0004), 0x43b);
    assert_eq!(ones(&mut m, rd(0) + 0xffe8) >> 4, 3);
    assert_eq!(m.load(CPU0, GICD + 0xffe0, 4), 0);
    assert_eq!(m.vm.counters().unimplemented, 0);
}

#[test]
fn the_distributor_has_no_private_interrupts() {
    let mut m = machine(1);
    for offset in [0x080, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380, 0x400, 0x41c, 0xc00, 0xc04] {
        assert_eq!(ones(&mut m, GICD + offset), 0, "{offset:#x}");
    }
    for offset in [0x080, 0x100, 0x200, 0x400, 0x41c] {
        assert_eq!(m.load(CPU0, sgi(0) + offset, 4), 0, "{offset:#x}");
    }
    assert_eq!(m.vm.counters().unimplemented, 0);
}

#[test]
fn targets_are_not_there_with_routing() {
    let mut m = machine(2);
    for offset in [0x800, 0x820, 0xbfc] {
        assert_eq!(ones(&mut m, GICD + offset), 0);
    }
    assert_eq!(m.load(CPU0, GICD + 0x6000 + 8 * 32, 8), 0, "nor do they change a route");
}

#[test]
fn shared_blocks_read_back() {
    let mut m = machine(1);
    assert_eq!(ones(&mut m, GICD + 0x084), 0xffff_ffff);
    m.store(CPU0, GICD + 0x104, 4, 0xf0f0_0001);
    m.store(CPU0, GICD + 0x184, 4, 0x00f0_0000);
    assert_eq!(m.load(CPU0, GICD + 0x104, 4), 0xf000_0001);
    m.store(CPU0, GICD + 0x204, 4, 0x6);
    m.store(CPU0, GICD + 0x284, 4, 0x2);
    assert_eq!(m.load(CPU0, GICD + 0x284, 4), 0x4);
    assert_eq!(ones(&mut m, GICD + 0x420), 0xf8f8_f8f8);
    assert_eq!(ones(&mut m, GICD + 0xc08), 0xaaaa_aaaa);
    m.store(CPU0, GICD + 0x304, 4, 0xf0f0);
    m.store(CPU0, GICD + 0x384, 4, 0x00f0);
    assert_eq!(m.load(CPU0, GICD + 0x304, 4), 0xf000);
}

#[test]
fn what_else_the_distributor_may_have_reads_as_zero() {
    let mut m = machine(1);
    // TYPER2, STATUSR, SETSPI_NSR, CLRSPI_NSR, IGRPMODR, NSACR, SGIR, CPENDSGIR, SPENDSGIR
    for offset in [0x00c, 0x010, 0x040, 0x048, 0xd00, 0xe00, 0xf00, 0xf10, 0xf20] {
        assert_eq!(ones(&mut m, GICD + offset), 0, "{offset:#x}");
    }
    assert_eq!(m.vm.counters().unimplemented, 0, "known");
    for offset in [0x1000, 0x5ffc, 0x8000, 0xffcc] {
        assert_eq!(ones(&mut m, GICD + offset), 0, "{offset:#x}");
    }
    assert_eq!(m.vm.counters().unimplemented, 8, "unknown");
}

#[test]
fn a_route_reads_back_whole_and_in_halves() {
    let mut m = machine(2);
    let route = GICD + 0x6000 + 8 * 40;
    m.store(CPU0, route, 8, u64::MAX);
    assert_eq!(m.load(CPU0, route, 8), 0xff_80ff_ffff, "affinities and the mode");
    m.store(CPU0, route, 4, 0x0000_0001);
    assert_eq!(m.load(CPU0, route, 8), 0xff_0000_0001, "the upper half stays");
    m.store(CPU0, route + 4, 4, 0);
    assert_eq!(m.load(CPU0, route, 8), 1);
    assert_eq!((m.load(CPU0, route, 4), m.load(CPU0, route + 4, 4)), (1, 0));
    m.store(CPU0, route + 4, 4, 0xffff_ffff);
    assert_eq!(m.load(CPU0, route + 4, 4), 0xff);
}

#[test]
fn every_shared_interrupt_has_a_route_and_no_private_one() {
    let mut m = machine(1);
    for intid in 0..64_u64 {
        m.store(CPU0, GICD + 0x6000 + 8 * intid, 8, intid);
    }
    for intid in 0..64_u64 {
        let expected = if intid < 32 { 0 } else { intid };
        assert_eq!(m.load(CPU0, GICD + 0x6000 + 8 * intid, 8), expected, "INTID {intid}");
    }
    // Beyond the last: known, zero.
    m.store(CPU0, GICD + 0x6000 + 8 * 64, 8, 1);
    assert_eq!(m.load(CPU0, GICD + 0x6000 + 8 * 64, 8), 0);
    assert_eq!(m.load(CPU0, GICD + 0x7ff8, 8), 0);
    assert_eq!(m.vm.counters().unimplemented, 0);
}

#[test]
fn a_redistributor_tells_whose_it_is() {
    for vcpus in 1..=4 {
        let mut m = machine(vcpus);
        for v in 0..u64::from(vcpus) {
            let typer = m.load(CPU0, rd(v) + 8, 8);
            assert_eq!(typer >> 32, v, "affinity");
            assert_eq!(typer >> 8 & 0xffff, v, "processor number");
            assert_eq!(typer >> 4 & 1 == 1, v + 1 == u64::from(vcpus), "the last one says so");
            assert_eq!(typer & 0b1001, 0, "no LPIs");
            assert_eq!(m.load(CPU0, rd(v) + 8, 4), typer & 0xffff_ffff);
            assert_eq!(m.load(CPU0, rd(v) + 12, 4), typer >> 32);
            m.store(CPU0, rd(v) + 8, 8, u64::MAX);
            assert_eq!(m.load(CPU0, rd(v) + 8, 8), typer, "read-only");
        }
    }
}

#[test]
fn there_are_as_many_redistributors_as_vcpus() {
    let mut m = machine(2);
    let Action::Stop(_) = m.trap(CPU0, esr::load(4, 1), rd(2)) else { panic!("goes on") };
    let report = m.vm.fault().unwrap();
    assert_eq!(report.fault.kind().name(), "unowned-address");
}

#[test]
fn a_redistributor_wakes_and_sleeps() {
    let mut m = machine(2);
    assert_eq!(m.load(CPU0, rd(1) + 0x14, 4), 0b110, "asleep after reset");
    m.store(CPU0, rd(1) + 0x14, 4, 0);
    assert_eq!(m.load(CPU0, rd(1) + 0x14, 4), 0, "children follow at once");
    assert_eq!(m.load(CPU0, rd(0) + 0x14, 4), 0b110, "the other one sleeps on");
    m.store(CPU0, rd(1) + 0x14, 4, 0b010);
    assert_eq!(m.load(CPU0, rd(1) + 0x14, 4), 0b110);
    m.store(CPU0, rd(1) + 0x15, 1, 0);
    assert_eq!(m.load(CPU0, rd(1) + 0x14, 4), 0b110, "another byte changes nothing");
}

#[test]
fn a_redistributor_without_lpis() {
    let mut m = machine(1);
    // CTLR, STATUSR, SETLPIR, CLRLPIR, PROPBASER, PENDBASER, INVLPIR, INVALLR, SYNCR
    for offset in [0x00, 0x10, 0x40, 0x48, 0x70, 0x78, 0xa0, 0xb0, 0xc0] {
        assert_eq!(ones(&mut m, rd(0) + offset), 0, "{offset:#x}");
    }
    assert_eq!(m.vm.counters().unimplemented, 0);
    assert_eq!(ones(&mut m, rd(0) + 0x100), 0);
    assert_eq!(ones(&mut m, rd(0) + 0xff00), 0);
    assert_eq!(m.vm.counters().unimplemented, 4);
}

#[test]
fn private_blocks_read_back() {
    let mut m = machine(1);
    let frame = sgi(0);
    assert_eq!(ones(&mut m, frame + 0x080), 0xffff_ffff);
    m.store(CPU0, frame + 0x100, 4, 0x8000_ffff);
    m.store(CPU0, frame + 0x180, 4, 0xff00);
    assert_eq!(m.load(CPU0, frame + 0x180, 4), 0x8000_00ff);
    assert_eq!(ones(&mut m, frame + 0x200), 0xffff_ffff, "SGIs too");
    m.store(CPU0, frame + 0x280, 4, 0xffff_fff0);
    assert_eq!(m.load(CPU0, frame + 0x280, 4), 0xf);
    m.store(CPU0, frame + 0x300, 4, 0xf0f0);
    m.store(CPU0, frame + 0x380, 4, 0x00f0);
    assert_eq!(m.load(CPU0, frame + 0x300, 4), 0xf000);
    assert_eq!(ones(&mut m, frame + 0x41c), 0xf8f8_f8f8);
    m.store(CPU0, frame + 0x40d, 1, 0x38);
    assert_eq!(m.load(CPU0, frame + 0x40c, 4), 0x3800);
    assert_eq!(ones(&mut m, frame + 0xc00), 0xaaaa_aaaa);
    assert_eq!(ones(&mut m, frame + 0xc04), 0, "PPIs are levels");
}

#[test]
fn a_private_frame_has_no_shared_interrupts() {
    let mut m = machine(1);
    for offset in [0x084, 0x104, 0x204, 0x420, 0x800, 0x820, 0xc08] {
        assert_eq!(ones(&mut m, sgi(0) + offset), 0, "{offset:#x}");
    }
    assert_eq!(m.load(CPU0, GICD + 0x104, 4), 0);
    // IGRPMODR0, NSACR, identification: known. Below the blocks there is nothing.
    for offset in [0xd00, 0xe00, 0xffe8] {
        assert_eq!(ones(&mut m, sgi(0) + offset), 0, "{offset:#x}");
    }
    assert_eq!(m.vm.counters().unimplemented, 0);
    assert_eq!(ones(&mut m, sgi(0) + 0x7c), 0);
    assert_eq!(m.vm.counters().unimplemented, 2);
}

#[test]
fn a_private_frame_belongs_to_its_vcpu_whoever_writes() {
    let mut m = machine(2);
    m.store(CPU0, sgi(1) + 0x100, 4, 1 << 20);
    m.store(CPU0, sgi(1) + 0x080, 4, 1 << 20);
    m.store(CPU0, GICD, 4, 0b10);
    assert_eq!(m.load(CPU1, sgi(1) + 0x100, 4), 1 << 20);
    assert_eq!(m.load(CPU0, sgi(0) + 0x100, 4), 0);
    m.store(CPU0, sgi(1) + 0x200, 4, 1 << 20);
    assert_eq!((m.take_all(CPU0), m.take_all(CPU1)), (vec![], vec![20]));
}

/// Which vCPUs have SGI 5 pending.
fn sent(m: &mut Machine) -> Vec<u64> {
    (0..u64::from(m.vcpus)).filter(|v| m.load(CPU0, sgi(*v) + 0x200, 4) == 1 << 5).collect()
}

fn send(register: (u64, u64, u64, u64, u64), by: u8, value: u64) -> Vec<u64> {
    let mut m = machine(4);
    m.set_reg(Vcpu(by), 9, value);
    let pc = m.pc(Vcpu(by));
    assert_eq!(m.trap(Vcpu(by), esr::register(false, register, 9), 0), Action::Resume);
    assert_eq!(m.pc(Vcpu(by)), pc + 4);
    sent(&mut m)
}

const SGI5: u64 = 5 << 24;

#[test]
fn sgi_by_register_to_a_list() {
    assert_eq!(send(esr::ICC_SGI1R, 0, SGI5 | 0b1010), [1, 3]);
    assert_eq!(send(esr::ICC_SGI1R, 1, SGI5 | 0xffff), [0, 1, 2, 3]);
    assert!(send(esr::ICC_SGI1R, 0, SGI5 | 0xfff0).is_empty());
}

#[test]
fn sgi_by_register_to_all_others() {
    assert_eq!(send(esr::ICC_SGI1R, 2, SGI5 | 1 << 40), [0, 1, 3]);
    // Then the list and the affinities do not count.
    assert_eq!(send(esr::ICC_SGI1R, 2, SGI5 | 1 << 40 | 0b100 | 7 << 16), [0, 1, 3]);
}

#[test]
fn sgi_by_register_to_another_cluster_goes_nowhere() {
    for elsewhere in [1 << 16, 1 << 32, 1 << 48, 0xff << 16, 1 << 44, 0xf << 44] {
        assert!(send(esr::ICC_SGI1R, 0, SGI5 | elsewhere | 0b1111).is_empty(), "{elsewhere:#x}");
    }
}

#[test]
fn the_other_two_registers_send_group_0() {
    for register in [esr::ICC_SGI0R, esr::ICC_ASGI1R] {
        assert_eq!(send(register, 0, SGI5 | 0b11), [0, 1], "SGIs are of group 0 after reset");
        let mut m = machine(2);
        m.store(CPU0, sgi(1) + 0x080, 4, 1 << 5);
        m.set_reg(CPU0, 9, SGI5 | 0b11);
        m.trap(CPU0, esr::register(false, register, 9), 0);
        assert_eq!(sent(&mut m), [0], "not one of group 1");
    }
}

#[test]
fn group_1_is_sent_by_its_own_register() {
    let mut m = machine(2);
    m.store(CPU0, sgi(1) + 0x080, 4, 1 << 5);
    m.send(CPU0, 0b11, 5);
    assert_eq!(sent(&mut m), [0, 1]);
}

#[test]
fn a_pending_sgi_can_be_taken_back() {
    let mut m = machine(2);
    m.send(CPU0, 0b10, 5);
    m.store(CPU0, sgi(1) + 0x280, 4, 1 << 5);
    assert!(sent(&mut m).is_empty());
    m.set_up_gic();
    m.enable(CPU1, 5);
    assert!(m.take_all(CPU1).is_empty());
}

#[test]
fn linux_probes_distributor_and_redistributor() {
    // The order of drivers/irqchip/irq-gic-v3.c.
    let mut m = machine(1);
    m.store(CPU0, GICD, 4, 0);
    m.store(CPU0, GICD + 0x084, 4, 0xffff_ffff);
    for offset in (0xc08..0xc10).step_by(4) {
        m.store(CPU0, GICD + offset, 4, 0);
    }
    for offset in (0x420..0x440).step_by(4) {
        m.store(CPU0, GICD + offset, 4, 0xa0a0_a0a0);
    }
    m.store(CPU0, GICD + 0x384, 4, 0xffff_ffff);
    m.store(CPU0, GICD + 0x184, 4, 0xffff_ffff);
    m.store(CPU0, GICD, 4, 0b10 | 1 << 4);
    for intid in 32..64 {
        m.store(CPU0, GICD + 0x6000 + 8 * intid, 8, 0);
    }
    assert_eq!(m.load(CPU0, rd(0) + 8, 8) >> 4 & 1, 1);
    m.store(CPU0, rd(0) + 0x14, 4, 0);
    assert_eq!(m.load(CPU0, rd(0) + 0x14, 4) & 0b100, 0);
    m.store(CPU0, sgi(0) + 0x080, 4, 0xffff_ffff);
    for offset in (0x400..0x420).step_by(4) {
        m.store(CPU0, sgi(0) + offset, 4, 0xa0a0_a0a0);
    }
    m.store(CPU0, sgi(0) + 0x380, 4, 0xffff_ffff);
    m.store(CPU0, sgi(0) + 0x180, 4, 0xffff_0000);
    m.store(CPU0, sgi(0) + 0x100, 4, 0x0000_ffff);
    m.enable(CPU0, LEVELS[1]);
    m.fake.raise(LEVELS[1]);
    m.settle();
    let irq = m.fake.acknowledge(CPU0).unwrap();
    assert_eq!((irq.intid.number(), irq.priority, irq.group), (LEVELS[1], 0xa0 >> 3, 1));
    assert_eq!(m.vm.counters().unimplemented, 0);
}
