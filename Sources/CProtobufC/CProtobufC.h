// libprotobuf-c as a Swift module.
#ifndef CHANCERY_CPROTOBUFC_H
#define CHANCERY_CPROTOBUFC_H

// protoc-c marks the struct members of deprecated fields; a deprecated field must still be converted without a warning.
#define PROTOBUF_C__NO_DEPRECATED

#include <protobuf-c/protobuf-c.h>
#include <string.h>

// Overwrites secrets: unlike memset, explicit_bzero is not optimised away before a free.
static inline void chancery_wipe(void *bytes, size_t count) {
  explicit_bzero(bytes, count);
}

#endif
