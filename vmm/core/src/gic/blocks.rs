// SPDX-License-Identifier: BSD-2-Clause
//! The registers that GICv2's distributor, GICv3's distributor and GICv3's SGI frames share: a
//! bit, two bits or a byte for each interrupt, at the same offsets in all three
//! (IHI 0048B, 4.3; IHI 0069H, 12.9 and 12.11).

use super::lists::Listed;
use super::registers::{RegisterWrite, gicd};
use super::state::{Bank, Gic};
use super::words::{set_intids, word_and_bit};
use crate::host::{Host, StoppedVcpu};
use crate::ids::{GicVersion, Intid, Vcpu};

/// Implemented priority bits: as many as a list register has (IHI 0048B, GICH_LRn.Priority).
const PRIORITY_MASK: u8 = 0xf8;

/// One of the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    Group,
    SetEnable,
    ClearEnable,
    SetPending,
    ClearPending,
    SetActive,
    ClearActive,
    /// Byte offset in the word's 32 bytes.
    Priority(usize),
    /// Byte offset in the word's 32 bytes (GICv2 only).
    Target(usize),
    /// 0 for the lower 16 interrupts of the word, 1 for the upper.
    Configuration(usize),
}

/// A register of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockRegister {
    pub block: Block,
    /// The 32 interrupts that it belongs to.
    pub word: usize,
}

impl BlockRegister {
    /// The one at a register offset that is a multiple of 4.
    pub(super) fn at(offset: u64) -> Option<Self> {
        let at = usize::try_from(offset).ok()?;
        let (bits, bytes) = ((at & 0x7f) / 4, (at & 0x3ff) / 32);
        let (block, word) = match offset {
            gicd::IGROUPR..gicd::ISENABLER => (Block::Group, bits),
            gicd::ISENABLER..gicd::ICENABLER => (Block::SetEnable, bits),
            gicd::ICENABLER..gicd::ISPENDR => (Block::ClearEnable, bits),
            gicd::ISPENDR..gicd::ICPENDR => (Block::SetPending, bits),
            gicd::ICPENDR..gicd::ISACTIVER => (Block::ClearPending, bits),
            gicd::ISACTIVER..gicd::ICACTIVER => (Block::SetActive, bits),
            gicd::ICACTIVER..gicd::IPRIORITYR => (Block::ClearActive, bits),
            gicd::IPRIORITYR..gicd::ITARGETSR => (Block::Priority(at % 32), bytes),
            gicd::ITARGETSR..gicd::ICFGR => (Block::Target(at % 32), bytes),
            gicd::ICFGR..gicd::BLOCKS_END => (Block::Configuration(at / 4 % 2), (at & 0xff) / 8),
            _ => return None,
        };
        Some(Self { block, word })
    }
}

/// Bytes `at` to `at + 3` of an array, as a little-endian word.
fn bytes(array: impl Iterator<Item = u8>, at: usize) -> u32 {
    array
        .skip(at)
        .take(4)
        .zip([0, 8, 16, 24])
        .fold(0, |word, (byte, shift)| word | u32::from(byte) << shift)
}

/// Bit n of `half` becomes bit 2n + 1: the way GICD_ICFGR says edge.
fn spread(half: u32) -> u32 {
    (0..16).fold(0, |word, n: u32| {
        word | (half.wrapping_shr(n) & 1).wrapping_shl(n.wrapping_mul(2).wrapping_add(1))
    })
}

/// The inverse of [`spread`].
fn gather(word: u32) -> u32 {
    (0..16).fold(0, |half, n: u32| {
        half | (word.wrapping_shr(n.wrapping_mul(2).wrapping_add(1)) & 1).wrapping_shl(n)
    })
}

impl Gic {
    /// A vCPU reads a register of a block, its own or another's; interrupts that do not exist read as
    /// zero.
    pub(super) fn read_block(
        &mut self,
        host: &mut dyn Host,
        vcpu: Vcpu,
        reader: &StoppedVcpu,
        BlockRegister { block, word }: BlockRegister,
    ) -> u32 {
        let Some(bank) = self.bank(vcpu, word) else { return 0 };
        match block {
            Block::Group => bank.group,
            Block::SetEnable | Block::ClearEnable => bank.enabled,
            Block::SetPending | Block::ClearPending => {
                let unknown = self.look(host, vcpu, reader, word);
                self.states(host, vcpu, word).0 | unknown
            }
            Block::SetActive | Block::ClearActive => self.states(host, vcpu, word).1,
            Block::Priority(at) => bytes(bank.priority.iter().copied(), at),
            Block::Target(at) if word == 0 => {
                // Read-only: the reader's own bit (IHI 0048B, 4.3.12).
                let own = 1_u8.wrapping_shl(u32::from(vcpu.0));
                bytes(core::iter::repeat_n(own, 32), at)
            }
            // The low byte is what GICv2 keeps there.
            Block::Target(at) => bytes(bank.route.iter().map(|route| route.to_le_bytes()[0]), at),
            Block::Configuration(half) => {
                spread(bank.edge.wrapping_shr(if half == 0 { 0 } else { 16 }) & 0xffff)
            }
        }
    }

    /// Looks at the lines that made interrupts of a word pending: those that are low by now do so no
    /// more, and are listened to again. Where the host cannot tell, that of a disabled one is
    /// listened to again as well; those bits are given: the next read is right.
    fn look(&mut self, host: &mut dyn Host, vcpu: Vcpu, reader: &StoppedVcpu, word: usize) -> u32 {
        let Some(bank) = self.bank(vcpu, word) else { return 0 };
        let (lines, held) = (bank.by_line, bank.held);
        let mut unknown = 0;
        for intid in set_intids(word, lines) {
            let (_, bit) = word_and_bit(intid);
            let high = if intid != Intid::VIRTUAL_TIMER {
                self.level(host, intid)
            } else if vcpu == reader.id() {
                let timer = host.virtual_timer(reader);
                Some(timer.ctl & 0b11 == 0b01 && timer.cval <= host.now())
            } else {
                None
            };
            if high == Some(false) && held & bit != 0 {
                self.recall(host, vcpu, intid);
            }
            let Some(bank) = self.bank_mut(vcpu, word) else { continue };
            let waits = bank.by_line & !bank.held & !bank.active & bit != 0;
            let asked = high.is_none() && bank.enabled & bit == 0 && word != 0;
            if waits && (high == Some(false) || asked) {
                bank.by_line &= !bit;
                unknown |= if asked { bit } else { 0 };
                self.sample(host, vcpu, intid);
            }
        }
        unknown
    }

    /// Writes a register of a block.
    pub(super) fn write_block(
        &mut self,
        host: &mut dyn Host,
        vcpu: Vcpu,
        BlockRegister { block, word }: BlockRegister,
        write: RegisterWrite,
    ) {
        let ones = write.ones();
        // GICv2 makes SGIs pending through GICD_SGIR and GICD_SPENDSGIR alone.
        let by_register = ones & !sgis(self.version, word);
        let present = self.present();
        // What is in a list register goes back if this is about it.
        let mut changed = 0;
        let mut sample = 0;
        let Some(bank) = self.bank_mut(vcpu, word) else { return };
        match block {
            Block::Group => {
                let old = bank.group;
                bank.group = write.onto(bank.group);
                changed = old ^ bank.group;
            }
            Block::SetEnable => {
                sample = ones & !bank.enabled & bank.by_line & !bank.held & !bank.active;
                bank.by_line &= !sample;
                bank.enabled |= ones;
            }
            Block::ClearEnable => {
                bank.enabled &= !ones;
                changed = ones;
            }
            Block::SetPending => {
                set_intids(word, by_register).for_each(|intid| _ = self.latch(host, vcpu, intid));
            }
            Block::ClearPending => {
                set_intids(word, by_register).for_each(|intid| self.unlatch(host, vcpu, intid));
            }
            Block::SetActive => {
                set_intids(word, ones).for_each(|intid| self.activate(host, vcpu, intid));
            }
            Block::ClearActive => {
                set_intids(word, ones).for_each(|intid| self.deactivate(host, vcpu, intid));
            }
            Block::Priority(at) => write_bytes(bank, at, write, |bank, index, byte| {
                if let Some(priority) = bank.priority.get_mut(index) {
                    changed |= bit_if(*priority != byte & PRIORITY_MASK, index);
                    *priority = byte & PRIORITY_MASK;
                }
            }),
            Block::Target(_) if word == 0 => {}
            Block::Target(at) => write_bytes(bank, at, write, |bank, index, byte| {
                if let Some(route) = bank.route.get_mut(index) {
                    changed |= bit_if(*route != u64::from(byte & present), index);
                    *route = u64::from(byte & present);
                }
            }),
            // SGIs and PPIs keep theirs.
            Block::Configuration(_) if word == 0 => {}
            Block::Configuration(half) => {
                let shift = if half == 0 { 0 } else { 16 };
                let edges = gather(ones).wrapping_shl(shift);
                let touched = gather(write.mask).wrapping_shl(shift);
                bank.edge = (bank.edge & !touched) | edges;
            }
        }
        for intid in set_intids(word, sample) {
            self.sample(host, vcpu, intid);
        }
        self.recall_all(host, vcpu, word, changed);
    }

    /// GICD_CTLR: what is in a list register goes back if its group is off from now on.
    pub(super) fn set_groups(&mut self, host: &mut dyn Host, ctlr: u32) {
        let off = self.ctlr & !ctlr;
        self.ctlr = ctlr;
        for group in [0, 1] {
            if off.wrapping_shr(u32::from(group)) & 1 == 1 {
                self.recall_group(host, group);
            }
        }
    }

    /// Whether a write of a register of a block changes nothing as things are, whatever its value.
    pub(super) fn block_ignores(&self, vcpu: Vcpu, register: BlockRegister) -> bool {
        let BlockRegister { block, word } = register;
        let Some(bank) = self.bank(vcpu, word) else { return true };
        match block {
            Block::ClearEnable => bank.enabled == 0,
            Block::ClearPending => bank.latched == 0 && bank.held == 0,
            Block::ClearActive => bank.active == 0 && bank.held == 0,
            Block::Target(_) | Block::Configuration(_) => word == 0,
            Block::Group
            | Block::SetEnable
            | Block::SetPending
            | Block::SetActive
            | Block::Priority(_) => false,
        }
    }

    /// A bit for each vCPU that there is; bits of others read as zero (IHI 0048B, 4.3.12).
    const fn present(&self) -> u8 {
        1_u8.wrapping_shl(self.vcpus.get() as u32).wrapping_sub(1)
    }

    /// GICD_SPENDSGIR and GICD_CPENDSGIR (IHI 0048B, 4.3.16): a byte of senders for each SGI.
    pub(super) fn sgi_sources(&self, host: &mut dyn Host, vcpu: Vcpu, first: usize) -> u32 {
        let Some(mut sources) = self.sources.get(vcpu.index()).copied() else { return 0 };
        for (number, sources) in (0..).zip(&mut sources) {
            let Some(intid) = Intid::new(number) else { continue };
            if let Some(Listed { held, .. }) = self.waits_in_list(host, vcpu, intid) {
                *sources |= 1_u8.wrapping_shl(u32::from(held.source.0));
            }
        }
        bytes(sources.into_iter(), first)
    }

    /// Adds senders to four SGIs, or takes them away.
    pub(super) fn change_sgi_sources(
        &mut self,
        host: &mut dyn Host,
        vcpu: Vcpu,
        first: usize,
        bits: u32,
        set: bool,
    ) {
        let present = self.present();
        for (number, byte) in (first..).zip(bits.to_le_bytes()) {
            let Some(intid) = u16::try_from(number).ok().and_then(Intid::new) else { continue };
            for from in (0..8_u8).filter(|v| (byte & present).wrapping_shr(u32::from(*v)) & 1 == 1)
            {
                if set {
                    self.latch_source(host, vcpu, intid, Vcpu(from));
                } else {
                    self.unlatch_source(host, vcpu, intid, Vcpu(from));
                }
            }
        }
    }
}

/// The bit of the n-th interrupt of a word, if `set`.
pub(super) fn bit_if(set: bool, index: usize) -> u32 {
    let bit = u32::try_from(index).ok().and_then(|index| 1_u32.checked_shl(index));
    // Beyond the word there is none.
    bit.filter(|_| set).unwrap_or_default()
}

/// The interrupts of a word that GICv2 treats as SGIs.
const fn sgis(version: GicVersion, word: usize) -> u32 {
    match (version, word) {
        (GicVersion::V2, 0) => 0xffff,
        _ => 0,
    }
}

/// Calls `write` for each byte that is stored.
fn write_bytes(
    bank: &mut Bank,
    at: usize,
    from: RegisterWrite,
    mut write: impl FnMut(&mut Bank, usize, u8),
) {
    for ((index, byte), mask) in (at..).zip(from.value.to_le_bytes()).zip(from.mask.to_le_bytes()) {
        if mask == 0xff {
            write(bank, index, byte);
        }
    }
}
