#include "auth/outside/answer.h"

#include "auth/password/password_hash.h"
#include "auth/rules/acl_claims.h"
#include "auth/text/strict_json.h"
#include "auth/text/utf8.h"
#include "auth/token/claims.h"
#include "base/check.h"

#include <stdlib.h>

/* Permissions are a handful of lists of filters. */
#define OUTSIDE_NODES_MAX 1024u
#define OUTSIDE_DIGITS_MAX 12u

_Static_assert(OUTSIDE_DIGITS_MAX <= 18, "ten to the power of 18 is below 2^63");

/* What an answer is made of. rules: of permissions, in memory of its own; or data is NULL. */
struct parts {
	struct slice rules;
	struct slice user;
	struct slice hash;
};

struct outside_answer *outside_answer_get(struct outside_answer *answer)
{
	CHECK(atomic_fetch_add_explicit(&answer->references, 1, memory_order_relaxed) != 0);
	return answer;
}

void outside_answer_put(struct outside_answer **answer)
{
	struct outside_answer *put = *answer;
	*answer = NULL;
	if (put == NULL)
		return;
	uint32_t references = atomic_fetch_sub_explicit(&put->references, 1, memory_order_acq_rel);
	CHECK(references != 0);
	if (references == 1)
		free(put);
}

/* With what else `as` has. */
static struct outside_answer *outside_answer_new(const struct outside_answer *as, const struct parts *parts,
						 struct fault *fault)
{
	size_t bytes = parts->rules.size + parts->user.size + parts->hash.size;
	struct outside_answer *answer = malloc(sizeof(*answer) + bytes);
	if (answer == NULL) {
		fault_set(fault, 0, "out of memory");
		return NULL;
	}
	*answer = *as;
	atomic_store_explicit(&answer->references, 1, memory_order_relaxed);
	answer->has_rules = parts->rules.data != NULL;
	answer->rules_bytes = (uint32_t)parts->rules.size;
	answer->user_bytes = (uint32_t)parts->user.size;
	answer->hash_bytes = (uint32_t)parts->hash.size;
	const struct slice all[] = {parts->rules, parts->user, parts->hash};
	uint8_t *at = answer->bytes;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); at += all[i++].size) {
		if (all[i].data != NULL && all[i].size != 0)
			memcpy(at, all[i].data, all[i].size);
	}
	return answer;
}

struct outside_answer *outside_answer_denied(void)
{
	const struct outside_answer denied = {
		.verdict = OUTSIDE_DENIED, .ttl_s = OUTSIDE_TTL_UNSAID, .expires_s = CLAIM_NEVER};
	const struct parts nothing = {0};
	struct fault fault;
	return outside_answer_new(&denied, &nothing, &fault);
}

/* ---- parts ---- */

static bool outside_read_number(struct slice text, int64_t most, int64_t *number)
{
	*number = 0;
	if (text.size == 0 || text.size > OUTSIDE_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		*number = *number * 10 + (text.data[i] - '0');
	}
	return *number <= most;
}

/* An empty name would make a nobody of its client, who is let in with the rights of everybody. */
static bool outside_check_user(struct slice user, struct fault *fault)
{
	if (user.size != 0 && user.size <= UINT16_MAX && utf8_is_text(user))
		return true;
	return fault_set(fault, 0, "user: is empty, is not UTF-8, or has control characters in it");
}

/* Compiles the node's permissions; the caller frees *rules, which is never NULL on success. size: of the JSON. */
static bool outside_compile(const struct strict_json *json, const struct strict_node *node, size_t size,
			    uint8_t **rules, size_t *rules_bytes, struct fault *fault)
{
	CHECK_GT(size, 0); /* it was read */
	size_t room = ACL_CLAIMS_BYTES_MAX(size);
	*rules = malloc(room);
	if (*rules == NULL)
		return fault_set(fault, 0, "out of memory");
	if (acl_claims_compile(json, node, *rules, room, rules_bytes) == ERROR_OK)
		return true;
	free(*rules);
	*rules = NULL;
	return fault_set(fault, 0,
			 "permissions: are {\"publish\": [FILTER...], \"subscribe\": [...], \"deny\": {...}}, and "
			 "these are not");
}

/* json->nodes has OUTSIDE_NODES_MAX places. */
static bool outside_parse(struct strict_json *json, uint8_t *text, size_t size, const char *what, struct fault *fault)
{
	size_t at;
	json->nodes[0] = (struct strict_node){.type = STRICT_NULL};
	if (size > OUTSIDE_JSON_BYTES_MAX)
		return fault_set(fault, 0, "%s longer than %zu bytes", what, OUTSIDE_JSON_BYTES_MAX);
	json->capacity = OUTSIDE_NODES_MAX;
	const char *wrong = strict_json_read(json, text, size, &at);
	if (wrong != NULL)
		return fault_set(fault, 0, "%s no JSON that can be read: %s, at byte %zu", what, wrong, at);
	return json->nodes[0].type == STRICT_OBJECT || fault_set(fault, 0, "%s no JSON object", what);
}

/* ---- JSON ---- */

static bool outside_take_number(const struct strict_node *node, const char *name, int64_t most, int64_t *number,
				struct fault *fault)
{
	if (node->type == STRICT_NUMBER && outside_read_number(node->text, most, number))
		return true;
	return fault_set(fault, 0, "%s: is no whole number up to %ld", name, most);
}

static bool outside_take_result(const struct strict_node *node, struct outside_answer *as, struct fault *fault)
{
	bool allows = slice_equal(node->text, slice_string("allow"));
	if (node->type != STRICT_STRING || (!allows && !slice_equal(node->text, slice_string("deny"))))
		return fault_set(fault, 0, "result: is neither \"allow\" nor \"deny\"");
	as->verdict = allows ? OUTSIDE_ALLOWED : OUTSIDE_DENIED;
	return true;
}

/* permissions: set where the member is that. */
static bool outside_take_member(const struct strict_node *member, struct outside_answer *as, struct parts *parts,
				const struct strict_node **permissions, struct fault *fault)
{
	int64_t number;
	if (slice_equal(member->name, slice_string("result")))
		return outside_take_result(member, as, fault);
	if (slice_equal(member->name, slice_string("user"))) {
		parts->user = member->type == STRICT_STRING ? member->text : slice_of(NULL, 0);
		return outside_check_user(parts->user, fault);
	}
	if (slice_equal(member->name, slice_string("ttl_s"))) {
		bool good = outside_take_number(member, "ttl_s", OUTSIDE_TTL_S_MAX, &number, fault);
		as->ttl_s = good ? (uint32_t)number : 0;
		return good;
	}
	if (slice_equal(member->name, slice_string("expires_s")))
		return outside_take_number(member, "expires_s", CLAIM_SECONDS_MAX, &as->expires_s, fault);
	if (!slice_equal(member->name, slice_string("permissions")))
		return fault_set(fault, 0, "%.*s: there is no such member",
				 member->name.size < 64 ? (int)member->name.size : 64, (const char *)member->name.data);
	*permissions = member;
	return true;
}

static struct outside_answer *outside_read_json(struct strict_json *json, uint8_t *text, size_t size,
						struct fault *fault)
{
	struct outside_answer as = {.ttl_s = OUTSIDE_TTL_UNSAID, .expires_s = CLAIM_NEVER};
	struct parts parts = {0};
	const struct strict_node *permissions = NULL;
	uint8_t *rules = NULL;
	if (!outside_parse(json, text, size, "it is", fault))
		return NULL;
	if (strict_member(json, json->nodes, slice_string("result")) == NULL) {
		fault_set(fault, 0, "result: is missing");
		return NULL;
	}
	const struct strict_node *member = strict_first(json->nodes);
	for (uint32_t i = 0; i < json->nodes->count; i++, member = strict_next(json, member)) {
		if (!outside_take_member(member, &as, &parts, &permissions, fault))
			return NULL;
	}
	if (permissions != NULL && !outside_compile(json, permissions, size, &rules, &parts.rules.size, fault))
		return NULL;
	parts.rules.data = rules;
	struct outside_answer *answer = outside_answer_new(&as, &parts, fault);
	free(rules);
	return answer;
}

struct outside_answer *outside_answer_of_json(uint8_t *text, size_t size, struct fault *fault)
{
	struct strict_node nodes[OUTSIDE_NODES_MAX];
	struct strict_json json = {.nodes = nodes};
	return outside_read_json(&json, text, size, fault);
}

/* ---- fields ---- */

static bool outside_take_disabled(struct slice text, bool *is_disabled, struct fault *fault)
{
	*is_disabled = slice_equal(text, slice_string("1")) || slice_equal(text, slice_string("true"));
	if (*is_disabled || text.size == 0 || slice_equal(text, slice_string("0")) ||
	    slice_equal(text, slice_string("false")))
		return true;
	return fault_set(fault, 0, "disabled: is neither 1 or true nor 0 or false");
}

/* The caller frees *rules; NULL: there are no permissions. */
static bool outside_take_permissions(struct slice text, uint8_t **rules, size_t *rules_bytes, struct fault *fault)
{
	struct strict_node nodes[OUTSIDE_NODES_MAX];
	struct strict_json json = {.nodes = nodes};
	*rules = NULL;
	*rules_bytes = 0;
	if (text.data == NULL)
		return true;
	uint8_t *copy = malloc(text.size + 1);
	if (copy == NULL)
		return fault_set(fault, 0, "out of memory");
	if (text.size != 0)
		memcpy(copy, text.data, text.size);
	bool good = outside_parse(&json, copy, text.size, "permissions: are", fault) &&
		    outside_compile(&json, nodes, text.size, rules, rules_bytes, fault);
	free(copy);
	return good;
}

static bool outside_take_fields(const struct outside_fields *fields, struct outside_answer *as, struct fault *fault)
{
	if (fields->expires_s.data != NULL &&
	    !outside_read_number(fields->expires_s, CLAIM_SECONDS_MAX, &as->expires_s))
		return fault_set(fault, 0, "expires_s: is no time in seconds since 1970");
	if (!outside_take_disabled(fields->disabled, &as->is_disabled, fault))
		return false;
	if (fields->password.data == NULL)
		return fault_set(fault, 0, "password: is missing");
	const char *wrong = password_hash_check(fields->password);
	if (wrong != NULL)
		return fault_set(fault, 0, "password: %s", wrong);
	return fields->user.data == NULL || outside_check_user(fields->user, fault);
}

static bool outside_has_no_field(const struct outside_fields *fields)
{
	return fields->password.data == NULL && fields->permissions.data == NULL && fields->disabled.data == NULL &&
	       fields->expires_s.data == NULL && fields->user.data == NULL;
}

struct outside_answer *outside_answer_of_fields(const struct outside_fields *fields, struct slice named,
						struct fault *fault)
{
	struct outside_answer as = {
		.verdict = OUTSIDE_BY_PASSWORD, .ttl_s = OUTSIDE_TTL_UNSAID, .expires_s = CLAIM_NEVER};
	struct parts parts = {.user = fields->user.data != NULL ? fields->user : named, .hash = fields->password};
	uint8_t *rules;
	if (outside_has_no_field(fields)) {
		fault_set(fault, 0, "out of memory");
		return outside_answer_denied();
	}
	if (!outside_take_fields(fields, &as, fault) ||
	    !outside_take_permissions(fields->permissions, &rules, &parts.rules.size, fault))
		return NULL;
	parts.rules.data = rules;
	struct outside_answer *answer = outside_answer_new(&as, &parts, fault);
	free(rules);
	return answer;
}
