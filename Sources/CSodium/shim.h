/*
 * How libsodium is reached from Swift, and the one system call that keeps a process's secrets out of core dumps and
 * debuggers: prctl is variadic, which Swift cannot call.
 */
#ifndef CHANCERY_CSODIUM_SHIM_H
#define CHANCERY_CSODIUM_SHIM_H

#include <sodium.h>
#include <sys/prctl.h>

/* Forbids core dumps of this process, and ptrace by others of the same user. 0 on success, else errno is set. */
static inline int chancery_forbid_dumps(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

/* 1 if this process may be dumped and traced, 0 if not. */
static inline int chancery_may_be_dumped(void) { return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0); }

#endif
