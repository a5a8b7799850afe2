/* Who gets a client id. Each id has a home: the member of the view that rendezvous hashing chooses by the id and the
 * members' names. The home knows who holds the id (cluster/takeover/directory.h) and decides who gets it next, one
 * claim after the other. Pure: messages and time in, messages out.
 *
 * What src/cluster/takeover/takeover.pml has shown, and why this is as it is:
 * - All that a home does for one id is one job at a time: a claim, or the merging of a second holder into the first. A
 *   job ends with TAKEN or DONE of its number, with a time limit, or with the view. Second holders come before claims.
 * - A session is taken only by a node that has the view in which it was given. Otherwise a home of the next view could
 *   count one that had moved behind its back: neither giver nor taker would have told it.
 * - Who has given a session away and does not know yet what became of it keeps the next YIELD until it does. Who knows
 *   that it was accepted remembers for a while by whom, and passes a YIELD on.
 * - After a time limit two may hold an id. Whoever finds that out tells the home, which merges them. After a crash,
 * too: a node that gave a session on and died may have taken with it the word that it had got it.
 *
 * When the view changes the directory begins anew: the home asks each member what it holds, and each tells it. Until
 * all have, or HOME_ANNOUNCE_MS are over, claims wait. (Members that saw another view in between or not are asked
 * alike.) Of two holders the one whose connection began later remains; ages are told, never times, so no clock matters.
 * One thread. */
#ifndef CLUSTER_HOME_H
#define CLUSTER_HOME_H

#include "base/hash.h"
#include "cluster/takeover/directory.h"
#include "cluster/takeover/takeover_message.h"

/* This node itself, among slots. */
#define HOME_SELF NODES_MAX
#define HOME_NOBODY 255u
#define HOME_ANNOUNCE_MS 3000u
/* After a start other nodes may not have been heard yet. */
#define HOME_LISTEN_MS 1500u
/* A session with very many messages takes its time; where a node dies the view ends the job. */
#define HOME_JOB_MS 60000u
/* Ids in work, claims of one id, and holders beside the first. */
#define HOME_JOBS_MAX 1000000u
#define HOME_CLAIMS_MAX (NODES_MAX + 1u)
#define HOME_BESIDE_MAX 8u
#define HOME_BUCKETS 4096u
#define HOME_NAME_BYTES_MAX 64u

struct home_member {
	uint64_t name_hash;
	uint8_t slot;
	uint8_t name_bytes;
	char name[HOME_NAME_BYTES_MAX];
};

/* The members that are alive, this node among them. */
struct home_view {
	uint64_t number; /* the same on all nodes that agree */
	uint32_t count;
	struct home_member members[NODES_MAX + 1];
};

struct home_claim {
	struct home_claim *next;
	uint64_t claim; /* the claimant's number */
	uint8_t slot;
	uint8_t flags;
	uint16_t user_bytes;
	uint8_t user[];
};

struct home_beside {
	uint32_t since_s;
	uint8_t slot;
};

/* An id in work. */
struct home_job {
	struct home_job *next;
	uint64_t hash;
	uint64_t number;
	uint64_t began_ms;
	struct home_claim *claims; /* first in, first out */
	struct home_beside beside[HOME_BESIDE_MAX];
	struct home_beside loser; /* of a merge: who is to give; slot HOME_NOBODY: it is no merge */
	uint8_t beside_count;
	uint8_t busy; /* who is to get it; HOME_NOBODY: nobody now */
	uint16_t id_bytes;
	uint8_t id[];
};

struct home_observer {
	void *context;
	/* kind: GRANT, YIELD, MERGE; what it points to is good until this returns. */
	void (*send)(void *context, uint8_t slot, enum takeover_kind kind, const struct takeover_message *message);
};

struct home {
	struct hash_key key; /* of ids and names: the same on all nodes */
	struct home_observer observer;
	struct home_view view;
	struct directory directory;
	struct home_job *jobs[HOME_BUCKETS];
	uint32_t job_count;
	uint64_t number;              /* of the last job; begins anywhere, so that those of two homes differ */
	uint64_t turn;                /* the number of the question that began this view */
	uint64_t said[NODES_MAX + 1]; /* by slot: the question that it has answered */
	uint64_t complete_ms;         /* claims wait no longer than until then */
	bool is_complete;
	uint64_t next_tick_ms;
	uint64_t dropped; /* for lack of room or memory */
};

/* key: common to the cluster. first_number: random. */
void home_init(struct home *home, const struct hash_key *key, uint64_t first_number, struct home_observer observer);
void home_fini(struct home *home);

uint64_t home_hash(const struct home *home, struct slice id);
/* Its home: a slot. The view has a member. */
uint8_t home_of(const struct home_view *view, uint64_t hash);
/* NULL: no member of the view. */
const struct home_member *home_member_at(const struct home_view *view, uint8_t slot);
const struct home_member *home_member_named(const struct home_view *view, struct slice name);

/* Another view: all is forgotten, and will be told anew. */
void home_begin_view(struct home *home, const struct home_view *view, uint64_t now_ms, bool is_first);
/* What members say to this node as the home of ids, in the order in which each of them said it; all of this view. */
void home_hears(struct home *home, uint8_t slot, enum takeover_kind kind, const struct takeover_message *message,
		uint64_t now_ms);
/* Time limits; at least once a second. */
void home_tick(struct home *home, uint64_t now_ms);
/* Who holds it, as far as is known: a slot, or HOME_NOBODY. */
uint8_t home_holder(struct home *home, struct slice id);

#endif
