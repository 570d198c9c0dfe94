#pragma once
/* What only the one who builds can know: `.ci/release` says it with -Xcc -D. A build of a working tree, which may hold
 * anything, says neither. */
#ifndef PTRAUTH_TRACE_COMMIT
#define PTRAUTH_TRACE_COMMIT ""
#endif
#ifndef PTRAUTH_TRACE_SWIFT
#define PTRAUTH_TRACE_SWIFT ""
#endif
