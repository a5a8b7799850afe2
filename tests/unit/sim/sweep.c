/* Random plays of clients on two shards (play.h) in which each request for memory is refused, one in each run: nothing
 * breaks, clients hear a right answer or the end of their connection, what was acknowledged is there or counted, and
 * when all have gone nothing is left.
 *
 *	sweep [--seeds FIRST-LAST] [--steps N] [--faults] [--from-there]
 *
 * --faults: with what else the seed has in store. --from-there: all requests are refused from the n-th on. */
#include "../failing_memory.h"
#include "base/check.h"
#include "play.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RUN_SECONDS_MAX 60u
/* Less than this is not worth a sweep: the play does not reach anything. */
#define REQUESTS_MIN 20u

static void refuse(void)
{
	failing_memory_start();
}

static void stop(void)
{
	failing_memory_stop();
}

static void sweep_run(void *context)
{
	static const struct play_hooks HOOKS = {.memory_fails = true, .begin = refuse, .end = stop};
	alarm(RUN_SECONDS_MAX);
	play_run(context, &HOOKS);
}

int main(int argc, char **argv)
{
	static const struct option KNOWN[] = {{"seeds", required_argument, NULL, 's'},
					      {"steps", required_argument, NULL, 'c'},
					      {"faults", no_argument, NULL, 'f'},
					      {"from-there", no_argument, NULL, 't'},
					      {0}};
	uint64_t first = 1;
	uint64_t last = 3;
	uint32_t steps = 60;
	bool faults = false;
	enum failing_mode mode = FAILING_ONCE;
	for (int option; (option = getopt_long(argc, argv, "", KNOWN, NULL)) >= 0;) {
		if (option == 's' && sscanf(optarg, "%lu-%lu", &first, &last) != 2)
			last = first;
		else if (option == 'c')
			steps = (uint32_t)strtoul(optarg, NULL, 10);
		else if (option == 'f')
			faults = true;
		else if (option == 't')
			mode = FAILING_FROM_THERE;
		else if (option == '?')
			return 2;
	}
	uint64_t all = 0;
	for (uint64_t seed = first; seed <= last; seed++) {
		struct play play;
		play_make(&play, seed, steps);
		play.faults = faults ? play.faults : 0;
		fprintf(stderr, "seed %lu: ", seed);
		uint64_t requests = failing_memory_sweep(FAILING_ALL, mode, sweep_run, &play);
		fprintf(stderr, "%lu requests refused, one at a time\n", requests);
		CHECK_GE(requests, REQUESTS_MIN);
		all += requests;
	}
	play_close();
	printf("%lu runs with a request for memory refused: passed\n", all);
	return 0;
}
