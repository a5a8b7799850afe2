/* What a thread holds of a group of clients (run/run_group.h). Types only. */
#ifndef BENCH_RUN_GROUP_STATE_H
#define BENCH_RUN_GROUP_STATE_H

#include "bench/client/pool.h"
#include "bench/measure/histogram.h"
#include "bench/measure/inflight.h"
#include "bench/measure/schedule.h"
#include "bench/restart/restart_account.h"
#include "bench/scenario/expectations.h"
#include "bench/sessions/unreleased.h"

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

/* What is needed to send a message again. */
struct run_sent {
	uint32_t channel;
	uint64_t number;
	uint64_t due_ns;
};

/* The rest of a client's state where there is a restart. */
struct run_resuming {
	struct unreleased unreleased;
	struct run_sent *sent; /* a ring of the window, by the number in `inflight`; NULL without one */
	bool is_known;         /* to the server: session and subscription are acknowledged */
	bool is_present;       /* the last CONNACK said so */
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
	struct restart_account *account; /* NULL: the server is not restarted */
	struct run_tally *tally;         /* the thread's, of all its groups */
	struct client_pool pool;
	struct client_plan plan;
	char client_prefix[CLIENT_PREFIX_BYTES_MAX + 1];
	uint32_t number; /* of the group in the scenario */
	uint32_t first;  /* number within the group of this thread's first client */
	uint32_t count;
	uint32_t window; /* of inflight; 0: not open yet */
	bool is_open;
	bool sending_stopped;          /* until the next step */
	struct run_client *clients;    /* NULL: they neither publish nor reconnect */
	struct run_resuming *resuming; /* with an account, of each client: run/run_resume.h */
	struct schedule messages;
	struct schedule reconnects;
	struct schedule pings;
	uint64_t measure_from_ns;
	uint64_t sent;           /* messages in this step */
	uint64_t unacknowledged; /* of all that were sent: the handshake has not ended */
	/* with an account */
	uint64_t unreleased;  /* messages at QoS 2 that have arrived and whose PUBREL has not */
	uint64_t retry_ns;    /* not before this time are clients started again */
	struct losses losses; /* while the server should have been there */
	uint8_t *packet;
	uint8_t *padding;
};

static inline bool run_group_reconnects(const struct run_group *group)
{
	return group->spec->reconnects.is_load || group->spec->reconnects.a_second > 0;
}

static inline bool run_group_publishes(const struct run_group *group)
{
	return (group->spec->role & ROLE_PUBLISHER) != 0;
}

#endif
