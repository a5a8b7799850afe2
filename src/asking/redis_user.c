#include "asking/redis_user.h"

#include <string.h>

static const char *const FIELDS[] = {"password", "permissions", "disabled", "expires_s", "user"};
#define FIELD_COUNT (sizeof(FIELDS) / sizeof(FIELDS[0]))

bool redis_user_ask(struct redis_link *link, struct slice key)
{
	const char *words[2 + FIELD_COUNT] = {"HMGET", (const char *)key.data};
	size_t sizes[2 + FIELD_COUNT] = {5, key.size};
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		words[2 + i] = FIELDS[i];
		sizes[2 + i] = strlen(FIELDS[i]);
	}
	return redis_link_append(link, 2 + FIELD_COUNT, words, sizes);
}

static bool user_read_fields(const redisReply *reply, struct slice values[FIELD_COUNT], struct fault *fault)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != FIELD_COUNT)
		return fault_set(fault, 0, "an answer of type %d to HMGET", reply->type);
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const redisReply *element = reply->element[i];
		if (element->type != REDIS_REPLY_STRING && element->type != REDIS_REPLY_NIL)
			return fault_set(fault, 0, "a value of type %d in the answer to HMGET", element->type);
		values[i] = element->type == REDIS_REPLY_STRING ? slice_of(element->str, (size_t)element->len)
								: slice_of(NULL, 0);
	}
	return true;
}

enum redis_user_outcome redis_user_read(const redisReply *reply, struct slice named, struct outside_answer **answer,
					struct fault *fault)
{
	static const char OTHER_TYPE[] = "WRONGTYPE";
	struct slice values[FIELD_COUNT];
	*answer = NULL;
	if (reply->type == REDIS_REPLY_ERROR) {
		bool is_other = strncmp(reply->str, OTHER_TYPE, sizeof(OTHER_TYPE) - 1) == 0;
		const char *words = reply->str[0] != '\0' ? reply->str : "an error without words";
		fault_set(fault, 0, "%.120s", is_other ? "is no hash" : words);
		return is_other ? REDIS_USER_BAD : REDIS_USER_FAILED;
	}
	if (!user_read_fields(reply, values, fault))
		return REDIS_USER_FAILED;
	const struct outside_fields fields = {
		.password = values[0],
		.permissions = values[1],
		.disabled = values[2],
		.expires_s = values[3],
		.user = values[4],
	};
	*answer = outside_answer_of_fields(&fields, named, fault);
	return *answer != NULL ? REDIS_USER_READ : REDIS_USER_BAD;
}
