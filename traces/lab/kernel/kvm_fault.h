/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Planted faults of the key switch: one may be chosen at boot, kvm.fault=NAME. */
#ifndef __ASM_KVM_FAULT_H
#define __ASM_KVM_FAULT_H

#define KVM_FAULTS(X)							\
	X(NONE,			"none")					\
	X(LOAD_KEEPS,		"load-keeps-enable")			\
	X(MOVE_KEEPS,		"migration-keeps-enable")		\
	X(NO_HOST_SAVE,		"trap-skips-host-save")			\
	X(NO_FEATURE,		"enable-without-feature")		\
	X(REGISTER_LAGS,	"register-lags-shadow")			\
	X(STALE_CONTEXT,	"host-context-not-repointed")		\
	X(API_ONLY,		"enable-sets-api-only")			\
	/* From here on the running kernel's instructions are changed, vmlinux stays as it is. */ \
	X(NO_GUEST_RESTORE,	"enter-skips-guest-restore")		\
	X(NO_GUEST_SAVE,	"exit-skips-guest-save")		\
	X(PARTIAL_GUEST_SAVE,	"exit-saves-four-of-five")		\
	X(NO_HOST_RESTORE,	"exit-skips-host-restore")		\
	X(NO_ISB,		"exit-skips-isb")

#define KVM_FAULT_NUMBER(name, words) KVM_FAULT_##name,
enum kvm_fault { KVM_FAULTS(KVM_FAULT_NUMBER) };

extern enum kvm_fault kvm_fault;
#define kvm_fault_is(which) unlikely(kvm_fault == (which))

#endif
