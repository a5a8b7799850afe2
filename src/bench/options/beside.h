/* What a load is put on: a broker, other brokers that take turns with it, and busy neighbours. Several loads have these
 * options. Main thread. */
#ifndef BENCH_BESIDE_H
#define BENCH_BESIDE_H

#include "bench/options/options.h"
#include "bench/target/broker.h"
#include "bench/target/neighbours.h"

#define BESIDE_BROKERS_MAX 4u
#define BESIDE_ROUNDS_MAX 99u

struct beside {
	struct broker brokers[BESIDE_BROKERS_MAX]; /* the first is what the others are beside */
	uint32_t count;
	const char *serve;   /* options of the server that is started; NULL: not given */
	uint32_t server_pid; /* 0: not given */
	uint32_t rounds;     /* 0: not given */
	uint32_t neighbours;
	bool has_url;
};

/* A table over struct beside. */
extern const struct option_row BESIDE_OPTIONS[];

/* Fills in what was not given. Without --url a server is started if that is asked for (--serve), or if starts says so;
 * else one that runs at the usual port is taken. Returns NULL, or what does not go together. */
const char *beside_complete(struct beside *beside, bool starts, uint32_t rounds_compared);

/* Opens a target for each broker, and starts the neighbours. All run to the end: one that waits for its turn does next
 * to nothing, and starts are not measured. False: says why on stderr. Close them in either case. */
bool beside_open(const struct beside *beside, struct target *targets, struct neighbours *neighbours);
void beside_close(const struct beside *beside, struct target *targets, struct neighbours *neighbours);

#endif
