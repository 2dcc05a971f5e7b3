// SPDX-License-Identifier: BSD-2-Clause
//! The report channel: one JSON line for each event, on the guest's own UART, starting with `@`.
//! [`BEGIN`] comes before it, as before everything else that the monitor prints.
//!
//! `{"v":1,"event":E,...,"ticks":T,"hz":F,"latency":[...],"counters":{...}}`, where E is `start`,
//! `mark`, `reset`, `stop` or `off`. Numbers are decimal, addresses are strings in hex. Item n of
//! `latency` counts the exits that were answered in fewer than 2^n ticks ([`Latency`]). A `stop`
//! before the guest's start may have `what`, the reason in words, instead of times and counters.

use core::fmt::{self, Write};

use self::counters::{Counters, Json};
use self::latency::Latency;
use self::stop::{Nearest, nearest};
use crate::fault::{CodeLocation, FaultReport};
use crate::host::Host;
use crate::plan::Plan;

pub mod counters;
pub mod latency;
pub mod stop;
pub mod trace;

/// How everything that the monitor prints begins: the guest may be in the middle of a line, and of
/// an escape sequence, which would swallow what comes next. CAN ends a sequence wherever it stands
/// (VT100 User Guide, 'Control Characters').
pub const BEGIN: &str = "\x18\r\n";

/// What is reported.
#[derive(Clone, Copy, Debug)]
pub enum Event<'e> {
    /// The guest is about to run for the first time; whether it gets random numbers.
    Start(bool),
    /// The guest wrote to the marker page.
    Mark(u64),
    /// The guest asked for a reset; this is its n-th start.
    Reset(u32),
    /// The guest was stopped.
    Stop(&'e FaultReport),
    /// The guest asked to be powered off.
    Off,
}

/// Text towards the host's UART.
pub struct Out<'h>(pub &'h mut dyn Host);

impl Write for Out<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.print(text);
        Ok(())
    }
}

/// Prints the line of an event, and before a stop its report for people.
pub fn print(
    host: &mut dyn Host,
    plan: &Plan<'_>,
    (counters, latency): (&Counters, &Latency),
    event: Event<'_>,
) {
    let (ticks, hz, stats) = (host.now(), host.frequency(), host.stats());
    let mut out = Out(host);
    // The host's UART takes everything: there is no error to handle.
    let _ = write_event(&mut out, plan, event).and_then(|()| {
        write!(out, ",\"ticks\":{ticks},\"hz\":{hz},\"latency\":{latency}")?;
        write!(out, ",\"counters\":{}}}\r\n", Json(counters, stats))
    });
}

/// Writes the stop line of a monitor that cannot start its guest, or cannot go on: `kind` is
/// `bad-image` or `monitor-panic`, and `why` says it in words.
///
/// # Errors
/// Those of `out`.
pub fn refuse(out: &mut dyn Write, kind: &str, why: fmt::Arguments<'_>) -> fmt::Result {
    write!(out, "{BEGIN}@{{\"v\":1,\"event\":\"stop\",\"kind\":\"{kind}\",\"what\":\"")?;
    write!(Quoted(out), "{why}")?;
    out.write_str("\"}\r\n")
}

/// The inside of a JSON string: what would need an escape becomes an apostrophe.
struct Quoted<'o>(&'o mut dyn Write);

impl Write for Quoted<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| {
            let plain = matches!(character, ' '..='~') && !matches!(character, '"' | '\\');
            self.0.write_char(if plain { character } else { '\'' })
        })
    }
}

fn write_event(out: &mut dyn Write, plan: &Plan<'_>, event: Event<'_>) -> fmt::Result {
    if let Event::Stop(report) = event {
        report.render(plan, out)?;
    } else {
        out.write_str(BEGIN)?;
    }
    let name = match event {
        Event::Start(_) => "start",
        Event::Mark(_) => "mark",
        Event::Reset(_) => "reset",
        Event::Stop(_) => "stop",
        Event::Off => "off",
    };
    write!(out, "@{{\"v\":1,\"event\":\"{name}\"")?;
    match event {
        Event::Start(entropy) => {
            let facts = plan.facts();
            let (board, gic, vcpus) = (facts.board, facts.gic.version, facts.vcpus);
            write!(out, ",\"board\":\"{}\",\"gic\":{gic},\"vcpus\":{vcpus}", board.as_str())?;
            let ram = facts.ram;
            write!(out, ",\"entropy\":{entropy}")?;
            write!(out, ",\"ram\":\"{:#x}\",\"ram_size\":{}", ram.ipa, ram.size)?;
            let sizes = [facts.kernel.size, facts.device_tree.size, facts.initrd.size];
            write!(out, ",\"kernel\":{},\"dtb\":{},\"initrd\":{}", sizes[0], sizes[1], sizes[2])?;
            let accepted = facts.accepted;
            if accepted.as_str().is_empty() {
                return Ok(());
            }
            write!(out, ",\"accepted\":\"{}\"", accepted.as_str())
        }
        Event::Mark(value) => write!(out, ",\"value\":{value}"),
        Event::Reset(boots) => write!(out, ",\"boots\":{boots}"),
        Event::Off => out.write_str(",\"reason\":\"system-off\""),
        Event::Stop(report) => {
            write!(out, ",\"kind\":\"{}\",\"vcpu\":{}", report.fault.kind().name(), report.vcpu.0)?;
            if let Some(CodeLocation { pc, lr }) = report.at {
                write!(out, ",\"pc\":\"{pc:#x}\",\"lr\":\"{lr:#x}\"")?;
            }
            if let Some(esr) = report.esr {
                write!(out, ",\"esr\":\"{esr:#x}\"")?;
            }
            if let Some(ipa) = report.fault.ipa() {
                write!(out, ",\"ipa\":\"{ipa}\"")?;
                if let Nearest::Inside(node) = nearest(plan, ipa) {
                    write!(out, ",\"node\":\"{}\"", node.path.as_str())?;
                }
            }
            Ok(())
        }
    }
}
