/* SPDX-License-Identifier: GPL-2.0-or-later OR MIT */
#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "qemu/thread.h"
#include "qemu/error-report.h"
#include "cpu.h"
#include "internals.h"
#include "exec/exec-all.h"
#include "exec/cpu_ldst.h"
#include "exec/helper-proto.h"
#include "truth.h"
#include <sys/random.h>

#define MOST_CPUS 64
#define MOST_FUNCTIONS 32
#define KEY_REGISTERS 10

bool truth_on;
static FILE *log_file;
static QemuMutex log_lock;
static uint64_t lines;
static uint8_t salt[32];
static struct { uint64_t pc; char *name; bool has_features; } functions[MOST_FUNCTIONS];
static int function_count;
/* Where the features of a vCPU are: at inner, of what outer points to if it is not negative. */
static int64_t features_outer = -1, features_inner = -1;

/* Since this CPU's last line; a bit for each key register. The guest's: since its last exit. */
static struct {
    unsigned read, written, guest_read, guest_written;
    uint64_t guest_signs;
} since[MOST_CPUS];

static void read_functions(const char *words)
{
    g_auto(GStrv) parts = g_strsplit(words, ",", -1);

    for (char **part = parts; *part && function_count < MOST_FUNCTIONS; part++) {
        char *colon = strchr(*part, ':');

        if (!colon) {
            continue;
        }
        functions[function_count].pc = strtoull(*part, NULL, 16);
        functions[function_count].name = g_strdup(colon + 1);
        functions[function_count].has_features = !strcmp(colon + 1, "kvm_arch_vcpu_load");
        function_count++;
    }
}

void truth_begin(void)
{
    static bool begun;
    const char *path = getenv("PTRAUTH_TRUTH_LOG");
    const char *words = getenv("PTRAUTH_TRUTH_FUNCTIONS");
    const char *features = getenv("PTRAUTH_TRUTH_FEATURES");

    if (begun || !path) {
        return;
    }
    begun = true;
    log_file = fopen(path, "w");
    if (!log_file || getrandom(salt, sizeof salt, 0) != sizeof salt) {
        error_report("PTRAUTH_TRUTH_LOG=%s: %s", path, strerror(errno));
        exit(1);
    }
    setvbuf(log_file, NULL, _IOFBF, 1 << 20);
    qemu_mutex_init(&log_lock);
    read_functions(words ? words : "");
    if (features && strchr(features, ':')) {
        features_outer = strtoll(features, NULL, 0);
        features_inner = strtoll(strchr(features, ':') + 1, NULL, 0);
    } else if (features) {
        features_inner = strtoll(features, NULL, 0);
    }
    truth_on = true;
}

static int number_of(CPUARMState *env)
{
    return env_cpu(env)->cpu_index % MOST_CPUS;
}

static bool is_guest(CPUARMState *env, int el)
{
    return env->cp15.vttbr_el2 != 0 && (el == 1 || (el == 0 && !(env->cp15.hcr_el2 & HCR_TGE)));
}

/* The ten registers as one number that tells whether they are the same, and nothing else. */
static void put_keys(CPUARMState *env)
{
    const uint64_t keys[KEY_REGISTERS] = {
        env->keys.apia.lo, env->keys.apia.hi, env->keys.apib.lo, env->keys.apib.hi, env->keys.apda.lo,
        env->keys.apda.hi, env->keys.apdb.lo, env->keys.apdb.hi, env->keys.apga.lo, env->keys.apga.hi,
    };
    uint8_t digest[32];
    gsize size = sizeof digest;
    GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);

    g_checksum_update(sum, salt, sizeof salt);
    g_checksum_update(sum, (const guchar *)keys, sizeof keys);
    g_checksum_get_digest(sum, digest, &size);
    g_checksum_free(sum);
    fprintf(log_file, " k=%016" PRIx64 "\n", ldq_be_p(digest));
}

static void begin_line(CPUARMState *env, const char *event)
{
    qemu_mutex_lock(&log_lock);
    fprintf(log_file, "%" PRIu64 " cpu=%d cnt=%" PRIu64 " ev=%s hcr=%" PRIx64 " vttbr=%" PRIx64, lines++,
            number_of(env), qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) / gt_cntfrq_period_ns(env_archcpu(env)), event,
            env->cp15.hcr_el2, env->cp15.vttbr_el2);
}

static void end_line(CPUARMState *env)
{
    int n = number_of(env);

    fprintf(log_file, " kr=%x kw=%x", since[n].read, since[n].written);
    since[n].read = since[n].written = 0;
    put_keys(env);
    qemu_mutex_unlock(&log_lock);
}

void truth_enter(CPUARMState *env, int to)
{
    if (!truth_on || !is_guest(env, to)) {
        return;
    }
    begin_line(env, "ENTER");
    fprintf(log_file, " el=%d", to);
    end_line(env);
}

void truth_exit(CPUARMState *env, int from, int exception)
{
    int n = number_of(env);
    bool interrupt = exception == EXCP_IRQ || exception == EXCP_FIQ;

    if (!truth_on || !is_guest(env, from)) {
        return;
    }
    begin_line(env, "EXIT");
    fprintf(log_file, " el=%d esr=%" PRIx64 " gpac=%" PRIu64 " gkr=%x gkw=%x", from,
            interrupt ? 0 : (uint64_t)env->exception.syndrome, since[n].guest_signs, since[n].guest_read,
            since[n].guest_written);
    since[n].guest_signs = since[n].guest_read = since[n].guest_written = 0;
    end_line(env);
}

void truth_sign(CPUARMState *env)
{
    if (truth_on && is_guest(env, arm_current_el(env))) {
        since[number_of(env)].guest_signs++;
    }
}

static void note_key(CPUARMState *env, const ARMCPRegInfo *ri, bool write)
{
    int el = arm_current_el(env), n = number_of(env);
    unsigned bit = 1u << ((ri->fieldoffset - offsetof(CPUARMState, keys)) / sizeof(uint64_t));

    if (el == 2) {
        *(write ? &since[n].written : &since[n].read) |= bit;
    } else if (is_guest(env, el)) {
        *(write ? &since[n].guest_written : &since[n].guest_read) |= bit;
    }
}

uint64_t truth_read_key(CPUARMState *env, const ARMCPRegInfo *ri)
{
    note_key(env, ri, false);
    return CPREG_FIELD64(env, ri);
}

void truth_write_key(CPUARMState *env, const ARMCPRegInfo *ri, uint64_t value)
{
    note_key(env, ri, true);
    CPREG_FIELD64(env, ri) = value;
}

bool truth_is_function(uint64_t pc)
{
    for (int i = 0; i < function_count; i++) {
        if (functions[i].pc == pc) {
            return true;
        }
    }
    return false;
}

void HELPER(truth_function)(CPUARMState *env, uint64_t pc)
{
    uint64_t features = 0, at = env->xregs[0];
    int i = 0;

    while (i < function_count && functions[i].pc != pc) {
        i++;
    }
    if (i == function_count) {
        return;
    }
    if (functions[i].has_features && features_inner >= 0) {
        if (features_outer >= 0) {
            at = cpu_ldq_data_ra(env, at + features_outer, GETPC());
        }
        features = cpu_ldq_data_ra(env, at + features_inner, GETPC());
    }
    begin_line(env, functions[i].name);
    fprintf(log_file, " x0=%" PRIx64 " x1=%" PRIx64 " esr_el2=%" PRIx64, env->xregs[0], env->xregs[1],
            env->cp15.esr_el[2]);
    if (functions[i].has_features && features_inner >= 0) {
        fprintf(log_file, " feat=%" PRIx64, features);
    }
    end_line(env);
}
