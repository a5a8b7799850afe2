/* For the fleet's own files: a client's state, and what goes into and comes out of its socket. */
#ifndef BENCH_FLEET_IO_H
#define BENCH_FLEET_IO_H

#include "bench/fleet.h"

/* The one place that changes a client's state and the counters with it. */
void fleet_set_state(struct fleet *fleet, struct client *client, enum client_state state);

/* Closes the socket and frees what was kept. */
void fleet_free_client(struct client *client);

/* Counts the loss, frees the client and tells the owner. */
void fleet_lose(struct fleet *fleet, uint32_t index, enum loss kind, uint32_t code);

/* Sends, or keeps what the socket does not take (plan->writes). False: the client is lost by it. */
bool fleet_write(struct fleet *fleet, uint32_t index, const uint8_t *bytes, size_t size);

/* The socket has room: sends what was kept. Returns whether nothing is left of it. */
bool fleet_write_unsent(struct fleet *fleet, uint32_t index);

/* Reads all there is, and takes the packets (fleet_receive.c). events: what epoll said. */
void fleet_read(struct fleet *fleet, uint32_t index, uint32_t events);

/* Number and topic as the owner says. */
uint32_t fleet_number_of(const struct fleet *fleet, uint32_t index);
uint32_t fleet_topic_of(const struct fleet *fleet, uint32_t index);

#endif
