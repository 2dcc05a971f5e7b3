// SPDX-License-Identifier: BSD-2-Clause
//! The model's registers, byte by byte.

use super::Window;

use super::{Around, Model};

/// The blocks of a bit for each interrupt, from 0x080 on, 0x80 bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bits {
    Group,
    Enable,
    Disable,
    Pend,
    Unpend,
    Activate,
    Deactivate,
}

/// A byte of the registers that all frames share, and the first interrupt that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Byte {
    Bits(Bits, u16),
    Priority(u16),
    Target(u16),
    /// Two bits each for four interrupts.
    Configuration(u16),
}

fn shared_byte(offset: u64) -> Option<Byte> {
    let offset = u16::try_from(offset).ok()?;
    let bits = [
        Bits::Group,
        Bits::Enable,
        Bits::Disable,
        Bits::Pend,
        Bits::Unpend,
        Bits::Activate,
        Bits::Deactivate,
    ];
    Some(match offset {
        0x080..0x400 => Byte::Bits(bits[usize::from((offset - 0x80) / 0x80)], offset % 0x80 * 8),
        0x400..0x800 => Byte::Priority(offset - 0x400),
        0x800..0xc00 => Byte::Target(offset - 0x800),
        0xc00..0xd00 => Byte::Configuration((offset - 0xc00) * 4),
        _ => return None,
    })
}

impl Model {
    /// The byte at an offset of a window; `None` if there is no register.
    fn byte(&mut self, around: &dyn Around, v: u8, window: Window, offset: u64) -> Option<u8> {
        let word = |value: u32| value.to_le_bytes()[usize::try_from(offset % 4).unwrap_or(0)];
        match (window, self.version) {
            (Window::Distributor, 2) => {
                if let Some(byte) = shared_byte(offset) {
                    return Some(self.load_shared(around, v, true, byte));
                }
                Some(match offset {
                    0x000..0x004 => word(self.ctlr.into()),
                    0x004..0x008 => {
                        word((u32::from(self.lines) / 32 - 1) | (u32::from(self.vcpus - 1) << 5))
                    }
                    0x008..0x00c => word(0x43b),
                    0xf10..0xf30 => {
                        self.private[usize::from(v)][usize::try_from(offset % 16).ok()?].sources
                    }
                    0xfe8..0xfec => word(0x2b),
                    0xe00..0xf00 | 0xfd0..0x1000 => 0,
                    _ => return None,
                })
            }
            (Window::Distributor, _) => {
                if let Some(byte) = shared_byte(offset) {
                    let gone = matches!(byte, Byte::Target(_)) || byte.first() < 32;
                    return Some(if gone { 0 } else { self.load_shared(around, v, true, byte) });
                }
                Some(match offset {
                    0x0000..0x0004 => word(u32::from(self.ctlr) | 0x50),
                    0x0004..0x0008 => {
                        word((u32::from(self.lines) / 32 - 1) | (9 << 19) | (3 << 24))
                    }
                    0x0008..0x000c => word(0x43b),
                    0x6000..0x8000 => {
                        let (intid, at) = ((offset - 0x6000) / 8, offset % 8);
                        let irq = self.irq(0, u16::try_from(intid).ok()?);
                        irq.map_or(0, |irq| irq.route.to_le_bytes()[at as usize])
                    }
                    0xffe8..0xffec => word(0x3b),
                    0x000c..0x0080 | 0x0d00..0x1000 | 0xffd0..0x1_0000 => 0,
                    _ => return None,
                })
            }
            (Window::Redistributor(owner), _) => {
                let (own, v) = (owner == v, owner);
                Some(match offset {
                    0x0004..0x0008 => word(0x43b),
                    0x0008..0x000c => word(u32::from(v == self.vcpus - 1) << 4 | u32::from(v) << 8),
                    0x000c..0x0010 => word(v.into()),
                    0x0014..0x0018 => word(if self.asleep[usize::from(v)] { 6 } else { 0 }),
                    0xffe8..0xffec => word(0x3b),
                    0x0000..0x0100 | 0xffd0..0x1_0000 => 0,
                    0x1_0000.. => match shared_byte(offset - 0x1_0000) {
                        Some(Byte::Target(_)) => 0,
                        Some(byte) if byte.first() >= 32 => 0,
                        Some(byte) => self.load_shared(around, v, own, byte),
                        None if (0x1_0d00..0x2_0000).contains(&offset) => 0,
                        None => return None,
                    },
                    _ => return None,
                })
            }
        }
    }

    /// `own`: a CPU reads its own private interrupts; the timer of another one cannot be asked.
    fn load_shared(&mut self, around: &dyn Around, v: u8, own: bool, byte: Byte) -> u8 {
        if let Byte::Bits(Bits::Pend | Bits::Unpend, first) = byte {
            // The monitor samples the lines of a whole word, whatever part of it is read.
            let word = first & !31;
            for intid in word..word + 32 {
                let asked = own || intid != 27;
                let high = !asked || self.is_high(around, v, intid);
                self.look(v, intid, high);
            }
        }
        match byte {
            Byte::Bits(kind, first) => (0..8).fold(0, |bits, n| {
                let intid = first + n;
                let sourced = self.sourced(intid);
                let Some(irq) = self.irq(v, intid).copied() else { return bits };
                let latched = if sourced { irq.sources != 0 } else { irq.latched };
                let set = match kind {
                    Bits::Group => irq.group,
                    Bits::Enable | Bits::Disable => self.is_enabled(v, intid),
                    Bits::Pend | Bits::Unpend => {
                        // Active and pending: its line is high still.
                        let line = irq.line
                            && (!irq.active || intid != 27 && self.is_high(around, v, intid));
                        latched || line
                    }
                    Bits::Activate | Bits::Deactivate => irq.active,
                };
                bits | u8::from(set) << n
            }),
            Byte::Priority(intid) => self.irq(v, intid).map_or(0, |irq| irq.priority),
            Byte::Target(intid) if intid < 32 => 1 << v,
            Byte::Target(intid) => self.irq(v, intid).map_or(0, |irq| irq.route as u8),
            Byte::Configuration(first) => (0..4).fold(0, |bits, n| {
                let edge = self.irq(v, first + n).is_some_and(|irq| irq.edge);
                bits | u8::from(edge) << (2 * n + 1)
            }),
        }
    }

    fn is_high(&mut self, around: &dyn Around, v: u8, intid: u16) -> bool {
        if self.emulated.contains(&intid) {
            return self.irq(v, intid).is_some_and(|irq| irq.line);
        }
        around.high(v, intid)
    }

    fn store_shared(&mut self, v: u8, byte: Byte, value: u8) {
        let present = (1_u16 << self.vcpus) as u8 - 1;
        match byte {
            Byte::Bits(kind, first) => {
                for n in 0..8 {
                    let (intid, one) = (first + n, value >> n & 1 == 1);
                    let sourced = self.sourced(intid);
                    let (set, enabled) = (self.enabled_set(v, intid), self.is_enabled(v, intid));
                    let tracked = self.emulated.contains(&intid);
                    let Some(irq) = self.irq(v, intid) else { continue };
                    match kind {
                        Bits::Group => irq.group = one,
                        Bits::Enable if one => {
                            // Its line fired while it was off: that is looked at again.
                            irq.line &= enabled || irq.active || tracked;
                            self.enabled[set].insert(intid);
                        }
                        Bits::Disable if one => {
                            self.enabled[set].remove(&intid);
                        }
                        Bits::Pend if one && !sourced => irq.latched = true,
                        Bits::Unpend if one && !sourced => irq.latched = false,
                        Bits::Activate if one => irq.active = true,
                        Bits::Deactivate if one => self.deactivate(v, intid),
                        _ => {}
                    }
                }
            }
            Byte::Priority(intid) => {
                if let Some(irq) = self.irq(v, intid) {
                    irq.priority = value & 0xf8;
                }
            }
            Byte::Target(..32) => {}
            Byte::Target(intid) => {
                if let Some(irq) = self.irq(v, intid) {
                    irq.route = (value & present).into();
                }
            }
            Byte::Configuration(..32) => {}
            Byte::Configuration(first) => {
                for n in 0..4 {
                    if let Some(irq) = self.irq(v, first + n) {
                        irq.edge = value >> (2 * n + 1) & 1 == 1;
                    }
                }
            }
        }
    }

    /// A load; `None` if a part of it is no register.
    pub fn read(
        &mut self,
        around: &dyn Around,
        v: u8,
        window: Window,
        (offset, size): (u64, u8),
    ) -> Option<u64> {
        if !matches!(size, 1 | 2 | 4 | 8) || !offset.is_multiple_of(u64::from(size)) {
            return None;
        }
        let mut value = 0;
        for n in (0..size).rev() {
            let byte = self.byte(around, v, window, offset.checked_add(n.into())?)?;
            value = value << 8 | u64::from(byte);
        }
        Some(value)
    }

    /// A store of one word's bytes, from `offset` on. Says whether there is a register.
    fn write_word(&mut self, v: u8, window: Window, offset: u64, bytes: &[u8]) -> bool {
        let each = (offset..).zip(bytes.iter().copied());
        let first = offset & !3;
        let shifted = bytes.iter().rev().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        let word = shifted << (8 * (offset % 4));
        match (window, self.version) {
            (Window::Distributor, version) => {
                if shared_byte(offset).is_some() {
                    for (offset, value) in each {
                        let byte = shared_byte(offset).unwrap();
                        let gone = matches!(byte, Byte::Target(_)) || byte.first() < 32;
                        if version == 2 || !gone {
                            self.store_shared(v, byte, value);
                        }
                    }
                    return true;
                }
                match (first, version) {
                    (0, _) if offset == 0 => self.ctlr = bytes[0] & 3,
                    (0, _) => {}
                    (0xf00, 2) => self.sgir(v, word),
                    (0xf10..0xf30, 2) => {
                        let present = (1_u16 << self.vcpus) as u8 - 1;
                        for (offset, byte) in each {
                            let sgi = usize::try_from(offset % 16).unwrap_or(0);
                            let sources = &mut self.private[usize::from(v)][sgi].sources;
                            if offset < 0xf20 {
                                *sources &= !byte
                            } else {
                                *sources |= byte & present
                            }
                        }
                    }
                    (0x4 | 0x8 | 0xe00..0xf00 | 0xfd0..0x1000, 2) => {}
                    (0x6000..0x8000, 3) => {
                        for (offset, byte) in each {
                            let (intid, at) = ((offset - 0x6000) / 8, offset % 8 * 8);
                            let intid = u16::try_from(intid).unwrap_or(0);
                            if let Some(irq) = self.irq(0, intid).filter(|_| intid >= 32) {
                                let route = irq.route & !(0xff << at) | u64::from(byte) << at;
                                irq.route = route & 0xff_80ff_ffff;
                            }
                        }
                    }
                    (0x4..0x80 | 0xd00..0x1000 | 0xffd0..0x1_0000, 3) => {}
                    _ => return false,
                }
                true
            }
            (Window::Redistributor(owner), _) => {
                let v = owner;
                match first {
                    0x14 if offset == 0x14 => self.asleep[usize::from(v)] = bytes[0] & 2 != 0,
                    0..0x100 | 0xffd0..0x1_0000 => {}
                    0x1_0000.. => {
                        if shared_byte(first - 0x1_0000).is_none() {
                            return (0x1_0d00..0x2_0000).contains(&first);
                        }
                        for (offset, value) in each {
                            let byte = shared_byte(offset - 0x1_0000).unwrap();
                            if byte.first() < 32 {
                                self.store_shared(v, byte, value);
                            }
                        }
                    }
                    _ => return false,
                }
                true
            }
        }
    }

    /// GICD_SGIR.
    fn sgir(&mut self, v: u8, word: u32) {
        for to in 0..self.vcpus {
            let named = match word >> 24 & 3 {
                0 => word >> (16 + to) & 1 == 1,
                1 => to != v,
                2 => to == v,
                _ => false,
            };
            if named {
                self.send(v, to, (word & 0xf) as u16);
            }
        }
    }

    /// A store. Says whether all of it is a register.
    pub fn write(&mut self, v: u8, window: Window, (offset, size): (u64, u8), value: u64) -> bool {
        if !matches!(size, 1 | 2 | 4 | 8) || !offset.is_multiple_of(u64::from(size)) {
            return false;
        }
        let bytes = &value.to_le_bytes()[..size.into()];
        let words = (offset..).step_by(4).zip(bytes.chunks(4));
        words
            .fold(true, |known, (offset, bytes)| self.write_word(v, window, offset, bytes) && known)
    }
}

impl Byte {
    /// The first interrupt that it is about.
    const fn first(self) -> u16 {
        match self {
            Self::Bits(_, intid)
            | Self::Priority(intid)
            | Self::Target(intid)
            | Self::Configuration(intid) => intid,
        }
    }
}
