#include "relay/stream/redis_side.h"

#include "base/check.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>

/* Of what an empty output keeps. */
#define KEEP_BYTES ((size_t)4 << 20)

_Static_assert(BATCH_ENTRIES_MAX < REDIS_ANSWER_ELEMENTS_MAX, "the answer to EXEC is within the link's limits");

bool redis_side_init(struct redis_side *side, const struct redis_side_settings *settings)
{
	*side = (struct redis_side){.settings = settings};
	pause_clear(&side->pause);
	streams_init(&side->streams);
	return !settings->tls.on || tls_streams_open(&side->tls, &side->streams, NULL) == ERROR_OK;
}

static void disconnect(struct redis_side *side)
{
	redis_link_close(&side->link);
	tls_context_put(&side->context);
	side->connected = false;
	bytes_clear(&side->out, KEEP_BYTES);
}

void redis_side_fini(struct redis_side *side)
{
	disconnect(side);
	bytes_free(&side->out);
	if (side->settings->tls.on)
		tls_streams_close(&side->tls);
}

int redis_side_fd(const struct redis_side *side)
{
	return side->connected ? redis_link_fd(&side->link) : -1;
}

/* ---- connecting ---- */

/* Logs it once, and again if the reason changes. */
static void note_redis_lost(struct redis_side *side)
{
	snprintf(side->fault, sizeof(side->fault), "%s", side->link.fault);
	if (strcmp(side->told, side->fault) != 0)
		log_write(LOG_WARNING, "rules: redis: %s: %s; trying again", side->settings->url.host, side->fault);
	snprintf(side->told, sizeof(side->told), "%s", side->fault);
	side->link.fault[0] = '\0';
}

/* The connection is lost; what it owed is sent again on the next one. */
static void lose(struct redis_side *side, uint64_t now_ms)
{
	note_redis_lost(side);
	disconnect(side);
	pause_begin(&side->pause, now_ms);
	while (redis_side_owes(side))
		lane_settle(side->owed[side->owed_first++], side->fault, now_ms);
	side->owed_first = side->owed_end = side->answer = 0;
}

void redis_side_connect(struct redis_side *side, uint64_t now_ms)
{
	char fault[TLS_FAULT_BYTES_MAX];
	if (side->connected || now_ms < side->pause.until_ms)
		return;
	const struct redis_side_settings *settings = side->settings;
	if (settings->tls.on) {
		side->context = redis_tls_read(&settings->tls, fault);
		if (side->context == NULL)
			redis_link_fail(&side->link, "%.*s", REDIS_FAULT_BYTES - 1, fault);
	}
	const struct redis_way way = {
		.url = &settings->url,
		.streams = &side->streams,
		.tls = side->context,
		.tls_name = settings->tls.name,
	};
	if ((settings->tls.on && side->context == NULL) || !redis_link_open(&side->link, &way)) {
		lose(side, now_ms);
		return;
	}
	side->connected = true;
	side->is_blocked = false;
	if (side->told[0] == '\0')
		log_write(LOG_INFO, "rules: connected to redis");
}

/* ---- sending ---- */

void redis_side_launch(struct redis_side *side, struct lane *lane, uint64_t now_ms)
{
	CHECK(side->connected && side->owed_end < RULES_MAX && side->answer == 0);
	lane_launch(lane, &side->out);
	side->owed[side->owed_end++] = lane;
	side->heard_ms = now_ms;
}

void redis_side_flush(struct redis_side *side, uint64_t now_ms)
{
	size_t sent = 0;
	if (!side->connected)
		return;
	if (side->out.failed) {
		/* It is whole, or not at all. */
		redis_link_fail(&side->link, "%s", error_sentence(ERROR_NO_MEMORY));
		lose(side, now_ms);
		return;
	}
	side->is_blocked = false;
	while (sent < side->out.size && !side->is_blocked) {
		ssize_t taken = stream_send(side->link.streams, side->link.stream, side->out.data + sent,
					    side->out.size - sent);
		if (taken > 0) {
			sent += (size_t)taken;
			side->heard_ms = now_ms;
		} else if (errno == EAGAIN) {
			side->is_blocked = true;
		} else if (errno != EINTR) {
			redis_link_fail(&side->link, "%s", strerror(errno));
			lose(side, now_ms);
			return;
		}
	}
	bytes_drop(&side->out, sent);
	if (side->out.size == 0)
		bytes_clear(&side->out, KEEP_BYTES);
}

/* ---- answers ---- */

static void refuse(struct lane *lane, const char *why)
{
	if (lane->refusal[0] == '\0')
		snprintf(lane->refusal, sizeof(lane->refusal), "%.*s", (int)sizeof(lane->refusal) - 1, why);
}

/* To a command between MULTI and EXEC. */
static bool hear_queued(struct redis_side *side, struct lane *lane, uint32_t entry, const redisReply *reply)
{
	switch (reply->type) {
	case REDIS_REPLY_STATUS:
		entry_batch_heard(&lane->flying, entry, BATCH_QUEUED);
		return true;
	case REDIS_REPLY_STRING: /* MULTI was refused, and this was carried out by itself */
		entry_batch_heard(&lane->flying, entry, BATCH_DONE);
		return true;
	case REDIS_REPLY_ERROR:
		entry_batch_heard(&lane->flying, entry, BATCH_REFUSED);
		refuse(lane, reply->str);
		return true;
	default:
		return redis_link_fail(&side->link, "an answer of type %d to XADD", reply->type);
	}
}

static bool hear_executed(struct redis_side *side, struct lane *lane, const redisReply *reply)
{
	size_t element = 0;
	if (reply->type == REDIS_REPLY_ERROR) {
		refuse(lane, reply->str);
		return true;
	}
	if (reply->type != REDIS_REPLY_ARRAY)
		return redis_link_fail(&side->link, "an answer of type %d to EXEC", reply->type);
	for (uint32_t i = 0; i < lane->flying.count; i++) {
		if (lane->flying.entries[i].fate != BATCH_QUEUED)
			continue;
		if (element == reply->elements)
			return redis_link_fail(&side->link, "an answer to EXEC with %zu parts", reply->elements);
		const redisReply *part = reply->element[element++];
		const char *error = part->type == REDIS_REPLY_ERROR ? part->str : "";
		if (part->type != REDIS_REPLY_ERROR && part->type != REDIS_REPLY_STRING)
			return redis_link_fail(&side->link, "an answer of type %d within EXEC", part->type);
		entry_batch_executed(&lane->flying, i, error);
		if (lane->flying.entries[i].fate == BATCH_REFUSED)
			refuse(lane, error);
		else if (error[0] != '\0' && lane->reason[0] == '\0')
			snprintf(lane->reason, sizeof(lane->reason), "%.*s", (int)sizeof(lane->reason) - 1, error);
	}
	return element == reply->elements ||
	       redis_link_fail(&side->link, "an answer to EXEC with %zu parts", reply->elements);
}

/* The next answer. false: it is none that Redis gives. */
static bool hear(struct redis_side *side, const redisReply *reply, uint64_t now_ms)
{
	if (!redis_side_owes(side))
		return redis_link_fail(&side->link, "an answer that was not asked for");
	struct lane *lane = side->owed[side->owed_first];
	uint32_t answer = side->answer++;
	side->heard_ms = now_ms;
	if (answer == 0) {
		if (reply->type == REDIS_REPLY_ERROR)
			refuse(lane, reply->str);
		return true;
	}
	if (answer <= lane->flying.count)
		return hear_queued(side, lane, answer - 1, reply);
	if (!hear_executed(side, lane, reply))
		return false;
	side->owed_first++;
	side->answer = 0;
	lane_settle(lane, "", now_ms);
	if (!redis_side_owes(side))
		side->owed_first = side->owed_end = 0;
	/* It works: the next loss is a new one. */
	if (side->told[0] != '\0')
		log_write(LOG_INFO, "rules: redis answers again");
	pause_clear(&side->pause);
	side->told[0] = '\0';
	return true;
}

/* All that is there. */
static bool hear_all(struct redis_side *side, uint64_t now_ms)
{
	redisReply *reply;
	do {
		if (!redis_link_receive(&side->link))
			return false;
		for (;;) {
			if (!redis_link_next(&side->link, &reply))
				return false;
			if (reply == NULL)
				break;
			bool good = hear(side, reply, now_ms);
			freeReplyObject(reply);
			if (!good)
				return false;
		}
	} while (side->link.more);
	return true;
}

void redis_side_receive(struct redis_side *side, uint64_t now_ms)
{
	CHECK(side->connected);
	if (!hear_all(side, now_ms))
		lose(side, now_ms);
}

void redis_side_check(struct redis_side *side, uint64_t now_ms)
{
	if (!side->connected || !redis_side_owes(side) || now_ms < side->heard_ms + REDIS_SIDE_ANSWER_MS)
		return;
	redis_link_fail(&side->link, "no answer in %u ms", REDIS_SIDE_ANSWER_MS);
	lose(side, now_ms);
}

uint64_t redis_side_due_ms(const struct redis_side *side)
{
	if (!side->connected)
		return side->pause.until_ms;
	return redis_side_owes(side) ? side->heard_ms + REDIS_SIDE_ANSWER_MS : UINT64_MAX;
}
