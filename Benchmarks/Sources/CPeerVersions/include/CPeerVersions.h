// The versions of the packages that are measured, as Package.swift pins them.
#pragma once

extern const char *const peer_grpc_version;
extern const char *const peer_grpc_transport_version;
extern const char *const peer_nio_version;
