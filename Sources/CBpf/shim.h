#pragma once
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stddef.h>

/* Swift does not import the anonymous union of struct btf_type, nor arrays behind a struct. The callers keep
   `index` below btf_vlen(): libbpf has checked that so many elements are in the data. */
static inline __u32 btf_shim_reference(const struct btf_type *t) { return t->type; }
static inline __u32 btf_shim_size(const struct btf_type *t) { return t->size; }
static inline struct btf_member btf_shim_member(const struct btf_type *t, __u32 index) {
  return btf_members(t)[index];
}
static inline struct btf_array btf_shim_array(const struct btf_type *t) { return *btf_array(t); }
static inline __u32 btf_shim_enumerator_name(const struct btf_type *t, __u32 index) {
  return btf_is_enum64(t) ? btf_enum64(t)[index].name_off : btf_enum(t)[index].name_off;
}
/* kind_flag: the enumeration is signed; an unsigned 32-bit value must not be sign-extended. */
static inline __s64 btf_shim_enumerator_value(const struct btf_type *t, __u32 index) {
  if (btf_is_enum64(t)) return (__s64)btf_enum64_value(&btf_enum64(t)[index]);
  return btf_kflag(t) ? (__s64)btf_enum(t)[index].val : (__s64)(__u32)btf_enum(t)[index].val;
}

static inline int btf_shim_silent(enum libbpf_print_level level, const char *format, va_list arguments) {
  (void)level, (void)format, (void)arguments;
  return 0;
}
/* libbpf complains of damaged data on standard error unless told otherwise. */
static inline void btf_shim_silence(void) { libbpf_set_print(btf_shim_silent); }
