/* The rounds of `roost bench crash`: load, kill, start, account. Main thread; blocks. */
#ifndef BENCH_CRASH_RUN_H
#define BENCH_CRASH_RUN_H

#include "bench/crash/crash_options.h"
#include "bench/target/child.h"

/* What happened in one round. */
struct crash_round {
	uint32_t number;       /* from 1 */
	double load_ms;        /* before the kill */
	double stop_ms;        /* from the signal to the end of the process */
	double start_ms;       /* from exec to accepting connections */
	double settle_ms;      /* from then until all is accounted for */
	uint64_t acknowledged; /* messages, in this round */
	uint64_t arrived;      /* in all streams, in this round */
	uint64_t repeated;     /* of these again, at QoS 1 */
	uint64_t open;         /* messages of publishers that were not acknowledged when it was killed */
	uint64_t faults[LEDGER_FAULT_KINDS];
	uint64_t reused; /* packet identifiers, for another message before PUBREL: a client would lose that one */
	uint64_t retained_lost; /* topics whose last acknowledged message was not there, nor a later one */
	bool early;             /* it was killed once more while it started */
	bool clean;
};

struct crash_run {
	const struct crash_options *options;
	struct engine engine;
	struct child child;
	uint64_t random;
	uint64_t *retained; /* room for one number a topic */
	double last_start_ms;
	uint64_t retained_lost; /* of all rounds */
	uint32_t upgrades;      /* of all servers that have ended, by what they said */
	struct crash_round *rounds;
	uint32_t round_count; /* that were completed */
	const char *fault;    /* why it could not go on; NULL: nothing. Static storage */
};

/* Starts the server and connects everyone. Close it in either case. */
bool crash_run_open(struct crash_run *run, const struct crash_options *options, const char *store, uint64_t seed);
/* Returns false if the server did not come back, or did not stop as it should; run->fault says so. */
bool crash_run_round(struct crash_run *run);
void crash_run_close(struct crash_run *run);

/* Nothing was lost that was acknowledged, in any round. */
bool crash_run_is_clean(const struct crash_run *run);

#endif
