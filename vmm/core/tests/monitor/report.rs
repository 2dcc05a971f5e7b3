// SPDX-License-Identifier: BSD-2-Clause
//! The report channel: JSON lines with a contract.

use proptest::prelude::*;
use serde_json::Value;
use vmm_core::host::{FaultKind, HostStats};
use vmm_core::plan::Text;
use vmm_core::report::counters::Counters;
use vmm_core::report::latency::Latency;
use vmm_core::report::{BEGIN, ReportEvent, print, refuse};

use crate::common::machine::CPU0;
use crate::common::spec::{GICD, MARKER};
use crate::common::{Machine, Spec, esr};

/// Names of the counters, part of the contract with tools/harness.
const COUNTERS: [&str; 24] = [
    "mmio_read",
    "mmio_write",
    "smc",
    "hvc",
    "wfi",
    "wfe",
    "sysreg",
    "timer",
    "maintenance",
    "line",
    "wakeup",
    "other",
    "parks",
    "yields",
    "injected",
    "unknown_smc",
    "exceptions",
    "unimplemented",
    "notes",
    "mmio_calls",
    "mmio_registers",
    "mmio_calls_max",
    "calls",
    "registers",
];

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// What every line has, and what else this one has.
fn has(event: &Value, name: &str, more: &[&str]) {
    let mut expected = [&["v", "event", "ticks", "hz", "latency", "counters"], more].concat();
    expected.sort_unstable();
    assert_eq!(keys(event), expected);
    assert_eq!((event["v"].as_u64(), event["event"].as_str()), (Some(1), Some(name)));
    let mut counters = COUNTERS;
    counters.sort_unstable();
    assert_eq!(keys(&event["counters"]), counters);
    assert!(event["counters"].as_object().unwrap().values().all(Value::is_u64));
}

#[test]
fn a_start() {
    let spec = Spec::new(3, 2);
    let m = Machine::boot(&spec);
    let events = m.events();
    let [start] = &events[..] else { panic!("{events:?}") };
    has(
        start,
        "start",
        &["board", "gic", "vcpus", "entropy", "ram", "ram_size", "kernel", "dtb", "initrd"],
    );
    assert_eq!(
        (start["board"].as_str(), start["entropy"].as_bool()),
        (Some("test_board"), Some(false))
    );
    assert_eq!((start["gic"].as_u64(), start["vcpus"].as_u64()), (Some(3), Some(2)));
    assert_eq!(
        (start["ram"].as_str(), start["ram_size"].as_u64()),
        (Some("0x40000000"), Some(0x4_0000))
    );
    assert_eq!((start["kernel"].as_u64(), start["initrd"].as_u64()), (Some(200), Some(26)));
    assert_eq!(start["dtb"].as_u64(), Some(spec.tree.len() as u64));
    assert_eq!((start["ticks"].as_u64(), start["hz"].as_u64()), (Some(1_000), Some(1_000_000)));
}

#[test]
fn a_mark() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    m.fake.pass(234);
    m.store(CPU0, MARKER, 4, 4_000_000_000);
    let event = m.events().pop().unwrap();
    has(&event, "mark", &["value"]);
    assert_eq!(
        (event["value"].as_u64(), event["ticks"].as_u64()),
        (Some(4_000_000_000), Some(1_234))
    );
}

#[test]
fn a_reset() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    m.reset(CPU0);
    m.reset(CPU0);
    let events = m.events();
    has(&events[1], "reset", &["boots"]);
    assert_eq!((events[1]["boots"].as_u64(), events[2]["boots"].as_u64()), (Some(2), Some(3)));
}

#[test]
fn an_off() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    m.smc(CPU0, &[0x8400_0008]);
    let event = m.events().pop().unwrap();
    has(&event, "off", &["reason"]);
    assert_eq!(event["reason"], "system-off");
}

#[test]
fn a_stop_with_an_address() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    m.trap(CPU0, esr::load(4, 2), 0x30a2_0000);
    let event = m.events().pop().unwrap();
    has(&event, "stop", &["kind", "vcpu", "pc", "lr", "esr", "ipa"]);
    assert_eq!(
        (event["kind"].as_str(), event["ipa"].as_str()),
        (Some("unowned-address"), Some("0x30a20000"))
    );
    assert_eq!(event["vcpu"].as_u64(), Some(0));
    assert_eq!(event["esr"].as_str(), Some(format!("{:#x}", esr::load(4, 2)).as_str()));
}

/// Issue 17, item 1: the first line says what was accepted.
#[test]
fn a_start_says_what_was_accepted() {
    let mut spec = Spec::new(3, 1);
    let start = |spec: &Spec| Machine::boot(spec).events().remove(0);
    assert_eq!(start(&spec)["accepted"], Value::Null);
    spec.facts.accepted = Text::new("dma-no-smmu /soc/eth@0");
    assert_eq!(start(&spec)["accepted"], "dma-no-smmu /soc/eth@0");
}

#[test]
fn a_stop_before_the_start() {
    let mut spec = Spec::new(2, 1);
    spec.kernel.clear();
    let mut m = Machine::new(&spec);
    m.start();
    let event = m.events().pop().unwrap();
    has(&event, "stop", &["kind", "vcpu"]);
    assert_eq!(event["kind"], "bad-image");
}

#[test]
fn every_line_starts_at_the_start_of_a_line() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    m.fake.printed.push_str("in the middle of the guest's li");
    m.store(CPU0, MARKER, 4, 1);
    m.fake.printed.push_str("ne");
    m.trap(CPU0, esr::FETCH, 0);
    for (at, _) in m.fake.printed.match_indices("@{") {
        assert_eq!(&m.fake.printed[at - 2..at], "\r\n");
    }
    assert_eq!(m.events().len(), 3);
    // CAN: the guest may be in the middle of an escape sequence, too.
    assert!(m.fake.printed.contains("li\x18\r\n@{\"v\":1,\"event\":\"mark\",\"value\":1"));
    assert!(m.fake.printed.ends_with("}\r\n"));
}

#[test]
fn every_answer_is_in_the_histogram() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    let answers = |event: &Value| -> u64 {
        event["latency"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).sum()
    };
    assert_eq!(answers(m.events().last().unwrap()), 0);
    for number in 0..5 {
        m.store(CPU0, MARKER, 4, number);
        assert_eq!(answers(m.events().last().unwrap()), number);
    }
}

#[test]
fn each_counter_is_named_once_and_in_order() {
    let m = Machine::boot(&Spec::new(2, 1));
    let mut names: Vec<&str> = m.vm.counters().each().map(|(counter, _)| counter.name()).collect();
    names.extend(["calls", "registers"]);
    assert_eq!(names, COUNTERS);
    assert_eq!(HostStats::default(), HostStats { calls: 0, registers: 0 });
}

#[test]
fn an_access_costs_what_the_host_asks_of_its_kernel_until_the_next_exit() {
    let mut m = Machine::boot(&Spec::new(2, 1));
    let costs = |m: &Machine| {
        let counters = m.vm.counters();
        (counters.mmio_calls, counters.mmio_registers, counters.mmio_calls_max)
    };
    let spend = |m: &mut Machine, calls, registers| {
        m.fake.stats.calls += calls;
        m.fake.stats.registers += registers;
    };
    m.store(CPU0, GICD, 4, 1);
    assert_eq!(costs(&m), (0, 0, 0), "the exit at hand is not over");
    spend(&mut m, 3, 9);
    m.load(CPU0, GICD, 4);
    assert_eq!(costs(&m), (3, 9, 3));
    spend(&mut m, 2, 4);
    m.trap(CPU0, esr::WFE, 0);
    assert_eq!(costs(&m), (5, 13, 3));
    spend(&mut m, 50, 60);
    m.store(CPU0, MARKER, 4, 1);
    assert_eq!(costs(&m), (5, 13, 3), "what another exit costs is not counted");
    spend(&mut m, 4, 1);
    m.trap(CPU0, esr::load(4, 2), 0x30a2_0000);
    assert_eq!(costs(&m), (9, 14, 4));
    let event = m.events().pop().unwrap();
    assert_eq!(event["counters"]["mmio_calls"], 9);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a board and its nodes are called, the lines stay JSON.
    #[test]
    fn any_name_makes_json(board: String, path in "\\PC{0,80}", ipa in 0x1000_u64..0x2000) {
        let mut spec = Spec::new(2, 1);
        spec.facts.board = Text::new(&board);
        spec.nodes = vec![vmm_core::plan::Node {
            window: vmm_core::plan::Window { ipa: 0x1000, size: 0x1000 },
            state: vmm_core::plan::NodeState::Enabled,
            guest: vmm_core::plan::GuestNode::Enabled,
            guest_path: Text::new(&path),
            path: Text::new(&path),
            compatible: Text::new(&board),
            option: Text::new(&path),
        }];
        let mut m = Machine::boot(&spec);
        m.trap(CPU0, esr::load(1, 2), ipa);
        prop_assert_eq!(m.events().len(), 2);
        let events = m.events();
        let node = Text::<72>::new(&path);
        prop_assert_eq!(events[1]["node"].as_str(), Some(node.as_str()));
    }

    #[test]
    fn any_mark_is_told_as_it_is(value: u64, ticks: u64) {
        let spec = Spec::new(2, 1);
        let mut fake = spec.fake();
        fake.now = ticks;
        let counts = (&Counters::default(), &Latency::default());
        print(&mut fake, &spec.plan(), counts, ReportEvent::Mark(value));
        let event: Value = serde_json::from_str(fake.printed.trim_start_matches(BEGIN).trim().trim_start_matches('@')).unwrap();
        prop_assert_eq!((event["value"].as_u64(), event["ticks"].as_u64()), (Some(value), Some(ticks)));
    }
}

#[test]
fn a_refusal_says_why_and_is_json_whatever_it_says() {
    let mut out = String::new();
    refuse(&mut out, FaultKind::BadImage, format_args!("a \"plan\" of C:\\x\nand \u{e9}")).unwrap();
    let line = out.strip_prefix("\x18\r\n@").unwrap().strip_suffix("\r\n").unwrap();
    let event: Value = serde_json::from_str(line).unwrap();
    assert_eq!(keys(&event), ["event", "kind", "v", "what"]);
    assert_eq!(
        (event["event"].as_str(), event["kind"].as_str()),
        (Some("stop"), Some("bad-image"))
    );
    assert_eq!(event["what"].as_str(), Some("a 'plan' of C:'x'and '"));
}
