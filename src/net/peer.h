/* The address at the other end of a connection, as it is logged and shown. Any thread; peer_of_stream() by the owner of
 * the streams. */
#ifndef NET_PEER_H
#define NET_PEER_H

#include "net/stream.h"

#include <netinet/in.h>

union peer {
	struct sockaddr any; /* sa_family is AF_UNSPEC where the address is not known, or has no IP (a unix socket) */
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* "192.0.2.1:1883", "[2001:db8::1]:1883", "unknown". */
#define PEER_TEXT_BYTES_MAX 64

union peer peer_of_address(const struct sockaddr_storage *address);
/* Asks the kernel, which knows the address after a reset too. Of STREAM_NONE it is not known. */
union peer peer_of_stream(struct streams *streams, struct stream stream);
/* The same of a descriptor, which may be -1. */
union peer peer_of_socket(int fd);
/* Returns text. */
const char *peer_print(const union peer *peer, char text[PEER_TEXT_BYTES_MAX]);

#endif
