#include "bridge/redis_scan.h"

#include "base/check.h"
#include "bridge/redis_message.h"

#include <stdio.h>
#include <string.h>

/* Slots that Redis examines per page, which takes some tenths of a millisecond of its time. */
#define PAGE_PLACES "1000"
#define KEY_PATTERN (REDIS_KEY_PREFIX "*")

void redis_scan_begin(struct redis_scan *scan, redis_scan_visit *visit, void *context)
{
	*scan = (struct redis_scan){.cursor = "0", .visit = visit, .context = context};
}

static struct slice text_of_reply(const redisReply *reply)
{
	return slice_of(reply->str, (size_t)reply->len);
}

static bool is_page(const redisReply *reply)
{
	return reply->elements == 2 && reply->element[0]->type == REDIS_REPLY_STRING &&
	       (size_t)reply->element[0]->len < REDIS_CURSOR_BYTES && reply->element[1]->type == REDIS_REPLY_ARRAY;
}

/* Asks for the times to live of all keys of a page at once. */
static bool ask_key_times(struct redis_link *link, const redisReply *keys)
{
	for (size_t i = 0; i < keys->elements; i++) {
		const redisReply *key = keys->element[i];
		if (key->type != REDIS_REPLY_STRING)
			return redis_link_fail(link, "SCAN answered with something that is no key");
		const char *words[] = {"PTTL", key->str};
		const size_t sizes[] = {4, (size_t)key->len};
		if (!redis_link_append(link, 2, words, sizes))
			return false;
	}
	return keys->elements == 0 || redis_link_send(link);
}

static bool read_key_times(const struct redis_scan *scan, struct redis_link *link, const redisReply *keys,
			   int64_t now_s)
{
	for (size_t i = 0; i < keys->elements; i++) {
		redisReply *answer = redis_link_answer(link, REDIS_REPLY_INTEGER);
		if (answer == NULL)
			return false;
		struct revocation revocation = {.until_s = redis_until_s(now_s, answer->integer)};
		freeReplyObject(answer);
		if (revocation.until_s > now_s &&
		    redis_key_parse(text_of_reply(keys->element[i]), &revocation.kind, &revocation.id))
			scan->visit(scan->context, &revocation);
	}
	return true;
}

bool redis_scan_page(struct redis_scan *scan, struct redis_link *link, int64_t now_s, bool *done)
{
	const char *words[] = {"SCAN", scan->cursor, "MATCH", KEY_PATTERN, "COUNT", PAGE_PLACES};
	if (!redis_link_append(link, sizeof(words) / sizeof(words[0]), words, NULL) || !redis_link_send(link))
		return false;
	redisReply *page = redis_link_answer(link, REDIS_REPLY_ARRAY);
	if (page == NULL)
		return false;
	CHECK(scan->visit != NULL);
	bool good = is_page(page) || redis_link_fail(link, "SCAN answered with something that is no page");
	if (good) {
		CHECK((size_t)page->element[0]->len < sizeof(scan->cursor)); /* is_page() checked it */
		memcpy(scan->cursor, page->element[0]->str, (size_t)page->element[0]->len + 1);
		*done = strcmp(scan->cursor, "0") == 0;
		good = ask_key_times(link, page->element[1]) && read_key_times(scan, link, page->element[1], now_s);
	}
	freeReplyObject(page);
	return good;
}
