"""The run loop: exceptions between blocks, sleep, faults and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from unicorn import UcError, arm_const

from edgeq.simulator import debug, faults, private_bus
from edgeq.simulator import nvic as n
from edgeq.simulator.bus import Bus, UnansweredError, earliest
from edgeq.simulator.cycles.block import CycleModel
from edgeq.simulator.debug import DebugState
from edgeq.simulator.engine import Engine
from edgeq.simulator.exceptions import ExceptionUnit, StackError
from edgeq.simulator.faults import BoardFault, FaultFacts
from edgeq.simulator.native.state import Stop
from edgeq.simulator.nvic import Nvic
from edgeq.simulator.private_bus import PrivateBus
from edgeq.simulator.symbols import Symbols
from edgeq.target import Memory

_SVC, _BREAKPOINT, _EXCEPTION_RETURN = 2, 7, 8  # Unicorn's exception numbers (QEMU's EXCP_*)
_YIELD, _WFE, _SEV = 0xBF10, 0xBF20, 0xBF40  # Unicorn refuses these hints
# Cycles that a fault handler may take (to print or to reset) before the fault is reported as the end.
_PATIENCE = 50_000_000


class Processor:
    """Runs the core; the board around it answers."""

    def __init__(
        self,
        engine: Engine,
        nvic: Nvic,
        private: PrivateBus,
        bus: Bus,
        symbols: Symbols,
        ram: Sequence[Memory],
        model: CycleModel,
        boot: Callable[[], int | None],
    ) -> None:
        """boot: what a boot ROM does after a reset; where it starts the core, None = at the vector table's entry."""
        self._engine, self._nvic, self._private, self._bus = engine, nvic, private, bus
        self._symbols, self._ram, self._model, self._boot = symbols, ram, model, boot
        self._debug: DebugState = private.debug
        self._exceptions = ExceptionUnit(engine, nvic)
        self._pc = 0
        self._vectors = 0
        self._event = False  # the event register of WFE and SEV
        self._first: FaultFacts | None = None
        self.asleep = False
        self._looping = False  # what it is asleep in is a branch to itself
        self.reset_wanted = False

    def reset(self, vectors: int) -> None:
        """As after a system reset, with the vector table at `vectors`."""
        self._vectors = vectors
        self._nvic.reset()
        self._bus.reset()
        self._engine.empty_caches()
        self._engine.break_sequence()
        self._private.words[private_bus.VTOR] = vectors
        self._first = None
        self._event = self.asleep = self._looping = self.reset_wanted = False
        stack, entry = (int.from_bytes(self._engine.uc.mem_read(vectors + i, 4), "little") for i in (0, 4))
        self._exceptions.reset(stack, thumb=bool(entry & 1))
        self._pc = entry & ~1
        start = self._boot()
        self._pc = self._pc if start is None else start
        self._debug.was_reset, self._debug.halted, self._debug.locked_up = True, False, None
        self._debug.resets += 1
        if self._debug.catching(debug.VC_CORERESET):
            self.halt(debug.VCATCH)

    @property
    def pc(self) -> int:
        """Where the core goes on."""
        return self._pc

    @pc.setter
    def pc(self, address: int) -> None:
        self._pc = address
        self._engine.break_sequence()

    @property
    def sleeping(self) -> bool:
        """Whether it sleeps by WFI or WFE, and doesn't wait in a loop."""
        return self.asleep and not self._looping

    @property
    def halted(self) -> bool:
        """Whether a debugger has stopped it."""
        return self._debug.halted

    def halt(self, event: int) -> None:
        """Into debug state, for that reason (a bit of DFSR)."""
        self._debug.halted, self._debug.locked_up = True, None
        self._debug.events |= event
        self.asleep = False

    def run_until(self, end: int) -> None:
        """Run to the cycle `end`, or until the core sleeps or is halted.

        Raises:
            BoardFault: it has locked up or hangs in a fault handler.
        """
        state = self._engine.state
        while not self._debug.halted:
            now = state.cycles
            self._private.advance(now)
            for device in self._bus.timed:
                device.advance(now, self.asleep)
            if self._take_exception():
                self.asleep = False
            elif self.sleeping and self._nvic.waiting():
                self.asleep = False  # WFI ends though the interrupt is masked; a loop doesn't
            if self.asleep or now >= end:
                return
            state.deadline = earliest(self._bus, self._private, end)
            state.stop_request = 0
            try:
                stepping = self._debug.enabled and bool(self._debug.control & debug.C_STEP)
                reason = self._engine.go(self._pc, 1 if stepping else 0)
                self._pc = int(self._engine.uc.reg_read(arm_const.UC_ARM_REG_PC))
                self._handle(reason)
            except UnansweredError as access:
                self._pc = int(self._engine.uc.reg_read(arm_const.UC_ARM_REG_PC))
                kind = "write" if access.write else "read"
                self._bad_access(kind, access.address, access.size)
            if self.reset_wanted:
                self.reset(self._vectors)
            elif stepping and not self._debug.halted:
                self.halt(debug.HALTED)

    def facts(self, kind: str, cause: str, address: int = -1) -> FaultFacts:
        """What there is to say about the core as it is now."""
        registers = self._exceptions.registers()
        registers["pc"] = self._pc
        return FaultFacts(
            kind,
            cause,
            self._pc,
            registers["lr"],
            registers["sp"],
            self._symbols.name(self._pc),
            self._symbols.name(registers["lr"] & ~1),
            registers,
            address,
            int(self._engine.state.cycles),
        )

    # Exceptions

    def _take_exception(self) -> bool:
        self._engine.state.masked_interrupt = 0
        waiting = self._nvic.waiting()
        if not waiting:
            return False
        if waiting >= n.PENDSV and self._debug.enabled and self._debug.control & debug.C_MASKINTS:
            return False
        if self._nvic.urgency(waiting) >= self._nvic.execution_priority(*self._exceptions.masks()):
            self._engine.state.masked_interrupt = 1
            return False
        self._enter(waiting)
        return True

    def _enter(self, number: int) -> None:
        vector = self._private.words.get(private_bus.VTOR, 0)
        try:
            self._pc = self._exceptions.enter(number, self._pc, vector)
        except StackError as failed:
            self._first = self._first or self.facts("stack", self._stack_words(failed.address), failed.address)
            raise BoardFault(self._first, "the exception's frame could not be stacked: locked up") from failed
        self._engine.state.cycles += self._model.exception_entry_cycles
        if number == n.HARD_FAULT and self._debug.catching(debug.VC_HARDERR):
            self.halt(debug.VCATCH)

    def _leave(self) -> None:
        self._event = True
        try:
            self._pc = self._exceptions.leave(self._pc) & ~1
        except (StackError, ValueError) as failed:
            self._fault(n.USAGE_FAULT, faults.INVALID_PC, "invalid-return", f"bad exception return: {failed}")
            return
        self._engine.state.cycles += self._model.exception_return_cycles
        if n.HARD_FAULT not in self._nvic.active:
            self._first = None  # the firmware has dealt with it

    # Stops

    def _handle(self, reason: Stop) -> None:
        if reason in (Stop.DEADLINE, Stop.REQUEST):
            self._lose_patience()
        elif reason is Stop.SLEEP:
            self._sleep()
        elif reason is Stop.SELF_LOOP:
            self._loop_forever()
        elif reason is Stop.EXCEPTION:
            self._core_exception(self._engine.exception_number)
        elif reason is Stop.BAD_ACCESS and self._engine.bad_access is not None:
            access = self._engine.bad_access
            self._bad_access(access.kind, access.address, access.size)
        elif reason is Stop.PROGRAMMED_WRONG:
            address = int(self._engine.state.program_address)
            words = f"write at 0x{address:08X} to flash, which takes whole, aligned words only"
            self._fault(n.BUS_FAULT, faults.IMPRECISE, "bus-fault", words, address)
        elif reason is Stop.NO_FPU:
            self._pc = self._engine.blocks[self._pc].fpu_address or self._pc
            self._fault(
                n.USAGE_FAULT,
                faults.NO_COPROCESSOR,
                "no-fpu",
                "floating-point instruction while the FPU is off (CPACR)",
            )
        elif reason is Stop.UNALIGNED:
            self._unaligned()
        else:
            self._undefined()

    def _sleep(self) -> None:
        if self._nvic.active and n.HARD_FAULT in self._nvic.active and self._first:
            raise BoardFault(self._first, "the fault handler went to sleep")
        self.asleep, self._looping = True, False
        self._engine.break_sequence()

    def _loop_forever(self) -> None:
        """A branch to itself: waiting for an interrupt or a debugger if one can come, else the end."""
        self._looping = True
        if self._debug.enabled:
            self.asleep = True
            return
        if self._first and self._nvic.active:
            raise BoardFault(self._first, "the fault handler loops for ever")
        primask, _, faultmask = self._exceptions.masks()
        interruptible = self._nvic.enabled.difference((n.NMI, n.HARD_FAULT, n.SVC, n.DEBUG_MONITOR, n.PENDSV))
        if primask or faultmask or (self._nvic.active and not interruptible):
            raise BoardFault(self.facts("lock-up", "branch to itself while no interrupt can end it"), "locked up")
        self.asleep = True

    def _lose_patience(self) -> None:
        first = self._first
        hanging = first is not None and n.HARD_FAULT in self._nvic.active
        if first and hanging and self._engine.state.cycles - first.cycles > _PATIENCE:
            raise BoardFault(first, f"the fault handler has not ended after {_PATIENCE:,} cycles")

    def _core_exception(self, number: int) -> None:
        if number == _EXCEPTION_RETURN:
            self._leave()
        elif number == _SVC:
            self._nvic.pending.add(n.SVC)
            if self._nvic.urgency(n.SVC) >= self._nvic.execution_priority(*self._exceptions.masks()):
                self._nvic.pending.discard(n.SVC)
                self._fault(n.HARD_FAULT, 0, "svc", "SVC where its priority does not allow it")
        elif number == _BREAKPOINT and self._debug.enabled:
            self.halt(debug.BKPT)
        elif number == _BREAKPOINT:
            self._fault(n.HARD_FAULT, 0, "breakpoint", "breakpoint instruction without a debugger")
        else:
            self._undefined()

    def _undefined(self) -> None:
        if self._pc in (0xFFFF_FFFE, 0xFFFF_FFFF):
            self._bad_access("fetch", self._pc, 2)
            return
        if not self._exceptions.registers()["xpsr"] & 1 << 24:
            bit, words = faults.INVALID_STATE, "branch to an even address (ARM state, which this core has not)"
        else:
            hint = int.from_bytes(self._code(self._pc - 2, 2), "little")
            if hint in (_YIELD, _WFE, _SEV):
                self.asleep, self._looping = hint == _WFE and not self._event, False
                self._event = hint == _SEV
                return
            bit, words = faults.UNDEFINED, f"undefined instruction ({self._code(self._pc, 4).hex(' ')})"
        self._fault(n.USAGE_FAULT, bit, "undefined-instruction", words)

    def _code(self, address: int, size: int) -> bytes:
        try:
            return bytes(self._engine.uc.mem_read(address, size))
        except UcError:
            return b""

    def _unaligned(self) -> None:
        self._fault(
            n.USAGE_FAULT,
            faults.UNALIGNED,
            "unaligned",
            "LDM, LDRD, VLDR or their stores at an address that is not a multiple of four",
        )

    def _bad_access(self, kind: str, address: int, size: int) -> None:
        sp = self._exceptions.registers()["sp"]
        stack = self._below_ram(sp) or (abs(address - sp) < 256 and self._below_ram(address))
        if kind == "fetch":
            words = f"jump to 0x{address:08X}, where there is no code"
            self._fault(n.BUS_FAULT, faults.INSTRUCTION_BUS, "bad-jump", words, address)
        elif stack and not self._in_ram(address):
            words = self._stack_words(address if self._in_ram(sp) else sp)
            self._fault(n.BUS_FAULT, faults.PRECISE, "stack-overflow", words, address)
        else:
            flash = (
                " (flash is read-only unless it is being programmed)"
                if kind == "write" and address < 0x2000_0000
                else ""
            )
            words = f"{kind} of {size} byte{'s' if size > 1 else ''} at 0x{address:08X}, where there is nothing"
            words = f"write of {size} byte{'s' if size > 1 else ''} at 0x{address:08X}{flash}" if flash else words
            self._fault(n.BUS_FAULT, faults.PRECISE | faults.ADDRESS_VALID, "bus-fault", words, address)

    def _in_ram(self, address: int) -> bool:
        return any(m.base <= address < m.base + m.size_bytes for m in self._ram)

    def _below_ram(self, address: int) -> bool:
        return any(m.base - 0x10000 <= address < m.base for m in self._ram)

    def _stack_words(self, address: int) -> str:
        if self._below_ram(address):
            return f"stack overflow: the stack pointer (0x{address:08X}) has left the RAM at its lower end"
        return f"the stack pointer (0x{address:08X}) is not in RAM"

    def _fault(self, number: int, status: int, kind: str, cause: str, address: int = -1) -> None:
        """A synchronous fault at the present PC: to its handler, to HardFault, or the end."""
        facts = self.facts(kind, cause, address)
        words = self._private.words
        words[private_bus.CFSR] = words.get(private_bus.CFSR, 0) | status
        if address >= 0:
            words[private_bus.BFAR] = address
        ceiling = self._nvic.execution_priority(*self._exceptions.masks())
        if number != n.HARD_FAULT and (number not in self._nvic.enabled or self._nvic.urgency(number) >= ceiling):
            words[private_bus.HFSR] = words.get(private_bus.HFSR, 0) | 1 << 30
            number = n.HARD_FAULT
        if number == n.HARD_FAULT and ceiling <= -1:
            raise BoardFault(self._first or facts, f"another fault in the fault handler ({cause}): locked up")
        self._first = self._first or facts
        self._enter(number)
        self._nvic.pending.discard(number)
