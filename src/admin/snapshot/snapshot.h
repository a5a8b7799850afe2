/* What the admin side tells about the gateway at one moment: the threads' counters, the size of shared structures,
 * figures of the kernel. Its cost does not depend on the number of clients. Admin thread. */
#ifndef ADMIN_SNAPSHOT_SNAPSHOT_H
#define ADMIN_SNAPSHOT_SNAPSHOT_H

#include "admin/snapshot/machine.h"
#include "control/gateway.h"
#include "nodes/thread/nodes_status.h"
#include "relay/bridging/bridge_status.h"
#include "relay/consumer/consumer_status.h"
#include "relay/hook/hook_status.h"
#include "relay/stream/stream_status.h"
#include "relay/table/table_status.h"
#include "topics/index/index.h"
#include "topics/retained.h"

#include <stdbool.h>

/* Parts of the memory that clients and messages take. */
enum memory_part {
	MEMORY_CLIENTS,
	MEMORY_SUBSCRIPTIONS,
	MEMORY_QUEUES,
	MEMORY_BLOCKS,
	MEMORY_STREAMS,
	MEMORY_INDEX,
	MEMORY_RETAINED,
	MEMORY_PART_COUNT,
};

/* The admin side's own figures. */
struct admin_counts {
	_Atomic uint64_t requests;
	_Atomic uint64_t refused;           /* wrong token, host or origin */
	_Atomic uint64_t failed;            /* answered with any other error */
	_Atomic uint64_t handshakes_failed; /* of TLS */
	/* Upgrades of this process, and for how long the last one served no client; set by main. */
	_Atomic uint64_t upgrades_done;
	_Atomic uint64_t upgrades_refused;
	_Atomic uint64_t upgrade_silent_us;
};

struct snapshot {
	const struct gateway *gateway;
	struct gateway_parts parts;
	const struct admin_counts *admin;
	struct stream_status rules;        /* whoever takes the snapshot fills it in; zeros: there are none */
	struct consumers_status consumers; /* likewise */
	struct hooks_status hooks;         /* likewise */
	struct bridges_status bridges;     /* likewise */
	struct table_status table;         /* likewise */
	struct nodes_status nodes;         /* likewise */
	struct counters sum;
	struct machine machine;
	struct index_size index;
	struct retained_size retained;
	uint64_t memory[MEMORY_PART_COUNT];
	uint64_t sessions;          /* connected and offline */
	double session_bytes;       /* average memory of a session; 0 without sessions */
	struct store_figures store; /* zeros where there is none */
	bool has_store;
	double store_sync_s;
	double store_sync_last_s;
	double store_sync_max_s;
	double store_unsafe_s;
	double started_s;
	uint64_t main_descriptors; /* 0 if all threads share one table */
};

void snapshot_take(struct snapshot *snapshot, const struct gateway *gateway, const struct admin_counts *admin);

/* The number of descriptors in a thread's table, including those that are not clients'. */
uint64_t snapshot_shard_descriptors(const struct snapshot *snapshot, uint16_t shard);
uint64_t snapshot_gate_descriptors(const struct snapshot *snapshot, uint16_t gate);

const char *memory_part_name(enum memory_part part);

/* Returns the first shard that has taken no turn for longer than limit_ms, or -1. */
int snapshot_stalled_shard(const struct gateway *gateway, uint64_t now_ms, uint64_t limit_ms);

#endif
