// SPDX-License-Identifier: BSD-2-Clause
//! Guest RAM as the monitor sees it: copying into it, and cache maintenance by address, which the
//! kernel lets user level do (`CONFIG_AARCH64_USER_CACHE_ENABLE`).

use core::arch::asm;

use vmm_core::addr::IpaRange;
use vmm_core::arm::cache::{self, CacheType};

/// Guest RAM, mapped into the protection domain as normal cached memory.
pub struct Ram {
    window: IpaRange,
    base: *mut u8,
}

/// A part of guest RAM.
pub struct Part {
    start: *mut u8,
    size: usize,
}

impl Ram {
    /// # Safety
    /// `base` is a mapping of all of `window` for the rest of the program, used by no one else
    /// but the guest.
    pub const unsafe fn new(window: IpaRange, base: *mut u8) -> Self {
        Self { window, base }
    }

    /// The part at `range`, or `None` where it leaves guest RAM.
    pub fn part(&self, range: IpaRange) -> Option<Part> {
        if !self.window.encloses(range) {
            return None;
        }
        let offset = usize::try_from(range.base().offset_from(self.window.base())?).ok()?;
        let size = usize::try_from(range.size()).ok()?;
        Some(Part { start: self.base.wrapping_add(offset), size })
    }
}

impl Part {
    /// Copies `bytes` to the front; the part must be as long.
    pub fn copy(&self, bytes: &[u8]) {
        let size = bytes.len().min(self.size);
        // SAFETY: the part lies in the mapping that `Ram::new` was promised, which holds no
        // Rust object, so it does not overlap `bytes`; the guest that shares it is stopped.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start, size) }
    }

    /// Writes dirty lines back to the point of coherency and drops them.
    pub fn clean_invalidate(&self) {
        self.each_line(cache_type().data_line(), |address| {
            // SAFETY: maintenance of a mapped line, which never changes what memory holds.
            unsafe { asm!("dc civac, {}", in(reg) address, options(nostack, preserves_flags)) }
        });
        barrier();
    }

    /// Writes dirty lines back to the point of coherency.
    pub fn clean(&self) {
        self.each_line(cache_type().data_line(), |address| {
            // SAFETY: as above.
            unsafe { asm!("dc cvac, {}", in(reg) address, options(nostack, preserves_flags)) }
        });
        barrier();
    }

    /// Drops instruction-cache lines.
    pub fn invalidate_instructions(&self) {
        self.each_line(cache_type().instruction_line(), |address| {
            // SAFETY: as above.
            unsafe { asm!("ic ivau, {}", in(reg) address, options(nostack, preserves_flags)) }
        });
        barrier();
    }

    fn each_line(&self, line: usize, each: impl FnMut(usize)) {
        let start = self.start.addr();
        cache::each_line(line, start..start.saturating_add(self.size), each);
    }
}

/// Waits until maintenance is done everywhere, and drops what was fetched before.
fn barrier() {
    // SAFETY: barriers only order what comes before and after them.
    unsafe { asm!("dsb sy", "isb", options(nostack, preserves_flags)) }
}

fn cache_type() -> CacheType {
    let value;
    // SAFETY: reads an identification register.
    unsafe { asm!("mrs {}, ctr_el0", out(reg) value, options(nomem, nostack, preserves_flags)) }
    CacheType(value)
}
