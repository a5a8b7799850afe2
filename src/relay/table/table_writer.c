#include "relay/table/table_writer.h"

#include "base/check.h"

#include <stdio.h>

/* Of what an empty buffer keeps. */
#define WRITER_KEEP_BYTES ((size_t)1 << 20)
/* So many answers that have come are kept before they are forgotten together. */
#define HEARD_BYTES_MAX ((size_t)64 << 10)

/* What the answer to a command says. */
enum table_answer {
	ANSWER_NOTHING,
	ANSWER_CLEARED, /* the table has no clients */
	ANSWER_PUT,     /* a number of clients more */
	ANSWER_REMOVED, /* a number of clients less */
	ANSWER_RENEWED, /* it lives on */
	ANSWER_COUNTED, /* how many clients there are */
};

void table_writer_init(struct table_writer *writer, const char *prefix, const char *node)
{
	*writer = (struct table_writer){.is_making = false};
	snprintf(writer->prefix, sizeof(writer->prefix), "%.63s", prefix);
	snprintf(writer->node, sizeof(writer->node), "%.63s", node);
	snprintf(writer->key, sizeof(writer->key), "%.63s:%.63s", prefix, node);
	snprintf(writer->fresh, sizeof(writer->fresh), "%.63s:%.63s:new", prefix, node);
}

void table_writer_free(struct table_writer *writer)
{
	bytes_free(&writer->out);
	bytes_free(&writer->due);
}

void table_writer_reset(struct table_writer *writer)
{
	bytes_clear(&writer->out, WRITER_KEEP_BYTES);
	bytes_clear(&writer->due, WRITER_KEEP_BYTES);
	writer->heard = 0;
	writer->is_making = writer->has_put = writer->is_wrong = false;
}

/* ---- commands ---- */

static void begin_command(struct table_writer *writer, uint32_t words, const char *name, const char *key,
			  enum table_answer answer)
{
	bytes_append_array(&writer->out, words);
	bytes_append_text(&writer->out, name);
	bytes_append_text(&writer->out, key);
	bytes_append(&writer->due, &(uint8_t){(uint8_t)answer}, 1);
}

static void write_life(struct table_writer *writer, const char *key, enum table_answer answer)
{
	begin_command(writer, 3, "EXPIRE", key, answer);
	bytes_append_number(&writer->out, TABLE_LIFE_S);
}

/* The node is there, and forgotten are those that are not. */
static void write_node(struct table_writer *writer, uint64_t wall_ms)
{
	begin_command(writer, 4, "ZADD", writer->prefix, ANSWER_NOTHING);
	bytes_append_number(&writer->out, wall_ms);
	bytes_append_text(&writer->out, writer->node);
	if (wall_ms < TABLE_NODE_LIFE_MS)
		return;
	begin_command(writer, 4, "ZREMRANGEBYSCORE", writer->prefix, ANSWER_NOTHING);
	bytes_append_text(&writer->out, "-inf");
	bytes_append_number(&writer->out, wall_ms - TABLE_NODE_LIFE_MS);
}

static const char *key_now(const struct table_writer *writer)
{
	return writer->is_making ? writer->fresh : writer->key;
}

void table_writer_begin(struct table_writer *writer)
{
	writer->is_making = true;
	writer->is_wrong = false;
	begin_command(writer, 2, "DEL", writer->fresh, ANSWER_CLEARED);
}

void table_writer_finish(struct table_writer *writer, uint64_t wall_ms)
{
	CHECK(writer->is_making && !table_writer_owes(writer));
	/* A hash without fields does not exist, and cannot be renamed. */
	if (writer->clients == 0) {
		begin_command(writer, 2, "DEL", writer->key, ANSWER_NOTHING);
	} else {
		begin_command(writer, 3, "RENAME", writer->fresh, ANSWER_NOTHING);
		bytes_append_text(&writer->out, writer->key);
	}
	writer->is_making = false;
	table_writer_renew(writer, wall_ms);
}

void table_writer_put(struct table_writer *writer, struct slice client, struct slice value)
{
	begin_command(writer, 4, "HSET", key_now(writer), ANSWER_PUT);
	bytes_append_word(&writer->out, client);
	bytes_append_word(&writer->out, value);
	writer->has_put = true;
}

void table_writer_remove(struct table_writer *writer, struct slice client)
{
	begin_command(writer, 3, "HDEL", key_now(writer), ANSWER_REMOVED);
	bytes_append_word(&writer->out, client);
}

void table_writer_end_batch(struct table_writer *writer)
{
	if (writer->has_put)
		write_life(writer, key_now(writer), ANSWER_NOTHING);
	writer->has_put = false;
}

void table_writer_renew(struct table_writer *writer, uint64_t wall_ms)
{
	write_life(writer, writer->key, ANSWER_NOTHING);
	write_node(writer, wall_ms);
	if (writer->is_making) {
		write_life(writer, writer->fresh, ANSWER_RENEWED);
		return;
	}
	begin_command(writer, 2, "HLEN", writer->key, ANSWER_COUNTED);
	writer->has_put = false;
}

void table_writer_leave(struct table_writer *writer)
{
	begin_command(writer, 3, "DEL", writer->key, ANSWER_NOTHING);
	bytes_append_text(&writer->out, writer->fresh);
	begin_command(writer, 3, "ZREM", writer->prefix, ANSWER_NOTHING);
	bytes_append_text(&writer->out, writer->node);
}

/* ---- answers ---- */

static void apply_answer(struct table_writer *writer, enum table_answer answer, uint64_t number)
{
	switch (answer) {
	case ANSWER_NOTHING:
		break;
	case ANSWER_CLEARED:
		writer->clients = 0;
		break;
	case ANSWER_PUT:
		writer->clients += number;
		break;
	case ANSWER_REMOVED:
		writer->clients -= number < writer->clients ? number : writer->clients;
		break;
	case ANSWER_COUNTED:
		writer->is_wrong |= number != writer->clients;
		writer->renewals++;
		break;
	case ANSWER_RENEWED:
		writer->renewals++;
		break;
	}
}

/* RENAME alone answers with a word. */
static bool may_be_word(enum table_answer answer)
{
	return answer == ANSWER_NOTHING;
}

static void forget_heard(struct table_writer *writer)
{
	if (writer->heard < HEARD_BYTES_MAX && writer->heard != writer->due.size)
		return;
	bytes_drop(&writer->due, writer->heard);
	writer->heard = 0;
	if (writer->due.size == 0)
		bytes_clear(&writer->due, WRITER_KEEP_BYTES);
}

bool table_writer_hear(struct table_writer *writer, bool is_number, int64_t number)
{
	if (!table_writer_owes(writer))
		return false;
	enum table_answer answer = (enum table_answer)writer->due.data[writer->heard];
	if (is_number ? number < 0 : !may_be_word(answer))
		return false;
	writer->heard++;
	apply_answer(writer, answer, (uint64_t)number);
	forget_heard(writer);
	return true;
}
