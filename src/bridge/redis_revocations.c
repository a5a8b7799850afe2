#include "bridge/redis_revocations.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "bridge/redis_message.h"
#include "bridge/redis_scan.h"
#include "reactor/fdtable.h"
#include "reactor/waker.h"

#include <poll.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PAUSE_MS_LEAST 100u
/* A Redis that hangs is noticed within this plus REDIS_TIMEOUT_MS. */
#define PING_MS 2000u
#define SHARDS_BEHIND_NS 1000000
/* Two clocks read in whole seconds may differ by this much although neither was set. */
#define CLOCK_ROUNDING_S 1

_Static_assert(PAUSE_MS_LEAST * 2 < REDIS_PAUSE_MS_MAX, "pauses grow");

struct redis_revocations {
	struct redis_settings settings;
	struct access *access;
	struct counters *counters;
	pthread_t thread;
	struct waker waker;
	int *keep_fds; /* for a descriptor table of its own: the shards' wakers and, last, the one above */
	size_t keep_count;
	_Atomic bool stopping;
	struct streams streams;
	struct tls_streams tls;      /* where it comes over TLS */
	struct tls_context *context; /* of the connections that are open; NULL: without TLS */
	struct redis_link feed;      /* subscribed to the channels */
	struct redis_link link;      /* for commands */
	struct redis_scan scan;
	bool scanning;
	bool in_step;      /* a scan was completed since the subscription began */
	bool feed_owes;    /* an answer to PING or SUBSCRIBE is due */
	bool told_refused; /* in this scan: that a revocation could not be put in force */
	uint64_t scan_ms;  /* when the next scan is due */
	uint64_t ping_ms;
	int64_t apart_s; /* wall clock minus monotonic clock at the last scan */
	uint32_t pause_ms;
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
		return redis_link_refused(&redis->feed, reply);
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2)
		return redis_link_fail(&redis->feed, "something that is no message came on a channel");
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
		if (!redis_link_next(&redis->feed, &reply))
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
	return redis_link_receive(&redis->feed) && drain_feed(redis);
}

static bool subscribe_to_channels(struct redis_revocations *redis)
{
	const char *words[] = {"SUBSCRIBE", REDIS_CHANNEL_REVOKED, REDIS_CHANNEL_LIFTED};
	if (!redis_link_append(&redis->feed, 3, words, NULL) || !redis_link_send(&redis->feed))
		return false;
	for (int i = 0; i < 2; i++) {
		redisReply *reply = redis_link_answer(&redis->feed, REDIS_REPLY_ARRAY);
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

/* Pings on both connections: so neither is closed for being idle, and a Redis that hangs is noticed. */
static bool ping_both(struct redis_revocations *redis, uint64_t now_ms)
{
	if (redis->feed_owes)
		return redis_link_fail(&redis->feed, "no answer in %u ms", PING_MS);
	redis->ping_ms = now_ms + PING_MS;
	if (!redis_link_append(&redis->feed, 1, (const char *[]){"PING"}, NULL) || !redis_link_send(&redis->feed))
		return false;
	redis->feed_owes = true;
	return redis_link_ping(&redis->link);
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

static void begin_scan(struct redis_revocations *redis)
{
	CHECK(!redis->scanning); /* access has one round open at a time */
	redis->apart_s = clocks_apart_s();
	redis->scanning = true;
	redis->told_refused = false;
	access_round_begin(redis->access, ACCESS_EXTERNAL);
	redis_scan_begin(&redis->scan, revoke_from_redis, redis);
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
	redis->pause_ms = PAUSE_MS_LEAST;
	redis->told[0] = '\0';
	access_set_in_step(redis->access, true);
	COUNT_SET(redis->counters, redis_connected, 1);
	log_write(LOG_INFO, "redis: in step, %u revocations are in force",
		  access_list(redis->access, ACCESS_EXTERNAL, 0, 0, NULL, NULL));
}

static bool read_page(struct redis_revocations *redis)
{
	bool done = false;
	if (!redis_scan_page(&redis->scan, &redis->link, (int64_t)time(NULL), &done))
		return false;
	/* A scan cut short by the shutdown must not lift what it has not read. */
	if (done && !redis_is_stopping(redis))
		end_scan(redis);
	return true;
}

/* ---- being connected ---- */

static bool read_certificates(struct redis_revocations *redis)
{
	char fault[TLS_FAULT_BYTES_MAX];
	if (!redis->settings.tls.on)
		return true;
	CHECK(redis->context == NULL); /* disconnect_both() has put it */
	redis->context = redis_tls_read(&redis->settings.tls, fault);
	redis->feed.tls_failed = redis->context == NULL;
	return redis->context != NULL || redis_link_fail(&redis->feed, "%.*s", REDIS_FAULT_BYTES - 1, fault);
}

static void disconnect_both(struct redis_revocations *redis)
{
	redis_link_close(&redis->feed);
	redis_link_close(&redis->link);
	tls_context_put(&redis->context);
}

static bool connect_both(struct redis_revocations *redis)
{
	redis->feed_owes = false;
	if (!read_certificates(redis))
		return false;
	const struct redis_way way = {
		.url = &redis->settings.url,
		.streams = &redis->streams,
		.tls = redis->context,
		.tls_name = redis->settings.tls.name,
	};
	/* Subscribes before scanning: a change in between is seen twice rather than never. */
	if (!redis_link_open(&redis->feed, &way) || !subscribe_to_channels(redis) ||
	    !redis_link_open(&redis->link, &way))
		return false;
	redis->ping_ms = clock_now_ms() + PING_MS;
	begin_scan(redis);
	/* Messages may have arrived together with the answer to SUBSCRIBE. */
	return drain_feed(redis);
}

static int redis_sleep_ms(const struct redis_revocations *redis, uint64_t now_ms)
{
	uint64_t until_ms = redis->ping_ms < redis->scan_ms ? redis->ping_ms : redis->scan_ms;
	if (redis->scanning || redis->feed.more || until_ms <= now_ms)
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
		if (wait_ms(redis, &redis->feed, redis_sleep_ms(redis, now_ms)) && !read_feed(redis))
			return;
		now_ms = clock_now_ms();
		if (!redis->scanning && (now_ms >= redis->scan_ms || wall_clock_was_set(redis)))
			begin_scan(redis);
		if (redis->scanning && !read_page(redis))
			return;
		if (now_ms >= redis->ping_ms && !ping_both(redis, now_ms))
			return;
	}
}

/* Logs the loss once, and again if the reason changes. */
static void note_loss(struct redis_revocations *redis)
{
	const char *why = redis->link.fault[0] != '\0' ? redis->link.fault : redis->feed.fault;
	if (redis->in_step) {
		COUNT(redis->counters, redis_losses);
		COUNT_SET(redis->counters, redis_connected, 0);
	}
	if (redis->link.tls_failed || redis->feed.tls_failed)
		COUNT(redis->counters, redis_tls_failures);
	redis->link.tls_failed = redis->feed.tls_failed = false;
	redis->in_step = false;
	redis->scanning = false;
	access_set_in_step(redis->access, false);
	if (strcmp(redis->told, why) != 0)
		log_write(LOG_WARNING, "redis: %s: %s; trying again", redis->settings.url.host, why);
	snprintf(redis->told, sizeof(redis->told), "%s", why);
	redis->link.fault[0] = redis->feed.fault[0] = '\0';
}

/* Half of each pause is random, so that many gateways do not reconnect at the same time. */
static void pause_before_next(struct redis_revocations *redis)
{
	CHECK(redis->pause_ms >= PAUSE_MS_LEAST && redis->pause_ms <= REDIS_PAUSE_MS_MAX);
	uint32_t half_ms = redis->pause_ms / 2;
	wait_ms(redis, NULL, (int)(half_ms + randombytes_uniform(half_ms + 1)));
	redis->pause_ms = redis->pause_ms < REDIS_PAUSE_MS_MAX / 2 ? redis->pause_ms * 2 : REDIS_PAUSE_MS_MAX;
}

static void *redis_main(void *argument)
{
	struct redis_revocations *redis = argument;
	if (redis->settings.private_table)
		fdtable_detach(redis->keep_fds, redis->keep_count);
	while (!redis_is_stopping(redis)) {
		if (connect_both(redis))
			follow_redis(redis);
		if (!redis_is_stopping(redis))
			note_loss(redis);
		disconnect_both(redis);
		if (!redis_is_stopping(redis))
			pause_before_next(redis);
	}
	return NULL;
}

/* ---- starting and stopping ---- */

static void redis_revocations_free(struct redis_revocations *redis)
{
	if (redis->settings.tls.on)
		tls_streams_close(&redis->tls);
	sodium_memzero(&redis->settings.url, sizeof(redis->settings.url));
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
	redis->pause_ms = PAUSE_MS_LEAST;
	streams_init(&redis->streams);
	if (settings->tls.on && tls_streams_open(&redis->tls, &redis->streams, NULL) != ERROR_OK) {
		free(redis);
		return NULL;
	}
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
	waker_wake(&own->waker);
	pthread_join(own->thread, NULL);
	waker_close(&own->waker);
	redis_revocations_free(own);
}
