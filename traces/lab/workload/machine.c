// What machine.h promises. Build: see vmm.c.
#define _GNU_SOURCE
#include "machine.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define RAM_SIZE (2 << 20)
#define CORE(field) \
  (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | offsetof(struct kvm_regs, field) / 4)

extern const char guest_begin[], guest_end[];

static int need(int result, const char *what) {
  if (result < 0) err(2, "%s", what);
  return result;
}

int open_kvm(bool *features) {
  int kvm = need(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
  *features = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_PTRAUTH_ADDRESS) > 0 &&
              ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_PTRAUTH_GENERIC) > 0;
  return kvm;
}

// The five keys of this very thread, as far as they show: what they make of a constant.
struct signatures { uint64_t of[5]; };
static __attribute__((target("arch=armv8.3-a"))) struct signatures sign(void) {
  struct signatures s = {{0x1000, 0x1000, 0x1000, 0x1000, 0}};
  unsigned long has = getauxval(AT_HWCAP);
  if (has & HWCAP_PACA) {
    __asm__ volatile("pacia %0, %1" : "+r"(s.of[0]) : "r"(0x2000ul));
    __asm__ volatile("pacib %0, %1" : "+r"(s.of[1]) : "r"(0x2000ul));
    __asm__ volatile("pacda %0, %1" : "+r"(s.of[2]) : "r"(0x2000ul));
    __asm__ volatile("pacdb %0, %1" : "+r"(s.of[3]) : "r"(0x2000ul));
  }
  if (has & HWCAP_PACG) __asm__ volatile("pacga %0, %1, %2" : "=r"(s.of[4]) : "r"(0x1000ul), "r"(0x2000ul));
  return s;
}

static void set(int fd, uint64_t id, uint64_t value) {
  struct kvm_one_reg reg = {id, (uintptr_t)&value};
  need(ioctl(fd, KVM_SET_ONE_REG, &reg), "KVM_SET_ONE_REG");
}

static unsigned number_of(struct vcpu *v) { return v - v->machine->vcpus; }

static void reset(struct vcpu *v) {
  struct kvm_vcpu_init init;
  need(ioctl(v->machine->fd, KVM_ARM_PREFERRED_TARGET, &init), "KVM_ARM_PREFERRED_TARGET");
  init.features[0] |= 1 << KVM_ARM_VCPU_PSCI_0_2;
  if (v->machine->plan.feature)
    init.features[0] |= 1 << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1 << KVM_ARM_VCPU_PTRAUTH_GENERIC;
  need(ioctl(v->fd, KVM_ARM_VCPU_INIT, &init), "KVM_ARM_VCPU_INIT");
  set(v->fd, CORE(regs.pc), RAM);
  set(v->fd, CORE(regs.regs[0]), SEATS + SEAT_SIZE * number_of(v));
  set(v->fd, CORE(regs.pstate), 0x3c5); // EL1h, interrupts masked
}

static void *work(void *argument) {
  struct vcpu *v = argument;
  char name[16];
  snprintf(name, sizeof name, "vm%u-vcpu%u", v->machine->plan.number, number_of(v));
  pthread_setname_np(pthread_self(), name);
  v->tid = syscall(SYS_gettid);
  struct signatures own = sign();
  while (!v->machine->stop) {
    unsigned pause = atomic_exchange(&v->pause, 0);
    if (pause) {
      v->pauses++;
      usleep(pause);
    }
    v->run->immediate_exit = v->machine->stop;
    int result = ioctl(v->fd, KVM_RUN, 0);
    struct signatures now = sign();
    if (memcmp(&own, &now, sizeof own)) {
      v->lost++;
      own = now;
    }
    if (result < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      err(2, "KVM_RUN");
    }
    if (v->run->exit_reason == KVM_EXIT_INTR) continue;
    if (v->run->exit_reason != KVM_EXIT_MMIO) errx(2, "unexpected exit %u", v->run->exit_reason);
    if (!v->run->mmio.is_write) memset(v->run->mmio.data, 0x5a, sizeof v->run->mmio.data);
    v->exits++;
    if (v->machine->plan.reset && v->exits % v->machine->plan.reset == 0) {
      reset(v);
      v->resets++;
    }
  }
  v->run->immediate_exit = 1; // completes what the last exit left open, and runs nothing
  ioctl(v->fd, KVM_RUN, 0);
  return NULL;
}

// GICv3, without which a guest has no timer.
static int add_timer(int vm) {
  struct kvm_create_device device = {.type = KVM_DEV_TYPE_ARM_VGIC_V3};
  if (ioctl(vm, KVM_CREATE_DEVICE, &device)) return -1;
  uint64_t at = DISTRIBUTOR;
  struct kvm_device_attr attribute = {
      .group = KVM_DEV_ARM_VGIC_GRP_ADDR, .attr = KVM_VGIC_V3_ADDR_TYPE_DIST, .addr = (uintptr_t)&at};
  need(ioctl(device.fd, KVM_SET_DEVICE_ATTR, &attribute), "the distributor");
  at = REDISTRIBUTORS;
  attribute.attr = KVM_VGIC_V3_ADDR_TYPE_REDIST;
  need(ioctl(device.fd, KVM_SET_DEVICE_ATTR, &attribute), "the redistributors");
  return device.fd;
}

// Everything but what runs: the threads are started by go.
static void make(struct machine *machine, int kvm, const struct plan *plan) {
  memset(machine, 0, sizeof *machine);
  machine->plan = *plan;
  machine->fd = need(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
  machine->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (machine->ram == MAP_FAILED) err(2, "mmap");
  memcpy(machine->ram, guest_begin, guest_end - guest_begin);
  __builtin___clear_cache(machine->ram, machine->ram + (guest_end - guest_begin));
  uint64_t *table = (uint64_t *)(machine->ram + TABLE - RAM);
  table[0] = 0x401;        // block, accessed, MAIR 0
  table[1] = RAM | 0x705;  // block, accessed, inner shareable, MAIR 1
  struct kvm_userspace_memory_region region = {
      .guest_phys_addr = RAM, .memory_size = RAM_SIZE, .userspace_addr = (uintptr_t)machine->ram};
  need(ioctl(machine->fd, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
  machine->timer = add_timer(machine->fd);

  machine->run_size = need(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
  for (unsigned i = 0; i < plan->vcpus; i++) {
    struct vcpu *v = &machine->vcpus[i];
    v->machine = machine;
    v->fd = need(ioctl(machine->fd, KVM_CREATE_VCPU, i), "KVM_CREATE_VCPU");
    v->run = mmap(NULL, machine->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    if (v->run == MAP_FAILED) err(2, "mmap of a vCPU");
    struct seat *seat = (struct seat *)(machine->ram + SEATS - RAM + SEAT_SIZE * i);
    *seat = (struct seat){.activity = plan->activity[i], .number = i, .count = plan->vcpus,
                          .tag = plan->tag[i], .period = plan->period[i], .delay = plan->delay[i]};
    if (machine->timer < 0) seat->activity &= ~(uint64_t)WAIT;
    reset(v);
  }
  if (machine->timer >= 0) {
    struct kvm_device_attr attribute = {.group = KVM_DEV_ARM_VGIC_GRP_CTRL,
                                        .attr = KVM_DEV_ARM_VGIC_CTRL_INIT};
    need(ioctl(machine->timer, KVM_SET_DEVICE_ATTR, &attribute), "the interrupt controller");
  }
}

static void go(struct machine *machine) {
  for (unsigned i = 0; i < machine->plan.vcpus; i++)
    if (pthread_create(&machine->vcpus[i].thread, NULL, work, &machine->vcpus[i])) errx(2, "no thread");
}

void start(struct machine *machine, int kvm, const struct plan *plan) {
  make(machine, kvm, plan);
  go(machine);
}

void kick(struct vcpu *v) {
  v->run->immediate_exit = 1;
  pthread_kill(v->thread, SIGUSR1);
}

static void stop(struct machine *machine) {
  machine->stop = 1;
  for (unsigned i = 0; i < machine->plan.vcpus; i++) {
    struct timespec limit;
    do {
      kick(&machine->vcpus[i]);
      clock_gettime(CLOCK_REALTIME, &limit);
      limit.tv_nsec += 50000000;
      if (limit.tv_nsec >= 1000000000) limit.tv_sec++, limit.tv_nsec -= 1000000000;
    } while (pthread_timedjoin_np(machine->vcpus[i].thread, NULL, &limit));
  }
}

// Tells of a machine that has stopped, and takes it away.
static uint64_t leave(struct machine *machine) {
  uint64_t wrong = 0;
  for (unsigned i = 0; i < machine->plan.vcpus; i++) {
    struct vcpu *v = &machine->vcpus[i];
    const struct seat *s = (struct seat *)(machine->ram + SEATS - RAM + SEAT_SIZE * i);
    bool feature = machine->plan.feature;
    // Without the feature an instruction is skipped, and compares nothing.
    uint64_t failed = feature ? s->failed : 0, changed = feature ? s->changed : 0;
    printf("vm %u vcpu %u: feature=%d activity=%#llx rounds=%llu refused=%llu failed=%llu changed=%llu "
           "lost=%llu exits=%llu resets=%llu pauses=%llu moves=%llu\n",
           machine->plan.number, i, feature, (unsigned long long)machine->plan.activity[i],
           (unsigned long long)s->rounds, (unsigned long long)s->refused, (unsigned long long)failed,
           (unsigned long long)changed, (unsigned long long)v->lost, (unsigned long long)v->exits,
           (unsigned long long)v->resets, (unsigned long long)v->pauses, (unsigned long long)v->moves);
    wrong += failed + changed + v->lost + (feature ? s->refused : 0);
    munmap(v->run, machine->run_size);
    close(v->fd);
  }
  if (machine->timer >= 0) close(machine->timer);
  close(machine->fd);
  munmap(machine->ram, RAM_SIZE);
  return wrong;
}

uint64_t finish(struct machine *machine) {
  stop(machine);
  return leave(machine);
}

// Registers that the other vCPU does not take (read-only ones of its own) keep its values.
static void copy_registers(int from, int to) {
  struct { struct kvm_reg_list list; uint64_t ids[2000]; } all = {.list = {.n = 2000}};
  need(ioctl(from, KVM_GET_REG_LIST, &all.list), "KVM_GET_REG_LIST");
  for (unsigned i = 0; i < all.list.n; i++) {
    _Alignas(16) char value[256];
    struct kvm_one_reg reg = {all.list.reg[i], (uintptr_t)value};
    if (ioctl(from, KVM_GET_ONE_REG, &reg) == 0) ioctl(to, KVM_SET_ONE_REG, &reg);
  }
  struct kvm_mp_state power;
  if (ioctl(from, KVM_GET_MP_STATE, &power) == 0) ioctl(to, KVM_SET_MP_STATE, &power);
}

uint64_t transfer(struct machine *machine, int kvm) {
  static struct machine old;
  stop(machine);
  old = *machine;
  make(machine, kvm, &old.plan);
  for (unsigned i = 0; i < old.plan.vcpus; i++) {
    old.vcpus[i].machine = &old;
    copy_registers(old.vcpus[i].fd, machine->vcpus[i].fd);
  }
  memcpy(machine->ram, old.ram, RAM_SIZE);
  // What is counted begins anew with it.
  for (unsigned i = 0; i < old.plan.vcpus; i++) {
    struct seat *seat = (struct seat *)(machine->ram + SEATS - RAM + SEAT_SIZE * i);
    seat->rounds = seat->refused = seat->failed = seat->changed = 0;
  }
  uint64_t wrong = leave(&old);
  go(machine);
  return wrong;
}
