#include "relay/stream/stream_relay.h"

#include "base/check.h"
#include "base/log.h"
#include "relay/session/orphans.h"
#include "relay/stream/stream_loop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

struct stream_relay {
	struct redis_target redis;
	bool private_table;
	int attention_fd;
	pthread_mutex_t lock; /* of what follows */
	struct rules wanted;  /* the newest */
	bool has_others;      /* than the thread has */
	struct stream_status status;
	struct gateway *gateway; /* NULL: it was not started yet */
	/* The main thread's. */
	struct rules rules;       /* of the thread, which reads them while it runs */
	struct stream_loop *loop; /* NULL: there is no thread */
};

struct stream_relay *stream_relay_new(const struct rules *rules, const struct redis_target *redis, int attention_fd,
				      bool private_table)
{
	struct stream_relay *relay = calloc(1, sizeof(*relay));
	if (relay == NULL)
		return NULL;
	relay->redis = *redis;
	relay->private_table = private_table;
	relay->attention_fd = attention_fd;
	relay->wanted = *rules;
	CHECK(pthread_mutex_init(&relay->lock, NULL) == 0);
	return relay;
}

void stream_relay_free(struct stream_relay *relay)
{
	CHECK(relay->loop == NULL);
	pthread_mutex_destroy(&relay->lock);
	free(relay);
}

/* ---- starting ---- */

/* What was counted of a rule goes on, wherever it stands in the list now. */
static void carry_rule_status(struct stream_relay *relay)
{
	struct stream_status *fresh = calloc(1, sizeof(*fresh));
	CHECK(fresh != NULL);
	fresh->count = relay->rules.count;
	for (uint32_t i = 0; i < relay->rules.count; i++) {
		const struct rule *rule = &relay->rules.items[i];
		struct rule_status *status = &fresh->rules[i];
		for (uint32_t old = 0; old < relay->status.count; old++) {
			if (strcmp(relay->status.rules[old].name, rule->name) == 0)
				*status = relay->status.rules[old];
		}
		status->state = RULE_STARTING;
		status->qos = rule->qos;
		memcpy(status->name, rule->name, sizeof(status->name));
		memcpy(status->stream, rule->stream, sizeof(status->stream));
	}
	relay->status = *fresh;
	free(fresh);
}

static void take_up_rules(struct stream_relay *relay, struct gateway *gateway)
{
	pthread_mutex_lock(&relay->lock);
	relay->rules = relay->wanted;
	relay->has_others = false;
	relay->gateway = gateway;
	carry_rule_status(relay);
	pthread_mutex_unlock(&relay->lock);
}

static bool rules_have(const void *items, struct slice name)
{
	const struct rules *rules = items;
	for (uint32_t i = 0; i < rules->count; i++) {
		if (slice_equal(slice_string(rules->items[i].name), name))
			return true;
	}
	return false;
}

static void tend_rule_orphans(struct stream_relay *relay, struct gateway *gateway)
{
	const struct orphans_kind kind = {
		.prefix = RULE_CLIENT_PREFIX,
		.name = "rule",
		.receiver = "Redis",
		.items = &relay->rules,
		.has = rules_have,
	};
	orphans_tend(gateway, &kind);
}

/* All but the thread. NULL: memory is short. */
static struct stream_loop *stream_loop_new(struct stream_relay *relay)
{
	struct stream_loop *loop = aligned_alloc(_Alignof(struct stream_loop), sizeof(*loop));
	if (loop == NULL)
		return NULL;
	memset(loop, 0, sizeof(*loop));
	loop->rules = &relay->rules;
	loop->lock = &relay->lock;
	loop->status = &relay->status;
	if (redis_side_init(&loop->side, &relay->redis))
		return loop;
	free(loop);
	return NULL;
}

bool stream_relay_start(struct stream_relay *relay, struct gateway *gateway)
{
	CHECK(relay->loop == NULL);
	take_up_rules(relay, gateway);
	tend_rule_orphans(relay, gateway);
	if (relay->rules.count == 0)
		return true;
	struct stream_loop *loop = stream_loop_new(relay);
	if (loop != NULL &&
	    session_thread_init(&loop->thread, gateway, relay->rules.count, relay->attention_fd,
				relay->private_table) &&
	    session_thread_start(&loop->thread, stream_loop_main, loop)) {
		relay->loop = loop;
		return true;
	}
	if (loop != NULL)
		redis_side_fini(&loop->side);
	free(loop);
	log_write(LOG_ERROR, "rules do not work: memory, descriptors or threads are short; what they take waits");
	return false;
}

void stream_relay_stop(struct stream_relay *relay)
{
	if (relay->loop == NULL)
		return;
	session_thread_stop(&relay->loop->thread);
	free(relay->loop);
	relay->loop = NULL;
}

/* ---- while it runs ---- */

void stream_relay_use(struct stream_relay *relay, const struct rules *rules)
{
	pthread_mutex_lock(&relay->lock);
	relay->wanted = *rules;
	relay->has_others = true;
	pthread_mutex_unlock(&relay->lock);
	eventfd_write(relay->attention_fd, 1);
}

bool stream_relay_is_due(struct stream_relay *relay)
{
	pthread_mutex_lock(&relay->lock);
	bool due = relay->has_others;
	pthread_mutex_unlock(&relay->lock);
	if (relay->loop == NULL)
		return due || relay->rules.count != 0;
	return due || atomic_load(&relay->loop->thread.calls);
}

/* Where the gateway does not say, what the thread holds stays. */
static void add_backlog(struct session_asker *asker, struct rule_status *status)
{
	char id[ITEM_CLIENT_BYTES_MAX];
	struct session_facts session;
	size_t size = item_client_id(RULE_CLIENT_PREFIX, status->name, id);
	if (session_asker_inspect(asker, slice_of(id, size), NULL, &session) != ERROR_OK)
		return;
	status->backlog_messages = session.messages;
	status->backlog_bytes += session.bytes;
	status->refused = session.dropped;
}

void stream_relay_status(struct stream_relay *relay, struct stream_status *status)
{
	pthread_mutex_lock(&relay->lock);
	*status = relay->status;
	struct gateway *gateway = relay->gateway;
	pthread_mutex_unlock(&relay->lock);
	struct session_asker *asker = gateway != NULL && status->count != 0 ? session_asker_new(gateway) : NULL;
	for (uint32_t i = 0; i < status->count && asker != NULL; i++)
		add_backlog(asker, &status->rules[i]);
	session_asker_free(asker);
}
