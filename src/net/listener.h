/* Where clients come in: a URL, and the listening socket behind it. The main thread opens listeners before other
 * threads start, so that a port in use is reported at once.
 *
 *   tcp://HOST[:PORT]        plain MQTT, port 1883 where none is given; mqtt:// is the same
 *   tls://HOST[:PORT]        MQTT over TLS, 8883; mqtts:// is the same
 *   ws://HOST:PORT[/PATH]    MQTT over WebSocket, /mqtt where no path is given; the port has no default, for the ports
 *   wss://HOST:PORT[/PATH]   of HTTP are taken on most machines, and MQTT has none of its own here
 *   unix:///PATH             plain MQTT over a unix stream socket
 *
 * HOST is an IPv4 address, an IPv6 address in brackets, or a name, which becomes one listener for each of its
 * addresses.
 * [::] takes IPv4 as well, as on most servers, unless another listener has the same port of an IPv4 address
 * (`dual_stack`); IPv4 clients are then known by their IPv4 address. Any other IPv6 address takes IPv6 only. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "base/error.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define LISTENER_PATH_BYTES_MAX 256u
/* A host name has up to 253 characters; scheme, port and brackets are the rest. */
#define LISTENER_URL_BYTES_MAX (272u + LISTENER_PATH_BYTES_MAX)
/* Addresses of one name. */
#define LISTENER_ADDRESSES_MAX 8

enum listener_scheme { LISTENER_TCP, LISTENER_TLS, LISTENER_WS, LISTENER_WSS, LISTENER_UNIX };

struct listener {
	char asked[LISTENER_URL_BYTES_MAX]; /* as it was configured: of each of a name's addresses the same */
	char url[LISTENER_URL_BYTES_MAX];   /* with the port that the kernel chose where 0 was asked for */
	char path[LISTENER_PATH_BYTES_MAX]; /* ws://, wss://: of the request; unix://: of the socket; else "" */
	struct sockaddr_storage address;
	socklen_t address_bytes; /* 0: the URL has a host name that is not resolved yet */
	uint8_t scheme;          /* enum listener_scheme */
	uint8_t settings;        /* the place in settings->listener_settings[]; whoever fills those sets it */
	bool named;              /* its URL had a host name */
	bool loopback;           /* bound to an address that only this machine reaches */
	bool dual_stack;         /* [::], and IPv4 as well */
	uint64_t file[2];        /* unix://: device and inode of the socket's file once it is bound */
	int fd;
};

struct listener_options {
	int backlog;        /* the kernel caps it at net.core.somaxconn */
	int defer_accept_s; /* TCP_DEFER_ACCEPT: a connection is reported when its first bytes are there; 0: off */
	uint32_t idle_s;    /* net/health.h; 0: the system's default */
	bool waits;         /* bound, and connections are refused until listener_listen() */
	/* Of the file of a unix socket: */
	mode_t mode; /* 0: 0660 */
	uid_t owner; /* (uid_t)-1: the process's */
	gid_t group; /* (gid_t)-1: likewise */
};

static inline bool listener_is_tls(const struct listener *listener)
{
	return listener->scheme == LISTENER_TLS || listener->scheme == LISTENER_WSS;
}

static inline bool listener_is_websocket(const struct listener *listener)
{
	return listener->scheme == LISTENER_WS || listener->scheme == LISTENER_WSS;
}

/* Reads a URL as above. ERROR_LIMIT: *fault says what is wrong (static storage). */
enum error listener_parse(const char *url, struct listener *listener, const char **fault);
/* Finds the addresses behind a listener's host name, each once and each with a URL of its own, at most
 * LISTENER_ADDRESSES_MAX of them; of a listener without a host name, itself. Blocks while the system's resolver looks
 * for the name. Returns how many; 0: there are none, and *fault says why (static storage). */
size_t listener_resolve(const struct listener *listener, struct listener found[LISTENER_ADDRESSES_MAX],
			const char **fault);
/* Writes the URL anew, with the address in numbers. */
void listener_write_url(struct listener *listener, const struct sockaddr *address, socklen_t size);
/* Binds and listens; errno says why not (ERROR_SYSTEM). A unix socket's file that a server left behind is replaced;
 * where one listens on it, that is EADDRINUSE, and where it is no socket, EEXIST. Changes the umask for a moment. */
enum error listener_open(struct listener *listener, struct listener_options options);
/* Listens, if listener_open() was to leave that for later. errno says why not (ERROR_SYSTEM): another process may have
 * come to listen on the address meanwhile. */
enum error listener_listen(const struct listener *listener, int backlog);
void listener_close(struct listener *listener);
/* Removes the file of a unix socket, if it is still this listener's own. */
void listener_unlink(const struct listener *listener);
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
