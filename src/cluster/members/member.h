/* The types of members (cluster/members/members.h): for its files, and for those that use it. */
#ifndef CLUSTER_MEMBER_H
#define CLUSTER_MEMBER_H

#include "base/slice.h"
#include "cluster/members/heartbeat.h"

#include <stdbool.h>
#include <stdint.h>

#define MEMBERS_HEARTBEAT_MS 500u
/* Answers to what others do wrong are not closer than this. */
#define MEMBERS_HEARTBEAT_MS_MIN 20u
/* A run that has been silent for so long gives way to another one of its name. */
#define MEMBERS_REPLACE_MS 1250u
/* Wall clocks may be so far apart before it is told. */
#define MEMBERS_CLOCK_MS 3000u
#define MEMBERS_TELL_MS 60000u
/* Runs that were given up, at the most that are remembered. */
#define MEMBERS_GIVEN_UP_MAX 1024u
#define MEMBERS_AGREEMENT_BYTES_MAX 31u
#define MEMBERS_NONE UINT32_MAX

enum member_state {
	MEMBER_UNKNOWN, /* the slot is free -> HEARD */
	MEMBER_HEARD,   /* its heartbeats come, and do not say yet that ours do -> ALIVE, AWAY, LEFT */
	MEMBER_ALIVE,   /* -> AWAY, LEFT, HEARD (another run) */
	MEMBER_AWAY,    /* -> ALIVE, LEFT, HEARD (another run) */
	MEMBER_LEFT,    /* it said good-bye -> HEARD (another run) */
};

/* Why a heartbeat was refused. */
#define MEMBERS_REFUSALS(X)                                                                                            \
	X(SHORT, "shorter than a heartbeat")                                                                           \
	X(FOREIGN, "not a heartbeat of Roost's")                                                                       \
	X(FORMAT, "of a format that is not known here")                                                                \
	X(CHECKSUM, "its checksum is wrong")                                                                           \
	X(MALFORMED, "malformed")                                                                                      \
	X(NAME, "its name is none that a node may have")                                                               \
	X(STALE, "older than one that has come before")                                                                \
	X(PROTOCOL, "the node speaks no version of the protocol between nodes that is spoken here")                    \
	X(OWN_NAME, "another node has the name of this one")                                                           \
	X(TWO_RUNS, "another run of this name is heard still; two nodes have it if that goes on")                      \
	X(GIVEN_UP, "from a run that was given up; it has to begin anew")                                              \
	X(FULL, "there are 64 other nodes already (NODES_MAX)")

enum members_refusal {
#define X(name, sentence) MEMBERS_REFUSED_##name,
	MEMBERS_REFUSALS(X)
#undef X
		MEMBERS_REFUSAL_COUNT
};

enum away_reason {
	MEMBER_SILENT,     /* nothing came for timeout_ms */
	MEMBER_DEAF,       /* it says that it does not hear us */
	MEMBER_WE_YIELDED, /* another node has our name */
};

/* All are called from within members_receive() and members_tick(), neither of which they may call. */
struct members_observer {
	void *context;
	/* A run that was not known before is alive. */
	void (*on_joined)(void *context, uint32_t slot);
	/* It was alive and is not now. */
	void (*on_away)(void *context, uint32_t slot, enum away_reason reason);
	/* Alive again, the same run: links go on. */
	void (*on_back)(void *context, uint32_t slot);
	/* The run `incarnation`, which had joined, is over: by good-bye, or because another run of this name is there
	 * (of which on_joined() follows once it is alive). What was owed to it is not going to be asked for. */
	void (*on_ended)(void *context, uint32_t slot, uint64_t incarnation, bool said_goodbye);
	/* After any of these that changed the view, once a call. */
	void (*on_view)(void *context);
	/* Each reason once in MEMBERS_TELL_MS; `name` may be empty, or be what a stranger wrote. */
	void (*on_refused)(void *context, struct slice name, enum members_refusal refusal);
	/* This run is over: the thread has to begin anew with another incarnation. It says members_goodbye(), ends
	 * every link (on_ended() is not called) and calls members_renew(); nothing else is taken or sent until then.
	 * `by`: the node that has given it up, or our own name after another node had it. */
	void (*on_renew)(void *context, struct slice by);
	/* What is to be alike is not, or is again; `name` is the agreement's. */
	void (*on_agreement)(void *context, uint32_t slot, struct slice name, bool is_alike);
	/* The peer's wall clock is ahead of ours by so much, and was not before; |difference| below the limit: no more.
	 */
	void (*on_clock)(void *context, uint32_t slot, int64_t difference_ms);
};

struct members_settings {
	struct slice name; /* valid (node_name_is_valid()); copied */
	uint64_t incarnation;
	const char *version; /* Roost's; static storage */
	uint16_t protocol_min;
	uint16_t protocol_max;
	bool has_store;
	uint32_t timeout_ms; /* at least 3 * MEMBERS_HEARTBEAT_MS */
};

struct member {
	enum member_state state;
	uint8_t name_bytes;
	char name[NODE_NAME_BYTES_MAX + 1];       /* ended by NUL */
	char version[NODE_VERSION_BYTES_MAX + 1]; /* Roost's there */
	uint64_t incarnation;
	bool has_joined; /* on_joined() was called for this incarnation */
	bool has_store;
	bool clock_differs;
	uint16_t protocol; /* the highest that both speak */
	uint64_t heard_ms; /* when the last heartbeat came */
	uint64_t sent_ms;  /* what it said */
	uint64_t since_ms; /* of the state */
	uint64_t view_hash;
	int64_t clock_difference_ms;
	uint32_t round_trip_ms; /* of heartbeats, UINT32_MAX: not measured yet */
	uint16_t disagreements; /* bit i: our agreement i is another one there */
};

/* Who is alive, ourselves included, by name. */
struct view_member {
	struct slice name; /* valid as long as the members */
	uint64_t incarnation;
	uint32_t slot; /* MEMBERS_NONE: ourselves */
};

struct members_counters {
	uint64_t heartbeats_sent;
	uint64_t heartbeats_received; /* and taken */
	uint64_t refused[MEMBERS_REFUSAL_COUNT];
	uint64_t joined, away, back, ended, views;
};

#endif
