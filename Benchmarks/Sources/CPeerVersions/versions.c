#include "CPeerVersions.h"

const char *const peer_grpc_version = GRPC_VERSION;
const char *const peer_grpc_transport_version = GRPC_TRANSPORT_VERSION;
const char *const peer_nio_version = NIO_VERSION;
