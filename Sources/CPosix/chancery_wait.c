#define _GNU_SOURCE
#include "chancery_wait.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int chancery_wake_open(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

void chancery_wake_signal(int wake) {
  uint64_t one = 1;
  while (write(wake, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void chancery_wake_clear(int wake) {
  uint64_t count;
  while (read(wake, &count, sizeof count) < 0 && errno == EINTR) {
  }
}

int chancery_wait(int fd, short events, int wake, int64_t timeout_ns) {
  struct pollfd descriptors[2] = {{.fd = wake, .events = POLLIN}, {.fd = fd, .events = events}};
  struct timespec timeout = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
  int count = ppoll(descriptors, 2, timeout_ns < 0 ? NULL : &timeout, NULL);
  if (count < 0) return errno == EINTR ? 0 : -1;
  return (descriptors[1].revents != 0 ? 1 : 0) | (descriptors[0].revents != 0 ? 2 : 0);
}

int chancery_readable(int fd) {
  struct pollfd descriptor = {.fd = fd, .events = POLLIN};
  return poll(&descriptor, 1, 0) != 0;
}

int chancery_socket_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}
