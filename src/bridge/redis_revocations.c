#include "bridge/redis_revocations.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "bridge/redis_message.h"
#include "bridge/redis_nodes.h"
#include "bridge/redis_scan.h"
#include "reactor/fdtable.h"
#include "reactor/pause.h"
#include "reactor/waker.h"

#include <poll.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A Redis that hangs is noticed within this plus REDIS_TIMEOUT_MS. */
#define PING_MS 2000u
#define SHARDS_BEHIND_NS 1000000
/* What a pass over the masters of a cluster misses because it moves from one that comes later to one that was read
 * already is found by the next: it moves once. */
#define CLUSTER_PASSES 2u
/* Two clocks read in whole seconds may differ by this much although neither was set. */
#define CLOCK_ROUNDING_S 1

struct redis_revocations {
	struct redis_settings settings;
	struct access *access;
	struct counters *counters;
	pthread_t thread;
	struct waker waker;
	int *keep_fds; /* for a descriptor table of its own: the shards' wakers and, last, the one above */
	size_t keep_count;
	_Atomic bool stopping;
	struct redis_connection feed; /* subscribed to the channels */
	struct redis_nodes *nodes;    /* for commands */
	struct redis_scan scan;
	uint32_t scanned; /* of this scan: masters that were read, those of earlier passes included */
	bool scanning;
	bool in_step;      /* a scan was completed since the subscription began */
	bool feed_owes;    /* an answer to PING or SUBSCRIBE is due */
	bool told_refused; /* in this scan: that a revocation could not be put in force */
	uint64_t scan_ms;  /* when the next scan is due */
	uint64_t ping_ms;
	int64_t apart_s; /* wall clock minus monotonic clock at the last scan */
	struct pause pause;
	char told[REDIS_FAULT_BYTES]; /* the reason for the loss that was logged last; "": none */
};

static bool redis_is_stopping(const struct redis_revocations *redis)
{
	return atomic_load(&redis->stopping);
}

/* ---- putting in force ---- */

/* Waits for shards that lag behind, so that no revocation is lost. */
static void revoke_from_redis(void *context, const struct revocation *revocation)
{
	static const struct timespec BEHIND = {.tv_nsec = SHARDS_BEHIND_NS};
	struct redis_revocations *redis = context;
	int64_t now_s = (int64_t)time(NULL);
	enum error error;
	while ((error = access_revoke(redis->access, ACCESS_EXTERNAL, revocation, now_s)) == ERROR_MORE &&
	       !redis_is_stopping(redis))
		nanosleep(&BEHIND, NULL);
	if (error == ERROR_OK) {
		COUNT(redis->counters, redis_revocations);
		return;
	}
	COUNT(redis->counters, redis_refused);
	if (!redis->told_refused && error != ERROR_MORE)
		log_write(LOG_ERROR, "redis: a revocation is not in force: %s", error_sentence(error));
	redis->told_refused = true;
}

static void handle_message(struct redis_revocations *redis, struct slice channel, struct slice text)
{
	int64_t now_s = (int64_t)time(NULL);
	struct revocation revocation;
	if (slice_equal(channel, slice_string(REDIS_CHANNEL_REVOKED)) &&
	    redis_revoked_parse(text, now_s, &revocation)) {
		revoke_from_redis(redis, &revocation);
	} else if (slice_equal(channel, slice_string(REDIS_CHANNEL_LIFTED)) &&
		   redis_lifted_parse(text, &revocation.kind, &revocation.id)) {
		if (access_lift(redis->access, ACCESS_EXTERNAL, revocation.kind, revocation.id, now_s))
			COUNT(redis->counters, redis_lifted);
	} else {
		COUNT(redis->counters, redis_messages_bad);
		log_write(LOG_DEBUG, "redis: a message that cannot be read on %.*s", (int)channel.size,
			  (const char *)channel.data);
	}
}

/* ---- the channels ---- */

static struct slice text_at(const redisReply *reply, size_t index)
{
	const redisReply *element = reply->element[index];
	return element->type == REDIS_REPLY_STRING ? slice_of(element->str, (size_t)element->len) : slice_of(NULL, 0);
}

/* ["message", channel, text], ["subscribe", channel, count] or ["pong", ""]. */
static bool handle_feed(struct redis_revocations *redis, const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_ERROR)
		return redis_link_refused(&redis->feed.link, reply);
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2)
		return redis_link_fail(&redis->feed.link, "something that is no message came on a channel");
	redis->feed_owes = false;
	if (reply->elements == 3 && slice_equal(text_at(reply, 0), slice_string("message")))
		handle_message(redis, text_at(reply, 1), text_at(reply, 2));
	return true;
}

/* Handles everything that was received. */
static bool drain_feed(struct redis_revocations *redis)
{
	redisReply *reply;
	while (!redis_is_stopping(redis)) {
		if (!redis_link_next(&redis->feed.link, &reply))
			return false;
		if (reply == NULL)
			return true;
		bool good = handle_feed(redis, reply);
		freeReplyObject(reply);
		if (!good)
			return false;
	}
	return true;
}

static bool read_feed(struct redis_revocations *redis)
{
	return redis_link_receive(&redis->feed.link) && drain_feed(redis);
}

static bool subscribe_to_channels(struct redis_revocations *redis)
{
	const char *words[] = {"SUBSCRIBE", REDIS_CHANNEL_REVOKED, REDIS_CHANNEL_LIFTED};
	if (!redis_link_append(&redis->feed.link, 3, words, NULL) || !redis_link_send(&redis->feed.link))
		return false;
	for (int i = 0; i < 2; i++) {
		redisReply *reply = redis_link_answer(&redis->feed.link, REDIS_REPLY_ARRAY);
		if (reply == NULL)
			return false;
		/* A message may arrive between the two answers. */
		bool is_message = reply->elements == 3 && slice_equal(text_at(reply, 0), slice_string("message"));
		bool good = handle_feed(redis, reply);
		freeReplyObject(reply);
		if (!good)
			return false;
		i -= is_message;
	}
	return true;
}

/* Pings on all connections: so none is closed for being idle, and a Redis that hangs is noticed. */
static bool ping_all(struct redis_revocations *redis, uint64_t now_ms)
{
	struct redis_link *feed = &redis->feed.link;
	if (redis->feed_owes)
		return redis_link_fail(feed, "no answer in %u ms", PING_MS);
	redis->ping_ms = now_ms + PING_MS;
	if (!redis_link_append(feed, 1, (const char *[]){"PING"}, NULL) || !redis_link_send(feed))
		return false;
	redis->feed_owes = true;
	return redis_nodes_ping(redis->nodes);
}

/* ---- reading all ---- */

static int64_t clocks_apart_s(void)
{
	return (int64_t)time(NULL) - (int64_t)(clock_now_ms() / 1000);
}

/* Redis tells how long a revocation lasts, while ours end at a time of the wall clock. If the clock is set forward they
 * would end too soon, so a new scan is due. */
static bool wall_clock_was_set(const struct redis_revocations *redis)
{
	return llabs(clocks_apart_s() - redis->apart_s) > CLOCK_ROUNDING_S;
}

/* A key of a slot that moves may be at a master that was not read yet, and then at one that was read. */
static bool time_elsewhere(void *context, struct slice key, int64_t *ttl_ms)
{
	struct redis_revocations *redis = context;
	const char *words[] = {"PTTL", (const char *)key.data};
	const size_t sizes[] = {4, key.size};
	redisReply *reply = redis_nodes_ask(redis->nodes, key, 2, words, sizes);
	if (reply == NULL)
		return false;
	/* Where nobody says it is found in the next scan, or gone. */
	*ttl_ms = reply->type == REDIS_REPLY_INTEGER ? reply->integer : -2;
	freeReplyObject(reply);
	return true;
}

static bool is_in_cluster(const struct redis_revocations *redis)
{
	return redis->settings.target.url.kind == REDIS_CLUSTER;
}

static void begin_scan(struct redis_revocations *redis)
{
	CHECK(!redis->scanning); /* access has one round open at a time */
	redis->apart_s = clocks_apart_s();
	redis->scanning = true;
	redis->told_refused = false;
	access_round_begin(redis->access, ACCESS_EXTERNAL);
	redis->scanned = 0;
	redis_scan_begin(&redis->scan, revoke_from_redis, is_in_cluster(redis) ? time_elsewhere : NULL, redis);
}

static void end_scan(struct redis_revocations *redis)
{
	CHECK(redis->scanning);
	uint32_t lifted = access_round_end(redis->access, ACCESS_EXTERNAL);
	counter_add(&redis->counters->values[COUNTER_redis_lifted], lifted);
	COUNT(redis->counters, redis_scans);
	redis->scanning = false;
	redis->scan_ms = clock_now_ms() + redis->settings.rescan_s * UINT64_C(1000);
	if (redis->in_step)
		return;
	redis->in_step = true;
	pause_clear(&redis->pause);
	redis->told[0] = '\0';
	access_set_in_step(redis->access, true);
	COUNT_SET(redis->counters, redis_connected, 1);
	log_write(LOG_INFO, "redis: in step, %u revocations are in force",
		  access_list(redis->access, ACCESS_EXTERNAL, 0, 0, NULL, NULL));
}

static bool read_page(struct redis_revocations *redis)
{
	bool done = false;
	uint32_t masters = redis_nodes_count(redis->nodes);
	struct redis_link *link = redis_nodes_at(redis->nodes, redis->scanned % masters);
	if (link == NULL)
		return false;
	if (!redis_scan_page(&redis->scan, link, (int64_t)time(NULL), &done)) {
		redis_nodes_lose(redis->nodes, link);
		return false;
	}
	if (!done)
		return true;
	redis->scanned++;
	redis_scan_go_on(&redis->scan);
	/* A scan cut short by the shutdown must not lift what it has not read. */
	if (redis->scanned >= masters * (is_in_cluster(redis) ? CLUSTER_PASSES : 1) && !redis_is_stopping(redis))
		end_scan(redis);
	return true;
}

/* ---- being connected ---- */

static void disconnect_all(struct redis_revocations *redis)
{
	redis_connection_close(&redis->feed);
	redis_nodes_close(redis->nodes);
}

/* Any node of a cluster passes on what is published at any other. */
static bool open_feed(struct redis_revocations *redis)
{
	const struct redis_url *url = &redis->settings.target.url;
	if (!is_in_cluster(redis))
		return redis_connection_open_master(&redis->feed);
	for (uint32_t i = 0; i < redis_nodes_count(redis->nodes) && !redis_is_stopping(redis); i++) {
		if (redis_connection_open(&redis->feed, redis_nodes_place(redis->nodes, i)))
			return true;
	}
	return redis_connection_open(&redis->feed, &url->seeds[0]);
}

static bool connect_all(struct redis_revocations *redis)
{
	redis->feed_owes = false;
	/* Subscribes before scanning: a change in between is seen twice rather than never. */
	if (!redis_nodes_refresh(redis->nodes) || !open_feed(redis) || !subscribe_to_channels(redis))
		return false;
	redis->ping_ms = clock_now_ms() + PING_MS;
	begin_scan(redis);
	/* Messages may have arrived together with the answer to SUBSCRIBE. */
	return drain_feed(redis);
}

static int redis_sleep_ms(const struct redis_revocations *redis, uint64_t now_ms)
{
	uint64_t until_ms = redis->ping_ms < redis->scan_ms ? redis->ping_ms : redis->scan_ms;
	if (redis->scanning || redis->feed.link.more || until_ms <= now_ms)
		return 0;
	return (int)(until_ms - now_ms);
}

/* Waits for this long, for input on the feed (if any), or for the end. Returns true if the feed has input. */
static bool wait_ms(struct redis_revocations *redis, const struct redis_link *feed, int timeout_ms)
{
	struct pollfd pollers[] = {
		{.fd = redis->waker.fd, .events = POLLIN},
		{.fd = feed != NULL ? redis_link_fd(feed) : -1, .events = POLLIN},
	};
	waker_sleep(&redis->waker);
	poll(pollers, 2, redis_is_stopping(redis) ? 0 : timeout_ms);
	waker_awake(&redis->waker);
	return pollers[1].revents != 0 || (feed != NULL && feed->more);
}

/* Runs until Redis is lost or the program ends. */
static void follow_redis(struct redis_revocations *redis)
{
	while (!redis_is_stopping(redis)) {
		uint64_t now_ms = clock_now_ms();
		if (wait_ms(redis, &redis->feed.link, redis_sleep_ms(redis, now_ms)) && !read_feed(redis))
			return;
		now_ms = clock_now_ms();
		if (!redis->scanning && (now_ms >= redis->scan_ms || wall_clock_was_set(redis))) {
			/* Masters may have come and gone. */
			if (!redis_nodes_refresh(redis->nodes))
				return;
			begin_scan(redis);
		}
		if (redis->scanning && !read_page(redis))
			return;
		if (now_ms >= redis->ping_ms && !ping_all(redis, now_ms))
			return;
	}
}

/* Logs the loss once, and again if the reason changes. */
static void note_loss(struct redis_revocations *redis)
{
	struct redis_link *feed = &redis->feed.link;
	const char *why = feed->fault[0] != '\0' ? feed->fault : redis_nodes_fault(redis->nodes);
	if (redis->in_step) {
		COUNT(redis->counters, redis_losses);
		COUNT_SET(redis->counters, redis_connected, 0);
	}
	if (feed->fault[0] != '\0' ? feed->tls_failed : redis_nodes_tls_failed(redis->nodes))
		COUNT(redis->counters, redis_tls_failures);
	feed->tls_failed = false;
	redis->in_step = false;
	redis->scanning = false;
	access_set_in_step(redis->access, false);
	if (strcmp(redis->told, why) != 0)
		log_write(LOG_WARNING, "redis: %s: %s; trying again", redis->settings.target.url.seeds[0].host, why);
	snprintf(redis->told, sizeof(redis->told), "%s", why);
	feed->fault[0] = '\0';
}

static void pause_before_next(struct redis_revocations *redis)
{
	uint64_t now_ms = clock_now_ms();
	pause_begin(&redis->pause, now_ms);
	wait_ms(redis, NULL, (int)(redis->pause.until_ms - now_ms));
}

static void *redis_main(void *argument)
{
	struct redis_revocations *redis = argument;
	if (redis->settings.private_table)
		fdtable_detach(redis->keep_fds, redis->keep_count);
	while (!redis_is_stopping(redis)) {
		if (connect_all(redis))
			follow_redis(redis);
		if (!redis_is_stopping(redis))
			note_loss(redis);
		disconnect_all(redis);
		if (!redis_is_stopping(redis))
			pause_before_next(redis);
	}
	return NULL;
}

/* ---- starting and stopping ---- */

static void redis_revocations_free(struct redis_revocations *redis)
{
	redis_nodes_free(redis->nodes);
	redis_connection_fini(&redis->feed);
	sodium_memzero(&redis->settings.target.url, sizeof(redis->settings.target.url));
	free(redis->keep_fds);
	free(redis);
}

static bool list_keeps(struct redis_revocations *redis)
{
	size_t shards = access_waker_fds(redis->access, NULL);
	redis->keep_count = shards + 1;
	redis->keep_fds = calloc(redis->keep_count, sizeof(int));
	if (redis->keep_fds == NULL)
		return false;
	access_waker_fds(redis->access, redis->keep_fds);
	CHECK(redis->keep_count == shards + 1 && redis->waker.fd >= 0);
	redis->keep_fds[shards] = redis->waker.fd;
	return true;
}

struct redis_revocations *redis_revocations_start(const struct redis_settings *settings, struct access *access,
						  struct counters *counters)
{
	struct redis_revocations *redis = calloc(1, sizeof(*redis));
	if (redis == NULL)
		return NULL;
	redis->settings = *settings;
	redis->access = access;
	redis->counters = counters;
	pause_clear(&redis->pause);
	redis->nodes = redis_nodes_new(&redis->settings.target);
	if (redis->nodes == NULL || !redis_connection_init(&redis->feed, &redis->settings.target)) {
		redis_nodes_free(redis->nodes);
		free(redis);
		return NULL;
	}
	redis->feed.given_up = &redis->stopping;
	if (waker_open(&redis->waker) == ERROR_OK) {
		if (list_keeps(redis) && pthread_create(&redis->thread, NULL, redis_main, redis) == 0)
			return redis;
		waker_close(&redis->waker);
	}
	redis_revocations_free(redis);
	return NULL;
}

void redis_revocations_stop(struct redis_revocations **redis)
{
	struct redis_revocations *own = *redis;
	if (own == NULL)
		return;
	*redis = NULL;
	atomic_store(&own->stopping, true);
	redis_nodes_give_up(own->nodes);
	waker_wake(&own->waker);
	pthread_join(own->thread, NULL);
	waker_close(&own->waker);
	redis_revocations_free(own);
}
