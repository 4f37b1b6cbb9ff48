// hiredis, the C client library of Redis (package libhiredis-dev, 0.14 or newer).
#ifndef CHANCERY_CHIREDIS_H
#define CHANCERY_CHIREDIS_H

#include <hiredis/hiredis.h>

#endif
