/* Random plays of clients, shards and the kernel between them (play.h). A seed that fails is printed with what is left
 * of its play when all is taken away that the failure does not need.
 *
 *	simulate [--seconds N] [--plays N] [--steps N] [--seed N] [--shrink]
 *	simulate --seed N --steps N --clients N --faults N --wide-buffers --keep STEP,...
 *
 * --seed N: this play alone; with --shrink it is made small. The second form plays a part of it: what was printed of
 * one that was made small. Otherwise plays of fresh seeds, until the time is over or so many are played. Exit status 1
 * where a play failed. */
#include "base/clock.h"
#include "play.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PLAYS_PER_PROCESS 200u
#define SHRINKS_MAX 3000u
#define PLAY_SECONDS_MAX 60u

static const struct play_hooks NOTHING;

struct options {
	uint64_t seconds;
	uint64_t plays;
	uint64_t seed;
	uint32_t steps;
	bool seeded;
	uint32_t clients; /* 0: as the seed says */
	int64_t faults;   /* kinds; -1: as the seed says */
	const char *keep; /* steps by their places; NULL: all */
	bool wide_buffers;
	bool shrink;
	bool print;
};

/* Shared with the process that plays. */
struct progress {
	uint64_t seed;
	uint64_t played;
};

static bool wait_for_child(pid_t child)
{
	int status;
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			abort();
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* In a process of its own, which a failure ends. */
static bool passes(const struct play *play, bool quietly)
{
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		if (quietly && (freopen("/dev/null", "w", stderr) == NULL))
			_exit(2);
		alarm(PLAY_SECONDS_MAX);
		play_run(play, &NOTHING);
		play_close();
		exit(0);
	}
	return child > 0 && wait_for_child(child);
}

/* ---- making it small ---- */

/* Takes some steps out, if it fails without them too. */
static bool drop_steps(struct play *play, uint32_t from, uint32_t count)
{
	struct play fewer = *play;
	memmove(&fewer.steps[from], &fewer.steps[from + count],
		(play->step_count - from - count) * sizeof(fewer.steps[0]));
	fewer.step_count -= count;
	if (passes(&fewer, true))
		return false;
	*play = fewer;
	return true;
}

static bool drop_some_steps(struct play *play)
{
	bool dropped = false;
	for (uint32_t count = play->step_count / 2; count != 0; count /= 2) {
		for (uint32_t from = 0; from + count <= play->step_count;) {
			if (drop_steps(play, from, count))
				dropped = true;
			else
				from += count;
		}
	}
	return dropped;
}

static bool drop_faults(struct play *play)
{
	bool dropped = false;
	for (uint32_t i = 0; i < FAULT_KINDS; i++) {
		struct play fewer = *play;
		fewer.faults &= ~(1u << i);
		if (fewer.faults == play->faults || passes(&fewer, true))
			continue;
		*play = fewer;
		dropped = true;
	}
	return dropped;
}

static bool drop_clients(struct play *play)
{
	struct play fewer = *play;
	fewer.clients--;
	if (play->clients <= 1 || passes(&fewer, true))
		return false;
	*play = fewer;
	return true;
}

static bool widen_buffers(struct play *play)
{
	struct play wider = *play;
	wider.small_buffers = false;
	if (!play->small_buffers || passes(&wider, true))
		return false;
	*play = wider;
	return true;
}

static void shrink(struct play *play)
{
	bool smaller = true;
	while (smaller) {
		smaller = drop_clients(play);
		smaller |= drop_faults(play);
		smaller |= widen_buffers(play);
		smaller |= drop_some_steps(play);
	}
}

/* As options that play the same again. */
static void print_options(const struct play *play, uint32_t steps)
{
	printf("simulate --seed %lu --steps %u --clients %u --faults %u%s --keep ", play->seed, steps, play->clients,
	       play->faults, play->small_buffers ? "" : " --wide-buffers");
	for (uint32_t i = 0; i < play->step_count; i++)
		printf("%s%u", i != 0 ? "," : "", play->steps[i].place);
	putchar('\n');
}

static void report(struct play *play, const struct options *options)
{
	printf("FAILED seed %lu, %u steps; again: make play SEED=%lu STEPS=%u\n", play->seed, play->step_count,
	       play->seed, play->step_count);
	fflush(stdout);
	passes(play, false);
	if (!options->shrink)
		return;
	shrink(play);
	printf("what is left of it: ");
	print_options(play, options->steps);
	fflush(stdout);
	play_print(play);
	passes(play, false);
}

/* ---- plays ---- */

/* Many in one process, since a process and its scene cost more than a play. */
static bool play_many(struct progress *progress, uint64_t until_ns, const struct options *options, uint64_t base)
{
	fflush(NULL);
	pid_t child = fork();
	if (child != 0)
		return child > 0 && wait_for_child(child);
	struct play play;
	for (uint32_t i = 0; i < PLAYS_PER_PROCESS && progress->played < options->plays && clock_now_ns() < until_ns;
	     i++) {
		progress->seed = base + progress->played;
		alarm(PLAY_SECONDS_MAX);
		play_make(&play, progress->seed, options->steps);
		play_run(&play, &NOTHING);
		progress->played++;
	}
	play_close();
	exit(0);
}

static int play_fresh(const struct options *options)
{
	struct progress *progress =
		mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (progress == MAP_FAILED)
		return 2;
	uint64_t base = options->seeded ? options->seed : (uint64_t)time(NULL) * 1000000u;
	uint64_t until_ns = clock_now_ns() + options->seconds * 1000000000u;
	uint64_t failed = 0;
	while (progress->played < options->plays && clock_now_ns() < until_ns && failed < 5) {
		if (play_many(progress, until_ns, options, base))
			continue;
		struct play play;
		play_make(&play, progress->seed, options->steps);
		report(&play, options);
		progress->played++;
		failed++;
	}
	printf("simulated plays from seed %lu: %lu passed, %lu failed\n", base, progress->played - failed, failed);
	return failed == 0 ? 0 : 1;
}

static void keep_steps(struct play *play, const char *places)
{
	uint32_t kept = 0;
	for (const char *at = places; *at != '\0'; at += strcspn(at, ",") + (at[strcspn(at, ",")] == ',')) {
		uint32_t place = (uint32_t)strtoul(at, NULL, 10);
		if (place < play->step_count)
			play->steps[kept++] = play->steps[place]; /* in ascending order */
	}
	play->step_count = kept;
}

static void take_part(struct play *play, const struct options *options)
{
	if (options->clients != 0)
		play->clients = options->clients;
	if (options->faults >= 0)
		play->faults = (unsigned)options->faults & FAULT_ALL;
	if (options->wide_buffers)
		play->small_buffers = false;
	if (options->keep != NULL)
		keep_steps(play, options->keep);
}

static int play_one(const struct options *options)
{
	struct play play;
	play_make(&play, options->seed, options->steps);
	take_part(&play, options);
	if (options->print)
		play_print(&play);
	if (passes(&play, true)) {
		printf("seed %lu, %u steps: passed\n", options->seed, options->steps);
		return 0;
	}
	report(&play, options);
	return 1;
}

static bool take_option(struct options *options, int option, uint64_t value)
{
	switch (option) {
	case 't':
		options->seconds = value;
		return true;
	case 'n':
		options->plays = value;
		return true;
	case 'c':
		options->steps = value < PLAY_STEPS_MAX ? (uint32_t)value : PLAY_STEPS_MAX;
		return true;
	case 's':
		options->seed = value;
		options->seeded = true;
		return true;
	case 'C':
		options->clients = (uint32_t)value;
		return true;
	case 'f':
		options->faults = (int64_t)value;
		return true;
	case 'K':
		options->keep = optarg;
		return true;
	case 'b':
		options->wide_buffers = true;
		return true;
	case 'k':
		options->shrink = true;
		return true;
	case 'p':
		options->print = true;
		return true;
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	static const struct option KNOWN[] = {{"seconds", required_argument, NULL, 't'},
					      {"plays", required_argument, NULL, 'n'},
					      {"steps", required_argument, NULL, 'c'},
					      {"seed", required_argument, NULL, 's'},
					      {"clients", required_argument, NULL, 'C'},
					      {"faults", required_argument, NULL, 'f'},
					      {"keep", required_argument, NULL, 'K'},
					      {"wide-buffers", no_argument, NULL, 'b'},
					      {"shrink", no_argument, NULL, 'k'},
					      {"print", no_argument, NULL, 'p'},
					      {0}};
	struct options options = {.seconds = 10, .plays = UINT64_MAX, .steps = 200, .faults = -1};
	bool many = false;
	for (int option; (option = getopt_long(argc, argv, "", KNOWN, NULL)) >= 0;) {
		many |= option == 't' || option == 'n';
		if (!take_option(&options, option, optarg != NULL ? strtoull(optarg, NULL, 10) : 0))
			return 2;
	}
	return options.seeded && !many ? play_one(&options) : play_fresh(&options);
}
