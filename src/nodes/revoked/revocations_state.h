/* What the two files of nodes/revoked/revocations.h share. */
#ifndef NODES_REVOCATIONS_STATE_H
#define NODES_REVOCATIONS_STATE_H

#include "cluster/common/revoked.h"
#include "nodes/revoked/revocations_parts.h"
#include "nodes/thread/nodes_status.h"

#include <pthread.h>
#include <stdatomic.h>

#define REVOCATIONS_TO_ALL 255u
_Static_assert(NODES_MAX <= REVOCATIONS_TO_ALL, "no slot has this number");

enum revocations_event_kind {
	REVOCATIONS_LOCAL,   /* body: an item without a stamp */
	REVOCATIONS_JOINED,  /* slot */
	REVOCATIONS_MESSAGE, /* slot, message and body of a peer */
};

struct revocations_event {
	struct revocations_event *next;
	enum revocations_event_kind kind;
	uint8_t slot;
	uint8_t message;
	size_t bytes;
	uint8_t body[];
};

/* The body of REVOKED_SEND, from the worker to the nodes thread. */
struct revocations_outgoing {
	uint64_t run; /* of the worker */
	uint8_t slot; /* REVOCATIONS_TO_ALL */
	uint8_t message;
	uint8_t zero[6];
	uint8_t body[];
};

struct revocations_service {
	struct revocations_parts parts;
	uint64_t run;
	pthread_t thread;
	/* Between threads. */
	pthread_mutex_t lock;
	pthread_cond_t woken;
	struct revocations_event *first;
	struct revocations_event **last;
	size_t queued_bytes;
	bool stopping;
	_Atomic size_t unsent_bytes; /* of what the worker has sent and no link has taken */
	_Atomic uint64_t taken;      /* changes of other nodes that were done here */
	_Atomic uint64_t failed;     /* that could not be: there is no room, or no disk */
	_Atomic uint64_t left_out;   /* found again by comparing */
	_Atomic uint64_t faults;     /* messages that were not sound */
	/* The nodes thread's. */
	struct node_mail *unsent;
	struct node_mail *unsent_last;
	uint64_t retry_ms;
	/* The worker's. */
	struct revoked *revoked;
	uint8_t *out; /* of REVOCATIONS_OUT_BYTES */
};

#define REVOCATIONS_OUT_BYTES (2u * (size_t)REVOKED_ITEM_BYTES_MAX)

/* Any thread. False: there is no room. */
bool revocations_push(struct revocations_service *service, enum revocations_event_kind kind, uint8_t slot,
		      uint8_t message, struct slice body);

#endif
