#ifndef CHANCERY_THREAD_H
#define CHANCERY_THREAD_H

// Starts a detached thread that runs `body(context)` with every signal blocked, so that no signal handler of the
// process ever runs on it and a SIGPIPE raised by a library's write() cannot end the process. The name is cut to the
// 15 bytes that Linux keeps. Returns 0, or an errno value if no thread could be made (`body` is then never called).
int chancery_thread_start(const char *name, void (*body)(void *context), void *context);

// How many cores this process may run on, at least 1.
int chancery_available_cores(void);

#endif
