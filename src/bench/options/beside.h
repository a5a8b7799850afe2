/* The brokers that a load compares, which take turns, and the busy neighbours that run beside them. Several loads have
 * these options. Main thread. */
#ifndef BENCH_BESIDE_H
#define BENCH_BESIDE_H

#include "bench/options/options.h"
#include "bench/target/broker.h"
#include "bench/target/neighbours.h"

#define BESIDE_BROKERS_MAX 4u
#define BESIDE_ROUNDS_MAX 99u

struct beside {
	struct broker brokers[BESIDE_BROKERS_MAX]; /* the first is the one that the others are compared with */
	uint32_t count;
	const char *serve;   /* options of the server to start; NULL: not given */
	uint32_t server_pid; /* 0: not given */
	uint32_t rounds;     /* 0: not given */
	uint32_t neighbours;
	bool has_url;
	uint8_t scheme; /* enum url_scheme: of brokers that are started */
};

/* A table over struct beside. */
extern const struct option_row BESIDE_OPTIONS[];

/* Fills in the defaults. Without --url it starts a server if --serve or `starts` says so, and else takes the one that
 * runs at the usual port. Returns NULL, or which options exclude each other. */
const char *beside_complete(struct beside *beside, bool starts, uint32_t rounds_compared);

/* Opens a target for each broker and starts the neighbours. All of them run to the end: a broker that waits for its
 * turn does next to nothing, and its start is not measured. On failure says why on stderr and returns false. Close them
 * in either case. */
bool beside_open(const struct beside *beside, const struct transport_options *options, struct target *targets,
		 struct neighbours *neighbours);
void beside_close(const struct beside *beside, struct target *targets, struct neighbours *neighbours);

#endif
