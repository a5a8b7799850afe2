#include "relay/relay.h"

#include "base/clock.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* What could not be started, because memory, descriptors or threads were short, is tried again after so long. */
#define RETRY_MS 10000u

struct relay {
	uint64_t retry_ms; /* on the monotonic clock */
	int attention_fd;  /* an eventfd that all kinds share */
	struct stream_relay *streams;
	struct hook_relay *hooks;
	struct table_relay *table;
	struct consumer_relay *consumers;
	struct bridge_relay *bridges;
};

struct relay *relay_new(const struct relay_items *items, const struct relay_settings *settings)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	if (relay == NULL)
		return NULL;
	relay->attention_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (relay->attention_fd >= 0) {
		relay->streams = stream_relay_new(&items->rules, &settings->redis, relay->attention_fd,
						  settings->private_tables);
		relay->consumers = consumer_relay_new(&items->consumers, settings->node, &settings->redis,
						      relay->attention_fd, settings->private_tables);
		relay->hooks =
			hook_relay_new(&items->hooks, settings->node, relay->attention_fd, settings->private_tables);
		relay->table = table_relay_new(settings->presence_table, settings->node, &settings->redis,
					       relay->attention_fd, settings->private_tables);
		relay->bridges = bridge_relay_new(&items->bridges, settings->node, relay->attention_fd,
						  settings->private_tables);
	}
	if (relay->streams != NULL && relay->consumers != NULL && relay->hooks != NULL && relay->table != NULL &&
	    relay->bridges != NULL)
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
	if (relay->hooks != NULL)
		hook_relay_free(relay->hooks);
	if (relay->table != NULL)
		table_relay_free(relay->table);
	if (relay->consumers != NULL)
		consumer_relay_free(relay->consumers);
	if (relay->bridges != NULL)
		bridge_relay_free(relay->bridges);
	if (relay->attention_fd >= 0)
		close(relay->attention_fd);
	free(relay);
}

void relay_start(struct relay *relay, struct gateway *gateway)
{
	if (relay == NULL)
		return;
	stream_relay_start(relay->streams, gateway);
	consumer_relay_start(relay->consumers, gateway);
	hook_relay_start(relay->hooks, gateway);
	table_relay_start(relay->table, gateway);
	bridge_relay_start(relay->bridges, gateway);
}

void relay_stop(struct relay *relay)
{
	if (relay == NULL)
		return;
	/* What these publish may go to a rule. */
	consumer_relay_stop(relay->consumers);
	bridge_relay_stop(relay->bridges);
	stream_relay_stop(relay->streams);
	hook_relay_stop(relay->hooks);
	table_relay_stop(relay->table, false);
}

void relay_leave(struct relay *relay)
{
	if (relay != NULL)
		table_relay_stop(relay->table, true);
	relay_stop(relay);
}

void relay_use(struct relay *relay, const struct relay_items *items, const struct relay_items *before)
{
	if (relay == NULL)
		return;
	if (!items_equal(item_kind_at(ITEM_RULES), items, before))
		stream_relay_use(relay->streams, &items->rules);
	if (!items_equal(item_kind_at(ITEM_CONSUMERS), items, before))
		consumer_relay_use(relay->consumers, &items->consumers);
	if (!items_equal(item_kind_at(ITEM_HOOKS), items, before))
		hook_relay_use(relay->hooks, &items->hooks);
	if (!items_equal(item_kind_at(ITEM_BRIDGES), items, before))
		bridge_relay_use(relay->bridges, &items->bridges);
}

int relay_fd(const struct relay *relay)
{
	return relay != NULL ? relay->attention_fd : -1;
}

void relay_tend(struct relay *relay, struct gateway *gateway)
{
	eventfd_t count;
	uint64_t now_ms = clock_now_ms();
	if (relay == NULL || (eventfd_read(relay->attention_fd, &count) != 0 && now_ms < relay->retry_ms))
		return;
	relay->retry_ms = now_ms + RETRY_MS;
	if (stream_relay_is_due(relay->streams)) {
		stream_relay_stop(relay->streams);
		stream_relay_start(relay->streams, gateway);
	}
	if (hook_relay_is_due(relay->hooks)) {
		hook_relay_stop(relay->hooks);
		hook_relay_start(relay->hooks, gateway);
	}
	if (table_relay_is_due(relay->table)) {
		table_relay_stop(relay->table, false);
		table_relay_start(relay->table, gateway);
	}
	if (bridge_relay_is_due(relay->bridges)) {
		bridge_relay_stop(relay->bridges);
		bridge_relay_start(relay->bridges, gateway);
	}
	if (consumer_relay_is_due(relay->consumers)) {
		consumer_relay_stop(relay->consumers);
		consumer_relay_start(relay->consumers, gateway);
	}
}

void relay_rules_status(struct relay *relay, struct stream_status *status)
{
	*status = (struct stream_status){0};
	if (relay != NULL)
		stream_relay_status(relay->streams, status);
}

void relay_hooks_status(struct relay *relay, struct hooks_status *status)
{
	*status = (struct hooks_status){0};
	if (relay != NULL)
		hook_relay_status(relay->hooks, status);
}

void relay_table_status(struct relay *relay, struct table_status *status)
{
	*status = (struct table_status){.is_on = false};
	if (relay != NULL)
		table_relay_status(relay->table, status);
}

void relay_consumers_status(struct relay *relay, struct consumers_status *status)
{
	*status = (struct consumers_status){0};
	if (relay != NULL)
		consumer_relay_status(relay->consumers, status);
}

void relay_bridges_status(struct relay *relay, struct bridges_status *status)
{
	*status = (struct bridges_status){0};
	if (relay != NULL)
		bridge_relay_status(relay->bridges, status);
}
