// SPDX-License-Identifier: BSD-2-Clause
//! What a number means: a syndrome, a firmware call, an address.

use std::fmt::Write;

use vmm_core::addr::Ipa;
use vmm_core::arm::numbers::{id, imx};
use vmm_core::arm::services;
use vmm_core::arm::syndrome::{Abort, Class, Syndrome, status_words};
use vmm_core::fault::{Fault, FaultReport};
use vmm_core::ids::Vcpu;
use vmm_core::plan::PlanBlock as Block;
use vmm_report::{BEGIN, WORDS};
use zerocopy::IntoBytes;

use crate::board::Board;
use crate::error::PlanError;
use crate::firmware::CallAction;
use crate::memory::Emulated;
use crate::plan::Plan;

/// A syndrome (ESR_EL2), in words (Arm DDI 0487, D24.2.46).
#[must_use]
pub fn esr(value: u64) -> String {
    let syndrome = Syndrome::decode(value);
    let abort = |failure: &str, abort: &Abort| {
        let walk = if abort.walk { ", on a walk of the guest's translation tables" } else { "" };
        format!("{failure}: {}{walk}", status_words(abort.status))
    };
    let words = match syndrome.class {
        Class::Wait { event: false, .. } => "the guest waits for an interrupt (WFI)".into(),
        Class::Wait { event: true, .. } => "the guest waits for an event (WFE)".into(),
        Class::Hypercall => "a hypervisor call (HVC)".into(),
        Class::Firmware => "a firmware call (SMC); X0 says which".into(),
        Class::Register(access) => {
            let verb = if access.read { "reads (MRS)" } else { "writes (MSR)" };
            format!("the guest {verb} the system register {}", access.register)
        }
        Class::Fetch(details) => abort("an instruction fetch failed at stage 2", &details),
        Class::Data(details, Some(access)) => {
            let verb = if access.write { "a store to" } else { "a load from" };
            let register =
                access.reg.map_or("the zero register".into(), |reg| format!("X{}", reg.number()));
            format!(
                "{}; {verb} a device or nowhere, {} byte(s), {register}",
                abort("a data access failed at stage 2", &details),
                access.size
            )
        }
        Class::Data(details, None) => format!(
            "{}; the syndrome does not say which register moves (a pair, a vector, or write-back)",
            abort("a data access failed at stage 2", &details)
        ),
        Class::Coprocessor => "a program in AArch32 state moves to or from CP15".into(),
        Class::Other(class) => {
            format!("exception class {class:#x}, which never reaches this monitor in earnest")
        }
    };
    format!("ESR {value:#x}: {words}\n  instruction of {} bytes\n", syndrome.length)
}

/// Firmware calls that have a name here: identifier, name and document.
const CALLS: [(u32, &str); 30] = [
    (id::SMCCC_VERSION, "SMCCC_VERSION (DEN0028F)"),
    (id::SMCCC_ARCH_FEATURES, "SMCCC_ARCH_FEATURES (DEN0028F)"),
    (id::SMCCC_ARCH_SOC_ID, "SMCCC_ARCH_SOC_ID (DEN0028F)"),
    (id::SMCCC_ARCH_WORKAROUND_1, "SMCCC_ARCH_WORKAROUND_1 (DEN0028F)"),
    (id::SMCCC_ARCH_WORKAROUND_2, "SMCCC_ARCH_WORKAROUND_2 (DEN0028F)"),
    (id::SMCCC_ARCH_WORKAROUND_3, "SMCCC_ARCH_WORKAROUND_3 (DEN0028F)"),
    (id::PSCI_VERSION, "PSCI_VERSION (DEN0022F)"),
    (id::CPU_SUSPEND_32, "PSCI CPU_SUSPEND, 32 bits (DEN0022F)"),
    (id::CPU_SUSPEND_64, "PSCI CPU_SUSPEND (DEN0022F)"),
    (id::CPU_OFF, "PSCI CPU_OFF (DEN0022F)"),
    (id::CPU_ON_32, "PSCI CPU_ON, 32 bits (DEN0022F)"),
    (id::CPU_ON_64, "PSCI CPU_ON (DEN0022F)"),
    (id::AFFINITY_INFO_32, "PSCI AFFINITY_INFO, 32 bits (DEN0022F)"),
    (id::AFFINITY_INFO_64, "PSCI AFFINITY_INFO (DEN0022F)"),
    (id::MIGRATE_INFO_TYPE, "PSCI MIGRATE_INFO_TYPE (DEN0022F)"),
    (id::SYSTEM_OFF, "PSCI SYSTEM_OFF (DEN0022F)"),
    (id::SYSTEM_RESET, "PSCI SYSTEM_RESET (DEN0022F)"),
    (id::PSCI_FEATURES, "PSCI_FEATURES (DEN0022F)"),
    (id::SYSTEM_RESET2_32, "PSCI SYSTEM_RESET2, 32 bits (DEN0022F)"),
    (id::SYSTEM_RESET2_64, "PSCI SYSTEM_RESET2 (DEN0022F)"),
    (id::TRNG_VERSION, "TRNG_VERSION (DEN0098)"),
    (id::PV_TIME_FEATURES, "PV_TIME_FEATURES (DEN0057A)"),
    (id::VENDOR_HYPERVISOR_UID, "vendor hypervisor UID (DEN0028F)"),
    (imx::GPC, "i.MX SiP GPC: power of the whole board (TF-A imx_sip_svc.h)"),
    (imx::CPUFREQ, "i.MX SiP CPUFREQ (TF-A imx_sip_svc.h)"),
    (imx::SRTC, "i.MX SiP SRTC (TF-A imx_sip_svc.h)"),
    (imx::DDR_DVFS, "i.MX SiP DDR_DVFS: rate of the memory (TF-A imx_sip_svc.h)"),
    (imx::SRC, "i.MX SiP SRC: resets of other cores (TF-A imx_sip_svc.h)"),
    (imx::GET_SOC_INFO, "i.MX SiP GET_SOC_INFO: silicon revision (TF-A imx_sip_svc.h)"),
    (imx::HAB, "i.MX SiP HAB/OTP: fuses (TF-A imx_sip_svc.h)"),
];

/// A function identifier of SMCCC, in words, and what becomes of it on a board.
#[must_use]
pub fn smc(function: u32, board: Option<&Board>) -> String {
    let kind = if function & (1 << 31) != 0 { "fast" } else { "yielding" };
    let width = if function & (1 << 30) != 0 { 64 } else { 32 };
    let owner = services::name(function);
    let name =
        CALLS.iter().find(|(id, _)| *id == function).map_or("no name here", |(_, name)| name);
    let number = function & 0xffff;
    let mut out = format!(
        "SMC {function:#x}: {name}\n  {kind} call, {width} bits, owner {owner}, number {number:#x}\n"
    );
    let psci = (function >> 24) & 0x3f == 4 && number < 0x20;
    if let Some(board) = board {
        let rule = board.smc.rules.iter().find(|rule| rule.function == function);
        let fate = match rule.map(|rule| (rule.action, rule.value)) {
            _ if psci => "the monitor's own PSCI answers; it never reaches the firmware".into(),
            Some((CallAction::Answer, value)) => format!("the monitor answers {value:#x}"),
            Some((CallAction::Forward, _)) => "forwarded to the firmware".into(),
            None if board.smc.never_forward.contains(&function) => {
                "answered with -1, and never forwarded: it reaches more than the guest".into()
            }
            None => format!(
                "answered with -1 (not supported) and counted; --answer {function:#x}=VALUE or --forward {function:#x} change that"
            ),
        };
        let _ = writeln!(out, "  on {}: {fate}", board.name);
    }
    out
}

/// What is at a guest-physical address: a region, a device that the monitor emulates, or a device
/// of the board that the guest was not given, with the ways to come by it.
///
/// # Errors
/// The plan block cannot be written.
pub fn address(plan: &Plan, ipa: u64) -> Result<String, PlanError> {
    let mut out = format!("address {ipa:#x}:\n");
    let mut known = false;
    for region in &plan.regions {
        if let Some(span) = region.guest_span().filter(|span| span.contains(Ipa(ipa))) {
            let _ =
                writeln!(out, "  region {} ({span}), owner: {}", region.name, region.owner.words());
            known = true;
        }
    }
    for Emulated { name, span } in plan.emulated() {
        if span.contains(Ipa(ipa)) {
            let _ = writeln!(out, "  {name} ({span}), emulated by the monitor");
            known = true;
        }
    }
    if known {
        return Ok(out);
    }
    let bytes = plan.block()?;
    let mut aligned = vec![0_u64; bytes.len().div_ceil(8)];
    for (to, from) in aligned.as_mut_bytes().iter_mut().zip(&bytes) {
        *to = *from;
    }
    let Ok(block) = Block::read(aligned.as_bytes()) else { return Ok(out) };
    // The monitor's own words, so that both always say the same.
    let fault = Fault::UnownedAddress { ipa: Ipa(ipa), access: None };
    let report = FaultReport { fault, vcpu: Vcpu(0), at: None, esr: None };
    let mut words = String::new();
    let _ = report.render(&block, &mut words);
    for line in words.lines() {
        // The monitor's own marks before its words.
        let line = line.trim_start_matches(BEGIN.trim_end());
        let line = line.strip_prefix(WORDS).unwrap_or(line);
        // Nothing was stopped here; only what is at the address counts.
        let empty = line.trim_matches(char::is_control).is_empty();
        if !empty && !line.starts_with("The guest was stopped") {
            let _ = writeln!(out, "  {line}");
        }
    }
    neighbours(plan, ipa, &mut out);
    if block.nodes().is_empty() {
        out.push_str(
            "  no device tree of the board was given (--tree FILE), so no device has a name\n",
        );
    }
    Ok(out)
}

/// Who else is in the pages that would be mapped to give the guest the device at `ipa`.
fn neighbours(plan: &Plan, ipa: u64, out: &mut String) {
    let Some(tree) = &plan.board_tree else { return };
    let devices = || tree.nodes().filter(|(id, node)| !tree.is_bus(*id) && !node.is_memory());
    let registers = devices().flat_map(|(_, node)| &node.registers);
    let Some(own) = registers.filter(|span| span.contains(ipa)).min_by_key(|span| span.size())
    else {
        return;
    };
    for (_, node) in devices() {
        if node.registers.iter().any(|span| span.overlaps(own.pages()) && span != own) {
            let _ = writeln!(out, "  in the same pages: {}", node.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syndromes_are_words() {
        assert!(esr(0x93c0_8006).contains("a load from"), "{}", esr(0x93c0_8006));
        assert!(esr(0x5e00_0000).contains("SMC"), "{}", esr(0x5e00_0000));
        assert!(esr(0x0760_0000).contains("WFI") || esr(0x0600_0000).contains("WFI"));
    }

    #[test]
    fn firmware_calls_have_names_and_owners() {
        let text = smc(0xc200_0006, None);
        assert!(
            text.contains("GET_SOC_INFO") && text.contains("fast call, 64 bits, owner chip (SiP)"),
            "{text}"
        );
        assert!(smc(0x8400_0008, None).contains("SYSTEM_OFF"));
        assert!(smc(0x1234, None).contains("no name here"));
    }
}
