/* The other end of a connection, as it is logged and shown: an address, or the process at the other end of a unix
 * socket. Any thread; peer_of_stream() by the owner of the streams. */
#ifndef NET_PEER_H
#define NET_PEER_H

#include "net/stream.h"

#include <netinet/in.h>
#include <sys/types.h>

/* The process that connected, as the kernel says (SO_PEERCRED). */
struct peer_process {
	sa_family_t family; /* AF_UNIX */
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

union peer {
	struct sockaddr any; /* sa_family is AF_UNSPEC where nothing is known */
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct peer_process process;
};

/* "192.0.2.1:1883", "[2001:db8::1]:1883", "unix:uid=1000,pid=4711", "unknown". */
#define PEER_TEXT_BYTES_MAX 64

/* An IPv4 address in IPv6's form (::ffff:192.0.2.1), as a dual stack has it, becomes IPv4. Of a unix socket nothing is
 * known by its address. */
union peer peer_of_address(const struct sockaddr_storage *address);
/* Asks the kernel, which knows the address after a reset too. Of STREAM_NONE it is not known. */
union peer peer_of_stream(struct streams *streams, struct stream stream);
/* The same of a descriptor, which may be -1. */
union peer peer_of_socket(int fd);
/* The address as socket calls have it; AF_UNSPEC where it is none of the internet's. */
struct sockaddr_storage peer_address(const union peer *peer);
/* Whether only this machine has such peers: 127.0.0.0/8, ::1, a process. */
bool peer_is_local(const union peer *peer);
/* Returns text. */
const char *peer_print(const union peer *peer, char text[PEER_TEXT_BYTES_MAX]);

#endif
