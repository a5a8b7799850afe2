#include "relay/table/table_relay.h"

#include "base/check.h"
#include "base/log.h"
#include "relay/table/table_loop.h"

#include <stdlib.h>

struct table_relay {
	struct redis_target redis;
	char prefix[TABLE_KEY_BYTES];
	char node[TABLE_KEY_BYTES];
	bool private_table;
	int attention_fd;
	pthread_mutex_t lock; /* of what follows */
	struct table_status status;
	/* The main thread's. */
	struct table_loop *loop; /* NULL: there is no thread */
};

struct table_relay *table_relay_new(const char *prefix, const char *node, const struct redis_target *redis,
				    int attention_fd, bool private_table)
{
	struct table_relay *relay = calloc(1, sizeof(*relay));
	if (relay == NULL)
		return NULL;
	relay->redis = *redis;
	relay->private_table = private_table;
	relay->attention_fd = attention_fd;
	snprintf(relay->prefix, sizeof(relay->prefix), "%s", prefix);
	snprintf(relay->node, sizeof(relay->node), "%s", node);
	relay->status.is_on = prefix[0] != '\0';
	snprintf(relay->status.key, sizeof(relay->status.key), "%.63s:%.63s", prefix, node);
	CHECK(pthread_mutex_init(&relay->lock, NULL) == 0);
	return relay;
}

void table_relay_free(struct table_relay *relay)
{
	CHECK(relay->loop == NULL);
	pthread_mutex_destroy(&relay->lock);
	free(relay);
}

/* All but the thread. NULL: memory is short. */
static struct table_loop *table_loop_new(struct table_relay *relay)
{
	struct table_loop *loop = aligned_alloc(_Alignof(struct table_loop), sizeof(*loop));
	if (loop == NULL)
		return NULL;
	memset(loop, 0, sizeof(*loop));
	loop->redis = &relay->redis;
	loop->prefix = relay->prefix;
	loop->node = relay->node;
	loop->lock = &relay->lock;
	loop->status = &relay->status;
	return loop;
}

bool table_relay_start(struct table_relay *relay, struct gateway *gateway)
{
	CHECK(relay->loop == NULL);
	if (relay->prefix[0] == '\0')
		return true;
	struct table_loop *loop = table_loop_new(relay);
	if (loop != NULL && session_thread_init(&loop->thread, gateway, 1, relay->attention_fd, relay->private_table) &&
	    session_thread_start(&loop->thread, table_loop_main, loop)) {
		relay->loop = loop;
		return true;
	}
	free(loop);
	log_write(LOG_ERROR, "presence table: memory, descriptors or threads are short: there is none");
	return false;
}

void table_relay_stop(struct table_relay *relay, bool leaves)
{
	if (relay->loop == NULL)
		return;
	atomic_store(&relay->loop->leaves, leaves);
	session_thread_stop(&relay->loop->thread);
	free(relay->loop);
	relay->loop = NULL;
}

bool table_relay_is_due(const struct table_relay *relay)
{
	return relay->loop != NULL ? atomic_load(&relay->loop->thread.calls) : relay->prefix[0] != '\0';
}

void table_relay_status(struct table_relay *relay, struct table_status *status)
{
	pthread_mutex_lock(&relay->lock);
	*status = relay->status;
	pthread_mutex_unlock(&relay->lock);
}

const char *table_state_name(enum table_state state)
{
	static const char *const NAMES[] = {
		[TABLE_WAITING] = "waiting", [TABLE_LISTING] = "listing", [TABLE_WORKING] = "working"};
	CHECK(state <= TABLE_WORKING);
	return NAMES[state];
}
