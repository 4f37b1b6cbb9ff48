#ifndef CHANCERY_WAIT_H
#define CHANCERY_WAIT_H

#include <stdint.h>

// A descriptor that one thread can wait on and any other can make readable. Returns -1 with errno set on failure.
int chancery_wake_open(void);

// Makes the descriptor readable. Never blocks: the counter cannot reach its limit, since the waiter resets it.
void chancery_wake_signal(int wake);

// Makes the descriptor unreadable again.
void chancery_wake_clear(int wake);

// Waits until `fd` (ignored when negative) shows one of `events`, `wake` is readable, or `timeout_ns` nanoseconds
// (negative: for ever) have passed. Returns a mask: 1 = fd is ready (also on error and hang-up: the next read tells),
// 2 = wake is readable; 0 = time is up, or a signal came; -1 = the call failed, errno says why.
int chancery_wait(int fd, short events, int wake, int64_t timeout_ns);

// Whether the descriptor has something to read, an error or a hang-up now. Never blocks.
int chancery_readable(int fd);

// The pending error of a socket (0: none), as after a non-blocking connect.
int chancery_socket_error(int fd);

#endif
