// SPDX-License-Identifier: BSD-2-Clause
//! What the checks look at: a guest, whoever made it.

use vmm_core::addr::Ipa;

use crate::board::Board;
use crate::closure::{Missing, Unplanned};
use crate::dt::{Node, NodeId, Tree};
use crate::error::PlanError;
use crate::image::KernelHeader;
use crate::initramfs::{Unpacked, unpacked};
use crate::irq::Line;
use crate::memory::{Emulated, Kind, Region, RegionName, emulated};
use crate::plan::Plan;
use crate::sdf::System;
use crate::span::{LARGE_PAGE, Span, align_up, length};
use crate::wish::Host;

/// An initial RAM file system and where the guest is told that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initramfs {
    /// Bytes of the file.
    pub packed: u64,
    /// What it unpacks to.
    pub unpacked: Unpacked,
}

/// Files of somebody else's making that make a guest.
#[derive(Clone, Debug)]
pub struct Files<'f> {
    /// The Microkit system file.
    pub system: System,
    /// The guest's tree.
    pub tree: Tree,
    /// The kernel, where it is at hand.
    pub kernel: Option<&'f [u8]>,
    /// The initial RAM file system, where it is at hand.
    pub initrd: Option<&'f [u8]>,
}

/// A guest to check: a plan of this crate, or files of somebody else's making.
#[derive(Clone, Debug)]
pub struct CheckInput<'a> {
    /// Facts of the board.
    pub board: &'a Board,
    /// The board's own tree.
    pub board_tree: Option<&'a Tree>,
    /// The guest's tree.
    pub tree: Tree,
    /// What the monitor runs on.
    pub host: Host,
    /// GIC version that the monitor gives to the guest.
    pub gic: u8,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// All memory.
    pub regions: Vec<Region>,
    /// Interrupts passed through.
    pub lines: Vec<Line>,
    /// Interrupts that others have.
    pub foreign_lines: Vec<u32>,
    /// The kernel with its zeroed data; `None` if it is not known.
    pub kernel: Option<Span<Ipa>>,
    /// The device tree; `None` where nobody says where it goes.
    pub tree_span: Option<Span<Ipa>>,
    /// The initial RAM file system; `None` if it is not known or there is none.
    pub initramfs: Option<Initramfs>,
    /// Firmware calls that are answered or forwarded.
    pub functions: Vec<u32>,
    /// What passed nodes need and was left out of the guest's tree.
    pub missing: Vec<Missing>,
    /// What of the passed nodes cannot be planned.
    pub unplanned: Vec<Unplanned>,
    /// Whether anything seeds the guest's random numbers.
    pub entropy: bool,
    /// Cores that the virtual CPUs run on.
    pub cores: u32,
    /// Whether the seL4 kernel prints on the guest's console.
    pub debug_kernel: bool,
}

impl<'a> CheckInput<'a> {
    /// A plan of this crate.
    #[must_use]
    pub fn from_plan(plan: &'a Plan) -> Self {
        let layout = &plan.layout;
        let idle = plan.idle().map(|idle| idle.interrupt);
        let initrd = plan.images.initrd.as_deref();
        Self {
            board: &plan.board,
            board_tree: plan.board_tree.as_ref(),
            tree: Tree::new(&plan.tree),
            host: plan.wish.host,
            gic: plan.gic,
            vcpus: plan.wish.vcpus,
            regions: plan.regions.clone(),
            lines: plan.lines.clone(),
            foreign_lines: idle.into_iter().collect(),
            kernel: Some(layout.kernel),
            tree_span: Span::new(layout.tree.base(), length(&plan.dtb)),
            initramfs: initrd
                .map(|image| Initramfs { packed: length(image), unpacked: unpacked(image) }),
            functions: plan.rules().map(|rule| rule.function).collect(),
            missing: plan.missing.clone(),
            unplanned: plan.unplanned.clone(),
            entropy: plan.seed().is_some(),
            cores: if plan.shares_cores() { plan.wish.cores } else { plan.wish.vcpus },
            debug_kernel: plan.wish.debug_kernel,
        }
    }

    /// Files of somebody else's making: a Microkit system file, a guest tree, and the images where
    /// they are at hand.
    ///
    /// # Errors
    /// The kernel is no arm64 `Image`.
    pub fn from_files(
        board: &'a Board,
        board_tree: Option<&'a Tree>,
        files: Files<'_>,
    ) -> Result<Self, PlanError> {
        let Files { system, tree, kernel, initrd } = files;
        let header = kernel.map(KernelHeader::read).transpose()?;
        let ram = system.regions.iter().find(|region| is_ram(region)).and_then(Region::guest_span);
        let gic = board.gic_for(Host::Microkit, None)?.version();
        let kernel = header.zip(ram).map(|(header, ram)| {
            let base = align_up(ram.base().0, LARGE_PAGE).saturating_add(header.text_offset);
            // One that leaves the address space is found where it ends: in no RAM.
            Span::until(Ipa(base), Ipa(base.saturating_add(header.image_size)))
        });
        Ok(Self {
            board,
            board_tree,
            tree,
            host: Host::Microkit,
            gic,
            vcpus: system.vcpus,
            regions: system.regions,
            lines: system.lines,
            foreign_lines: system.foreign_lines,
            kernel,
            tree_span: None,
            initramfs: initrd
                .map(|image| Initramfs { packed: length(image), unpacked: unpacked(image) }),
            functions: board.smc.rules.iter().map(|rule| rule.function).collect(),
            missing: Vec::new(),
            unplanned: Vec::new(),
            // A monitor of somebody else's: nothing is known of either.
            entropy: true,
            cores: system.vcpus,
            debug_kernel: false,
        })
    }

    /// Regions that the guest sees, with their guest-physical places.
    pub(super) fn guest_regions(&self) -> impl Iterator<Item = (&Region, Span<Ipa>)> {
        self.regions.iter().filter_map(|region| Some((region, region.guest_span()?)))
    }

    /// Guest RAM.
    pub(super) fn ram(&self) -> impl Iterator<Item = (&Region, Span<Ipa>)> {
        self.guest_regions().filter(|(region, _)| is_ram(region))
    }

    /// What the monitor emulates: interrupt controller, marker and real-time clock.
    pub(super) fn emulated(&self) -> Vec<Emulated> {
        let clock = self.regions.iter().any(|region| region.name == RegionName::Clock);
        let clock = self.board.clock.as_ref().filter(|_| clock);
        emulated(self.board, clock, self.gic, self.vcpus)
    }

    /// Enabled nodes of the guest's tree that a driver may bind to.
    pub(super) fn enabled(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.tree.nodes().filter(|(_, node)| node.enabled && !node.compatible.is_empty())
    }

    /// Whether the guest's tree has an enabled node with one of these registers.
    pub(super) fn given(&self, registers: &[Span]) -> bool {
        let shares = |node: &Node| {
            node.registers.iter().any(|own| registers.iter().any(|span| span.overlaps(*own)))
        };
        self.tree.nodes().any(|(id, node)| node.enabled && !self.tree.is_bus(id) && shares(node))
    }
}

fn is_ram(region: &Region) -> bool {
    region.kind == Kind::Normal && region.ipa.is_some()
}
