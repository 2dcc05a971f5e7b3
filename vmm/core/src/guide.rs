// SPDX-License-Identifier: BSD-2-Clause
//! Pages for a reader who has to change something. No code is here.

pub mod life_of_an_exit {
    //! What happens between the guest's instruction and the next one, by the example of
    //! `ldr w1, [x2]` where X2 holds the address of GICD_TYPER.
    //!
    //! 1. **The processor** finds nothing at that address in stage 2 and takes an exception to EL2.
    //!    ESR_EL2 says that it was a load of four bytes into X1, HPFAR_EL2 and FAR_EL2 say where.
    //! 2. **The kernel under the monitor** stops the vCPU and tells the host: seL4 sends the fault
    //!    message of the vCPU to the protection domain, on bare metal the vectors return from the
    //!    function that entered the guest.
    //! 3. **The host** makes an [`Exit`](crate::host::Exit) of it, here `Trap` with the syndrome and the
    //!    IPA. It reads no register of the guest: on seL4 that is a system call, and most exits need
    //!    one or two. It calls [`Vm::handle`](crate::vm::Vm::handle).
    //! 4. **[`Syndrome::decode`](crate::arm::syndrome::Syndrome::decode)** says what the instruction did.
    //!    No instruction of the guest is ever read from memory: another vCPU could change it
    //!    in between, and a page-table walk would have to be done in software. A load that the processor
    //!    does not describe (a pair, write-back) is a stop with a report.
    //! 5. **The bus** looks who answers for all four bytes: a window of the interrupt controller or a
    //!    device of the plan. Nobody: the guest is stopped, or meets an external abort if the board says
    //!    so.
    //! 6. **The device** ([`Emulated`](crate::devices::Emulated)) answers the load. It knows the offset and
    //!    the size, not the register or the vCPU's state, so that a device can be read and tested by
    //!    itself.
    //! 7. **The monitor** swaps the value if the guest is big-endian there, extends it as the syndrome
    //!    says, writes X1, and only then moves the program counter past the instruction: a stop in steps
    //!    4 to 6 reports the instruction that caused it.
    //! 8. For a store there is an [`Effect`](crate::devices::Effect) instead of the value. `Deliver` has
    //!    the interrupt controller fill the list registers of each vCPU that has something new, and wake
    //!    those that sleep. A device never does that itself: it would be in the middle of its own store.
    //! 9. **[`Action`](crate::host::Action)** goes back to the host: `Resume` here. `Park` for a WFI with
    //!    nothing pending, `PowerOff` and `Stop` after the last line of the report is out.
    //!
    //! Everything that the core asked the host on the way, and what the host said, is the exit's record
    //! in a trace ([`report::trace`](crate::report::trace)). A recorded guest can be played to the core again
    //! without a machine, which `vmm/core/tests/replay.rs` does at every change.
    //!
    //! Which counter an exit is in, and which exits are the machine's own (a device's interrupt, a
    //! deadline) rather than a vCPU's, is decided in `Vm::answer`, the function to read first.
}
