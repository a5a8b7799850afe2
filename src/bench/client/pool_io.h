/* For the pool's own files: a client's state, and what goes into and comes out of its socket. */
#ifndef BENCH_CLIENT_POOL_IO_H
#define BENCH_CLIENT_POOL_IO_H

#include "bench/client/pool.h"

/* The one place that changes a client's state and the counters with it. */
void client_pool_set_state(struct client_pool *pool, struct client *client, enum client_state state);

/* A PINGREQ was sent, or was answered, or need not be any more. */
void client_set_ping_pending(struct client_pool *pool, struct client *client, bool pending);

/* Closes the socket and frees what was kept. */
void client_release(struct client *client);

/* Counts the loss, frees the client and tells the owner. */
void client_pool_lose(struct client_pool *pool, uint32_t index, enum loss kind, uint32_t code);

/* Sends, or keeps what the socket does not take (plan->writes). False: the client is lost by it. */
bool client_pool_write(struct client_pool *pool, uint32_t index, const uint8_t *bytes, size_t size);

/* The socket has room: sends what was kept. Returns whether nothing is left of it. */
bool client_pool_write_unsent(struct client_pool *pool, uint32_t index);

/* Reads all there is, and takes the packets (client_pool_receive.c). events: what epoll said. */
void client_pool_read(struct client_pool *pool, uint32_t index, uint32_t events);

/* Number and topic as the owner says. */
uint32_t client_pool_number_of(const struct client_pool *pool, uint32_t index);
uint32_t client_pool_topic_of(const struct client_pool *pool, uint32_t index);

#endif
