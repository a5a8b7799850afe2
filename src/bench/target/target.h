/* A broker under load: the server, the floor or another one beside them. Main thread. */
#ifndef BENCH_TARGET_H
#define BENCH_TARGET_H

#include "bench/target/url.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TARGET_NAME_BYTES 32u

struct target {
	char name[TARGET_NAME_BYTES];
	struct address address;
	pid_t pid;     /* 0 where unknown: then there are no figures of its processor time and memory */
	int cpu;       /* the floor is kept on it; CPU_ANY for what is not ours */
	bool is_child; /* a floor that we started */
};

/* Resolves the URL, checks that somebody listens there and looks for the process, unless pid is given. Says on stderr
 * what is wrong and returns false. */
bool target_open(struct target *target, const char *name, const struct url *url, pid_t pid);

/* Starts `roost bench floor` from this program on a free loopback port. Ends with us, whatever happens to us. */
bool target_open_floor(struct target *target);

/* Ends the floor that we started. */
void target_close(struct target *target);

#endif
