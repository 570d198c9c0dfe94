#pragma once
#include <linux/stat.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* memfd_create(2): glibc declares it with _GNU_SOURCE only, which Swift does not set. 1: MFD_CLOEXEC. */
static inline int unnamed_memory_file(const char *name) {
  return (int)syscall(SYS_memfd_create, name, 1u);
}

/* signalfd(2), closed on exec. */
static inline int signal_file(const sigset_t *signals) {
  return signalfd(-1, signals, SFD_CLOEXEC);
}

/* The file is of tracefs or debugfs (TRACEFS_MAGIC, DEBUGFS_MAGIC of linux/magic.h). */
static inline int is_trace_file(const char *path) {
  struct statfs status;
  return statfs(path, &status) == 0 && (status.f_type == 0x74726163 || status.f_type == 0x64626720);
}

/* pipe2(2), closed on exec. */
static inline int closed_pipe(int ends[2]) { return (int)syscall(SYS_pipe2, ends, 02000000); }

/* How many columns a terminal has, by ioctl(2), which is variadic; 0: it is none, or does not know. */
static inline int terminal_columns(int descriptor) {
  struct winsize size;
  return ioctl(descriptor, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/* sched_getaffinity(2), which glibc declares with _GNU_SOURCE only: on how many CPUs this process may run; 0: it does
 * not say, or there are more than 8192. */
static inline int usable_cpus(void) {
  unsigned char set[1024];
  long size = syscall(SYS_sched_getaffinity, 0, sizeof set, set);
  int count = 0;
  for (long i = 0; i < size; i++) count += __builtin_popcount(set[i]);
  return count;
}

/* prctl(2), which is variadic: no core file of this process, nor of what it forks without exec. */
static inline void leave_no_core(void) { prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

/* open(2) of a file without a name, on the file system of a directory: O_TMPFILE | O_RDWR | O_CLOEXEC. Of
 * O_TMPFILE the part that is O_DIRECTORY has another value on arm. */
static inline int unnamed_file(const char *directory) {
#if defined(__aarch64__) || defined(__arm__)
  int directory_only = 040000;
#else
  int directory_only = 0200000;
#endif
  return (int)syscall(SYS_openat, -100, directory, 020000000 | directory_only | 02 | 02000000, 0644);
}

/* When a file was made, in nanoseconds, by statx(2); 0: the file system does not say. An inode's number is given
 * to another file as soon as its own is gone; this with it is not. */
static inline long long birth_time(int directory, const char *path, int flags) {
  struct statx status;
  if (syscall(SYS_statx, directory, path, flags, STATX_BTIME, &status) != 0) return 0;
  if (!(status.stx_mask & STATX_BTIME)) return 0;
  return status.stx_btime.tv_sec * 1000000000ll + status.stx_btime.tv_nsec;
}
static inline long long birth_time_of_path(const char *path) { return birth_time(-100, path, 0); }
/* 0x1000: AT_EMPTY_PATH. */
static inline long long birth_time_of_open(int descriptor) { return birth_time(descriptor, "", 0x1000); }
