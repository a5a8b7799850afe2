#include "bench/fleet_io.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

uint32_t fleet_number_of(const struct fleet *fleet, uint32_t index)
{
	return fleet->events.number_of != NULL ? fleet->events.number_of(fleet->owner, index) : fleet->first + index;
}

uint32_t fleet_topic_of(const struct fleet *fleet, uint32_t index)
{
	return fleet->events.topic_of != NULL ? fleet->events.topic_of(fleet->owner, index) : FLEET_NO_TOPIC;
}

void fleet_free_client(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	free(client->unread);
	free(client->unsent);
	client->unread = client->unsent = NULL;
	client->fd = -1;
}

void fleet_set_state(struct fleet *fleet, struct client *client, enum client_state state)
{
	bool was_underway = client->state > CLIENT_UNUSED && client->state < CLIENT_READY;
	bool is_underway = state > CLIENT_UNUSED && state < CLIENT_READY;
	CHECK(state > client->state || (state == CLIENT_UNUSED && client->state == CLIENT_GONE));
	fleet->in_progress += is_underway;
	fleet->in_progress -= was_underway;
	if (client->state == CLIENT_READY)
		fleet->ready--;
	if (state == CLIENT_READY)
		fleet->ready++;
	if (was_underway && !is_underway && fleet->started == fleet->count && fleet->in_progress == 0)
		fleet->settled_ns = clock_now_ns();
	client->state = (uint8_t)state;
}

void fleet_lose(struct fleet *fleet, uint32_t index, enum loss kind, uint32_t code)
{
	struct client *client = &fleet->clients[index];
	enum client_state state = client->state;
	losses_add(&fleet->losses, kind, code);
	fleet_free_client(client);
	fleet_set_state(fleet, client, CLIENT_GONE);
	if (fleet->events.lost != NULL)
		fleet->events.lost(fleet->owner, index, state, kind, code);
}

/* Appends to what waits already. False: too much, or no memory. */
static bool keep_unsent(struct client *client, const uint8_t *bytes, size_t size)
{
	size_t kept = client->unsent != NULL ? client->unsent->size : 0;
	uint32_t done = client->unsent != NULL ? client->unsent->done : 0;
	if (kept + size > FLEET_UNSENT_BYTES_MAX)
		return false;
	struct fleet_rest *grown = realloc(client->unsent, sizeof(*grown) + kept + size);
	if (grown == NULL)
		return false;
	memcpy(grown->bytes + kept, bytes, size);
	grown->size = (uint32_t)(kept + size);
	grown->done = done;
	client->unsent = grown;
	return true;
}

/* Returns what the socket took. False: the client is lost. */
static bool send_some(struct fleet *fleet, uint32_t index, const uint8_t *bytes, size_t size, size_t *taken)
{
	ssize_t sent = send(fleet->clients[index].fd, bytes, size, MSG_NOSIGNAL);
	*taken = sent > 0 ? (size_t)sent : 0;
	if (sent >= 0 || errno == EAGAIN)
		return true;
	fleet_lose(fleet, index, LOSS_RESET, (uint32_t)errno);
	return false;
}

/* Control packets are so small that a socket without room for them means a server that does not read. */
bool fleet_write(struct fleet *fleet, uint32_t index, const uint8_t *bytes, size_t size)
{
	struct client *client = &fleet->clients[index];
	size_t sent = 0;
	if (client->unsent == NULL && !send_some(fleet, index, bytes, size, &sent))
		return false;
	if (sent == size || (fleet->plan->writes && keep_unsent(client, bytes + sent, size - sent)))
		return true;
	fleet_lose(fleet, index, LOSS_BLOCKED, 0);
	return false;
}

bool fleet_write_unsent(struct fleet *fleet, uint32_t index)
{
	struct client *client = &fleet->clients[index];
	struct fleet_rest *rest = client->unsent;
	size_t sent;
	if (rest == NULL)
		return true;
	if (!send_some(fleet, index, rest->bytes + rest->done, rest->size - rest->done, &sent))
		return false;
	rest->done += (uint32_t)sent;
	if (rest->done < rest->size)
		return false;
	free(rest);
	client->unsent = NULL;
	return true;
}
