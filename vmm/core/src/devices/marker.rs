// SPDX-License-Identifier: BSD-2-Clause
//! The marker page: a store to its first register makes the monitor report, with the value.

use super::{Effect, Emulated, MmioAccess, Stored};
use crate::host::Host;

/// It has no state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marker;

impl Emulated for Marker {
    fn load(&mut self, _host: &mut dyn Host, _access: MmioAccess<'_>) -> Option<u64> {
        None
    }

    fn store(&mut self, _host: &mut dyn Host, access: MmioAccess<'_>, value: u64) -> Stored {
        if access.offset == 0 { Stored::with(Effect::Mark(value)) } else { Stored::NOWHERE }
    }
}
