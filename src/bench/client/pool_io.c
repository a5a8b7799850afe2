#include "bench/client/pool_io.h"
#include "bench/client/opening_state.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

uint32_t client_pool_number_of(const struct client_pool *pool, uint32_t index)
{
	return pool->events.number_of != NULL ? pool->events.number_of(pool->owner, index) : pool->first + index;
}

uint32_t client_pool_topic_of(const struct client_pool *pool, uint32_t index)
{
	return pool->events.topic_of != NULL ? pool->events.topic_of(pool->owner, index) : CLIENT_NO_TOPIC;
}

void client_set_ping_pending(struct client_pool *pool, struct client *client, bool pending)
{
	CHECK(pool->pings_pending >= (uint32_t)client->ping_pending);
	pool->pings_pending += pending;
	pool->pings_pending -= client->ping_pending;
	client->ping_pending = pending;
	client->is_probe = false;
}

/* A layered stream would say its last words, so it is taken apart. */
static void close_stream(struct client_pool *pool, struct stream stream)
{
	struct stream_carry carry = {0};
	int fd = stream_is_layered(stream) ? stream_release(&pool->streams, stream, &carry) : stream_number(stream);
	if (fd < 0) {
		stream_close(&pool->streams, stream);
		return;
	}
	stream_carry_drop(&pool->streams, &carry);
	close(fd);
}

void client_release(struct client_pool *pool, struct client *client)
{
	if (stream_exists(client->stream))
		close_stream(pool, client->stream);
	client->stream = STREAM_NONE;
	free(client->unread);
	client->unread = NULL;
	if (client->state <= CLIENT_OPENING)
		opening_free(client->opening);
	else
		free(client->unsent);
	client->opening = NULL;
}

void client_pool_set_state(struct client_pool *pool, struct client *client, enum client_state state)
{
	bool was_underway = client->state > CLIENT_UNUSED && client->state < CLIENT_READY;
	bool is_underway = state > CLIENT_UNUSED && state < CLIENT_READY;
	if (state == CLIENT_GONE)
		client_set_ping_pending(pool, client, false);
	CHECK(state > client->state || (state == CLIENT_UNUSED && client->state == CLIENT_GONE));
	CHECK(pool->in_progress >= (uint32_t)was_underway);
	CHECK(client->state != CLIENT_READY || pool->ready > 0);
	pool->in_progress += is_underway;
	pool->in_progress -= was_underway;
	if (client->state == CLIENT_READY)
		pool->ready--;
	if (state == CLIENT_READY)
		pool->ready++;
	if (was_underway && !is_underway && pool->started == pool->count && pool->in_progress == 0)
		pool->connect_done_ns = clock_now_ns();
	client->state = (uint8_t)state;
}

void client_pool_lose(struct client_pool *pool, uint32_t index, enum loss kind, uint32_t code)
{
	CHECK(index < pool->started && pool->clients[index].state != CLIENT_GONE);
	struct client *client = &pool->clients[index];
	enum client_state state = client->state;
	losses_add(&pool->losses, kind, code);
	client_release(pool, client);
	client_pool_set_state(pool, client, CLIENT_GONE);
	if (pool->events.lost != NULL)
		pool->events.lost(pool->owner, index, state, kind, code);
}

/* Appends to the bytes that wait already. Returns false if they are too many, or without memory. */
static bool keep_unsent(struct client *client, const uint8_t *bytes, size_t size)
{
	size_t kept = client->unsent != NULL ? client->unsent->size : 0;
	uint32_t done = client->unsent != NULL ? client->unsent->done : 0;
	if (kept + size > CLIENT_UNSENT_BYTES_MAX)
		return false;
	struct client_rest *grown = realloc(client->unsent, sizeof(*grown) + kept + size);
	if (grown == NULL)
		return false;
	memcpy(grown->bytes + kept, bytes, size);
	grown->size = (uint32_t)(kept + size);
	grown->done = done;
	client->unsent = grown;
	return true;
}

/* Sets *taken to what the stream took. A socket that takes a part is full, and an event will say when it is not; a
 * layered stream takes as much at a time as it likes, and only EAGAIN promises that. Returns false if the client is
 * lost. */
static bool send_some(struct client_pool *pool, uint32_t index, const uint8_t *bytes, size_t size, size_t *taken)
{
	struct stream stream = pool->clients[index].stream;
	ssize_t sent;
	*taken = 0;
	do {
		sent = stream_send(&pool->streams, stream, bytes + *taken, size - *taken);
		*taken += sent > 0 ? (size_t)sent : 0;
	} while (sent > 0 && *taken < size && stream_is_layered(stream));
	if (sent >= 0 || errno == EAGAIN)
		return true;
	client_pool_lose(pool, index, LOSS_RESET, (uint32_t)errno);
	return false;
}

/* Control packets are small: if a socket has no room for them, the server does not read. */
bool client_pool_write(struct client_pool *pool, uint32_t index, const uint8_t *bytes, size_t size)
{
	CHECK(index < pool->started && stream_exists(pool->clients[index].stream));
	struct client *client = &pool->clients[index];
	size_t sent = 0;
	if (client->unsent == NULL && !send_some(pool, index, bytes, size, &sent))
		return false;
	if (sent == size || (pool->plan->writes && keep_unsent(client, bytes + sent, size - sent)))
		return true;
	client_pool_lose(pool, index, LOSS_BLOCKED, 0);
	return false;
}

bool client_pool_write_unsent(struct client_pool *pool, uint32_t index)
{
	struct client *client = &pool->clients[index];
	struct client_rest *rest = client->unsent;
	size_t sent;
	if (rest == NULL)
		return true;
	CHECK(rest->done < rest->size);
	if (!send_some(pool, index, rest->bytes + rest->done, rest->size - rest->done, &sent))
		return false;
	rest->done += (uint32_t)sent;
	if (rest->done < rest->size)
		return false;
	free(rest);
	client->unsent = NULL;
	return true;
}

void client_pool_keep_unread(struct client_pool *pool, uint32_t index, struct slice bytes)
{
	struct client *client = &pool->clients[index];
	if (bytes.size == 0)
		return;
	CHECK(client->unread == NULL && bytes.size < CLIENT_PACKET_BYTES_MAX);
	client->unread = malloc(sizeof(*client->unread) + bytes.size);
	if (client->unread == NULL) {
		client_pool_lose(pool, index, LOSS_RESET, ENOMEM);
		return;
	}
	memcpy(client->unread->bytes, bytes.data, bytes.size);
	client->unread->size = (uint32_t)bytes.size;
}
