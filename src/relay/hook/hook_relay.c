#include "relay/hook/hook_relay.h"

#include "base/check.h"
#include "base/log.h"
#include "relay/hook/hook_loop.h"
#include "relay/session/orphans.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

struct hook_relay {
	const char *node;
	bool private_table;
	int attention_fd;
	pthread_mutex_t lock; /* of what follows */
	struct hooks wanted;  /* the newest */
	bool has_others;      /* than the thread has */
	struct hooks_status status;
	struct gateway *gateway; /* NULL: it was not started yet */
	/* The main thread's. */
	struct hooks hooks;     /* of the thread, which reads them while it runs */
	struct hook_loop *loop; /* NULL: there is no thread */
};

struct hook_relay *hook_relay_new(const struct hooks *hooks, const char *node, int attention_fd, bool private_table)
{
	struct hook_relay *relay = calloc(1, sizeof(*relay));
	if (relay == NULL)
		return NULL;
	relay->node = node;
	relay->private_table = private_table;
	relay->attention_fd = attention_fd;
	relay->wanted = *hooks;
	CHECK(pthread_mutex_init(&relay->lock, NULL) == 0);
	return relay;
}

void hook_relay_free(struct hook_relay *relay)
{
	CHECK(relay->loop == NULL);
	pthread_mutex_destroy(&relay->lock);
	free(relay);
}

/* ---- starting ---- */

/* What was counted of a hook goes on, wherever it stands in the list now. */
static void carry_hooks_status(struct hook_relay *relay)
{
	struct hooks_status *fresh = calloc(1, sizeof(*fresh));
	CHECK(fresh != NULL);
	fresh->count = relay->hooks.count;
	for (uint32_t i = 0; i < relay->hooks.count; i++) {
		const struct hook *hook = &relay->hooks.items[i];
		struct hook_status *status = &fresh->hooks[i];
		for (uint32_t old = 0; old < relay->status.count; old++) {
			if (strcmp(relay->status.hooks[old].name, hook->name) == 0)
				*status = relay->status.hooks[old];
		}
		status->state = HOOK_STARTING;
		status->qos = hook->qos;
		memcpy(status->name, hook->name, sizeof(status->name));
		memcpy(status->url, hook->url, sizeof(status->url));
	}
	relay->status = *fresh;
	free(fresh);
}

static void take_up_hooks(struct hook_relay *relay, struct gateway *gateway)
{
	pthread_mutex_lock(&relay->lock);
	relay->hooks = relay->wanted;
	relay->has_others = false;
	relay->gateway = gateway;
	carry_hooks_status(relay);
	pthread_mutex_unlock(&relay->lock);
}

static bool hooks_have(const void *items, struct slice name)
{
	const struct hooks *hooks = items;
	for (uint32_t i = 0; i < hooks->count; i++) {
		if (slice_equal(slice_string(hooks->items[i].name), name))
			return true;
	}
	return false;
}

static void tend_hook_orphans(struct hook_relay *relay, struct gateway *gateway)
{
	const struct orphans_kind kind = {
		.prefix = HOOK_CLIENT_PREFIX,
		.name = "hook",
		.receiver = "its endpoint",
		.items = &relay->hooks,
		.has = hooks_have,
	};
	orphans_tend(gateway, &kind);
}

static struct hook_loop *hook_loop_new(struct hook_relay *relay)
{
	struct hook_loop *loop = calloc(1, sizeof(*loop));
	if (loop == NULL)
		return NULL;
	loop->hooks = &relay->hooks;
	loop->node = relay->node;
	loop->lock = &relay->lock;
	loop->status = &relay->status;
	return loop;
}

bool hook_relay_start(struct hook_relay *relay, struct gateway *gateway)
{
	CHECK(relay->loop == NULL);
	take_up_hooks(relay, gateway);
	tend_hook_orphans(relay, gateway);
	if (relay->hooks.count == 0)
		return true;
	struct hook_loop *loop = hook_loop_new(relay);
	if (loop != NULL &&
	    session_thread_init(&loop->thread, gateway, relay->hooks.count, relay->attention_fd,
				relay->private_table) &&
	    session_thread_start(&loop->thread, hook_loop_main, loop)) {
		relay->loop = loop;
		return true;
	}
	free(loop);
	log_write(LOG_ERROR, "hooks do not work: memory, descriptors or threads are short; what they take waits");
	return false;
}

void hook_relay_stop(struct hook_relay *relay)
{
	if (relay->loop == NULL)
		return;
	session_thread_stop(&relay->loop->thread);
	free(relay->loop);
	relay->loop = NULL;
}

/* ---- while it runs ---- */

void hook_relay_use(struct hook_relay *relay, const struct hooks *hooks)
{
	pthread_mutex_lock(&relay->lock);
	relay->wanted = *hooks;
	relay->has_others = true;
	pthread_mutex_unlock(&relay->lock);
	eventfd_write(relay->attention_fd, 1);
}

bool hook_relay_is_due(struct hook_relay *relay)
{
	pthread_mutex_lock(&relay->lock);
	bool due = relay->has_others;
	pthread_mutex_unlock(&relay->lock);
	if (relay->loop == NULL)
		return due || relay->hooks.count != 0;
	return due || atomic_load(&relay->loop->thread.calls);
}

/* Where the gateway does not say, what the thread holds stays. */
static void add_hook_backlog(struct session_asker *asker, struct hook_status *status)
{
	char id[ITEM_CLIENT_BYTES_MAX];
	struct session_facts session;
	size_t size = item_client_id(HOOK_CLIENT_PREFIX, status->name, id);
	if (session_asker_inspect(asker, slice_of(id, size), NULL, &session) != ERROR_OK)
		return;
	status->backlog_messages = session.messages;
	status->backlog_bytes += session.bytes;
	status->refused = session.dropped;
}

void hook_relay_status(struct hook_relay *relay, struct hooks_status *status)
{
	pthread_mutex_lock(&relay->lock);
	*status = relay->status;
	struct gateway *gateway = relay->gateway;
	pthread_mutex_unlock(&relay->lock);
	struct session_asker *asker = gateway != NULL && status->count != 0 ? session_asker_new(gateway) : NULL;
	for (uint32_t i = 0; i < status->count && asker != NULL; i++)
		add_hook_backlog(asker, &status->hooks[i]);
	session_asker_free(asker);
}
