/* Where clients come in: a URL such as tcp://127.0.0.1:1883, tcp://[::1]:1883 or tcp://localhost:1883, and the
 * listening socket behind it. The main thread opens listeners before other threads start, so that a port in use is
 * reported at once. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "base/error.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* A host name has up to 253 characters. */
#define LISTENER_URL_BYTES_MAX 272
/* Addresses of one name. */
#define LISTENER_ADDRESSES_MAX 8

struct listener {
	char url[LISTENER_URL_BYTES_MAX]; /* with the port that the kernel chose where 0 was asked for */
	struct sockaddr_storage address;
	socklen_t address_bytes; /* 0: the URL has a host name that is not resolved yet */
	bool named;              /* its URL had a host name */
	bool loopback;           /* bound to an address that only this machine reaches */
	int fd;
};

struct listener_options {
	int backlog;        /* the kernel caps it at net.core.somaxconn */
	int defer_accept_s; /* TCP_DEFER_ACCEPT: a connection is reported when its first bytes are there; 0: off */
	uint32_t idle_s;    /* net/health.h; 0: the system's default */
};

/* Reads scheme, address or host name, and port. ERROR_LIMIT: *fault says what is wrong (static storage). */
enum error listener_parse(const char *url, struct listener *listener, const char **fault);
/* Finds the addresses behind a listener's host name, each once and each with a URL of its own, at most
 * LISTENER_ADDRESSES_MAX of them; of a listener without a host name, itself. Blocks while the system's resolver looks
 * for the name. Returns how many; 0: there are none, and *fault says why (static storage). */
size_t listener_resolve(const struct listener *listener, struct listener found[LISTENER_ADDRESSES_MAX],
			const char **fault);
/* Binds and listens; errno says why not (ERROR_SYSTEM). */
enum error listener_open(struct listener *listener, struct listener_options options);
void listener_close(struct listener *listener);
/* Closes the descriptor in the calling thread's own table; the listener goes on in the tables of others. */
void listener_close_copy(const struct listener *listener);

enum listener_result {
	LISTENER_ACCEPTED,
	LISTENER_EMPTY, /* nobody waits */
	LISTENER_AGAIN, /* this one is gone already: there may be another */
	LISTENER_SHORT, /* of descriptors or of memory: those who wait stay in the kernel's queue */
};

/* Takes the next connection, as a descriptor in the calling thread's table that does not block, and its peer's address.
 * Any thread. */
enum listener_result listener_accept(const struct listener *listener, int *fd, struct sockaddr_storage *peer);

#endif
