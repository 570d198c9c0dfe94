#include <stddef.h>
#include <stdint.h>

// libFuzzer as a library (llvm/docs/LibFuzzer.rst, "Using libFuzzer as a library").
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t size));
