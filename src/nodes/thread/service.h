/* A part of the nodes thread that has a range of kinds of messages to itself: what it hears of peers, and what shards
 * send it. All functions are called by the nodes thread, and none may block. context: the service's own. Any of them
 * but `kinds` may be NULL. */
#ifndef NODES_SERVICE_H
#define NODES_SERVICE_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct node_mail;
struct nodes_status;
struct pollfd;
struct node_peer;

struct node_service {
	const char *name;
	uint8_t kind_first; /* enum message_range of cluster/wire/message.h */
	uint8_t kind_last;

	/* A link with this incarnation of the peer begins: nothing was sent on it before, and nothing is received
	 * before the functions of all services have returned. */
	void (*joined)(void *context, struct node_peer *peer);
	/* There is a spool of a peer that was not heard of in this run: what is for it goes there until it joins. */
	void (*remembered)(void *context, struct node_peer *peer);
	/* The peer is gone for good: what is kept for it is dropped. It is away, and nothing goes to it from here on,
	 * unless it joins once more. */
	void (*forgotten)(void *context, struct node_peer *peer);
	/* A message, in the order in which the peer sent it. body is good until the function returns. False: it does
	 * not follow the protocol, which is counted and logged; nothing of it had an effect. */
	bool (*received)(void *context, struct node_peer *peer, uint8_t kind, struct slice body);
	/* The peer is silent, or has said good-bye. If it comes back as the same incarnation, `back` is called, and the
	 * link goes on where it was; if it comes as another one, or never, `gone` is called first. */
	void (*away)(void *context, struct node_peer *peer);
	void (*back)(void *context, struct node_peer *peer);
	/* The link is over, and what was on its way is lost: what it had not acknowledged may have arrived or not. */
	void (*gone)(void *context, struct node_peer *peer);
	/* Peers have come or gone: after the functions above. */
	void (*view_changed)(void *context);
	/* A piece from a shard, of a kind in the range; the service owns it. */
	void (*mail)(void *context, struct node_mail *mail);
	/* Once a turn of the thread, behind all else. True: there is more to do at once. */
	bool (*turn)(void *context, uint64_t now_ms);
	/* Descriptors to wait for, which are looked at in `turn`. Returns how many, up to `most`. */
	uint32_t (*poll)(void *context, struct pollfd *fds, uint32_t most);
	/* Something has come by other ways than `mail`, for which shards wake the thread. */
	bool (*has_mail)(const void *context);
	/* When `turn` has to be called at the latest, on the monotonic clock; UINT64_MAX: no matter. */
	uint64_t (*deadline_ms)(const void *context);
	/* It has what the peers that were alive when it began had. */
	bool (*is_caught_up)(const void *context);
	/* Fills in its part of the status; peers are by slot. */
	void (*status)(const void *context, struct nodes_status *status);
	/* The thread is to end: nothing new is begun. */
	void (*ending)(void *context);
	/* What has to be done before it may end is done. Asked in each turn from then on, for some seconds at most. */
	bool (*is_done)(const void *context);
	/* The last call by the thread: what is in its descriptor table has to be closed. */
	void (*ended)(void *context);
};

#endif
