/* What replication consists of. For its own files: nodes/replica/replication_own.c has this node's replica, nodes/
 * replication_copies.c what is held of others. The nodes thread alone. */
#ifndef NODES_REPLICATION_STATE_H
#define NODES_REPLICATION_STATE_H

#include "cluster/copy/replication.h"
#include "nodes/replica/replica_takeover.h"
#include "nodes/replica/replica_worker.h"
#include "nodes/replica/replication.h"
#include "nodes/thread/peer.h"

#define NO_SLOT UINT8_MAX

/* This node's replica. */
struct own_replica {
	enum replica_state state;
	uint8_t slot;      /* of the peer; NO_SLOT: none */
	uint8_t last_slot; /* that was the replica, and may be again */
	bool is_awaited;   /* the writer waits for it */
	bool was_alone;    /* it was said that nobody is */
	uint32_t stream;
	uint64_t since_ms;
	uint64_t last_since_ms; /* when it was lost */
	uint64_t next_ms;       /* when another one may be asked */
	uint64_t heard_ms;      /* it confirmed something, or had nothing to confirm */
	uint64_t confirmed;     /* position */
	uint64_t sent;          /* the highest position that was made */
	uint64_t target;        /* once it has this, it is in step */
	uint64_t behind_bytes;
	uint64_t taken_pieces; /* as it said last */
	uint64_t sent_commit;
	uint64_t safe_commit;
	uint64_t refusals;
	uint64_t refused_until_ms[NODES_MAX];
	bool knows_taken[NODES_MAX]; /* that one has said that it took this node's sessions over */
	uint32_t asked;              /* number of this node's question of what became of its store; 0: it did not ask */
	bool has_dropped;            /* what was taken over was dropped here */
	struct replica_work *pieces; /* that wait for room on the link, first in, first out */
	struct replica_work *pieces_last;
	char fault[NODES_TEXT_BYTES_MAX];
};

/* What is held of one node. The place is the worker's slot. */
struct copy {
	char name[CLUSTER_NAME_BYTES_MAX]; /* "": the place is free */
	char fault[NODES_TEXT_BYTES_MAX];
	enum copy_state state;
	struct store_identity identity;
	uint32_t stream;
	uint8_t peer; /* slot; NO_SLOT: it was not seen since this thread began */
	bool is_open;
	bool safe_waits; /* to be sent */
	struct replication_safe safe;
	uint32_t queued;  /* pieces that the worker has */
	uint64_t away_ms; /* since when; 0: it is there */
	uint64_t epoch;   /* of the last offer, or of what was taken */
	uint64_t last_commit;
	uint64_t bytes;
	uint64_t sessions;
	uint64_t refusals;
	/* Before it is taken over. */
	uint64_t asked_ms; /* 0: nobody was */
	uint32_t asked;    /* number of the question */
	bool has_better;   /* somebody else has */
};

struct replication {
	struct replication_settings settings;
	struct replica_worker *worker; /* NULL: there is no store */
	struct own_replica own;
	struct copy copies[NODES_MAX];
	struct replica_takeover *takeover; /* one at a time; NULL: none */
	uint32_t takeover_place;
	uint32_t questions;
	bool is_listed;
	bool is_ending;
	uint64_t now_ms;
	uint64_t begun_ms;
};

/* Hands a job to the worker. job may be NULL, for want of memory: false. */
bool replication_give(struct replication *replication, struct replica_work *job);
bool replication_is_reachable(const struct replication *replication, uint8_t slot);

/* ---- nodes/replica/replication_own.c ---- */

void own_prepare(struct replication *replication);
void own_finish(struct replication *replication);
void own_joined(struct replication *replication, struct node_peer *peer);
void own_away(struct replication *replication, const struct node_peer *peer);
void own_back(struct replication *replication, const struct node_peer *peer);
void own_gone(struct replication *replication, const struct node_peer *peer);
bool own_received(struct replication *replication, struct node_peer *peer, uint8_t kind, struct slice body);
/* The answer to a question that may be this node's own. */
void own_answered(struct replication *replication, const struct node_peer *peer,
		  const struct replication_answer *answer);
/* A note of the worker about the own log, which it owns from now on. */
void own_note(struct replication *replication, struct replica_work *note);
void own_turn(struct replication *replication);
uint64_t own_deadline_ms(const struct replication *replication);
void own_status(const struct replication *replication, struct replica_status *status);

/* ---- nodes/replica/replication_copies.c ---- */

void copies_joined(struct replication *replication, struct node_peer *peer);
void copies_away(struct replication *replication, const struct node_peer *peer);
void copies_back(struct replication *replication, const struct node_peer *peer);
void copies_gone(struct replication *replication, const struct node_peer *peer);
bool copies_received(struct replication *replication, struct node_peer *peer, uint8_t kind, struct slice body);
void copies_note(struct replication *replication, const struct replica_work *note);
void copies_turn(struct replication *replication);
uint64_t copies_deadline_ms(const struct replication *replication);
void copies_status(const struct replication *replication, struct replicas_status *status);

#endif
