#include "relay/consumer/consumer_loop.h"

#include "access/access.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/gateway.h"
#include "mqtt/field/reason.h"
#include "session/session.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Messages gather to so much before they are handed to the gateway. */
#define OUTPUT_BYTES ((size_t)256 << 10)
/* The gateway is waited for without an end, but looked at so often. */
#define SESSION_POLL_MS 1000
#define LOOK_MS 5000u
#define CLAIM_LOOK_MS_LEAST 1000u
/* Shards may lag behind earlier revocations; a revocation is tried so often before its batch waits. */
#define REVOKE_TRIES 200
#define REVOKE_PAUSE_NS 5000000L
/* An entry whose id says that it is older has an id that is no time. */
#define AGE_S_MAX (366.0 * 86400)
/* Faults that differ are logged so many times in a second at most. */
#define LOG_PAUSE_MS 1000u

_Static_assert(CONSUMER_FAULT_BYTES >= REDIS_FAULT_BYTES, "what Redis said fits");

static bool consumer_is_stopping(const struct consumer_loop *loop)
{
	return session_thread_is_stopping(&loop->thread);
}

static void note_consumer_fault(struct consumer_loop *loop, const char *fault)
{
	CHECK(fault[0] != '\0');
	uint64_t now_ms = clock_now_ms();
	bool is_new = strcmp(loop->fault, fault) != 0 || !loop->is_waiting;
	/* A flood of entries that cannot be read, each with another id, is told of by the counter. */
	if (is_new && now_ms >= loop->logged_ms + LOG_PAUSE_MS) {
		log_write(LOG_WARNING, "consumer %s: %s", loop->consumer->name, fault);
		loop->logged_ms = now_ms;
	}
	snprintf(loop->fault, sizeof(loop->fault), "%s", fault);
	loop->fault_ms = now_ms;
}

/* ---- how it is doing ---- */

static void tell_consumer_status(struct consumer_loop *loop)
{
	uint64_t now_ms = clock_now_ms();
	struct consumer_status status = {
		.state = loop->session.state != SESSION_READY ? CONSUMER_STARTING
			 : loop->is_waiting                   ? CONSUMER_WAITING
							      : CONSUMER_WORKING,
		.counts = loop->counts,
		.has_lag = loop->has_lag,
		.lag = loop->lag,
		.pending = loop->pending,
		.delay_s = loop->delay_s,
		.fault_age_s = loop->fault[0] != '\0' ? (double)(now_ms - loop->fault_ms) / 1e3 : 0,
	};
	snprintf(status.name, sizeof(status.name), "%s", loop->consumer->name);
	snprintf(status.stream, sizeof(status.stream), "%s", loop->consumer->stream);
	snprintf(status.group, sizeof(status.group), "%s", loop->consumer->group);
	snprintf(status.fault, sizeof(status.fault), "%s", loop->fault);
	pthread_mutex_lock(loop->lock);
	*loop->status = status;
	pthread_mutex_unlock(loop->lock);
}

/* ---- making and ending ---- */

struct consumer_loop *consumer_loop_new(const struct consumer *consumer, const char *member,
					const struct redis_target *target)
{
	struct consumer_loop *loop = aligned_alloc(_Alignof(struct consumer_loop), sizeof(*loop));
	if (loop == NULL)
		return NULL;
	memset(loop, 0, sizeof(*loop));
	loop->consumer = consumer;
	loop->session.fd = -1;
	pause_clear(&loop->pause);
	loop->entries = calloc(consumer->batch, sizeof(*loop->entries));
	loop->done_ids = calloc(consumer->batch, sizeof(*loop->done_ids));
	if (loop->entries != NULL && loop->done_ids != NULL &&
	    consumer_group_init(&loop->group, consumer, member, target, &loop->thread.waker, &loop->thread.stopping))
		return loop;
	consumer_loop_free(loop);
	return NULL;
}

void consumer_loop_free(struct consumer_loop *loop)
{
	if (loop->answer != NULL)
		freeReplyObject(loop->answer);
	consumer_group_fini(&loop->group);
	incoming_free(&loop->incoming);
	free(loop->fields);
	free(loop->entries);
	free(loop->done_ids);
	free(loop);
}

/* ---- the gateway ---- */

static bool hear_gateway(struct consumer_loop *loop)
{
	struct session_link *session = &loop->session;
	struct mqtt_publish publish;
	bool more = true;
	while (more) {
		if (!session_link_read(session, &more))
			return false;
		/* It subscribes to nothing. */
		if (session_link_next(session, &publish))
			snprintf(session->fault, sizeof(session->fault),
				 "the gateway sent a message that is not wanted");
		if (session_link_is_broken(session))
			return false;
	}
	return true;
}

/* Sends and receives what can be, once, and waits for it. False: the connection is lost. */
static bool pump_session(struct consumer_loop *loop)
{
	struct session_link *session = &loop->session;
	if (!session_link_flush(session))
		return false;
	short events = (short)(POLLIN | (session->is_blocked ? POLLOUT : 0));
	struct pollfd polled[] = {{.fd = session->fd, .events = events},
				  {.fd = loop->thread.waker.fd, .events = POLLIN}};
	waker_sleep(&loop->thread.waker);
	if (!consumer_is_stopping(loop))
		poll(polled, 2, SESSION_POLL_MS);
	waker_awake(&loop->thread.waker);
	return (polled[0].revents & ~POLLOUT) == 0 || hear_gateway(loop);
}

/* Until no more than so many messages are on their way. False: the connection is lost, or the thread is to stop. */
static bool await_published(struct consumer_loop *loop, uint32_t most)
{
	while (loop->sent > most) {
		if (consumer_is_stopping(loop) || !pump_session(loop))
			return false;
	}
	return true;
}

/* Until the gateway has read all that was sent. */
static bool await_read(struct consumer_loop *loop)
{
	session_link_ping(&loop->session);
	while (loop->session.pongs_due != 0) {
		if (consumer_is_stopping(loop) || !pump_session(loop))
			return false;
	}
	return true;
}

static void on_published(void *context, uint16_t packet_id, uint8_t reason)
{
	struct consumer_loop *loop = context;
	if (packet_id == 0 || packet_id > loop->count || loop->entries[packet_id - 1].fate != ENTRY_SENT) {
		snprintf(loop->session.fault, sizeof(loop->session.fault),
			 "the gateway acknowledged a message that was not sent");
		return;
	}
	struct consumer_entry *entry = &loop->entries[packet_id - 1];
	entry->fate = reason >= 0x80 ? ENTRY_REFUSED : ENTRY_DONE;
	entry->reason = reason;
	loop->counts.published += entry->fate == ENTRY_DONE ? 1 : 0;
	loop->counts.bytes += entry->fate == ENTRY_DONE ? entry->bytes : 0;
	loop->sent--;
}

static bool open_consumer_session(struct consumer_loop *loop)
{
	char id[ITEM_CLIENT_BYTES_MAX];
	size_t size = item_client_id(CONSUMER_CLIENT_PREFIX, loop->consumer->name, id);
	loop->session.published = on_published;
	loop->session.published_context = loop;
	session_link_open_fleeting(&loop->session, loop->thread.fds[0], slice_of(id, size));
	while (loop->session.state != SESSION_CONNECTED) {
		if (consumer_is_stopping(loop) || !pump_session(loop))
			return false;
	}
	session_link_be_ready(&loop->session);
	return true;
}

/* ---- one entry ---- */

/* Fails where memory is short. */
static bool read_entry(struct consumer_loop *loop, const struct consumer_entry *entry, bool *readable)
{
	const redisReply *fields = entry->reply->element[1];
	size_t count = fields->elements / 2;
	if (count > loop->field_room) {
		struct incoming_field *more = realloc(loop->fields, count * sizeof(*more));
		if (more == NULL) {
			note_consumer_fault(loop, error_sentence(ERROR_NO_MEMORY));
			return false;
		}
		loop->fields = more;
		loop->field_room = count;
	}
	for (size_t i = 0; i < count; i++) {
		const redisReply *name = fields->element[2 * i];
		const redisReply *value = fields->element[2 * i + 1];
		loop->fields[i] = (struct incoming_field){.name = slice_of(name->str, name->len),
							  .value = slice_of(value->str, value->len)};
	}
	*readable = incoming_read(&loop->incoming, loop->fields, count, &loop->limits);
	return true;
}

/* How long ago Redis has taken it. Ids are ms since 1970, a dash and a number, as long as nobody gives an entry another
 * one; false: this one is none. */
static bool age_of_entry(const struct consumer_entry *entry, double *age_s)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	double now_s = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	double added_s = (double)strtoull(entry->reply->element[0]->str, NULL, 10) / 1e3;
	*age_s = added_s < now_s ? now_s - added_s : 0;
	return *age_s < AGE_S_MAX;
}

static bool publish_entry(struct consumer_loop *loop, struct consumer_entry *entry)
{
	double age_s;
	if (age_of_entry(entry, &age_s) && !incoming_grow_older(&loop->incoming, (uint64_t)age_s)) {
		entry->fate = ENTRY_DONE;
		loop->counts.expired++;
		return true;
	}
	struct mqtt_publish publish = loop->incoming.publish;
	/* One that is on its way has a place among those that the gateway takes at a time. */
	uint32_t most = loop->session.connack.receive_max;
	CHECK(most != 0);
	if (publish.qos != 0 && !await_published(loop, most - 1))
		return false;
	publish.packet_id = publish.qos != 0 ? (uint16_t)(entry - loop->entries + 1) : 0;
	entry->bytes = (uint32_t)(publish.topic.size + publish.payload.size);
	session_link_publish(&loop->session, &publish);
	if (session_link_is_broken(&loop->session))
		return false;
	if (publish.qos == 0) {
		entry->fate = ENTRY_DONE;
		loop->counts.published++;
		loop->counts.bytes += entry->bytes;
	} else {
		entry->fate = ENTRY_SENT;
		loop->sent++;
	}
	while (loop->session.out.size >= OUTPUT_BYTES) {
		if (consumer_is_stopping(loop) || !pump_session(loop))
			return false;
	}
	return true;
}

static enum error revoke_entry(struct consumer_loop *loop)
{
	static const struct timespec PAUSE = {.tv_nsec = REVOKE_PAUSE_NS};
	const struct incoming *incoming = &loop->incoming;
	struct access *access = gateway_access(loop->thread.gateway);
	int64_t now_s = (int64_t)time(NULL);
	const struct revocation revocation = {
		.kind = incoming->revoked,
		.id = incoming->revoked_id,
		.until_s = incoming->revoked_s != 0 ? now_s + incoming->revoked_s : REVOKED_FOR_EVER,
	};
	enum error error = ERROR_MORE;
	for (int i = 0; error == ERROR_MORE && i < REVOKE_TRIES; i++) {
		if (i != 0)
			nanosleep(&PAUSE, NULL);
		error = access_revoke(access, ACCESS_EMBEDDED, &revocation, now_s);
	}
	return error;
}

/* What it says of nobody is done: there is nothing to disconnect, end or lift. */
static enum error do_command(struct consumer_loop *loop)
{
	const struct incoming *incoming = &loop->incoming;
	enum error error = ERROR_OK;
	switch (incoming->kind) {
	case INCOMING_DISCONNECT:
		error = session_asker_disconnect(loop->thread.asker, incoming->client);
		break;
	case INCOMING_END_SESSION:
		error = session_asker_end(loop->thread.asker, incoming->client);
		break;
	case INCOMING_REVOKE:
		return revoke_entry(loop);
	case INCOMING_LIFT:
		access_lift(gateway_access(loop->thread.gateway), ACCESS_EMBEDDED, incoming->revoked,
			    incoming->revoked_id, (int64_t)time(NULL));
		break;
	case INCOMING_PUBLISH:
		CHECK(false);
	}
	return error == ERROR_NOT_FOUND ? ERROR_OK : error;
}

/* What was published before it is with the gateway then. */
static bool command_entry(struct consumer_loop *loop, struct consumer_entry *entry)
{
	if (!await_published(loop, 0) || !await_read(loop))
		return false;
	enum error error = do_command(loop);
	if (error != ERROR_OK) {
		note_consumer_fault(loop, error_sentence(error));
		return false;
	}
	entry->fate = ENTRY_DONE;
	loop->counts.commands++;
	return true;
}

static bool carry_out_entry(struct consumer_loop *loop, struct consumer_entry *entry)
{
	bool readable;
	if (entry->reply->element[1]->type != REDIS_REPLY_ARRAY) {
		entry->fate = ENTRY_DONE; /* it was deleted from the stream */
		return true;
	}
	if (!read_entry(loop, entry, &readable))
		return false;
	if (!readable) {
		entry->fate = ENTRY_UNREADABLE;
		return true;
	}
	return loop->incoming.kind == INCOMING_PUBLISH ? publish_entry(loop, entry) : command_entry(loop, entry);
}

/* ---- a batch ---- */

static void take_entries(struct consumer_loop *loop, const redisReply *entries, enum group_source source)
{
	CHECK(entries->elements <= loop->consumer->batch && loop->sent == 0);
	loop->count = (uint32_t)entries->elements;
	loop->source = source;
	for (uint32_t i = 0; i < loop->count; i++)
		loop->entries[i] = (struct consumer_entry){.reply = entries->element[i]};
}

static void drop_batch(struct consumer_loop *loop)
{
	if (loop->answer != NULL)
		freeReplyObject(loop->answer);
	loop->answer = NULL;
	loop->count = 0;
}

static bool carry_out_batch(struct consumer_loop *loop)
{
	for (uint32_t i = 0; i < loop->count; i++) {
		if (loop->entries[i].fate == ENTRY_WAITS && !carry_out_entry(loop, &loop->entries[i]))
			return false;
	}
	return await_published(loop, 0) && await_read(loop);
}

static bool bury_incoming(struct consumer_loop *loop, struct consumer_entry *entry)
{
	char reason[INCOMING_FAULT_BYTES + 32];
	bool readable = true;
	if (entry->fate == ENTRY_REFUSED)
		snprintf(reason, sizeof(reason), "the gateway refused it with reason 0x%02x, %s", entry->reason,
			 mqtt_reason_name(entry->reason));
	else if (!read_entry(loop, entry, &readable))
		return false;
	if (!readable)
		snprintf(reason, sizeof(reason), "%s", loop->incoming.fault);
	if (!consumer_group_bury(&loop->group, entry->reply->element[0], entry->reply->element[1], reason))
		return false;
	entry->fate = ENTRY_DONE;
	loop->counts.dead++;
	char fault[CONSUMER_FAULT_BYTES];
	snprintf(fault, sizeof(fault), "entry %.40s goes to %.60s: %.120s", entry->reply->element[0]->str,
		 loop->consumer->dead, reason);
	note_consumer_fault(loop, fault);
	return true;
}

/* The last one. */
static double delay_of_batch(const struct consumer_loop *loop)
{
	double age_s;
	return age_of_entry(&loop->entries[loop->count - 1], &age_s) ? age_s : 0;
}

static bool settle_batch(struct consumer_loop *loop)
{
	for (uint32_t i = 0; i < loop->count; i++) {
		if (loop->entries[i].fate != ENTRY_DONE && !bury_incoming(loop, &loop->entries[i]))
			return false;
		loop->done_ids[i] = loop->entries[i].reply->element[0];
	}
	/* Before the acknowledgement: whoever sees that nothing waits finds what was counted. */
	tell_consumer_status(loop);
	if (!consumer_group_done(&loop->group, loop->done_ids, loop->count))
		return false;
	loop->counts.claimed += loop->source == GROUP_OTHER ? loop->count : 0;
	loop->counts.again += loop->source == GROUP_OWN ? loop->count : 0;
	loop->delay_s = delay_of_batch(loop);
	drop_batch(loop);
	pause_clear(&loop->pause);
	return true;
}

/* ---- a turn ---- */

static enum group_source next_source(const struct consumer_loop *loop, uint64_t now_ms)
{
	if (!loop->own_is_empty)
		return GROUP_OWN;
	bool claims = loop->consumer->claim_after_s != 0 && !loop->group.cannot_claim && now_ms >= loop->claim_ms;
	return claims ? GROUP_OTHER : GROUP_NEW;
}

/* There was nothing from there. */
static void note_empty(struct consumer_loop *loop, enum group_source source, uint64_t now_ms)
{
	uint64_t half_ms = loop->consumer->claim_after_s * UINT64_C(500);
	if (source == GROUP_OWN)
		loop->own_is_empty = true;
	if (source == GROUP_OTHER)
		loop->claim_ms = now_ms + (half_ms > CLAIM_LOOK_MS_LEAST ? half_ms : CLAIM_LOOK_MS_LEAST);
	if (source == GROUP_NEW)
		pause_clear(&loop->pause);
}

static bool next_batch(struct consumer_loop *loop)
{
	uint64_t now_ms = clock_now_ms();
	enum group_source source = next_source(loop, now_ms);
	const redisReply *entries;
	if (!consumer_group_make(&loop->group))
		return false;
	if (now_ms >= loop->look_ms) {
		loop->look_ms = now_ms + LOOK_MS;
		if (!consumer_group_look(&loop->group, &loop->has_lag, &loop->lag, &loop->pending))
			return false;
	}
	if (loop->group.is_stuck) {
		bool buried;
		if (!consumer_group_pass_over(&loop->group, &buried))
			return false;
		loop->counts.dead += buried ? 1 : 0;
	}
	if (!consumer_group_read(&loop->group, source, &loop->answer, &entries))
		return false;
	if (loop->answer == NULL)
		note_empty(loop, source, now_ms);
	else
		take_entries(loop, entries, source);
	return true;
}

/* False: the group's fault says why, or the session's; or the thread is to stop. What is left of the batch is tried
 * again: what the gateway has already is not published once more. */
static bool consume(struct consumer_loop *loop)
{
	if (loop->answer == NULL && !next_batch(loop))
		return false;
	return loop->answer == NULL || (carry_out_batch(loop) && settle_batch(loop));
}

static void sleep_until(struct consumer_loop *loop, uint64_t until_ms)
{
	struct pollfd polled = {.fd = loop->thread.waker.fd, .events = POLLIN};
	uint64_t now_ms;
	while (!consumer_is_stopping(loop) && (now_ms = clock_now_ms()) < until_ms) {
		waker_sleep(&loop->thread.waker);
		if (!consumer_is_stopping(loop))
			poll(&polled, 1, (int)(until_ms - now_ms));
		waker_awake(&loop->thread.waker);
	}
}

/* Redis is away, or has refused: what it has given before may be anywhere. */
static void try_later(struct consumer_loop *loop)
{
	if (loop->group.fault[0] != '\0')
		note_consumer_fault(loop, loop->group.fault);
	loop->group.fault[0] = '\0';
	loop->is_waiting = true;
	loop->counts.retries++;
	loop->own_is_empty = false;
	if (loop->group.must_make)
		drop_batch(loop); /* nobody is to be told of it any more, and it is read again */
	tell_consumer_status(loop);
	pause_begin(&loop->pause, clock_now_ms());
	sleep_until(loop, loop->pause.until_ms);
}

/* That its own entries can be read says nothing of others': Redis may refuse to hand those over, again and again. */
static void work_on(struct consumer_loop *loop)
{
	if (loop->is_waiting && next_source(loop, clock_now_ms()) == GROUP_OTHER)
		return;
	if (loop->is_waiting && loop->answer == NULL)
		log_write(LOG_INFO, "consumer %s: it goes on", loop->consumer->name);
	loop->is_waiting = false;
	tell_consumer_status(loop);
}

/* The session is lost: the main thread starts this one anew. */
static void await_restart(struct consumer_loop *loop)
{
	note_consumer_fault(loop, loop->session.fault);
	session_link_close(&loop->session);
	while (!consumer_is_stopping(loop)) {
		tell_consumer_status(loop);
		session_thread_call(&loop->thread, clock_now_ms());
		sleep_until(loop, clock_now_ms() + THREAD_RESTART_MS / 4);
	}
}

void *consumer_loop_main(void *argument)
{
	struct consumer_loop *loop = argument;
	session_thread_begin(&loop->thread);
	loop->counts = loop->status->counts;
	bool is_open = open_consumer_session(loop);
	while (is_open && !consumer_is_stopping(loop) && !session_link_is_broken(&loop->session)) {
		if (consume(loop))
			work_on(loop);
		else if (!consumer_is_stopping(loop) && !session_link_is_broken(&loop->session))
			try_later(loop);
	}
	if (session_link_is_broken(&loop->session))
		await_restart(loop);
	session_link_close(&loop->session);
	consumer_group_fini(&loop->group);
	tell_consumer_status(loop);
	return NULL;
}
