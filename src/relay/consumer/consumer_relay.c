#include "relay/consumer/consumer_relay.h"

#include "base/check.h"
#include "base/log.h"
#include "control/gateway.h"
#include "relay/consumer/consumer_loop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

struct consumer_relay {
	struct redis_target target;
	char member[CONSUMER_MEMBER_BYTES_MAX];
	bool private_table;
	int attention_fd;
	pthread_mutex_t lock;    /* of what follows */
	struct consumers wanted; /* the newest */
	bool has_others;         /* than the threads have */
	struct consumers_status status;
	/* The main thread's. */
	struct consumers consumers;                 /* of the threads, which read them while they run */
	struct consumer_loop *loops[CONSUMERS_MAX]; /* NULL: there is no thread */
};

struct consumer_relay *consumer_relay_new(const struct consumers *consumers, const char *member,
					  const struct redis_target *target, int attention_fd, bool private_table)
{
	struct consumer_relay *relay = calloc(1, sizeof(*relay));
	if (relay == NULL)
		return NULL;
	relay->target = *target;
	relay->private_table = private_table;
	relay->attention_fd = attention_fd;
	relay->wanted = *consumers;
	snprintf(relay->member, sizeof(relay->member), "%s", member);
	CHECK(pthread_mutex_init(&relay->lock, NULL) == 0);
	return relay;
}

void consumer_relay_free(struct consumer_relay *relay)
{
	for (uint32_t i = 0; i < CONSUMERS_MAX; i++)
		CHECK(relay->loops[i] == NULL);
	pthread_mutex_destroy(&relay->lock);
	free(relay);
}

/* ---- starting ---- */

/* What was counted of a consumer goes on, wherever it stands in the list now. */
static void carry_consumer_status(struct consumer_relay *relay)
{
	struct consumers_status fresh = {.count = relay->consumers.count};
	for (uint32_t i = 0; i < relay->consumers.count; i++) {
		const struct consumer *consumer = &relay->consumers.items[i];
		struct consumer_status *status = &fresh.consumers[i];
		for (uint32_t old = 0; old < relay->status.count; old++) {
			if (strcmp(relay->status.consumers[old].name, consumer->name) == 0)
				*status = relay->status.consumers[old];
		}
		status->state = CONSUMER_STARTING;
		memcpy(status->name, consumer->name, sizeof(status->name));
		memcpy(status->stream, consumer->stream, sizeof(status->stream));
		memcpy(status->group, consumer->group, sizeof(status->group));
	}
	relay->status = fresh;
}

static void take_up_consumers(struct consumer_relay *relay)
{
	pthread_mutex_lock(&relay->lock);
	relay->consumers = relay->wanted;
	relay->has_others = false;
	carry_consumer_status(relay);
	pthread_mutex_unlock(&relay->lock);
}

static struct consumer_loop *start_consumer(struct consumer_relay *relay, struct gateway *gateway, uint32_t number)
{
	struct consumer_loop *loop = consumer_loop_new(&relay->consumers.items[number], relay->member, &relay->target);
	if (loop == NULL)
		return NULL;
	const struct settings *settings = gateway_settings(gateway);
	loop->limits = (struct incoming_limits){.packet_bytes_max = settings->packet_bytes_max,
						.checks_format = settings->payload_format_check};
	loop->lock = &relay->lock;
	loop->status = &relay->status.consumers[number];
	if (session_thread_init(&loop->thread, gateway, 1, relay->attention_fd, relay->private_table) &&
	    session_thread_start(&loop->thread, consumer_loop_main, loop))
		return loop;
	consumer_loop_free(loop);
	return NULL;
}

void consumer_relay_start(struct consumer_relay *relay, struct gateway *gateway)
{
	take_up_consumers(relay);
	for (uint32_t i = 0; i < relay->consumers.count; i++) {
		CHECK(relay->loops[i] == NULL);
		relay->loops[i] = start_consumer(relay, gateway, i);
		if (relay->loops[i] == NULL)
			log_write(LOG_ERROR, "consumer %s does not work: memory, descriptors or threads are short",
				  relay->consumers.items[i].name);
	}
}

void consumer_relay_stop(struct consumer_relay *relay)
{
	/* First all are told, so that they end at the same time. */
	for (uint32_t i = 0; i < CONSUMERS_MAX; i++) {
		if (relay->loops[i] != NULL)
			session_thread_ask_to_stop(&relay->loops[i]->thread);
	}
	for (uint32_t i = 0; i < CONSUMERS_MAX; i++) {
		if (relay->loops[i] == NULL)
			continue;
		session_thread_stop(&relay->loops[i]->thread);
		consumer_loop_free(relay->loops[i]);
		relay->loops[i] = NULL;
	}
}

/* ---- while they run ---- */

void consumer_relay_use(struct consumer_relay *relay, const struct consumers *consumers)
{
	pthread_mutex_lock(&relay->lock);
	relay->wanted = *consumers;
	relay->has_others = true;
	pthread_mutex_unlock(&relay->lock);
	eventfd_write(relay->attention_fd, 1);
}

bool consumer_relay_is_due(struct consumer_relay *relay)
{
	pthread_mutex_lock(&relay->lock);
	bool due = relay->has_others;
	pthread_mutex_unlock(&relay->lock);
	for (uint32_t i = 0; i < relay->consumers.count; i++)
		due = due || relay->loops[i] == NULL || atomic_load(&relay->loops[i]->thread.calls);
	return due;
}

const char *consumer_state_name(enum consumer_state state)
{
	static const char *const NAMES[] = {
		[CONSUMER_STARTING] = "starting", [CONSUMER_WORKING] = "working", [CONSUMER_WAITING] = "waiting"};
	CHECK(state <= CONSUMER_WAITING);
	return NAMES[state];
}

void consumer_relay_status(struct consumer_relay *relay, struct consumers_status *status)
{
	pthread_mutex_lock(&relay->lock);
	*status = relay->status;
	pthread_mutex_unlock(&relay->lock);
}
