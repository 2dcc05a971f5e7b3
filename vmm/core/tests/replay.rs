// SPDX-License-Identifier: BSD-2-Clause
//! Replays traces (`tests/traces/*.txt`, the format of `src/report/trace.rs`): a monitor made from the
//! trace's head is given each recorded exit; every call that it makes of its host must be the
//! recorded one, in order and with equal arguments, and gets the recorded result; its answer must
//! be the recorded one. Lines that do not start with `@t ` are ignored, so that a console's whole
//! transcript will do.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails"
)]

use std::path::{Path, PathBuf};

use vmm_core::addr::Ipa;
use vmm_core::arm::pstate::Pstate;
use vmm_core::boot::KERNEL_ALIGN;
use vmm_core::host::{
    Action, Clock, Console, El1, Entry, Exit, Firmware, GuestMemory, GuestRegisters, Host, Image,
    InjectRefused, Injection, Interrupts, MemoryOp, MemoryRefused, StoppedVcpu, Vcpus,
    VirtualTimer,
};
use vmm_core::ids::{GicVersion, Trigger, VcpuCount};
use vmm_core::ids::{Gpr, Intid, Vcpu};
use vmm_core::plan::{DeviceKind, FLAG_TRACE, IdleKind, RuleAction, Window};
use vmm_core::vm::Vm;
use vmm_testkit::machine::CPU0;
use vmm_testkit::spec::{EDGES, GICD, LEVELS, MARKER, kernel};
use vmm_testkit::{Machine, Spec, tree};

/// `0x` and hex digits, or decimal digits.
fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| format!("{text}: {error}"))
}

/// The guest that the head of a trace describes, and the host's counter frequency.
fn guest(head: &str) -> Result<(Spec, u64), String> {
    let mut spec = Spec::new(2, 1);
    (spec.facts.interrupt_count, spec.facts.device_count) = (0, 0);
    (spec.facts.initrd, spec.facts.flags) = (Window::default(), FLAG_TRACE);
    let mut hz = 0;
    for field in head.split_whitespace() {
        let (name, value) = field.split_once('=').ok_or(format!("head: {field} is no field"))?;
        let window = || -> Result<Window, String> {
            let (ipa, size) = value.split_once('+').ok_or(format!("head: {field} is no window"))?;
            Ok(Window { ipa: number(ipa)?, size: number(size)? })
        };
        let none = || format!("head: there is no {field}");
        let facts = &mut spec.facts;
        match name {
            "gic" => facts.gic.version = GicVersion::new(number(value)? as u32).ok_or_else(none)?,
            "lines" => facts.gic.intid_count = number(value)? as u32,
            "vcpus" => facts.vcpus = VcpuCount::new(number(value)? as u32).ok_or_else(none)?,
            "slots" => spec.slots = number(value)? as u8,
            "hz" => hz = number(value)?,
            "idle" => {
                facts.idle_timer.kind = match number(value)? {
                    0 => IdleKind::None,
                    1 => IdleKind::Cntp,
                    2 => IdleKind::ImxGpt,
                    _ => return Err(none()),
                }
            }
            "dist" => facts.gic.distributor = window()?,
            "redist" => facts.gic.redistributors = window()?,
            "marker" => spec.device(DeviceKind::Marker, window()?),
            "rtc" => spec.device(DeviceKind::Rtc, window()?),
            "ram" => facts.ram = window()?,
            "kernel" => facts.kernel.ipa = number(value)?,
            "dtb" => facts.device_tree.ipa = number(value)?,
            "line" => {
                let (intid, kind) =
                    value.split_once(':').ok_or(format!("head: {field} is no line"))?;
                let trigger = if kind == "edge" { Trigger::Edge } else { Trigger::Level };
                spec.interrupt(number(intid)? as u16, trigger);
            }
            "rule" => {
                let parts: Vec<&str> = value.split(':').collect();
                let [function, action, answer] = parts[..] else {
                    return Err(format!("head: {field}"));
                };
                let action = match action {
                    "1" => RuleAction::Answer,
                    "2" => RuleAction::Forward,
                    _ => return Err(none()),
                };
                spec.rule(number(function)? as u32, action, number(answer)?);
            }
            _ => return Err(format!("head: {name} is not known")),
        }
    }
    // Images that suit the places: what is in them does not matter here.
    spec.initrd.clear();
    spec.kernel = kernel(64, 64);
    spec.facts.kernel.size = 64;
    spec.kernel[8..16].copy_from_slice(&(spec.facts.kernel.ipa % KERNEL_ALIGN).to_le_bytes());
    let dtb = spec.facts.device_tree.ipa;
    spec.set_tree(tree::of(&spec.facts).to_dtb());
    spec.facts.device_tree.ipa = dtb;
    Ok((spec, hz))
}

/// A host whose answers are the recorded ones, and which compares every line that the monitor
/// prints of itself with the recorded line.
struct Recorded<'t> {
    spec: &'t Spec,
    hz: u64,
    /// Recorded lines with their numbers in the file.
    lines: &'t [(usize, &'t str)],
    next: usize,
    /// The start of the guest is not recorded.
    started: bool,
    /// What was printed of a line so far.
    partial: String,
    different: Option<String>,
}

impl Recorded<'_> {
    /// The n-th word of the recorded line that is due, counted from its end.
    fn word(&self, from_end: usize) -> &str {
        let line = self.lines.get(self.next).map_or("", |(_, line)| line);
        line.split_whitespace().rev().nth(from_end).unwrap_or("")
    }

    fn result(&self, from_end: usize) -> u64 {
        number(self.word(from_end)).unwrap_or(0)
    }

    fn compare(&mut self, line: &str) {
        if self.different.is_some() || !self.started {
            return;
        }
        match self.lines.get(self.next) {
            Some((_, recorded)) if *recorded == line => self.next += 1,
            Some((at, recorded)) => {
                self.different = Some(format!("line {at}: recorded `{recorded}`, now `{line}`"));
            }
            None => self.different = Some(format!("the record ends, now `{line}`")),
        }
    }
}

impl GuestRegisters for Recorded<'_> {
    fn reg(&mut self, _: &StoppedVcpu, _: Gpr) -> u64 {
        self.result(0)
    }
    fn set_reg(&mut self, _: &StoppedVcpu, _: Gpr, _: u64) {}
    fn pc(&mut self, _: &StoppedVcpu) -> u64 {
        self.result(0)
    }
    fn set_pc(&mut self, _: &StoppedVcpu, _: u64) {}
    fn pstate(&mut self, _: &StoppedVcpu) -> Pstate {
        Pstate::EL1H_MASKED
    }
    fn pstate_at_hand(&mut self, _: &StoppedVcpu) -> Option<Pstate> {
        None
    }
    fn set_pstate(&mut self, _: &StoppedVcpu, _: Pstate) {}
    fn sctlr(&mut self, _: &StoppedVcpu) -> Option<u64> {
        None
    }
    fn el1(&mut self, _: &StoppedVcpu, _: El1) -> Option<u64> {
        number(self.word(0)).ok()
    }
    fn set_el1(&mut self, _: &StoppedVcpu, _: El1, _: u64) {}
    fn fault_address(&mut self, _: &StoppedVcpu) -> Option<u64> {
        None
    }
    fn virtual_timer(&mut self, _: &StoppedVcpu) -> VirtualTimer {
        VirtualTimer { ctl: self.result(1), cval: self.result(0) }
    }
}

impl Vcpus for Recorded<'_> {
    fn start(&mut self, _: Vcpu, _: Entry) {}
    fn stop(&mut self, _: Vcpu) {}
    fn wake(&mut self, _: Vcpu) {}
}

impl Interrupts for Recorded<'_> {
    fn list_register_count(&self) -> u8 {
        self.spec.slots
    }
    fn inject(&mut self, _: Vcpu, slot: u8, _: Injection) -> Result<(), InjectRefused> {
        if self.word(0) == "refused" { Err(InjectRefused { slot }) } else { Ok(()) }
    }
    fn ack_timer(&mut self, _: Vcpu) {}
    fn ack_line(&mut self, _: Intid) {}
}

impl GuestMemory for Recorded<'_> {
    fn image(&self, image: Image) -> &[u8] {
        match image {
            Image::Kernel => &self.spec.kernel,
            Image::DeviceTree => &self.spec.tree,
            Image::Initrd => &self.spec.initrd,
        }
    }
    fn seed(&self) -> &[u8] {
        &self.spec.seed
    }
    fn memory(&mut self, _: MemoryOp) -> Result<(), MemoryRefused> {
        Ok(())
    }
}

impl Clock for Recorded<'_> {
    fn frequency(&self) -> u64 {
        self.hz
    }
    fn wall_clock(&mut self) -> u32 {
        self.result(0) as u32
    }
    fn now(&mut self) -> u64 {
        self.result(0)
    }
}

impl Console for Recorded<'_> {
    fn print(&mut self, text: &str) {
        self.partial.push_str(text);
        while let Some(end) = self.partial.find('\n') {
            let line: String = self.partial.drain(..=end).collect();
            if let Some(line) = line.trim().strip_prefix("@t ") {
                self.compare(line);
            }
        }
    }
}

impl Firmware for Recorded<'_> {
    fn smc(&mut self, _: [u64; 8]) -> [u64; 4] {
        [self.result(3), self.result(2), self.result(1), self.result(0)]
    }
}

impl Host for Recorded<'_> {}

/// An exit as `trace_exit` prints it.
fn exit(line: &str) -> Result<(Vcpu, Exit), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["exit", vcpu, rest @ ..] = &words[..] else { return Err(format!("`{line}` is no exit")) };
    let exit = match rest {
        ["trap", esr, ipa] => Exit::Trap { esr: number(esr)?, ipa: Ipa(number(ipa)?) },
        ["hypercall"] => Exit::Hypercall,
        ["timer"] => Exit::Timer,
        ["maintenance", "none"] => Exit::Maintenance(None),
        ["maintenance", slot] => Exit::Maintenance(Some(number(slot)? as u8)),
        ["line", intid] => {
            Exit::DeviceInterrupt(Intid::new(number(intid)? as u16).ok_or("no INTID")?)
        }
        ["wakeup"] => Exit::WakeUp,
        ["other", code] => Exit::Other { name: "recorded", code: number(code)? },
        _ => return Err(format!("`{line}` is no exit")),
    };
    Ok((Vcpu(number(vcpu)? as u8), exit))
}

/// Replays a trace. Says how many exits it has, or what is different.
fn replay(text: &str) -> Result<usize, String> {
    let recorded = (1..)
        .zip(text.lines())
        .filter_map(|(at, line)| Some((at, line.trim().strip_prefix("@t ")?)));
    let lines: Vec<(usize, &str)> = recorded.collect();
    let head = lines
        .first()
        .and_then(|(_, line)| line.strip_prefix("plan "))
        .ok_or("no `@t plan` line first")?;
    let (spec, hz) = guest(head)?;
    let lines = &lines[1..];
    let mut host = Recorded {
        spec: &spec,
        hz,
        lines,
        next: 0,
        started: false,
        partial: String::new(),
        different: None,
    };
    let mut vm = Vm::new(spec.plan(), spec.slots).map_err(|error| error.to_string())?;
    if vm.start(&mut host) != Action::Resume {
        let why = vm.fault().map(|report| report.fault.to_string());
        return Err(format!("the guest does not start: {}", why.unwrap_or_default()));
    }
    host.started = true;
    let mut exits = 0;
    while let Some((at, line)) = lines.get(host.next) {
        let (vcpu, exit) = exit(line).map_err(|error| format!("line {at}: {error}"))?;
        vm.handle(&mut host, vcpu, exit);
        if let Some(different) = host.different {
            return Err(different);
        }
        exits += 1;
    }
    Ok(exits)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces")
}

/// A guest's short life with something of everything, as a host with tracing on prints it.
fn life(version: u32) -> String {
    let mut spec = Spec::new(version, 2);
    spec.facts.flags = FLAG_TRACE;
    spec.rule(0xc200_0006, RuleAction::Forward, 0);
    let mut m = Machine::boot(&spec);
    m.turn_on_others(CPU0);
    m.set_up_gic();
    m.enable(CPU0, LEVELS[0]);
    m.enable(CPU0, EDGES[0]);
    m.enable(CPU0, 27);
    for wire in [LEVELS[0], EDGES[0]] {
        m.fake.raise(wire);
    }
    m.settle();
    m.fake.lower(LEVELS[0]);
    m.take_all(CPU0);
    m.fake.printed.push_str("something that the guest prints\r\n");
    m.fake.cpus[0].timer.ctl = 1;
    m.fake.cpus[0].timer.cval = 9_000;
    m.wfi(CPU0);
    m.fake.pass(10_000);
    m.settle();
    m.acknowledge(CPU0);
    m.fake.cpus[0].timer.ctl = 0;
    m.end(CPU0, 27);
    m.load(CPU0, GICD + 0x104, 4);
    m.store(CPU0, MARKER, 4, 7);
    m.fake.smc_answer = [0x21, 2, 3, 4];
    m.call(CPU0, &[0xc200_0006, 5]);
    m.call(CPU0, &[0x8400_0000]);
    m.handle(CPU0, Exit::Hypercall);
    m.fake.raise(LEVELS[1]);
    m.settle();
    m.send(CPU0, 0b10, 1);
    m.wfi(Vcpu(1));
    m.reset(CPU0);
    m.settle();
    m.handle(CPU0, Exit::Maintenance(None));
    m.fake.cpus[0].shadow_active[0] = true;
    m.store(CPU0, GICD, 4, 0b11);
    m.enable(CPU0, EDGES[1]);
    m.fake.raise(EDGES[1]);
    m.settle();
    assert_eq!(m.smc(CPU0, &[0x8400_0008]), Action::PowerOff);
    m.fake.printed
}

#[test]
fn every_recorded_trace_replays() {
    let mut count = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ext| ext == "txt") {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            match replay(&std::fs::read_to_string(&path).unwrap()) {
                Ok(exits) => println!("{name}: {exits} exits"),
                Err(different) => panic!("{name}: {different}"),
            }
            count += 1;
        }
    }
    assert!(count >= 2, "where are the traces?");
}

/// The format is what the recorded traces are written in: a change shows.
#[test]
fn the_format_is_the_recorded_one() {
    for version in [2, 3] {
        let path = folder().join(format!("fake-gicv{version}.txt"));
        // Without the reports: they change more often than the format.
        let all = life(version).replace('\x18', "");
        let lines = all.lines().filter(|line| !line.is_empty() && !line.starts_with("@{"));
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        if std::env::var_os("REFRESH_GOLDEN").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let recorded = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, recorded, "{}: REFRESH_GOLDEN=1 cargo test", path.display());
    }
}

#[test]
fn what_was_just_recorded_replays() {
    for version in [2, 3] {
        let text = life(version);
        assert_eq!(replay(&text), Ok(text.matches("@t exit ").count()));
        assert!(text.matches("@t exit ").count() > 30);
    }
}

/// The trace with its n-th recorded line replaced, or without it.
fn altered(text: &str, n: usize, line: Option<&str>) -> String {
    let mut seen = 0;
    let mut out = String::new();
    for old in text.lines() {
        let recorded = old.starts_with("@t ");
        if recorded && seen == n {
            out.extend(line.map(|line| format!("@t {line}\n")));
        } else {
            out.push_str(old);
            out.push('\n');
        }
        seen += usize::from(recorded);
    }
    out
}

#[test]
fn a_missing_line_is_caught_wherever_it_is() {
    for version in [2, 3] {
        let text = life(version);
        let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("@t ")).collect();
        for n in 0..lines.len() {
            // Without its last line a record is only shorter; without an exit it is no record.
            let cut = altered(&text, n, None);
            assert!(replay(&cut).is_err() || n + 1 == lines.len(), "without `{}`", lines[n]);
        }
    }
}

#[test]
fn an_altered_call_or_answer_is_caught_wherever_it_is() {
    let text = life(2);
    let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("@t ")).collect();
    let mut altered_lines = 0;
    for (n, line) in lines.iter().enumerate() {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        let other = match kind {
            "set" | "setpc" | "start" => format!("{line}7"),
            "ackline" | "acktimer" | "wake" | "stopcpu" => format!("{kind} {rest}9"),
            "inject" => line.replacen("inject 0 ", "inject 0 1", 1),
            "resume" => "park none".to_owned(),
            "park" => "resume".to_owned(),
            "poweroff" => "stop unowned-address".to_owned(),
            "reg" => line.replacen(" x", " x1", 1),
            _ => continue,
        };
        let different = replay(&altered(&text, n, Some(&other))).unwrap_err();
        assert!(different.contains(&other), "{different}");
        altered_lines += 1;
    }
    assert!(altered_lines > 100, "{altered_lines}");
}

#[test]
fn the_difference_is_named() {
    let text = life(2);
    let n = text
        .lines()
        .filter(|line| line.starts_with("@t "))
        .position(|line| line.contains("ackline"))
        .unwrap();
    let different = replay(&altered(&text, n, Some("ackline 99"))).unwrap_err();
    assert!(different.contains("recorded `ackline 99`, now `ackline "), "{different}");
    assert!(different.starts_with("line "), "{different}");
}

#[test]
fn a_trace_without_a_head_is_refused() {
    assert_eq!(replay(""), Err("no `@t plan` line first".to_owned()));
    assert_eq!(replay("@t exit 0 wakeup\n"), Err("no `@t plan` line first".to_owned()));
    assert_eq!(replay("@t plan colour=blue\n"), Err("head: colour is not known".to_owned()));
    assert!(replay("@t plan dist=0x8000000\n").is_err());
}

#[test]
fn the_head_makes_the_guest_that_it_came_from() {
    let mut spec = Spec::new(3, 3);
    spec.facts.flags = FLAG_TRACE;
    spec.slots = 7;
    spec.rule(0xc200_0006, RuleAction::Answer, 0x21);
    let m = Machine::boot(&spec);
    let head = m.fake.printed.lines().find_map(|line| line.strip_prefix("@t plan ")).unwrap();
    let (other, hz) = guest(head).unwrap();
    assert_eq!((hz, other.slots), (1_000_000, 7));
    assert_eq!((other.facts.gic, other.facts.vcpus), (spec.facts.gic, spec.facts.vcpus));
    assert_eq!((other.facts.ram, other.facts.devices), (spec.facts.ram, spec.facts.devices));
    assert_eq!(other.facts.kernel.ipa, spec.facts.kernel.ipa);
    assert_eq!(other.facts.device_tree.ipa, spec.facts.device_tree.ipa);
    assert_eq!(other.facts.idle_timer.kind, spec.facts.idle_timer.kind);
    assert_eq!(other.facts.interrupts, spec.facts.interrupts);
    assert_eq!((other.facts.rules, other.facts.rule_count), (spec.facts.rules, 1));
}

#[test]
fn a_guest_that_was_stopped_replays() {
    for end in
        [Exit::Other { name: "CapFault", code: 7 }, Exit::Trap { esr: 0x8200_0007, ipa: Ipa(0) }]
    {
        let mut spec = Spec::new(2, 1);
        spec.facts.flags = FLAG_TRACE;
        let mut m = Machine::boot(&spec);
        let Action::Stop(kind) = m.handle(CPU0, end) else { panic!("goes on") };
        assert!(m.fake.printed.ends_with(&format!("@t stop {}\r\n", kind.name())));
        assert_eq!(replay(&m.fake.printed), Ok(1));
    }
}

#[test]
fn without_the_flag_there_is_no_trace() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    m.load(CPU0, GICD, 4);
    assert!(!m.fake.printed.contains("@t"));
}
