#include "bench/bench.h"

#include "bench/crash/crash.h"
#include "bench/durable/durable.h"
#include "bench/floor/floor.h"
#include "bench/hold/hold.h"
#include "bench/options/options.h"
#include "bench/pubsub/latency.h"
#include "bench/pubsub/pubsub.h"
#include "bench/run/run.h"
#include "bench/stored/stored.h"
#include "bench/storm/storm.h"

#include <stdio.h>
#include <string.h>

struct load {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
};

static const struct load LOADS[] = {
	{"crash", "a server with a store, killed under load again and again: what it had acknowledged is there",
	 crash_main},
	{"durable", "sessions that outlive connections, some offline: rate, PUBACK, disk, audit", durable_main},
	{"hold", "connect many clients and hold them: rate, memory, losses", hold_main},
	{"latency", "a light load: latency, where it is spent, beside other brokers and busy neighbours", latency_main},
	{"pubsub", "closed-loop messages: throughput, latency, processor time, losses", pubsub_main},
	{"run", "a scenario from a file: messages on a schedule, rising load up to the knee", run_main},
	{"stored", "many offline sessions: memory and disk of each, seconds to start and to stop", stored_main},
	{"storm", "what the connected notice while others connect as fast as they can", storm_main},
	{"floor", "a bare relay, the machine's own limit", floor_main},
};

#define LOAD_COUNT (sizeof(LOADS) / sizeof(LOADS[0]))

static void print_usage(FILE *out)
{
	fputs("Usage: roost bench LOAD [OPTION...]\n\nPuts load on an MQTT broker and measures it.\n\nLoads:\n", out);
	for (size_t i = 0; i < LOAD_COUNT; i++)
		fprintf(out, "  %-8s %s\n", LOADS[i].name, LOADS[i].summary);
	fputs("\n`roost bench LOAD --help` tells more.\n", out);
}

int bench_main(int argc, char **argv)
{
	if (argc < 2) {
		print_usage(stderr);
		return BENCH_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		print_usage(stdout);
		return BENCH_EXIT_OK;
	}
	for (size_t i = 0; i < LOAD_COUNT; i++) {
		if (strcmp(argv[1], LOADS[i].name) == 0)
			return LOADS[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "roost bench: no load \"%s\"; `roost bench --help` lists them\n", argv[1]);
	return BENCH_EXIT_USAGE;
}
