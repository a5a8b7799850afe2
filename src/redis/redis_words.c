#include "redis/redis_words.h"

#include "redis/redis_slots.h"

static bool read_port_or_slot(struct slice text, uint32_t most, uint32_t *number)
{
	*number = 0;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9' || i > 5)
			return false;
		*number = *number * 10 + (uint32_t)(text.data[i] - '0');
	}
	return text.size != 0 && *number <= most;
}

/* "host:port"; the host may be an IPv6 address without brackets. "?" is one whose name the server does not know yet. */
static bool read_redis_place(struct slice text, const struct redis_place *asked, struct redis_place *place)
{
	uint32_t port;
	const uint8_t *colon = text.size != 0 ? memrchr(text.data, ':', text.size) : NULL;
	if (colon == NULL)
		return false;
	size_t size = (size_t)(colon - text.data);
	struct slice host = size != 0 ? slice_of(text.data, size) : slice_string(asked->host);
	if (!read_port_or_slot(slice_of(colon + 1, text.size - size - 1), UINT16_MAX, &port) || port == 0 ||
	    host.size >= sizeof(place->host) || memchr(host.data, '\0', host.size) != NULL ||
	    slice_equal(host, slice_string("?")))
		return false;
	memset(place, 0, sizeof(*place));
	memcpy(place->host, host.data, host.size);
	place->port = (uint16_t)port;
	return true;
}

static bool redis_take_word(struct slice *rest, struct slice *word)
{
	const uint8_t *space = rest->size != 0 ? memchr(rest->data, ' ', rest->size) : NULL;
	if (space == NULL)
		return false;
	size_t size = (size_t)(space - rest->data);
	*word = slice_of(rest->data, size);
	*rest = slice_of(space + 1, rest->size - size - 1);
	return true;
}

bool redis_redirect_read(struct slice error, const struct redis_place *asked, struct redis_redirect *redirect)
{
	struct slice kind, slot;
	uint32_t number;
	if (!redis_take_word(&error, &kind) || !redis_take_word(&error, &slot))
		return false;
	bool is_ask = slice_equal(kind, slice_string("ASK"));
	if ((!is_ask && !slice_equal(kind, slice_string("MOVED"))) ||
	    !read_port_or_slot(slot, REDIS_SLOTS - 1, &number))
		return false;
	redirect->kind = is_ask ? REDIS_ASK : REDIS_MOVED;
	redirect->slot = (uint16_t)number;
	return read_redis_place(error, asked, &redirect->place);
}

bool redis_master_read(const redisReply *reply, struct redis_place *place, const char **why)
{
	uint32_t port;
	*why = "it knows no master of this name";
	if (reply->type == REDIS_REPLY_NIL)
		return false;
	*why = "it answered with something that is no address of a master";
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING ||
	    reply->element[1]->type != REDIS_REPLY_STRING)
		return false;
	const redisReply *host = reply->element[0];
	struct slice digits = slice_of(reply->element[1]->str, (size_t)reply->element[1]->len);
	if (host->len == 0 || (size_t)host->len >= sizeof(place->host) || strlen(host->str) != (size_t)host->len ||
	    !read_port_or_slot(digits, UINT16_MAX, &port) || port == 0)
		return false;
	memset(place, 0, sizeof(*place));
	memcpy(place->host, host->str, (size_t)host->len);
	place->port = (uint16_t)port;
	return true;
}

bool redis_switch_read(struct slice text, const char *name, struct redis_place *place)
{
	struct slice word, host;
	uint32_t port;
	if (!redis_take_word(&text, &word) || !slice_equal(word, slice_string(name)) ||
	    !redis_take_word(&text, &word) || !redis_take_word(&text, &word) || !redis_take_word(&text, &host))
		return false;
	if (host.size == 0 || host.size >= sizeof(place->host) || memchr(host.data, '\0', host.size) != NULL ||
	    !read_port_or_slot(text, UINT16_MAX, &port) || port == 0)
		return false;
	memset(place, 0, sizeof(*place));
	memcpy(place->host, host.data, host.size);
	place->port = (uint16_t)port;
	return true;
}

bool redis_role_is_master(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_ARRAY && reply->elements != 0 &&
	       reply->element[0]->type == REDIS_REPLY_STRING && strcmp(reply->element[0]->str, "master") == 0;
}
