/* A part of the nodes thread that has a range of kinds of messages to itself: what it hears of peers, and what shards
 * send it. All functions are called by the nodes thread, and none may block. context: the service's own. Any of them
 * but `kinds` may be NULL. */
#ifndef NODES_SERVICE_H
#define NODES_SERVICE_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct node_mail;
struct peer;

struct node_service {
	const char *name;
	uint8_t kind_first; /* enum message_range of cluster/message.h */
	uint8_t kind_last;

	/* A link with this incarnation of the peer begins: nothing was sent on it before, and nothing is received
	 * before the functions of all services have returned. */
	void (*joined)(void *context, struct peer *peer);
	/* A message, in the order in which the peer sent it. body is good until the function returns. False: it does
	 * not follow the protocol, which is counted and logged; nothing of it had an effect. */
	bool (*received)(void *context, struct peer *peer, uint8_t kind, struct slice body);
	/* The peer is silent, or has said good-bye. If it comes back as the same incarnation, `back` is called, and the
	 * link goes on where it was; if it comes as another one, or never, `gone` is called first. */
	void (*away)(void *context, struct peer *peer);
	void (*back)(void *context, struct peer *peer);
	/* The link is over, and what was on its way is lost: what it had not acknowledged may have arrived or not. */
	void (*gone)(void *context, struct peer *peer);
	/* Peers have come or gone: after the functions above. */
	void (*view_changed)(void *context);
	/* A piece from a shard, of a kind in the range; the service owns it. */
	void (*mail)(void *context, struct node_mail *mail);
	/* Once a turn of the thread, behind all else. True: there is more to do at once. */
	bool (*turn)(void *context, uint64_t now_ms);
	/* When `turn` has to be called at the latest, on the monotonic clock; UINT64_MAX: no matter. */
	uint64_t (*deadline_ms)(const void *context);
	/* What still has to be done before the thread may end is done. Asked in each turn while it is to end, for a
	 * while.
	 */
	bool (*is_done)(const void *context);
};

#endif
