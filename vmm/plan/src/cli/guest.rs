// SPDX-License-Identifier: BSD-2-Clause
//! Options that describe a guest, the same for every command.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use vmm_plan::firmware::CallRule;
use vmm_plan::wish::{Accept, Pass, TURN_US, Unowned};
use vmm_plan::{Board, Checked, Host, Images, Plan, PlanError, Wish, dt, input};

#[derive(Clone, Copy, ValueEnum)]
enum HostName {
    Microkit,
    Baremetal,
}

/// Options that describe a guest.
#[derive(clap::Args)]
pub struct Guest {
    /// Board: the name of a folder in the boards' folder, or its alias.
    #[arg(long, value_name = "NAME")]
    pub board: String,
    /// What the monitor runs on.
    #[arg(long, value_enum, default_value = "microkit")]
    host: HostName,
    /// Version of the interrupt controller, where the board can have both.
    #[arg(long, value_name = "2|3", value_parser = clap::value_parser!(u8).range(2..=3))]
    gic: Option<u8>,
    /// Kernel: an arm64 Image. For maps and explanations one that needs no space is assumed.
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// Initial RAM file system.
    #[arg(long, value_name = "FILE")]
    initrd: Option<PathBuf>,
    /// A guest tree of your own, instead of the computed one.
    #[arg(long, value_name = "FILE")]
    dtb: Option<PathBuf>,
    /// The board's own device tree: .dtb, or .dts if dtc is installed.
    #[arg(long, value_name = "FILE")]
    pub tree: Option<PathBuf>,
    /// Device to pass through: NODE[,clocks=HZ[+HZ...]][,drop=NEED[+NEED...]]. NODE is a path, an
    /// alias or a name that exists once; NEED is clocks, pins, power, resets, supplies, gpios, dmas
    /// or others.
    #[arg(long, value_name = "NODE,...", value_parser = Pass::parse)]
    pass: Vec<Pass>,
    /// Boot arguments of the kernel.
    #[arg(long, value_name = "TEXT", default_value = "", allow_hyphen_values = true)]
    append: String,
    /// Guest RAM in MiB.
    #[arg(long, value_name = "MIB")]
    ram: Option<u64>,
    /// Virtual CPUs.
    #[arg(long, value_name = "N", default_value_t = 1)]
    cpus: u32,
    /// Cores of the seL4 kernel, more than one in Microkit's SMP configurations: the virtual CPUs
    /// are spread over them.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=255))]
    cores: u32,
    /// Turn of a virtual CPU where several share a core, in microseconds.
    #[arg(long, value_name = "US", default_value_t = TURN_US, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    turn: u32,
    /// Equal guest and physical addresses for guest RAM, as a device with DMA needs. A bus master
    /// without an SMMU reaches all memory then as before: the monitor's and the kernel's too.
    #[arg(long)]
    identity: bool,
    /// Firmware call to hand on to the firmware.
    #[arg(long, value_name = "FUNCTION", value_parser = CallRule::forward)]
    forward: Vec<CallRule>,
    /// Firmware call that the monitor answers with a value of your own.
    #[arg(long, value_name = "FUNCTION=VALUE", value_parser = CallRule::answer)]
    answer: Vec<CallRule>,
    /// What the guest meets where it touches an address that nobody owns, or jumps there: it is
    /// stopped with a report, or takes an external abort. Without it, what the board file says.
    #[arg(long, value_name = "stop|abort", value_parser = Unowned::parse)]
    unowned: Option<Unowned>,
    /// No random numbers for the guest, though the board has a seed.
    #[arg(long)]
    no_entropy: bool,
    /// Let the monitor print every exit and host call.
    #[arg(long)]
    trace: bool,
    /// The seL4 kernel is a debug one, which prints on the guest's console.
    #[arg(long)]
    debug_kernel: bool,
}

impl Guest {
    /// The board.
    pub fn board(&self, boards: &Path) -> Result<Board, PlanError> {
        Board::find(boards, &self.board)
    }

    /// The board's own tree, if one was given.
    pub fn board_tree(&self) -> Result<Option<dt::Tree>, PlanError> {
        self.tree.as_deref().map(|path| Ok(dt::read_file(path)?.1)).transpose()
    }

    /// The images for a guest of that board; a kernel is needed if `needed`.
    pub fn images(&self, board: &Board, needed: bool) -> Result<Images, PlanError> {
        let (initrd, dtb) = (self.initrd.as_deref(), self.dtb.as_deref());
        match &self.kernel {
            Some(kernel) => Images::read(kernel, initrd, dtb, board.ram_size(&self.wish())),
            None if needed => Err(PlanError::Wish {
                asked: "the kernel",
                value: "not given".into(),
                range: "an arm64 Image (--kernel FILE)".into(),
            }),
            None => Ok(Images::none()),
        }
    }

    /// Whether there is a kernel to place.
    pub const fn has_kernel(&self) -> bool {
        self.kernel.is_some()
    }

    /// The guest's own tree, if one was given.
    pub fn dtb(&self) -> Option<&Path> {
        self.dtb.as_deref()
    }

    /// The bytes of the kernel and of the initial RAM file system, where they were given, for a guest
    /// with so much RAM.
    pub fn files(&self, ram: u64) -> Result<[Option<Vec<u8>>; 2], PlanError> {
        let read = |path: &Option<PathBuf>| {
            let path = path.as_deref();
            path.map(|path| input::read(path, "an image in the guest's RAM", input::most(ram)))
                .transpose()
        };
        Ok([read(&self.kernel)?, read(&self.initrd)?])
    }

    /// The wishes.
    pub fn wish(&self) -> Wish {
        Wish {
            host: match self.host {
                HostName::Microkit => Host::Microkit,
                HostName::Baremetal => Host::Baremetal,
            },
            gic: self.gic,
            ram_mib: self.ram,
            identity: self.identity,
            vcpus: self.cpus,
            cores: self.cores,
            turn_us: self.turn,
            append: self.append.clone(),
            pass: self.pass.clone(),
            accept: Vec::new(),
            rules: self.forward.iter().chain(&self.answer).cloned().collect(),
            unowned: self.unowned,
            entropy: !self.no_entropy,
            trace: self.trace,
            debug_kernel: self.debug_kernel,
        }
    }

    /// The plan; a kernel is needed if `needed`.
    pub fn plan(&self, boards: &Path, needed: bool) -> Result<Plan, PlanError> {
        let board = self.board(boards)?;
        let images = self.images(&board, needed)?;
        Plan::with_tree(&board, &self.wish(), images, self.board_tree()?)
    }

    /// The plan, checked; a kernel is needed.
    pub fn checked(&self, boards: &Path, accept: &[Accept]) -> Result<Checked, PlanError> {
        let wish = Wish { accept: accept.to_vec(), ..self.wish() };
        let board = self.board(boards)?;
        let images = self.images(&board, true)?;
        Checked::new(&board, &wish, images, self.board_tree()?)
    }
}
