// SPDX-License-Identifier: BSD-2-Clause
//! WFE where vCPUs take turns on a core: guests that hand a lock round, under a scheduler that does
//! what seL4's does with threads of one priority.

use std::collections::VecDeque;

use vmm_core::host::Action;
use vmm_core::ids::Vcpu;
use vmm_core::plan::FLAG_SHARED;

use crate::common::machine::CPU0;
use crate::common::spec::LEVELS;
use crate::common::{Machine, Spec, esr};

const CPU1: Vcpu = Vcpu(1);
/// Turn of a vCPU, in ticks of the fake: 1 ms.
const SLICE: u64 = 1000;
/// What an exit and its answer take.
const EXIT: u64 = 4;
/// How long the lock is held, and how long a vCPU does something else.
const HELD: u64 = 10;
const FREE: u64 = 10;
/// How often each vCPU takes the lock.
const ROUNDS: u64 = 500;

/// A machine whose vCPUs share a core, or do not.
fn machine(vcpus: u32, shared: bool) -> Machine {
    let mut spec = Spec::new(2, vcpus);
    spec.facts.flags = if shared { FLAG_SHARED } else { 0 };
    let mut m = Machine::boot_all(&spec);
    m.set_up_gic();
    m
}

fn wfe(m: &mut Machine, vcpu: Vcpu) -> Action {
    m.trap(vcpu, esr::WFE, 0)
}

/// What a vCPU of [`Core`] does.
#[derive(Clone, Copy)]
enum Does {
    /// Something else, for so many ticks.
    Free(u64),
    /// Waits for the lock with this ticket.
    Waits(u64),
    /// Holds the lock, for so many ticks.
    Holds(u64),
    Done,
}

/// One core, and the vCPUs that can run on it: the first one does. A turn that is over puts a vCPU
/// last; one that is woken comes first (seL4, `schedule` and `tcbSchedEnqueue`).
struct Core {
    m: Machine,
    queue: VecDeque<Vcpu>,
    does: Vec<Does>,
    rounds: Vec<u64>,
    turn: Vec<u64>,
    next_ticket: u64,
    serving: u64,
}

impl Core {
    fn new(m: Machine) -> Self {
        let vcpus = usize::from(m.vcpus);
        Self {
            queue: (0..m.vcpus).map(Vcpu).collect(),
            does: vec![Does::Free(FREE); vcpus],
            rounds: vec![ROUNDS; vcpus],
            turn: vec![SLICE; vcpus],
            next_ticket: 0,
            serving: 0,
            m,
        }
    }

    /// Those that the monitor has parked leave the queue, those that it has woken come first.
    fn sort(&mut self) {
        self.queue.retain(|vcpu| self.m.runs(*vcpu));
        for vcpu in (0..self.m.vcpus).map(Vcpu) {
            let over = matches!(self.does[vcpu.index()], Does::Done);
            if self.m.runs(vcpu) && !over && !self.queue.contains(&vcpu) {
                self.queue.push_front(vcpu);
            }
        }
    }

    /// Lets one vCPU go on until it does something else, or its turn is over.
    fn step(&mut self) {
        while self.m.step() {}
        self.sort();
        let Some(vcpu) = self.queue.front().copied() else {
            // Everybody sleeps until a deadline.
            return self.m.fake.pass(1);
        };
        let n = vcpu.index();
        let (does, took) = match self.does[n] {
            Does::Free(0) => {
                self.next_ticket += 1;
                (Does::Waits(self.next_ticket - 1), 0)
            }
            Does::Waits(ticket) if ticket == self.serving => (Does::Holds(HELD), 0),
            Does::Waits(ticket) => {
                wfe(&mut self.m, vcpu);
                (Does::Waits(ticket), EXIT)
            }
            Does::Holds(0) => {
                self.serving += 1;
                self.rounds[n] -= 1;
                let next = if self.rounds[n] == 0 { Does::Done } else { Does::Free(FREE) };
                (next, 0)
            }
            Does::Free(left) => (Does::Free(left - 1), 1),
            Does::Holds(left) => (Does::Holds(left - 1), 1),
            Does::Done => {
                self.queue.pop_front();
                // A guest that has nothing to do waits for an interrupt.
                self.m.wfi(vcpu);
                return;
            }
        };
        self.does[n] = does;
        self.m.fake.pass(took);
        self.turn[n] = self.turn[n].saturating_sub(took);
        if self.turn[n] == 0 {
            self.turn[n] = SLICE;
            self.sort();
            if self.queue.front() == Some(&vcpu) {
                self.queue.rotate_left(1);
            }
        }
    }

    /// Ticks until all are done; `None` if that takes longer than `most`.
    fn run(mut self, most: u64) -> Option<u64> {
        let start = self.m.fake.now;
        while self.m.fake.now - start < most {
            if self.does.iter().all(|does| matches!(does, Does::Done)) {
                return Some(self.m.fake.now - start);
            }
            self.step();
        }
        None
    }
}

/// What the work takes if nobody ever waits.
fn work(vcpus: u32) -> u64 {
    u64::from(vcpus) * ROUNDS * (HELD + FREE)
}

#[test]
fn a_lock_that_goes_round_costs_little() {
    for vcpus in [2, 3, 4] {
        let took = Core::new(machine(vcpus, true)).run(10 * work(vcpus));
        let took = took.expect("the guests stand still");
        let most = work(vcpus) * 2;
        assert!(took <= most, "{vcpus} vCPUs: {took} ticks, {most} at most");
    }
}

/// What the rule is for; if this is no longer so, the rule can go.
#[test]
fn without_the_rule_they_stand_still() {
    for vcpus in [2, 4] {
        assert_eq!(Core::new(machine(vcpus, false)).run(10 * work(vcpus)), None, "{vcpus} vCPUs");
    }
}

#[test]
fn a_wait_ends_after_a_ten_thousandth_of_a_second() {
    let mut m = machine(2, true);
    let (now, pc) = (m.fake.now, m.pc(CPU0));
    assert_eq!(wfe(&mut m, CPU0), Action::Park { until: Some(now + 100) });
    assert_eq!((m.pc(CPU0), m.vm.counters().wfe, m.vm.counters().yields), (pc + 4, 1, 1));
    m.fake.pass(99);
    m.settle();
    assert!(m.parked(CPU0));
    m.fake.pass(1);
    m.settle();
    assert!(m.runs(CPU0));
}

#[test]
fn the_last_one_that_runs_wakes_the_others_and_waits() {
    let mut m = machine(2, true);
    wfe(&mut m, CPU0);
    assert!(matches!(wfe(&mut m, CPU1), Action::Park { .. }));
    assert!(m.runs(CPU0) && m.parked(CPU1));
}

#[test]
fn one_that_waits_alone_goes_on() {
    let mut m = machine(1, true);
    assert_eq!(wfe(&mut m, CPU0), Action::Resume);
    let mut m = machine(2, true);
    m.wfi(CPU1);
    assert_eq!(wfe(&mut m, CPU0), Action::Resume);
    assert!(m.parked(CPU1), "a WFI is woken by an interrupt, no sooner");
}

#[test]
fn an_interrupt_ends_the_wait() {
    let mut m = machine(2, true);
    m.enable(CPU0, LEVELS[0]);
    wfe(&mut m, CPU0);
    m.fake.raise(LEVELS[0]);
    m.settle();
    assert!(m.runs(CPU0));
}

#[test]
fn with_an_interrupt_that_finds_no_list_register_there_is_no_wait() {
    let mut m = machine(2, true);
    for intid in 56..62 {
        m.enable(CPU0, intid);
        m.store_bit(CPU0, 0x200, intid);
    }
    assert_eq!(wfe(&mut m, CPU0), Action::Resume);
}

#[test]
fn one_that_was_turned_off_or_reset_is_not_woken() {
    let mut m = machine(2, true);
    wfe(&mut m, CPU1);
    m.reset(CPU0);
    assert_eq!(wfe(&mut m, CPU0), Action::Resume);
    assert!(!m.runs(CPU1));
}

#[test]
fn a_host_that_keeps_no_time_parks_nobody() {
    let mut m = machine(2, true);
    m.vm.never_park();
    assert_eq!(wfe(&mut m, CPU0), Action::Resume);
}
