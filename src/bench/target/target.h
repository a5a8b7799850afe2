/* A broker under load: the server, the floor, or another broker beside them. Main thread. */
#ifndef BENCH_TARGET_H
#define BENCH_TARGET_H

#include "bench/dial/dial.h"
#include "bench/dial/transport.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TARGET_NAME_BYTES 32u

struct target {
	char name[TARGET_NAME_BYTES];
	struct url url;
	struct address address;
	struct transport transport;
	pid_t pid;     /* 0: unknown, and so are its processor time and memory */
	int cpu;       /* the floor is pinned to it; CPU_ANY for brokers that are not ours */
	bool is_child; /* a floor that we started */
};

/* Resolves the URL, opens its transport, checks that something listens there, and finds the process unless pid is
 * given. On failure says why on stderr and returns false. Close it in either case. options: NULL for tcp:// alone. */
bool target_open(struct target *target, const char *name, const struct url *url, pid_t pid,
		 const struct transport_options *options);
/* How its clients reach it; good until the target is closed. */
void target_dial(const struct target *target, bool no_delay, struct dial *dial);

/* Starts `roost bench floor` from this program on a free loopback port. It ends with this process, however that ends.
 */
bool target_open_floor(struct target *target);

/* Ends the process, if it is our child. */
void target_close(struct target *target);

#endif
