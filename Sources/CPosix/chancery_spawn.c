#define _GNU_SOURCE
#include "chancery_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Runs in the child, after fork in a threaded process: only async-signal-safe calls (execvpe of glibc is one in
// practice: it allocates nothing for names that fit its buffer on the stack).
static void become(const char *const arguments[], const char *const environment[], int output, int death_signal,
                   pid_t parent, int report) {
  setpgid(0, 0);
  struct sigaction standard;
  memset(&standard, 0, sizeof standard);
  standard.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; number++) sigaction(number, &standard, NULL);
  if (death_signal != 0) {
    if (prctl(PR_SET_PDEATHSIG, death_signal) < 0) goto failed;
    // The parent may have died before the setting took hold: then nobody would ever send the signal.
    if (getppid() != parent) _exit(127);
  }
  int null = open("/dev/null", O_RDWR);
  if (null < 0 || dup2(null, 0) < 0) goto failed;
  if (dup2(output < 0 ? null : output, 1) < 0 || dup2(1, 2) < 0) goto failed;
  // `report` closes by itself on exec; everything else above standard error closes here.
  if (report > 3 && syscall(SYS_close_range, 3, report - 1, 0) < 0) goto failed;
  if (syscall(SYS_close_range, report + 1, ~0U, 0) < 0) goto failed;
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execvpe(arguments[0], (char *const *)arguments, (char *const *)environment);
failed:;
  int error = errno;
  ssize_t written = write(report, &error, sizeof error);
  _exit(written == sizeof error ? 127 : 126);
}

int chancery_spawn(const char *const arguments[], const char *const environment[], int output, int death_signal,
                   pid_t *process) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) < 0) return errno;
  // No handler of the parent may run in the child before it has put the dispositions back.
  sigset_t all, previous;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &previous);
  pid_t parent = getpid();
  pid_t child = fork();
  int fork_error = errno;
  if (child == 0) become(arguments, environment, output, death_signal, parent, report[1]);
  pthread_sigmask(SIG_SETMASK, &previous, NULL);
  close(report[1]);
  if (child < 0) {
    close(report[0]);
    return fork_error;
  }
  int error = 0;
  ssize_t count;
  do count = read(report[0], &error, sizeof error);
  while (count < 0 && errno == EINTR);
  close(report[0]);
  if (count == 0) {  // the pipe closed on exec: the program runs
    *process = child;
    return 0;
  }
  while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
  }
  return count == sizeof error ? error : EIO;
}
