/* How the cluster looks from one node: for the API, the page and the metrics. Plain data. */
#ifndef NODES_NODES_STATUS_H
#define NODES_NODES_STATUS_H

#include "cluster/message.h"
#include "runtime/settings/cluster_settings.h"

#include <stdbool.h>
#include <stdint.h>

#define NODES_TEXT_BYTES_MAX 256u
#define NODES_VERSION_BYTES_MAX 32u

enum peer_state {
	PEER_NONE,        /* the slot is free */
	PEER_JOINING,     /* heard of, but not both ways yet -> ALIVE, AWAY, REFUSED */
	PEER_CATCHING_UP, /* alive, and what waited for it is being sent -> ALIVE, AWAY */
	PEER_ALIVE,       /* -> AWAY, LEFT */
	PEER_AWAY,        /* silent: what is for it waits here -> CATCHING_UP, ALIVE */
	PEER_LEFT,        /* it has said good-bye: the same -> CATCHING_UP, ALIVE */
	PEER_REFUSED,     /* `fault` says why -> JOINING */
};

struct peer_status {
	char name[CLUSTER_NAME_BYTES_MAX];
	char version[NODES_VERSION_BYTES_MAX];
	char fault[NODES_TEXT_BYTES_MAX]; /* what is wrong with it or between us; "": nothing */
	enum peer_state state;
	bool has_store;
	uint32_t state_s; /* since it is in this state */
	uint32_t rtt_us;  /* of its link; 0: not known */
	int64_t clock_ms; /* how far its wall clock is ahead of ours */
	uint64_t clients; /* connected to it, as it says */
	uint64_t filters; /* that it has subscribers for */
	uint64_t messages_out;
	uint64_t messages_in;
	uint64_t bytes_out;
	uint64_t bytes_in;
	uint64_t waiting; /* messages in its spool here */
	uint64_t dropped; /* messages for it that were dropped */
};

struct nodes_status {
	bool is_on;
	bool is_connected;                 /* to NATS */
	bool is_alone;                     /* no other node is alive */
	bool is_caught_up;                 /* it has what those that were alive when it came had */
	char server[NODES_TEXT_BYTES_MAX]; /* of NATS; "": none */
	char fault[NODES_TEXT_BYTES_MAX];  /* what is wrong; "": nothing */
	uint64_t reconnects;
	uint64_t view; /* a hash of who is alive, the same on all nodes that agree on it */
	uint64_t claims;
	uint64_t sessions_moved_in;
	uint64_t sessions_moved_out;
	uint64_t claims_timed_out;
	uint32_t peer_count;
	struct peer_status peers[NODES_MAX];
};

#endif
