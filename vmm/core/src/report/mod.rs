// SPDX-License-Identifier: BSD-2-Clause
//! The report channel: one JSON line for each event, on the guest's own UART. The crate `vmm-report`
//! has the lines' schema.

use core::fmt::{self, Write};

pub use vmm_report::{BEGIN, WORDS};
use vmm_report::{Counter, EventKind, Field, Line};

use self::counters::Counters;
use self::latency::Latency;
use self::stop::{Nearest, nearest};
use crate::fault::{CodeLocation, FaultReport};
use crate::host::{Console, FaultKind, Host};
use crate::plan::PlanBlock;

pub mod counters;
pub mod latency;
pub mod stop;
pub mod trace;

/// What is reported.
#[derive(Clone, Copy, Debug)]
pub enum ReportEvent<'e> {
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
pub struct Out<'h>(pub &'h mut dyn Console);

impl Write for Out<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.print(text);
        Ok(())
    }
}

/// Prints the line of an event, and before a stop its report for people.
pub fn print(
    host: &mut dyn Host,
    plan: &PlanBlock<'_>,
    (counters, latency): (&Counters, &Latency),
    event: ReportEvent<'_>,
) {
    let (ticks, hz, stats) = (host.now(), host.frequency(), host.stats());
    let mut out = Out(host);
    let own = [(Counter::Calls, stats.calls), (Counter::Registers, stats.registers)];
    // The host's UART takes everything: there is no error to handle.
    let _ = write_event(&mut out, plan, event).and_then(|line| {
        line.number(Field::Ticks, ticks)?
            .number(Field::Hz, hz)?
            .list(Field::Latency, latency.bins())?
            .counters(counters.each().chain(own))?
            .end()
    });
}

/// Writes the stop line of a monitor that cannot start its guest ([`FaultKind::BadImage`]), or cannot
/// go on ([`FaultKind::MonitorPanic`]); `why` says it in words.
///
/// # Errors
/// Those of `out`.
pub fn refuse(out: &mut dyn Write, kind: FaultKind, why: fmt::Arguments<'_>) -> fmt::Result {
    out.write_str(BEGIN)?;
    Line::new(out, EventKind::Stop)?.text(Field::Kind, kind)?.text(Field::What, why)?.end()
}

/// Begins the line of an event with what only this event says, and before a stop its report for
/// people.
fn write_event<'o>(
    out: &'o mut dyn Write,
    plan: &PlanBlock<'_>,
    event: ReportEvent<'_>,
) -> Result<Line<'o>, fmt::Error> {
    if let ReportEvent::Stop(report) = event {
        report.render(plan, out)?;
    } else {
        out.write_str(BEGIN)?;
    }
    match event {
        ReportEvent::Start(entropy) => {
            let facts = plan.facts();
            let (board, accepted) = (facts.board, facts.accepted);
            let line = Line::new(out, EventKind::Start)?
                .text(Field::Board, board.as_str())?
                .number(Field::Gic, facts.gic.version as u32)?
                .number(Field::Vcpus, facts.vcpus.get())?
                .flag(Field::Entropy, entropy)?
                .hex(Field::Ram, facts.ram.ipa)?
                .number(Field::RamSize, facts.ram.size)?
                .number(Field::Kernel, facts.kernel.size)?
                .number(Field::DeviceTree, facts.device_tree.size)?
                .number(Field::Initrd, facts.initrd.size)?;
            match accepted.as_str() {
                "" => Ok(line),
                accepted => line.text(Field::Accepted, accepted),
            }
        }
        ReportEvent::Mark(value) => Line::new(out, EventKind::Mark)?.number(Field::Value, value),
        ReportEvent::Reset(boots) => Line::new(out, EventKind::Reset)?.number(Field::Boots, boots),
        ReportEvent::Off => Line::new(out, EventKind::Off)?.text(Field::Reason, "system-off"),
        ReportEvent::Stop(report) => {
            let mut line = Line::new(out, EventKind::Stop)?
                .text(Field::Kind, report.fault.kind())?
                .number(Field::Vcpu, report.vcpu.0)?;
            if let Some(CodeLocation { pc, lr }) = report.at {
                line = line.hex(Field::Pc, pc)?.hex(Field::Lr, lr)?;
            }
            if let Some(esr) = report.esr {
                line = line.hex(Field::Esr, esr)?;
            }
            if let Some(ipa) = report.fault.ipa() {
                line = line.hex(Field::Ipa, ipa.0)?;
                if let Nearest::Inside(node) = nearest(plan, ipa) {
                    line = line.text(Field::Node, node.path.as_str())?;
                }
            }
            Ok(line)
        }
    }
}
