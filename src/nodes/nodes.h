/* This gateway as a node of a cluster: the nodes thread, which talks to other nodes over NATS (docs/NODES.md,
 * docs/decisions/0030-nodes.md). The main thread makes, starts and stops it, as it does the relay (relay/relay.h).
 * Where the configuration has no cluster there is none. */
#ifndef NODES_NODES_H
#define NODES_NODES_H

#include "nodes/nodes_status.h"
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
/* To be called whenever the main thread wakes, while the gateway runs. */
void nodes_tend(struct nodes *nodes, struct gateway *gateway);

/* How the cluster looks from here. Any thread. */
void nodes_status(struct nodes *nodes, struct nodes_status *status);

#endif
