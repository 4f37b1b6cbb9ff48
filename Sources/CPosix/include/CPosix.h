// What the Swift modules need of POSIX and Linux that Swift cannot reach, or not plainly, by itself.
#ifndef CHANCERY_CPOSIX_H
#define CHANCERY_CPOSIX_H

#include "chancery_spawn.h"
#include "chancery_terminal.h"
#include "chancery_thread.h"
#include "chancery_wait.h"

#endif
