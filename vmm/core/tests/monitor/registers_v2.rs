// SPDX-License-Identifier: BSD-2-Clause
//! GICv2's distributor, register by register (Arm IHI 0048B, 4.3).

use vmm_core::ids::Vcpu;

use crate::common::machine::CPU0;
use crate::common::spec::{EDGES, GICD, LEVELS};
use crate::common::{Machine, Spec};

const CPU1: Vcpu = Vcpu(1);

fn machine(vcpus: u32) -> Machine {
    Machine::boot_all(&Spec::new(2, vcpus))
}

fn read(m: &mut Machine, offset: u64) -> u64 {
    m.load(CPU0, GICD + offset, 4)
}

fn write(m: &mut Machine, offset: u64, value: u64) {
    m.store(CPU0, GICD + offset, 4, value);
}

/// Writes all ones, reads back.
fn ones(m: &mut Machine, offset: u64) -> u64 {
    write(m, offset, u64::MAX);
    read(m, offset)
}

#[test]
fn control_has_two_groups() {
    let mut m = machine(1);
    assert_eq!(read(&mut m, 0), 0);
    assert_eq!(ones(&mut m, 0), 0b11);
    write(&mut m, 0, 0b10);
    assert_eq!(read(&mut m, 0), 0b10);
    m.store(CPU0, GICD, 1, 0b01);
    assert_eq!(m.load(CPU0, GICD, 1), 0b01);
    m.store(CPU0, GICD + 1, 1, 0xff);
    assert_eq!(read(&mut m, 0), 0b01);
}

#[test]
fn type_tells_lines_and_processors() {
    for vcpus in 1..=4 {
        for (lines, field) in [(64, 1), (96, 2), (288, 8), (992, 30)] {
            let mut spec = Spec::new(2, vcpus);
            spec.facts.gic.intid_count = lines;
            let mut m = Machine::boot(&spec);
            let expected = field | u64::from(vcpus - 1) << 5;
            assert_eq!(read(&mut m, 4), expected);
            assert_eq!(ones(&mut m, 4), expected, "read-only");
        }
    }
}

#[test]
fn identification_is_arms_and_read_only() {
    let mut m = machine(1);
    assert_eq!(ones(&mut m, 0x008), 0x43b);
    assert_eq!(ones(&mut m, 0xfe8), 0x2b, "architecture 2");
    for offset in (0xfd0..0x1000).step_by(4).filter(|offset| *offset != 0xfe8) {
        assert_eq!(ones(&mut m, offset), 0, "{offset:#x}");
    }
    assert_eq!(m.vm.counters().unimplemented, 0);
}

#[test]
fn groups_read_back() {
    let mut m = machine(1);
    for offset in [0x080, 0x084] {
        assert_eq!(read(&mut m, offset), 0);
        assert_eq!(ones(&mut m, offset), 0xffff_ffff);
        write(&mut m, offset, 0x1234_5678);
        assert_eq!(read(&mut m, offset), 0x1234_5678);
    }
    m.store(CPU0, GICD + 0x085, 1, 0xff);
    assert_eq!(read(&mut m, 0x084), 0x1234_ff78);
    m.store(CPU0, GICD + 0x086, 2, 0xabcd);
    assert_eq!(read(&mut m, 0x084), 0xabcd_ff78);
}

#[test]
fn enables_are_set_and_cleared_by_ones() {
    let mut m = machine(1);
    for word in [0, 4] {
        write(&mut m, 0x100 + word, 0x0000_ff01);
        write(&mut m, 0x100 + word, 0x8000_0000);
        assert_eq!(read(&mut m, 0x100 + word), 0x8000_ff01);
        assert_eq!(read(&mut m, 0x180 + word), 0x8000_ff01);
        write(&mut m, 0x180 + word, 0x8000_0f00);
        assert_eq!(read(&mut m, 0x180 + word), 0x0000_f001);
        assert_eq!(read(&mut m, 0x100 + word), 0x0000_f001);
    }
}

#[test]
fn enables_by_byte() {
    let mut m = machine(1);
    m.store(CPU0, GICD + 0x106, 1, 0x81);
    assert_eq!(read(&mut m, 0x104), 0x0081_0000);
    m.store(CPU0, GICD + 0x186, 1, 0x01);
    assert_eq!(m.load(CPU0, GICD + 0x106, 1), 0x80);
    assert_eq!(m.load(CPU0, GICD + 0x100, 8), 0x0080_0000 << 32);
}

#[test]
fn pending_is_set_and_cleared_by_ones() {
    let mut m = machine(1);
    write(&mut m, 0x204, 0xff);
    write(&mut m, 0x284, 0x0f);
    assert_eq!(read(&mut m, 0x204), 0xf0);
    assert_eq!(read(&mut m, 0x284), 0xf0);
}

#[test]
fn pending_of_ppis_but_not_of_sgis() {
    let mut m = machine(1);
    assert_eq!(ones(&mut m, 0x200), 0xffff_0000, "SGIs are sent, not set");
    write(&mut m, 0x280, 0xffff_ffff);
    assert_eq!(read(&mut m, 0x200), 0);
    m.send(CPU0, 1, 3);
    write(&mut m, 0x280, 0xffff_ffff);
    assert_eq!(read(&mut m, 0x280), 1 << 3, "nor cleared");
}

#[test]
fn what_a_list_register_holds_reads_as_pending() {
    let mut m = machine(1);
    m.set_up_gic();
    m.enable(CPU0, 50);
    m.store_bit(CPU0, 0x200, 50);
    assert_eq!(m.visible(CPU0), [50]);
    assert!(m.load_bit(CPU0, 0x200, 50));
    assert_eq!(m.take(CPU0), Some(50));
    assert!(!m.load_bit(CPU0, 0x200, 50));
}

#[test]
fn active_is_set_and_cleared() {
    let mut m = machine(1);
    for word in [0, 4] {
        m.store(CPU0, GICD + 0x300 + word, 4, 0xf0f0);
        m.store(CPU0, GICD + 0x380 + word, 4, 0x00f0);
        for block in [0x300, 0x380] {
            assert_eq!(m.load(CPU0, GICD + block + word, 4), 0xf000);
        }
    }
    assert_eq!(m.vm.counters().unimplemented, 0);
}

#[test]
fn priorities_have_five_bits() {
    let mut m = machine(1);
    for intid in 0..64 {
        m.store(CPU0, GICD + 0x400 + intid, 1, 0xff);
        assert_eq!(m.load(CPU0, GICD + 0x400 + intid, 1), 0xf8, "INTID {intid}");
    }
    write(&mut m, 0x420, 0x0712_3456);
    assert_eq!(read(&mut m, 0x420), 0x0010_3050);
}

#[test]
fn priorities_by_half_word_and_double_word() {
    let mut m = machine(1);
    m.store(CPU0, GICD + 0x428, 8, 0x8070_6050_4030_2010);
    m.store(CPU0, GICD + 0x42a, 2, 0xa898);
    assert_eq!(m.load(CPU0, GICD + 0x428, 8), 0x8070_6050_a898_2010);
    assert_eq!(m.load(CPU0, GICD + 0x42c, 2), 0x6050);
}

#[test]
fn targets_of_private_interrupts_are_the_readers_own() {
    let mut m = machine(3);
    for v in 0..3 {
        let byte = 1_u64 << v;
        for intid in (0..32).step_by(4) {
            m.store(Vcpu(v), GICD + 0x800 + intid, 4, 0xffff_ffff);
            assert_eq!(m.load(Vcpu(v), GICD + 0x800 + intid, 4), byte * 0x0101_0101);
        }
        assert_eq!(m.load(Vcpu(v), GICD + 0x81f, 1), byte);
    }
}

#[test]
fn targets_of_shared_interrupts_read_back() {
    let mut m = machine(4);
    write(&mut m, 0x820, 0x0102_0408);
    assert_eq!(read(&mut m, 0x820), 0x0102_0408);
    m.store(CPU0, GICD + 0x822, 1, 0x0f);
    assert_eq!(read(&mut m, 0x820), 0x010f_0408);
}

#[test]
fn targets_that_are_not_there_read_as_zero() {
    for vcpus in 1..=4 {
        let mut m = machine(vcpus);
        let present = (1_u64 << vcpus) - 1;
        assert_eq!(ones(&mut m, 0x820), present * 0x0101_0101);
    }
}

#[test]
fn sgis_are_edges_for_ever_and_so_are_ppis_levels() {
    let mut m = machine(1);
    assert_eq!(ones(&mut m, 0xc00), 0xaaaa_aaaa);
    assert_eq!(ones(&mut m, 0xc04), 0);
    write(&mut m, 0xc00, 0);
    assert_eq!(read(&mut m, 0xc00), 0xaaaa_aaaa);
}

#[test]
fn configuration_of_shared_interrupts_has_every_second_bit() {
    let mut m = machine(1);
    assert_eq!(ones(&mut m, 0xc08), 0xaaaa_aaaa);
    assert_eq!(ones(&mut m, 0xc0c), 0xaaaa_aaaa);
    write(&mut m, 0xc08, 0x0000_0802);
    assert_eq!(read(&mut m, 0xc08), 0x0000_0802);
    assert_eq!(read(&mut m, 0xc0c), 0xaaaa_aaaa, "the other half stays");
    m.store(CPU0, GICD + 0xc0b, 1, 0x80);
    assert_eq!(read(&mut m, 0xc08), 0x8000_0802);
}

#[test]
fn access_control_of_the_security_extensions_is_not_there() {
    let mut m = machine(1);
    for offset in (0xe00..0xf00).step_by(4) {
        assert_eq!(ones(&mut m, offset), 0);
    }
    assert_eq!(m.vm.counters().unimplemented, 0);
}

#[test]
fn private_registers_are_banked() {
    let mut m = machine(2);
    m.store(CPU1, GICD + 0x100, 4, 0x0f0f_0000);
    m.store(CPU1, GICD + 0x080, 4, 0x1111_1111);
    m.store(CPU1, GICD + 0x410, 4, 0x4040_4040);
    assert_eq!([0x100, 0x080, 0x410].map(|offset| read(&mut m, offset)), [0, 0, 0]);
    assert_eq!(m.load(CPU1, GICD + 0x100, 4), 0x0f0f_0000);
    // Shared ones are not.
    m.store(CPU1, GICD + 0x104, 4, 0x8);
    assert_eq!(read(&mut m, 0x104), 0x8);
}

#[test]
fn interrupts_beyond_the_last_read_as_zero() {
    let mut m = machine(1);
    for offset in [0x088, 0x108, 0x188, 0x208, 0x288, 0x440, 0x840, 0xc10, 0x0fc, 0x7fc, 0xcfc] {
        assert_eq!(ones(&mut m, offset), 0, "{offset:#x}");
    }
    assert_eq!(m.vm.counters().unimplemented, 0, "they are known");
}

#[test]
fn a_distributor_with_all_lines_uses_them_all() {
    let mut spec = Spec::new(2, 1);
    spec.facts.gic.intid_count = 992;
    spec.facts.interrupts[0].intid = 991;
    let mut m = Machine::boot(&spec);
    write(&mut m, 0, 1);
    m.store(CPU0, GICD + 0x400 + 991, 1, 0x50);
    assert_eq!(ones(&mut m, 0x100 + 30 * 4), 0xffff_ffff);
    assert_eq!(ones(&mut m, 0x100 + 31 * 4), 0);
    m.fake.raise(991);
    m.settle();
    let irq = m.fake.acknowledge(CPU0).unwrap();
    assert_eq!((irq.intid.number(), irq.priority), (991, 0x50 >> 3));
}

#[test]
fn what_is_not_there_is_counted() {
    let mut m = machine(1);
    for offset in [0x00c, 0x010, 0x07c, 0xd00, 0xdfc, 0xf04, 0xf0c, 0xf30, 0xfcc, 0x1000, 0xfffc] {
        assert_eq!(ones(&mut m, offset), 0, "{offset:#x}");
    }
    assert_eq!(m.vm.counters().unimplemented, 22);
}

#[test]
fn sgi_to_a_list_of_targets() {
    let mut m = machine(4);
    write(&mut m, 0xf00, 0b1010 << 16 | 5);
    for (v, pending) in [(0, 0), (1, 1), (2, 0), (3, 1)] {
        assert_eq!(m.load(Vcpu(v), GICD + 0x200, 4), pending << 5);
    }
}

#[test]
fn sgi_to_all_others() {
    let mut m = machine(3);
    m.store(CPU1, GICD + 0xf00, 4, 0b01 << 24 | 0xff << 16 | 9);
    for (v, pending) in [(0, 1), (1, 0), (2, 1)] {
        assert_eq!(m.load(Vcpu(v), GICD + 0x200, 4), pending << 9);
    }
}

#[test]
fn sgi_to_oneself() {
    let mut m = machine(3);
    m.store(CPU1, GICD + 0xf00, 4, 0b10 << 24 | 0xff << 16 | 15);
    for (v, pending) in [(0, 0), (1, 1), (2, 0)] {
        assert_eq!(m.load(Vcpu(v), GICD + 0x200, 4), pending << 15);
    }
}

#[test]
fn sgi_with_a_reserved_filter_or_no_target_goes_nowhere() {
    let mut m = machine(2);
    write(&mut m, 0xf00, 0b11 << 24 | 0xff << 16 | 1);
    write(&mut m, 0xf00, 2);
    write(&mut m, 0xf00, 0b1100 << 16 | 3);
    assert_eq!((read(&mut m, 0x200), m.load(CPU1, GICD + 0x200, 4)), (0, 0));
}

#[test]
fn senders_of_an_sgi_are_told_apart() {
    let mut m = machine(4);
    for v in 1..4 {
        m.store(Vcpu(v), GICD + 0xf00, 4, 0b0001 << 16 | 6);
    }
    assert_eq!(m.load(CPU0, GICD + 0xf24, 4), 0b1110 << 16);
    assert_eq!(m.load(CPU0, GICD + 0xf16, 1), 0b1110);
    m.store(CPU0, GICD + 0xf16, 1, 0b0110);
    assert_eq!(m.load(CPU0, GICD + 0xf26, 1), 0b1000);
    assert_eq!(read(&mut m, 0x200), 1 << 6, "one sender is left");
    m.store(CPU0, GICD + 0xf14, 4, 0xffff_ffff);
    assert_eq!((read(&mut m, 0x200), read(&mut m, 0xf24)), (0, 0));
}

#[test]
fn senders_can_be_set_as_far_as_they_are_there() {
    let mut m = machine(2);
    m.store(CPU1, GICD + 0xf20, 4, 0xff00_ff00);
    assert_eq!(m.load(CPU1, GICD + 0xf10, 4), 0x0300_0300);
    m.store(CPU1, GICD + 0xf20, 4, 0x0100_0000);
    assert_eq!(m.load(CPU1, GICD + 0xf10, 4), 0x0300_0300, "pending already");
    assert_eq!(m.load(CPU1, GICD + 0x200, 4), 0b1010);
    assert_eq!(m.load(CPU0, GICD + 0xf10, 4), 0, "banked");
}

#[test]
fn linux_probes_the_distributor() {
    // The order of drivers/irqchip/irq-gic.c: off, SPIs to CPU 0, level, priorities, all off, on.
    let mut m = machine(1);
    write(&mut m, 0, 0);
    assert_eq!(read(&mut m, 0x800) & 0xff, 1, "the mask of this processor");
    for offset in (0x820..0x840).step_by(4) {
        write(&mut m, offset, 0x0101_0101);
    }
    write(&mut m, 0xc08, 0);
    write(&mut m, 0xc0c, 0);
    for offset in (0x420..0x440).step_by(4) {
        write(&mut m, offset, 0xa0a0_a0a0);
    }
    write(&mut m, 0x384, 0xffff_ffff);
    write(&mut m, 0x184, 0xffff_ffff);
    write(&mut m, 0, 1);
    m.enable(CPU0, LEVELS[0]);
    m.fake.raise(LEVELS[0]);
    m.fake.raise(EDGES[0]);
    m.settle();
    let irq = m.fake.acknowledge(CPU0).unwrap();
    assert_eq!((irq.intid.number(), irq.priority, irq.group), (LEVELS[0], 0xa0 >> 3, 0));
    assert_eq!(m.vm.counters().unimplemented, 0);
}
