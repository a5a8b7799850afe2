#include "relay/table/table_loop.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

/* A sleep without anything to wait for; status is looked at then. */
#define SLEEP_MS_LONGEST 1000u
/* Of the session, before Redis is heard again. */
#define READS_PER_TURN 16u
/* Of what an empty buffer keeps. */
#define TEXT_KEEP_BYTES ((size_t)64 << 10)

/* In the list for poll(). */
enum {
	TABLE_AT_WAKER,
	TABLE_AT_REDIS,
	TABLE_AT_SESSION,
	TABLE_POLLED,
};

/* ---- states ---- */

/* Something went wrong that another listing mends, after a pause. */
static void fail_table(struct table_loop *loop, const char *fault, uint64_t now_ms)
{
	log_write(LOG_WARNING, "presence table: %s; it is made anew", fault);
	snprintf(loop->fault, sizeof(loop->fault), "%s", fault);
	loop->fault_ms = now_ms;
	loop->state = TABLE_WAITING;
	pause_begin(&loop->pause, now_ms);
}

/* How many events the session has missed. Where the gateway does not say, as many as before. */
static uint64_t count_dropped(const struct table_loop *loop)
{
	struct session_facts facts;
	enum error error =
		session_asker_inspect(loop->thread.asker, slice_string(TABLE_CLIENT_ID), &loop->topics, &facts);
	return error == ERROR_OK ? facts.dropped : loop->dropped;
}

static bool may_begin_table(const struct table_loop *loop, uint64_t now_ms)
{
	return loop->state == TABLE_WAITING && loop->link.connected && loop->session.state == SESSION_READY &&
	       now_ms >= loop->pause.until_ms && loop->writer.out.size == 0 && !table_writer_owes(&loop->writer);
}

static void begin_table(struct table_loop *loop, uint64_t now_ms)
{
	loop->state = TABLE_LISTING;
	loop->dropped = count_dropped(loop);
	loop->renew_ms = now_ms + TABLE_RENEW_MS;
	table_listing_begin(&loop->listing);
	table_writer_begin(&loop->writer);
}

/* All clients are listed. No event is read until Redis has confirmed them. */
static bool is_listed(const struct table_loop *loop)
{
	return loop->state == TABLE_LISTING && table_listing_is_over(&loop->listing);
}

static void finish_table(struct table_loop *loop, uint64_t now_ms)
{
	if (loop->listings == 0 || loop->fault[0] != '\0')
		log_write(LOG_INFO, "presence table: %s has %" PRIu64 " clients", loop->writer.key,
			  loop->writer.clients);
	loop->state = TABLE_WORKING;
	loop->listings++;
	loop->renew_ms = now_ms + TABLE_RENEW_MS;
	table_writer_finish(&loop->writer, clock_wall_ms());
	table_link_works(&loop->link);
}

/* ---- what becomes of the table ---- */

static void put_client(void *context, struct slice client, const struct table_entry *entry)
{
	struct table_loop *loop = context;
	bytes_clear(&loop->value, TEXT_KEEP_BYTES);
	table_entry_write(entry, &loop->value);
	if (loop->value.failed)
		loop->writer.out.failed = true; /* the connection is lost for it, and the table made anew */
	else
		table_writer_put(&loop->writer, client, bytes_slice(&loop->value));
}

static void list_more(struct table_loop *loop, uint64_t now_ms)
{
	char fault[TABLE_FAULT_BYTES];
	if (loop->state != TABLE_LISTING || is_listed(loop) || loop->writer.out.size >= TABLE_LISTED_BYTES_MAX)
		return;
	enum error error = table_listing_next(&loop->listing, clock_wall_ms(), put_client, loop);
	if (error == ERROR_OK)
		return;
	snprintf(fault, sizeof(fault), "clients could not be listed: %s", error_sentence(error));
	fail_table(loop, fault, now_ms);
}

static void take_event(struct table_loop *loop, const struct mqtt_publish *publish)
{
	bytes_clear(&loop->payload, TEXT_KEEP_BYTES);
	bytes_append(&loop->payload, publish->payload.data, publish->payload.size);
	if (loop->payload.failed) {
		loop->writer.out.failed = true;
		return;
	}
	table_event_read(publish->topic, loop->payload.data, loop->payload.size, &loop->event);
	if (loop->event.change == TABLE_COMES)
		put_client(loop, loop->event.client, &loop->event.entry);
	else if (loop->event.change == TABLE_GOES)
		table_writer_remove(&loop->writer, loop->event.client);
	loop->events += loop->event.change != TABLE_NOTHING;
}

static void renew_table(struct table_loop *loop, uint64_t now_ms)
{
	char fault[TABLE_FAULT_BYTES];
	if (loop->writer.renewals != loop->renewals) {
		loop->renewals = loop->writer.renewals;
		loop->renewed_ms = now_ms;
	}
	if (loop->state == TABLE_WAITING)
		return;
	if (loop->writer.is_wrong) {
		snprintf(fault, sizeof(fault), "%s does not have the %" PRIu64 " clients that Redis has confirmed",
			 loop->writer.key, loop->writer.clients);
		fail_table(loop, fault, now_ms);
		return;
	}
	if (now_ms < loop->renew_ms)
		return;
	loop->renew_ms = now_ms + TABLE_RENEW_MS;
	if (count_dropped(loop) != loop->dropped) {
		fail_table(loop, "events were missed, because the session's queue was full", now_ms);
		return;
	}
	table_writer_renew(&loop->writer, clock_wall_ms());
	if (loop->state == TABLE_WORKING)
		pause_clear(&loop->pause);
}

/* ---- the session ---- */

static void lose_table_session(struct table_loop *loop, uint64_t now_ms)
{
	if (!session_thread_is_stopping(&loop->thread))
		fail_table(loop, loop->session.fault, now_ms);
	session_link_close(&loop->session);
	loop->lost = true;
}

/* What waits for Redis is not cut: it is a part of commands. */
static void check_behind(struct table_loop *loop, uint64_t now_ms)
{
	if (loop->state != TABLE_WAITING && loop->writer.out.size > TABLE_BEHIND_BYTES)
		fail_table(loop, "Redis takes less than there is", now_ms);
}

/* False: the connection is lost. */
static bool read_events(struct table_loop *loop, uint64_t now_ms)
{
	struct mqtt_publish publish;
	bool more = true;
	for (uint32_t reads = 0; more && reads < READS_PER_TURN; reads++) {
		if (!session_link_read(&loop->session, &more))
			return false;
		while (session_link_next(&loop->session, &publish)) {
			if (publish.packet_id != 0)
				session_link_acknowledge(&loop->session, publish.packet_id);
			if (loop->state != TABLE_WAITING)
				take_event(loop, &publish);
		}
		check_behind(loop, now_ms);
	}
	loop->read_ms = more ? now_ms : 0;
	return !session_link_is_broken(&loop->session);
}

static void hear_table_session(struct table_loop *loop, short events, uint64_t now_ms)
{
	if (loop->session.state == SESSION_CLOSED)
		return;
	bool is_ready = loop->session.state == SESSION_READY;
	if ((events & POLLIN) != 0 && is_ready && loop->read_ms == 0)
		loop->read_ms = now_ms + TABLE_GATHER_MS;
	bool is_due = loop->read_ms != 0 && now_ms >= loop->read_ms && !is_listed(loop);
	if (is_due || (events & (POLLHUP | POLLERR)) != 0 || !is_ready) {
		if (!read_events(loop, now_ms)) {
			lose_table_session(loop, now_ms);
			return;
		}
	}
	if (loop->session.state == SESSION_CONNECTED)
		session_link_subscribe(&loop->session, &loop->topics, 1, NULL, 0);
	if (loop->session.out.size != 0 && !session_link_flush(&loop->session))
		lose_table_session(loop, now_ms);
}

/* ---- a turn ---- */

static uint64_t soonest(uint64_t one, uint64_t other)
{
	return one < other ? one : other;
}

static int table_sleep_ms(const struct table_loop *loop, uint64_t now_ms)
{
	uint64_t until_ms = soonest(now_ms + SLEEP_MS_LONGEST, table_link_due_ms(&loop->link));
	if (loop->read_ms != 0 && !is_listed(loop))
		until_ms = soonest(until_ms, loop->read_ms);
	if (loop->state == TABLE_WAITING && loop->link.connected && loop->session.state == SESSION_READY)
		until_ms = soonest(until_ms, loop->pause.until_ms > now_ms ? loop->pause.until_ms : UINT64_MAX);
	else if (loop->state != TABLE_WAITING)
		until_ms = soonest(until_ms, loop->renew_ms);
	bool lists = loop->state == TABLE_LISTING && !is_listed(loop) && loop->writer.out.size < TABLE_LISTED_BYTES_MAX;
	if (lists || may_begin_table(loop, now_ms))
		return 0;
	return until_ms > now_ms ? (int)(until_ms - now_ms) : 0;
}

static void wait_for_table(struct table_loop *loop, struct pollfd polled[TABLE_POLLED])
{
	bool reads = loop->session.state != SESSION_READY || (loop->read_ms == 0 && !is_listed(loop));
	int session_events = (reads ? POLLIN : 0) | (loop->session.is_blocked ? POLLOUT : 0);
	int redis_events = POLLIN | (loop->link.is_blocked ? POLLOUT : 0);
	polled[TABLE_AT_WAKER] = (struct pollfd){.fd = loop->thread.waker.fd, .events = POLLIN};
	polled[TABLE_AT_REDIS] = (struct pollfd){.fd = table_link_fd(&loop->link), .events = (short)redis_events};
	polled[TABLE_AT_SESSION] = (struct pollfd){.fd = loop->session.fd, .events = (short)session_events};
	waker_sleep(&loop->thread.waker);
	poll(polled, TABLE_POLLED,
	     session_thread_is_stopping(&loop->thread) ? 1 : table_sleep_ms(loop, clock_now_ms()));
	waker_awake(&loop->thread.waker);
}

/* Whether it is whole or not, the table has to be made anew on the next connection. */
static void note_lost_redis(struct table_loop *loop, uint64_t now_ms)
{
	if (loop->link.connected)
		return;
	loop->state = TABLE_WAITING;
	if (loop->link.fault[0] == '\0')
		return;
	snprintf(loop->fault, sizeof(loop->fault), "redis: %.*s", (int)sizeof(loop->fault) - 8, loop->link.fault);
	loop->fault_ms = now_ms;
	loop->link.fault[0] = '\0';
}

static void tell_table_status(struct table_loop *loop, uint64_t now_ms)
{
	struct table_status status = {
		.is_on = true,
		.state = loop->state,
		.clients = loop->state == TABLE_WORKING ? loop->writer.clients : loop->status->clients,
		.events = loop->events,
		.listings = loop->listings,
		.renewed_s = loop->renewed_ms != 0 ? (double)(now_ms - loop->renewed_ms) / 1e3 : 0,
		.fault_age_s = loop->fault[0] != '\0' ? (double)(now_ms - loop->fault_ms) / 1e3 : 0,
	};
	snprintf(status.key, sizeof(status.key), "%s", loop->writer.key);
	snprintf(status.fault, sizeof(status.fault), "%s", loop->fault);
	pthread_mutex_lock(loop->lock);
	*loop->status = status;
	pthread_mutex_unlock(loop->lock);
}

static void table_turn(struct table_loop *loop)
{
	struct pollfd polled[TABLE_POLLED];
	table_link_connect(&loop->link, clock_now_ms());
	wait_for_table(loop, polled);
	uint64_t now_ms = clock_now_ms();
	if (loop->link.connected && (polled[TABLE_AT_REDIS].revents & ~POLLOUT) != 0)
		table_link_receive(&loop->link, now_ms);
	table_link_check(&loop->link, now_ms);
	note_lost_redis(loop, now_ms);
	hear_table_session(loop, polled[TABLE_AT_SESSION].revents, now_ms);
	if (may_begin_table(loop, now_ms))
		begin_table(loop, now_ms);
	list_more(loop, now_ms);
	if (is_listed(loop) && loop->writer.out.size == 0 && !table_writer_owes(&loop->writer))
		finish_table(loop, now_ms);
	renew_table(loop, now_ms);
	table_writer_end_batch(&loop->writer);
	table_link_flush(&loop->link, now_ms);
	note_lost_redis(loop, now_ms);
	tell_table_status(loop, now_ms);
	if (loop->lost)
		session_thread_call(&loop->thread, now_ms);
}

/* ---- the thread ---- */

static bool open_table(struct table_loop *loop)
{
	char fault[ITEM_FAULT_BYTES_MAX];
	loop->session.fd = -1;
	pause_clear(&loop->pause);
	loop->listing.gateway = loop->thread.gateway;
	loop->listings = loop->status->listings;
	loop->events = loop->status->events;
	table_writer_init(&loop->writer, loop->prefix, loop->node);
	CHECK(topics_add(&loop->topics, TABLE_TOPIC_COMES, fault) &&
	      topics_add(&loop->topics, TABLE_TOPIC_GOES, fault));
	session_link_open_fleeting(&loop->session, loop->thread.fds[0], slice_string(TABLE_CLIENT_ID));
	session_link_flush(&loop->session); /* a failure shows when it is read */
	return table_link_init(&loop->link, loop->redis, &loop->writer);
}

/* Until Redis has confirmed it. The hash goes by itself where that does not come about. */
static void leave_table(struct table_loop *loop)
{
	uint64_t until_ms = clock_now_ms() + TABLE_STOP_MS;
	table_writer_leave(&loop->writer);
	while (loop->link.connected && table_writer_owes(&loop->writer) && clock_now_ms() < until_ms) {
		struct pollfd polled = {.fd = table_link_fd(&loop->link), .events = POLLIN};
		table_link_flush(&loop->link, clock_now_ms());
		if (loop->link.is_blocked)
			polled.events |= POLLOUT;
		if (loop->link.connected && poll(&polled, 1, TABLE_GATHER_MS) > 0 && (polled.revents & ~POLLOUT) != 0)
			table_link_receive(&loop->link, clock_now_ms());
	}
}

void *table_loop_main(void *argument)
{
	struct table_loop *loop = argument;
	session_thread_begin(&loop->thread);
	bool works = open_table(loop);
	if (!works)
		log_write(LOG_ERROR, "presence table: %s", error_sentence(ERROR_NO_MEMORY));
	while (works && !session_thread_is_stopping(&loop->thread))
		table_turn(loop);
	if (works && loop->link.connected && atomic_load(&loop->leaves))
		leave_table(loop);
	session_link_close(&loop->session);
	table_link_fini(&loop->link);
	table_writer_free(&loop->writer);
	bytes_free(&loop->payload);
	bytes_free(&loop->value);
	return NULL;
}
