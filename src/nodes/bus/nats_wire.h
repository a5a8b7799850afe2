/* One connection to NATS: libnats' own, with the subscriptions of the bus. The dial (nodes/bus/dial.h) makes it, and
 * from then on the nodes thread owns it. libnats' event loop interface tells here which socket it uses and whether
 * something waits to be written; reads and writes are made when the owner's poll() says so. */
#ifndef NODES_NATS_WIRE_H
#define NODES_NATS_WIRE_H

#include "base/slice.h"
#include "nodes/bus/nats_library.h"

#include <stdint.h>

#define NATS_WIRE_SUBJECTS 2u
/* libnats frees messages in a thread of its own, which is woken for each that it is given while it sleeps. So they are
 * kept until there are so many, or so many bytes of them, and given to it together. */
#define NATS_WIRE_SPENT_MAX 64u
#define NATS_WIRE_SPENT_BYTES_MAX (1u << 20)

struct nats_wire {
	const struct nats_library *nats;
	natsConnection *connection;
	natsSubscription *subscriptions[NATS_WIRE_SUBJECTS];
	int fd; /* libnats' own; -1: the connection has ended */
	bool wants_write;
	bool is_tls;
	bool waits_for_record; /* the socket is readable when a whole TLS record is there */
	uint64_t max_payload;
	uint32_t spent_count;
	size_t spent_bytes;
	natsMsg *spent[NATS_WIRE_SPENT_MAX];
};

/* NULL: no memory. */
struct nats_wire *nats_wire_new(const struct nats_library *nats);
/* Ends the connection. Does not wait for the server. May be NULL. */
void nats_wire_free(struct nats_wire *wire);
/* Has the options bring a connection to this wire. */
natsStatus nats_wire_attach(struct nats_wire *wire, natsOptions *options);
natsStatus nats_wire_subscribe(struct nats_wire *wire, uint32_t number, const char *subject);

/* Reads what is there, at most one buffer of libnats, and calls visit for each message, in order within a subject. */
typedef void nats_wire_visit(void *context, uint32_t subject, struct slice datagram);
void nats_wire_read(struct nats_wire *wire, nats_wire_visit *visit, void *context);
/* Writes what waits. Returns how many bytes still do. */
size_t nats_wire_write(struct nats_wire *wire);

static inline bool nats_wire_has_ended(const struct nats_wire *wire)
{
	return wire->fd < 0;
}

#endif
