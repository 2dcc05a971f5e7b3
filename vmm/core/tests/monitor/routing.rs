// SPDX-License-Identifier: BSD-2-Clause
//! Which vCPU an interrupt goes to, and the interrupts that vCPUs send to each other.

use vmm_core::ids::Vcpu;

use crate::common::machine::CPU0;
use crate::common::spec::{EDGES, GICD};
use crate::common::{Machine, Spec};
use crate::interrupts::{both, pend, raise};

const CPU1: Vcpu = Vcpu(1);
const EDGE: u16 = EDGES[0];

#[test]
fn a_private_interrupt_is_its_vcpus_own() {
    both(2, |m| {
        m.enable(CPU0, 20);
        m.enable(CPU1, 20);
        m.store_bit(CPU1, 0x200, 20);
        assert_eq!((m.visible(CPU0), m.visible(CPU1)), (vec![], vec![20]));
    });
}

#[test]
fn a_timer_is_its_vcpus_own() {
    both(2, |m| {
        m.enable(CPU0, 27);
        m.enable(CPU1, 27);
        m.fake.cpus[1].timer.ctl = 1;
        m.fake.pass(10);
        m.settle();
        assert_eq!((m.visible(CPU0), m.visible(CPU1)), (vec![], vec![27]));
        m.acknowledge(CPU1);
        m.fake.cpus[1].timer.ctl = 0;
        m.end(CPU1, 27);
        assert!(!m.fake.cpus[1].timer_masked);
    });
}

#[test]
fn a_timer_that_fired_while_disabled_is_sampled_when_enabled() {
    both(1, |m| {
        m.fake.cpus[0].timer.ctl = 1;
        m.settle();
        assert!(m.fake.cpus[0].timer_masked);
        m.fake.cpus[0].timer.ctl = 0;
        m.enable(CPU0, 27);
        m.settle();
        assert!(m.visible(CPU0).is_empty() && !m.fake.cpus[0].timer_masked);
        m.fake.cpus[0].timer.ctl = 1;
        m.settle();
        assert_eq!(m.visible(CPU0), [27]);
    });
}

#[test]
fn a_shared_interrupt_goes_where_it_is_routed() {
    both(4, |m| {
        for target in 0..4 {
            let intid = 40 + u16::from(target);
            m.set_target(CPU0, intid, target);
            m.enable(CPU0, intid);
            pend(m, intid);
        }
        for v in 0..4 {
            assert_eq!(m.visible(Vcpu(v)), [40 + u16::from(v)]);
        }
    });
}

#[test]
fn a_route_may_change_while_the_interrupt_waits() {
    both(2, |m| {
        pend(m, 60);
        m.set_target(CPU0, 60, 1);
        m.enable(CPU0, 60);
        assert_eq!((m.visible(CPU0), m.visible(CPU1)), (vec![], vec![60]));
    });
}

#[test]
fn a_route_that_changes_while_it_is_handled_makes_no_second_one() {
    both(2, |m| {
        m.enable(CPU0, EDGE);
        raise(m, EDGE);
        m.acknowledge(CPU0);
        m.set_target(CPU0, EDGE, 1);
        raise(m, EDGE);
        assert_eq!((m.visible(CPU0), m.visible(CPU1)), (vec![EDGE], vec![]));
        m.end(CPU0, EDGE);
        assert_eq!((m.visible(CPU0), m.visible(CPU1)), (vec![], vec![EDGE]));
    });
}

#[test]
fn of_several_targets_the_first_is_taken() {
    let mut m = Machine::boot_all(&Spec::new(2, 4));
    m.set_up_gic();
    m.store(CPU0, GICD + 0x800 + 60, 1, 0b1110);
    m.enable(CPU0, 60);
    pend(&mut m, 60);
    assert_eq!([0, 1, 2, 3].map(|v| m.visible(Vcpu(v)).len()), [0, 1, 0, 0]);
}

#[test]
fn any_vcpu_means_the_first() {
    let mut m = Machine::boot_all(&Spec::new(3, 4));
    m.set_up_gic();
    m.store(CPU0, GICD + 0x6000 + 8 * 60, 8, 1 << 31 | 3);
    m.enable(CPU0, 60);
    pend(&mut m, 60);
    assert_eq!([0, 1, 2, 3].map(|v| m.visible(Vcpu(v)).len()), [1, 0, 0, 0]);
}

#[test]
fn without_a_target_it_waits() {
    for version in [2, 3] {
        let mut m = Machine::boot_all(&Spec::new(version, 2));
        m.set_up_gic();
        if version == 2 {
            m.store(CPU0, GICD + 0x800 + 60, 1, 0);
        } else {
            m.store(CPU0, GICD + 0x6000 + 8 * 60, 8, 0x100);
        }
        m.enable(CPU0, 60);
        pend(&mut m, 60);
        assert!(m.visible(CPU0).is_empty() && m.visible(CPU1).is_empty());
        m.set_target(CPU0, 60, 1);
        assert_eq!(m.visible(CPU1), [60]);
    }
}

#[test]
fn a_uniprocessor_needs_no_target() {
    for version in [2, 3] {
        let mut m = Machine::boot(&Spec::new(version, 1));
        m.set_up_gic();
        m.store(CPU0, GICD + 0x800 + 60, 1, 0);
        m.enable(CPU0, 60);
        pend(&mut m, 60);
        assert_eq!(m.visible(CPU0), [60], "GICv{version}");
    }
}

#[test]
fn an_sgi_from_two_vcpus_comes_twice_with_gicv2() {
    let mut m = Machine::boot_all(&Spec::new(2, 3));
    m.set_up_gic();
    m.enable(CPU0, 7);
    m.send(CPU1, 0b1, 7);
    m.send(Vcpu(2), 0b1, 7);
    assert_eq!(m.visible(CPU0), [7], "one at a time");
    assert_eq!(m.take_all(CPU0), [7, 7]);
}

#[test]
fn an_sgi_from_three_vcpus_that_waited_comes_three_times_with_gicv2() {
    let mut m = Machine::boot_all(&Spec::new(2, 3));
    m.set_up_gic();
    for v in 0..3 {
        m.send(Vcpu(v), 0b1, 7);
    }
    m.enable(CPU0, 7);
    assert_eq!(m.load(CPU0, GICD + 0xf17, 1), 0b110, "one sender is in a list register");
    assert_eq!(m.take_all(CPU0), [7, 7, 7]);
}

#[test]
fn an_sgi_from_two_vcpus_comes_once_with_gicv3() {
    let mut m = Machine::boot_all(&Spec::new(3, 3));
    m.set_up_gic();
    m.send(CPU1, 0b1, 7);
    m.send(Vcpu(2), 0b1, 7);
    m.enable(CPU0, 7);
    assert_eq!(m.take_all(CPU0), [7]);
}

#[test]
fn an_sgi_sent_twice_by_one_vcpu_before_it_is_seen_comes_once() {
    both(2, |m| {
        m.send(CPU1, 0b1, 7);
        m.send(CPU1, 0b1, 7);
        m.enable(CPU0, 7);
        assert_eq!(m.take_all(CPU0), [7]);
    });
}

#[test]
fn an_sgi_while_one_is_handled_comes_again() {
    both(2, |m| {
        m.enable(CPU0, 7);
        m.send(CPU1, 0b1, 7);
        m.acknowledge(CPU0);
        m.send(CPU1, 0b1, 7);
        m.end(CPU0, 7);
        assert_eq!(m.take_all(CPU0), [7]);
    });
}

#[test]
fn sgis_have_priorities_like_all_others() {
    both(2, |m| {
        m.store(CPU0, GICD, 4, 0);
        for (intid, priority) in [(1, 0x90), (2, 0x10), (27, 0x50)] {
            m.set_priority(CPU1, intid, priority);
            m.enable(CPU1, intid);
        }
        m.send(CPU0, 0b10, 1);
        m.send(CPU0, 0b10, 2);
        m.fake.cpus[1].timer.ctl = 1;
        m.settle();
        m.store(CPU0, GICD, 4, 0b11);
        for expected in [2, 27, 1] {
            assert_eq!(m.acknowledge(CPU1), Some(expected));
            m.fake.cpus[1].timer.ctl = 0;
            m.end(CPU1, expected);
        }
        assert_eq!(m.acknowledge(CPU1), None);
    });
}
