// SPDX-License-Identifier: BSD-2-Clause
//! What becomes of an interrupt, on both interrupt controllers.

use vmm_core::host::Exit;
use vmm_testkit::fake::List;

use crate::common::machine::CPU0;
use crate::common::spec::{EDGES, GICD, LEVELS};
use crate::common::{Machine, Spec};

const LEVEL: u16 = LEVELS[0];
const EDGE: u16 = EDGES[0];

/// Runs a test on a guest with GICv2 and on one with GICv3, all vCPUs on, groups on.
pub fn both(vcpus: u32, test: impl Fn(&mut Machine)) {
    with_slots(vcpus, 4, test);
}

fn with_slots(vcpus: u32, slots: u8, test: impl Fn(&mut Machine)) {
    with(vcpus, slots, false, test);
}

/// The same under a host that can read list registers.
pub fn reading(vcpus: u32, slots: u8, test: impl Fn(&mut Machine)) {
    with(vcpus, slots, true, test);
}

fn with(vcpus: u32, slots: u8, reads: bool, test: impl Fn(&mut Machine)) {
    for version in [2, 3] {
        let mut spec = Spec::new(version, vcpus);
        (spec.slots, spec.reads) = (slots, reads);
        let mut m = Machine::boot_all(&spec);
        m.set_up_gic();
        test(&mut m);
        assert_eq!(m.fake.overwritten, [], "GICv{version}");
    }
}

pub fn raise(m: &mut Machine, intid: u16) {
    m.fake.raise(intid);
    m.settle();
}

/// Makes a shared interrupt pending by its register.
pub fn pend(m: &mut Machine, intid: u16) {
    m.store_bit(CPU0, 0x200, intid);
}

#[test]
fn a_line_reaches_the_guest_as_it_was_set_up() {
    both(1, |m| {
        m.set_priority(CPU0, LEVEL, 0x58);
        m.enable(CPU0, LEVEL);
        raise(m, LEVEL);
        let irq = m.fake.visible(CPU0)[0];
        assert_eq!((irq.intid.number(), irq.priority, irq.group), (LEVEL, 0x58 >> 3, m.group()));
        assert_eq!(m.vm.counters().injected, 1);
    });
}

#[test]
fn what_fires_while_it_is_disabled_waits_until_it_is_enabled() {
    both(1, |m| {
        for wire in [LEVEL, EDGE] {
            raise(m, wire);
            assert!(m.visible(CPU0).is_empty());
            m.enable(CPU0, wire);
            m.settle();
            assert_eq!(m.acknowledge(CPU0), Some(wire));
            m.fake.lower(wire);
            m.end(CPU0, wire);
            m.settle();
            assert!(m.take_all(CPU0).is_empty());
        }
    });
}

#[test]
fn what_was_pended_while_it_is_disabled_waits_until_it_is_enabled() {
    both(1, |m| {
        pend(m, 60);
        assert!(m.visible(CPU0).is_empty());
        m.enable(CPU0, 60);
        assert_eq!(m.take_all(CPU0), [60]);
    });
}

#[test]
fn what_is_disabled_before_a_list_register_is_free_waits_until_it_is_enabled() {
    with_slots(1, 1, |m| {
        for intid in [60, EDGE] {
            m.enable(CPU0, intid);
        }
        pend(m, 60);
        raise(m, EDGE); // waits: the only list register is taken
        m.disable(CPU0, EDGE);
        assert_eq!(m.take_all(CPU0), [60]);
        m.enable(CPU0, EDGE);
        assert_eq!(m.take_all(CPU0), [EDGE]);
    });
}

#[test]
fn a_level_that_was_withdrawn_before_it_was_enabled_is_not_delivered() {
    both(1, |m| {
        raise(m, LEVEL);
        m.fake.lower(LEVEL);
        m.enable(CPU0, LEVEL);
        m.settle();
        assert!(m.visible(CPU0).is_empty(), "the line is sampled again");
        raise(m, LEVEL);
        assert_eq!(m.visible(CPU0), [LEVEL], "and heard afterwards");
    });
}

#[test]
fn a_level_that_stays_high_comes_again() {
    both(1, |m| {
        m.enable(CPU0, LEVEL);
        raise(m, LEVEL);
        for _ in 0..3 {
            assert_eq!(m.take(CPU0), Some(LEVEL));
        }
        assert_eq!(m.acknowledge(CPU0), Some(LEVEL));
        m.fake.lower(LEVEL);
        m.end(CPU0, LEVEL);
        m.settle();
        assert!(m.visible(CPU0).is_empty());
        assert!(!m.fake.wires[&LEVEL].masked);
    });
}

#[test]
fn a_level_is_masked_until_the_guest_has_ended_it() {
    both(1, |m| {
        m.enable(CPU0, LEVEL);
        raise(m, LEVEL);
        assert!(m.fake.wires[&LEVEL].masked);
        m.acknowledge(CPU0);
        assert!(m.fake.wires[&LEVEL].masked);
        m.fake.lower(LEVEL);
        m.end(CPU0, LEVEL);
        assert!(!m.fake.wires[&LEVEL].masked);
    });
}

#[test]
fn an_edge_is_heard_again_at_once() {
    both(1, |m| {
        m.enable(CPU0, EDGE);
        raise(m, EDGE);
        assert!(!m.fake.wires[&EDGE].masked);
        m.acknowledge(CPU0);
        raise(m, EDGE);
        raise(m, EDGE); // two in one service are one
        m.end(CPU0, EDGE);
        assert_eq!(m.take_all(CPU0), [EDGE]);
    });
}

#[test]
fn an_edge_while_one_waits_in_a_list_register_is_latched() {
    both(1, |m| {
        m.enable(CPU0, EDGE);
        raise(m, EDGE);
        raise(m, EDGE);
        assert_eq!(m.visible(CPU0), [EDGE], "never in two list registers");
        assert_eq!(m.take_all(CPU0), [EDGE, EDGE]);
    });
}

#[test]
fn a_level_raised_again_while_it_is_handled_is_not_lost() {
    both(1, |m| {
        m.enable(CPU0, LEVEL);
        raise(m, LEVEL);
        m.acknowledge(CPU0);
        m.fake.lower(LEVEL);
        raise(m, LEVEL);
        m.end(CPU0, LEVEL);
        m.settle();
        assert_eq!(m.visible(CPU0), [LEVEL]);
    });
}

#[test]
fn a_level_ended_while_it_is_disabled_comes_when_it_is_enabled() {
    both(1, |m| {
        m.enable(CPU0, LEVEL);
        raise(m, LEVEL);
        m.acknowledge(CPU0);
        m.disable(CPU0, LEVEL); // as Linux does with a threaded handler
        m.end(CPU0, LEVEL);
        m.settle();
        assert!(m.visible(CPU0).is_empty());
        m.enable(CPU0, LEVEL);
        m.settle();
        assert_eq!(m.visible(CPU0), [LEVEL]);
    });
}

#[test]
fn enabling_twice_samples_once() {
    with_slots(1, 1, |m| {
        m.enable(CPU0, 60);
        pend(m, 60);
        m.enable(CPU0, LEVEL);
        raise(m, LEVEL); // waits for the list register
        m.fake.lower(LEVEL);
        m.enable(CPU0, LEVEL);
        m.settle();
        assert!(m.fake.wires[&LEVEL].masked, "it was on already");
        assert_eq!(m.take_all(CPU0), [60, LEVEL]);
        assert!(!m.fake.wires[&LEVEL].masked);
    });
}

#[test]
fn enabling_what_is_being_handled_samples_nothing() {
    both(1, |m| {
        m.enable(CPU0, LEVEL);
        raise(m, LEVEL);
        m.acknowledge(CPU0);
        m.disable(CPU0, LEVEL);
        m.enable(CPU0, LEVEL);
        m.settle();
        assert!(m.fake.wires[&LEVEL].masked, "until it is ended");
        assert_eq!((m.visible(CPU0), m.vm.counters().device_interrupt), (vec![LEVEL], 1));
    });
}

#[test]
fn a_group_that_is_off_delivers_nothing_and_loses_nothing() {
    both(1, |m| {
        m.enable(CPU0, EDGE);
        m.enable(CPU0, LEVEL);
        m.store(CPU0, GICD, 4, if m.group() == 1 { 0b01 } else { 0b10 });
        raise(m, EDGE);
        raise(m, LEVEL);
        assert!(m.visible(CPU0).is_empty());
        m.store(CPU0, GICD, 4, 0b11);
        assert_eq!(m.visible(CPU0), [LEVEL, EDGE]);
    });
}

#[test]
fn a_level_that_is_pended_by_its_register_too_is_delivered() {
    both(1, |m| {
        m.enable(CPU0, LEVEL);
        m.store(CPU0, GICD, 4, 0);
        raise(m, LEVEL);
        pend(m, LEVEL);
        assert!(m.visible(CPU0).is_empty(), "its group is off");
        assert!(m.load_bit(CPU0, 0x200, LEVEL), "pending for two reasons is pending");
        m.store(CPU0, GICD, 4, 0b11);
        assert!(m.load_bit(CPU0, 0x200, LEVEL), "also in a list register, with its line high");
        assert_eq!(m.acknowledge(CPU0), Some(LEVEL));
        pend(m, LEVEL);
        assert!(m.load_bit(CPU0, 0x200, LEVEL), "and for all three reasons at once");
    });
}

#[test]
fn groups_are_delivered_as_they_are_set() {
    both(1, |m| {
        m.fake.groups = 0b11;
        m.set_group(CPU0, 60, 0);
        m.set_group(CPU0, 61, 1);
        for intid in [60, 61] {
            m.enable(CPU0, intid);
            pend(m, intid);
        }
        let groups: Vec<(u16, u8)> =
            m.fake.visible(CPU0).iter().map(|irq| (irq.intid.number(), irq.group)).collect();
        assert_eq!(groups, [(60, 0), (61, 1)]);
    });
}

#[test]
fn the_highest_priority_comes_first_and_then_the_lowest_number() {
    reading(1, 4, |m| {
        m.store(CPU0, GICD, 4, 0);
        for (intid, priority) in
            [(40, 0x80), (41, 0x20), (42, 0x80), (43, 0x20), (44, 0xf0), (45, 0)]
        {
            m.set_priority(CPU0, intid, priority);
            m.enable(CPU0, intid);
            pend(m, intid);
        }
        m.store(CPU0, GICD, 4, 0b11);
        let mut best = m.visible(CPU0);
        best.sort_unstable();
        assert_eq!(best, [40, 41, 43, 45], "four list registers hold the best four");
        assert_eq!(m.take_all(CPU0), [45, 41, 43, 40, 42, 44]);
    });
}

/// Interrupts that become pending one after the other, each with its priority.
fn pend_all(m: &mut Machine, all: &[(u16, u8)]) {
    for (intid, priority) in all.iter().copied() {
        m.set_priority(CPU0, intid, priority);
        m.enable(CPU0, intid);
        pend(m, intid);
    }
}

#[test]
fn of_those_that_wait_the_best_comes_next() {
    let all = [(40, 0xf0), (41, 0xf0), (42, 0xe0), (43, 0x10), (44, 0x80)];
    with_slots(1, 2, |m| {
        pend_all(m, &all);
        assert_eq!(m.visible(CPU0), [40, 42], "the last list register is kept for a better one");
        assert_eq!(m.take_all(CPU0), [42, 43, 44, 40, 41]);
    });
    reading(1, 2, |m| {
        pend_all(m, &all);
        assert_eq!(m.take_all(CPU0), [43, 44, 42, 40, 41], "what is pending makes room");
    });
}

#[test]
fn an_interrupt_of_higher_priority_finds_a_list_register() {
    for (masked, slots) in [(3, 4), (15, 16)] {
        with_slots(1, slots, |m| {
            for intid in 34..34 + masked + 5 {
                m.set_priority(CPU0, intid, 0xa0);
                m.enable(CPU0, intid);
                pend(m, intid);
            }
            assert_eq!(m.visible(CPU0).len(), usize::from(masked), "one is kept");
            pend_all(m, &[(60, 0x20)]);
            assert!(m.visible(CPU0).contains(&60));
        });
    }
}

#[test]
fn active_interrupts_make_room() {
    reading(1, 2, |m| {
        // Each interrupts the one before.
        let all = [(40, 0xe0), (41, 0xd0), (42, 0xc0), (43, 0xb0), (44, 0xa0)];
        for (intid, priority) in all {
            pend_all(m, &[(intid, priority)]);
            m.settle();
            assert_eq!(m.acknowledge(CPU0), Some(intid));
            m.settle();
        }
        let active = m.load(CPU0, m.word(CPU0, 0x300, 40), 4);
        assert_eq!(active, 0b1_1111 << 8, "all are active, wherever they are");
        for (intid, _) in all {
            pend(m, intid);
        }
        assert_eq!(m.pending(CPU0), [0; 0], "and do not come before they have ended");
        for (intid, _) in all.into_iter().rev() {
            m.store_bit(CPU0, 0x280, intid);
            m.end(CPU0, intid);
            m.settle();
            assert!(!m.load_bit(CPU0, 0x300, intid), "{intid}");
        }
        assert_eq!(m.take_all(CPU0), [0; 0]);
    });
}

#[test]
fn one_list_register_is_enough() {
    with_slots(1, 1, |m| {
        for intid in 32..64 {
            m.enable(CPU0, intid);
            pend(m, intid);
        }
        assert_eq!(m.take_all(CPU0), (32..64).collect::<Vec<u16>>());
        assert_eq!(m.vm.counters().injected, 32);
    });
}

#[test]
fn sixteen_list_registers_are_all_used() {
    let test = |m: &mut Machine| {
        for intid in 32..64 {
            m.enable(CPU0, intid);
            pend(m, intid);
        }
        assert_eq!(m.visible(CPU0).len(), if m.fake.reads { 16 } else { 15 });
        assert_eq!(m.take_all(CPU0).len(), 32);
    };
    with_slots(1, 16, test);
    reading(1, 16, test);
}

#[test]
fn a_pended_interrupt_can_be_taken_back_while_it_waits() {
    both(1, |m| {
        pend(m, 60);
        m.store_bit(CPU0, 0x280, 60);
        m.enable(CPU0, 60);
        assert!(m.take_all(CPU0).is_empty());
    });
}

#[test]
fn a_level_cannot_be_taken_back() {
    both(1, |m| {
        raise(m, LEVEL);
        m.store_bit(CPU0, 0x280, LEVEL);
        assert!(m.load_bit(CPU0, 0x200, LEVEL));
        m.enable(CPU0, LEVEL);
        m.settle();
        assert_eq!(m.visible(CPU0), [LEVEL]);
    });
}

#[test]
fn pending_while_it_is_handled_comes_again() {
    both(1, |m| {
        m.enable(CPU0, 60);
        pend(m, 60);
        assert_eq!(m.acknowledge(CPU0), Some(60));
        pend(m, 60);
        pend(m, 60);
        m.end(CPU0, 60);
        assert_eq!(m.take_all(CPU0), [60]);
    });
}

#[test]
fn a_list_register_that_the_kernel_refuses_is_left_alone() {
    both(1, |m| {
        for intid in [60, 61] {
            m.enable(CPU0, intid);
        }
        // The kernel knows of an active interrupt in slot 0 that the core knows nothing of.
        m.fake.cpus[0].shadow_active[0] = true;
        pend(m, 60);
        assert_eq!(m.fake.cpus[0].lists[0], List::Empty);
        assert_eq!(m.visible(CPU0), [60], "the next one takes it");
        assert_eq!(m.take_all(CPU0), [60]);
        // What was there ended, but nobody has said so: the slot is not tried each time.
        m.fake.cpus[0].shadow_active[0] = false;
        pend(m, 61);
        assert_eq!(m.fake.cpus[0].lists[0], List::Empty);
        assert_eq!(m.take_all(CPU0), [61]);
        m.handle(CPU0, Exit::Maintenance(Some(0)));
        pend(m, 60);
        assert!(matches!(m.fake.cpus[0].lists[0], List::Pending(_)));
    });
}

#[test]
fn nothing_is_lost_while_the_kernel_refuses_everything() {
    both(1, |m| {
        m.enable(CPU0, EDGE);
        m.fake.cpus[0].shadow_active = [true; 16];
        raise(m, EDGE);
        assert!(m.visible(CPU0).is_empty());
        m.fake.cpus[0].shadow_active = [false; 16];
        m.handle(CPU0, Exit::Maintenance(Some(2)));
        assert_eq!(m.visible(CPU0), [EDGE]);
        assert_eq!(m.vm.counters().injected, 1);
    });
}

#[test]
fn one_exit_frees_one_list_register() {
    with_slots(1, 3, |m| {
        for intid in [60, 61, 62, 63] {
            m.enable(CPU0, intid);
            pend(m, intid);
        }
        m.acknowledge(CPU0);
        m.acknowledge(CPU0);
        m.end(CPU0, 61);
        assert_eq!(m.visible(CPU0), [60, 62]);
        m.end(CPU0, 60);
        assert_eq!(m.visible(CPU0), [63, 62]);
    });
}
