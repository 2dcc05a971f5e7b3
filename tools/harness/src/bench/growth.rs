// SPDX-License-Identifier: BSD-2-Clause
//! How the time to init grows with virtual CPUs and with RAM, beside the guest alone.

use std::path::Path;

use serde::Serialize;

use super::figure::Subject;
use super::linux;
use crate::error::Result;
use crate::options::{HostName, Machine};

/// Virtual CPUs.
const VCPUS: [u32; 3] = [1, 2, 4];
/// Guest RAM in MiB.
const RAM_MIB: [u64; 3] = [256, 512, 1024];

/// One size of the guest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Growth {
    /// Virtual CPUs.
    pub vcpus: u32,
    /// RAM in MiB.
    pub ram_mib: u64,
    /// Time to init by instructions in seconds, no monitor first.
    pub init_s: Vec<Init>,
}

/// How one subject booted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Init {
    /// Head of the column.
    pub subject: &'static str,
    /// Seconds; `None` if it did not boot.
    pub seconds: Option<f64>,
    /// Why it did not boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// Boots every size without a monitor and on each machine. A boot that fails is part of the result.
pub fn measure(root: &Path, machines: &[Machine]) -> Vec<Growth> {
    let default = RAM_MIB[0];
    let vcpus = VCPUS.map(|vcpus| (vcpus, default));
    let ram = RAM_MIB.map(|ram| (1, ram));
    // One and the default are in the first already.
    let sizes = vcpus.into_iter().chain(ram.into_iter().skip(1));
    sizes.map(|(vcpus, ram_mib)| one(root, machines, vcpus, ram_mib)).collect()
}

fn one(root: &Path, machines: &[Machine], vcpus: u32, ram_mib: u64) -> Growth {
    let sized =
        |machine: &Machine| Machine { cpus: Some(vcpus), ram: Some(ram_mib), ..machine.clone() };
    let mut init_s = Vec::new();
    if let Some(first) = machines.first() {
        let bare = Machine { host: HostName::Bare, ..sized(first) };
        init_s.push(Init::new(Subject::None, linux::init(root, &bare)));
    }
    for machine in machines {
        let subject = Subject::Monitor(machine.host);
        init_s.push(Init::new(subject, linux::init(root, &sized(machine))));
    }
    Growth { vcpus, ram_mib, init_s }
}

impl Growth {
    /// What did not boot, in words.
    pub fn failures(&self) -> impl Iterator<Item = String> {
        self.init_s.iter().filter_map(|init| {
            let (subject, why) = (init.subject, init.failed.as_ref()?);
            let (vcpus, ram) = (self.vcpus, self.ram_mib);
            Some(format!("{subject}: {vcpus} virtual CPUs, {ram} MiB: {why}"))
        })
    }
}

impl Init {
    fn new(subject: Subject, result: Result<f64>) -> Self {
        let failed = result.as_ref().err().map(ToString::to_string);
        Self { subject: subject.name(), seconds: result.ok(), failed }
    }
}
