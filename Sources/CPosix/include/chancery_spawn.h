#ifndef CHANCERY_SPAWN_H
#define CHANCERY_SPAWN_H

#include <sys/types.h>

// Starts a program as the leader of a new process group, with no blocked signal and default dispositions.
//
// `arguments` is the NULL-terminated argument vector (its first element is looked up in PATH unless it has a slash),
// `environment` the NULL-terminated environment. Standard input is /dev/null; standard output and error go to `output`
// (a descriptor, or -1 for /dev/null); no other descriptor is inherited.
//
// When the calling *thread* ends, the kernel sends `death_signal` (0: none) to the child: call from a thread that
// lives as long as the process. The kernel forgets the setting if the program gains privileges, and keeps it across
// `unshare -U`; a program that changes its user (setpriv) must set it again.
//
// Returns 0 with the process id in `*process`, or an errno value, also when the program could not be executed.
int chancery_spawn(const char *const arguments[], const char *const environment[], int output, int death_signal,
                   pid_t *process);

#endif
