// SPDX-License-Identifier: BSD-2-Clause
//! The protection domain's event handler: fault or notification in, the core's answer out.

use sel4_microkit::{
    ChannelSet, Child, DeferredAction, Handler, Infallible, MessageInfo, with_msg_regs,
};
use vmm_core::host::{Action, Exit, Interrupts};
use vmm_core::ids::Vcpu;
use vmm_core::plan::PlanBlock;
use vmm_core::vm::Vm;
use vmm_microkit_abi::fault;

use crate::host::Sel4;
use crate::{log, stop, symbols, uart};

/// The core, and what it runs on.
pub struct Monitor {
    vm: Vm<'static>,
    host: Sel4,
}

impl Monitor {
    /// Reads the plan and starts the guest.
    pub fn start() -> Self {
        let plan = match PlanBlock::read(symbols::plan()) {
            Ok(plan) => plan,
            Err(error) => {
                uart::identify();
                stop::refuse(format_args!("{error}"))
            }
        };
        uart::open(plan.facts().console.kind);
        let host = match Sel4::open(&plan) {
            Ok(host) => host,
            Err(missing) => stop::refuse(format_args!("{missing}")),
        };
        let vm = match Vm::new(plan, host.list_register_count()) {
            Ok(vm) => vm,
            Err(error) => stop::refuse(format_args!("{error}")),
        };
        let mut monitor = Self { vm, host };
        if !monitor.host.keeps_time() {
            monitor.vm.never_park();
        }
        let action = monitor.vm.start(&mut monitor.host);
        monitor.carry_out(action);
        monitor
    }

    /// Asks the core about a fault of a virtual CPU and does what it says; the answer to the fault,
    /// if there is one.
    fn exit(&mut self, vcpu: Vcpu, exit: Exit) -> Option<MessageInfo> {
        let action = self.vm.handle(&mut self.host, vcpu, exit);
        self.carry_out(action);
        self.host.hold_deadline_again();
        if action == Action::Resume {
            return self.host.answer(vcpu);
        }
        self.host.park(vcpu);
        None
    }

    /// What an answer of the core means for the machine.
    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Resume => {}
            Action::Park { until } => self.host.arm(until),
            Action::PowerOff => stop::power_off(),
            Action::Stop(_) => {
                log::print_held(uart::print);
                stop::power_off()
            }
        }
    }
}

impl Handler for Monitor {
    type Error = Infallible;

    fn fault(
        &mut self,
        child: Child,
        message: MessageInfo,
    ) -> Result<Option<MessageInfo>, Infallible> {
        self.host.received();
        let label = message.label();
        // A virtual machine's virtual CPUs are this domain's only children; their number is the id
        // in the system file.
        let vcpu = Vcpu(u8::try_from(child.index()).unwrap_or(u8::MAX));
        let count = message.count();
        let decoded =
            with_msg_regs(|words| fault::decode(label, words.get(..count).unwrap_or(words)));
        let exit = match decoded {
            Ok(fault) => {
                self.host.faulted(vcpu, &fault);
                fault.exit
            }
            Err(error) => {
                ::log::error!("{error}");
                Exit::Other { name: "malformed fault message", code: label }
            }
        };
        Ok(self.exit(vcpu, exit))
    }

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        self.host.received();
        for channel in channels.iter() {
            let exit = if self.host.idle_fired(channel) {
                Exit::WakeUp
            } else if let Some(intid) = self.host.line(channel) {
                Exit::DeviceInterrupt(intid)
            } else {
                ::log::warn!("channel {} is not in the plan", channel.index());
                continue;
            };
            // Comes on behalf of the machine: no virtual CPU waits for an answer.
            let action = self.vm.handle(&mut self.host, Vcpu(0), exit);
            self.carry_out(action);
        }
        Ok(())
    }

    fn take_deferred_action(&mut self) -> Option<DeferredAction> {
        self.host.take_deferred()
    }
}
