/* Client sockets. Blocks only where said. Any thread, within its own descriptor table. */
#ifndef BENCH_DIAL_H
#define BENCH_DIAL_H

#include "bench/target/url.h"

#include <stdint.h>

/* A port range has 28 k ports, and the kernel's search for a free one (it tries one parity first) slows down past 14 k
 * from one source to one destination: so each source address serves at most this many clients. */
#define DIAL_CLIENTS_PER_SOURCE 10000u

struct dial {
	struct address address;
	uint32_t source_base;     /* first source network, differs from run to run: their ports may be in TIME_WAIT */
	struct source_range from; /* the source addresses, if from.hosts is not 0: clients take them in turns */
	bool spread;              /* bind to 127/8 source addresses */
	bool no_delay;
};

/* spread is set where the target is in 127.0.0.0/8: anywhere else the source address is not ours to choose. from: none
 * yet; the target must be IPv4 then. */
void dial_init(struct dial *dial, const struct address *address, bool no_delay);

/* A non-blocking socket that is connecting (on loopback it usually is connected already), or -errno. client chooses
 * the source address. */
int dial_start(const struct dial *dial, uint32_t client);

/* Connects and closes, to find out whether anybody listens; blocks at most 3 s. 0 or an errno. */
int dial_probe(const struct address *address);

/* A listening socket, or -errno. Port 0 in address picks a free port and writes it back. */
int dial_listen(struct address *address, int backlog);

#endif
