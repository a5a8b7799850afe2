#include "relay/relay.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct relay {
	int attention_fd; /* an eventfd that all kinds share */
	struct stream_relay *streams;
};

struct relay *relay_new(const struct relay_items *items, const struct redis_side_settings *redis, bool private_table)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	if (relay == NULL)
		return NULL;
	relay->attention_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (relay->attention_fd >= 0)
		relay->streams = stream_relay_new(&items->rules, redis, relay->attention_fd, private_table);
	if (relay->streams != NULL)
		return relay;
	relay_free(relay);
	return NULL;
}

void relay_free(struct relay *relay)
{
	if (relay == NULL)
		return;
	if (relay->streams != NULL)
		stream_relay_free(relay->streams);
	if (relay->attention_fd >= 0)
		close(relay->attention_fd);
	free(relay);
}

void relay_start(struct relay *relay, struct gateway *gateway)
{
	if (relay != NULL)
		stream_relay_start(relay->streams, gateway);
}

void relay_stop(struct relay *relay)
{
	if (relay != NULL)
		stream_relay_stop(relay->streams);
}

void relay_use(struct relay *relay, const struct relay_items *items, const struct relay_items *before)
{
	if (relay != NULL && !items_equal(item_kind_at(ITEM_RULES), items, before))
		stream_relay_use(relay->streams, &items->rules);
}

int relay_fd(const struct relay *relay)
{
	return relay != NULL ? relay->attention_fd : -1;
}

void relay_tend(struct relay *relay, struct gateway *gateway)
{
	eventfd_t count;
	if (relay == NULL || eventfd_read(relay->attention_fd, &count) != 0)
		return;
	if (stream_relay_is_due(relay->streams)) {
		stream_relay_stop(relay->streams);
		stream_relay_start(relay->streams, gateway);
	}
}

void relay_rules_status(struct relay *relay, struct stream_status *status)
{
	*status = (struct stream_status){0};
	if (relay != NULL)
		stream_relay_status(relay->streams, status);
}
