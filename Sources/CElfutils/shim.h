#pragma once
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <gelf.h>
#include <libelf.h>
#include <sys/syscall.h>
#include <unistd.h>

/* An anonymous file in memory, closed on exec: Swift's Glibc module lacks memfd_create. */
static inline int anonymous_file(const char *name) {
  return (int)syscall(SYS_memfd_create, name, 1u /* MFD_CLOEXEC */);
}
