/* The companion of the bus (nodes/bus/bus.h): a thread that connects to NATS, which blocks, so that the nodes thread
 * need not, and that ends a connection in which the nodes thread is stuck. Made by the nodes thread, with whose
 * descriptor table it works. One attempt at a time. */
#ifndef NODES_DIAL_H
#define NODES_DIAL_H

#include "nodes/bus/bus_url.h"
#include "nodes/bus/nats_library.h"
#include "nodes/bus/nats_wire.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define DIAL_PATH_BYTES 1024u
/* libnats bounds an attempt by itself. A handshake of TLS is not bounded: it is interrupted after this. */
#define DIAL_ATTEMPT_MS 5000u
/* For the interruption; SIGRTMIN is no constant. */
#define DIAL_SIGNAL (SIGRTMIN + 5)

/* Has its own copy of everything: an attempt may outlive the bus. */
struct dial_settings {
	struct nats_library nats;
	char name[BUS_TEXT_BYTES];
	char subjects[NATS_WIRE_SUBJECTS][BUS_TEXT_BYTES];
	char credentials[DIAL_PATH_BYTES]; /* as in struct bus_settings; "": none */
	char ca_file[DIAL_PATH_BYTES];
	char certificate[DIAL_PATH_BYTES];
	char key[DIAL_PATH_BYTES];
	uint32_t connect_ms;
	uint32_t stall_ms;
	int io_bytes;
};

struct dial;

/* NULL: the thread cannot be made. The waker is an eventfd that is written when an attempt is over. */
struct dial *dial_new(const struct dial_settings *settings, int waker_fd);
/* Ends the thread. false: it does not end within that time (a name server that does not answer); then it is left alone
 * and ends when it can, and libnats must not be closed. */
bool dial_free(struct dial *dial, uint32_t wait_ms);

/* Begins an attempt; none is under way. */
void dial_begin(struct dial *dial, const struct bus_url *url);
/* Whether the attempt is over. *wire: the connection, which the caller owns from now on (nats_wire_free()), or NULL,
 * and `fault` says why in words. */
bool dial_take(struct dial *dial, struct nats_wire **wire, char fault[BUS_TEXT_BYTES]);

/* Around calls of libnats that may wait for the other side: what lasts longer than stall_ms is ended. */
void dial_enter(struct dial *dial, int fd);
void dial_leave(struct dial *dial);

#endif
