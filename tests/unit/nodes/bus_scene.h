/* Ends of a bus and a real nats-server, for tests of nodes/bus/bus.h, which run in a thread with a descriptor table of
 * its own, as in the gateway. Whatever fails fails the test. */
#ifndef UNIT_NODES_BUS_SCENE_H
#define UNIT_NODES_BUS_SCENE_H

#include "base/clock.h"
#include "nodes/bus/bus.h"

#include <sys/types.h>

#define WAIT_MS 15000u

struct server {
	pid_t pid;
	uint16_t port;
	char folder[64];
};

struct end {
	struct bus *bus;
	uint32_t connected, lost;
	uint32_t datagrams[2];
	size_t last_size;
	uint8_t last_byte;
	uint64_t longest_ms; /* of a turn */
};

/* Whether there is a nats-server here. */
bool server_is_there(void);
void server_init(struct server *server);
/* With further lines of its configuration. */
void server_start(struct server *server, const char *lines);
void server_kill(struct server *server);
void server_fini(struct server *server);
void url_of(const struct server *server, char url[64]);

/* A bus of its own; the others are in cluster "test", and share libnats. */
void end_init(struct end *end, const struct bus_settings *settings);
void end_init_plain(struct end *end, const char *urls, const char *node);
/* One turn of all ends. */
void turn(struct end *ends, uint32_t count);
void turn_for(struct end *ends, uint32_t count, uint64_t time_ms);
/* From one of two ends to the other, which has the name. */
void send_burst(struct end *from, struct end *to, const char *name, size_t size, uint8_t byte);
uint32_t open_sockets(void);

/* Runs `tests` in such a thread; returns what main() is to return. */
int run_apart(int (*tests)(void));

#define UNTIL(condition, ends, count)                                                                                  \
	do {                                                                                                           \
		uint64_t until_ms_ = clock_now_ms() + WAIT_MS;                                                         \
		while (!(condition)) {                                                                                 \
			turn(ends, count);                                                                             \
			if (clock_now_ms() > until_ms_)                                                                \
				fail_msg("not in time: %s", #condition);                                               \
		}                                                                                                      \
	} while (0)

#endif
