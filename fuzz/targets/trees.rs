// SPDX-License-Identifier: BSD-2-Clause
//! libFuzzer's way in to [`vmm_fuzz::trees`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vmm_fuzz::trees::run(bytes));
