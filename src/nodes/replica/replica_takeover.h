/* A node is gone, and this one takes over what its copy here has: its sessions with their queues, subscriptions and
 * wills, into its own shards, which tell their own journal of them. Retained messages are on every node anyway. What is
 * Roost's own (ids that begin with $roost/) stays in the copy: each node's rules, hooks and spools are its own.
 *
 * A thread of its own, for as long as it takes: it reads the copy as a recovery would, and gives each shard no more
 * than it has dealt with. The order of things, so that a crash at any time loses nothing:
 * 1. the mark (commit/follow/mark.h): from here on the copy is closed for the node it is of;
 * 2. the sessions, until the shards say in which commits they are, and these are safe;
 * 3. the mark once more, with their number; and the log goes.
 * After a crash between 1 and 3 all is done again: a session that is here already gets what waited for it a second
 * time.
 *
 * The nodes thread owns it. */
#ifndef NODES_REPLICA_TAKEOVER_H
#define NODES_REPLICA_TAKEOVER_H

#include "base/error.h"
#include "runtime/settings/cluster_settings.h"

#include <stdbool.h>
#include <stdint.h>

struct hash_key;
struct inherit_taken;
struct node_port;
struct replica_takeover;
struct store;
struct waker;

/* Parts that shards have and have not answered. */
#define TAKEOVER_PARTS_MAX 64u
#define TAKEOVER_PART_BYTES ((size_t)64 << 10)
/* Sessions a second, at most: other clients of this node are not to notice. */
#define TAKEOVER_SESSIONS_PER_S 20000u
/* A shard that does not answer for so long ends it. */
#define TAKEOVER_SILENCE_MS 30000u

struct replica_takeover_settings {
	const char *directory; /* of the own store */
	const char *name;      /* of the node that is gone */
	/* Since when it is gone, in seconds; UINT32_MAX: not known, and wall clocks have to say it. */
	uint32_t away_s;
	struct node_port *port;
	const struct hash_key *key; /* of client ids */
	struct store *store;        /* the own one; NULL: in tests, nothing has to be safe */
};

struct replica_takeover_report {
	uint64_t epoch; /* of the log */
	uint64_t commit;
	uint64_t sessions;
	uint64_t merged; /* of these, into sessions that were here */
	uint64_t messages;
	uint64_t refused; /* parts of sessions that a shard could not take: the copy stays, for people */
	enum error refused_why;
	uint64_t lost; /* messages that could not be read */
	bool is_marked;
	char fault[256]; /* "": it is done */
};

/* Copies the settings, but for what they point to. NULL: no memory, or no thread. */
struct replica_takeover *replica_takeover_start(const struct replica_takeover_settings *settings);
/* A shard has answered. */
void replica_takeover_answered(struct replica_takeover *takeover, uint16_t shard, const struct inherit_taken *taken);
/* Whether it has ended, with its report. */
bool replica_takeover_is_over(const struct replica_takeover *takeover, struct replica_takeover_report *report);
/* Ends it, wherever it is, and frees it. takeover may be NULL. */
void replica_takeover_free(struct replica_takeover *takeover);

#endif
