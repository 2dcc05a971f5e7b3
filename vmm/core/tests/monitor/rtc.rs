// SPDX-License-Identifier: BSD-2-Clause
//! The emulated real-time clock, as Arm DDI 0224C has it and as Linux uses it.

use vmm_core::plan::FLAG_TRACE;

use crate::common::machine::CPU0;
use crate::common::spec::RTC;
use crate::common::{Machine, Spec};

/// 1 January 2026, 00:00.
const NEW_YEAR: u32 = 1_767_225_600;

const DR: u64 = RTC;
const MR: u64 = RTC + 4;
const LR: u64 = RTC + 8;
const CR: u64 = RTC + 0xc;
const IMSC: u64 = RTC + 0x10;

fn machine() -> Machine {
    let mut m = Machine::boot(&Spec::new(2, 2).with_clock());
    m.fake.wall_clock = NEW_YEAR;
    m
}

fn seconds(m: &mut Machine) -> u64 {
    m.load(CPU0, DR, 4)
}

#[test]
fn it_tells_the_boards_time() {
    let mut m = machine();
    assert_eq!(seconds(&mut m), u64::from(NEW_YEAR));
    m.fake.wall_clock += 61;
    assert_eq!(seconds(&mut m), u64::from(NEW_YEAR) + 61);
    assert_eq!(m.load(CPU0, LR, 4), u64::from(NEW_YEAR) + 61);
}

#[test]
fn a_guest_that_sets_it_changes_its_own_offset() {
    for set in [0, 1_000, NEW_YEAR - 1, NEW_YEAR + 3600, u32::MAX] {
        let mut m = machine();
        m.store(CPU0, LR, 4, set.into());
        assert_eq!(m.fake.wall_clock, NEW_YEAR, "the board's clock is not the guest's");
        assert_eq!(seconds(&mut m), u64::from(set));
        m.fake.wall_clock += 10;
        assert_eq!(seconds(&mut m), u64::from(set.wrapping_add(10)), "32 bits of seconds");
        m.reset(CPU0);
        assert_eq!(seconds(&mut m), u64::from(NEW_YEAR) + 10, "the next guest's clock is right");
    }
}

/// What Linux's bus of PrimeCells asks for (drivers/amba/bus.c), and what its driver does first: the
/// part's number, and the clock runs.
#[test]
fn it_is_a_primecell_that_runs() {
    let mut m = machine();
    let word = |m: &mut Machine, at: u64| {
        (0..4).fold(0, |word, n| word | (m.load(CPU0, RTC + at + 4 * n, 4) & 0xff) << (8 * n))
    };
    assert_eq!(word(&mut m, 0xfe0) & 0x000f_ffff, 0x0004_1031);
    assert_eq!(word(&mut m, 0xff0), 0xb105_f00d);
    assert_eq!(m.load(CPU0, CR, 4), 1);
    m.store(CPU0, CR, 4, 0);
    assert_eq!(m.load(CPU0, CR, 4), 1, "it cannot be stopped");
}

#[test]
fn its_alarm_is_kept_and_never_comes() {
    let mut m = machine();
    m.store(CPU0, MR, 4, u64::from(NEW_YEAR) + 1);
    m.store(CPU0, IMSC, 4, 0xffff_ffff);
    m.fake.wall_clock += 1;
    m.settle();
    assert_eq!(m.load(CPU0, MR, 4), u64::from(NEW_YEAR) + 1);
    assert_eq!(m.load(CPU0, IMSC, 4), 1);
    assert_eq!([0x14, 0x18].map(|status| m.load(CPU0, RTC + status, 4)), [0, 0]);
    assert_eq!(m.visible(CPU0), [0; 0]);
    m.reset(CPU0);
    assert_eq!([MR, IMSC].map(|at| m.load(CPU0, at, 4)), [0, 0], "nothing of it is left");
}

/// Every offset and width: what is no register reads as zero, takes nothing and is counted.
#[test]
fn the_rest_of_its_page_is_nothing() {
    let mut m = machine();
    for size in [1, 2, 4, 8] {
        for offset in (0..0x1000).step_by(usize::from(size)) {
            let word = size == 4;
            let known = word && !(0x20..0xfe0).contains(&offset);
            let before = m.vm.counters().unimplemented;
            let value = m.load(CPU0, RTC + offset, size);
            // The interrupt is cleared by a store alone.
            let known_to_load = known && offset != 0x1c;
            assert!(known_to_load || value == 0, "{offset:#x} {size}");
            assert_eq!(m.vm.counters().unimplemented - before, u64::from(!known_to_load));
            let before = m.vm.counters().unimplemented;
            let registers = word && offset < 0x20;
            m.store(CPU0, RTC + offset, size, 0);
            assert_eq!(m.vm.counters().unimplemented - before, u64::from(!registers));
        }
    }
    assert_eq!(seconds(&mut m), 0, "one of the stores set it");
}

#[test]
fn its_time_is_in_a_trace() {
    let mut spec = Spec::new(2, 1).with_clock();
    spec.facts.flags = FLAG_TRACE;
    let mut m = Machine::boot(&spec);
    m.fake.wall_clock = NEW_YEAR;
    assert!(m.fake.printed.contains(" rtc=0xb001000+0x1000 ram="), "{}", m.fake.printed);
    m.load(CPU0, DR, 4);
    assert!(m.fake.printed.contains(&format!("@t wallclock {NEW_YEAR:#x}\r\n")));
}
