// SPDX-License-Identifier: BSD-2-Clause
//! What the distributor's registers do to an interrupt that has left it for a CPU interface: pending
//! it can be taken back, active it can be deactivated, and a CPU that turns itself off strands
//! nothing (IHI 0048B, 3.2 and 4.3; IHI 0069H, 4.8 and 12.9; DEN0022F, 5.5).

use vmm_core::host::Action;
use vmm_core::ids::{Intid, Vcpu};
use vmm_testkit::fake::List;

use crate::common::machine::CPU0;
use crate::common::spec::{EDGES, GICD, LEVELS};
use crate::common::{Machine, esr};
use crate::interrupts::{both, pend, raise, reading};

const CPU1: Vcpu = Vcpu(1);
const LEVEL: u16 = LEVELS[0];
const EDGE: u16 = EDGES[0];

/// Both kinds of host.
fn all(vcpus: u32, test: impl Fn(&mut Machine)) {
    both(vcpus, &test);
    reading(vcpus, 4, &test);
}

fn active(m: &mut Machine, intid: u16) -> bool {
    m.load_bit(CPU0, 0x300, intid)
}

fn pending(m: &mut Machine, intid: u16) -> bool {
    m.load_bit(CPU0, 0x200, intid)
}

#[test]
fn what_is_deactivated_comes_again() {
    all(1, |m| {
        m.enable(CPU0, LEVEL);
        raise(m, LEVEL);
        assert_eq!(m.acknowledge(CPU0), Some(LEVEL));
        // It is not ended: a new kernel deactivates everything.
        m.store(CPU0, GICD + 0x384, 4, 0xffff_ffff);
        m.settle();
        assert!(!active(m, LEVEL));
        assert_eq!(m.acknowledge(CPU0), Some(LEVEL), "its line is high still");
        m.fake.lower(LEVEL);
        m.store_bit(CPU0, 0x380, LEVEL);
        m.settle();
        assert!(m.visible(CPU0).is_empty());
        raise(m, LEVEL);
        assert_eq!(m.take(CPU0), Some(LEVEL));
    });
}

#[test]
fn a_tick_that_is_deactivated_comes_again() {
    all(1, |m| {
        m.enable(CPU0, 27);
        for _ in 0..3 {
            m.fake.cpus[0].timer.ctl = 1;
            m.settle();
            assert_eq!(m.acknowledge(CPU0), Some(27));
            m.fake.cpus[0].timer.ctl = 0;
            m.store_bit(CPU0, 0x380, 27);
            m.settle();
            assert!(!m.fake.cpus[0].timer_masked);
        }
    });
}

#[test]
fn what_a_refusing_kernel_keeps_comes_in_another_list_register() {
    both(1, |m| {
        m.enable(CPU0, LEVEL);
        raise(m, LEVEL);
        assert_eq!(m.acknowledge(CPU0), Some(LEVEL));
        m.fake.refresh_shadow(CPU0);
        m.store_bit(CPU0, 0x380, LEVEL);
        m.settle();
        assert!(matches!(m.fake.cpus[0].lists[0], List::Active(_)));
        assert_eq!(m.pending(CPU0), [LEVEL]);
    });
}

/// A write of ICC_DIR_EL1 (IHI 0069H, 12.2.8): it traps while it may be about an interrupt that no list
/// register holds.
fn deactivate(m: &mut Machine, intid: u16) {
    if m.fake.cpus[0].attends.1 {
        m.set_reg(CPU0, 5, intid.into());
        let pc = m.pc(CPU0);
        assert_eq!(m.trap(CPU0, esr::register(false, esr::ICC_DIR, 5), 0), Action::Resume);
        assert_eq!(m.pc(CPU0), pc + 4);
    } else {
        assert!(m.fake.end(CPU0, Intid::new(intid).unwrap()));
    }
    m.settle();
}

#[test]
fn icc_dir_deactivates_the_interrupt_that_it_names() {
    reading(1, 4, |m| {
        if m.version == 2 {
            return; // no trap: README.md of the conformance guests, 'Declared differences'
        }
        let all = [48, 49, 50, 51, 52, 53, 54];
        all.into_iter().for_each(|intid| m.enable(CPU0, intid));
        for reversed in [false, true] {
            for intid in all {
                pend(m, intid);
                assert_eq!(m.acknowledge(CPU0), Some(intid));
            }
            all.into_iter().for_each(|intid| pend(m, intid));
            let due = |m: &mut Machine| m.fake.visible(CPU0).len();
            assert!(m.fake.cpus[0].attends.1 && due(m) <= 4 && m.pending(CPU0).is_empty());
            let mut order = all;
            if reversed {
                order.reverse();
            }
            for intid in order {
                deactivate(m, intid);
                assert_eq!(m.pending(CPU0), [intid]);
                assert_eq!(m.acknowledge(CPU0), Some(intid));
                deactivate(m, intid);
                assert!(m.pending(CPU0).is_empty() && !active(m, intid));
            }
            assert_eq!(m.fake.cpus[0].attends, (false, false));
            assert!(m.fake.visible(CPU0).is_empty());
        }
        // What is not there is nobody's.
        for value in [0, 47, 1023, 0xff_ffff] {
            m.set_reg(CPU0, 5, value);
            assert_eq!(m.trap(CPU0, esr::register(false, esr::ICC_DIR, 5), 0), Action::Resume);
        }
    });
}

#[test]
fn deactivating_what_is_pending_changes_nothing() {
    reading(1, 4, |m| {
        m.enable(CPU0, 60);
        pend(m, 60);
        m.store_bit(CPU0, 0x380, 60);
        assert_eq!(m.take_all(CPU0), [60]);
    });
}

#[test]
fn states_read_as_they_are() {
    reading(1, 4, |m| {
        for intid in [LEVEL, 60] {
            m.enable(CPU0, intid);
            assert!(!pending(m, intid) && !active(m, intid));
            if intid == LEVEL {
                raise(m, LEVEL)
            } else {
                pend(m, 60)
            }
            assert!(pending(m, intid) && !active(m, intid));
            m.acknowledge(CPU0);
            // A line that is high makes it pending again already.
            assert_eq!((pending(m, intid), active(m, intid)), (intid == LEVEL, true));
            m.fake.lower(intid);
            pend(m, 60);
            assert_eq!((pending(m, intid), active(m, intid)), (intid == 60, true));
            m.store_bit(CPU0, 0x280, 60);
            assert_eq!((pending(m, intid), active(m, intid)), (false, true));
            m.end(CPU0, intid);
            assert!(!pending(m, intid) && !active(m, intid));
        }
    });
}

#[test]
fn what_is_made_active_does_not_come_until_it_is_deactivated() {
    all(1, |m| {
        m.enable(CPU0, 60);
        m.store_bit(CPU0, 0x300, 60);
        assert!(active(m, 60));
        pend(m, 60);
        assert!(pending(m, 60) && m.visible(CPU0).is_empty());
        m.store_bit(CPU0, 0x380, 60);
        assert_eq!(m.take_all(CPU0), [60]);
    });
}

#[test]
fn what_is_disabled_in_a_list_register_is_taken_back() {
    reading(1, 4, |m| {
        for intid in [LEVEL, EDGE, 60] {
            m.enable(CPU0, intid);
            if intid == 60 {
                pend(m, 60)
            } else {
                raise(m, intid)
            }
            assert_eq!(m.visible(CPU0), [intid]);
            m.disable(CPU0, intid);
            m.settle();
            assert!(m.visible(CPU0).is_empty());
            assert!(pending(m, intid), "but stays pending");
            m.enable(CPU0, intid);
            m.settle();
            assert_eq!(m.acknowledge(CPU0), Some(intid));
            // What is active is not.
            m.disable(CPU0, intid);
            assert_eq!(m.visible(CPU0), [intid]);
            m.fake.lower(intid);
            m.end(CPU0, intid);
            m.enable(CPU0, intid);
            assert!(m.take_all(CPU0).is_empty(), "and came once");
        }
    });
}

#[test]
fn what_is_cleared_in_a_list_register_is_gone() {
    reading(1, 4, |m| {
        m.enable(CPU0, 60);
        pend(m, 60);
        m.store_bit(CPU0, 0x280, 60);
        assert!(m.visible(CPU0).is_empty() && !pending(m, 60));
        m.enable(CPU0, LEVEL);
        raise(m, LEVEL);
        m.store_bit(CPU0, 0x280, LEVEL);
        m.settle();
        assert_eq!(m.visible(CPU0), [LEVEL], "its line is high");
        m.enable(CPU0, EDGE);
        raise(m, EDGE);
        raise(m, EDGE);
        m.store_bit(CPU0, 0x280, EDGE);
        m.settle();
        assert_eq!(m.visible(CPU0), [LEVEL]);
        raise(m, EDGE);
        assert_eq!(m.visible(CPU0).len(), 2, "and is heard again");
    });
}

#[test]
fn a_group_that_is_turned_off_is_taken_back() {
    reading(1, 4, |m| {
        m.enable(CPU0, 60);
        pend(m, 60);
        m.store(CPU0, GICD, 4, 0b11 & !(1 << m.group()));
        assert!(m.visible(CPU0).is_empty());
        m.store(CPU0, GICD, 4, 0b11);
        assert_eq!(m.take_all(CPU0), [60]);
    });
}

#[test]
fn a_group_that_changes_changes_what_waits() {
    reading(1, 4, |m| {
        m.fake.groups = 0b11;
        m.enable(CPU0, 60);
        pend(m, 60);
        let other = m.group() ^ 1;
        m.set_group(CPU0, 60, other);
        assert_eq!(m.fake.visible(CPU0)[0].group, other);
        assert_eq!(m.take_all(CPU0), [60]);
    });
}

#[test]
fn what_is_pended_twice_before_it_is_taken_comes_once() {
    reading(2, 4, |m| {
        m.enable(CPU0, 60);
        m.enable(CPU0, EDGE);
        m.enable(CPU0, 7);
        for _ in 0..2 {
            pend(m, 60);
            raise(m, EDGE);
            m.send(CPU1, 0b1, 7);
        }
        assert_eq!(m.take_all(CPU0), [7, EDGE, 60]);
        assert!(!m.fake.wires[&EDGE].masked);
    });
}

#[test]
fn a_pending_interrupt_follows_its_new_route() {
    reading(2, 4, |m| {
        m.enable(CPU0, 60);
        pend(m, 60);
        assert_eq!((m.visible(CPU0), m.visible(CPU1)), (vec![60], vec![]));
        m.set_target(CPU0, 60, 1);
        assert_eq!((m.visible(CPU0), m.visible(CPU1)), (vec![], vec![60]));
        m.acknowledge(CPU1);
        m.set_target(CPU0, 60, 0);
        assert_eq!(
            (m.visible(CPU0), m.visible(CPU1)),
            (vec![], vec![60]),
            "an active one does not"
        );
    });
}

#[test]
fn of_several_targets_the_first_that_is_on_is_taken() {
    all(4, |m| {
        if m.version == 2 {
            m.store(CPU0, GICD + 0x800 + 60, 1, 0b1110);
        } else {
            m.store(CPU0, GICD + 0x6000 + 8 * 60, 8, 1 << 31);
        }
        m.enable(CPU0, 60);
        let by = Vcpu(3);
        let off = if m.version == 2 { CPU1 } else { CPU0 };
        m.turn_off(off);
        m.store_bit(by, 0x200, 60);
        let next = Vcpu(off.0 + 1);
        assert_eq!((m.visible(off), m.visible(next)), (vec![], vec![60]));
    });
}

#[test]
fn what_waits_for_a_cpu_that_turns_off_goes_to_another() {
    all(3, |m| {
        for intid in [LEVEL, EDGE, 60] {
            m.enable(CPU0, intid);
            m.set_target(CPU0, intid, 1);
        }
        raise(m, LEVEL);
        raise(m, EDGE);
        pend(m, 60);
        assert_eq!(m.visible(CPU1).len(), 3);
        m.turn_off(CPU1);
        m.settle();
        assert!(m.visible(CPU1).is_empty());
        assert!(m.visible(CPU0).is_empty(), "the one that it is for is off");
        for intid in [LEVEL, EDGE, 60] {
            m.set_target(CPU0, intid, 2);
        }
        m.settle();
        let mut came = Vec::new();
        while let Some(intid) = m.acknowledge(Vcpu(2)) {
            m.fake.lower(intid);
            m.end(Vcpu(2), intid);
            m.settle();
            came.push(intid);
        }
        came.sort_unstable();
        assert_eq!(came, [LEVEL, EDGE, 60]);
        assert!(m.fake.wires.values().all(|wire| !wire.masked));
        raise(m, EDGE);
        raise(m, LEVEL);
        assert_eq!(m.visible(Vcpu(2)).len(), 2, "and they are heard again");
    });
}

#[test]
fn a_cpu_that_is_off_is_asked_for_no_room() {
    reading(2, 4, |m| {
        m.enable(CPU0, 60);
        m.set_target(CPU0, 60, 1);
        pend(m, 60);
        m.turn_off(CPU1);
        // What waits for it alone waits: its processor has room, and nobody to fill it.
        pend(m, 60);
        assert_eq!(m.fake.cpus[1].attends, (false, false));
        m.turn_on_others(CPU0);
        assert_eq!(m.visible(CPU1), [60]);
    });
}

#[test]
fn what_a_cpu_handled_when_it_turned_off_stays_active() {
    reading(2, 4, |m| {
        m.enable(CPU0, LEVEL);
        m.set_target(CPU0, LEVEL, 1);
        raise(m, LEVEL);
        m.acknowledge(CPU1);
        m.turn_off(CPU1);
        m.set_target(CPU0, LEVEL, 0);
        m.settle();
        assert!(active(m, LEVEL) && m.visible(CPU0).is_empty());
        m.store_bit(CPU0, 0x380, LEVEL);
        m.settle();
        assert_eq!(m.visible(CPU0), [LEVEL]);
    });
}

#[test]
fn a_cpu_comes_up_without_the_tick_of_its_last_life() {
    all(2, |m| {
        m.enable(CPU1, 27);
        m.fake.cpus[1].timer.ctl = 1;
        m.settle();
        assert_eq!(m.visible(CPU1), [27]);
        m.disable(CPU1, 27);
        m.turn_off(CPU1);
        m.turn_on_others(CPU0);
        m.settle();
        assert!(m.visible(CPU1).is_empty() && !m.fake.cpus[1].timer_masked);
        m.enable(CPU1, 27);
        m.settle();
        assert!(m.visible(CPU1).is_empty(), "a CPU starts with its timer off");
        m.fake.cpus[1].timer.ctl = 1;
        m.settle();
        assert_eq!(m.visible(CPU1), [27]);
    });
}

#[test]
fn a_cpu_that_left_inside_its_tick_has_one_again() {
    reading(2, 4, |m| {
        m.enable(CPU1, 27);
        m.fake.cpus[1].timer.ctl = 1;
        m.settle();
        assert_eq!(m.acknowledge(CPU1), Some(27));
        m.turn_off(CPU1);
        m.turn_on_others(CPU0);
        assert!(!m.fake.cpus[1].timer_masked, "its timer is off, so the line is low");
        m.store_bit(CPU1, 0x380, 27);
        m.settle();
        assert!(m.visible(CPU1).is_empty());
        m.fake.cpus[1].timer.ctl = 1;
        m.settle();
        assert_eq!(m.visible(CPU1), [27]);
    });
}

#[test]
fn the_end_of_one_cpus_tick_is_not_that_of_anothers() {
    reading(2, 1, |m| {
        let cpus = [CPU0, CPU1];
        for cpu in cpus {
            m.enable(cpu, 27);
            m.enable(cpu, 1);
            m.set_priority(cpu, 27, 0x80);
            m.set_priority(cpu, 1, 0x40);
            m.fake.cpus[cpu.index()].timer.ctl = 1;
        }
        m.settle();
        // Inside each CPU's tick comes something better, for which it has to leave its list register.
        cpus.into_iter().for_each(|cpu| assert_eq!(m.acknowledge(cpu), Some(27)));
        m.send(CPU0, 0b11, 1);
        m.settle();
        cpus.into_iter().for_each(|cpu| assert_eq!(m.take(cpu), Some(1)));
        for cpu in cpus {
            m.fake.cpus[cpu.index()].timer.ctl = 0;
            m.end(cpu, 27);
            m.settle();
            assert!(!m.fake.cpus[cpu.index()].timer_masked, "{cpu} has ended its tick");
        }
        cpus.into_iter().for_each(|cpu| m.fake.cpus[cpu.index()].timer.ctl = 1);
        m.settle();
        cpus.into_iter().for_each(|cpu| assert_eq!(m.visible(cpu), [27]));
    });
}

#[test]
fn a_level_that_fell_while_it_was_disabled_is_not_pending() {
    all(1, |m| {
        raise(m, LEVEL);
        assert!(pending(m, LEVEL));
        m.settle();
        m.fake.lower(LEVEL);
        // A host that cannot tell listens again.
        let first = pending(m, LEVEL);
        assert_eq!(first, !m.fake.reads);
        m.settle();
        assert!(!pending(m, LEVEL) && !m.fake.wires[&LEVEL].masked);
        m.fake.cpus[0].timer.ctl = 1;
        m.settle();
        assert!(pending(m, 27));
        m.fake.cpus[0].timer.ctl = 0;
        assert!(!pending(m, 27));
    });
}

#[test]
fn the_edges_of_a_disabled_interrupt_keep_nobody_busy() {
    all(1, |m| {
        for _ in 0..1000 {
            raise(m, EDGE);
        }
        assert!(m.vm.counters().device_interrupt <= 2, "{}", m.vm.counters().device_interrupt);
        m.enable(CPU0, EDGE);
        m.settle();
        let came = m.take_all(CPU0).len();
        assert!((1..=2).contains(&came), "{came}");
        assert!(!m.fake.wires[&EDGE].masked);
        let before = m.vm.counters().device_interrupt;
        for _ in 0..1000 {
            raise(m, EDGE);
        }
        assert!(m.vm.counters().device_interrupt - before <= 3, "nor of one that is not ended");
    });
}

#[test]
fn the_sender_of_an_sgi_is_told() {
    both(3, |m| {
        if m.version == 2 {
            m.enable(CPU0, 7);
            m.send(CPU1, 0b1, 7);
            m.send(Vcpu(2), 0b1, 7);
            for from in [1, 2] {
                assert_eq!(m.fake.visible(CPU0)[0].source, Vcpu(from));
                m.take(CPU0);
            }
        }
    });
}
