// SPDX-License-Identifier: BSD-2-Clause
//! A CPU is entered as CPU_ON asks, can be turned off and on again, and AFFINITY_INFO follows.
#![no_std]
#![no_main]

use guest_conformance::smccc::ALREADY_ON;
use guest_conformance::smp::{self, CPUS, OTHERS, PATIENCE, PerCpu};
use guest_conformance::timer::{self, Limit};
use guest_conformance::{Platform, guest, read_register, require};

guest!(run, others = live);

const LIVES: u64 = 4;

/// AFFINITY_INFO (DEN0022F, 5.7.1).
const ON: u64 = 0;
const OFF: u64 = 1;

/// How often each CPU was started, and how often it was told to turn itself off.
static STARTS: PerCpu = PerCpu::new();
static ENDS: PerCpu = PerCpu::new();

fn run(platform: &mut Platform) {
    for cpu in OTHERS {
        let info = smp::affinity_info(cpu);
        require!(info == OFF, "AFFINITY_INFO of CPU {cpu} before its start is {info:#x}");
    }
    for life in 1..=LIVES {
        smp::turn_all_on(platform);
        for cpu in OTHERS {
            STARTS.wait(cpu, life, "number of starts");
            let info = smp::affinity_info(cpu);
            require!(info == ON, "AFFINITY_INFO of CPU {cpu}, which runs, is {info:#x}");
            let answer = smp::turn_on(platform, cpu);
            require!(answer == ALREADY_ON, "CPU_ON of CPU {cpu}, which runs, answered {answer:#x}");
        }
        for cpu in OTHERS.rev() {
            ENDS.set(cpu, life);
            let limit = Limit::milliseconds(PATIENCE);
            while smp::affinity_info(cpu) != OFF {
                require!(!limit.is_over(), "CPU {cpu} does not turn off");
            }
        }
    }
    let absent = smp::affinity_info(CPUS + 200);
    require!(absent != ON && absent != OFF, "AFFINITY_INFO of no CPU is {absent:#x}");
}

fn live(cpu: usize, platform: &mut Platform) {
    let entry = platform.entry;
    let affinity = read_register!("mpidr_el1") & 0xff_00ff_ffff;
    require!(affinity == cpu as u64, "the affinity of CPU {cpu} is {affinity:#x}");
    require!(entry.current_el == 1 << 2, "CPU {cpu} is in CurrentEL {:#x}", entry.current_el);
    require!(entry.daif == 0x3c0, "DAIF of CPU {cpu} is {:#x}", entry.daif);
    require!(entry.sctlr & 0x1005 == 0, "SCTLR_EL1 of CPU {cpu} is {:#x}", entry.sctlr);
    require!(entry.timer & timer::ENABLE == 0, "CPU {cpu} starts with its timer on");
    let life = STARTS.get(cpu) + 1;
    STARTS.set(cpu, life);
    ENDS.wait(cpu, life, "number of ends");
    // Far off, so that only the next life could see it.
    timer::arm(timer::now() + timer::milliseconds(3_600_000));
    smp::turn_off();
}
