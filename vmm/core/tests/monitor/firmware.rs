// SPDX-License-Identifier: BSD-2-Clause
//! Firmware calls: every function, both conventions, the rules, and the life of vCPUs.

use proptest::prelude::*;
use vmm_core::arm::smccc::{self, Call, NEVER_FORWARDED, NOT_SUPPORTED, id};
use vmm_core::host::Action;
use vmm_core::ids::Vcpu;
use vmm_core::plan::RuleAction;

use crate::common::machine::CPU0;
use crate::common::spec::{KERNEL, RAM, RAM_SIZE};
use crate::common::{Machine, Spec, esr};

const CPU1: Vcpu = Vcpu(1);
const ENTRY: u64 = RAM + 0x1_8000;
const INVALID_PARAMETERS: u64 = -2_i64 as u64;
const ALREADY_ON: u64 = -4_i64 as u64;
const INVALID_ADDRESS: u64 = -9_i64 as u64;

fn machine(vcpus: u32) -> Machine {
    Machine::boot(&Spec::new(2, vcpus))
}

fn call(args: &[u64]) -> u64 {
    machine(2).call(CPU0, args)
}

#[test]
fn psci_is_1_1() {
    assert_eq!(call(&[0x8400_0000]), 0x1_0001);
}

#[test]
fn smccc_is_1_1() {
    assert_eq!(call(&[0x8000_0000]), 0x1_0001);
}

#[test]
fn no_trusted_os_has_to_migrate() {
    assert_eq!(call(&[0x8400_0006]), 2);
}

#[test]
fn every_function_that_is_there_is_a_feature() {
    for function in [
        0x8400_0000_u64, // PSCI_VERSION
        0x8400_0001,     // CPU_SUSPEND
        0xc400_0001,
        0x8400_0002, // CPU_OFF
        0x8400_0003, // CPU_ON
        0xc400_0003,
        0x8400_0004, // AFFINITY_INFO
        0xc400_0004,
        0x8400_0006, // MIGRATE_INFO_TYPE
        0x8400_0008, // SYSTEM_OFF
        0x8400_0009, // SYSTEM_RESET
        0x8400_000a, // PSCI_FEATURES
        0x8400_0012, // SYSTEM_RESET2
        0xc400_0012,
        0x8000_0000, // SMCCC_VERSION
    ] {
        assert_eq!(call(&[0x8400_000a, function]), 0, "{function:#x}");
    }
}

#[test]
fn what_is_not_there_is_no_feature() {
    for function in [
        0x8400_0005_u64, // MIGRATE
        0x8400_0007,     // MIGRATE_INFO_UP_CPU
        0x8400_000b,     // CPU_FREEZE
        0x8400_000c,     // CPU_DEFAULT_SUSPEND
        0x8400_000d,     // NODE_HW_STATE
        0x8400_000e,     // SYSTEM_SUSPEND
        0xc400_000e,
        0x8400_000f, // PSCI_SET_SUSPEND_MODE
        0x8400_0010, // PSCI_STAT_RESIDENCY
        0x8400_0013, // MEM_PROTECT
        0xc400_0002, // CPU_OFF has no 64-bit form
        0xc400_0008,
        0x8000_0001,
        0,
    ] {
        assert_eq!(call(&[0x8400_000a, function]), NOT_SUPPORTED, "{function:#x}");
    }
}

#[test]
fn features_of_the_architecture() {
    for (function, answer) in [
        (0x8000_0000_u64, 0),         // SMCCC_VERSION
        (0x8000_0001, 0),             // ARCH_FEATURES
        (0x8000_0002, NOT_SUPPORTED), // SOC_ID
        (0x8000_8000, NOT_SUPPORTED), // WORKAROUND_1
        (0x8000_7fff, NOT_SUPPORTED), // WORKAROUND_2
        (0x8000_3fff, NOT_SUPPORTED), // WORKAROUND_3
        (0xc500_0020, NOT_SUPPORTED), // PV_TIME_FEATURES
    ] {
        assert_eq!(call(&[0x8000_0001, function]), answer, "{function:#x}");
    }
}

#[test]
fn what_a_linux_guest_asks_for_in_vain() {
    for function in [
        0x8000_0002_u64, // SOC_ID
        0x8000_8000,     // WORKAROUND_1
        0x8000_7fff,
        0x8000_3fff,
        0x8400_0050, // TRNG_VERSION
        0xc500_0020, // PV_TIME_FEATURES
        0x8600_ff01, // vendor hypervisor UID
        0xc200_0006, // SiP GET_SOC_INFO
    ] {
        assert_eq!(call(&[function]), u64::MAX, "{function:#x}");
    }
}

/// What Linux 6.1 to 7.2 asks for at boot (drivers/firmware/smccc, arm_ffa, arm_sdei.c, efi;
/// arch/arm64/kernel/proton-pack.c, paravirt.c; drivers/char/hw_random/arm_smccc_trng.c), and every
/// range's questions about itself.
#[test]
fn a_question_is_no_unknown_call() {
    let mut m = machine(1);
    let general = (0..64).flat_map(|owner| {
        [0xff00, 0xff01, 0xff03].map(|number| 0x8000_0000 | owner << 24 | number)
    });
    let linux = [
        0x8000_0002,
        0x8000_0003,
        0x8000_8000,
        0x8000_7fff,
        0x8000_3fff,
        0x8400_0050,
        0xc400_0053,
        0x8400_0063,
        0xc400_0020,
        0xc500_0020,
        0x8600_ff01,
    ];
    for function in general.chain(linux) {
        assert_eq!(m.call(CPU0, &[function]), NOT_SUPPORTED, "{function:#x}");
    }
    assert_eq!((m.vm.counters().unknown_smc, m.vm.counters().notes), (0, 0));
}

/// DEN0028F, tables 6-1 and 6-2.
#[test]
fn every_range_has_its_name() {
    for (function, name) in [
        (0x8000_0000, "Arm architecture"),
        (0xc100_0001, "CPU"),
        (0xc200_0006, "chip (SiP)"),
        (0x8300_ffff, "board (OEM)"),
        (0x8400_000e, "PSCI"),
        (0xc400_0020, "software delegated exceptions (SDEI)"),
        (0x8400_0041, "management mode (MM)"),
        (0x8400_0054, "random numbers (TRNG)"),
        (0x8400_0060, "firmware framework (FF-A)"),
        (0x8400_00ef, "firmware framework (FF-A)"),
        (0x8400_00f1, "errata management"),
        (0xc400_0153, "realm management"),
        (0x8400_1000, "standard secure"),
        (0xc500_0021, "standard hypervisor"),
        (0x8600_0000, "vendor's hypervisor"),
        (0x8700_0000, "reserved"),
        (0xaf00_0000, "reserved"),
        (0xb000_0000, "trusted application"),
        (0xb100_0000, "trusted application"),
        (0xb200_0000, "trusted OS"),
        (0xff00_0000, "trusted OS"),
        (0, "Armv7 legacy"),
        (0x0100_ffff, "Armv7 legacy"),
        (0x0101_0000, "reserved, yielding"),
        (0x0200_0000, "trusted OS, yielding"),
        (0x1fff_ffff, "trusted OS, yielding"),
        (0x2000_0000, "reserved, yielding"),
    ] {
        assert_eq!(vmm_core::arm::services::name(function), name, "{function:#x}");
    }
}

#[test]
fn an_unknown_call_is_counted_every_time_and_noted_once() {
    let mut m = machine(1);
    for _ in 0..3 {
        assert_eq!(m.call(CPU0, &[0xc200_0006]), NOT_SUPPORTED);
    }
    assert_eq!(
        (m.vm.counters().unknown_smc, m.vm.counters().notes, m.vm.counters().smc),
        (3, 1, 3)
    );
    m.call(CPU0, &[0xc200_0007]);
    assert_eq!((m.vm.counters().unknown_smc, m.vm.counters().notes), (4, 2));
}

#[test]
fn function_zero_is_noted_like_any_other() {
    let mut m = machine(1);
    assert_eq!(m.call(CPU0, &[0]), NOT_SUPPORTED);
    assert_eq!(m.call(CPU0, &[0]), NOT_SUPPORTED);
    assert_eq!((m.vm.counters().unknown_smc, m.vm.counters().notes), (2, 1));
}

#[test]
fn a_guest_that_tries_them_all_fills_no_log() {
    let mut m = machine(1);
    for function in 0..1000 {
        m.call(CPU0, &[0x8200_0000 + function]);
    }
    assert_eq!(m.vm.counters().unknown_smc, 1000);
    assert_eq!(m.vm.counters().notes, 16);
}

#[test]
fn the_upper_half_of_the_function_does_not_count() {
    assert_eq!(call(&[0xffff_ffff_8400_0000]), 0x1_0001);
}

#[test]
fn an_answer_leaves_the_other_registers_alone() {
    let mut m = machine(1);
    m.call(CPU0, &[0x8400_0000, 11, 22, 33, 44]);
    assert_eq!([1, 2, 3, 4].map(|reg| m.reg(CPU0, reg)), [11, 22, 33, 44]);
}

#[test]
fn a_16_bit_trap_of_an_smc_is_stepped_over_by_two() {
    let mut m = machine(1);
    let pc = m.pc(CPU0);
    m.set_reg(CPU0, 0, 0x8400_0000);
    m.trap(CPU0, esr::SMC & !esr::IL, 0);
    assert_eq!(m.pc(CPU0), pc + 2);
}

#[test]
fn a_rule_answers() {
    let mut spec = Spec::new(2, 1);
    spec.rule(0xc200_0006, RuleAction::Answer, 0x12_3456_789a_bcde);
    let mut m = Machine::boot(&spec);
    assert_eq!(m.call(CPU0, &[0xc200_0006]), 0x12_3456_789a_bcde);
    assert_eq!((m.vm.counters().unknown_smc, m.fake.smc_log.len()), (0, 0));
}

#[test]
fn a_rule_forwards() {
    let mut spec = Spec::new(2, 1);
    spec.rule(0xc200_0006, RuleAction::Forward, 0);
    let mut m = Machine::boot(&spec);
    m.fake.smc_answer = [100, 101, 102, 103];
    assert_eq!(m.call(CPU0, &[0xc200_0006, 1, 2, 3, 4, 5, 6, 7]), 100);
    assert_eq!(m.fake.smc_log, [[0xc200_0006, 1, 2, 3, 4, 5, 6, 7]]);
    assert_eq!([1, 2, 3, 4, 5, 6, 7].map(|reg| m.reg(CPU0, reg)), [101, 102, 103, 4, 5, 6, 7]);
}

#[test]
fn what_hurts_is_never_forwarded() {
    for function in NEVER_FORWARDED {
        let mut spec = Spec::new(2, 1);
        spec.rule(function, RuleAction::Forward, 0);
        let mut m = Machine::boot(&spec);
        assert_eq!(m.call(CPU0, &[function.into()]), NOT_SUPPORTED, "{function:#x}");
        assert_eq!((m.fake.smc_log.len(), m.vm.counters().unknown_smc), (0, 1));
    }
}

#[test]
fn only_fast_calls_of_the_chip_and_the_board_are_forwarded() {
    for (function, forwarded) in [
        (0xc200_0006, true),
        (0x8200_0006, true),
        (0xc300_0001, true),
        (0x8300_ffff, true),
        (0x4200_0006, false), // yielding
        (0x8000_8000, false), // Arm architecture
        (0x8100_0000, false), // CPU
        (0x8400_0050, false), // standard service
        (0x8600_ff01, false), // hypervisor
        (0xb200_0000, false), // trusted OS
    ] {
        let mut spec = Spec::new(2, 1);
        spec.rule(function, RuleAction::Forward, 0);
        let mut m = Machine::boot(&spec);
        m.fake.smc_answer = [9, 0, 0, 0];
        let expected = if forwarded { 9 } else { NOT_SUPPORTED };
        assert_eq!(m.call(CPU0, &[function.into()]), expected, "{function:#x}");
        assert_eq!(m.fake.smc_log.len(), usize::from(forwarded));
    }
}

#[test]
fn a_rule_does_not_reach_psci() {
    let mut spec = Spec::new(2, 1);
    spec.rule(id::PSCI_VERSION, RuleAction::Answer, 5);
    spec.rule(id::SYSTEM_OFF, RuleAction::Forward, 0);
    let mut m = Machine::boot(&spec);
    assert_eq!(m.call(CPU0, &[0x8400_0000]), 0x1_0001);
    assert_eq!(m.smc(CPU0, &[0x8400_0008]), Action::PowerOff);
    assert!(m.fake.smc_log.is_empty());
}

#[test]
fn of_two_rules_the_first_counts() {
    let mut spec = Spec::new(2, 1);
    spec.rule(0xc200_0006, RuleAction::Answer, 1);
    spec.rule(0xc200_0006, RuleAction::Answer, 2);
    assert_eq!(Machine::boot(&spec).call(CPU0, &[0xc200_0006]), 1);
}

#[test]
fn cpu_on_starts_a_vcpu_where_it_is_told() {
    let mut m = machine(4);
    assert_eq!(m.call(CPU0, &[0xc400_0003, 3, ENTRY, 0x1_2345_6789_abcd]), 0);
    let third = Vcpu(3);
    assert!(m.runs(third) && !m.runs(CPU1) && !m.runs(Vcpu(2)));
    assert_eq!((m.pc(third), m.reg(third, 0)), (ENTRY, 0x1_2345_6789_abcd));
    assert!((1..31).all(|reg| m.reg(third, reg) == 0));
}

#[test]
fn the_32_bit_convention_takes_lower_halves() {
    let mut m = machine(2);
    let high = 0xabcd_0000_0000_0000;
    assert_eq!(m.call(CPU0, &[0x8400_0003, high | 1, high | ENTRY, high | 77]), 0);
    assert_eq!((m.pc(CPU1), m.reg(CPU1, 0)), (ENTRY, 77));
    assert_eq!(m.call(CPU0, &[0x8400_0004, high | 1, high]), 0);
}

#[test]
fn the_64_bit_convention_takes_whole_registers() {
    let mut m = machine(2);
    let high = 0xab_0000_0000;
    assert_eq!(m.call(CPU0, &[0xc400_0003, high | 1, ENTRY, 0]), INVALID_PARAMETERS);
    assert_eq!(m.call(CPU0, &[0xc400_0003, 1, high | ENTRY, 0]), INVALID_ADDRESS);
    assert_eq!(m.call(CPU0, &[0xc400_0004, high | 1, 0]), INVALID_PARAMETERS);
    assert!(!m.runs(CPU1));
}

#[test]
fn cpu_on_of_one_that_is_on() {
    let mut m = machine(2);
    assert_eq!(m.call(CPU0, &[0xc400_0003, 0, ENTRY, 0]), ALREADY_ON);
    assert_eq!(m.call(CPU0, &[0xc400_0003, 1, ENTRY, 0]), 0);
    assert_eq!(m.call(CPU0, &[0xc400_0003, 1, ENTRY + 4, 0]), ALREADY_ON);
    assert_eq!(m.pc(CPU1), ENTRY);
}

#[test]
fn cpu_on_of_one_that_is_asleep() {
    let mut m = machine(2);
    m.call(CPU0, &[0xc400_0003, 1, ENTRY, 0]);
    m.wfi(CPU1);
    assert_eq!(m.call(CPU0, &[0xc400_0003, 1, ENTRY, 0]), ALREADY_ON);
}

#[test]
fn cpu_on_of_one_that_is_not_there() {
    for target in [2, 3, 4, 255, 256, 1 << 32, 0x8000_0000, u64::MAX] {
        assert_eq!(call(&[0xc400_0003, target, ENTRY, 0]), INVALID_PARAMETERS, "{target:#x}");
    }
}

#[test]
fn cpu_on_outside_of_ram_or_between_instructions() {
    for entry in [RAM - 4, RAM + RAM_SIZE, 0, u64::MAX, ENTRY + 1, ENTRY + 2] {
        let mut m = machine(2);
        assert_eq!(m.call(CPU0, &[0xc400_0003, 1, entry, 0]), INVALID_ADDRESS, "{entry:#x}");
        assert!(!m.runs(CPU1));
    }
}

#[test]
fn affinity_info_tells_on_from_off() {
    let mut m = machine(2);
    assert_eq!(m.call(CPU0, &[0xc400_0004, 0, 0]), 0);
    assert_eq!(m.call(CPU0, &[0xc400_0004, 1, 0]), 1);
    m.call(CPU0, &[0xc400_0003, 1, ENTRY, 0]);
    assert_eq!(m.call(CPU0, &[0xc400_0004, 1, 0]), 0);
    m.wfi(CPU1);
    assert_eq!(m.call(CPU0, &[0x8400_0004, 1, 0]), 0, "asleep is on");
    m.settle();
}

#[test]
fn affinity_info_of_what_is_not_there() {
    assert_eq!(call(&[0xc400_0004, 2, 0]), INVALID_PARAMETERS);
    assert_eq!(call(&[0xc400_0004, 0, 1]), INVALID_PARAMETERS, "one level is all there is");
    assert_eq!(call(&[0xc400_0004, u64::MAX, 0]), INVALID_PARAMETERS);
}

#[test]
fn cpu_off_and_on_again() {
    let mut m = machine(2);
    for round in 0..3 {
        assert_eq!(m.call(CPU0, &[0xc400_0003, 1, ENTRY + 4 * round, round]), 0);
        assert_eq!((m.pc(CPU1), m.reg(CPU1, 0)), (ENTRY + 4 * round, round));
        m.fake.cpus[1].timer.ctl = 1;
        assert_eq!(m.smc(CPU1, &[0x8400_0002]), Action::Park { until: None });
        assert_eq!(m.call(CPU0, &[0xc400_0004, 1, 0]), 1);
    }
}

#[test]
fn a_vcpu_that_is_off_gets_nothing_until_it_is_on() {
    for version in [2, 3] {
        let mut m = Machine::boot_all(&Spec::new(version, 2));
        m.set_up_gic();
        m.enable(CPU1, 5);
        m.smc(CPU1, &[0x8400_0002]);
        m.send(CPU0, 0b10, 5);
        assert!(m.visible(CPU1).is_empty());
        assert!(m.parked(CPU1), "an interrupt does not turn a vCPU on");
        m.call(CPU0, &[0xc400_0003, 1, ENTRY, 0]);
        assert_eq!(m.take_all(CPU1), [5]);
    }
}

#[test]
fn cpu_off_keeps_the_deadlines_of_others() {
    let mut m = Machine::boot_all(&Spec::new(2, 2));
    m.fake.cpus[0].timer.ctl = 1;
    m.fake.cpus[0].timer.cval = 9_000;
    assert_eq!(m.wfi(CPU0), Action::Park { until: Some(9_000) });
    assert_eq!(m.smc(CPU1, &[0x8400_0002]), Action::Park { until: Some(9_000) });
}

#[test]
fn cpu_suspend_waits_like_wfi() {
    for function in [0x8400_0001, 0xc400_0001] {
        let mut m = machine(1);
        let pc = m.pc(CPU0);
        m.fake.cpus[0].timer.ctl = 1;
        m.fake.cpus[0].timer.cval = 7_000;
        assert_eq!(m.smc(CPU0, &[function, 0, ENTRY, 0]), Action::Park { until: Some(7_000) });
        assert_eq!((m.reg(CPU0, 0), m.pc(CPU0)), (0, pc + 4), "it comes back where it was");
        m.fake.pass(7_000);
        m.settle();
        assert!(m.runs(CPU0));
    }
}

#[test]
fn system_off_ends_everything_with_a_report() {
    let mut m = Machine::boot_all(&Spec::new(2, 3));
    assert_eq!(m.smc(CPU1, &[0x8400_0008]), Action::PowerOff);
    assert!((0..3).all(|v| !m.runs(Vcpu(v))));
    let event = m.events().pop().unwrap();
    assert_eq!(
        (event["event"].as_str(), event["reason"].as_str()),
        (Some("off"), Some("system-off"))
    );
    assert_eq!(event["counters"]["smc"], 3);
    assert_eq!(
        (event["counters"]["calls"].as_u64(), event["counters"]["registers"].as_u64()),
        (Some(12), Some(34))
    );
}

#[test]
fn system_reset_starts_again() {
    let mut m = machine(1);
    m.fake.cpus[0].pc = 0xffff_8000_0000_0000;
    m.set_reg(CPU0, 17, 3);
    assert_eq!(m.smc(CPU0, &[0x8400_0009]), Action::Resume);
    assert_eq!((m.pc(CPU0), m.reg(CPU0, 17)), (KERNEL, 0));
    let event = m.events().pop().unwrap();
    assert_eq!((event["event"].as_str(), event["boots"].as_u64()), (Some("reset"), Some(2)));
}

#[test]
fn system_reset2_warm() {
    for function in [0x8400_0012, 0xc400_0012] {
        let mut m = machine(1);
        assert_eq!(m.smc(CPU0, &[function, 0, 0]), Action::Resume);
        assert_eq!(m.events().pop().unwrap()["event"], "reset");
    }
}

#[test]
fn system_reset2_of_other_types_is_refused() {
    for kind in [1, 0x8000_0000, 0x8000_0001, 0xffff_ffff] {
        for function in [0x8400_0012, 0xc400_0012] {
            assert_eq!(call(&[function, kind, 0]), INVALID_PARAMETERS);
        }
    }
}

#[test]
fn constants_are_what_the_documents_say() {
    assert_eq!(smccc::SUCCESS, 0);
    assert_eq!(smccc::INVALID_PARAMETERS, INVALID_PARAMETERS);
    assert_eq!(smccc::ALREADY_ON, ALREADY_ON);
    assert_eq!(smccc::INVALID_ADDRESS, INVALID_ADDRESS);
    assert_eq!(NOT_SUPPORTED, u64::MAX);
}

proptest! {
    #[test]
    fn a_call_that_is_not_listed_is_unknown(function: u32, rest: [u64; 3]) {
        let [x1, x2, x3] = rest;
        let plan = Spec::new(2, 1).plan();
        let listed = matches!(function, 0x8000_0000 | 0x8000_0001)
            || function & !0x4000_0000 >= 0x8400_0000 && function & !0x4000_0000 <= 0x8400_0012;
        if !listed {
            let call = smccc::look_up(&plan, [function.into(), x1, x2, x3]);
            prop_assert_eq!(call, Call::Unknown);
        }
    }

    #[test]
    fn nothing_of_the_standard_services_is_forwarded(function: u32) {
        let owner = function >> 24 & 0x3f;
        let may = smccc::may_forward(function);
        prop_assert!(!may || matches!(owner, 2 | 3));
        prop_assert!(!may || function & 0x8000_0000 != 0);
    }
}
