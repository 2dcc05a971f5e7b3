// SPDX-License-Identifier: BSD-2-Clause
//! What a guest wants of the board.

/// The kernel that the monitor runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Host {
    /// A protection domain of seL4 Microkit.
    #[default]
    Microkit,
    /// The small EL2 host, with no kernel under it.
    Baremetal,
}

impl Host {
    /// Its name in files and on command lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Microkit => "microkit",
            Self::Baremetal => "baremetal",
        }
    }
}

/// What a guest wants of the board. [`Wish::default`] is a guest with the board's own defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What the monitor runs on.
    pub host: Host,
    /// GIC version, 2 or 3; `None` takes the first that the host can do on this board.
    pub gic: Option<u8>,
    /// Guest RAM in MiB; `None` takes the board's default.
    pub ram_mib: Option<u64>,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Boot arguments of the kernel.
    pub append: String,
    /// Whether the monitor prints every exit and host call.
    pub trace: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            host: Host::Microkit,
            gic: None,
            ram_mib: None,
            vcpus: 1,
            append: String::new(),
            trace: false,
        }
    }
}
