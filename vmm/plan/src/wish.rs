// SPDX-License-Identifier: BSD-2-Clause
//! What a guest wants of the board.

use serde::{Deserialize, Deserializer, Serialize};

use crate::board::Rule;

/// The kernel that the monitor runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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

/// What a node needs of another, and what may be left out for a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// `clocks` and what goes with them.
    Clocks,
    /// Pin control: the firmware's set-up stays.
    Pins,
    /// `power-domains`: the firmware leaves them on.
    Power,
    /// `resets`.
    Resets,
    /// `*-supply`.
    Supplies,
    /// `*-gpios`.
    Gpios,
    /// `dmas`: the driver does without.
    Dmas,
    /// Any other reference to another node.
    Others,
}

impl Need {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Clocks,
        Self::Pins,
        Self::Power,
        Self::Resets,
        Self::Supplies,
        Self::Gpios,
        Self::Dmas,
        Self::Others,
    ];

    /// Its name in wishes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clocks => "clocks",
            Self::Pins => "pins",
            Self::Power => "power",
            Self::Resets => "resets",
            Self::Supplies => "supplies",
            Self::Gpios => "gpios",
            Self::Dmas => "dmas",
            Self::Others => "others",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|need| need.name() == name)
    }
}

/// A device of the board to pass through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Its node: a path, an alias, or a node name that exists once (`serial@30860000`).
    pub node: String,
    /// Rates in hertz of fixed clocks that stand for its own; one for all of them, or one each.
    pub clocks: Vec<u32>,
    /// What it does without.
    pub drop: Vec<Need>,
}

impl Pass {
    /// Reads `NODE[,clocks=HZ[+HZ...]][,drop=NEED[+NEED...]]`.
    ///
    /// # Errors
    /// Says what part is not understood and what there is.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let mut pass = Self { node: parts.next().unwrap_or_default().into(), ..Self::default() };
        if pass.node.is_empty() {
            return Err("no node; give a path, an alias or a name such as serial@30860000".into());
        }
        for part in parts {
            match part.split_once('=') {
                Some(("clocks", list)) => {
                    for hz in list.split('+') {
                        let hz = hz
                            .parse()
                            .map_err(|_| format!("clocks: '{hz}' is no rate in hertz"))?;
                        pass.clocks.push(hz);
                    }
                }
                Some(("drop", list)) => {
                    for name in list.split('+') {
                        pass.drop.push(Need::from_name(name).ok_or_else(|| unknown_need(name))?);
                    }
                }
                _ => return Err(format!("'{part}' is neither clocks=HZ nor drop=NEED")),
            }
        }
        Ok(pass)
    }
}

fn unknown_need(name: &str) -> String {
    let known: Vec<_> = Need::ALL.iter().map(|need| need.name()).collect();
    format!("drop: '{name}' is none of {}", known.join(", "))
}

impl<'de> Deserialize<'de> for Pass {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            node: String,
            #[serde(default)]
            clocks: Vec<u32>,
            #[serde(default)]
            drop: Vec<Need>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Text(String),
            Table(Table),
        }
        match Either::deserialize(deserializer)? {
            Either::Text(text) => Self::parse(&text).map_err(serde::de::Error::custom),
            Either::Table(Table { node, clocks, drop }) => Ok(Self { node, clocks, drop }),
        }
    }
}

/// What a guest meets where it touches an address that nobody owns, or jumps there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unowned {
    /// It is stopped, with a report that names the device: for bringing a board up.
    #[default]
    Stop,
    /// It takes a synchronous external abort, as on a real machine.
    Abort,
}

impl Unowned {
    /// Reads `stop` or `abort`.
    ///
    /// # Errors
    /// It is something else.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "stop" => Ok(Self::Stop),
            "abort" => Ok(Self::Abort),
            _ => Err(format!("'{text}' is neither stop nor abort")),
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
    /// Whether guest RAM has equal guest and physical addresses, as a DMA device needs. The guest
    /// then sees where it lies, and a bus master given to it reaches all memory.
    pub identity: bool,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Cores that the kernel under the monitor runs on, at least 1. The monitor is on core 0, and
    /// virtual CPU n on core n, round again where there are fewer.
    pub cores: u32,
    /// Boot arguments of the kernel.
    pub append: String,
    /// Devices to pass through, besides those of the board file and the console.
    pub pass: Vec<Pass>,
    /// Firmware calls to answer or forward, besides the board's own rules.
    pub rules: Vec<Rule>,
    /// What it meets at an address that nobody owns; `None` takes what the board file says.
    pub unowned: Option<Unowned>,
    /// Whether the monitor prints every exit and host call.
    pub trace: bool,
    /// Whether the seL4 kernel is a debug one, which prints on the guest's console.
    pub debug_kernel: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            host: Host::Microkit,
            gic: None,
            ram_mib: None,
            identity: false,
            vcpus: 1,
            cores: 1,
            append: String::new(),
            pass: Vec::new(),
            rules: Vec::new(),
            unowned: None,
            trace: false,
            debug_kernel: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_reads_as_it_is_written() {
        let pass = Pass::parse("serial@30860000,clocks=25000000,drop=pins+dmas").unwrap();
        assert_eq!(pass.node, "serial@30860000");
        assert_eq!(pass.clocks, [25_000_000]);
        assert_eq!(pass.drop, [Need::Pins, Need::Dmas]);
    }

    #[test]
    fn what_meets_nobody_is_read() {
        assert_eq!(Unowned::parse("stop"), Ok(Unowned::Stop));
        assert_eq!(Unowned::parse("abort"), Ok(Unowned::Abort));
        let error = Unowned::parse("ignore").unwrap_err();
        assert_eq!(error, "'ignore' is neither stop nor abort");
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, say) in [
            ("", "no node"),
            ("uart,clocks=fast", "'fast' is no rate"),
            ("uart,drop=pin", "'pin' is none of clocks, pins"),
            ("uart,fixed", "'fixed' is neither"),
        ] {
            let error = Pass::parse(text).unwrap_err();
            assert!(error.contains(say), "{error}");
        }
    }
}
