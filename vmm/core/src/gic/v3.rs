// SPDX-License-Identifier: BSD-2-Clause
//! GICv3's view: distributor, redistributors and the trapped system registers
//! (Arm IHI 0069H, 12.9, 12.11 and 12.2). One security state (GICD_CTLR.DS), affinity routing
//! always on, no LPIs. vCPU n has affinity 0.0.0.n.

use super::blocks::{Block, bit_if};
use super::v2::IIDR;
use super::{CTLR_GROUPS, Gic, Window, halves, place};
use crate::arm::syndrome::SystemRegister;
use crate::host::Host;
use crate::ids::{Intid, Vcpu};

/// Size of the distributor's registers in bytes (IHI 0069H, 12.8).
pub const DISTRIBUTOR_SIZE: u64 = 0x1_0000;
/// Size of a redistributor's two frames in bytes (IHI 0069H, 12.10).
pub const REDISTRIBUTOR_SIZE: u64 = 0x2_0000;
/// Where the second of them begins, that of SGIs and PPIs.
pub(super) const SGI_FRAME: u64 = 0x1_0000;

/// GICD_IROUTER.Interrupt_Routing_Mode: any vCPU.
pub(super) const IROUTER_ANY: u64 = 1 << 31;
/// The affinity fields of GICD_IROUTER.
pub(super) const IROUTER_AFFINITY: u64 = 0xff_00ff_ffff;

/// GICD_CTLR.ARE and GICD_CTLR.DS, both fixed at one.
const CTLR_FIXED: u32 = 1 << 4 | 1 << 6;
/// GICD_TYPER: 10 bits of INTID, affinity 3 valid, no 1-of-N.
const TYPER_FIXED: u32 = 9 << 19 | 1 << 24 | 1 << 25;
/// GICD_PIDR2 and GICR_PIDR2: architecture 3.
const PIDR2: u32 = 0x3b;
/// GICR_WAKER: ProcessorSleep, and ChildrenAsleep which follows it.
const WAKER_SLEEP: u32 = 1 << 1;
const WAKER_ASLEEP: u32 = 1 << 2;

/// Whether a block's word of 32 interrupts has registers in this window: SGIs and PPIs are in the
/// redistributors, the others in the distributor, targets in GICD_IROUTER.
pub(super) const fn is_in(window: Window, block: Block, word: usize) -> bool {
    let private = matches!(window, Window::Redistributor(_));
    private == (word == 0) && !matches!(block, Block::Target(_))
}

impl Gic {
    /// Reads the distributor's 32-bit word at `offset`, a multiple of 4; `None` if there is none.
    pub(super) fn v3_read(&mut self, host: &mut dyn Host, vcpu: Vcpu, offset: u64) -> Option<u32> {
        if let Some((block, word)) = Block::at(offset) {
            let here = is_in(Window::Distributor, block, word);
            return Some(if here { self.read_block(host, (vcpu, vcpu), block, word) } else { 0 });
        }
        Some(match offset {
            0x0000 => self.ctlr | CTLR_FIXED,
            0x0004 => self.typer_lines() | TYPER_FIXED,
            0x0008 => IIDR,
            0x6000..0x8000 => self.router(offset),
            0xffe8 => PIDR2,
            // TYPER2, STATUSR, SETSPI, IGRPMODR, NSACR, SGIR, SGI pending, identification: not
            // here, but known.
            0x000c..0x0080 | 0x0d00..0x1000 | 0xffd0..0x1_0000 => 0,
            _ => return None,
        })
    }

    /// Writes the bits of `mask` to the distributor's word at `offset`; `false` if there is none.
    pub(super) fn v3_write(
        &mut self,
        host: &mut dyn Host,
        vcpu: Vcpu,
        offset: u64,
        value: u32,
        mask: u32,
    ) -> bool {
        if let Some((block, word)) = Block::at(offset) {
            if is_in(Window::Distributor, block, word) {
                self.write_block(host, vcpu, block, word, (value, mask));
            }
            return true;
        }
        match offset {
            0x0000 => {
                self.set_groups(host, ((self.ctlr & !mask) | (value & mask)) & CTLR_GROUPS);
            }
            0x6000..0x8000 => self.set_router(host, offset, value, mask),
            0x0004..0x0080 | 0x0d00..0x1000 | 0xffd0..0x1_0000 => {}
            _ => return false,
        }
        true
    }

    /// Half of a GICD_IROUTER.
    fn router(&self, offset: u64) -> u32 {
        let (word, index) = router_place(offset);
        // Interrupts that do not exist read as zero.
        let route = self.bank(Vcpu(0), word).and_then(|bank| bank.route.get(index)).copied();
        let [low, high] = halves(route.unwrap_or_default());
        if offset & 4 == 0 { low } else { high }
    }

    fn set_router(&mut self, host: &mut dyn Host, offset: u64, value: u32, mask: u32) {
        let (word, index) = router_place(offset);
        if word == 0 {
            return; // GICD_IROUTER0 to 31 are reserved
        }
        let shift = if offset & 4 == 0 { 0 } else { 32 };
        let mask = u64::from(mask) << shift;
        let value = u64::from(value) << shift;
        if let Some(route) = self.bank_mut(Vcpu(0), word).and_then(|bank| bank.route.get_mut(index))
        {
            let old = *route;
            *route = ((*route & !mask) | (value & mask)) & (IROUTER_AFFINITY | IROUTER_ANY);
            let changed = bit_if(*route != old, index);
            self.recall_all(host, Vcpu(0), word, changed);
        }
    }

    /// Reads a word of `owner`'s redistributor; `None` if there is none.
    pub(super) fn redistributor_read(
        &mut self,
        host: &mut dyn Host,
        (owner, reader): (Vcpu, Vcpu),
        offset: u64,
    ) -> Option<u32> {
        let window = Window::Redistributor(owner);
        if let Some(offset) = offset.checked_sub(SGI_FRAME) {
            return match Block::at(offset) {
                Some((block, word)) if is_in(window, block, word) => {
                    Some(self.read_block(host, (owner, reader), block, word))
                }
                Some(_) => Some(0),
                None => (0xd00..0x1_0000).contains(&offset).then_some(0),
            };
        }
        let last = u32::from(owner.0.wrapping_add(1) == self.vcpus.get());
        Some(match offset {
            0x0004 => IIDR,
            0x0008 => last << 4 | u32::from(owner.0) << 8, // TYPER: Last, Processor_Number
            0x000c => u32::from(owner.0),                  // TYPER: affinity
            0x0014 => {
                let asleep = self.asleep.get(owner.index()).copied().unwrap_or(true);
                if asleep { WAKER_SLEEP | WAKER_ASLEEP } else { 0 }
            }
            0xffe8 => PIDR2,
            // CTLR, STATUSR, the LPI registers, identification.
            0x0000 | 0x0010..0x0100 | 0xffd0..0x1_0000 => 0,
            _ => return None,
        })
    }

    /// Writes the bits of `mask` to a word of `owner`'s redistributor; `false` if there is none.
    pub(super) fn redistributor_write(
        &mut self,
        host: &mut dyn Host,
        owner: Vcpu,
        offset: u64,
        value: u32,
        mask: u32,
    ) -> bool {
        let window = Window::Redistributor(owner);
        if let Some(offset) = offset.checked_sub(SGI_FRAME) {
            return match Block::at(offset) {
                Some((block, word)) if is_in(window, block, word) => {
                    self.write_block(host, owner, block, word, (value, mask));
                    true
                }
                Some(_) => true,
                None => (0xd00..0x1_0000).contains(&offset),
            };
        }
        match offset {
            0x0014 => {
                if let Some(asleep) = self.asleep.get_mut(owner.index())
                    && mask & WAKER_SLEEP != 0
                {
                    *asleep = value & WAKER_SLEEP != 0;
                }
            }
            0x0000..0x0100 | 0xffd0..0x1_0000 => {}
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
            let group0 = self.bank(target, 0).is_some_and(|bank| bank.group & place(intid).1 == 0);
            if named && (any_group || group0) {
                self.send(host, source, target, intid);
            }
        }
        true
    }
}

/// Word and index of the interrupt that a GICD_IROUTER belongs to.
fn router_place(offset: u64) -> (usize, usize) {
    let [low, high, ..] = offset.to_le_bytes();
    let number = usize::from(u16::from_le_bytes([low, high & 0x1f])) / 8;
    (number / 32, number % 32)
}
