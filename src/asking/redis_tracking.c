#include "asking/redis_tracking.h"

#include "base/check.h"

#include <stdio.h>

#define CHANNEL "__redis__:invalidate"

static struct slice tracking_text(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_STRING ? slice_of(reply->str, (size_t)reply->len) : slice_of(NULL, 0);
}

/* ---- messages ---- */

static bool tell_of_keys(const struct redis_tracking *tracking, const redisReply *keys)
{
	for (size_t i = 0; i < keys->elements; i++) {
		struct slice name = tracking_text(keys->element[i]);
		if (name.data == NULL)
			return false;
		tracking->visit(tracking->context, name);
	}
	return true;
}

/* ["message", channel, [key, ...] or nil], ["subscribe", channel, count] or ["pong", ""]. */
static bool handle_change(struct redis_tracking *tracking, const redisReply *reply)
{
	bool good = true;
	if (reply->type == REDIS_REPLY_ERROR)
		return redis_link_refused(&tracking->feed.link, reply);
	tracking->owes = false;
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2)
		good = false;
	else if (reply->elements != 3 || !slice_equal(tracking_text(reply->element[0]), slice_string("message")))
		return true;
	else if (reply->element[2]->type == REDIS_REPLY_NIL)
		tracking->visit(tracking->context, slice_of(NULL, 0));
	else
		good = reply->element[2]->type == REDIS_REPLY_ARRAY && tell_of_keys(tracking, reply->element[2]);
	return good || redis_link_fail(&tracking->feed.link, "something that is no list of keys came on " CHANNEL);
}

bool redis_tracking_read(struct redis_tracking *tracking, bool readable)
{
	redisReply *reply;
	if (!tracking->on)
		return true;
	if (readable && !redis_link_receive(&tracking->feed.link))
		return false;
	for (;;) {
		if (!redis_link_next(&tracking->feed.link, &reply))
			return false;
		if (reply == NULL)
			return true;
		bool good = handle_change(tracking, reply);
		freeReplyObject(reply);
		if (!good)
			return false;
	}
}

bool redis_tracking_ping(struct redis_tracking *tracking)
{
	if (!tracking->on)
		return true;
	if (tracking->owes)
		return redis_link_fail(&tracking->feed.link, "no answer to PING");
	tracking->owes = true;
	return redis_link_append(&tracking->feed.link, 1, (const char *[]){"PING"}, NULL) &&
	       redis_link_send(&tracking->feed.link);
}

/* ---- the beginning ---- */

/* Waits for the answer to a command. *refused: Redis has an error for it, which is in the feed's fault. */
static redisReply *tracking_ask(struct redis_tracking *tracking, struct redis_link *link, int count, const char **words,
				const size_t *sizes, bool *refused)
{
	*refused = false;
	if (!redis_link_append(link, count, words, sizes) || !redis_link_send(link))
		return NULL;
	redisReply *reply;
	if (!redis_link_await(link, &reply))
		return NULL;
	if (reply->type != REDIS_REPLY_ERROR)
		return reply;
	*refused = true;
	redis_link_refused(&tracking->feed.link, reply);
	freeReplyObject(reply);
	return NULL;
}

/* The number by which Redis knows the connection. */
static bool ask_number(struct redis_tracking *tracking, char number[24], bool *refused)
{
	redisReply *reply =
		tracking_ask(tracking, &tracking->feed.link, 2, (const char *[]){"CLIENT", "ID"}, NULL, refused);
	if (reply == NULL)
		return false;
	bool good = reply->type == REDIS_REPLY_INTEGER;
	snprintf(number, 24, "%lld", reply->integer);
	freeReplyObject(reply);
	return good || redis_link_fail(&tracking->feed.link, "CLIENT ID was not answered with a number");
}

static bool subscribe_to_changes(struct redis_tracking *tracking, bool *refused)
{
	redisReply *reply =
		tracking_ask(tracking, &tracking->feed.link, 2, (const char *[]){"SUBSCRIBE", CHANNEL}, NULL, refused);
	if (reply != NULL)
		freeReplyObject(reply);
	return reply != NULL;
}

static bool turn_on(struct redis_tracking *tracking, struct redis_link *link, const char *number, struct slice prefix,
		    bool *refused)
{
	const char *words[] = {"CLIENT", "TRACKING", "ON",     "REDIRECT",
			       number,   "BCAST",    "PREFIX", (const char *)prefix.data};
	const size_t sizes[] = {6, 8, 2, 8, strlen(number), 5, 6, prefix.size};
	redisReply *reply = tracking_ask(tracking, link, 8, words, sizes, refused);
	if (reply != NULL)
		freeReplyObject(reply);
	return reply != NULL;
}

bool redis_tracking_begin(struct redis_tracking *tracking, struct redis_connection *connection, struct slice prefix)
{
	char number[24];
	bool refused = false;
	CHECK(!tracking->on);
	tracking->owes = false;
	if (!redis_connection_open(&tracking->feed, &connection->place))
		return false;
	tracking->on = ask_number(tracking, number, &refused) && subscribe_to_changes(tracking, &refused) &&
		       turn_on(tracking, &connection->link, number, prefix, &refused);
	if (!tracking->on)
		redis_connection_close(&tracking->feed);
	return tracking->on || refused;
}

void redis_tracking_end(struct redis_tracking *tracking)
{
	redis_connection_close(&tracking->feed);
	tracking->on = false;
}
