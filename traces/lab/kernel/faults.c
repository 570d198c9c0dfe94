// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Planted faults of the key switch (kvm_fault.h). Those in C ask kvm_fault_is where they are; those in assembly are
 * made here, once, before any guest runs.
 */
#include <linux/init.h>
#include <linux/kvm_host.h>
#include <linux/moduleparam.h>
#include <asm/insn.h>
#include <asm/kvm_asm.h>
#include <asm/kvm_hyp.h>
#include <asm/patching.h>

enum kvm_fault kvm_fault;
static char *fault = "none";
module_param(fault, charp, 0444);

#define KVM_FAULT_NAME(name, words) words,
static const char *const names[] = { KVM_FAULTS(KVM_FAULT_NAME) };

/* Instructions of the switch, without their general registers. */
#define KEY_WRITE	0xd5182100	/* msr APIAKeyLo_EL1: the first of ten */
#define KEY_READ	0xd5382100
#define STORE_PAIR	0xa9000000
#define STORE_MASK	0xffc00000
#define ISB		0xd5033fdf
#define CBZ		0xb4000000
#define CBZ_MASK	0xff000000
#define FIRST_KEY	0xffffffe0

static u32 at(u32 *p)
{
	return le32_to_cpu(*p);
}

static u32 *find(u32 *p, u32 mask, u32 value)
{
	u32 *end = p + 400;

	for (; p < end; p++)
		if ((at(p) & mask) == value)
			return p;
	return NULL;
}

static bool is_key_write(u32 *p)
{
	u32 word = at(p) & ~0x1f;

	return word >= KEY_WRITE && word <= 0xd5182320;
}

static int leave_out(u32 *p)
{
	return aarch64_insn_patch_text_nosync(p, aarch64_insn_gen_nop());
}

static int change_code(enum kvm_fault which)
{
	u32 *enter = find((u32 *)__guest_enter, FIRST_KEY, KEY_WRITE);
	u32 *save = enter ? find(enter, FIRST_KEY, KEY_READ) : NULL;
	u32 *restore = save ? find(save, FIRST_KEY, KEY_WRITE) : NULL;
	int left = 10;
	u32 *p;

	if (!restore)
		return -ENOENT;
	switch (which) {
	case KVM_FAULT_NO_GUEST_RESTORE:
		/* The guard before it always jumps. */
		for (p = enter; (at(p) & CBZ_MASK) != CBZ; p--)
			;
		return aarch64_insn_patch_text_nosync(p, 0x14000000 | ((at(p) >> 5) & 0x7ffff));
	case KVM_FAULT_NO_GUEST_SAVE:
	case KVM_FAULT_PARTIAL_GUEST_SAVE:
		for (p = restore - 2; p > save; p--) {
			if ((at(p) & STORE_MASK) != STORE_PAIR)
				continue;
			leave_out(p);
			if (which == KVM_FAULT_PARTIAL_GUEST_SAVE)
				break;
		}
		return 0;
	case KVM_FAULT_NO_HOST_RESTORE:
		for (p = restore; left > 0; p++)
			if (is_key_write(p)) {
				leave_out(p);
				left--;
			}
		return 0;
	case KVM_FAULT_NO_ISB:
		p = find(restore, ~0u, ISB);
		return p ? leave_out(p) : -ENOENT;
	default:
		return 0;
	}
}

static int __init plant(void)
{
	int which = match_string(names, ARRAY_SIZE(names), fault);
	int result;

	if (which < 0) {
		pr_err("kvm.fault: there is no %s\n", fault);
		return which;
	}
	result = change_code(which);
	if (!result)
		kvm_fault = which;
	pr_info("kvm.fault: %s: %d\n", fault, result);
	return result;
}
late_initcall(plant);
