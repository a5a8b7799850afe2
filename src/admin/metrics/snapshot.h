/* All that the admin side tells about the gateway, as of one moment: what the threads have counted, what the shared
 * parts hold, what the kernel says. Takes no longer with a million clients than with none. The admin side's threads. */
#ifndef ADMIN_METRICS_SNAPSHOT_H
#define ADMIN_METRICS_SNAPSHOT_H

#include "admin/metrics/machine.h"
#include "gateway/gateway.h"
#include "session/index.h"
#include "session/retained.h"

#include <stdbool.h>

/* Parts of the memory that clients and messages take. */
enum memory_part {
	MEMORY_CLIENTS,
	MEMORY_SUBSCRIPTIONS,
	MEMORY_QUEUES,
	MEMORY_BLOCKS,
	MEMORY_INDEX,
	MEMORY_RETAINED,
	MEMORY_PART_COUNT,
};

/* The admin side's own figures. */
struct admin_counts {
	_Atomic uint64_t requests;
	_Atomic uint64_t refused; /* for want of the right token, host or origin */
	_Atomic uint64_t failed;  /* answered with another error */
};

struct snapshot {
	const struct gateway *gateway;
	struct gateway_parts parts;
	const struct admin_counts *admin;
	struct counters sum;
	struct machine machine;
	struct index_size index;
	struct retained_size retained;
	uint64_t memory[MEMORY_PART_COUNT];
	uint64_t sessions;    /* with and without a connection */
	double session_bytes; /* of the memory of one, on average; 0: there is none */
	double started_s;
	uint64_t main_descriptors; /* 0: all threads share one table */
};

void snapshot_take(struct snapshot *snapshot, const struct gateway *gateway, const struct admin_counts *admin);

/* Descriptors in a thread's table, those that are no client's included. */
uint64_t snapshot_shard_descriptors(const struct snapshot *snapshot, uint16_t shard);
uint64_t snapshot_gate_descriptors(const struct snapshot *snapshot, uint16_t gate);

const char *memory_part_name(enum memory_part part);

/* Whether every shard takes its turns: the first that has taken none for longer than `limit_ms`, or -1. */
int snapshot_stalled_shard(const struct gateway *gateway, uint64_t now_ms, uint64_t limit_ms);

#endif
