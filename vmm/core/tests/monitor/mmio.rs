// SPDX-License-Identifier: BSD-2-Clause
//! Loads and stores of emulated registers: every width, sign, register and instruction length.

use vmm_core::host::Action;
use vmm_core::ids::Gpr;

use crate::common::machine::CPU0;
use crate::common::spec::{GICD, MARKER};
use crate::common::{Machine, Spec, esr};

/// GICD_IPRIORITYR of SPIs 32 to 39: eight bytes that read back as written.
const PRIORITIES: u64 = GICD + 0x400 + 32;
/// What is there: every byte has its sign bit.
const BYTES: u64 = 0xf8f0_e8e0_d8d0_c8c0;

fn machine() -> Machine {
    let mut m = Machine::boot(&Spec::new(2, 1));
    m.store(CPU0, PRIORITIES, 8, BYTES);
    m
}

/// A load into X7, which held something else, with these bits in the syndrome.
fn loaded(size: u8, bits: u64) -> u64 {
    let mut m = machine();
    m.set_reg(CPU0, 7, 0x1234_5678_9abc_def0);
    let wide = if size == 8 { esr::WIDE } else { 0 };
    let word = (esr::load(size, 7) & !esr::WIDE) | bits | wide;
    assert_eq!(m.trap(CPU0, word, PRIORITIES), Action::Resume);
    m.reg(CPU0, 7)
}

#[test]
fn a_byte_zero_extended() {
    assert_eq!(loaded(1, 0), 0xc0);
    assert_eq!(loaded(1, esr::WIDE), 0xc0);
}

#[test]
fn a_byte_sign_extended() {
    assert_eq!(loaded(1, esr::SIGNED), 0xffff_ffc0);
    assert_eq!(loaded(1, esr::SIGNED | esr::WIDE), 0xffff_ffff_ffff_ffc0);
}

#[test]
fn a_half_word_zero_extended() {
    assert_eq!(loaded(2, 0), 0xc8c0);
    assert_eq!(loaded(2, esr::WIDE), 0xc8c0);
}

#[test]
fn a_half_word_sign_extended() {
    assert_eq!(loaded(2, esr::SIGNED), 0xffff_c8c0);
    assert_eq!(loaded(2, esr::SIGNED | esr::WIDE), 0xffff_ffff_ffff_c8c0);
}

#[test]
fn a_word() {
    assert_eq!(loaded(4, 0), 0xd8d0_c8c0);
    assert_eq!(loaded(4, esr::SIGNED | esr::WIDE), 0xffff_ffff_d8d0_c8c0);
}

#[test]
fn a_double_word() {
    assert_eq!(loaded(8, 0), BYTES);
}

#[test]
fn every_byte_of_a_word_has_its_own_address() {
    let mut m = machine();
    for (n, byte) in (0..).zip(BYTES.to_le_bytes()) {
        assert_eq!(m.load(CPU0, PRIORITIES + n, 1), u64::from(byte));
    }
    for (n, half) in (0..).zip([0xc8c0, 0xd8d0, 0xe8e0, 0xf8f0]) {
        assert_eq!(m.load(CPU0, PRIORITIES + 2 * n, 2), half);
    }
}

#[test]
fn stores_of_every_width_change_their_bytes_alone() {
    for (size, mask) in [(1, 0xff), (2, 0xffff), (4, 0xffff_ffff), (8, u64::MAX)] {
        let mut m = machine();
        m.store(CPU0, PRIORITIES, size, 0x0810_1820_2830_3840);
        let expected = (BYTES & !mask) | (0x0810_1820_2830_3840 & mask);
        assert_eq!(m.load(CPU0, PRIORITIES, 8), expected, "{size} bytes");
    }
}

#[test]
fn a_store_of_a_narrow_register_ignores_its_upper_half() {
    let mut m = machine();
    m.store(CPU0, PRIORITIES, 4, 0xffff_ffff_0810_1820);
    assert_eq!(m.load(CPU0, PRIORITIES, 8), 0xf8f0_e8e0_0810_1820);
}

#[test]
fn a_store_of_the_zero_register_stores_zero() {
    let mut m = machine();
    assert_eq!(m.trap(CPU0, esr::store(4, esr::ZR), PRIORITIES), Action::Resume);
    assert_eq!(m.load(CPU0, PRIORITIES, 8), 0xf8f0_e8e0_0000_0000);
}

#[test]
fn a_load_into_the_zero_register_changes_no_register() {
    let mut m = machine();
    let before = m.fake.cpus[0].regs;
    assert_eq!(m.trap(CPU0, esr::load(4, esr::ZR), PRIORITIES), Action::Resume);
    assert_eq!(m.fake.cpus[0].regs, before);
    // And later stores of zero still store zero.
    assert_eq!(m.trap(CPU0, esr::store(8, esr::ZR), PRIORITIES), Action::Resume);
    assert_eq!(m.load(CPU0, PRIORITIES, 8), 0);
}

#[test]
fn every_register_can_be_loaded_and_stored() {
    for reg in 0..31 {
        let mut m = machine();
        let before = m.fake.cpus[0].regs;
        m.trap(CPU0, esr::load(8, reg), PRIORITIES);
        let mut expected = before;
        expected[usize::from(reg)] = BYTES;
        assert_eq!(m.fake.cpus[0].regs, expected, "x{reg}");
        m.set_reg(CPU0, reg, 0x48);
        m.trap(CPU0, esr::store(1, reg), PRIORITIES);
        assert_eq!(m.load(CPU0, PRIORITIES, 1), 0x48, "x{reg}");
    }
    assert_eq!(Gpr::new(31), None);
}

#[test]
fn the_program_counter_moves_by_the_instructions_length() {
    let mut m = machine();
    m.fake.cpus[0].pc = 0xffff_8000_0800_1000;
    m.trap(CPU0, esr::load(4, 1), PRIORITIES);
    assert_eq!(m.pc(CPU0), 0xffff_8000_0800_1004);
    m.trap(CPU0, esr::load(4, 1) & !esr::IL, PRIORITIES);
    assert_eq!(m.pc(CPU0), 0xffff_8000_0800_1006);
}

#[test]
fn loads_and_stores_are_counted() {
    let mut m = machine(); // one store
    m.load(CPU0, PRIORITIES, 4);
    m.load(CPU0, PRIORITIES, 1);
    let counters = m.vm.counters();
    assert_eq!((counters.mmio_write, counters.mmio_read, counters.unimplemented), (1, 2, 0));
}

#[test]
fn a_register_that_is_not_there_reads_as_zero_and_is_counted() {
    let mut m = machine();
    assert_eq!(m.load(CPU0, GICD + 0xc, 4), 0);
    m.store(CPU0, GICD + 0xc, 4, 1);
    assert_eq!(m.vm.counters().unimplemented, 2);
}

#[test]
fn an_access_that_is_not_aligned_changes_nothing_and_is_counted() {
    let mut m = machine();
    for (offset, size) in [(1, 2), (1, 4), (2, 4), (3, 2), (4, 8), (1, 8)] {
        assert_eq!(m.load(CPU0, PRIORITIES + offset, size), 0, "{size} bytes at {offset}");
        m.store(CPU0, PRIORITIES + offset, size, u64::MAX);
    }
    assert_eq!(m.vm.counters().unimplemented, 12);
    assert_eq!(m.load(CPU0, PRIORITIES, 8), BYTES);
}

#[test]
fn cache_maintenance_of_a_device_is_stepped_over() {
    let mut m = machine();
    let pc = m.pc(CPU0);
    assert_eq!(m.trap(CPU0, esr::DATA | esr::MAINTENANCE | esr::WRITE, 0x1000), Action::Resume);
    assert_eq!(m.pc(CPU0), pc + 4);
    assert_eq!(m.vm.counters().unimplemented, 1);
}

#[test]
fn a_store_to_the_marker_prints_its_value() {
    let mut m = machine();
    m.store(CPU0, MARKER, 4, 0x1_0000_002a);
    let events = m.events();
    let mark = events.last().unwrap();
    assert_eq!((mark["event"].as_str(), mark["value"].as_u64()), (Some("mark"), Some(42)));
    assert_eq!(mark["ticks"].as_u64(), Some(m.fake.now));
    assert_eq!(mark["counters"]["mmio_write"].as_u64(), Some(2));
}

#[test]
fn the_rest_of_the_markers_page_marks_nothing() {
    let mut m = machine();
    let before = m.events().len();
    m.store(CPU0, MARKER + 8, 4, 7);
    assert_eq!(m.load(CPU0, MARKER, 4), 0);
    assert_eq!(m.events().len(), before);
    assert_eq!(m.vm.counters().unimplemented, 2);
}

#[test]
fn a_store_half_of_which_has_no_register_is_counted() {
    let mut m = machine();
    m.store(CPU0, GICD, 8, 0);
    assert_eq!(m.vm.counters().unimplemented, 0, "GICD_CTLR and GICD_TYPER");
    m.store(CPU0, GICD + 8, 8, 0);
    assert_eq!(m.vm.counters().unimplemented, 1, "GICD_IIDR, and nothing");
}
