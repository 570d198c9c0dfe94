// What a guest and its VMM say to each other: one page of guest memory for each vCPU. guest.S includes this too.
#ifndef SEAT_H
#define SEAT_H

// What a guest does, one bit each.
#define SIGN 1       // signs and authenticates pointers with all four keys
#define GENERIC 2    // pacga
#define WRITE 4      // writes all ten key registers every 32 rounds
#define READ 8       // reads them back, and compares with what it wrote
#define MMIO 16      // leaves to the VMM
#define HVC 32       // leaves to the kernel
#define WAIT 64      // waits for its timer: the thread sleeps
#define IDENTITY 128 // reads an ID register, which KVM answers
#define SPORADIC 256 // all of SIGN to READ in one round of 64 only
#define HINTS 512    // SCTLR_EL1 leaves signing off: such instructions are no-ops, and trap nowhere
#define POWER 1024   // vCPU 0 switches the others on; they switch themselves off now and then
#define KERNEL 2048  // translates addresses, and runs in the upper half of them, as kernels do
#define ACTIVITIES 12

// Offsets into a seat.
#define SEAT_ACTIVITY 0
#define SEAT_NUMBER 8  // of the vCPU in its VM
#define SEAT_COUNT 16  // vCPUs of its VM
#define SEAT_TAG 24    // what its keys begin with
#define SEAT_PERIOD 32 // of its exits: a mask of rounds
#define SEAT_DELAY 40  // loops in a round
#define SEAT_ROUNDS 48
#define SEAT_REFUSED 56 // instructions that were undefined
#define SEAT_FAILED 64  // pointers that did not authenticate
#define SEAT_CHANGED 72 // keys that were not what had been written, or signed differently

// Guest physical addresses.
#define RAM 0x40000000
#define TABLE (RAM + 0x9000) // of both halves, level 1: the devices, then the memory
#define SEATS (RAM + 0x10000)
#define SEAT_SIZE 0x1000
#define DISTRIBUTOR 0x08000000
#define REDISTRIBUTORS 0x080a0000
#define NOWHERE 0x0a000000 // no memory: an access goes to the VMM

#ifndef __ASSEMBLER__
#include <stdint.h>
struct seat {
  uint64_t activity, number, count, tag, period, delay, rounds, refused, failed, changed;
};
#endif
#endif
