#pragma once
#include <sys/syscall.h>
#include <unistd.h>

/* memfd_create(2): glibc declares it with _GNU_SOURCE only, which Swift does not set. 1: MFD_CLOEXEC. */
static inline int unnamed_memory_file(const char *name) {
  return (int)syscall(SYS_memfd_create, name, 1u);
}
