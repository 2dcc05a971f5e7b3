// SPDX-License-Identifier: BSD-2-Clause
//! The modules of this crate build on each other and never in a circle: whoever reads one needs to
//! know only what is below it.

use std::path::Path;

#[test]
fn no_two_modules_need_each_other() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    assert_eq!(vmm_testkit::module_circles(&src), [""; 0]);
}
