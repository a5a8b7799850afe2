/* For the pool's own files: a client's state, and input and output of its socket. */
#ifndef BENCH_CLIENT_POOL_IO_H
#define BENCH_CLIENT_POOL_IO_H

#include "bench/client/pool.h"

/* The only place that changes a client's state and the counters that go with it. */
void client_pool_set_state(struct client_pool *pool, struct client *client, enum client_state state);

/* The only place that changes ping_pending and the pool's counter. */
void client_set_ping_pending(struct client_pool *pool, struct client *client, bool pending);

/* Closes the stream, without last words, and frees the buffers. */
void client_release(struct client_pool *pool, struct client *client);

/* Counts the loss, frees the client and tells the owner. */
void client_pool_lose(struct client_pool *pool, uint32_t index, enum loss kind, uint32_t code);

/* Sends, or keeps what the socket does not take (plan->writes). Returns false if the client is lost by it. */
bool client_pool_write(struct client_pool *pool, uint32_t index, const uint8_t *bytes, size_t size);

/* Encodes CONNECT and, with plan->pipeline, SUBSCRIBE behind it; out holds CLIENT_GREETING_BYTES_MAX. Returns the size.
 */
size_t client_pool_greeting(const struct client_pool *pool, uint32_t index, uint8_t *out);
/* Sends it, which makes the client GREETING. Returns false if TCP is not up yet and nothing was sent. */
bool client_pool_greet(struct client_pool *pool, uint32_t index);

/* Sends what was kept, now that the socket has room. Returns whether all of it was sent. */
bool client_pool_write_unsent(struct client_pool *pool, uint32_t index);

/* Keeps the beginning of an incomplete packet, or of what is not MQTT yet, for the next read. */
void client_pool_keep_unread(struct client_pool *pool, uint32_t index, struct slice bytes);

/* Reads all there is and handles the packets (pool_receive.c). events: what epoll reported. */
void client_pool_read(struct client_pool *pool, uint32_t index, uint32_t events);

/* Number and topic, from the owner if it has callbacks for them. */
uint32_t client_pool_number_of(const struct client_pool *pool, uint32_t index);
uint32_t client_pool_topic_of(const struct client_pool *pool, uint32_t index);

#endif
