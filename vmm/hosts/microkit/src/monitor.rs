// SPDX-License-Identifier: BSD-2-Clause
//! The protection domain's event handler: fault or notification in, the core's answer out.

use sel4_microkit::{
    ChannelSet, Child, DeferredAction, Handler, Infallible, MessageInfo, with_msg_regs,
};
use vmm_core::host::{Action, Exit, Host};
use vmm_core::plan::Plan;
use vmm_core::uart::Uart;
use vmm_core::vm::Vm;
use vmm_microkit_abi::fault;

use crate::host::Sel4;
use crate::kernel::VCPU;
use crate::{log, stop, symbols, uart};

/// The core, and what it runs on.
pub struct Monitor {
    vm: Vm<'static>,
    host: Sel4,
}

impl Monitor {
    /// Reads the plan and starts the guest.
    pub fn start() -> Self {
        let plan = match Plan::read(symbols::plan()) {
            Ok(plan) => plan,
            Err(error) => {
                uart::identify();
                stop::refuse(format_args!("{error}"))
            }
        };
        if let Some(kind) = Uart::from_number(plan.facts().console.kind) {
            uart::open(kind);
        }
        let host = match Sel4::open(&plan) {
            Ok(host) => host,
            Err(missing) => stop::refuse(format_args!("{missing}")),
        };
        let vm = match Vm::new(plan, host.slots()) {
            Ok(vm) => vm,
            Err(error) => stop::refuse(format_args!("{error}")),
        };
        let mut monitor = Self { vm, host };
        let action = monitor.vm.start(&mut monitor.host);
        // Starting answers no fault.
        let _ = monitor.carry_out(&action);
        monitor
    }

    /// Asks the core and does what it says; the answer to the fault, if there is one.
    fn handle(&mut self, exit: Exit) -> Option<MessageInfo> {
        let action = self.vm.handle(&mut self.host, VCPU, exit);
        self.carry_out(&action)
    }

    fn carry_out(&mut self, action: &Action) -> Option<MessageInfo> {
        match action {
            Action::Resume => self.host.answer(),
            Action::Park { until } => self.host.park(*until),
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
        _child: Child,
        message: MessageInfo,
    ) -> Result<Option<MessageInfo>, Infallible> {
        self.host.received();
        let label = message.label();
        let count = message.count();
        let decoded =
            with_msg_regs(|words| fault::decode(label, words.get(..count).unwrap_or(words)));
        let exit = match decoded {
            Ok(fault) => {
                self.host.faulted(&fault);
                fault.exit
            }
            Err(error) => {
                ::log::error!("{error}");
                Exit::Other { what: "malformed fault message", code: label }
            }
        };
        Ok(self.handle(exit))
    }

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        self.host.received();
        for channel in channels.iter() {
            let exit = if self.host.idle_fired(channel) {
                Exit::WakeUp
            } else if let Some(intid) = self.host.line(channel) {
                Exit::Line(intid)
            } else {
                ::log::warn!("channel {} is not in the plan", channel.index());
                continue;
            };
            // No fault waits for an answer here.
            let _ = self.handle(exit);
        }
        Ok(())
    }

    fn take_deferred_action(&mut self) -> Option<DeferredAction> {
        self.host.take_deferred()
    }
}
