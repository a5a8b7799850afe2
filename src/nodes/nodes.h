/* This gateway as a node of a cluster: the nodes thread, which talks to other nodes over NATS (docs/NODES.md,
 * docs/decisions/0030-nodes.md). The main thread makes, starts and stops it, as it does the relay (relay/relay.h).
 * Where the configuration has no cluster there is none. */
#ifndef NODES_NODES_H
#define NODES_NODES_H

#include "base/error.h"
#include "base/slice.h"
#include "nodes/thread/nodes_status.h"
#include "runtime/settings/settings.h"

struct gateway;
struct nodes;

/* Copies what it needs of the settings. NULL: memory is short. */
struct nodes *nodes_new(const struct settings *settings);
/* Main thread, after nodes_stop(). nodes may be NULL, here and below. */
void nodes_free(struct nodes *nodes);

/* After gateway_start() or gateway_thaw(). What cannot be started is logged, and tried again by nodes_tend(). */
void nodes_start(struct nodes *nodes, struct gateway *gateway);
/* Ends the thread: what other nodes have not acknowledged goes to their spools, and they are told good-bye. Takes
 * seconds at most. Before gateway_stop() and gateway_freeze(). */
void nodes_stop(struct nodes *nodes);
/* The same in two steps, for an upgrade. First it takes nothing more from other nodes, while what shards have for them
 * still goes. */
void nodes_rest(struct nodes *nodes);
/* Then it says good-bye, and does not touch the gateway any more. Does not wait for the connection to NATS to be
 * closed. nodes_start() begins anew. */
void nodes_leave(struct nodes *nodes);
/* To be called whenever the main thread wakes, while the gateway runs. */
void nodes_tend(struct nodes *nodes, struct gateway *gateway);

/* How the cluster looks from here. Any thread. */
void nodes_status(struct nodes *nodes, struct nodes_status *status);

/* Forgets a node that is gone for good: what waits for it here is dropped. ERROR_NOT_FOUND: there is no such node;
 * ERROR_LIMIT: it is alive. *why: a sentence, in static storage. Any thread but shards' and the nodes thread. */
enum error nodes_forget(struct nodes *nodes, const char *node, const char **why);

/* ---- what the admin side asks of other nodes ---- */

/* A question is "METHOD /path?query", of the API; answers are those of the API of that node, for itself alone. */
#define NODES_QUESTION_BYTES_MAX 70000u
#define NODES_ANSWER_BYTES_MAX (8u << 20)

struct nodes_answer {
	char node[CLUSTER_NAME_BYTES_MAX];
	uint16_t status; /* of HTTP; 0: no answer in time, or none that could be sent */
	char *body;      /* on the heap; NULL: none */
	size_t bytes;
};

struct nodes_answers {
	struct nodes_answer items[NODES_MAX];
	uint32_t count; /* of nodes that were asked */
};

/* Asks the node of this name, or all that are alive (NULL), and waits for their answers for so long. False: there is no
 * such node, it is away, or nobody is alive; then there are no answers. Any thread but shards' and the nodes thread; a
 * few at a time. */
bool nodes_ask(struct nodes *nodes, const char *node, struct slice question, uint32_t timeout_ms,
	       struct nodes_answers *answers);
void nodes_answers_free(struct nodes_answers *answers);

/* Who answers such questions of other nodes. */
struct nodes_asked {
	uint64_t number;      /* of the question, by the one who asks */
	uint64_t incarnation; /* of the one who asks */
	uint8_t slot;
};
struct nodes_answerer {
	/* Called by the nodes thread; must not block. False: it is busy. question: good until it returns. */
	bool (*ask)(void *context, const struct nodes_asked *asked, struct slice question);
	void *context;
};
/* Before nodes_start(); nobody answers otherwise. */
void nodes_set_answerer(struct nodes *nodes, const struct nodes_answerer *answerer);
/* The answer, from any thread but the nodes thread. An answer to somebody who has gone is dropped. */
void nodes_answer(struct nodes *nodes, const struct nodes_asked *asked, uint16_t status, struct slice body);

#endif
