// SPDX-License-Identifier: BSD-2-Clause
//! Reset with live state: whatever the last guest left, the next one starts clean.

use vmm_core::addr::Ipa;
use vmm_core::host::{Action, Exit, MemoryOp};
use vmm_core::ids::{Intid, Vcpu};
use vmm_testkit::fake::List;

use crate::common::machine::CPU0;
use crate::common::spec::{EDGES, GICD, GICR, INITRD, KERNEL, LEVELS, RAM, RAM_SIZE, TREE};
use crate::common::{Machine, Spec};

const CPU1: Vcpu = Vcpu(1);

fn both(vcpus: u32, test: impl Fn(&mut Machine, &Spec)) {
    for version in [2, 3] {
        let spec = Spec::new(version, vcpus);
        let mut m = Machine::boot_all(&spec);
        m.set_up_gic();
        test(&mut m, &spec);
    }
}

/// Every register of the interrupt controllers that reads back.
fn registers(m: &mut Machine) -> Vec<u64> {
    let mut words: Vec<u64> = (0..0x1000).step_by(4).map(|at| m.load(CPU0, GICD + at, 4)).collect();
    if m.version == 3 {
        words.extend((32..64).map(|intid| m.load(CPU0, GICD + 0x6000 + 8 * intid, 8)));
        for v in 0..u64::from(m.vcpus) {
            let frame = GICR + v * 0x2_0000;
            words.extend((0..0x100).step_by(4).map(|at| m.load(CPU0, frame + at, 4)));
            words.extend((0x80..0xd00).step_by(4).map(|at| m.load(CPU0, frame + 0x1_0000 + at, 4)));
        }
    }
    words
}

#[test]
fn every_register_is_as_it_was_at_the_first_start() {
    for version in [2, 3] {
        let mut m = Machine::boot(&Spec::new(version, 2));
        let first = registers(&mut m);
        for at in (0..0x1000).step_by(4) {
            m.store(CPU0, GICD + at, 4, 0x5a5a_ffff);
        }
        if version == 3 {
            for at in (0x6000..0x6200).step_by(4) {
                m.store(CPU0, GICD + at, 4, 1);
            }
            for at in (0x0..0x1_0d00).step_by(4).filter(|at| !(0x100..0x1_0080).contains(at)) {
                m.store(CPU0, GICR + at, 4, 0x5a5a_fff0);
                m.store(CPU0, GICR + 0x2_0000 + at, 4, 0xa5a5_fff0);
            }
        }
        assert_ne!(registers(&mut m), first, "GICv{version}");
        m.reset(CPU0);
        assert_eq!(registers(&mut m), first, "GICv{version}");
    }
}

#[test]
fn nothing_pending_or_active_is_seen_again() {
    both(1, |m, _| {
        for intid in [60, 61, 62, 63] {
            m.enable(CPU0, intid);
            m.store_bit(CPU0, 0x200, intid);
        }
        m.acknowledge(CPU0);
        m.acknowledge(CPU0);
        assert_eq!(m.visible(CPU0).len(), 3, "one is kept for a higher priority");
        m.reset(CPU0);
        assert!(m.visible(CPU0).is_empty());
        m.set_up_gic();
        for intid in 32..64 {
            m.enable(CPU0, intid);
        }
        m.settle();
        assert!(m.take_all(CPU0).is_empty());
    });
}

#[test]
fn what_a_reset_leaves_in_list_registers_is_harmless() {
    both(1, |m, _| {
        m.enable(CPU0, 60);
        m.store_bit(CPU0, 0x200, 60);
        m.acknowledge(CPU0);
        m.reset(CPU0);
        let List::Pending(quiet) = m.fake.cpus[0].lists[0] else { panic!("still active") };
        assert!(quiet.intid.number() >= 64, "no interrupt of this guest");
        assert_eq!(quiet.priority, 31, "below every priority mask that lets anything through");
        assert_ne!(quiet.group, m.group(), "of the group that the guest does not use");
        assert_eq!(m.fake.cpus[0].lists[1], List::Empty, "only what was taken");
    });
}

#[test]
fn the_next_guest_uses_all_list_registers() {
    both(1, |m, _| {
        for _ in 0..3 {
            for intid in 50..58 {
                m.enable(CPU0, intid);
                m.store_bit(CPU0, 0x200, intid);
            }
            assert_eq!(m.visible(CPU0), [50, 51, 52], "and keeps one for a higher priority");
            m.acknowledge(CPU0);
            m.reset(CPU0);
            m.fake.overwritten.clear();
            m.set_up_gic();
        }
    });
}

#[test]
fn a_line_that_is_high_is_heard_by_the_next_guest() {
    both(1, |m, _| {
        m.enable(CPU0, LEVELS[0]);
        for wire in LEVELS {
            m.fake.raise(wire);
        }
        m.settle();
        m.acknowledge(CPU0);
        m.reset(CPU0);
        m.settle();
        m.set_up_gic();
        for wire in LEVELS {
            m.enable(CPU0, wire);
        }
        m.settle();
        assert_eq!(m.visible(CPU0), LEVELS);
    });
}

#[test]
fn a_line_that_fell_is_not() {
    both(1, |m, _| {
        m.enable(CPU0, LEVELS[0]);
        m.fake.raise(LEVELS[0]);
        m.settle();
        m.fake.lower(LEVELS[0]);
        m.reset(CPU0);
        m.settle();
        m.set_up_gic();
        m.enable(CPU0, LEVELS[0]);
        m.settle();
        assert!(m.visible(CPU0).is_empty());
        assert!(!m.fake.wires[&LEVELS[0]].masked, "but the next time it is");
    });
}

#[test]
fn every_line_and_timer_is_listened_to_again() {
    both(2, |m, _| {
        for wire in LEVELS.into_iter().chain(EDGES) {
            m.fake.raise(wire);
        }
        for v in 0..2 {
            m.fake.cpus[v].timer.ctl = 1;
        }
        m.settle();
        for wire in LEVELS {
            m.fake.lower(wire);
        }
        m.reset(CPU0);
        assert!(m.fake.wires.values().all(|wire| !wire.masked));
        assert!(m.fake.cpus.iter().all(|cpu| !cpu.timer_masked));
        assert_eq!(m.fake.cpus[0].timer.ctl, 0, "the timer itself is off");
    });
}

#[test]
fn an_sgi_to_one_that_was_off_is_forgotten() {
    both(2, |m, _| {
        m.enable(CPU1, 3);
        m.turn_off(CPU1);
        m.send(CPU0, 0b10, 3);
        m.reset(CPU0);
        m.turn_on_others(CPU0);
        m.set_up_gic();
        m.enable(CPU1, 3);
        assert!(m.take_all(CPU1).is_empty());
    });
}

#[test]
fn only_vcpu_0_runs_afterwards() {
    both(4, |m, _| {
        m.wfi(CPU1);
        m.turn_off(Vcpu(2));
        m.reset(CPU0);
        assert!((1..4).all(|v| !m.runs(Vcpu(v))));
        for v in 1..4 {
            assert_eq!(m.call(CPU0, &[0xc400_0004, v, 0]), 1, "vcpu{v} is off");
        }
        m.turn_on_others(CPU0);
        assert!((0..4).all(|v| m.runs(Vcpu(v))));
    });
}

#[test]
fn any_vcpu_may_ask_for_it() {
    both(4, |m, _| {
        m.wfi(CPU0);
        m.reset(Vcpu(3));
        assert_eq!((m.pc(CPU0), m.reg(CPU0, 0)), (KERNEL, TREE));
        assert!(!m.runs(Vcpu(3)));
        m.turn_on_others(CPU0);
        m.turn_off(CPU0);
        m.reset(CPU1);
        assert!(m.runs(CPU0) && !m.runs(CPU1));
    });
}

#[test]
fn no_deadline_outlives_it() {
    both(3, |m, _| {
        for v in 1..3 {
            m.fake.cpus[usize::from(v)].timer.ctl = 1;
            m.fake.cpus[usize::from(v)].timer.cval = 5_000;
            m.wfi(Vcpu(v));
        }
        m.reset(CPU0);
        m.fake.pass(100_000);
        assert_eq!(m.handle(CPU0, Exit::WakeUp), Action::Resume);
        assert!(!m.runs(CPU1) && !m.runs(Vcpu(2)));
        assert_eq!(m.wfi(CPU0), Action::Park { until: None });
    });
}

#[test]
fn a_slot_that_the_kernel_refuses_is_not_used_until_it_is_free() {
    both(1, |m, _| {
        for intid in [60, 61] {
            m.enable(CPU0, intid);
            m.store_bit(CPU0, 0x200, intid);
        }
        assert_eq!(m.acknowledge(CPU0), Some(60));
        m.fake.refresh_shadow(CPU0);
        m.reset(CPU0);
        assert!(
            matches!(m.fake.cpus[0].lists[0], List::Active(_)),
            "the kernel knows that it is active"
        );
        m.set_up_gic();
        for intid in [50, 51, 52, 53] {
            m.enable(CPU0, intid);
            m.store_bit(CPU0, 0x200, intid);
        }
        assert_eq!(m.pending(CPU0), [50, 51], "three are left, and one is kept");
        // The next reset tries again; by now the kernel knows that it is over.
        m.fake.cpus[0].lists[0] = List::Empty;
        m.fake.refresh_shadow(CPU0);
        m.reset(CPU0);
        let List::Pending(quiet) = m.fake.cpus[0].lists[0] else { panic!("not overwritten") };
        assert_ne!(quiet.group, m.group(), "of the group that the guest does not use");
        m.set_up_gic();
        for intid in [50, 51, 52, 53] {
            m.enable(CPU0, intid);
            m.store_bit(CPU0, 0x200, intid);
        }
        assert_eq!(m.pending(CPU0), [50, 51, 52]);
    });
}

#[test]
fn an_interrupt_that_the_last_guest_left_active_comes_again_and_again() {
    both(1, |m, _| {
        m.enable(CPU0, 60);
        m.store_bit(CPU0, 0x200, 60);
        assert_eq!(m.acknowledge(CPU0), Some(60));
        m.fake.refresh_shadow(CPU0);
        m.reset(CPU0);
        m.set_up_gic();
        m.enable(CPU0, 60);
        for _ in 0..5 {
            m.store_bit(CPU0, 0x200, 60);
            assert_eq!(m.acknowledge(CPU0), Some(60));
            let active = |list: &List| matches!(list, List::Active(_));
            assert_eq!(m.fake.cpus[0].lists.iter().filter(|list| active(list)).count(), 2);
            // The hardware takes the first of the two.
            assert!(m.fake.end(CPU0, Intid::new(60).unwrap()));
            m.settle();
        }
        // Three of four are left for others, one of them for a higher priority.
        for intid in [50, 51, 52, 53] {
            m.enable(CPU0, intid);
            m.store_bit(CPU0, 0x200, intid);
        }
        assert_eq!(m.pending(CPU0), [50, 51]);
    });
}

#[test]
fn the_images_are_pristine_again() {
    both(1, |m, spec| {
        let junk = vec![0xee; RAM_SIZE as usize];
        m.fake.ram.store_uncached(Ipa(RAM), &junk);
        m.fake.ram.store_cached(Ipa(RAM + 0x2_0000), &junk[..0x1_8000]);
        m.reset(CPU0);
        m.fake.ram.evict();
        let load =
            |ipa: u64, bytes: &[u8]| m.fake.ram.load_uncached(Ipa(ipa), bytes.len()) == bytes;
        assert!(load(KERNEL, &spec.kernel) && load(TREE, &spec.tree) && load(INITRD, &spec.initrd));
    });
}

#[test]
fn a_host_that_refuses_memory_stops_the_guest() {
    both(2, |m, _| {
        let half = vmm_core::addr::IpaRange::new(Ipa(RAM), RAM_SIZE / 2).unwrap();
        m.fake.ram = vmm_testkit::fake::ram::Ram::new(half);
        let Action::Stop(_) = m.smc(CPU0, &[0x8400_0009]) else { panic!("starts again") };
        let report = m.vm.fault().unwrap();
        assert_eq!(report.fault.kind().name(), "bad-image");
        assert!(!m.runs(CPU0) && !m.runs(CPU1));
    });
}

#[test]
fn counters_outlive_it() {
    both(1, |m, _| {
        m.load(CPU0, GICD, 4);
        let before = *m.vm.counters();
        m.reset(CPU0);
        let after = m.vm.counters();
        assert_eq!((after.mmio_read, after.mmio_write), (before.mmio_read, before.mmio_write));
        assert_eq!(after.smc, before.smc + 1);
    });
}

/// A busy guest: everything pending, active, masked, asleep or off.
fn get_busy(m: &mut Machine) {
    for v in 0..m.vcpus {
        let vcpu = Vcpu(v);
        for intid in [0, 1, 27] {
            m.enable(vcpu, intid);
        }
        m.fake.cpus[usize::from(v)].timer.ctl = 1;
        m.fake.cpus[usize::from(v)].timer.cval = m.fake.now + 50;
    }
    for intid in 32..64 {
        m.enable(CPU0, intid);
        m.set_target(CPU0, intid, (intid % u16::from(m.vcpus)) as u8);
        m.set_priority(CPU0, intid, (intid * 7) as u8);
        m.store_bit(CPU0, 0x200, intid);
    }
    for wire in LEVELS.into_iter().chain(EDGES) {
        m.fake.raise(wire);
    }
    m.fake.pass(100);
    m.settle();
    for v in 0..m.vcpus {
        m.acknowledge(Vcpu(v));
        m.acknowledge(Vcpu(v));
    }
    let last = Vcpu(m.vcpus - 1);
    if last != CPU0 {
        m.wfi(last);
    }
}

#[test]
fn twenty_in_a_row() {
    for version in [2, 3] {
        for vcpus in [1, 3] {
            let spec = Spec::new(version, vcpus);
            let mut m = Machine::boot(&spec);
            for round in 1..=20 {
                m.turn_on_others(CPU0);
                m.set_up_gic();
                get_busy(&mut m);
                for v in 0..m.vcpus {
                    assert!(m.visible(Vcpu(v)).len() >= 3, "round {round}: vcpu{v}");
                }
                m.fake.ram.store_cached(Ipa(RAM), &[round; 0x1000]);
                m.reset(CPU0);
                assert_eq!(
                    m.events().last().unwrap()["boots"].as_u64(),
                    Some(u64::from(round) + 1)
                );
                for v in 0..m.vcpus {
                    assert!(m.visible(Vcpu(v)).is_empty(), "round {round}: vcpu{v}");
                }
                assert_eq!(m.fake.ram.load_uncached(Ipa(KERNEL), 200), spec.kernel);
                m.settle();
            }
            let placed =
                m.fake.memory_log.iter().filter(|op| matches!(op, MemoryOp::CleanInvalidate(_)));
            assert_eq!(placed.count(), 21, "one placing for each start");
        }
    }
}
