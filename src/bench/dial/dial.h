/* Client sockets. Calls block only where it says so. Any thread, within its own descriptor table. */
#ifndef BENCH_DIAL_H
#define BENCH_DIAL_H

#include "bench/dial/url.h"

#include <stdint.h>

/* A port range has 28,000 ports, and the kernel's search for a free one (it tries one parity first) slows down beyond
 * 14,000 from one source to one destination. So each source address serves at most this many clients. */
#define DIAL_CLIENTS_PER_SOURCE 10000u

struct transport;

struct dial {
	struct address address;
	struct address first_address; /* where the clients below first_clients go instead: another node of a cluster */
	uint32_t first_clients;
	const struct transport *transport; /* what carries MQTT on the socket; NULL: nothing but the socket */
	uint32_t source_base; /* first source network; changes from run to run, because old ports may be in TIME_WAIT */
	struct source_range from; /* the source addresses, if from.hosts is not 0; clients take them in turn */
	bool spread;              /* bind to 127/8 source addresses */
	bool no_delay;
};

/* Sets spread if the target is in 127.0.0.0/8: elsewhere the source address is not ours to choose. Sets no transport
 * and no source range; with one, the target must be IPv4. */
void dial_init(struct dial *dial, const struct address *address, bool no_delay);

/* Returns a non-blocking socket that is connecting (on loopback it usually is connected already), or -errno. The
 * client's number chooses the source address. */
int dial_start(const struct dial *dial, uint32_t client);

/* Connects and closes, to find out whether anything listens. Blocks for at most 3 s. Returns 0 or an errno. */
int dial_probe(const struct address *address);

/* Returns a listening socket, or -errno. Port 0 in address picks a free port and writes it back. */
int dial_listen(struct address *address, int backlog);

/* A port of 127.0.0.1 that nobody listens on at this moment, for servers that cannot choose one, or that must have the
 * same one again. 0: there is none. */
uint16_t dial_draw_port(void);

#endif
