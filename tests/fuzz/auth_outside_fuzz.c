/* Answers from outside: the first byte says whether the others are JSON (0), a record of fields with newlines between
 * (1), or the name of keys and a key (2). */
#include "fuzz.h"

#include "auth/outside/answer.h"
#include "auth/outside/question.h"
#include "auth/password/password_hash.h"
#include "auth/rules/acl.h"
#include "auth/token/claims.h"

static void check_answer(struct outside_answer *answer, const struct fault *fault)
{
	if (answer == NULL) {
		CHECK(fault->text[0] != '\0');
		return;
	}
	struct fault unused;
	struct acl *acl = acl_new(slice_of((const uint8_t *)"", 0), false, &unused);
	const struct acl_identity who = {slice_string("c"), outside_answer_user(answer)};
	struct slice rules = outside_answer_rules(answer);
	CHECK(acl != NULL);
	bool allowed = acl_check(acl, rules, &who, ACL_PUBLISH, slice_string("a/b"));
	CHECK(!allowed || rules.size != 0);
	CHECK(answer->expires_s >= 0 && answer->verdict <= OUTSIDE_BY_PASSWORD);
	CHECK(answer->ttl_s <= OUTSIDE_TTL_S_MAX || answer->ttl_s == OUTSIDE_TTL_UNSAID);
	CHECK((answer->verdict == OUTSIDE_BY_PASSWORD) == (answer->hash_bytes != 0));
	CHECK(answer->hash_bytes == 0 || password_hash_check(outside_answer_hash(answer)) == NULL);
	acl_put(&acl);
	outside_answer_put(&answer);
}

static void read_json(uint8_t *text, size_t size)
{
	struct fault fault = {0};
	check_answer(outside_answer_of_json(text, size, &fault), &fault);
}

/* An empty line is a field that is not there. */
static struct slice next_field(struct slice *rest)
{
	const uint8_t *end = rest->size != 0 ? memchr(rest->data, '\n', rest->size) : NULL;
	size_t size = end != NULL ? (size_t)(end - rest->data) : rest->size;
	struct slice field = size != 0 ? slice_of(rest->data, size) : slice_of(NULL, 0);
	*rest = slice_of(rest->data + size + (end != NULL), rest->size - size - (end != NULL));
	return field;
}

static void read_record(uint8_t *text, size_t size)
{
	struct fault fault = {0};
	struct slice rest = slice_of(text, size);
	struct outside_fields fields;
	fields.password = next_field(&rest);
	fields.permissions = next_field(&rest);
	fields.disabled = next_field(&rest);
	fields.expires_s = next_field(&rest);
	fields.user = next_field(&rest);
	check_answer(outside_answer_of_fields(&fields, slice_string("named"), &fault), &fault);
}

/* What is found in a key's name makes the same name again. */
static void read_key(uint8_t *text, size_t size)
{
	struct outside_key key;
	struct slice rest = slice_of(text, size), value;
	struct slice pattern = next_field(&rest);
	char *string = malloc(pattern.size + 1);
	CHECK(string != NULL);
	if (pattern.size != 0)
		memcpy(string, pattern.data, pattern.size);
	string[pattern.size] = '\0';
	if (outside_key_read(&key, string) == NULL && outside_key_value_of(&key, rest, &value)) {
		uint8_t *name = block_new(rest.size);
		CHECK(outside_key_write(&key, value, name, rest.size) == rest.size);
		CHECK(memcmp(name, rest.data, rest.size) == 0);
		free(name);
	}
	/* Whatever a client says, the question can be read. */
	const struct outside_question question = {.client_id = rest, .password = pattern, .version = 5};
	size_t bytes = outside_json_write(&question, NULL, 0);
	uint8_t *json = block_new(bytes);
	CHECK(outside_json_write(&question, json, bytes) == bytes);
	free(json);
	free(string);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const READERS[])(uint8_t *, size_t) = {read_json, read_record, read_key};
	if (size == 0 || data[0] >= sizeof(READERS) / sizeof(READERS[0]))
		return 0;
	uint8_t *text = block_new(size - 1);
	if (size > 1)
		memcpy(text, data + 1, size - 1);
	READERS[data[0]](text, size - 1);
	free(text);
	return 0;
}
