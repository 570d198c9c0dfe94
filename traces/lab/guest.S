// The guest: bare EL1 code that writes keys, signs and authenticates, and leaves to the VMM now and then.
// x0: this vCPU's struct counts of vmm.c: number, rounds, refused, failed.
	.arch	armv8.3-a
	.text
	.globl	guest_begin, guest_end
guest_begin:
	mov	x19, x0
	ldr	x20, [x19]			// number
	adr	x1, vectors
	msr	vbar_el1, x1
	mrs	x1, sctlr_el1
	mov	x2, #0xc8000000			// EnIA, EnIB, EnDA
	orr	x1, x1, x2
	msr	sctlr_el1, x1
	isb
	mov	x21, #0				// rounds
	movz	x22, #0x0a00, lsl #16		// no memory here: an access goes to the VMM
again:	tst	x21, #31			// new keys every 32 rounds
	b.ne	1f
	add	x1, x20, x21, lsl #8
	mvn	x2, x1
	msr	S3_0_C2_C1_0, x1		// APIAKeyLo_EL1 ...
	msr	S3_0_C2_C1_1, x2
	msr	S3_0_C2_C1_2, x2
	msr	S3_0_C2_C1_3, x1
	msr	S3_0_C2_C2_0, x1
	msr	S3_0_C2_C2_1, x1
	msr	S3_0_C2_C2_2, x2
	msr	S3_0_C2_C2_3, x2
	msr	S3_0_C2_C3_0, x1
	msr	S3_0_C2_C3_1, x2		// ... APGAKeyHi_EL1
	isb
1:	tst	x21, #128			// half of the time without
	b.ne	2f
	mov	x3, x21
	pacia	x3, x20
	mov	x4, x3
	autia	x4, x20
	cmp	x4, x21
	b.eq	2f
	ldr	x5, [x19, #24]
	add	x5, x5, #1
	str	x5, [x19, #24]
2:	mov	x6, #200
3:	subs	x6, x6, #1
	b.ne	3b
	tst	x21, #7
	b.ne	4f
	str	x21, [x22]			// KVM_EXIT_MMIO
4:	tst	x21, #63
	b.ne	5f
	mov	x0, #0x84000000			// PSCI_VERSION, answered in the kernel
	hvc	#0
5:	add	x21, x21, #1
	str	x21, [x19, #8]
	b	again

	.balign	2048
vectors:
	.rept	16				// refused: count, and go on behind it
	ldr	x7, [x19, #16]
	add	x7, x7, #1
	str	x7, [x19, #16]
	mrs	x7, elr_el1
	add	x7, x7, #4
	msr	elr_el1, x7
	eret
	.balign	128
	.endr
guest_end:
