/* One thread's share of a group of clients: it sends what is due, on the schedule, and audits and times what comes.
 * Owned by one thread. */
#ifndef BENCH_RUN_GROUP_H
#define BENCH_RUN_GROUP_H

#include "bench/client/pool.h"
#include "bench/measure/histogram.h"
#include "bench/measure/inflight.h"
#include "bench/measure/schedule.h"
#include "bench/scenario/expectations.h"

/* What a thread has counted. Counts are for a step unless it says otherwise; they are read and reset at its end. */
struct run_tally {
	struct histogram latency_ns; /* of messages that were due after the warm-up */
	struct histogram late_ns;    /* of the bench itself, to send */
	struct histogram sign_in_ns;
	uint64_t latency_sum_ns;
	uint64_t due; /* messages */
	uint64_t sent;
	uint64_t reconnects; /* due */
	uint64_t skipped;    /* of these: the client was still busy with the previous one */
	/* since the thread's start */
	uint64_t expected_due; /* deliveries of what was due */
	uint64_t expected;     /* deliveries of what was sent */
	uint64_t sign_ins;     /* of clients that reconnect */
	uint64_t foreign;
	uint64_t acknowledgements;
	struct audit audit;
};

/* A client that publishes or reconnects. */
struct run_client {
	uint64_t turns;          /* messages that it has sent in this step */
	uint64_t sign_in_due_ns; /* when it was due to reconnect; 0: it is not reconnecting */
	struct inflight inflight;
};

struct run_group {
	const struct scenario_group *spec;
	struct expectations *expectations;
	struct run_tally *tally; /* the thread's, of all its groups */
	struct client_pool pool;
	struct client_plan plan;
	char client_prefix[CLIENT_PREFIX_BYTES_MAX + 1];
	uint32_t number; /* of the group in the scenario */
	uint32_t first;  /* number within the group of this thread's first client */
	uint32_t count;
	uint32_t window; /* of inflight; 0: not open yet */
	bool is_open;
	bool sending_stopped;       /* until the next step */
	struct run_client *clients; /* NULL: they neither publish nor reconnect */
	struct schedule messages;
	struct schedule reconnects;
	struct schedule pings;
	uint64_t measure_from_ns;
	uint64_t sent;           /* messages in this step */
	uint64_t unacknowledged; /* of all that were sent: the handshake has not ended */
	uint8_t *packet;
	uint8_t *padding;
};

/* spec, expectations, tally, plan.dial, plan.credentials, number, first and count are set; first_client is the number
 * of the first client among all clients of the run. Returns false without memory or descriptors. Close it in either
 * case. */
bool run_group_open(struct run_group *group, uint32_t first_client);
void run_group_close(struct run_group *group);

/* Begins a step: everything is due from begin_ns on. phase is 0..1 and differs from thread to thread. Returns false
 * without memory. */
bool run_group_begin(struct run_group *group, double load, uint64_t begin_ns, uint64_t measure_from_ns, double phase);
/* Nothing more becomes due. What is due already is still sent. */
void run_group_stop(struct run_group *group, uint64_t now_ns);
/* Nothing more is sent in this step. */
void run_group_stop_sending(struct run_group *group);

/* Does what is due, a bounded part of it at a time. Returns when to call it again, in ns. */
uint64_t run_group_tick(struct run_group *group, uint64_t now_ns);

/* Messages that are due in this step but not sent. */
uint64_t run_group_unsent(const struct run_group *group);
/* Messages that were sent and whose handshake has not ended. */
uint64_t run_group_unacknowledged(const struct run_group *group);
/* Its clients have sent all their loops; true for a group that does not publish. */
bool run_group_loops_done(const struct run_group *group);
bool run_group_reconnects(const struct run_group *group);

#endif
