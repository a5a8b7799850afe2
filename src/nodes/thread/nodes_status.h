/* How the cluster looks from one node: for the API, the page and the metrics. Plain data. */
#ifndef NODES_NODES_STATUS_H
#define NODES_NODES_STATUS_H

#include "cluster/wire/message.h"
#include "nodes/thread/replica_status.h"
#include "runtime/settings/cluster_settings.h"

#include <stdbool.h>
#include <stdint.h>

#define NODES_VERSION_BYTES_MAX 40u

enum peer_state {
	PEER_NONE,  /* the slot is free */
	PEER_ALIVE, /* -> AWAY, LEFT */
	PEER_AWAY,  /* silent: what is for it waits here -> ALIVE */
	PEER_LEFT,  /* it has said good-bye: the same -> ALIVE */
};

/* "alive", "away"; static storage. */
const char *peer_state_name(enum peer_state state);

struct peer_status {
	char name[CLUSTER_NAME_BYTES_MAX];
	char version[NODES_VERSION_BYTES_MAX];
	char fault[NODES_TEXT_BYTES_MAX]; /* what is wrong with it or between us; "": nothing */
	enum peer_state state;
	bool has_store;
	uint32_t disagreements; /* of what should be alike (nodes/thread/agreement.h), which is not; `fault` names them
				 */
	uint32_t state_s;       /* since it is in this state */
	uint32_t rtt_us;        /* of its link; 0: not known */
	int64_t clock_ms;       /* how far its wall clock is ahead of ours */
	uint64_t clients;       /* connected to it, as it says */
	uint64_t filters;       /* that it has subscribers for */
	uint64_t messages_out;
	uint64_t messages_in;
	uint64_t bytes_out;
	uint64_t bytes_in;
	uint64_t waiting; /* messages in its spool here */
	uint64_t spooled; /* messages that were written to it */
	uint64_t dropped; /* messages for it that were dropped */
};

/* Retained messages, which all nodes have (nodes/retained/retained.h). Since the thread began, but for tombstones. */
struct nodes_retained_status {
	uint64_t taken;            /* of other nodes' */
	uint64_t found;            /* of them, by comparing */
	uint64_t cleared;          /* that were taken away here because they are elsewhere */
	uint64_t dropped;          /* of them, without a tombstone there */
	uint64_t refused;          /* for which there was no room */
	uint64_t ahead;            /* with a time too far ahead of the clock */
	uint64_t collisions;       /* with a hash that another topic has */
	uint64_t tombstones;       /* there are now */
	uint64_t tombstones_early; /* that were forgotten because there were too many */
	uint64_t comparisons;
};

/* Revocations by other nodes (nodes/revoked/revocations.h), since the thread began. */
struct nodes_revocations_status {
	uint64_t taken;    /* done here, too */
	uint64_t failed;   /* not done: there is no room, or no disk */
	uint64_t left_out; /* for want of memory or room, and found again when the nodes compare */
	uint64_t faults;   /* messages that were not sound */
};

/* Messages that came from other nodes (nodes/inbound.h), since the thread began. */
struct nodes_arrivals_status {
	uint64_t unwanted; /* no subscriber here: what is sent for nothing */
	uint64_t unsound;
	uint64_t dropped; /* for want of memory */
	uint64_t copies;  /* that had come before, and went no further */
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
	uint64_t foreign_datagrams; /* that came for this node and are of no link of its own */
	struct nodes_arrivals_status arrivals;
	struct nodes_retained_status retained;
	struct nodes_revocations_status revocations;
	uint32_t peer_count;
	struct peer_status peers[NODES_MAX];
	struct replicas_status replicas;
};

/* While it is made, each peer stands at its slot; this moves them together, and counts them. */
void nodes_status_pack(struct nodes_status *status);

#endif
