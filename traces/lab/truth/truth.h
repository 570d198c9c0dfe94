/* SPDX-License-Identifier: GPL-2.0-or-later OR MIT */
/* What the CPU did about pointer authentication, for a log: see README.md. Nothing is written unless QEMU is asked to. */
#ifndef TARGET_ARM_TRUTH_H
#define TARGET_ARM_TRUTH_H

#include "cpu.h"
#include "cpregs.h"

/* Whether there is a log. */
extern bool truth_on;

/* PTRAUTH_TRUTH_LOG, PTRAUTH_TRUTH_FUNCTIONS, PTRAUTH_TRUTH_FEATURES; once, before any CPU runs. */
void truth_begin(void);

/* EL2 returns to EL1 or EL0; EL1 or EL0 leaves to EL2. What runs there may be the host's user space: that is no guest. */
void truth_enter(CPUARMState *env, int to);
void truth_exit(CPUARMState *env, int from, int exception);

/* An instruction signed or authenticated; a key register was read or written. */
void truth_sign(CPUARMState *env);
uint64_t truth_read_key(CPUARMState *env, const ARMCPRegInfo *ri);
void truth_write_key(CPUARMState *env, const ARMCPRegInfo *ri, uint64_t value);

/* Whether a function that is logged begins at pc. */
bool truth_is_function(uint64_t pc);

#endif
