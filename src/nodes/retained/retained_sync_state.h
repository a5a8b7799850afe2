/* What the files of retained_sync share. */
#ifndef NODES_RETAINED_SYNC_STATE_H
#define NODES_RETAINED_SYNC_STATE_H

#include "nodes/retained/retained_ends.h"
#include "topics/retained_changes.h"

enum pull_state {
	PULL_AWAY,     /* the peer cannot be reached -> RESTING */
	PULL_RESTING,  /* until due_ms -> DIGEST */
	PULL_DIGEST,   /* asked for -> LISTING, RESTING */
	PULL_LISTING,  /* asked for, slice by slice -> CHECKING */
	PULL_CHECKING, /* what is here, whether it is there -> FETCHING */
	PULL_FETCHING, /* asked for, or about to be -> DIGEST, RESTING */
};

/* Numbers that grow in place. */
struct pull_topics {
	uint64_t *items;
	uint32_t count;
	uint32_t room;
};

/* A comparison with one peer. It takes as many rounds as it needs to come through all parts that differ. */
struct pull {
	enum pull_state state;
	uint8_t peer;
	bool is_caught_up; /* one came to its end since the peer joined */
	bool is_asked;     /* FETCHING: the answer is on its way */
	bool has_more;     /* parts that differ, and are not this round's */
	bool peer_lacks;
	uint32_t round;
	uint64_t due_ms; /* RESTING: when the next one begins; else when the answer counts as lost */
	uint64_t peer_forgotten;
	uint64_t shared;  /* up to this time the peer has had all that is here */
	uint64_t began;   /* time of the clock */
	uint64_t lacking; /* the earliest stamp of what the peer has not; UINT64_MAX: nothing */
	uint64_t taken;   /* sync->figures.taken as it began, and likewise */
	uint64_t refused;
	struct retained_buckets parts; /* of this round */
	struct retained_buckets done;  /* of the rounds before */
	uint32_t place;                /* CHECKING: in the list of what is here */
	struct pull_topics listed;     /* by the peer; sorted in CHECKING */
	struct pull_topics wanted;     /* of them; FETCHING: those from `fetched` on are to come */
	uint32_t fetched;
	uint32_t asked;
};

struct sync_question {
	uint8_t kind; /* 0: there is none */
	uint32_t bytes;
	uint8_t body[RETAINED_ROUND_BYTES + 8u * RETAINED_TOPICS_MAX];
};
_Static_assert(RETAINED_ASK_LIST_BYTES <= sizeof(((struct sync_question *)0)->body), "any question fits");
_Static_assert(RETAINED_PARTS == RETAINED_BUCKETS, "parts of messages are buckets of the tree");

struct retained_sync {
	struct retained *retained;
	struct retained_sync_ends ends;
	struct retained_sync_figures figures;
	struct pull pulls[NODES_MAX];
	struct sync_question questions[NODES_MAX];
	uint64_t answer_ms; /* when questions that found no room are looked at again; UINT64_MAX: there are none */
	uint64_t forget_ms; /* when tombstones are looked at next */
	uint64_t shared_ms; /* when the time of retained_set_shared() was told last */
	uint8_t *out;       /* an answer that is being made */
	size_t out_bytes;
	size_t out_room;
	struct retained_digest_message digest; /* scratch */
	uint64_t own_digest[RETAINED_PARTS];
	uint32_t own_count[RETAINED_PARTS];
};

/* Answers what peers have asked. True: there is more to do at once. (retained_answer.c) */
bool answers_turn(struct retained_sync *sync, struct retained_clocks clocks);

/* retained_pull.c */
void pull_init(struct pull *pull, uint8_t peer, uint64_t shared);
void pull_fini(struct pull *pull);
/* An answer. False: it does not follow the protocol. */
bool pull_receive(struct retained_sync *sync, struct pull *pull, uint8_t kind, struct slice body,
		  struct retained_clocks clocks);
/* Goes on where there is no answer to wait for, or none has come. True: there is more to do at once. */
bool pull_turn(struct retained_sync *sync, struct pull *pull, struct retained_clocks clocks);
/* The same by one slice of PULL_CHECKING (retained_check.c). */
void pull_check(struct retained_sync *sync, struct pull *pull, struct retained_clocks clocks);
void pull_sort_listed(struct pull *pull);
/* A value has come (retained_check.c). False: it is not sound. */
bool pull_take_value(struct retained_sync *sync, const struct retained_value_message *value,
		     struct retained_clocks clocks);

#endif
