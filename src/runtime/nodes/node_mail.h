/* What shards and the nodes thread (nodes/nodes.h) send each other, but for messages of MQTT, which go by the outboxes.
 * Pieces on the heap, on stacks that many push to and one empties at once, which turns them into queues again: pieces
 * of one sender arrive in the order in which it sent them. Nobody waits for anybody.
 *
 * There is a port only where the gateway is in a cluster; everywhere else it is NULL. While the nodes thread does not
 * run the port is closed, and what shards send is dropped: whoever relies on an answer has a time limit, and whatever
 * the nodes thread has to know is told anew when it starts. */
#ifndef RUNTIME_NODE_MAIL_H
#define RUNTIME_NODE_MAIL_H

#include "base/error.h"
#include "cluster/wire/message.h"
#include "reactor/waker.h"

#include <stddef.h>

struct mailbox;
struct node_filters;

struct node_mail {
	struct node_mail *next;
	uint32_t bytes; /* of the body */
	uint16_t shard; /* that sent it, or that is to get it */
	uint8_t kind;   /* cluster/wire/message.h */
	_Alignas(8) uint8_t body[];
};

/* A stack of pieces; the order is restored when it is emptied. */
struct node_box {
	_Alignas(64) _Atomic(struct node_mail *) top;
};

struct node_port {
	struct node_box to_nodes;
	struct node_box *to_shards;   /* by shard */
	struct mailbox *mailboxes;    /* of shards, which are woken by theirs; behind them that of the nodes thread */
	struct node_filters *filters; /* runtime/nodes/node_filters.h */
	uint16_t shard_count;
	_Atomic bool is_open; /* the nodes thread runs */
	struct waker waker;   /* of the nodes thread */
};

/* Messages of MQTT go to the nodes thread by the mailbox that follows those of shards, which this opens. The number of
 * slot k as a receiver is shard_count + k; that of the nodes thread as a sender follows those of all slots. */
static inline uint16_t node_port_number(const struct node_port *port, uint32_t slot)
{
	return (uint16_t)(port->shard_count + slot);
}
/* How many numbers there are for outbox_init(), which outbox_share(shard_count) follows. */
static inline uint16_t node_port_numbers(const struct node_port *port)
{
	return (uint16_t)(port->shard_count + NODES_MAX + 1u);
}
/* mailboxes must outlive the port. cluster: its name. NULL: memory or descriptors are short. */
struct node_port *node_port_new(struct mailbox *mailboxes, uint16_t shard_count, const char *cluster);
/* When no other thread uses it any more. port may be NULL. */
void node_port_free(struct node_port *port);

/* The caller fills the body. NULL: no memory. */
struct node_mail *node_mail_new(uint8_t kind, uint32_t bytes);
/* mail may be NULL. */
void node_mail_free(struct node_mail *mail);

/* A shard sends to the nodes thread, and lets go of the piece. It is not woken before node_port_wake(), so that a turn
 * wakes it once at most. False: the port is closed, and the piece is freed. */
bool node_port_send(struct node_port *port, uint16_t shard, struct node_mail *mail);
void node_port_wake(struct node_port *port);
/* The nodes thread sends to a shard, lets go of the piece, and wakes it. */
void node_port_post(struct node_port *port, uint16_t shard, struct node_mail *mail);

/* All that has come, first in, first out, which the caller owns; NULL: nothing. Only the box's reader. */
struct node_mail *node_box_take(struct node_box *box);
static inline bool node_box_is_empty(const struct node_box *box)
{
	return atomic_load_explicit(&box->top, memory_order_acquire) == NULL;
}

/* The nodes thread begins, or is about to end: what is in its box then is freed. */
void node_port_open(struct node_port *port);
void node_port_close(struct node_port *port);

#endif
