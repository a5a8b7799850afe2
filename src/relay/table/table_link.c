#include "relay/table/table_link.h"

#include "base/check.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>

bool table_link_init(struct table_link *link, const struct redis_target *target, struct table_writer *writer)
{
	*link = (struct table_link){.writer = writer};
	pause_clear(&link->pause);
	return redis_connection_init(&link->connection, target);
}

static void table_disconnect(struct table_link *link)
{
	redis_connection_close(&link->connection);
	link->connected = false;
	table_writer_reset(link->writer);
}

void table_link_fini(struct table_link *link)
{
	table_disconnect(link);
	redis_connection_fini(&link->connection);
}

int table_link_fd(const struct table_link *link)
{
	return link->connected ? redis_link_fd(&link->connection.link) : -1;
}

/* ---- connecting ---- */

/* Logs it once, and again if the reason changes. */
static void lose_table_link(struct table_link *link, uint64_t now_ms)
{
	snprintf(link->fault, sizeof(link->fault), "%s", link->connection.link.fault);
	if (strcmp(link->told, link->fault) != 0)
		log_write(LOG_WARNING, "presence table: redis: %s: %s; trying again",
			  link->connection.target->url.seeds[0].host, link->fault);
	snprintf(link->told, sizeof(link->told), "%s", link->fault);
	link->connection.link.fault[0] = '\0';
	table_disconnect(link);
	pause_begin(&link->pause, now_ms);
}

void table_link_connect(struct table_link *link, uint64_t now_ms)
{
	if (link->connected || now_ms < link->pause.until_ms)
		return;
	if (!redis_connection_open_for(&link->connection, slice_string(link->writer->key))) {
		lose_table_link(link, now_ms);
		return;
	}
	link->connected = true;
	link->is_blocked = false;
	link->heard_ms = now_ms;
}

void table_link_works(struct table_link *link)
{
	if (link->told[0] != '\0')
		log_write(LOG_INFO, "presence table: redis answers again");
	link->told[0] = '\0';
	pause_clear(&link->pause);
}

/* ---- sending ---- */

/* False: the connection is broken. */
static bool send_some(struct table_link *link, size_t *sent)
{
	const struct bytes *out = &link->writer->out;
	ssize_t taken = stream_send(link->connection.link.streams, link->connection.link.stream, out->data + *sent,
				    out->size - *sent);
	if (taken > 0)
		*sent += (size_t)taken;
	else if (errno == EAGAIN)
		link->is_blocked = true;
	else if (errno != EINTR)
		return redis_link_fail(&link->connection.link, "%s", strerror(errno));
	return true;
}

void table_link_flush(struct table_link *link, uint64_t now_ms)
{
	struct bytes *out = &link->writer->out;
	size_t sent = 0;
	if (!link->connected)
		return;
	/* A command is whole, or not there at all. */
	bool good = !out->failed && !link->writer->due.failed;
	if (!good)
		redis_link_fail(&link->connection.link, "%s", error_sentence(ERROR_NO_MEMORY));
	link->is_blocked = false;
	while (good && sent < out->size && !link->is_blocked)
		good = send_some(link, &sent);
	if (!good) {
		lose_table_link(link, now_ms);
		return;
	}
	if (sent != 0)
		link->heard_ms = now_ms;
	bytes_drop(out, sent);
}

/* ---- answers ---- */

static bool hear_answer(struct table_link *link, const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_ERROR)
		return redis_link_refused(&link->connection.link, reply);
	bool is_number = reply->type == REDIS_REPLY_INTEGER;
	bool is_word = reply->type == REDIS_REPLY_STATUS;
	if ((is_number || is_word) && table_writer_hear(link->writer, is_number, is_number ? reply->integer : 0))
		return true;
	return redis_link_fail(&link->connection.link, "an answer that was not asked for");
}

static bool hear_answers(struct table_link *link)
{
	redisReply *reply;
	do {
		if (!redis_link_receive(&link->connection.link))
			return false;
		for (;;) {
			if (!redis_link_next(&link->connection.link, &reply))
				return false;
			if (reply == NULL)
				break;
			bool good = hear_answer(link, reply);
			freeReplyObject(reply);
			if (!good)
				return false;
		}
	} while (link->connection.link.more);
	return true;
}

void table_link_receive(struct table_link *link, uint64_t now_ms)
{
	CHECK(link->connected);
	link->heard_ms = now_ms;
	if (!hear_answers(link))
		lose_table_link(link, now_ms);
}

void table_link_check(struct table_link *link, uint64_t now_ms)
{
	if (now_ms < table_link_due_ms(link) || !link->connected)
		return;
	redis_link_fail(&link->connection.link, "no answer in %u ms", REDIS_NODE_ANSWER_MS);
	lose_table_link(link, now_ms);
}

uint64_t table_link_due_ms(const struct table_link *link)
{
	if (!link->connected)
		return link->pause.until_ms;
	return table_writer_owes(link->writer) ? link->heard_ms + REDIS_NODE_ANSWER_MS : UINT64_MAX;
}
