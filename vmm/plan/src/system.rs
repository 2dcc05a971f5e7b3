// SPDX-License-Identifier: BSD-2-Clause
//! The Microkit system file (Microkit 2.3.0 manual, 'System Description File').

use std::fmt::Write;

use crate::irq::Trigger;
use crate::memory::{Kind, Prefill, Region, RegionName};
use crate::plan::Plan;
use crate::span::{LARGE_PAGE, PAGE};

/// The monitor runs whenever it has something to do, and the guest never keeps it waiting.
const MONITOR_PRIORITY: u32 = 254;
/// Below the monitor, above nothing.
const GUEST_PRIORITY: u32 = 100;
/// Time slice in microseconds of both. A budget as large as its period is never used up; the
/// default of 1 ms would interrupt a busy guest a thousand times a second.
const SLICE_US: u32 = 100_000;

/// Large pages where size and every address allow them: the tool refuses others.
fn page_size(region: &Region) -> u64 {
    let (pa, ipa) = (region.pa.map(|pa| pa.0), region.ipa.map(|ipa| ipa.0));
    let mut all = [Some(region.size), pa, ipa, region.vaddr].into_iter().flatten();
    if all.all(|number| number.is_multiple_of(LARGE_PAGE)) { LARGE_PAGE } else { PAGE }
}

/// The system file of a plan for Microkit.
pub(crate) fn write(plan: &Plan) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = build(plan, &mut out);
    out
}

fn build(plan: &Plan, out: &mut String) -> std::fmt::Result {
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(
        out,
        "<!-- Made by guestplan for board {}; change the plan, not this file. -->",
        plan.board.name
    )?;
    writeln!(out, "<system>")?;
    for region in &plan.regions {
        memory_region(region, out)?;
    }
    writeln!(
        out,
        "    <protection_domain name=\"vmm\" priority=\"{MONITOR_PRIORITY}\" budget=\"{SLICE_US}\" \
         period=\"{SLICE_US}\" stack_size=\"{:#x}\" smc=\"true\">",
        16 * PAGE
    )?;
    writeln!(out, "        <program_image path=\"vmm.elf\" />")?;
    for region in &plan.regions {
        monitor_map(region, out)?;
    }
    if let Some(idle) = plan.idle() {
        irq(idle.interrupt, plan.idle_channel, idle.trigger, out)?;
    }
    for line in &plan.lines {
        irq(line.intid, line.channel, line.trigger, out)?;
    }
    let slice = if plan.shares_cores() { plan.wish.turn_us } else { SLICE_US };
    writeln!(
        out,
        "        <virtual_machine name=\"guest\" priority=\"{GUEST_PRIORITY}\" \
         budget=\"{slice}\" period=\"{slice}\">"
    )?;
    for vcpu in 0..plan.wish.vcpus {
        write!(out, "            <vcpu id=\"{vcpu}\"")?;
        if plan.wish.cores > 1 {
            // The monitor is on core 0, where a domain is if nothing is said.
            write!(out, " cpu=\"{}\"", vcpu.checked_rem(plan.wish.cores).unwrap_or(0))?;
        }
        writeln!(out, " />")?;
    }
    for region in &plan.regions {
        guest_map(region, out)?;
    }
    writeln!(out, "        </virtual_machine>")?;
    writeln!(out, "    </protection_domain>")?;
    writeln!(out, "</system>")
}

fn memory_region(region: &Region, out: &mut String) -> std::fmt::Result {
    let owner = region.owner.words();
    writeln!(out, "    <!-- owner: {owner} -->")?;
    write!(
        out,
        "    <memory_region name=\"{}\" page_size=\"{:#x}\"",
        region.name,
        page_size(region)
    )?;
    if let Some(Prefill { file, .. }) = &region.prefill {
        // The tool takes the size from the file.
        write!(out, " prefill_path=\"{file}\"")?;
    } else {
        write!(out, " size=\"{:#x}\"", region.size)?;
    }
    if let Some(pa) = region.pa {
        write!(out, " phys_addr=\"{pa}\"")?;
    }
    writeln!(out, " />")
}

fn monitor_map(region: &Region, out: &mut String) -> std::fmt::Result {
    let Some(vaddr) = region.vaddr else {
        return Ok(());
    };
    let name = &region.name;
    // What others have written, the monitor only reads.
    let read = region.prefill.is_some() || region.name == RegionName::Seed;
    let perms = if read { "r" } else { "rw" };
    write!(
        out,
        "        <map mr=\"{name}\" vaddr=\"{vaddr:#x}\" perms=\"{perms}\" cached=\"{}\" \
         setvar_vaddr=\"{name}_vaddr\"",
        region.kind == Kind::Normal
    )?;
    if region.prefill.is_some() {
        write!(out, " setvar_prefill_size=\"{name}_size\"")?;
    }
    writeln!(out, " />")
}

fn guest_map(region: &Region, out: &mut String) -> std::fmt::Result {
    let Some(ipa) = region.ipa else { return Ok(()) };
    let (perms, cached) = match region.kind {
        Kind::Normal => ("rwx", true),
        Kind::Device => ("rw", false),
    };
    writeln!(
        out,
        "            <map mr=\"{}\" vaddr=\"{ipa}\" perms=\"{perms}\" cached=\"{cached}\" />",
        region.name
    )
}

fn irq(intid: u32, channel: u32, trigger: Trigger, out: &mut String) -> std::fmt::Result {
    writeln!(out, "        <irq irq=\"{intid}\" id=\"{channel}\" trigger=\"{}\" />", trigger.name())
}
