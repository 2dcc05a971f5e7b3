// SPDX-License-Identifier: BSD-2-Clause
//! Fault reports, compared with files in `tests/golden`. `REFRESH_GOLDEN=1 cargo test` writes
//! them anew; then read the difference.

use std::path::Path;

use vmm_core::addr::Ipa;
use vmm_core::host::Exit;
use vmm_core::plan::{GuestNode, Node, NodeState, PlanBlock, Text, Window};
use vmm_core::report::stop::{Nearest, nearest};

use crate::common::machine::CPU0;
use crate::common::spec::{GICD, RAM, RAM_SIZE, UART};
use crate::common::{Machine, Spec, esr};
use crate::exits;

/// The guest's tree has it as the board's; where no driver of it is known, it has it not.
fn node(window: (u64, u64), state: NodeState, names: (&str, &str, &str)) -> Node {
    let guest = match (state, names.2) {
        (_, "") => GuestNode::Absent,
        (NodeState::Disabled, _) => GuestNode::Disabled,
        _ => GuestNode::Enabled,
    };
    Node {
        window: Window { ipa: window.0, size: window.1 },
        state,
        guest,
        path: Text::new(names.0),
        guest_path: Text::new(if guest == GuestNode::Absent { "" } else { names.0 }),
        compatible: Text::new(names.1),
        option: Text::new(names.2),
    }
}

/// A board with a bus, devices on it in every state, and the guest's UART.
fn board() -> Spec {
    let mut spec = Spec::new(2, 2);
    spec.nodes = vec![
        node(
            (UART, 0x1000),
            NodeState::Given,
            ("/pl011@9000000", "arm,pl011", "SERIAL_AMBA_PL011"),
        ),
        node(
            (0x3020_0000, 0x1_0000),
            NodeState::Enabled,
            ("/soc/gpio@30200000", "fsl,imx35-gpio", "GPIO_MXC"),
        ),
        node(
            (0x3028_0080, 0x80),
            NodeState::Enabled,
            ("/soc/watchdog@30280080", "vendor,odd-watchdog", ""),
        ),
        node((0x3080_0000, 0x40_0000), NodeState::Enabled, ("/soc/bus@30800000", "simple-bus", "")),
        node(
            (0x30a2_0000, 0x1_0000),
            NodeState::Disabled,
            ("/soc/bus@30800000/i2c@30a20000", "fsl,imx21-i2c", "I2C_IMX"),
        ),
    ];
    spec
}

/// A guest of that board, somewhere in its kernel.
fn guest(spec: &Spec) -> Machine {
    let mut m = Machine::boot(spec);
    m.fake.cpus[0].pc = 0xffff_8000_0806_2a14;
    m.set_reg(CPU0, 30, 0xffff_8000_0806_29f0);
    m.fake.printed.clear();
    m
}

/// Compares what was printed with `tests/golden/NAME.txt`.
fn golden(name: &str, printed: &str) {
    assert!(printed.starts_with("\x18\r\n@ "), "in the middle of a line or an escape sequence");
    assert!(
        printed.split_inclusive('\n').all(|line| line.ends_with("\r\n")),
        "raw UART: {printed:?}"
    );
    assert!(printed.split("\r\n").skip(1).all(|line| line.is_empty() || line.starts_with('@')));
    assert!(printed.lines().count() <= 24, "one screen");
    let text = printed.trim_start_matches('\x18').replace("\r\n", "\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
    if std::env::var_os("REFRESH_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "tests/golden/{name}.txt differs: REFRESH_GOLDEN=1 cargo test");
}

/// A trap of the board's guest, and what is printed.
fn trap(name: &str, esr: u64, ipa: u64) {
    let mut m = guest(&board());
    m.trap(CPU0, esr, ipa);
    golden(name, &m.fake.printed);
}

#[test]
fn inside_a_disabled_node() {
    trap("unowned-disabled", esr::load(4, 1), 0x30a2_0008);
}

#[test]
fn inside_an_enabled_node() {
    trap("unowned-enabled", esr::store(4, 20), 0x3020_0004);
}

#[test]
fn inside_a_node_without_a_known_driver_on_part_of_a_page() {
    trap("unowned-partial", esr::store(2, esr::ZR), 0x3028_0084);
}

#[test]
fn between_two_nodes() {
    trap("unowned-between", esr::load(1, 0), 0x3021_0000);
}

#[test]
fn below_every_node() {
    trap("unowned-below", esr::load(8, 3), 0x10);
}

#[test]
fn above_every_node() {
    trap("unowned-above", esr::DATA, 0x1_0000_0000);
}

#[test]
fn inside_the_guests_own_node() {
    trap("unowned-given", esr::load(4, 1), UART + 0x18);
}

#[test]
fn on_a_board_without_nodes() {
    let mut m = guest(&Spec::new(2, 1));
    m.trap(CPU0, esr::load(4, 1), 0x30a2_0008);
    golden("unowned-no-nodes", &m.fake.printed);
}

#[test]
fn a_jump_out_of_ram() {
    trap("fetch-outside-ram", esr::FETCH, RAM + RAM_SIZE + 0x100);
}

#[test]
fn a_pair_on_the_distributor() {
    trap("no-syndrome", esr::DATA | esr::WRITE, GICD + 0x100);
}

#[test]
fn tables_that_are_nowhere() {
    trap("unreadable-address", esr::load(8, 1) | esr::WALK, 0x9000_0000);
}

#[test]
fn a_register_that_is_read() {
    trap("unknown-register-read", esr::register(true, (3, 3, 9, 12, 0), 2), 0);
}

#[test]
fn a_register_that_is_written() {
    trap("unknown-register-write", esr::register(false, esr::ICC_SGI1R, 2), 0);
}

#[test]
fn an_exit_that_nobody_knows() {
    let mut m = guest(&board());
    m.handle(CPU0, Exit::Other { name: "UserException", code: 0x2c });
    golden("unknown-exit", &m.fake.printed);
}

#[test]
fn a_trap_of_a_class_that_nobody_knows() {
    trap("unknown-class", 0x07 << 26 | esr::IL, 0);
}

#[test]
fn a_storm() {
    let mut m = exits::screaming();
    m.fake.cpus[0].pc = 0xffff_8000_0801_0000;
    m.set_reg(CPU0, 30, 0xffff_8000_0801_0040);
    m.fake.printed.clear();
    exits::scream(&mut m, 128);
    golden("interrupt-storm", &m.fake.printed);
}

#[test]
fn an_image_that_cannot_start() {
    let mut spec = board();
    spec.kernel[56..60].copy_from_slice(b"\x1f\x8b\x08\x00");
    let mut m = Machine::new(&spec);
    m.start();
    golden("bad-image", &m.fake.printed);
}

#[test]
fn the_smallest_window_is_the_device() {
    let plan: PlanBlock<'static> = board().plan();
    let inside = |ipa| match nearest(&plan, Ipa(ipa)) {
        Nearest::Inside(node) => Some(node.path.as_str()),
        Nearest::Between(..) => None,
    };
    assert_eq!(inside(0x30a2_0000), Some("/soc/bus@30800000/i2c@30a20000"));
    assert_eq!(inside(0x30a2_ffff), Some("/soc/bus@30800000/i2c@30a20000"));
    assert_eq!(inside(0x30a3_0000), Some("/soc/bus@30800000"));
    assert_eq!(inside(0x30c0_0000), None);
}

#[test]
fn neighbours_are_the_nearest() {
    let plan: PlanBlock<'static> = board().plan();
    let between = |ipa| match nearest(&plan, Ipa(ipa)) {
        Nearest::Between(below, above) => {
            (below.map(|node| node.window.ipa), above.map(|node| node.window.ipa))
        }
        Nearest::Inside(node) => panic!("{node:?}"),
    };
    assert_eq!(between(0), (None, Some(UART)));
    assert_eq!(between(0x3021_0000), (Some(0x3020_0000), Some(0x3028_0080)));
    assert_eq!(between(u64::MAX), (Some(0x3080_0000), None));
    assert!(matches!(nearest(&Spec::new(2, 1).plan(), Ipa(0)), Nearest::Between(None, None)));
}

#[test]
fn a_node_to_the_end_of_the_address_space_is_reported() {
    let mut spec = Spec::new(2, 1);
    spec.nodes =
        vec![node((u64::MAX - 0x800, 0x800), NodeState::Enabled, ("/last", "vendor,last", "LAST"))];
    let mut m = guest(&spec);
    m.trap(CPU0, esr::load(4, 1), u64::MAX - 0x100);
    assert!(m.fake.printed.contains("/last"), "{}", m.fake.printed);
}
