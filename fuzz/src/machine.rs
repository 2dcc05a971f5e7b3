// SPDX-License-Identifier: BSD-2-Clause
//! Guests on the fake host, made once for each shape and copied for each input: a plan block lives
//! as long as the program, and a fuzzer makes millions of guests.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::common::{Machine, Spec};
use crate::input::Input;

/// What a guest is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// GIC version, 2 or 3.
    pub version: u32,
    /// Virtual CPUs, 1 to 4.
    pub vcpus: u32,
    /// List registers, 1 to 16.
    pub slots: u8,
}

impl Shape {
    /// A shape from one byte and another.
    pub fn read(input: &mut Input<'_>) -> Option<Self> {
        let byte = input.byte()?;
        let slots = match input.below(20)? {
            slots @ 1..=16 => slots,
            _ => 4,
        };
        Some(Self { version: 2 + u32::from(byte & 1), vcpus: 1 + u32::from(byte >> 1 & 3), slots })
    }
}

/// A copy of the guest of this shape, all of whose vCPUs run. `change` makes the plan; it must be
/// the same function for every call with one `kind`.
pub fn booted(kind: &'static str, shape: Shape, change: fn(&mut Spec)) -> Machine {
    thread_local! {
        static ALL: RefCell<BTreeMap<(&'static str, Shape), Machine>> = const { RefCell::new(BTreeMap::new()) };
    }
    ALL.with_borrow_mut(|all| {
        all.entry((kind, shape))
            .or_insert_with(|| {
                let mut spec = Spec::new(shape.version, shape.vcpus);
                spec.slots = shape.slots;
                change(&mut spec);
                Machine::boot_all(&spec)
            })
            .clone()
    })
}
