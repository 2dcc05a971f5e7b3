// SPDX-License-Identifier: BSD-2-Clause
//! GICv2's view: the distributor (Arm IHI 0048B, 4.3). The CPU interface is the GICV page, which
//! the guest reaches without the monitor.

use super::blocks::BlockRegister;
use super::registers::{RegisterWrite, gicd};
use super::state::Gic;
use crate::host::{Host, StoppedVcpu};
use crate::ids::{Intid, Vcpu};

/// Size of the distributor's registers in bytes (IHI 0048B, 4.1.2).
pub const DISTRIBUTOR_SIZE: u64 = gicd::V2_END;

impl Gic {
    /// Reads the 32-bit register at `offset`, a multiple of 4; `None` if there is none.
    pub(super) fn v2_read(
        &mut self,
        host: &mut dyn Host,
        reader: &StoppedVcpu,
        offset: u64,
    ) -> Option<u32> {
        let vcpu = reader.id();
        if let Some(register) = BlockRegister::at(offset) {
            return Some(self.read_block(host, vcpu, reader, register));
        }
        Some(match offset {
            gicd::CTLR => self.ctlr,
            gicd::TYPER => self.typer_lines() | u32::from(self.vcpus.get().wrapping_sub(1)) << 5,
            gicd::IIDR => gicd::IIDR_ARM,
            gicd::NSACR..gicd::SGIR => 0, // no Security Extensions
            gicd::CPENDSGIR..gicd::SPENDSGIR_END => self.sgi_sources(host, vcpu, sgi_index(offset)),
            gicd::V2_ICPIDR2 => gicd::V2_ARCHITECTURE,
            gicd::V2_ID..gicd::V2_END => 0,
            _ => return None,
        })
    }

    /// Writes the register at `offset`; `false` if there is none.
    pub(super) fn v2_write(
        &mut self,
        host: &mut dyn Host,
        vcpu: Vcpu,
        offset: u64,
        write: RegisterWrite,
    ) -> bool {
        if let Some(register) = BlockRegister::at(offset) {
            self.write_block(host, vcpu, register, write);
            return true;
        }
        let ones = write.ones();
        match offset {
            gicd::CTLR => self.set_groups(host, write.onto(self.ctlr) & gicd::CTLR_GROUPS),
            gicd::SGIR => self.v2_send(host, vcpu, ones),
            gicd::CPENDSGIR..gicd::SPENDSGIR => {
                self.change_sgi_sources(host, vcpu, sgi_index(offset), ones, false)
            }
            gicd::SPENDSGIR..gicd::SPENDSGIR_END => {
                self.change_sgi_sources(host, vcpu, sgi_index(offset), ones, true)
            }
            // Read-only, or only with the Security Extensions.
            gicd::TYPER | gicd::IIDR | gicd::NSACR..gicd::SGIR | gicd::V2_ID..gicd::V2_END => {}
            _ => return false,
        }
        true
    }

    /// GICD_TYPER.ITLinesNumber: 32 * (N + 1) interrupts.
    pub(super) fn typer_lines(&self) -> u32 {
        let [last, ..] = self.words.saturating_sub(1).to_le_bytes(); // at most WORDS
        u32::from(last & 0x1f)
    }

    /// GICD_SGIR (IHI 0048B, 4.3.15).
    fn v2_send(&mut self, host: &mut dyn Host, source: Vcpu, value: u32) {
        let Some(intid) = u16::try_from(value & 0xf).ok().and_then(Intid::new) else { return };
        let own = 1_u32.wrapping_shl(u32::from(source.0));
        let targets = match value >> 24 & 0b11 {
            0b00 => value >> 16 & 0xff,
            0b01 => !own,
            0b10 => own,
            _ => 0,
        };
        for target in self.vcpus.each() {
            if targets.wrapping_shr(u32::from(target.0)) & 1 == 1 {
                self.send(host, source, target, intid);
            }
        }
    }
}

/// First SGI of a word of GICD_CPENDSGIR or GICD_SPENDSGIR.
fn sgi_index(offset: u64) -> usize {
    let [low, ..] = offset.to_le_bytes();
    usize::from(low & 0xf)
}
