// SPDX-License-Identifier: BSD-2-Clause
//! libFuzzer's way in to [`vmm_fuzz::systems`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vmm_fuzz::systems::run(bytes));
