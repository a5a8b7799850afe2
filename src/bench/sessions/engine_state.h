/* What the engine (sessions/engine.h) holds. Types only. */
#ifndef BENCH_ENGINE_STATE_H
#define BENCH_ENGINE_STATE_H

#include "bench/measure/histogram.h"
#include "bench/sessions/author.h"
#include "bench/sessions/ledger.h"
#include "bench/sessions/unreleased.h"

struct engine_plan {
	struct cast cast;
	const char *client_prefix;
	uint32_t size;   /* of a payload, at least STAMP_BYTES */
	uint32_t window; /* unacknowledged messages of a publisher */
	uint32_t rate;   /* messages a second, of all publishers; 0: as the windows allow */
	uint8_t version;
};

/* Above QoS 0, what no server should do. */
struct engine_faults {
	uint64_t sessions_lost;      /* a session that was there was not resumed */
	uint64_t identifiers_reused; /* before PUBREL had come */
	uint64_t foreign;            /* messages that nobody has sent, or at another QoS */
};

struct engine {
	struct engine_plan plan;
	struct client_plan client_plan;
	struct client_pool pool;
	struct authors authors;
	struct ledger ledger;
	struct unreleased *unreleased; /* of each subscriber */
	bool *is_wanted;               /* online, of each client */
	bool *is_known;                /* to the server: session and subscription are acknowledged */
	bool *is_present;              /* the last CONNACK said so */
	struct histogram acknowledged_ns;
	struct losses losses; /* while the server should have been there */
	struct engine_faults faults;
	uint64_t refused;    /* messages, by a reason code of 0x80 or above */
	uint64_t quota;      /* of these with Quota exceeded */
	uint64_t events;     /* whatever arrives */
	uint64_t flowing_ns; /* since when; 0: nothing new is sent */
	uint64_t retry_ns;   /* not before this time are clients started again */
	bool measures;       /* acknowledged_ns */
	bool server_is_down; /* and so losses are no one's fault */
};

#endif
