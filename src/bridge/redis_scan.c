#include "bridge/redis_scan.h"

#include "base/check.h"
#include "bridge/redis_message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Slots that Redis examines per page, which takes some tenths of a millisecond of its time. */
#define PAGE_PLACES "1000"
#define KEY_PATTERN (REDIS_KEY_PREFIX "*")
/* No answer of PTTL. */
#define TTL_ELSEWHERE INT64_MIN

void redis_scan_begin(struct redis_scan *scan, redis_scan_visit *visit, redis_scan_elsewhere *elsewhere, void *context)
{
	*scan = (struct redis_scan){.cursor = "0", .visit = visit, .elsewhere = elsewhere, .context = context};
}

void redis_scan_go_on(struct redis_scan *scan)
{
	redis_scan_begin(scan, scan->visit, scan->elsewhere, scan->context);
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

/* While slots of a cluster move a server may have a key and send who asks for it elsewhere. */
static bool is_elsewhere(const struct redis_scan *scan, const redisReply *answer)
{
	return scan->elsewhere != NULL && answer->type == REDIS_REPLY_ERROR &&
	       (strncmp(answer->str, "MOVED ", 6) == 0 || strncmp(answer->str, "ASK ", 4) == 0);
}

static bool read_key_time(const struct redis_scan *scan, struct redis_link *link, int64_t *ttl_ms)
{
	redisReply *answer;
	if (!redis_link_await(link, &answer))
		return false;
	bool good = true;
	if (answer->type == REDIS_REPLY_INTEGER)
		*ttl_ms = answer->integer;
	else if (is_elsewhere(scan, answer))
		*ttl_ms = TTL_ELSEWHERE;
	else if (answer->type == REDIS_REPLY_ERROR)
		good = redis_link_refused(link, answer);
	else
		good = redis_link_fail(link, "an answer of type %d was not expected", answer->type);
	freeReplyObject(answer);
	return good;
}

static void show_key(const struct redis_scan *scan, struct slice key, int64_t now_s, int64_t ttl_ms)
{
	struct revocation revocation = {.until_s = redis_until_s(now_s, ttl_ms)};
	if (revocation.until_s > now_s && redis_key_parse(key, &revocation.kind, &revocation.id))
		scan->visit(scan->context, &revocation);
}

/* Other servers are asked when all answers of this one are here: they may send one back to it. */
static bool read_key_times(const struct redis_scan *scan, struct redis_link *link, const redisReply *keys,
			   int64_t now_s)
{
	int64_t *times_ms = calloc(keys->elements + 1, sizeof(*times_ms));
	bool good = true;
	if (times_ms == NULL)
		return redis_link_fail(link, "out of memory");
	for (size_t i = 0; i < keys->elements && good; i++)
		good = read_key_time(scan, link, &times_ms[i]);
	for (size_t i = 0; i < keys->elements && good; i++) {
		struct slice key = text_of_reply(keys->element[i]);
		if (times_ms[i] == TTL_ELSEWHERE)
			good = scan->elsewhere(scan->context, key, &times_ms[i]);
		if (good)
			show_key(scan, key, now_s, times_ms[i]);
	}
	free(times_ms);
	return good;
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
