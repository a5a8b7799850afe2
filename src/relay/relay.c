#include "relay/relay.h"

#include "base/check.h"
#include "base/log.h"
#include "control/internal.h"
#include "relay/orphans.h"
#include "relay/relay_loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct relay {
	struct redis_side_settings redis;
	bool private_table;
	int attention_fd;
	pthread_mutex_t lock;       /* of what follows */
	struct rules wanted;        /* the newest */
	struct relay_status status; /* the thread's */
	struct gateway *gateway;    /* NULL: it was not started yet */
	/* The main thread's. */
	struct rules rules;      /* of the thread, which reads them while it runs */
	struct relay_loop *loop; /* NULL: there is no thread */
	pthread_t thread;
};

struct relay *relay_new(const struct rules *rules, const struct redis_side_settings *redis, bool private_table)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (relay == NULL || fd < 0) {
		free(relay);
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	relay->redis = *redis;
	relay->private_table = private_table;
	relay->attention_fd = fd;
	relay->wanted = *rules;
	CHECK(pthread_mutex_init(&relay->lock, NULL) == 0);
	return relay;
}

void relay_free(struct relay *relay)
{
	if (relay == NULL)
		return;
	CHECK(relay->loop == NULL);
	close(relay->attention_fd);
	pthread_mutex_destroy(&relay->lock);
	free(relay);
}

/* ---- starting ---- */

/* What was counted of a rule goes on, wherever it stands in the list now. */
static void carry_status(struct relay *relay)
{
	struct relay_status *fresh = calloc(1, sizeof(*fresh));
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

static void take_up_rules(struct relay *relay, struct gateway *gateway)
{
	eventfd_t count;
	(void)!eventfd_read(relay->attention_fd, &count);
	pthread_mutex_lock(&relay->lock);
	relay->rules = relay->wanted;
	relay->gateway = gateway;
	carry_status(relay);
	pthread_mutex_unlock(&relay->lock);
}

/* Closes the descriptors of those sessions that were opened. */
static void close_sessions(const struct relay_loop *loop, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		close(loop->fds[i]);
}

static bool open_sessions(struct relay_loop *loop)
{
	for (uint32_t i = 0; i < loop->rules->count; i++) {
		loop->fds[i] = gateway_open_internal(loop->gateway);
		if (loop->fds[i] < 0) {
			close_sessions(loop, i);
			return false;
		}
	}
	return true;
}

static struct relay_loop *loop_new(struct relay *relay, struct gateway *gateway)
{
	struct relay_loop *loop = aligned_alloc(_Alignof(struct relay_loop), sizeof(*loop));
	if (loop == NULL)
		return NULL;
	memset(loop, 0, sizeof(*loop));
	loop->rules = &relay->rules;
	loop->gateway = gateway;
	loop->redis = &relay->redis;
	loop->attention_fd = relay->attention_fd;
	loop->private_table = relay->private_table;
	loop->lock = &relay->lock;
	loop->status = &relay->status;
	loop->asker = session_asker_new(gateway);
	if (loop->asker != NULL && waker_open(&loop->waker) == ERROR_OK) {
		CHECK(sem_init(&loop->begun, 0, 0) == 0);
		if (redis_side_init(&loop->side, loop->redis))
			return loop;
		waker_close(&loop->waker);
	}
	session_asker_free(loop->asker);
	free(loop);
	return NULL;
}

static void loop_free(struct relay_loop *loop)
{
	sem_destroy(&loop->begun);
	waker_close(&loop->waker);
	session_asker_free(loop->asker);
	free(loop);
}

bool relay_start(struct relay *relay, struct gateway *gateway)
{
	if (relay == NULL)
		return true;
	CHECK(relay->loop == NULL);
	take_up_rules(relay, gateway);
	orphans_tend(gateway, &relay->rules);
	if (relay->rules.count == 0)
		return true;
	struct relay_loop *loop = loop_new(relay, gateway);
	if (loop != NULL && open_sessions(loop)) {
		if (pthread_create(&relay->thread, NULL, relay_loop_main, loop) == 0) {
			while (sem_wait(&loop->begun) != 0)
				continue;
			if (loop->owns_copies)
				close_sessions(loop, relay->rules.count);
			relay->loop = loop;
			return true;
		}
		close_sessions(loop, relay->rules.count);
	}
	if (loop != NULL) {
		redis_side_fini(&loop->side);
		loop_free(loop);
	}
	log_write(LOG_ERROR, "rules do not work: memory, descriptors or threads are short; what they take waits");
	return false;
}

void relay_stop(struct relay *relay)
{
	if (relay == NULL || relay->loop == NULL)
		return;
	struct relay_loop *loop = relay->loop;
	relay->loop = NULL;
	atomic_store(&loop->stopping, true);
	waker_wake(&loop->waker);
	pthread_join(relay->thread, NULL);
	loop_free(loop);
}

/* ---- while it runs ---- */

void relay_use(struct relay *relay, const struct rules *rules)
{
	if (relay == NULL)
		return;
	pthread_mutex_lock(&relay->lock);
	relay->wanted = *rules;
	pthread_mutex_unlock(&relay->lock);
	eventfd_write(relay->attention_fd, 1);
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
	relay_stop(relay);
	relay_start(relay, gateway);
}

/* Where the gateway does not say, what the thread holds stays. */
static void add_backlog(struct session_asker *asker, struct rule_status *status)
{
	char id[RULE_CLIENT_BYTES_MAX];
	struct rule_session session;
	int size = snprintf(id, sizeof(id), RULE_CLIENT_PREFIX "%s", status->name);
	CHECK(size > 0 && (size_t)size < sizeof(id));
	if (session_asker_inspect(asker, slice_of(id, (size_t)size), NULL, &session) != ERROR_OK)
		return;
	status->backlog_messages = session.messages;
	status->backlog_bytes += session.bytes;
	status->refused = session.dropped;
}

void relay_status(struct relay *relay, struct relay_status *status)
{
	*status = (struct relay_status){0};
	if (relay == NULL)
		return;
	pthread_mutex_lock(&relay->lock);
	*status = relay->status;
	struct gateway *gateway = relay->gateway;
	pthread_mutex_unlock(&relay->lock);
	struct session_asker *asker = gateway != NULL && status->count != 0 ? session_asker_new(gateway) : NULL;
	for (uint32_t i = 0; i < status->count && asker != NULL; i++)
		add_backlog(asker, &status->rules[i]);
	session_asker_free(asker);
}
