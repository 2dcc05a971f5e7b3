// SPDX-License-Identifier: BSD-2-Clause
//! Parking and waking: what a vCPU sleeps until, and what wakes it.

use vmm_core::host::{Action, Exit};
use vmm_core::ids::{Intid, Vcpu};
use vmm_testkit::fake::Life;

use crate::common::machine::CPU0;
use crate::common::spec::{EDGES, LEVELS};
use crate::common::{Machine, Spec};

const CPU1: Vcpu = Vcpu(1);
const LEVEL: u16 = LEVELS[0];
const EDGE: u16 = EDGES[0];
/// A thousandth of a second of the fake's counter.
const SOON: u64 = 1000;

/// Runs a test with both interrupt controllers.
fn both(vcpus: u32, test: impl Fn(&mut Machine)) {
    for version in [2, 3] {
        let mut m = Machine::boot_all(&Spec::new(version, vcpus));
        m.set_up_gic();
        test(&mut m);
        assert_eq!(m.fake.overwritten, [], "GICv{version}");
    }
}

fn set_timer(m: &mut Machine, vcpu: Vcpu, ctl: u64, cval: u64) {
    let timer = &mut m.fake.cpus[vcpu.index()].timer;
    (timer.ctl, timer.cval) = (ctl, cval);
}

fn park(until: u64) -> Action {
    Action::Park { until: Some(until) }
}

const FOREVER: Action = Action::Park { until: None };

#[test]
fn with_nothing_to_wait_for_there_is_no_deadline() {
    both(1, |m| assert_eq!(m.wfi(CPU0), FOREVER));
}

#[test]
fn the_timer_is_the_deadline() {
    both(1, |m| {
        set_timer(m, CPU0, 0b01, 5_000);
        assert_eq!(m.wfi(CPU0), park(5_000));
        m.fake.pass(3_999);
        m.settle();
        assert!(m.parked(CPU0), "one tick too early");
        m.fake.pass(1);
        m.settle();
        assert!(m.runs(CPU0));
        assert_eq!((m.vm.counters().parks, m.vm.counters().wakeup), (1, 1));
    });
}

#[test]
fn a_timer_that_is_masked_or_off_is_no_deadline() {
    for ctl in [0b00, 0b10, 0b11, 0b100, 0b111] {
        both(1, |m| {
            set_timer(m, CPU0, ctl, 5_000);
            assert_eq!(m.wfi(CPU0), FOREVER, "CNTV_CTL {ctl:#b}");
        });
    }
}

#[test]
fn the_status_bit_of_the_timer_does_not_count() {
    both(1, |m| {
        set_timer(m, CPU0, 0b101, 5_000);
        assert_eq!(m.wfi(CPU0), park(5_000));
    });
}

#[test]
fn a_timer_that_is_due_needs_no_sleep() {
    for before in [1_000, 1, 0] {
        both(1, |m| {
            m.enable(CPU0, 27);
            set_timer(m, CPU0, 0b01, m.fake.now - before);
            assert_eq!(m.wfi(CPU0), Action::Resume);
            assert_eq!(m.vm.counters().parks, 0);
            // The guest has its interrupt at once: it does not come back to its WFI.
            assert_eq!(m.fake.visible(CPU0)[0].intid, Intid::VIRTUAL_TIMER);
        });
    }
    both(1, |m| {
        set_timer(m, CPU0, 0b01, m.fake.now + 1);
        assert!(matches!(m.wfi(CPU0), Action::Park { .. }));
    });
}

#[test]
fn a_timer_at_the_end_of_time() {
    both(1, |m| {
        set_timer(m, CPU0, 0b01, u64::MAX);
        assert_eq!(m.wfi(CPU0), park(u64::MAX));
    });
}

#[test]
fn the_timers_interrupt_follows_the_wake_up() {
    both(1, |m| {
        m.enable(CPU0, 27);
        set_timer(m, CPU0, 0b01, 5_000);
        m.wfi(CPU0);
        m.fake.pass(10_000);
        m.settle();
        assert_eq!(m.pending(CPU0), [27]);
    });
}

#[test]
fn a_timer_that_has_fired_is_no_deadline_until_it_is_ended() {
    both(1, |m| {
        m.enable(CPU0, 27);
        set_timer(m, CPU0, 0b01, 0);
        m.settle();
        assert_eq!(m.acknowledge(CPU0), Some(27));
        // Set again inside the handler: it is masked, so only a look can find it.
        set_timer(m, CPU0, 0b01, 90_000);
        assert_eq!(m.wfi(CPU0), park(m.fake.now + SOON));
    });
}

#[test]
fn a_timer_that_has_fired_keeps_nobody_awake() {
    both(1, |m| {
        m.enable(CPU0, 27);
        set_timer(m, CPU0, 0b01, 0);
        m.settle();
        m.acknowledge(CPU0);
        // Long due, but masked until it is ended: it cannot fire.
        assert_eq!(m.wfi(CPU0), park(m.fake.now + SOON));
    });
}

#[test]
fn a_timer_whose_interrupt_is_disabled_keeps_nobody_awake_twice() {
    both(1, |m| {
        set_timer(m, CPU0, 0b01, 0);
        assert_eq!(m.wfi(CPU0), Action::Resume, "it has not fired yet");
        m.settle();
        assert_eq!(m.wfi(CPU0), FOREVER, "it has, and nobody wants it");
    });
}

#[test]
fn a_guest_that_waits_with_an_interrupt_in_hand_is_looked_at_soon() {
    both(1, |m| {
        m.enable(CPU0, EDGE);
        m.fake.raise(EDGE);
        m.settle();
        assert_eq!(m.wfi(CPU0), park(m.fake.now + SOON), "it may have masked it");
        m.fake.pass(SOON);
        m.settle();
        assert!(m.runs(CPU0));
        set_timer(m, CPU0, 0b01, m.fake.now + 10);
        assert_eq!(m.wfi(CPU0), park(m.fake.now + 10), "the earlier of the two");
    });
}

#[test]
fn a_guest_with_more_than_its_list_registers_hold_does_not_sleep() {
    both(1, |m| {
        for intid in 56..62 {
            m.enable(CPU0, intid);
            m.store_bit(CPU0, 0x200, intid);
        }
        assert_eq!(m.wfi(CPU0), Action::Resume);
    });
}

#[test]
fn what_finds_no_list_register_wakes_all_the_same() {
    both(1, |m| {
        for intid in 56..59 {
            m.enable(CPU0, intid);
            m.store_bit(CPU0, 0x200, intid);
            m.acknowledge(CPU0);
        }
        m.enable(CPU0, LEVEL);
        assert_eq!(m.wfi(CPU0), park(m.fake.now + SOON));
        m.fake.raise(LEVEL);
        m.settle();
        assert!(m.runs(CPU0), "it may end one of those that it has");
    });
}

#[test]
fn a_line_wakes() {
    for wire in [LEVEL, EDGE] {
        both(1, |m| {
            m.enable(CPU0, wire);
            m.wfi(CPU0);
            m.fake.raise(wire);
            m.settle();
            assert!(m.runs(CPU0));
            assert_eq!(m.pending(CPU0), [wire]);
        });
    }
}

#[test]
fn a_line_that_comes_between_the_check_and_the_park_wakes() {
    both(1, |m| {
        m.enable(CPU0, LEVEL);
        m.fake.raise(LEVEL);
        // The line fired before the guest waited; the host hears of it afterwards.
        assert_eq!(m.fake.exits.len(), 1);
        assert_eq!(m.wfi(CPU0), FOREVER);
        m.settle();
        assert!(m.runs(CPU0));
    });
}

#[test]
fn a_line_that_was_handled_before_the_park_is_not_slept_over() {
    both(1, |m| {
        m.enable(CPU0, LEVEL);
        m.fake.raise(LEVEL);
        m.settle();
        // The guest's WFI was on its way: the interrupt is in a list register and it waits.
        let Action::Park { until } = m.wfi(CPU0) else { return };
        assert!(until.is_some_and(|until| until <= m.fake.now + SOON));
        m.fake.pass(SOON);
        m.settle();
        assert!(m.runs(CPU0));
    });
}

#[test]
fn a_line_that_is_disabled_wakes_nobody() {
    both(1, |m| {
        m.wfi(CPU0);
        m.fake.raise(LEVEL);
        m.fake.raise(EDGE);
        m.settle();
        assert!(m.parked(CPU0));
    });
}

#[test]
fn a_line_of_another_vcpu_wakes_that_one() {
    both(2, |m| {
        m.enable(CPU0, LEVEL);
        m.set_target(CPU0, LEVEL, 1);
        m.wfi(CPU0);
        m.wfi(CPU1);
        m.fake.raise(LEVEL);
        m.settle();
        assert!(m.parked(CPU0) && m.runs(CPU1));
    });
}

#[test]
fn an_sgi_wakes() {
    both(3, |m| {
        m.enable(CPU1, 4);
        m.enable(Vcpu(2), 4);
        m.wfi(CPU1);
        m.wfi(Vcpu(2));
        m.send(CPU0, 0b010, 4);
        assert!(m.runs(CPU1) && m.parked(Vcpu(2)));
        assert_eq!(m.pending(CPU1), [4]);
    });
}

#[test]
fn a_register_that_another_vcpu_writes_wakes() {
    both(2, |m| {
        m.set_target(CPU0, 60, 1);
        m.enable(CPU0, 60);
        m.wfi(CPU1);
        m.store_bit(CPU0, 0x200, 60);
        assert!(m.runs(CPU1));
    });
}

#[test]
fn an_enable_by_another_vcpu_wakes() {
    both(2, |m| {
        m.set_target(CPU0, EDGE, 1);
        m.fake.raise(EDGE);
        m.settle();
        m.wfi(CPU1);
        m.enable(CPU0, EDGE);
        assert!(m.runs(CPU1));
    });
}

#[test]
fn a_route_that_another_vcpu_changes_wakes() {
    both(2, |m| {
        m.set_target(CPU0, EDGE, 0);
        m.enable(CPU0, EDGE);
        m.wfi(CPU1);
        m.store(CPU0, crate::common::spec::GICD, 4, 0);
        m.fake.raise(EDGE);
        m.settle();
        m.set_target(CPU0, EDGE, 1);
        assert!(m.parked(CPU1));
        m.store(CPU0, crate::common::spec::GICD, 4, 0b11);
        assert!(m.runs(CPU1));
    });
}

#[test]
fn a_wake_up_that_is_early_says_when_to_come_again() {
    both(2, |m| {
        set_timer(m, CPU0, 0b01, 5_000);
        set_timer(m, CPU1, 0b01, 7_000);
        m.wfi(CPU0);
        m.wfi(CPU1);
        assert_eq!(m.handle(CPU0, Exit::WakeUp), park(5_000));
        assert!(m.parked(CPU0) && m.parked(CPU1));
    });
}

#[test]
fn the_earliest_of_all_deadlines_is_kept() {
    both(3, |m| {
        set_timer(m, CPU0, 0b01, 9_000);
        set_timer(m, CPU1, 0b01, 5_000);
        set_timer(m, Vcpu(2), 0b01, 7_000);
        assert_eq!(m.wfi(CPU0), park(9_000));
        assert_eq!(m.wfi(CPU1), park(5_000));
        assert_eq!(m.wfi(Vcpu(2)), park(5_000));
        m.fake.pass(4_000);
        assert!(m.step());
        assert_eq!(m.deadline, Some(7_000));
        assert!(m.parked(CPU0) && m.runs(CPU1) && m.parked(Vcpu(2)));
        m.fake.pass(4_000);
        m.settle();
        assert!(m.runs(CPU0) && m.runs(Vcpu(2)), "both, at one wake-up");
        assert_eq!((m.deadline, m.vm.counters().wakeup), (None, 2));
    });
}

#[test]
fn one_that_sleeps_for_ever_takes_no_deadline_away() {
    both(2, |m| {
        set_timer(m, CPU0, 0b01, 5_000);
        m.wfi(CPU0);
        assert_eq!(m.wfi(CPU1), park(5_000));
    });
}

#[test]
fn a_vcpu_that_a_line_woke_is_not_woken_by_its_old_deadline() {
    both(1, |m| {
        m.enable(CPU0, EDGE);
        set_timer(m, CPU0, 0b01, 5_000);
        m.wfi(CPU0);
        m.fake.raise(EDGE);
        m.settle();
        assert_eq!(m.take_all(CPU0), [EDGE]);
        // The host's timer was not told: its wake-up finds nobody.
        assert_eq!(m.handle(CPU0, Exit::WakeUp), Action::Resume);
        set_timer(m, CPU0, 0b01, 8_000);
        assert_eq!(m.wfi(CPU0), park(8_000));
    });
}

#[test]
fn a_host_that_lets_it_run_on_at_once_breaks_nothing() {
    both(1, |m| {
        m.enable(CPU0, 27);
        m.enable(CPU0, EDGE);
        for round in 1..20 {
            set_timer(m, CPU0, 0b01, m.fake.now + 100);
            m.wfi(CPU0);
            m.fake.cpus[0].life = Life::Running;
            m.fake.raise(EDGE);
            m.settle();
            assert_eq!(m.take_all(CPU0), [EDGE], "round {round}");
        }
    });
}

#[test]
fn every_vcpu_sleeps_and_wakes_by_itself() {
    both(4, |m| {
        for round in 0..5 {
            for v in 0..4 {
                m.enable(Vcpu(v), 27);
                set_timer(m, Vcpu(v), 0b01, m.fake.now + 100 * (u64::from(v) + 1));
                m.wfi(Vcpu(v));
            }
            for v in 0..4 {
                m.fake.pass(100);
                m.settle();
                for w in 0..4 {
                    assert_eq!(m.runs(Vcpu(w)), w <= v, "round {round}: vcpu{w} at {v}");
                }
                assert_eq!(m.acknowledge(Vcpu(v)), Some(27));
                m.fake.cpus[usize::from(v)].timer.ctl = 0;
                m.end(Vcpu(v), 27);
            }
        }
        assert_eq!((m.vm.counters().parks, m.vm.counters().timer), (20, 20));
    });
}

#[test]
fn a_line_fires_for_a_guest_that_sleeps_on_another_vcpus_behalf() {
    // Exits of the machine come with any vCPU's number: only the line counts.
    both(2, |m| {
        m.enable(CPU0, LEVEL);
        m.wfi(CPU0);
        m.handle(CPU1, Exit::DeviceInterrupt(Intid::new(LEVEL).unwrap()));
        assert!(m.runs(CPU0));
    });
}
