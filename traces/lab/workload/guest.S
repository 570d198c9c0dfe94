// The guest: bare EL1 code that uses pointer authentication in every way that a rule asks for, and leaves to the
// kernel and to the VMM in between. x0: the guest physical address of this vCPU's seat (seat.h).
//
// x19 seat, x20 activity, x21 rounds, x22 key counter (0: none written yet), x23 signature under the keys written,
// x24 the same by pacga, x25 tag.
#include "seat.h"

	.arch	armv8.3-a
	.text
	.globl	guest_begin, guest_end
guest_begin:
	nop				// KVM completes an MMIO exit by skipping one instruction, after a reset too
	mov	x19, x0
	ldr	x20, [x19, #SEAT_ACTIVITY]
	ldr	x25, [x19, #SEAT_TAG]
	adr	x1, vectors
	msr	vbar_el1, x1
	movz	x1, #16
	movk	x1, #16, lsl #16		// T0SZ, T1SZ: where a signature lies in a pointer
	msr	tcr_el1, x1
	mrs	x1, sctlr_el1
	movz	x2, #0xc800, lsl #16		// EnIA, EnIB, EnDA
	movk	x2, #0x2000			// EnDB
	bic	x1, x1, x2
	orr	x3, x1, x2
	tst	x20, #HINTS
	csel	x1, x1, x3, ne
	msr	sctlr_el1, x1
	isb
	tst	x20, #KERNEL
	b.eq	1f
	bl	move_up
1:	mov	x21, #0
	mov	x22, #0
	tst	x20, #WAIT
	b.eq	round
	bl	enable_timer

round:	tst	x20, #SPORADIC
	b.eq	1f
	tst	x21, #63
	b.ne	exits
1:	tst	x20, #WRITE
	b.eq	2f
	tst	x21, #31
	b.ne	2f
	bl	write_keys
2:	tst	x20, #SIGN
	b.eq	3f
	bl	sign
3:	tst	x20, #GENERIC
	b.eq	4f
	bl	generic
4:	tst	x20, #READ
	b.eq	exits
	cbz	x22, 5f
	bl	read_keys
	b	exits
5:	mrs	x1, S3_0_C2_C1_0

exits:	ldr	x1, [x19, #SEAT_DELAY]
1:	subs	x1, x1, #1
	b.gt	1b
	ldr	x1, [x19, #SEAT_PERIOD]
	tst	x21, x1
	b.ne	6f
	tst	x20, #HVC
	b.eq	2f
	movz	x0, #0x8400, lsl #16		// PSCI_VERSION, answered in the kernel
	hvc	#0
2:	tst	x20, #IDENTITY
	b.eq	3f
	mrs	x1, id_aa64isar1_el1
3:	tst	x20, #WAIT
	b.eq	4f
	mov	x1, #20000
	msr	cntv_tval_el0, x1
	mov	x1, #1
	msr	cntv_ctl_el0, x1
	isb
	wfi
	msr	cntv_ctl_el0, xzr
4:	tst	x20, #MMIO
	b.eq	5f
	movz	x2, #(NOWHERE >> 16), lsl #16
	str	x21, [x2]
	ldr	x3, [x2, #8]
5:	tst	x20, #POWER
	b.eq	6f
	bl	power
6:	add	x21, x21, #1
	ldr	x1, [x19, #SEAT_ROUNDS]
	add	x1, x1, #1
	str	x1, [x19, #SEAT_ROUNDS]
	b	round

	.macro	count at			// one more in the seat
	ldr	x1, [x19, #\at]
	add	x1, x1, #1
	str	x1, [x19, #\at]
	.endm

	// The ten registers, from or into the values x2, x2 + x3, x2 + 2 x3 ...
write_keys:
	add	x22, x22, #1
	orr	x2, x25, x22
	movz	x3, #0x100, lsl #16
	.irp	name, S3_0_C2_C1_0, S3_0_C2_C1_1, S3_0_C2_C1_2, S3_0_C2_C1_3, S3_0_C2_C2_0, S3_0_C2_C2_1, S3_0_C2_C2_2, S3_0_C2_C2_3, S3_0_C2_C3_0, S3_0_C2_C3_1
	msr	\name, x2
	add	x2, x2, x3
	.endr
	isb
	tst	x20, #SIGN
	b.eq	1f
	mov	x23, x25
	pacia	x23, x22
	pacib	x23, x22
1:	tst	x20, #GENERIC
	b.eq	2f
	pacga	x24, x25, x22
2:	ret

read_keys:
	orr	x2, x25, x22
	movz	x3, #0x100, lsl #16
	mov	x5, #0
	.irp	name, S3_0_C2_C1_0, S3_0_C2_C1_1, S3_0_C2_C1_2, S3_0_C2_C1_3, S3_0_C2_C2_0, S3_0_C2_C2_1, S3_0_C2_C2_2, S3_0_C2_C2_3, S3_0_C2_C3_0, S3_0_C2_C3_1
	mrs	x4, \name
	eor	x4, x4, x2
	orr	x5, x5, x4
	add	x2, x2, x3
	.endr
	cbz	x5, 1f
	count	SEAT_CHANGED
1:	ret

	.macro	roundtrip signer, verifier
	mov	x3, x21
	\signer	x3, x19
	\verifier x3, x19
	cmp	x3, x21
	b.eq	9f
	count	SEAT_FAILED
9:
	.endm
sign:	roundtrip pacia, autia
	roundtrip pacib, autib
	roundtrip pacda, autda
	roundtrip pacdb, autdb
	cbz	x22, 1f
	mov	x3, x25
	pacia	x3, x22
	pacib	x3, x22
	cmp	x3, x23
	b.eq	1f
	count	SEAT_CHANGED
1:	ret

generic:
	pacga	x3, x25, x22
	cbz	x22, 1f
	cmp	x3, x24
	b.eq	1f
	count	SEAT_CHANGED
1:	ret

	// vCPU 0 switches on whoever is off; the others go off, and begin anew when they are switched on.
power:	ldr	x4, [x19, #SEAT_NUMBER]
	ldr	x5, [x19, #SEAT_COUNT]
	cbnz	x4, 2f
1:	add	x4, x4, #1
	cmp	x4, x5
	b.hs	3f
	movz	x0, #3
	movk	x0, #0xc400, lsl #16		// CPU_ON of 64 bits: target, entry, its x0
	mov	x1, x4
	adr	x2, guest_begin
	and	x2, x2, #0x7fffffffff		// physical, wherever this runs
	movz	x3, #(SEATS & 0xffff)
	movk	x3, #(SEATS >> 16), lsl #16
	add	x3, x3, x4, lsl #12		// SEAT_SIZE
	hvc	#0
	b	1b
2:	tst	x21, #255
	b.ne	3f
	cbz	x21, 3f
	movz	x0, #2
	movk	x0, #0x8400, lsl #16		// CPU_OFF
	hvc	#0
3:	ret

	// Both halves of the address space are the table's first two GiB; returns in the upper one.
move_up:
	mov	x1, #0xff00			// MAIR_EL1: 0 is for devices, 1 for memory
	msr	mair_el1, x1
	movz	x1, #0x3519
	movk	x1, #0xb519, lsl #16		// TCR_EL1: 39 bits, 4 KiB pages, write-back, inner shareable
	msr	tcr_el1, x1
	movz	x1, #(TABLE & 0xffff)
	movk	x1, #(TABLE >> 16), lsl #16
	msr	ttbr0_el1, x1
	msr	ttbr1_el1, x1
	isb
	tlbi	vmalle1
	dsb	sy
	mrs	x1, sctlr_el1
	mov	x2, #0x1005			// M, C, I
	orr	x1, x1, x2
	msr	sctlr_el1, x1
	isb
	orr	x30, x30, #0xffffff8000000000
	ret

	// GICv3: PPI 27, the virtual timer's, in group 1. It stays masked, and wakes wfi all the same.
enable_timer:
	movz	x1, #(DISTRIBUTOR >> 16), lsl #16
	mov	w2, #0x12			// GICD_CTLR: ARE, group 1
	str	w2, [x1]
	ldr	x3, [x19, #SEAT_NUMBER]
	movz	x1, #(REDISTRIBUTORS >> 16), lsl #16
	add	x1, x1, x3, lsl #17
	str	wzr, [x1, #0x14]		// GICR_WAKER
	add	x1, x1, #0x10000
	mov	w2, #-1
	str	w2, [x1, #0x80]			// GICR_IGROUPR0
	mov	w2, #(1 << 27)
	str	w2, [x1, #0x100]		// GICR_ISENABLER0
	mov	x2, #0xff
	msr	S3_0_C4_C6_0, x2		// ICC_PMR_EL1
	mov	x2, #1
	msr	S3_0_C12_C12_7, x2		// ICC_IGRPEN1_EL1
	isb
	ret

	.balign	2048
vectors:
	.rept	16				// refused: count, and go on behind it
	ldr	x7, [x19, #SEAT_REFUSED]
	add	x7, x7, #1
	str	x7, [x19, #SEAT_REFUSED]
	mrs	x7, elr_el1
	add	x7, x7, #4
	msr	elr_el1, x7
	eret
	.balign	128
	.endr
guest_end:
