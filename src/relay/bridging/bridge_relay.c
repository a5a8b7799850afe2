#include "relay/bridging/bridge_relay.h"

#include "base/check.h"
#include "base/log.h"
#include "relay/bridging/bridge_loop.h"
#include "relay/session/orphans.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

struct bridge_relay {
	const char *node;
	bool private_table;
	int attention_fd;
	pthread_mutex_t lock;       /* of what follows */
	struct mqtt_bridges wanted; /* the newest */
	bool has_others;            /* than the thread has */
	struct bridges_status status;
	struct gateway *gateway; /* NULL: it was not started yet */
	/* The main thread's. */
	struct mqtt_bridges bridges; /* of the thread, which reads them while it runs */
	struct bridge_loop *loop;    /* NULL: there is no thread */
};

struct bridge_relay *bridge_relay_new(const struct mqtt_bridges *bridges, const char *node, int attention_fd,
				      bool private_table)
{
	struct bridge_relay *relay = calloc(1, sizeof(*relay));
	if (relay == NULL)
		return NULL;
	relay->node = node;
	relay->private_table = private_table;
	relay->attention_fd = attention_fd;
	relay->wanted = *bridges;
	CHECK(pthread_mutex_init(&relay->lock, NULL) == 0);
	return relay;
}

void bridge_relay_free(struct bridge_relay *relay)
{
	CHECK(relay->loop == NULL);
	pthread_mutex_destroy(&relay->lock);
	free(relay);
}

/* ---- starting ---- */

/* What was counted of a bridge goes on, wherever it stands in the list now. */
static void carry_bridges_status(struct bridge_relay *relay)
{
	struct bridges_status *fresh = calloc(1, sizeof(*fresh));
	CHECK(fresh != NULL);
	fresh->count = relay->bridges.count;
	for (uint32_t i = 0; i < relay->bridges.count; i++) {
		const struct mqtt_bridge *bridge = &relay->bridges.items[i];
		struct bridge_status *status = &fresh->bridges[i];
		for (uint32_t old = 0; old < relay->status.count; old++) {
			if (strcmp(relay->status.bridges[old].name, bridge->name) == 0)
				*status = relay->status.bridges[old];
		}
		status->state = BRIDGE_STARTING;
		status->version = 0;
		memcpy(status->name, bridge->name, sizeof(status->name));
		memcpy(status->url, bridge->url, sizeof(status->url));
	}
	relay->status = *fresh;
	free(fresh);
}

/* Under the lock. */
static void succeed_bridges(struct bridge_relay *relay)
{
	for (uint32_t i = 0; i < relay->wanted.count; i++) {
		struct mqtt_bridge *bridge = &relay->wanted.items[i];
		for (uint32_t old = 0; old < relay->bridges.count; old++) {
			if (strcmp(relay->bridges.items[old].name, bridge->name) == 0)
				mqtt_bridge_succeed(bridge, &relay->bridges.items[old]);
		}
	}
	relay->bridges = relay->wanted;
}

static void take_up_bridges(struct bridge_relay *relay, struct gateway *gateway)
{
	pthread_mutex_lock(&relay->lock);
	succeed_bridges(relay);
	relay->has_others = false;
	relay->gateway = gateway;
	carry_bridges_status(relay);
	pthread_mutex_unlock(&relay->lock);
}

static bool bridges_have(const void *items, struct slice name)
{
	const struct mqtt_bridges *bridges = items;
	for (uint32_t i = 0; i < bridges->count; i++) {
		if (slice_equal(slice_string(bridges->items[i].name), name))
			return true;
	}
	return false;
}

static void tend_bridge_orphans(struct bridge_relay *relay, struct gateway *gateway)
{
	const struct orphans_kind kind = {
		.prefix = MQTT_BRIDGE_CLIENT_PREFIX,
		.name = "bridge",
		.receiver = "the broker",
		.items = &relay->bridges,
		.has = bridges_have,
	};
	orphans_tend(gateway, &kind);
}

static struct bridge_loop *bridge_loop_new(struct bridge_relay *relay)
{
	struct bridge_loop *loop = calloc(1, sizeof(*loop));
	if (loop == NULL)
		return NULL;
	loop->bridges = &relay->bridges;
	loop->node = relay->node;
	loop->lock = &relay->lock;
	loop->status = &relay->status;
	return loop;
}

bool bridge_relay_start(struct bridge_relay *relay, struct gateway *gateway)
{
	CHECK(relay->loop == NULL);
	take_up_bridges(relay, gateway);
	tend_bridge_orphans(relay, gateway);
	if (relay->bridges.count == 0)
		return true;
	struct bridge_loop *loop = bridge_loop_new(relay);
	if (loop != NULL && session_thread_init(&loop->thread, gateway, 0, relay->attention_fd, relay->private_table) &&
	    session_thread_start_opening(&loop->thread, bridge_loop_main, loop)) {
		relay->loop = loop;
		return true;
	}
	free(loop);
	log_write(LOG_ERROR, "bridges do not work: memory, descriptors or threads are short; what they take waits");
	return false;
}

void bridge_relay_stop(struct bridge_relay *relay)
{
	if (relay->loop == NULL)
		return;
	session_thread_stop(&relay->loop->thread);
	free(relay->loop);
	relay->loop = NULL;
}

/* ---- while it runs ---- */

void bridge_relay_use(struct bridge_relay *relay, const struct mqtt_bridges *bridges)
{
	pthread_mutex_lock(&relay->lock);
	relay->wanted = *bridges;
	relay->has_others = true;
	pthread_mutex_unlock(&relay->lock);
	eventfd_write(relay->attention_fd, 1);
}

bool bridge_relay_is_due(struct bridge_relay *relay)
{
	pthread_mutex_lock(&relay->lock);
	bool due = relay->has_others;
	pthread_mutex_unlock(&relay->lock);
	if (relay->loop == NULL)
		return due || relay->bridges.count != 0;
	return due || atomic_load(&relay->loop->thread.calls);
}

/* Where the gateway does not say, what the thread holds stays. */
static void add_bridge_backlog(struct session_asker *asker, struct bridge_status *status)
{
	char id[ITEM_CLIENT_BYTES_MAX];
	struct session_facts session;
	size_t size = item_client_id(MQTT_BRIDGE_CLIENT_PREFIX, status->name, id);
	if (session_asker_inspect(asker, slice_of(id, size), NULL, &session) != ERROR_OK)
		return;
	status->backlog_messages = session.messages;
	status->backlog_bytes = session.bytes;
	status->dropped = session.dropped;
}

void bridge_relay_status(struct bridge_relay *relay, struct bridges_status *status)
{
	pthread_mutex_lock(&relay->lock);
	*status = relay->status;
	struct gateway *gateway = relay->gateway;
	pthread_mutex_unlock(&relay->lock);
	struct session_asker *asker = gateway != NULL && status->count != 0 ? session_asker_new(gateway) : NULL;
	for (uint32_t i = 0; i < status->count && asker != NULL; i++)
		add_bridge_backlog(asker, &status->bridges[i]);
	session_asker_free(asker);
}
