"""Makes Debian's QEMU 7.2 write the log of truth.c: what is changed in its own files, place by place."""

from __future__ import annotations

import os
import shutil

from emulation.tree import Tree

HERE = os.path.dirname(os.path.abspath(__file__))
INCLUDE = '#include "truth.h"\n'


def edit(folder: str) -> None:
    """folder: the unpacked source. Raises SystemExit if it is another one."""
    tree = Tree(os.path.join(folder, "target", "arm"))
    for name in ("truth.c", "truth.h"):
        shutil.copy(os.path.join(HERE, name), os.path.join(folder, "target", "arm", name))
    tree.after("meson.build", r"^  'helper-a64\.c',\n", "  'truth.c',\n")
    tree.append("helper-a64.h", "\nDEF_HELPER_2(truth_function, void, env, i64)\n")

    tree.after("cpu.c", r'^#include "internals\.h"\n', INCLUDE)
    tree.after("cpu.c", r"^static void arm_cpu_realizefn\((?:.*\n)+?    bool no_aa32 = false;\n\n", "    truth_begin();\n\n")

    tree.after("helper-a64.c", r'^#include "internals\.h"\n', INCLUDE)
    # The return is legal: nothing has been changed yet.
    tree.before("helper-a64.c", r"^    qemu_mutex_lock_iothread\(\);\n    arm_call_pre_el_change_hook\(.*\n"
                r"    qemu_mutex_unlock_iothread\(\);\n\n    if \(!return_to_aa64\)",
                "    if (cur_el == 2 && new_el < 2) {\n        truth_enter(env, new_el);\n    }\n")

    tree.after("helper.c", r'^#include "internals\.h"\n', INCLUDE)
    tree.after("helper.c", r"^static void arm_cpu_do_interrupt_aarch64\((?:.*\n)+?    int rt;\n\n",
               "    if (new_el == 2 && cur_el < 2) {\n        truth_exit(env, cur_el, cs->exception_index);\n    }\n")
    tree.replace("helper.c", r"(?<=\.accessfn = access_pauth,\n)(?=      \.fieldoffset = offsetof\(CPUARMState, keys\.)",
                 "      .readfn = truth_read_key, .writefn = truth_write_key,\n", times=10)

    tree.after("pauth_helper.c", r'^#include "internals\.h"\n', INCLUDE)
    tree.after("pauth_helper.c", r"^static void pauth_check_trap\((?:.*\n)+?            pauth_trap\(env, 3, ra\);\n        }\n    }\n",
               "    truth_sign(env);\n")

    tree.after("translate-a64.c", r'^#include "internals\.h"\n', INCLUDE)
    tree.after("translate-a64.c", r"^    insn = arm_ldl_code\(env, &s->base, pc, s->sctlr_b\);\n",
               "    if (unlikely(truth_on) && s->current_el == 2 && truth_is_function(pc)) {\n"
               "        gen_helper_truth_function(cpu_env, tcg_constant_i64(pc));\n    }\n")
