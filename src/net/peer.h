/* The address at the other end of a connection, as it is logged and shown. Any thread. */
#ifndef NET_PEER_H
#define NET_PEER_H

#include <netinet/in.h>

union peer {
	struct sockaddr any; /* sa_family AF_UNSPEC: it is not known */
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* "192.0.2.1:1883", "[2001:db8::1]:1883", "unknown". */
#define PEER_TEXT_BYTES_MAX 64

union peer peer_of_address(const struct sockaddr_storage *address);
/* Asks the kernel, which knows it after a reset too. fd may be -1. */
union peer peer_of_socket(int fd);
/* Returns text. */
const char *peer_print(const union peer *peer, char text[PEER_TEXT_BYTES_MAX]);

#endif
