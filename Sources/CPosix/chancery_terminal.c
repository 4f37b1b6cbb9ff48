#define _GNU_SOURCE
#include "chancery_terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include "chancery_wait.h"

static const struct {
  int number;
  int bit;
} watched[] = {
    {SIGWINCH, CHANCERY_SIGNAL_RESIZED}, {SIGTSTP, CHANCERY_SIGNAL_SUSPEND}, {SIGCONT, CHANCERY_SIGNAL_CONTINUED},
    {SIGINT, CHANCERY_SIGNAL_INTERRUPT}, {SIGTERM, CHANCERY_SIGNAL_END},     {SIGHUP, CHANCERY_SIGNAL_END},
};
static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGQUIT, SIGSYS};

enum { watched_count = sizeof watched / sizeof *watched, fatal_count = sizeof fatal / sizeof *fatal };

// Written before the handlers are installed and before `taken` is set; only read after that.
static struct sigaction watched_before[watched_count], fatal_before[fatal_count];
static struct termios settings;
static char restore_bytes[512];
static size_t restore_length;
static int wake_descriptor, errors_before, errors_held;
static atomic_int taken, came;

static void note(int number) {
  int error = errno;
  for (int index = 0; index < watched_count; index++)
    if (watched[index].number == number) atomic_fetch_or(&came, watched[index].bit);
  chancery_wake_signal(wake_descriptor);
  errno = error;
}

// Only async-signal-safe calls: runs in handlers too. A write that fails has nobody left to be told.
static void put_back(int writes) {
  if (!atomic_exchange(&taken, 0)) return;
  ssize_t ignored = 0;
  if (writes) ignored = write(STDOUT_FILENO, restore_bytes, restore_length);
  // From the background this would stop the process for good.
  sigset_t output, before;
  sigemptyset(&output);
  sigaddset(&output, SIGTTOU);
  pthread_sigmask(SIG_BLOCK, &output, &before);
  tcsetattr(STDIN_FILENO, TCSANOW, &settings);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  dup2(errors_before, STDERR_FILENO);
  off_t size = lseek(errors_held, 0, SEEK_END);
  off_t start = size > (64 << 10) ? size - (64 << 10) : 0;
  char part[4096];
  for (ssize_t count; (count = pread(errors_held, part, sizeof part, start)) > 0; start += count)
    ignored = write(STDERR_FILENO, part, (size_t)count);
  (void)ignored;
  close(errors_held);
  close(errors_before);
}

static void put_back_at_exit(void) { put_back(1); }

// Puts the terminal back, and lets come what would have come.
static void crash(int number) {
  put_back(1);
  for (int index = 0; index < fatal_count; index++) sigaction(fatal[index], &fatal_before[index], NULL);
  raise(number);
}

int chancery_terminal_take(int wake, const char *restore, size_t length) {
  if (atomic_load(&taken)) return EBUSY;
  if (length > sizeof restore_bytes) return E2BIG;
  if (tcgetattr(STDIN_FILENO, &settings) < 0) return errno;
  errors_held = memfd_create("standard error", MFD_CLOEXEC);
  if (errors_held < 0) return errno;
  errors_before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  if (errors_before < 0 || fcntl(errors_held, F_SETFL, O_APPEND) < 0 || dup2(errors_held, STDERR_FILENO) < 0) {
    int error = errno;
    close(errors_held);
    if (errors_before >= 0) close(errors_before);
    return error;
  }
  memcpy(restore_bytes, restore, length);
  restore_length = length;
  wake_descriptor = wake;
  atomic_store(&came, 0);
  atomic_store(&taken, 1);
  static int is_registered;
  if (!is_registered) is_registered = atexit(put_back_at_exit) == 0;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_flags = SA_RESTART;
  action.sa_handler = note;
  for (int index = 0; index < watched_count; index++) sigaction(watched[index].number, &action, &watched_before[index]);
  action.sa_flags = SA_ONSTACK;
  action.sa_handler = crash;
  for (int index = 0; index < fatal_count; index++) sigaction(fatal[index], &action, &fatal_before[index]);
  return 0;
}

int chancery_terminal_is_taken(void) { return atomic_load(&taken); }

int chancery_terminal_signals(void) { return atomic_exchange(&came, 0); }

void chancery_terminal_give_back(void) {
  put_back(0);
  for (int index = 0; index < fatal_count; index++) sigaction(fatal[index], &fatal_before[index], NULL);
  for (int index = 0; index < watched_count; index++) sigaction(watched[index].number, &watched_before[index], NULL);
}

// Sent to this thread, so that it goes no further before the process has stopped.
void chancery_terminal_stop(void) { raise(SIGSTOP); }

void chancery_terminal_size(int *columns, int *lines) {
  struct winsize size;
  memset(&size, 0, sizeof size);
  int result = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
  *columns = result < 0 ? 0 : size.ws_col;
  *lines = result < 0 ? 0 : size.ws_row;
}
