// SPDX-License-Identifier: BSD-2-Clause
//! The maps in `boards/*/map.svg`, which READMEs show, are what guestplan draws.
//! `REFRESH_GOLDEN=1 cargo test` writes them anew.

mod common;

use common::{boards, images};
use vmm_plan::map::Map;
use vmm_plan::{Board, Images, Plan, Wish};

#[test]
fn the_boards_maps_are_up_to_date() {
    for board in Board::all(&boards()).unwrap() {
        let plan = Plan::new(&board, &Wish::default(), Images::none()).unwrap();
        let svg = Map::new(&plan, false).svg();
        roxmltree::Document::parse(&svg).unwrap();
        let path = boards().join(&board.name).join("map.svg");
        if std::env::var_os("REFRESH_GOLDEN").is_some() {
            std::fs::write(&path, &svg).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            svg == committed,
            "{} differs: REFRESH_GOLDEN=1 cargo test -p vmm-plan",
            path.display()
        );
    }
}

#[test]
fn a_map_has_every_region_and_image_once() {
    let board = common::board("qemu");
    let plan = Plan::new(&board, &Wish::default(), images()).unwrap();
    let map = Map::new(&plan, true);
    // Three more than the regions are emulated (GICD, marker, clock), three are images within RAM.
    assert_eq!(map.rows.len(), plan.regions.len() + 6);
    let text = map.text();
    for what in ["RAM", "console UART", "GICD", "kernel", "initrd", "the kernel chooses"] {
        assert!(text.contains(what), "{what} in {text}");
    }
    let table = map.markdown();
    assert!(
        table
            .lines()
            .filter(|line| line.starts_with('|'))
            .all(|line| line.matches('|').count() == 6)
    );
}
