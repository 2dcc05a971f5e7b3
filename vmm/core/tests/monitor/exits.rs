// SPDX-License-Identifier: BSD-2-Clause
//! Every kind of exit, what is answered and what is counted.

use std::sync::OnceLock;

use vmm_core::fault::Fault;
use vmm_core::host::{Action, Exit, FaultKind};
use vmm_core::ids::{Intid, Vcpu, VcpuCount};
use vmm_core::plan::IdleKind;
use vmm_core::vm::{STORM, Vm, VmError};

use crate::common::machine::CPU0;
use crate::common::spec::{EDGES, GICD, GICR, KERNEL, LEVELS, MARKER, RAM, RAM_SIZE, TREE};
use crate::common::{Machine, Spec, esr};

fn intid(number: u16) -> Intid {
    Intid::new(number).unwrap()
}

/// What the guest was stopped for.
fn fault(m: &Machine, action: Action) -> &Fault {
    assert!(matches!(action, Action::Stop(_)), "not stopped: {action:?}");
    &m.vm.fault().unwrap().fault
}

/// The name of the kind of a stop.
fn kind(action: Action) -> &'static str {
    let Action::Stop(kind) = action else { panic!("not stopped: {action:?}") };
    kind.name()
}

#[test]
fn every_shape_of_guest_starts() {
    for version in [2, 3] {
        for vcpus in 1..=4 {
            let mut m = Machine::boot_all(&Spec::new(version, vcpus));
            m.set_up_gic();
            assert_eq!((0..vcpus as u8).filter(|v| m.runs(Vcpu(*v))).count(), vcpus as usize);
        }
    }
}

#[test]
fn the_guest_enters_by_the_boot_protocol() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    assert_eq!((m.pc(CPU0), m.reg(CPU0, 0)), (KERNEL, TREE));
    assert!((1..31).all(|reg| m.reg(CPU0, reg) == 0));
    assert_eq!(m.vm.plan().facts().vcpus, VcpuCount::One);
    m.settle();
}

#[test]
fn overlapping_devices_make_no_monitor() {
    let mut spec = Spec::new(2, 1);
    spec.facts.devices[0].window.ipa = GICD + 0xf000;
    let error = Vm::new(spec.plan(), 4).unwrap_err();
    assert!(matches!(error, VmError::Bus(_)));
    let text = "the plan's emulated devices: marker at 0x800f000..0x8010000 overlaps GICD";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_redistributor_over_the_marker_makes_no_monitor() {
    let mut spec = Spec::new(3, 4);
    spec.facts.devices[0].window.ipa = GICR + 0x6_1000;
    let error = Vm::new(spec.plan(), 4).unwrap_err();
    assert!(error.to_string().ends_with("overlaps GICR of vcpu3"), "{error}");
}

#[test]
fn a_guest_without_a_marker_is_fine() {
    let mut spec = Spec::new(2, 1);
    spec.facts.devices[0].window.size = 0;
    let mut m = Machine::boot(&spec);
    let action = m.trap(CPU0, esr::store(4, 1), MARKER);
    assert!(matches!(fault(&m, action), Fault::UnownedAddress { .. }));
}

#[test]
fn wfi_steps_over_and_is_counted() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    let pc = m.pc(CPU0);
    assert_eq!(m.wfi(CPU0), Action::Park { until: None });
    assert_eq!(m.pc(CPU0), pc + 4);
    assert_eq!((m.vm.counters().wfi, m.vm.counters().parks), (1, 1));
}

#[test]
fn wfi_on_a_host_without_a_timer_goes_on() {
    let mut spec = Spec::new(2, 1);
    spec.facts.idle_timer.kind = IdleKind::None;
    let mut m = Machine::boot(&spec);
    let pc = m.pc(CPU0);
    assert_eq!(m.wfi(CPU0), Action::Resume);
    assert_eq!((m.pc(CPU0), m.vm.counters().parks), (pc + 4, 0));
}

#[test]
fn wfe_never_parks_on_a_core_of_its_own() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    let pc = m.pc(CPU0);
    assert_eq!(m.trap(CPU0, esr::WFE, 0), Action::Resume);
    assert_eq!(m.pc(CPU0), pc + 4);
    assert_eq!((m.vm.counters().wfe, m.vm.counters().wfi, m.vm.counters().parks), (1, 0, 0));
}

#[test]
fn a_hypercall_is_nobodys() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    m.set_reg(CPU0, 0, 0x8400_0000);
    let pc = m.pc(CPU0);
    assert_eq!(m.handle(CPU0, Exit::Hypercall), Action::Resume);
    assert_eq!(
        (m.reg(CPU0, 0), m.pc(CPU0)),
        (u64::MAX, pc),
        "the kernel has stepped over it already"
    );
    assert_eq!((m.vm.counters().hvc, m.vm.counters().smc), (1, 0));
}

#[test]
fn a_hypercall_as_a_trap_is_unknown() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    let action = m.trap(CPU0, 0x16 << 26 | esr::IL, 0);
    let Fault::UnknownExit { code, .. } = fault(&m, action) else { panic!("{action:?}") };
    assert_eq!(*code, 0x16 << 26 | esr::IL);
    assert_eq!(m.vm.counters().other, 1);
}

#[test]
fn an_exit_of_the_kernels_own_stops_with_its_name() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    let action = m.handle(CPU0, Exit::Other { name: "CapFault", code: 1 });
    assert_eq!(fault(&m, action), &Fault::UnknownExit { name: "CapFault", code: 1 });
    assert!(
        m.fake.printed.contains("the kernel reported \"CapFault\" (0x1)"),
        "{}",
        m.fake.printed
    );
}

#[test]
fn the_timer_is_delivered() {
    for version in [2, 3] {
        let mut m = Machine::boot(&Spec::new(version, 1));
        m.set_up_gic();
        m.enable(CPU0, 27);
        m.fake.cpus[0].timer.ctl = 1;
        m.fake.cpus[0].timer.cval = 2000;
        m.fake.pass(5000);
        m.settle();
        assert_eq!(m.acknowledge(CPU0), Some(27));
        assert!(m.fake.cpus[0].timer_masked, "until the guest has ended it");
        m.fake.cpus[0].timer.ctl = 0;
        m.end(CPU0, 27);
        assert!(!m.fake.cpus[0].timer_masked);
        assert_eq!((m.vm.counters().timer, m.vm.counters().maintenance), (1, 1));
    }
}

#[test]
fn a_timer_that_was_not_set_again_fires_again() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    m.set_up_gic();
    m.enable(CPU0, 27);
    m.fake.cpus[0].timer.ctl = 1;
    m.fake.cpus[0].timer.cval = 2000;
    m.fake.pass(5000);
    m.settle();
    for _ in 0..3 {
        assert_eq!(m.take(CPU0), Some(27));
    }
    assert_eq!(m.vm.counters().timer, 4);
}

#[test]
fn maintenance_without_a_slot_is_counted_and_frees_nothing() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    m.set_up_gic();
    m.enable(CPU0, LEVELS[0]);
    m.fake.raise(LEVELS[0]);
    m.settle();
    assert_eq!(m.handle(CPU0, Exit::Maintenance(None)), Action::Resume);
    assert_eq!(m.visible(CPU0), [LEVELS[0]]);
    assert_eq!(m.vm.counters().maintenance, 1);
}

#[test]
fn maintenance_of_a_slot_that_is_free_or_absent_does_no_harm() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    for slot in [0, 3, 4, 15, 16, 63, 255] {
        assert_eq!(m.handle(CPU0, Exit::Maintenance(Some(slot))), Action::Resume);
    }
    m.set_up_gic();
    m.enable(CPU0, EDGES[0]);
    m.fake.raise(EDGES[0]);
    m.settle();
    assert_eq!(m.take_all(CPU0), [EDGES[0]]);
}

#[test]
fn a_line_of_no_device_is_noted() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    for number in [34, 63, 64, 1019, 5, 27] {
        assert_eq!(m.handle(CPU0, Exit::DeviceInterrupt(intid(number))), Action::Resume);
    }
    assert_eq!((m.vm.counters().device_interrupt, m.vm.counters().notes), (6, 6));
    m.set_up_gic();
    assert!(m.take_all(CPU0).is_empty());
}

#[test]
fn a_wake_up_with_nobody_parked_changes_nothing() {
    let mut m = Machine::boot(&Spec::new(2, 2));
    assert_eq!(m.handle(CPU0, Exit::WakeUp), Action::Resume);
    assert_eq!(m.vm.counters().wakeup, 1);
}

#[test]
fn a_load_outside_of_everything_stops_the_guest() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    let action = m.trap(CPU0, esr::load(4, 2), 0x1234_5678);
    let Fault::UnownedAddress { ipa, access } = fault(&m, action) else { panic!("{action:?}") };
    assert_eq!((ipa.0, access.unwrap().size), (0x1234_5678, 4));
    assert!(m.ended.is_some());
}

#[test]
fn an_access_over_the_end_of_a_window_is_nobodys() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    let action = m.trap(CPU0, esr::load(8, 2), GICD + 0xfffc);
    assert!(matches!(fault(&m, action), Fault::UnownedAddress { .. }));
}

#[test]
fn a_pair_on_a_device_stops_the_guest() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    let action = m.trap(CPU0, esr::DATA, GICD + 0x100);
    assert_eq!(kind(action), "no-syndrome");
}

#[test]
fn a_pair_on_nothing_is_an_unowned_address() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    let action = m.trap(CPU0, esr::DATA, 0x10);
    assert!(matches!(fault(&m, action), Fault::UnownedAddress { access: None, .. }));
}

#[test]
fn a_fetch_outside_ram_stops_the_guest() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    let action = m.trap(CPU0, esr::FETCH, RAM + RAM_SIZE);
    assert_eq!(kind(action), "fetch-outside-ram");
}

#[test]
fn a_walk_of_tables_that_are_nowhere_stops_the_guest() {
    for word in [esr::load(4, 1) | esr::WALK, esr::FETCH | esr::WALK] {
        let mut m = Machine::boot(&Spec::new(2, 1));
        // Even where a device is: the address is not the one that the instruction named.
        assert_eq!(kind(m.trap(CPU0, word, GICD)), "unreadable-address");
    }
}

#[test]
fn a_stop_says_where_the_guest_was() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    m.fake.cpus[0].pc = 0xffff_8000_1234_0000;
    m.set_reg(CPU0, 30, 0xffff_8000_1234_1111);
    let Action::Stop(_) = m.trap(CPU0, esr::load(4, 2), 0x10) else { panic!() };
    let report = m.vm.fault().unwrap();
    let place = report.at.unwrap();
    assert_eq!((place.pc, place.lr), (0xffff_8000_1234_0000, 0xffff_8000_1234_1111));
    assert_eq!((report.vcpu, report.esr), (CPU0, Some(esr::load(4, 2))));
    let stop = &m.events()[1];
    assert_eq!(stop["event"], "stop");
    assert_eq!(stop["kind"], "unowned-address");
    assert_eq!(
        (stop["pc"].as_str(), stop["ipa"].as_str()),
        (Some("0xffff800012340000"), Some("0x10"))
    );
}

#[test]
fn a_stop_stops_every_vcpu() {
    let mut m = Machine::boot_all(&Spec::new(3, 4));
    m.wfi(Vcpu(2));
    assert_eq!(kind(m.trap(Vcpu(1), esr::FETCH, 0)), "fetch-outside-ram");
    assert!((0..4).all(|v| !m.runs(Vcpu(v)) && !m.parked(Vcpu(v))));
    // What the machine still reports is taken and wakes nobody.
    for wire in [LEVELS[0], EDGES[0]] {
        m.fake.raise(wire);
    }
    m.settle();
    assert_eq!(m.handle(CPU0, Exit::WakeUp), Action::Resume);
    assert!((0..4).all(|v| !m.runs(Vcpu(v))));
}

#[test]
fn sre_reads_seven_and_cannot_be_written() {
    let mut m = Machine::boot(&Spec::new(3, 1));
    let pc = m.pc(CPU0);
    assert_eq!(m.trap(CPU0, esr::register(true, esr::ICC_SRE, 6), 0), Action::Resume);
    assert_eq!((m.reg(CPU0, 6), m.pc(CPU0)), (7, pc + 4));
    m.set_reg(CPU0, 6, 0);
    assert_eq!(m.trap(CPU0, esr::register(false, esr::ICC_SRE, 6), 0), Action::Resume);
    assert_eq!(m.trap(CPU0, esr::register(true, esr::ICC_SRE, 6), 0), Action::Resume);
    assert_eq!((m.reg(CPU0, 6), m.vm.counters().sysreg), (7, 3));
    // MRS into XZR moves nothing.
    let before = m.fake.cpus[0].regs;
    assert_eq!(m.trap(CPU0, esr::register(true, esr::ICC_SRE, esr::ZR), 0), Action::Resume);
    assert_eq!(m.fake.cpus[0].regs, before);
}

#[test]
fn the_sgi_registers_are_write_only() {
    for register in [esr::ICC_SGI1R, esr::ICC_ASGI1R, esr::ICC_SGI0R] {
        let mut m = Machine::boot(&Spec::new(3, 1));
        assert_eq!(m.trap(CPU0, esr::register(false, register, esr::ZR), 0), Action::Resume);
        assert_eq!(kind(m.trap(CPU0, esr::register(true, register, 1), 0)), "unknown-register");
    }
}

#[test]
fn a_system_register_that_nobody_has_stops_the_guest() {
    let mut m = Machine::boot(&Spec::new(3, 1));
    let action = m.trap(CPU0, esr::register(true, (3, 3, 9, 12, 0), 1), 0);
    let Fault::UnknownRegister(access) = fault(&m, action) else { panic!("{action:?}") };
    assert_eq!(access.register.to_string(), "S3_3_C9_C12_0");
}

#[test]
fn a_guest_with_gicv2_has_none_of_gicv3s_registers() {
    for register in [esr::ICC_SRE, esr::ICC_SGI1R, esr::ICC_ASGI1R, esr::ICC_SGI0R] {
        let mut m = Machine::boot(&Spec::new(2, 1));
        assert_eq!(kind(m.trap(CPU0, esr::register(false, register, 1), 0)), "unknown-register");
    }
}

/// A level line that nobody quiets: so many rounds of fire, acknowledge and end, 600 us each.
pub fn scream(m: &mut Machine, rounds: u32) {
    for _ in 0..rounds {
        if m.ended.is_some() {
            return;
        }
        m.step();
        m.acknowledge(CPU0).unwrap();
        m.fake.pass(600);
        assert!(m.fake.end(CPU0, intid(LEVELS[0])));
        m.step();
    }
}

/// A guest with a line that is high. `reads`: its host tells the level of a line.
fn with_high_line(reads: bool) -> Machine {
    let mut spec = Spec::new(2, 1);
    spec.reads = reads;
    let mut m = Machine::boot(&spec);
    m.set_up_gic();
    m.enable(CPU0, LEVELS[0]);
    m.enable(CPU0, EDGES[0]);
    m.fake.raise(LEVELS[0]);
    m
}

/// A few rounds before the monitor has had enough: made once.
pub fn screaming() -> Machine {
    static MACHINE: OnceLock<Machine> = OnceLock::new();
    let machine = MACHINE.get_or_init(|| {
        let mut m = with_high_line(false);
        scream(&mut m, STORM - 1);
        m
    });
    machine.clone()
}

#[test]
fn a_line_that_screams_stops_the_guest() {
    for reads in [false, true] {
        let mut m = with_high_line(reads);
        scream(&mut m, 2 * STORM);
        assert_eq!(m.ended, Some(Action::Stop(FaultKind::InterruptStorm)));
        let report = m.vm.fault().unwrap();
        let Fault::InterruptStorm { intid: line, count, milliseconds } = report.fault else {
            panic!("{report:?}")
        };
        assert_eq!(line, intid(LEVELS[0]));
        assert!(count >= STORM && (500..1000).contains(&milliseconds), "{count} {milliseconds}");
        assert!(u64::from(count) * 600 / 1000 - milliseconds < 50, "that is what happened");
        assert!(report.at.is_some() && report.esr.is_none());
        assert_eq!(m.events().last().unwrap()["kind"], "interrupt-storm");
    }
}

#[test]
fn a_reset_forgets_a_line_that_screamed() {
    let mut spec = Spec::new(2, 2);
    spec.reads = true;
    let mut m = Machine::boot_all(&spec);
    m.set_up_gic();
    m.enable(CPU0, LEVELS[0]);
    m.set_target(CPU0, LEVELS[0], 1);
    m.fake.raise(LEVELS[0]);
    for _ in 0..STORM - 1 {
        m.step();
        m.acknowledge(Vcpu(1)).unwrap();
        m.fake.pass(600);
        assert!(m.fake.end(Vcpu(1), intid(LEVELS[0])));
        m.step();
    }
    // Not by the one that was busy: a call of its own would be progress.
    m.reset(CPU0);
    m.set_up_gic();
    m.enable(CPU0, LEVELS[0]);
    m.set_target(CPU0, LEVELS[0], 0);
    m.fake.raise(LEVELS[0]);
    m.settle();
    assert_eq!(m.acknowledge(CPU0), Some(LEVELS[0]));
    m.end(CPU0, LEVELS[0]);
    assert_eq!(m.ended, None, "one end in this life: {:?}", m.vm.fault());
}

#[test]
fn many_in_a_short_time_are_no_storm_yet() {
    let mut m = with_high_line(true);
    for _ in 0..20 * STORM {
        m.step();
        m.acknowledge(CPU0).unwrap();
        m.fake.pass(10);
        assert!(m.fake.end(CPU0, intid(LEVELS[0])));
        m.step();
    }
    assert_eq!(m.ended, None, "0.2 s");
}

#[test]
fn whatever_the_guest_does_ends_a_storm() {
    let mut m = screaming();
    m.load(CPU0, GICD, 4);
    scream(&mut m, STORM - 1);
    assert_eq!(m.ended, None);
}

#[test]
fn a_timer_tick_ends_a_storm() {
    let mut m = screaming();
    m.handle(CPU0, Exit::Timer);
    scream(&mut m, STORM - 1);
    assert_eq!(m.ended, None);
}

/// A device that is raised again at any rate, and quieted each time.
#[test]
fn a_guest_that_quiets_its_device_is_never_stopped() {
    for reads in [false, true] {
        let mut m = with_high_line(reads);
        m.settle();
        for n in 0..20_000_u64 {
            assert_eq!(m.take_quietly(), Some(LEVELS[0]), "{n}");
            m.fake.pass(50 + n % 600);
            m.fake.cpus[0].pc += 4; // the device is raised by an instruction, or while one runs
            m.fake.raise(LEVELS[0]);
            m.settle();
        }
        assert_eq!(m.ended, None);
    }
}

/// Without the level of the line: it is high again before the monitor hears of the end, but the
/// guest does not stand still.
#[test]
fn a_device_that_is_faster_than_the_monitor_is_no_storm() {
    let mut m = with_high_line(false);
    for _ in 0..5 * STORM {
        m.step();
        m.acknowledge(CPU0).unwrap();
        m.fake.pass(600);
        assert!(m.fake.end(CPU0, intid(LEVELS[0])));
        m.step();
        m.fake.cpus[0].pc += 4;
    }
    assert_eq!(m.ended, None);
}

#[test]
fn another_line_does_not_hide_a_storm() {
    let mut m = screaming();
    m.fake.raise(EDGES[0]);
    m.settle();
    for _ in 0..2 {
        let intid = m.acknowledge(CPU0).unwrap();
        m.end(CPU0, intid);
    }
    scream(&mut m, STORM);
    assert!(m.ended.is_some());
}
