#pragma once
/* What only the one who builds can know: `.ci/release` writes it into the copy that it builds. A build of a working
 * tree, which may hold anything, says neither. */
#define PTRAUTH_TRACE_COMMIT ""
#define PTRAUTH_TRACE_SWIFT ""
