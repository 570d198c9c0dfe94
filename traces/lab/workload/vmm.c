// A VMM as small as KVM on arm64 allows, to make vCPUs switch pointer authentication keys in every way there is.
//
//   vmm [--seconds S] [--seed N] [--machines N] [--vcpus N] [--features yes|no|mixed] [--activity WORD,...]
//       [--move US] [--pause US] [--reset N] [--life MS]
//
// What is not given is chosen by the seed: machines (1 to 3) with vCPUs (1 to 4), what each guest does (words of
// activities[] below), how often a thread is moved to another pCPU, a vCPU paused, or initialized again after MMIO
// exits, and for how long a machine lives until another takes its place (--life 0: until the end), which by turns goes
// on where that one stood, as if it had migrated, and is a new one. The choice is reproducible; when things happen is not.
//
// Prints a line for each vCPU. Exit code 0; 1 if a guest or a thread found its keys changed, or a guest with the
// feature was refused an instruction; 2 if KVM refused something.
// aarch64-linux-gnu-gcc -O2 -static -o vmm vmm.c machine.c guest.S -lpthread
#define _GNU_SOURCE
#include <err.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"

#define MOST_MACHINES 4

static const char *const activities[ACTIVITIES] = {"sign",     "generic",  "write",    "read",  "mmio", "hvc",
                                                   "wait", "identity", "sporadic", "hints", "power", "kernel"};

// splitmix64: the same numbers on every machine.
static uint64_t random_state;
static uint64_t random_number(void) {
  uint64_t z = random_state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}
static unsigned below(unsigned limit) { return random_number() % limit; }

enum features { YES, NO, MIXED };

struct choice {
  double seconds;
  uint64_t seed, activity;  // activity 0: by the seed
  int machines, vcpus, features, move, pause, reset, life;  // -1: by the seed
};

static uint64_t activity_of(char *words) {
  uint64_t result = 0;
  for (char *word = strtok(words, ","); word; word = strtok(NULL, ",")) {
    unsigned i = 0;
    while (i < ACTIVITIES && strcmp(word, activities[i])) i++;
    if (i == ACTIVITIES) errx(64, "no activity %s", word);
    result |= 1ull << i;
  }
  return result;
}

// Mostly all of it, since that shows most; now and then a part.
static uint64_t any_activity(void) {
  uint64_t result = 0;
  static const unsigned char per_cent[ACTIVITIES] = {85, 60, 75, 60, 70, 40, 25, 30, 20, 8, 15, 50};
  for (unsigned i = 0; i < ACTIVITIES; i++)
    if (below(100) < per_cent[i]) result |= 1ull << i;
  // A kernel that uses keys has set them: without them it looks like one that lost them on its way.
  if (result & KERNEL) result |= WRITE;
  return result;
}

static struct plan plan_of(const struct choice *c, unsigned number) {
  struct plan plan = {.number = number};
  plan.vcpus = c->vcpus > 0 ? (unsigned)c->vcpus : 1 + below(4);
  plan.feature = c->features == MIXED ? below(4) != 0 : c->features == YES;
  plan.reset = c->reset >= 0 ? (unsigned)c->reset : below(3) ? 20 + below(60) : 0;
  for (unsigned i = 0; i < plan.vcpus; i++) {
    plan.activity[i] = c->activity ? c->activity : any_activity();
    // Somebody has to switch the others on again.
    if (i > 0 && plan.activity[i] & POWER) plan.activity[0] |= POWER;
    plan.period[i] = (1u << (2 + below(4))) - 1;
    plan.delay[i] = 20 + below(200);
    plan.tag[i] = random_number() & 0x7fffffff00000000;
  }
  return plan;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void wake(int signal) { (void)signal; }

static void move(struct vcpu *v, int pcpus) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(below(pcpus), &one);
  pid_t tid = v->tid;
  if (tid && sched_setaffinity(tid, sizeof one, &one) == 0) v->moves++;
}

static struct choice read_choice(int count, char **words) {
  enum { SECONDS = 1, SEED, MACHINES, VCPUS, FEATURES, ACTIVITY, MOVE, PAUSE, RESET, LIFE };
  static const struct option options[] = {
      {"seconds", 1, 0, SECONDS},   {"seed", 1, 0, SEED},         {"machines", 1, 0, MACHINES},
      {"vcpus", 1, 0, VCPUS},       {"features", 1, 0, FEATURES}, {"activity", 1, 0, ACTIVITY},
      {"move", 1, 0, MOVE},         {"pause", 1, 0, PAUSE},       {"reset", 1, 0, RESET},
      {"life", 1, 0, LIFE},         {0}};
  struct choice c = {.seconds = 1.5, .seed = 1, .machines = -1, .vcpus = -1, .features = MIXED,
                     .move = -1,     .pause = -1, .reset = -1, .life = -1};
  for (int option; (option = getopt_long(count, words, "", options, NULL)) != -1;) switch (option) {
      case SECONDS: c.seconds = atof(optarg); break;
      case SEED: c.seed = strtoull(optarg, NULL, 0); break;
      case MACHINES: c.machines = atoi(optarg); break;
      case VCPUS: c.vcpus = atoi(optarg); break;
      case FEATURES:
        c.features = !strcmp(optarg, "yes") ? YES : !strcmp(optarg, "no") ? NO : MIXED;
        break;
      case ACTIVITY: c.activity = activity_of(optarg); break;
      case MOVE: c.move = atoi(optarg); break;
      case PAUSE: c.pause = atoi(optarg); break;
      case RESET: c.reset = atoi(optarg); break;
      case LIFE: c.life = atoi(optarg); break;
      default: exit(64);
    }
  if (optind < count) errx(64, "what is %s? (vmm.c says how to call this)", words[optind]);
  if (c.machines > MOST_MACHINES || c.vcpus > MOST_VCPUS)
    errx(64, "at most %d machines of %d vCPUs", MOST_MACHINES, MOST_VCPUS);
  return c;
}

int main(int count, char **words) {
  struct choice c = read_choice(count, words);
  random_state = c.seed;
  int machines = c.machines > 0 ? c.machines : 1 + (int)below(3);
  int move_every = c.move >= 0 ? c.move : 500 + (int)below(3500);
  int pause_for = c.pause >= 0 ? c.pause : below(2) ? 500 + (int)below(4000) : 0;
  int pcpus = sysconf(_SC_NPROCESSORS_ONLN);
  signal(SIGUSR1, wake);
  setvbuf(stdout, NULL, _IOLBF, 0);

  bool features;
  int kvm = open_kvm(&features);
  if (!features && c.features == YES) errx(2, "KVM has no pointer authentication for guests here");
  if (!features) c.features = NO;

  static struct machine all[MOST_MACHINES];
  bool onward[MOST_MACHINES] = {false};
  double ends[MOST_MACHINES], end = now() + c.seconds;
  unsigned number = 0;
  uint64_t wrong = 0;
  for (int m = 0; m < machines; m++) ends[m] = 0;
  for (unsigned turn = 0; now() < end; turn++) {
    for (int m = 0; m < machines; m++) {
      if (now() < ends[m]) continue;
      int life = c.life >= 0 ? c.life : below(3) ? 0 : 200 + (int)below(600);
      // Every other time, the first to begin with, it goes on in another machine; timers would not wake it there.
      bool waits = false;
      for (unsigned i = 0; ends[m] > 0 && i < all[m].plan.vcpus; i++) waits |= all[m].plan.activity[i] & WAIT;
      onward[m] = ends[m] > 0 && !onward[m];
      if (onward[m] && !waits) {
        wrong += transfer(&all[m], kvm);
        ends[m] = life ? now() + life / 1e3 : end + 1;
        continue;
      }
      if (ends[m] > 0) wrong += finish(&all[m]);
      ends[m] = life ? now() + life / 1e3 : end + 1;
      struct plan plan = plan_of(&c, number++);
      start(&all[m], kvm, &plan);
    }
    usleep(move_every ? move_every : 2000);
    struct machine *m = &all[below(machines)];
    struct vcpu *v = &m->vcpus[below(m->plan.vcpus)];
    if (move_every) move(v, pcpus);
    if (pause_for && turn % 16 == 0) {
      v->pause = pause_for;
      kick(v);
    }
  }
  for (int m = 0; m < machines; m++)
    if (ends[m] > 0) wrong += finish(&all[m]);
  return wrong != 0;
}
