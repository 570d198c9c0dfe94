// A VMM as small as KVM on arm64 allows, to make vCPUs switch pointer authentication keys.
//   vmm SECONDS VCPUS [nofeature]
// Every vCPU runs guest.S in a thread of its own; every other millisecond one thread is moved to another
// pCPU. Prints, per vCPU, how often its guest went round, was refused an instruction, and failed to
// authenticate; exits with 1 if one failed to.
// cc -O2 -static -o vmm vmm.c guest.S -lpthread
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define RAM 0x40000000ull
#define RAM_SIZE (1 << 20)
#define PAGE_OF(vcpu) (0x10000 + 0x1000 * (vcpu))
#define CORE(field) \
  (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | offsetof(struct kvm_regs, field) / 4)

extern const char guest_begin[], guest_end[];

struct counts { uint64_t number, rounds, refused, failed; };  // guest.S knows the layout
struct vcpu { int fd; pthread_t thread; _Atomic pid_t tid; struct kvm_run *run; };

static atomic_int stop;

static int need(int result, const char *what) {
  if (result < 0) err(2, "%s", what);
  return result;
}

static void set(int fd, uint64_t id, uint64_t value) {
  struct kvm_one_reg reg = {id, (uintptr_t)&value};
  need(ioctl(fd, KVM_SET_ONE_REG, &reg), "KVM_SET_ONE_REG");
}

static void *work(void *argument) {
  struct vcpu *v = argument;
  v->tid = syscall(SYS_gettid);
  while (!stop)
    if (ioctl(v->fd, KVM_RUN, 0) == 0 && v->run->exit_reason != KVM_EXIT_MMIO)
      errx(2, "unexpected exit %u", v->run->exit_reason);
  return NULL;
}

static void wake(int signal) { (void)signal; }

int main(int count, char **words) {
  if (count < 3) errx(64, "usage: vmm SECONDS VCPUS [nofeature]");
  double seconds = atof(words[1]);
  int vcpus = atoi(words[2]), feature = count < 4, pcpus = sysconf(_SC_NPROCESSORS_ONLN);
  if (vcpus < 1 || vcpus > 16) errx(64, "1 to 16 vCPUs");
  signal(SIGUSR1, wake);

  int kvm = need(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
  if (feature && ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_PTRAUTH_ADDRESS) <= 0)
    errx(2, "this host has no pointer authentication for guests");
  int vm = need(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
  char *ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (ram == MAP_FAILED) err(2, "mmap");
  memcpy(ram, guest_begin, guest_end - guest_begin);
  __builtin___clear_cache(ram, ram + (guest_end - guest_begin));
  struct kvm_userspace_memory_region region = {
      .guest_phys_addr = RAM, .memory_size = RAM_SIZE, .userspace_addr = (uintptr_t)ram};
  need(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");

  static struct vcpu all[16];
  struct kvm_vcpu_init init;
  need(ioctl(vm, KVM_ARM_PREFERRED_TARGET, &init), "KVM_ARM_PREFERRED_TARGET");
  init.features[0] |= 1 << KVM_ARM_VCPU_PSCI_0_2;
  if (feature)
    init.features[0] |= 1 << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1 << KVM_ARM_VCPU_PTRAUTH_GENERIC;
  int size = need(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
  for (int i = 0; i < vcpus; i++) {
    all[i].fd = need(ioctl(vm, KVM_CREATE_VCPU, i), "KVM_CREATE_VCPU");
    need(ioctl(all[i].fd, KVM_ARM_VCPU_INIT, &init), "KVM_ARM_VCPU_INIT");
    all[i].run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, all[i].fd, 0);
    if (all[i].run == MAP_FAILED) err(2, "mmap of a vCPU");
    ((struct counts *)(ram + PAGE_OF(i)))->number = i + 1;
    set(all[i].fd, CORE(regs.pc), RAM);
    set(all[i].fd, CORE(regs.regs[0]), RAM + PAGE_OF(i));
    set(all[i].fd, CORE(regs.pstate), 0x3c5);  // EL1h, interrupts masked
  }
  for (int i = 0; i < vcpus; i++) pthread_create(&all[i].thread, NULL, work, &all[i]);

  struct timespec begin, now;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  unsigned turn = 0;
  do {
    usleep(2000);
    pid_t tid = all[turn % vcpus].tid;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(random() % pcpus, &one);
    if (tid) sched_setaffinity(tid, sizeof one, &one);
    turn++;
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while ((now.tv_sec - begin.tv_sec) + (now.tv_nsec - begin.tv_nsec) / 1e9 < seconds);

  stop = 1;
  uint64_t failed = 0;
  for (int i = 0; i < vcpus; i++) {
    struct timespec limit;
    do {
      all[i].run->immediate_exit = 1;
      pthread_kill(all[i].thread, SIGUSR1);
      clock_gettime(CLOCK_REALTIME, &limit);
      limit.tv_sec++;
    } while (pthread_timedjoin_np(all[i].thread, NULL, &limit));
    struct counts *c = (struct counts *)(ram + PAGE_OF(i));
    printf("vcpu %d: %llu rounds, %llu refused, %llu failed\n", i, (unsigned long long)c->rounds,
           (unsigned long long)c->refused, (unsigned long long)c->failed);
    failed += c->failed;
  }
  return failed != 0;
}
