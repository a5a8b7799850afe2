/* How replication looks from one node (nodes/replica/replication.h): for the API, the page and the metrics. Plain data.
 */
#ifndef NODES_REPLICA_STATUS_H
#define NODES_REPLICA_STATUS_H

#include "cluster/wire/message.h"
#include "runtime/settings/cluster_settings.h"

#include <stdbool.h>
#include <stdint.h>

#define NODES_TEXT_BYTES_MAX 256u

/* Of this node's own replica, which holds what it has stored. */
enum replica_state {
	REPLICA_OFF,         /* none is configured */
	REPLICA_NONE,        /* nobody can be one -> OFFERED */
	REPLICA_OFFERED,     /* a node is asked -> CATCHING_UP, NONE */
	REPLICA_CATCHING_UP, /* it does not have all yet -> IN_STEP, AWAY, NONE */
	REPLICA_IN_STEP,     /* nothing is acknowledged that it does not have -> CATCHING_UP, AWAY, NONE */
	REPLICA_AWAY,        /* it is silent -> CATCHING_UP, NONE */
};
/* "in-step"; static storage. */
const char *replica_state_name(enum replica_state state);

struct replica_status {
	enum replica_state state;
	char name[CLUSTER_NAME_BYTES_MAX]; /* "": none */
	char fault[NODES_TEXT_BYTES_MAX];  /* why there is none, or it is not in step; "": nothing is wrong */
	uint32_t state_s;                  /* since it is in this state */
	uint64_t behind_commits;           /* that are written here, and that it has not confirmed */
	uint64_t behind_bytes;             /* that it was not sent yet */
	uint64_t refusals;                 /* how often an offer, or what was sent, was refused */
};

/* What this node holds of others. */
enum copy_state {
	COPY_NONE,
	COPY_HELD,        /* the node it is of is away, or has not made an offer since it came */
	COPY_FOLLOWS,     /* it gets what that node stores */
	COPY_TAKING_OVER, /* that node is gone: its sessions are brought here */
	COPY_TAKEN_OVER,
};
const char *copy_state_name(enum copy_state state);

struct copy_status {
	char name[CLUSTER_NAME_BYTES_MAX];
	char fault[NODES_TEXT_BYTES_MAX];
	enum copy_state state;
	uint64_t last_commit;
	uint64_t bytes;
	uint64_t sessions; /* taken over */
	uint64_t refusals; /* of what that node sent */
};

struct replicas_status {
	struct replica_status own;
	uint32_t copy_count;
	struct copy_status copies[NODES_MAX];
};

#endif
