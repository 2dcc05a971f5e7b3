// SPDX-License-Identifier: BSD-2-Clause
//! What somebody wants of a board, with kernels and file systems of any kind: what is planned lies
//! apart, where it was asked for, and within the board.

use std::sync::LazyLock;

use vmm_plan::check::CheckInput;
use vmm_plan::finding::Severity;
use vmm_plan::memory::Region;
use vmm_plan::span::Address;
use vmm_plan::wish::Pass;
use vmm_plan::{Board, Host, Images, Plan, Span, Wish, dt};

use crate::boards::{MAAXBOARD, QEMU};
use crate::input::Input;
use crate::trees::use_plan;

static BOARDS: LazyLock<[Board; 2]> = LazyLock::new(|| {
    [("qemu_virt_aarch64", QEMU), ("maaxboard", MAAXBOARD)]
        .map(|(name, text)| Board::parse(name, text).unwrap())
});

/// A kernel's header with any of its fields; sometimes no kernel at all.
fn kernel(input: &mut Input<'_>) -> Option<Vec<u8>> {
    let kind = input.byte()?;
    let mut image = vec![0; 64 + usize::from(kind & 0x30) * 1000];
    let sizes = [0x1000, 0x20_0000, 0x40_0000, 0x1000_0000, 0x2000_0000];
    for (at, known) in [(8, [0, 0x8_0000, 0x20_0000, 1, 2]), (16, sizes)] {
        image[at..at + 8].copy_from_slice(&input.number(&known)?.to_le_bytes());
    }
    image[24] = kind & 1;
    image[56..60].copy_from_slice(if kind & 0xe == 0xe { b"none" } else { b"ARM\x64" });
    if kind & 0xe == 0xc {
        image.truncate(usize::from(kind >> 4) * 4);
    }
    Some(image)
}

fn text(input: &mut Input<'_>, most: usize) -> Option<String> {
    let length = usize::from(input.byte()?) % most;
    let (text, rest) = input.0.split_at_checked(length)?;
    input.0 = rest;
    Some(String::from_utf8_lossy(text).into_owned())
}

fn wish(input: &mut Input<'_>) -> Option<(usize, Wish, Images)> {
    let kind = input.byte()?;
    let mut wish = Wish {
        host: if kind & 2 == 0 { Host::Microkit } else { Host::Baremetal },
        gic: [None, Some(2), Some(3), Some(input.byte()?)][usize::from(kind >> 2 & 3)],
        identity: kind & 0x10 != 0,
        trace: kind & 0x20 != 0,
        debug_kernel: kind & 0x40 != 0,
        vcpus: input.byte()?.into(),
        ..Wish::default()
    };
    if kind & 0x80 != 0 {
        wish.ram_mib = Some(input.number(&[2, 32, 144, 256, 512, 1024, 1536, 2048])?);
    }
    wish.append = text(input, 24)?;
    if let Ok(pass) = Pass::parse(&text(input, 24)?) {
        wish.pass.push(pass);
    }
    let kernel = kernel(input)?;
    // The rest is the initial RAM file system.
    let initrd = (!input.0.is_empty()).then(|| input.0.to_vec());
    Some((usize::from(kind & 1), wish, Images { kernel, initrd, dtb: None }))
}

/// Pairs of spans that share an address.
fn overlaps<A: Address>(spans: &[Span<A>]) -> bool {
    let mut spans: Vec<_> = spans.iter().filter(|span| span.size() > 0).collect();
    spans.sort_by_key(|span| span.base());
    let wide = |number: u64| u128::from(number);
    spans.windows(2).any(|two| {
        wide(two[0].base().number()) + wide(two[0].size()) > wide(two[1].base().number())
    })
}

fn holds(plan: &Plan) {
    let layout = &plan.layout;
    let images = [layout.kernel, layout.tree, layout.initrd];
    assert!(!overlaps(&images), "{layout:?}");
    for image in images.iter().filter(|image| image.size() > 0) {
        assert!(layout.ram.encloses(*image), "{image:?} of {layout:?}");
    }
    let guest: Vec<_> = plan.regions.iter().filter_map(Region::guest_span).collect();
    let physical: Vec<_> = plan.regions.iter().filter_map(Region::physical_span).collect();
    assert!(!overlaps(&guest), "guest {:?}", plan.regions);
    assert!(!overlaps(&physical), "physical {:?}", plan.regions);
    assert!(dt::read("guest", &plan.dtb).is_ok());
    let block = plan.block().unwrap();
    let mut words = vec![0_u64; block.len().div_ceil(8)];
    zerocopy::IntoBytes::as_mut_bytes(&mut words[..])[..block.len()].copy_from_slice(&block);
    let read =
        vmm_core::plan::PlanBlock::read(&zerocopy::IntoBytes::as_bytes(&words[..])[..block.len()]);
    assert_eq!(read.unwrap().facts().ram.size, layout.ram.size());
}

/// The target.
pub fn run(bytes: &[u8]) {
    let Some((board, wish, images)) = wish(&mut Input(bytes)) else { return };
    match Plan::new(&BOARDS[board], &wish, images) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(plan) => {
            use_plan(&plan);
            if CheckInput::from_plan(&plan)
                .findings()
                .iter()
                .all(|finding| finding.severity == Severity::Note)
            {
                holds(&plan);
            }
        }
    }
}
