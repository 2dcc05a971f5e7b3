// SPDX-License-Identifier: BSD-2-Clause
//! Random numbers for the guest: where the seed comes from, and the generator behind it.
//!
//! A generator with a 256-bit seed, not a noise source: whoever knows the seed knows all that came
//! of it. It is seeded once, when the monitor starts, from what the boot loader or the emulator left
//! for this power-on.

use core::fmt;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};

use crate::chosen;
use crate::plan::{PlanBlock, SeedKind};

/// Bytes of a seed.
const SEED: usize = 32;

/// A key of ChaCha20 (RFC 8439, 2.4) that each request replaces: whoever reads it later learns
/// nothing of what was given out before ("fast key erasure").
#[derive(Clone)]
pub struct Generator {
    key: [u8; SEED],
}

impl fmt::Debug for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Generator { .. }")
    }
}

impl Generator {
    /// A generator of this seed; `None` if it cannot be one: too short, or equal bytes, which are
    /// what memory holds that nobody wrote.
    #[must_use]
    pub fn new(seed: &[u8]) -> Option<Self> {
        let key: [u8; SEED] = seed.get(..SEED)?.try_into().ok()?;
        let [first, rest @ ..] = &key;
        rest.iter().any(|byte| byte != first).then_some(Self { key })
    }

    /// The generator that a plan asks for, of what the host found in the place that it names.
    #[must_use]
    pub fn of_plan(plan: &PlanBlock<'_>, region: &[u8]) -> Option<Self> {
        if plan.facts().seed == SeedKind::None {
            return None;
        }
        Self::new(region.get(chosen::property(region, "rng-seed")?.value)?)
    }

    /// Fills `out` with fresh random bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        let mut stream = ChaCha20Rng::from_seed(self.key);
        stream.fill_bytes(&mut self.key);
        stream.fill_bytes(out);
    }

    /// Fresh random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}
