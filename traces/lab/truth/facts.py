"""What the CPU did, counted from its log: how often keys were used, and what was wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from .log import BOTH, Fields

ALL_KEYS = "3ff"
FEATURES = 3 << 5  # KVM_ARM_VCPU_PTRAUTH_ADDRESS and _GENERIC
HANDLERS = {"kvm_arm_vcpu_ptrauth_trap", "kvm_hyp_handle_ptrauth", "__hyp_handle_ptrauth", "kvm_handle_ptrauth"}
KEY_REGISTERS = {(1, op2) for op2 in range(4)} | {(2, op2) for op2 in range(4)} | {(3, 0), (3, 1)}  # CRm, op2


def is_key_trap(syndrome: int) -> bool:
    """An instruction (EC 0x09), or a key register (EC 0x18: op0 3, op1 0, CRn 2)."""
    exception = syndrome >> 26 & 63
    if exception == 0x09:
        return True
    return (exception == 0x18 and syndrome >> 20 & 3 == 3 and syndrome >> 14 & 7 == 0 and syndrome >> 10 & 15 == 2
            and (syndrome >> 1 & 15, syndrome >> 17 & 7) in KEY_REGISTERS)


def count(words: str, rules: str = "") -> int:
    """A figure. rules: those that speak of it, if it is a wrong one."""
    found: int = field(default=0, metadata={"words": words, "rules": rules.split()})
    return found


@dataclass
class Facts:
    loads: int = count("loads")
    passes: int = count("entries to a guest")
    passes_enabled: int = count("entries with API or APK set")
    signs: int = count("signing instructions that guests executed")
    traps: int = count("traps of such instructions and of key registers")
    undefined: int = count("undefined instructions injected")
    resets: int = count("resets of a vCPU")
    enabled_without_trap: int = count("entries enabled that no trap since the load had asked for")
    enabled_by_cut_trap: int = count("the same, but a trap's handler was cut short by the load")
    disabled_after_trap: int = count("entries disabled although a trap since the load had been answered")
    host_keys_corrupted: int = count("times the host went on with other keys after a guest",
                                     "missed-host-save missed-host-restore stale-host-context preemptible-host-save")
    guest_keys_lost: int = count("entries with other keys than the guest had left with",
                                 "missed-guest-save missed-guest-restore")
    unrestored_entries: int = count("entries enabled before which not all ten registers were written",
                                    "missed-guest-restore host-key-leak partial-key-set")
    enabled_without_feature: int = count("entries enabled of a vCPU without the feature", "switch-without-feature")
    one_bit_only: int = count("entries with one bit of the two", "bits-differ")
    traps_while_enabled: int = count("traps although a bit was set", "trap-while-enabled bits-differ")

    def as_document(self) -> dict[str, int]:
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}


@dataclass(slots=True)
class _VCPU:
    features: int | None = None
    keys: str | None = None  # when it last left with a bit set
    trapped: bool = False  # since its load
    trap_begun: bool = False  # since its last entry


@dataclass(slots=True)
class _CPU:
    vcpu: str | None = None
    host_keys: str = ""  # before the guest was entered
    in_doubt: bool = False  # a guest has run, and the host's keys were not looked at since


class Count:
    """Fed the lines in order."""

    def __init__(self) -> None:
        self.facts = Facts()
        self.lines = 0
        self._vcpus: dict[str, _VCPU] = {}
        self._cpus: dict[str, _CPU] = {}

    def consume(self, line: Fields) -> None:
        self.lines += 1
        event = line["ev"]
        cpu = self._cpus.setdefault(line["cpu"], _CPU())
        if event == "ENTER":
            self._entered(line, cpu)
        elif event == "EXIT":
            self._left(line, cpu)
        elif event == "__guest_enter":
            self._look_at_host(line, cpu)
            cpu.host_keys, cpu.vcpu = line["k"], line["x0"]
            self._vcpus.setdefault(line["x0"], _VCPU())
        elif event == "handle_exit":
            self._look_at_host(line, cpu)
        elif event == "kvm_arch_vcpu_put":
            cpu.in_doubt = False
        elif event == "kvm_arch_vcpu_load":
            self.facts.loads += 1
            vcpu = self._vcpus.setdefault(line["x0"], _VCPU())
            vcpu.trapped = False
            if "feat" in line:
                vcpu.features = int(line["feat"], 16)
        elif event == "kvm_reset_vcpu":
            self.facts.resets += 1
            self._vcpus.setdefault(line["x0"], _VCPU()).keys = None
        elif event == "kvm_inject_undefined":
            self.facts.undefined += 1
        elif event in HANDLERS:
            vcpu = self._vcpus.setdefault(line["x0"], _VCPU())
            vcpu.trapped = vcpu.trap_begun = True

    def _look_at_host(self, line: Fields, cpu: _CPU) -> None:
        if cpu.in_doubt and cpu.host_keys != line["k"]:
            self.facts.host_keys_corrupted += 1
        cpu.in_doubt = False

    def _entered(self, line: Fields, cpu: _CPU) -> None:
        facts = self.facts
        facts.passes += 1
        vcpu = self._vcpus.get(cpu.vcpu or "")
        if vcpu is None:
            return
        set_bits = int(line["hcr"], 16) & BOTH
        has_feature = (vcpu.features or 0) & FEATURES == FEATURES
        if set_bits:
            facts.passes_enabled += 1
            facts.one_bit_only += set_bits != BOTH
            facts.unrestored_entries += line["kw"] != ALL_KEYS
            facts.enabled_without_feature += vcpu.features is not None and not has_feature
            facts.guest_keys_lost += vcpu.keys is not None and vcpu.keys != line["k"]
            if not vcpu.trapped:
                facts.enabled_by_cut_trap += vcpu.trap_begun
                facts.enabled_without_trap += not vcpu.trap_begun
                vcpu.trapped = vcpu.trap_begun
        elif vcpu.trapped and has_feature:
            facts.disabled_after_trap += 1
        vcpu.trap_begun = False

    def _left(self, line: Fields, cpu: _CPU) -> None:
        self.facts.signs += int(line.get("gpac", "0"))
        cpu.in_doubt = True
        vcpu = self._vcpus.get(cpu.vcpu or "")
        if vcpu is None:
            return
        enabled = int(line["hcr"], 16) & BOTH
        if enabled:
            vcpu.keys = line["k"]
        if is_key_trap(int(line["esr"], 16)):
            self.facts.traps += 1
            self.facts.traps_while_enabled += bool(enabled)
            vcpu.trapped = True  # it may be answered before the exit is complete
