// SPDX-License-Identifier: BSD-2-Clause
//! GICv3's view: distributor, redistributors and the trapped system registers
//! (Arm IHI 0069H, 12.9, 12.11 and 12.2). One security state (GICD_CTLR.DS), affinity routing
//! always on, no LPIs. vCPU n has affinity 0.0.0.n.

use super::blocks::{Block, BlockRegister, bit_if};
use super::registers::{RegisterWrite, Window, frame, gicd, gicr, halves};
use super::state::Gic;
use super::words::word_and_bit;
use crate::arm::syndrome::SystemRegister;
use crate::host::{Host, StoppedVcpu};
use crate::ids::{Intid, Vcpu};

/// Size of the distributor's registers in bytes (IHI 0069H, 12.8).
pub const DISTRIBUTOR_SIZE: u64 = 0x1_0000;
/// Size of a redistributor's two frames in bytes (IHI 0069H, 12.10).
pub const REDISTRIBUTOR_SIZE: u64 = 0x2_0000;
/// Where the second of them begins, that of SGIs and PPIs.
pub(super) const SGI_FRAME: u64 = 0x1_0000;

/// Whether a register of a block is in this window: SGIs and PPIs are in the
/// redistributors, the others in the distributor, targets in GICD_IROUTER.
pub(super) const fn is_in(window: Window, register: BlockRegister) -> bool {
    let BlockRegister { block, word } = register;
    let private = matches!(window, Window::Redistributor(_));
    private == (word == 0) && !matches!(block, Block::Target(_))
}

impl Gic {
    /// Reads the distributor's 32-bit word at `offset`, a multiple of 4; `None` if there is none.
    pub(super) fn v3_read(
        &mut self,
        host: &mut dyn Host,
        reader: &StoppedVcpu,
        offset: u64,
    ) -> Option<u32> {
        if let Some(register) = BlockRegister::at(offset) {
            if !is_in(Window::Distributor, register) {
                return Some(0);
            }
            return Some(self.read_block(host, reader.id(), reader, register));
        }
        Some(match offset {
            gicd::CTLR => self.ctlr | gicd::CTLR_FIXED,
            gicd::TYPER => self.typer_lines() | gicd::TYPER_FIXED,
            gicd::IIDR => gicd::IIDR_ARM,
            gicd::IROUTER..gicd::IROUTER_END => self.router(offset),
            frame::PIDR2 => frame::V3_ARCHITECTURE,
            // TYPER2, STATUSR, SETSPI, IGRPMODR, NSACR, SGIR, SGI pending, identification: not
            // here, but known.
            gicd::TYPER2..gicd::IGROUPR
            | gicd::BLOCKS_END..gicd::V2_END
            | frame::ID..frame::END => 0,
            _ => return None,
        })
    }

    /// Writes the distributor's word at `offset`; `false` if there is none.
    pub(super) fn v3_write(
        &mut self,
        host: &mut dyn Host,
        vcpu: Vcpu,
        offset: u64,
        write: RegisterWrite,
    ) -> bool {
        if let Some(register) = BlockRegister::at(offset) {
            if is_in(Window::Distributor, register) {
                self.write_block(host, vcpu, register, write);
            }
            return true;
        }
        match offset {
            gicd::CTLR => self.set_groups(host, write.onto(self.ctlr) & gicd::CTLR_GROUPS),
            gicd::IROUTER..gicd::IROUTER_END => self.set_router(host, offset, write),
            gicd::TYPER..gicd::IGROUPR | gicd::BLOCKS_END..gicd::V2_END | frame::ID..frame::END => {
            }
            _ => return false,
        }
        true
    }

    /// Half of a GICD_IROUTER.
    fn router(&self, offset: u64) -> u32 {
        let (word, index) = routed(offset);
        // Interrupts that do not exist read as zero.
        let route = self.bank(Vcpu(0), word).and_then(|bank| bank.route.get(index)).copied();
        let [low, high] = halves(route.unwrap_or_default());
        if offset & 4 == 0 { low } else { high }
    }

    fn set_router(&mut self, host: &mut dyn Host, offset: u64, write: RegisterWrite) {
        let (word, index) = routed(offset);
        if word == 0 {
            return; // GICD_IROUTER0 to 31 are reserved
        }
        let shift = if offset & 4 == 0 { 0 } else { 32 };
        let mask = u64::from(write.mask) << shift;
        let value = u64::from(write.value) << shift;
        if let Some(route) = self.bank_mut(Vcpu(0), word).and_then(|bank| bank.route.get_mut(index))
        {
            let old = *route;
            *route =
                ((*route & !mask) | (value & mask)) & (gicd::IROUTER_AFFINITY | gicd::IROUTER_ANY);
            let changed = bit_if(*route != old, index);
            self.recall_all(host, Vcpu(0), word, changed);
        }
    }

    /// Reads a word of `owner`'s redistributor; `None` if there is none.
    pub(super) fn redistributor_read(
        &mut self,
        host: &mut dyn Host,
        owner: Vcpu,
        reader: &StoppedVcpu,
        offset: u64,
    ) -> Option<u32> {
        let window = Window::Redistributor(owner);
        if let Some(offset) = offset.checked_sub(SGI_FRAME) {
            return match BlockRegister::at(offset) {
                Some(register) if is_in(window, register) => {
                    Some(self.read_block(host, owner, reader, register))
                }
                Some(_) => Some(0),
                None => (gicd::BLOCKS_END..frame::END).contains(&offset).then_some(0),
            };
        }
        let last = u32::from(owner.0.wrapping_add(1) == self.vcpus.get());
        Some(match offset {
            gicr::IIDR => gicd::IIDR_ARM,
            gicr::TYPER => last << 4 | u32::from(owner.0) << 8, // TYPER: Last, Processor_Number
            gicr::TYPER_HIGH => u32::from(owner.0),
            gicr::WAKER => {
                let asleep = self.asleep.get(owner.index()).copied().unwrap_or(true);
                if asleep { gicr::WAKER_SLEEP | gicr::WAKER_ASLEEP } else { 0 }
            }
            frame::PIDR2 => frame::V3_ARCHITECTURE,
            gicr::CTLR | gicr::STATUSR..gicr::END | frame::ID..frame::END => 0,
            _ => return None,
        })
    }

    /// Writes a word of `owner`'s redistributor; `false` if there is none.
    pub(super) fn redistributor_write(
        &mut self,
        host: &mut dyn Host,
        owner: Vcpu,
        offset: u64,
        write: RegisterWrite,
    ) -> bool {
        let window = Window::Redistributor(owner);
        if let Some(offset) = offset.checked_sub(SGI_FRAME) {
            return match BlockRegister::at(offset) {
                Some(register) if is_in(window, register) => {
                    self.write_block(host, owner, register, write);
                    true
                }
                Some(_) => true,
                None => (gicd::BLOCKS_END..frame::END).contains(&offset),
            };
        }
        match offset {
            gicr::WAKER => {
                if let Some(asleep) = self.asleep.get_mut(owner.index())
                    && write.mask & gicr::WAKER_SLEEP != 0
                {
                    *asleep = write.value & gicr::WAKER_SLEEP != 0;
                }
            }
            gicr::CTLR..gicr::END | frame::ID..frame::END => {}
            _ => return false,
        }
        true
    }

    /// A write of ICC_SGI1R_EL1, ICC_ASGI1R_EL1 or ICC_SGI0R_EL1; `false` for another register.
    ///
    /// With one security state ICC_SGI1R_EL1 raises SGIs of either group, the other two raise
    /// those of group 0 alone.
    pub fn send_by_register(
        &mut self,
        host: &mut dyn Host,
        source: Vcpu,
        register: SystemRegister,
        value: u64,
    ) -> bool {
        let any_group = match register {
            SystemRegister::ICC_SGI1R => true,
            SystemRegister::ICC_ASGI1R | SystemRegister::ICC_SGI0R => false,
            _ => return false,
        };
        let [_, _, _, number, ..] = value.to_le_bytes();
        let Some(intid) = Intid::new(u16::from(number & 0xf)) else { return true };
        let to_others = value >> 40 & 1 == 1;
        // Affinity 1 to 3 and the range selector: vCPUs have zero in all of them.
        let elsewhere =
            value >> 16 & 0xff != 0 || value >> 32 & 0xff != 0 || value >> 48 & 0xff != 0;
        let listed = if elsewhere || value >> 44 & 0xf != 0 { 0 } else { value & 0xffff };
        for target in self.vcpus.each() {
            let named = if to_others {
                target != source
            } else {
                listed.wrapping_shr(u32::from(target.0)) & 1 == 1
            };
            let group0 =
                self.bank(target, 0).is_some_and(|bank| bank.group & word_and_bit(intid).1 == 0);
            if named && (any_group || group0) {
                self.send(host, source, target, intid);
            }
        }
        true
    }
}

/// Word and index of the interrupt that a GICD_IROUTER belongs to.
fn routed(offset: u64) -> (usize, usize) {
    let [low, high, ..] = offset.to_le_bytes();
    let number = usize::from(u16::from_le_bytes([low, high & 0x1f])) / 8;
    (number / 32, number % 32)
}
