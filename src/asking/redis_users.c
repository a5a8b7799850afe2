#include "asking/redis_users.h"

#include "access/authority.h"
#include "asking/key_list.h"
#include "asking/redis_tracking.h"
#include "asking/redis_user.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/gateway.h"
#include "reactor/fdtable.h"
#include "reactor/pause.h"

#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A Redis that hangs is noticed within this plus REDIS_TIMEOUT_MS, or with the first question. */
#define PING_MS 2000u
/* Of one pipeline. */
#define QUESTIONS_MAX 512u
/* Users that were changed, and are looked at again. Redis waits with more. */
#define CHANGED_MAX 4096u
/* Who was let in before is on his shard by then. */
#define DISABLED_S 60
#define SHARDS_BEHIND_NS 1000000

struct redis_users {
	struct redis_settings settings;
	struct authority *authority;
	struct access *access;
	struct counters *counters;
	pthread_t thread;
	int *keep_fds; /* for a descriptor table of its own: the wakers of shards, of gates and, last, the authority's
			*/
	size_t keep_count;
	_Atomic bool stopping;
	struct redis_connection connection; /* for questions */
	struct redis_tracking tracking;
	struct key_list changed; /* keys */
	bool connected;
	bool link_owes; /* an answer to PING is due */
	uint64_t ping_ms;
	struct pause pause;
	char told[REDIS_FAULT_BYTES]; /* the reason for the loss that was logged last; "": none */
};

static bool users_are_stopping(const struct redis_users *users)
{
	return atomic_load(&users->stopping);
}

/* ---- what has changed ---- */

static void on_change(void *context, struct slice name)
{
	struct redis_users *users = context;
	struct slice value;
	COUNT(users->counters, authority_invalidations);
	if (name.data == NULL) {
		/* Users are not disabled because Redis lost them: their sessions go on. */
		authority_forget_all(users->authority);
		log_write(LOG_WARNING, "redis: users: all keys are gone");
		return;
	}
	if (!outside_key_value_of(authority_key(users->authority), name, &value))
		return;
	authority_forget(users->authority, name);
	if (!key_list_add(&users->changed, name))
		log_write(LOG_ERROR, "redis: users: whether %.*s was disabled is not known: out of memory",
			  name.size < 200 ? (int)name.size : 200, (const char *)name.data);
}

/* Puts the revocation in force, for which shards may have to be waited for. */
static void end_users_sessions(struct redis_users *users, const struct revocation *revocation)
{
	static const struct timespec BEHIND = {.tv_nsec = SHARDS_BEHIND_NS};
	enum error error;
	while ((error = access_revoke(users->access, ACCESS_DISABLED, revocation, (int64_t)time(NULL))) == ERROR_MORE &&
	       !users_are_stopping(users))
		nanosleep(&BEHIND, NULL);
	if (error == ERROR_OK)
		COUNT(users->counters, authority_disabled);
	else if (error != ERROR_MORE)
		log_write(LOG_ERROR, "redis: users: the sessions of a user who was disabled go on: %s",
			  error_sentence(error));
}

static void look_at_changed(struct redis_users *users, struct slice value, const struct outside_answer *answer)
{
	int64_t now_s = (int64_t)time(NULL);
	bool of_client = authority_key(users->authority)->placeholder == OUTSIDE_KEY_OF_CLIENT;
	struct revocation revocation = {
		.kind = of_client ? REVOCATION_CLIENT : REVOCATION_USER,
		.id = of_client ? value : outside_answer_user(answer),
		.until_s = now_s + DISABLED_S,
	};
	if (answer->verdict == OUTSIDE_DENIED || revocation.id.size > REVOCATION_ID_BYTES_MAX)
		return;
	if (answer->is_disabled)
		end_users_sessions(users, &revocation);
	else
		access_lift(users->access, ACCESS_DISABLED, revocation.kind, revocation.id, now_s);
}

/* ---- questions ---- */

static void note_bad(const struct redis_users *users, struct slice key, const struct fault *fault)
{
	COUNT(users->counters, authority_bad);
	log_write(LOG_WARNING, "redis: users: %.*s: %s", key.size < 200 ? (int)key.size : 200, (const char *)key.data,
		  fault->text);
}

/* Waits for the next answer. NULL, *failed false: it cannot be read, as the log says; failed: the link is broken. */
static struct outside_answer *hear_user(struct redis_users *users, struct slice key, struct slice value, bool *failed)
{
	struct fault fault = {0};
	struct outside_answer *answer;
	redisReply *reply;
	*failed = !redis_link_await(&users->connection.link, &reply);
	if (*failed)
		return NULL;
	enum redis_user_outcome outcome = redis_user_read(reply, value, &answer, &fault);
	freeReplyObject(reply);
	if (outcome == REDIS_USER_FAILED)
		*failed = !redis_link_fail(&users->connection.link, "%s", fault.text);
	if (outcome == REDIS_USER_BAD)
		note_bad(users, key, &fault);
	return answer;
}

/* False: the link is broken. */
static bool answer_question(struct redis_users *users, struct authority_question *question)
{
	bool failed;
	struct outside_answer *answer =
		hear_user(users, authority_question_text(question), authority_question_value(question), &failed);
	/* A record that cannot be read lets nobody in. */
	if (answer == NULL && !failed)
		answer = outside_answer_denied();
	if (answer != NULL) {
		authority_answer(users->authority, question, answer, clock_now_ms());
		return true;
	}
	COUNT(users->counters, authority_failed);
	authority_fail(users->authority, question, clock_now_ms());
	return !failed;
}

/* After a break the rest gets no answer. */
static bool answer_questions(struct redis_users *users, struct authority_question *question, bool good)
{
	while (question != NULL) {
		struct authority_question *next = question->next;
		COUNT(users->counters, authority_asked);
		if (good) {
			good = answer_question(users, question);
		} else {
			COUNT(users->counters, authority_failed);
			authority_fail(users->authority, question, clock_now_ms());
		}
		question = next;
	}
	return good;
}

static bool hear_changed(struct redis_users *users, uint32_t count)
{
	bool failed = false;
	for (uint32_t i = 0; i < count && !failed; i++) {
		struct slice key = key_list_at(&users->changed, i), value;
		CHECK(outside_key_value_of(authority_key(users->authority), key, &value)); /* on_change() */
		struct outside_answer *answer = hear_user(users, key, value, &failed);
		if (answer != NULL)
			look_at_changed(users, value, answer);
		outside_answer_put(&answer);
	}
	return !failed;
}

/* One pipeline: questions, and behind them keys that were changed. What Redis changes meanwhile is heard afterwards, so
 * no answer that is older than its message is kept. */
static bool ask_redis(struct redis_users *users, struct authority_question *first)
{
	uint32_t changed =
		key_list_count(&users->changed) < QUESTIONS_MAX ? key_list_count(&users->changed) : QUESTIONS_MAX;
	bool good = true;
	for (struct authority_question *question = first; question != NULL && good; question = question->next)
		good = redis_user_ask(&users->connection.link, authority_question_text(question));
	for (uint32_t i = 0; i < changed && good; i++)
		good = redis_user_ask(&users->connection.link, key_list_at(&users->changed, i));
	good = good && ((first == NULL && changed == 0) || redis_link_send(&users->connection.link));
	good = answer_questions(users, first, good);
	if (!good || !hear_changed(users, changed))
		return false;
	key_list_drop(&users->changed, changed);
	return true;
}

/* ---- being connected ---- */

static void users_disconnect(struct redis_users *users)
{
	redis_tracking_end(&users->tracking);
	redis_connection_close(&users->connection);
	key_list_clear(&users->changed);
}

static void note_users_connected(struct redis_users *users)
{
	users->connected = true;
	pause_clear(&users->pause);
	users->told[0] = '\0';
	users->ping_ms = clock_now_ms() + PING_MS;
	COUNT_SET(users->counters, authority_connected, 1);
	COUNT_SET(users->counters, authority_follows, users->tracking.on);
	if (users->tracking.on)
		log_write(LOG_INFO, "redis: users: connected, and told of changes");
	else
		log_write(LOG_WARNING,
			  "redis: users: connected, but not told of changes (%s): what is kept is good until its time "
			  "is up; that needs Redis 6, and +client|tracking for its user",
			  users->tracking.feed.link.fault);
	users->tracking.feed.link.fault[0] = '\0';
	authority_set_away(users->authority, false, clock_now_ms());
}

static bool users_connect(struct redis_users *users)
{
	if (!redis_connection_open_master(&users->connection) ||
	    !redis_tracking_begin(&users->tracking, &users->connection, authority_key(users->authority)->before))
		return false;
	note_users_connected(users);
	return true;
}

static bool users_ping(struct redis_users *users)
{
	uint64_t now_ms = clock_now_ms();
	if (now_ms < users->ping_ms)
		return true;
	users->ping_ms = now_ms + PING_MS;
	return redis_tracking_ping(&users->tracking) && redis_link_ping(&users->connection.link);
}

/* Nothing is owed on the link: whatever comes there is its end, or garbage. */
static bool link_is_quiet(struct redis_users *users, bool readable)
{
	redisReply *reply = NULL;
	if (!readable)
		return true;
	if (!redis_link_receive(&users->connection.link) || !redis_link_next(&users->connection.link, &reply))
		return false;
	if (reply == NULL)
		return true;
	freeReplyObject(reply);
	return redis_link_fail(&users->connection.link, "an answer came that nobody had asked for");
}

static int users_sleep_ms(const struct redis_users *users)
{
	uint64_t now_ms = clock_now_ms();
	if (users_are_stopping(users) || key_list_count(&users->changed) != 0 || users->tracking.feed.link.more ||
	    users->connection.link.more || now_ms >= users->ping_ms)
		return 0;
	return (int)(users->ping_ms - now_ms);
}

static void show_figures(const struct redis_users *users)
{
	struct authority_figures figures = authority_figures(users->authority);
	COUNT_SET(users->counters, authority_entries, figures.entries);
	COUNT_SET(users->counters, authority_bytes, figures.bytes);
	COUNT_SET(users->counters, authority_evictions, figures.evictions);
}

/* Sleeps until there is something to do, asks and hears. False: Redis is lost. */
static bool users_turn(struct redis_users *users)
{
	struct waker *waker = authority_waker(users->authority);
	bool may_hear = key_list_count(&users->changed) < CHANGED_MAX;
	bool listens = users->tracking.on && may_hear;
	struct pollfd pollers[] = {
		{.fd = waker->fd, .events = POLLIN},
		{.fd = redis_link_fd(&users->connection.link), .events = POLLIN},
		{.fd = listens ? redis_link_fd(&users->tracking.feed.link) : -1, .events = POLLIN},
	};
	uint32_t count;
	waker_sleep(waker);
	struct authority_question *questions = authority_take(users->authority, QUESTIONS_MAX, &count);
	poll(pollers, 3, questions != NULL ? 0 : users_sleep_ms(users));
	waker_awake(waker);
	bool good = link_is_quiet(users, pollers[1].revents != 0 || users->connection.link.more) &&
		    (!listens ||
		     redis_tracking_read(&users->tracking, pollers[2].revents != 0 || users->tracking.feed.link.more));
	if (good)
		good = ask_redis(users, questions);
	else
		answer_questions(users, questions, false);
	show_figures(users);
	return good && users_ping(users);
}

/* Logs the loss once, and again if the reason changes. */
static void users_note_loss(struct redis_users *users)
{
	const char *why = users->connection.link.fault[0] != '\0' ? users->connection.link.fault
								  : users->tracking.feed.link.fault;
	uint64_t now_ms = clock_now_ms();
	if (users->tracking.on)
		authority_suspect(users->authority, now_ms);
	authority_set_away(users->authority, true, now_ms);
	users->connected = false;
	COUNT_SET(users->counters, authority_connected, 0);
	COUNT_SET(users->counters, authority_follows, 0);
	if (users->connection.link.tls_failed || users->tracking.feed.link.tls_failed)
		COUNT(users->counters, redis_tls_failures);
	users->connection.link.tls_failed = users->tracking.feed.link.tls_failed = false;
	if (strcmp(users->told, why) != 0)
		log_write(LOG_WARNING, "redis: users: %s: %s; trying again", users->connection.place.host, why);
	snprintf(users->told, sizeof(users->told), "%s", why);
	users->connection.link.fault[0] = users->tracking.feed.link.fault[0] = '\0';
}

static void users_pause(struct redis_users *users)
{
	struct waker *waker = authority_waker(users->authority);
	struct pollfd poller = {.fd = waker->fd, .events = POLLIN};
	uint64_t now_ms = clock_now_ms();
	pause_begin(&users->pause, now_ms);
	while (!users_are_stopping(users) && now_ms < users->pause.until_ms) {
		waker_sleep(waker);
		poll(&poller, 1, users_are_stopping(users) ? 0 : (int)(users->pause.until_ms - now_ms));
		waker_awake(waker);
		now_ms = clock_now_ms();
	}
}

static void *users_main(void *argument)
{
	struct redis_users *users = argument;
	if (users->settings.private_table)
		fdtable_detach(users->keep_fds, users->keep_count);
	while (!users_are_stopping(users)) {
		if (users_connect(users)) {
			while (!users_are_stopping(users) && users_turn(users))
				;
		}
		if (!users_are_stopping(users))
			users_note_loss(users);
		users_disconnect(users);
		users_pause(users);
	}
	/* Nobody is to wait for a thread that has gone. */
	authority_set_away(users->authority, true, clock_now_ms());
	return NULL;
}

/* ---- starting and stopping ---- */

static void users_free(struct redis_users *users)
{
	redis_connection_fini(&users->connection);
	redis_connection_fini(&users->tracking.feed);
	sodium_memzero(&users->settings.target, sizeof(users->settings.target));
	key_list_free(&users->changed);
	free(users->keep_fds);
	free(users);
}

static bool users_list_keeps(struct redis_users *users, const struct gateway *gateway)
{
	size_t shards = access_waker_fds(users->access, NULL);
	size_t gates = gateway_gate_waker_fds(gateway, NULL);
	users->keep_count = shards + gates + 1;
	users->keep_fds = calloc(users->keep_count, sizeof(int));
	if (users->keep_fds == NULL)
		return false;
	access_waker_fds(users->access, users->keep_fds);
	gateway_gate_waker_fds(gateway, users->keep_fds + shards);
	users->keep_fds[shards + gates] = authority_waker(users->authority)->fd;
	return true;
}

struct redis_users *redis_users_start(const struct redis_settings *settings, struct gateway *gateway,
				      struct counters *counters)
{
	struct redis_users *users = calloc(1, sizeof(*users));
	if (users == NULL)
		return NULL;
	users->settings = *settings;
	users->authority = gateway_authority(gateway);
	users->access = gateway_access(gateway);
	users->counters = counters;
	pause_clear(&users->pause);
	users->tracking.visit = on_change;
	users->tracking.context = users;
	CHECK(users->authority != NULL);
	bool has_one = redis_connection_init(&users->connection, &users->settings.target);
	if (!has_one || !redis_connection_init(&users->tracking.feed, &users->settings.target)) {
		if (has_one)
			redis_connection_fini(&users->connection);
		free(users);
		return NULL;
	}
	if (users_list_keeps(users, gateway) && pthread_create(&users->thread, NULL, users_main, users) == 0)
		return users;
	users_free(users);
	return NULL;
}

void redis_users_stop(struct redis_users **users)
{
	struct redis_users *own = *users;
	if (own == NULL)
		return;
	*users = NULL;
	atomic_store(&own->stopping, true);
	waker_wake(authority_waker(own->authority));
	pthread_join(own->thread, NULL);
	users_free(own);
}
