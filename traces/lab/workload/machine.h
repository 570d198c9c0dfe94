// A machine of a few vCPUs on /dev/kvm, each in a thread of its own. All that is random about it is in its plan.
#ifndef MACHINE_H
#define MACHINE_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "seat.h"

#define MOST_VCPUS 8

struct kvm_run;
struct machine;

struct plan {
  unsigned number;           // of the machine, in what is printed
  unsigned vcpus;
  bool feature;              // both pointer authentication features, or none
  uint64_t activity[MOST_VCPUS], period[MOST_VCPUS], delay[MOST_VCPUS], tag[MOST_VCPUS];
  unsigned reset;            // KVM_ARM_VCPU_INIT again after so many MMIO exits of a vCPU; 0: never
};

struct vcpu {
  struct machine *machine;
  int fd;
  pthread_t thread;
  _Atomic pid_t tid;         // 0 until the thread runs
  struct kvm_run *run;
  _Atomic unsigned pause;    // microseconds to stay out of the guest, once
  uint64_t exits, resets, pauses, moves;
  uint64_t lost;             // times that this thread's own keys signed differently after KVM_RUN
};

struct machine {
  struct plan plan;
  int fd, timer;             // timer: the interrupt controller's, -1 if there is none
  char *ram;
  int run_size;              // of struct kvm_run, bytes
  atomic_int stop;
  struct vcpu vcpus[MOST_VCPUS];
};

// Ends the program with a sentence if KVM refuses. features: whether the host has both.
int open_kvm(bool *features);
void start(struct machine *machine, int kvm, const struct plan *plan);
// Another machine in its place that goes on where it stands, as if it arrived from another host: memory, registers
// (keys among them) and power states are copied, the interrupt controller is not. Prints as finish does.
uint64_t transfer(struct machine *machine, int kvm);
void kick(struct vcpu *vcpu);
// Prints a line for each vCPU, and says how many keys were found wrong by guests and threads.
uint64_t finish(struct machine *machine);

#endif
