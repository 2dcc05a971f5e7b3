// SPDX-License-Identifier: BSD-2-Clause
//! The commands of `guestplan`.

pub mod guest;
