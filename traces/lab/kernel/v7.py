#!/usr/bin/env python3
"""Turns Debian's linux-source-6.1 into a kernel with the key switch of "[PATCH v7 7/10] KVM: arm/arm64: context-switch
ptrauth registers" (19 March 2019), and plants the faults of faults.c, each chosen at boot by kvm.fault=NAME.

usage: v7.py TREE

What v7 is told by, and has here:
- the shadow of HCR_EL2 lies in struct kvm_cpu_context (vcpu->arch.ctxt.hcr_el2, CPU_HCR_EL2);
- the guards of the switch load it from the guest's context, without alternatives, and jump to named labels;
- vcpu->arch.host_cpu_context points at the host context of the pCPU, set in kvm_arch_vcpu_load;
- kvm_arch_vcpu_load ends with kvm_arm_vcpu_ptrauth_setup_lazy, which clears API and APK;
- the trap returns to the host: kvm_arm_vcpu_ptrauth_trap, preemptible, enables and saves the host's keys;
- nothing of it in nVHE, nor in the exit path at EL2.
"""

from __future__ import annotations

import os
import shutil
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from emulation.tree import Tree

KEYS = ["APIA", "APIB", "APDA", "APDB", "APGA"]
HOST, EMULATE, SWITCH = "include/asm/kvm_host.h", "include/asm/kvm_emulate.h", "kvm/hyp/include/hyp/switch.h"
OLD_MACROS, MACROS = "include/asm/kvm_ptrauth.h", "include/asm/kvm_ptrauth_asm.h"


def move_the_shadow(tree: Tree) -> None:
    for path in ("kvm/guest.c", "kvm/hyp/nvhe/pkvm.c", SWITCH, EMULATE):
        text = tree.read(path)
        tree.write(path, text.replace("vcpu->arch.hcr_el2", "vcpu->arch.ctxt.hcr_el2"))
    tree.replace(HOST, r"^\tu64 hcr_el2;\n(?=\tu64 mdcr_el2;)", "")
    tree.after(HOST, r"^\tu64 sys_regs\[NR_SYS_REGS\];\n", "\n\tu64 hcr_el2;\n")
    tree.after(HOST, r"^\tstruct kvm_vcpu_fault_info fault;\n", "\n\tstruct kvm_cpu_context *host_cpu_context;\n")
    tree.replace("kernel/asm-offsets.c", r"^  DEFINE\(VCPU_HCR_EL2,.*\n", "")
    tree.before("kernel/asm-offsets.c", r"^  DEFINE\(HOST_CONTEXT_VCPU,",
                "  DEFINE(CPU_HCR_EL2, offsetof(struct kvm_cpu_context, hcr_el2));\n")


def declare(tree: Tree) -> None:
    # What the planted faults remember of a vCPU.
    tree.after(HOST, r"^\t} steal;\n", "\tint fault_cpu;\n\tunsigned int fault_runs;\n")
    tree.replace(HOST, r"^#ifdef CONFIG_ARM64_PTR_AUTH\n#define vcpu_has_ptrauth(?:.*\n)+?#endif$", """\
#define vcpu_has_ptrauth(vcpu)							\\
	(has_vhe() && system_has_full_ptr_auth() &&				\\
	 test_bit(KVM_ARM_VCPU_PTRAUTH_ADDRESS, (vcpu)->arch.features) &&	\\
	 test_bit(KVM_ARM_VCPU_PTRAUTH_GENERIC, (vcpu)->arch.features))""")
    tree.replace(HOST, r"^void kvm_arm_vcpu_ptrauth_trap\(.*\n", """\
void kvm_arm_vcpu_ptrauth_enable(struct kvm_vcpu *vcpu);
void kvm_arm_vcpu_ptrauth_disable(struct kvm_vcpu *vcpu);
void kvm_arm_vcpu_ptrauth_setup_lazy(struct kvm_vcpu *vcpu);
void kvm_arm_vcpu_ptrauth_trap(struct kvm_vcpu *vcpu);
#include <asm/kvm_fault.h>
""")
    tree.replace(EMULATE, r"^static inline void vcpu_ptrauth_enable(?:.*\n)+?(?=static inline unsigned long vcpu_get_vsesr)",
                 "")


def guard(name: str, parameters: str, body: str) -> str:
    """A macro that does nothing unless the shadow has a bit set."""
    return f"""\
.macro {name} g_ctxt, {parameters}
	ldr	\\reg1, [\\g_ctxt, #CPU_HCR_EL2]
	and	\\reg1, \\reg1, #(HCR_API | HCR_APK)
	cbz	\\reg1, skip_{name.removeprefix("ptrauth_")}
	add	\\reg1, \\g_ctxt, #CPU_APIAKEYLO_EL1
{body}skip_{name.removeprefix("ptrauth_")}:
.endm

"""


def write_the_switch(tree: Tree) -> None:
    text = tree.read(OLD_MACROS)
    tree.remove(OLD_MACROS)
    text = text.replace("kvm_ptrauth.h", "kvm_ptrauth_asm.h").replace("__ASM_KVM_PTRAUTH_H", "__ASM_KVM_ASM_PTRAUTH_H")
    saves = "".join(
        f"	(ctxt)->sys_regs[{key}KEY{half}_EL1] = read_sysreg_s(SYS_{key}KEY{half}_EL1);	\\\n"
        for key in KEYS for half in ("LO", "HI"))
    text = text.replace("#ifdef __ASSEMBLY__\n", f"""\
#ifndef __ASSEMBLY__

#define __ptrauth_save_state(ctxt)	\\
do {{	\\
{saves}}} while (0)

#else /* __ASSEMBLY__ */
""", 1)
    text = text.replace("#ifdef\tCONFIG_ARM64_PTR_AUTH\n",
                        "#if defined(CONFIG_ARM64_PTR_AUTH) && !defined(__KVM_NVHE_HYPERVISOR__)\n")
    start = text.index("/*\n * Both ptrauth_switch_to_guest")
    end = text.index("#else /* !CONFIG_ARM64_PTR_AUTH */")
    text = text[:start] + guard("ptrauth_switch_to_guest", "reg1, reg2, reg3", """\
	ptrauth_restore_state	\\reg1, \\reg2, \\reg3
""") + guard("ptrauth_switch_to_host", "h_ctxt, reg1, reg2, reg3", """\
	ptrauth_save_state	\\reg1, \\reg2, \\reg3
	add	\\reg1, \\h_ctxt, #CPU_APIAKEYLO_EL1
	ptrauth_restore_state	\\reg1, \\reg2, \\reg3
	isb
""") + text[end:].replace("ptrauth_switch_to_hyp", "ptrauth_switch_to_host")
    tree.write(MACROS, text)
    tree.replace("kvm/hyp/entry.S", r"<asm/kvm_ptrauth\.h>", "<asm/kvm_ptrauth_asm.h>")
    # The host's keys are in its own context; what is restored after them still is the hypervisor's.
    tree.replace("kvm/hyp/entry.S", r"^\tadr_this_cpu x2, kvm_hyp_ctxt, x3\n\n(?=\t// Macro ptrauth_switch_to_hyp)", "")
    tree.replace("kvm/hyp/entry.S", r"^\tptrauth_switch_to_hyp x1, x2, x3, x4, x5\n", """\
	get_host_ctxt	x2, x3
	ptrauth_switch_to_host x1, x2, x3, x4, x5
	adr_this_cpu x2, kvm_hyp_ctxt, x3
""")


def answer_no_trap_at_el2(tree: Tree) -> None:
    tree.replace(SWITCH, r"^static inline bool esr_is_ptrauth_trap(?:.*\n)+?(?=static inline bool kvm_hyp_handle_sysreg\()",
                 "")
    tree.replace(SWITCH, r"^\tif \(esr_is_ptrauth_trap\(.*\n.*\n\n", "")
    tree.replace("kvm/hyp/vhe/switch.c", r"^\t\[ESR_ELx_EC_PAC\].*\n", "")
    tree.replace("kvm/hyp/nvhe/switch.c", r"^\t\[ESR_ELx_EC_PAC\].*\n", "", times=2)
    tree.after("kvm/hyp/vhe/switch.c", r"^\t___activate_traps\(vcpu\);\n", """
	if (kvm_fault_is(KVM_FAULT_REGISTER_LAGS) && !(vcpu->arch.fault_runs++ & 7))
		write_sysreg(read_sysreg(hcr_el2) & ~(HCR_API | HCR_APK), hcr_el2);
""")


def load_lazily(tree: Tree) -> None:
    tree.replace("kvm/arm.c", r"^\tif \(vcpu_has_ptrauth\(vcpu\)\)\n\t\tvcpu_ptrauth_disable\(vcpu\);\n", "")
    tree.after("kvm/arm.c", r"^\tvcpu->cpu = cpu;\n(?=\n\tkvm_vgic_load)", """\
	if (!kvm_fault_is(KVM_FAULT_STALE_CONTEXT) || !vcpu->arch.host_cpu_context)
		vcpu->arch.host_cpu_context = &this_cpu_ptr_hyp_sym(kvm_host_data)->host_ctxt;
""")
    tree.after("kvm/arm.c", r"^\t\tvcpu_set_on_unsupported_cpu\(vcpu\);\n(?=}\n\nvoid kvm_arch_vcpu_put)",
               "\n\tkvm_arm_vcpu_ptrauth_setup_lazy(vcpu);\n")
    tree.append("kvm/guest.c", """
/* Pointer authentication is off until the guest uses it: then a trap enables it, and saves the host's keys. */
void kvm_arm_vcpu_ptrauth_setup_lazy(struct kvm_vcpu *vcpu)
{
	bool moved = vcpu->arch.fault_cpu != vcpu->cpu;

	vcpu->arch.fault_cpu = vcpu->cpu;
	if (kvm_fault_is(KVM_FAULT_LOAD_KEEPS) || (moved && kvm_fault_is(KVM_FAULT_MOVE_KEEPS)))
		return;
	if (vcpu_has_ptrauth(vcpu))
		kvm_arm_vcpu_ptrauth_disable(vcpu);
}
""")


def answer_traps_in_the_host(tree: Tree) -> None:
    path = "kvm/handle_exit.c"
    tree.after(path, r"^#include <asm/kvm_mmu\.h>\n", "#include <asm/kvm_ptrauth_asm.h>\n")
    tree.replace(path, r"^static int kvm_handle_ptrauth\(struct kvm_vcpu \*vcpu\)\n{\n(?:.+\n)+}\n", """\
void kvm_arm_vcpu_ptrauth_trap(struct kvm_vcpu *vcpu)
{
	if (!vcpu_has_ptrauth(vcpu) && !kvm_fault_is(KVM_FAULT_NO_FEATURE)) {
		kvm_inject_undefined(vcpu);
		return;
	}
	kvm_arm_vcpu_ptrauth_enable(vcpu);
	if (!kvm_fault_is(KVM_FAULT_NO_HOST_SAVE))
		__ptrauth_save_state(vcpu->arch.host_cpu_context);
}

static int kvm_handle_ptrauth(struct kvm_vcpu *vcpu)
{
	kvm_arm_vcpu_ptrauth_trap(vcpu);
	return 1;
}
""")
    # As the patch has it: the conditions are asked for, and nothing is set.
    tree.replace("kvm/reset.c", r"^static int kvm_vcpu_enable_ptrauth(?:.*\n)+?}\n\n", "")
    tree.replace("kvm/reset.c", r"^\t\tif \(kvm_vcpu_enable_ptrauth\(vcpu\)\) {$", "\t\tif (WARN_ON(!vcpu_has_ptrauth(vcpu))) {")
    path = "kvm/sys_regs.c"
    tree.before(path, r"^static unsigned int ptrauth_visibility", """\
void kvm_arm_vcpu_ptrauth_enable(struct kvm_vcpu *vcpu)
{
	vcpu->arch.ctxt.hcr_el2 |= kvm_fault_is(KVM_FAULT_API_ONLY) ? HCR_API : (HCR_API | HCR_APK);
}

void kvm_arm_vcpu_ptrauth_disable(struct kvm_vcpu *vcpu)
{
	vcpu->arch.ctxt.hcr_el2 &= ~(HCR_API | HCR_APK);
}

static bool trap_ptrauth(struct kvm_vcpu *vcpu, struct sys_reg_params *p, const struct sys_reg_desc *rd)
{
	kvm_arm_vcpu_ptrauth_trap(vcpu);
	return false;
}

""")
    tree.replace(path, r"undef_access, reset_unknown, k,(?=\s*\\\n\s*\.visibility = ptrauth)", "trap_ptrauth, reset_unknown, k,")


def plant(tree: Tree) -> None:
    tree.replace("kvm/Makefile", r"kvm-y \+= arm\.o", "kvm-y += faults.o arm.o")
    shutil.copy(HERE + "/faults.c", os.path.join(tree.folder, "kvm/faults.c"))
    shutil.copy(HERE + "/kvm_fault.h", os.path.join(tree.folder, "include/asm/kvm_fault.h"))


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    tree = Tree(os.path.join(sys.argv[1], "arch/arm64"))
    for step in (move_the_shadow, declare, write_the_switch, answer_no_trap_at_el2, load_lazily,
                 answer_traps_in_the_host, plant):
        step(tree)


main()
