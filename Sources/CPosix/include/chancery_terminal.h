#ifndef CHANCERY_TERMINAL_H
#define CHANCERY_TERMINAL_H

#include <stddef.h>

// What came since the last look; see `chancery_terminal_signals`.
enum {
  CHANCERY_SIGNAL_RESIZED = 1,    // SIGWINCH
  CHANCERY_SIGNAL_SUSPEND = 2,    // SIGTSTP
  CHANCERY_SIGNAL_CONTINUED = 4,  // SIGCONT
  CHANCERY_SIGNAL_INTERRUPT = 8,  // SIGINT
  CHANCERY_SIGNAL_END = 16,       // SIGTERM, SIGHUP
};

// Takes charge of the terminal that is standard input and output, once at a time: remembers its settings, takes the
// signals above, each of which makes `wake` readable (see chancery_wait.h), and keeps what is written to standard error
// in memory, so that it does not disturb the screen. If the process crashes or exits, the terminal is put back:
// `restore` (of `length` bytes, at most 512) is written to it, and it gets its settings again. Returns 0 or an errno
// value.
int chancery_terminal_take(int wake, const char *restore, size_t length);

// Whether it has not been put back since.
int chancery_terminal_is_taken(void);

// The signals that came since the last call.
int chancery_terminal_signals(void);

// Gives the terminal back, which the caller has left: its settings, the signals as they were, and what was written to
// standard error meanwhile (the last 64 KiB).
void chancery_terminal_give_back(void);

// Stops the process as SIGTSTP would, until it is continued.
void chancery_terminal_stop(void);

// Columns and lines, or 0 if the system does not know them.
void chancery_terminal_size(int *columns, int *lines);

#endif
