#include "relay/consumer/consumer_group.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES 24u
#define FIRST_ID "0-0"
/* Where an answer is too long the next one is asked to be so much shorter. */
#define TOO_LONG_FACTOR 16u

bool consumer_group_init(struct consumer_group *group, const struct consumer *consumer, const char *member,
			 const struct redis_target *target, struct waker *waker, const _Atomic bool *stopping)
{
	*group = (struct consumer_group){
		.consumer = consumer,
		.waker = waker,
		.stopping = stopping,
		.batch = consumer->batch,
		.must_make = true,
		.cursor = FIRST_ID,
	};
	snprintf(group->member, sizeof(group->member), "%s", member);
	group->nodes = redis_nodes_new(target);
	return group->nodes != NULL;
}

void consumer_group_fini(struct consumer_group *group)
{
	redis_nodes_free(group->nodes);
	group->nodes = NULL;
}

static bool group_fail(struct consumer_group *group, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool group_fail(struct consumer_group *group, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(group->fault, sizeof(group->fault), format, arguments);
	va_end(arguments);
	return false;
}

static struct slice stream_key(const struct consumer_group *group)
{
	return slice_string(group->consumer->stream);
}

static bool error_begins(const redisReply *reply, const char *text)
{
	return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, text, strlen(text)) == 0;
}

/* ---- questions whose answers come at once ---- */

/* NULL: fault says why there is no answer. Errors are answers. */
static redisReply *ask(struct consumer_group *group, struct slice key, int count, const char **words,
		       const size_t *sizes)
{
	redisReply *reply = redis_nodes_ask(group->nodes, key, count, words, sizes);
	if (reply == NULL)
		group_fail(group, "redis: %.*s", REDIS_FAULT_BYTES - 16, redis_nodes_fault(group->nodes));
	return reply;
}

/* Fails with Redis' words. The group is to be made again where it is gone. */
static bool group_refused(struct consumer_group *group, const redisReply *reply)
{
	group->must_make = group->must_make || error_begins(reply, "NOGROUP");
	if (reply->type == REDIS_REPLY_ERROR)
		return group_fail(group, "%.200s", reply->str);
	/* What comes next on the connection may be the answer to what was asked here. */
	redis_nodes_close(group->nodes);
	return group_fail(group, "redis: an answer of type %d was not expected", reply->type);
}

/* Of this type, or the call has failed. */
static bool ask_group_for(struct consumer_group *group, struct slice key, int type, int count, const char **words,
			  const size_t *sizes)
{
	redisReply *reply = ask(group, key, count, words, sizes);
	bool good = reply != NULL && (reply->type == type || group_refused(group, reply));
	if (reply != NULL)
		freeReplyObject(reply);
	return good;
}

bool consumer_group_make(struct consumer_group *group)
{
	const struct consumer *consumer = group->consumer;
	if (!group->must_make)
		return true;
	const char *from = consumer->from_new && !group->was_there ? "$" : "0";
	const char *words[] = {"XGROUP", "CREATE", consumer->stream, consumer->group, from, "MKSTREAM"};
	redisReply *reply = ask(group, stream_key(group), 6, words, NULL);
	if (reply == NULL)
		return false;
	bool is_there = error_begins(reply, "BUSYGROUP");
	bool good = is_there || reply->type == REDIS_REPLY_STATUS || group_refused(group, reply);
	if (good && !is_there)
		log_write(LOG_INFO, "consumer %s: made the group %s of stream %s", consumer->name, consumer->group,
			  consumer->stream);
	group->must_make = !good;
	group->was_there = group->was_there || good;
	freeReplyObject(reply);
	return good;
}

/* ---- reading ---- */

/* Waits for an answer, and ends early where the thread is to stop: *reply is NULL then. */
static bool await_answer(struct consumer_group *group, struct redis_link *link, uint64_t until_ms, redisReply **reply)
{
	for (;;) {
		if (!redis_link_next(link, reply))
			return false;
		if (*reply != NULL || atomic_load(group->stopping))
			return true;
		uint64_t now_ms = clock_now_ms();
		struct pollfd polled[] = {{.fd = redis_link_fd(link), .events = POLLIN},
					  {.fd = group->waker->fd, .events = POLLIN}};
		if (now_ms >= until_ms)
			return redis_link_fail(link, "no answer in %u ms", CONSUMER_ANSWER_MS);
		waker_sleep(group->waker);
		if (!link->more && !atomic_load(group->stopping))
			poll(polled, 2, (int)(until_ms - now_ms));
		waker_awake(group->waker);
		if ((link->more || polled[0].revents != 0) && !redis_link_receive(link))
			return false;
	}
}

/* One question whose answer may take long. NULL in *reply: the thread is to stop. */
static bool ask_slowly_once(struct consumer_group *group, int count, const char **words, uint32_t wait_ms, bool asking,
			    redisReply **reply)
{
	*reply = NULL;
	struct redis_link *link = redis_nodes_link(group->nodes, stream_key(group));
	if (link == NULL)
		return group_fail(group, "redis: %.*s", REDIS_FAULT_BYTES - 16, redis_nodes_fault(group->nodes));
	uint64_t until_ms = clock_now_ms() + wait_ms + CONSUMER_ANSWER_MS;
	bool good = (!asking || redis_link_append(link, 1, (const char *[]){"ASKING"}, NULL)) &&
		    redis_link_append(link, count, words, NULL) && redis_link_send(link);
	if (good && asking) {
		good = await_answer(group, link, until_ms, reply);
		if (good && *reply != NULL)
			freeReplyObject(*reply);
		*reply = NULL;
	}
	good = good && await_answer(group, link, until_ms, reply);
	if (good && *reply != NULL)
		return true;
	if (!good) {
		group_fail(group, "redis: %.*s", REDIS_FAULT_BYTES - 16, link->fault);
		group->is_stuck = link->too_long && group->batch == 1;
		if (link->too_long)
			group->batch = group->batch > TOO_LONG_FACTOR ? group->batch / TOO_LONG_FACTOR : 1;
	}
	/* An answer that is still to come must not be taken for that to another question. */
	redis_nodes_lose(group->nodes, link);
	return good;
}

static bool ask_slowly(struct consumer_group *group, int count, const char **words, uint32_t wait_ms,
		       redisReply **reply)
{
	bool asking = false;
	for (uint32_t i = 0;; i++) {
		bool again = false;
		if (!ask_slowly_once(group, count, words, wait_ms, asking, reply))
			return false;
		if (*reply == NULL || (*reply)->type != REDIS_REPLY_ERROR || i == REDIS_REDIRECTS_MAX)
			return true;
		if (!redis_nodes_follow(group->nodes, stream_key(group), slice_of((*reply)->str, (*reply)->len), &again,
					&asking)) {
			freeReplyObject(*reply);
			*reply = NULL;
			return group_fail(group, "redis: %.*s", REDIS_FAULT_BYTES - 16,
					  redis_nodes_fault(group->nodes));
		}
		if (!again)
			return true;
		freeReplyObject(*reply);
	}
}

static bool is_entry(const redisReply *entry)
{
	if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 || entry->element[0]->type != REDIS_REPLY_STRING)
		return false;
	const redisReply *fields = entry->element[1];
	if (fields->type == REDIS_REPLY_NIL)
		return true; /* it was deleted meanwhile */
	if (fields->type != REDIS_REPLY_ARRAY || fields->elements % 2 != 0)
		return false;
	for (size_t i = 0; i < fields->elements; i++) {
		if (fields->element[i]->type != REDIS_REPLY_STRING)
			return false;
	}
	return true;
}

/* The part of an answer that is a list of entries. NULL: there is none. */
static const redisReply *entries_in(const redisReply *answer, enum group_source source)
{
	const redisReply *entries = NULL;
	if (answer->type != REDIS_REPLY_ARRAY)
		return NULL;
	if (source == GROUP_OTHER) /* where to go on, the entries, and, since Redis 7, ids that are gone */
		entries = answer->elements >= 2 ? answer->element[1] : NULL;
	else if (answer->elements == 1 && answer->element[0]->type == REDIS_REPLY_ARRAY &&
		 answer->element[0]->elements == 2)
		entries = answer->element[0]->element[1];
	if (entries == NULL || entries->type != REDIS_REPLY_ARRAY)
		return NULL;
	for (size_t i = 0; i < entries->elements; i++) {
		if (!is_entry(entries->element[i]))
			return NULL;
	}
	return entries;
}

/* Redis looks at some of what is pending, and says where to go on. */
static void take_cursor(struct consumer_group *group, const redisReply *answer)
{
	const redisReply *next = answer->type == REDIS_REPLY_ARRAY && answer->elements != 0 ? answer->element[0] : NULL;
	bool good = next != NULL && next->type == REDIS_REPLY_STRING && next->len < sizeof(group->cursor);
	snprintf(group->cursor, sizeof(group->cursor), "%s", good ? next->str : FIRST_ID);
}

/* Of an answer, which may have come from anything. */
static bool may_be_asked_for(struct consumer_group *group, const redisReply *answer, const redisReply *entries)
{
	if (entries == NULL)
		return group_refused(group, answer);
	if (entries->elements <= group->consumer->batch)
		return true;
	redis_nodes_close(group->nodes);
	return group_fail(group, "redis: %zu entries, where %u were asked for", entries->elements, group->batch);
}

/* Takes the answer apart. It is freed where it has no entries that are wanted. */
static bool take_answer(struct consumer_group *group, enum group_source source, redisReply **answer,
			const redisReply **entries)
{
	bool good = true;
	bool is_empty = (*answer)->type == REDIS_REPLY_NIL;
	if (source == GROUP_OTHER && error_begins(*answer, "ERR unknown command")) {
		log_write(
			LOG_WARNING,
			"consumer %s: this Redis has no XAUTOCLAIM, which came with 6.2: what a lost gateway has read "
			"stays with it",
			group->consumer->name);
		group->cannot_claim = is_empty = true;
	}
	if (source == GROUP_OTHER && *answer != NULL)
		take_cursor(group, *answer);
	if (!is_empty) {
		*entries = entries_in(*answer, source);
		good = may_be_asked_for(group, *answer, *entries);
	}
	if (good && *entries != NULL && (*entries)->elements != 0) {
		group->batch = group->batch * 2 < group->consumer->batch ? group->batch * 2 : group->consumer->batch;
		return true;
	}
	freeReplyObject(*answer);
	*answer = NULL;
	*entries = NULL;
	return good;
}

bool consumer_group_read(struct consumer_group *group, enum group_source source, redisReply **answer,
			 const redisReply **entries)
{
	const struct consumer *consumer = group->consumer;
	char count[NUMBER_BYTES];
	char block[NUMBER_BYTES];
	char idle[NUMBER_BYTES];
	snprintf(count, sizeof(count), "%u", group->batch);
	snprintf(block, sizeof(block), "%u", CONSUMER_BLOCK_MS);
	snprintf(idle, sizeof(idle), "%lu", consumer->claim_after_s * UINT64_C(1000));
	const char *own[] = {"XREADGROUP",     "GROUP", consumer->group, group->member, "COUNT", count, "STREAMS",
			     consumer->stream, "0"};
	const char *fresh[] = {"XREADGROUP", "GROUP", consumer->group, group->member,    "COUNT", count,
			       "BLOCK",      block,   "STREAMS",       consumer->stream, ">"};
	const char *other[] = {"XAUTOCLAIM", consumer->stream, consumer->group, group->member,
			       idle,         group->cursor,    "COUNT",         count};
	bool good = false;
	*answer = NULL;
	*entries = NULL;
	switch (source) {
	case GROUP_OWN:
		good = ask_slowly(group, 9, own, 0, answer);
		break;
	case GROUP_OTHER:
		good = ask_slowly(group, 8, other, 0, answer);
		break;
	case GROUP_NEW:
		good = ask_slowly(group, 11, fresh, CONSUMER_BLOCK_MS, answer);
		break;
	}
	if (!good || *answer == NULL)
		return good;
	return take_answer(group, source, answer, entries);
}

/* ---- afterwards ---- */

bool consumer_group_bury(struct consumer_group *group, const redisReply *id, const redisReply *fields,
			 const char *reason)
{
	const struct consumer *consumer = group->consumer;
	size_t count = 11 + (fields != NULL ? fields->elements : 0);
	const char **words = calloc(count, sizeof(*words));
	size_t *sizes = calloc(count, sizeof(*sizes));
	const char *const head[] = {"XADD",   consumer->dead,   "*",     "consumer", consumer->name, "reason", reason,
				    "stream", consumer->stream, "entry", id->str};
	bool good = words != NULL && sizes != NULL;
	for (size_t i = 0; i < count && good; i++) {
		words[i] = i < 11 ? head[i] : fields->element[i - 11]->str;
		sizes[i] = i < 11 ? strlen(head[i]) : fields->element[i - 11]->len;
	}
	if (good)
		good = ask_group_for(group, slice_string(consumer->dead), REDIS_REPLY_STRING, (int)count, words, sizes);
	else
		group_fail(group, "%s", error_sentence(ERROR_NO_MEMORY));
	free(words);
	free(sizes);
	return good;
}

/* A command that ends with these ids, behind the stream's name and a group where there is one. */
static bool tell_of_ids(struct consumer_group *group, const char *name, const char *with, const redisReply *const *ids,
			uint32_t count)
{
	int head = with != NULL ? 3 : 2;
	const char **words = calloc(count + 3, sizeof(*words));
	size_t *sizes = calloc(count + 3, sizeof(*sizes));
	bool good = words != NULL && sizes != NULL;
	if (good) {
		words[0] = name;
		words[1] = group->consumer->stream;
		words[2] = with;
		for (int i = 0; i < head; i++) {
			CHECK(words[i] != NULL);
			sizes[i] = strlen(words[i]);
		}
		for (uint32_t i = 0; i < count; i++) {
			words[(uint32_t)head + i] = ids[i]->str;
			sizes[(uint32_t)head + i] = ids[i]->len;
		}
		good = ask_group_for(group, stream_key(group), REDIS_REPLY_INTEGER, head + (int)count, words, sizes);
	} else {
		group_fail(group, "%s", error_sentence(ERROR_NO_MEMORY));
	}
	free(words);
	free(sizes);
	return good;
}

bool consumer_group_done(struct consumer_group *group, const redisReply *const *ids, uint32_t count)
{
	CHECK(count != 0);
	return tell_of_ids(group, "XACK", group->consumer->group, ids, count) &&
	       (!group->consumer->deletes || tell_of_ids(group, "XDEL", NULL, ids, count));
}

bool consumer_group_pass_over(struct consumer_group *group, bool *buried)
{
	const struct consumer *consumer = group->consumer;
	const char *words[] = {"XPENDING", consumer->stream, consumer->group, "-", "+", "1", group->member};
	redisReply *reply = ask(group, stream_key(group), 7, words, NULL);
	if (reply == NULL)
		return false;
	bool good = reply->type == REDIS_REPLY_ARRAY || group_refused(group, reply);
	*buried = false;
	if (good && reply->elements == 1 && reply->element[0]->type == REDIS_REPLY_ARRAY &&
	    reply->element[0]->elements != 0 && reply->element[0]->element[0]->type == REDIS_REPLY_STRING) {
		const redisReply *id = reply->element[0]->element[0];
		good = consumer_group_bury(group, id, NULL, "the entry is longer than can be read, 64 MiB") &&
		       consumer_group_done(group, &id, 1);
		*buried = good;
		if (good)
			log_write(LOG_WARNING,
				  "consumer %s: entry %.40s goes to %s without its fields: it is longer than can be "
				  "read, 64 MiB",
				  consumer->name, id->str, consumer->dead);
	}
	group->is_stuck = group->is_stuck && !good;
	freeReplyObject(reply);
	return good;
}

/* The number behind this name in a list of names and values. False: there is none. */
static bool number_in(const redisReply *list, const char *name, uint64_t *number)
{
	for (size_t i = 0; i + 1 < list->elements; i += 2) {
		const redisReply *value = list->element[i + 1];
		if (list->element[i]->type == REDIS_REPLY_STRING && strcmp(list->element[i]->str, name) == 0) {
			*number =
				value->type == REDIS_REPLY_INTEGER && value->integer > 0 ? (uint64_t)value->integer : 0;
			return value->type == REDIS_REPLY_INTEGER;
		}
	}
	return false;
}

static bool is_group(const redisReply *list, const char *name)
{
	for (size_t i = 0; i + 1 < list->elements; i += 2) {
		const redisReply *value = list->element[i + 1];
		if (list->element[i]->type == REDIS_REPLY_STRING && strcmp(list->element[i]->str, "name") == 0)
			return value->type == REDIS_REPLY_STRING && strcmp(value->str, name) == 0;
	}
	return false;
}

bool consumer_group_look(struct consumer_group *group, bool *has_lag, uint64_t *lag, uint64_t *pending)
{
	const char *words[] = {"XINFO", "GROUPS", group->consumer->stream};
	redisReply *reply = ask(group, stream_key(group), 3, words, NULL);
	if (reply == NULL)
		return false;
	bool good = reply->type == REDIS_REPLY_ARRAY || group_refused(group, reply);
	*has_lag = false;
	*pending = 0;
	for (size_t i = 0; good && i < reply->elements; i++) {
		const redisReply *list = reply->element[i];
		if (list->type != REDIS_REPLY_ARRAY || !is_group(list, group->consumer->group))
			continue;
		*has_lag = number_in(list, "lag", lag);
		number_in(list, "pending", pending);
	}
	freeReplyObject(reply);
	return good;
}
