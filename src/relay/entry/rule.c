#include "relay/entry/rule.h"

#include "base/check.h"
#include "relay/entry/stream_name.h"

#include <string.h>

static const char *const FIELD_NAMES[] = {
#define X(code, name, by_default) [RULE_FIELD_##code] = name,
	RULE_FIELD_TABLE(X)
#undef X
};

_Static_assert(RULE_FIELD_COUNT <= 32, "a bit for each");

#define X(code, name, by_default) | ((by_default) ? 1u << RULE_FIELD_##code : 0u)
#define FIELDS_DEFAULT (0u RULE_FIELD_TABLE(X))
_Static_assert(FIELDS_DEFAULT != 0, "an entry of Redis has a field at least");

void rule_init(struct rule *rule)
{
	*rule = (struct rule){.qos = 1};
}

/* ---- keys ---- */

static bool set_name(void *item, const char *text, char *fault)
{
	struct rule *rule = item;
	return item_set_name(rule->name, text, fault);
}

static bool add_topic(void *item, const char *text, char *fault)
{
	struct rule *rule = item;
	return topics_add(&rule->topics, text, fault);
}

static bool set_stream(void *item, const char *text, char *fault)
{
	struct rule *rule = item;
	const char *why;
	size_t size = strlen(text);
	if (size >= RULE_STREAM_BYTES_MAX)
		return item_fault(fault, "a name of more than %u bytes", RULE_STREAM_BYTES_MAX - 1);
	if (!stream_name_check(text, &why))
		return item_fault(fault, "\"%.64s\": %s", text, why);
	memcpy(rule->stream, text, size + 1);
	return true;
}

static bool add_rule_field(void *item, const char *text, char *fault)
{
	struct rule *rule = item;
	for (int i = 0; i < RULE_FIELD_COUNT; i++) {
		if (strcmp(FIELD_NAMES[i], text) != 0)
			continue;
		if ((rule->fields & 1u << i) != 0)
			return item_fault(fault, "\"%s\" is there for the second time", text);
		rule->fields |= 1u << i;
		return true;
	}
	return item_fault(fault,
			  "\"%.64s\" is no field; there are topic, payload, qos, retain, properties, client, user, "
			  "address and time",
			  text);
}

static bool set_qos(void *item, const char *text, char *fault)
{
	struct rule *rule = item;
	uint32_t qos;
	if (!item_set_number(&qos, text, 0, 1, fault))
		return item_fault(fault,
				  "\"%.64s\" is neither 0, at most once, nor 1, at least once; more than that is not "
				  "to be had with XADD",
				  text);
	rule->qos = (uint8_t)qos;
	return true;
}

static bool set_max_length(void *item, const char *text, char *fault)
{
	struct rule *rule = item;
	return item_set_number(&rule->max_length, text, 1, RULE_LENGTH_MAX, fault);
}

static bool set_max_age(void *item, const char *text, char *fault)
{
	struct rule *rule = item;
	return item_set_number(&rule->max_age_s, text, 1, RULE_AGE_S_MAX, fault);
}

static const struct item_key KEYS[] = {
	{"name", false, set_name},         {"topics", true, add_topic}, {"stream", false, set_stream},
	{"fields", true, add_rule_field},  {"qos", false, set_qos},     {"max_length", false, set_max_length},
	{"max_age_s", false, set_max_age},
};

const struct item_key *rule_key(const char *name)
{
	return item_key_find(KEYS, sizeof(KEYS) / sizeof(KEYS[0]), name);
}

/* ---- whole rules ---- */

bool rule_complete(struct rule *rule, char fault[ITEM_FAULT_BYTES_MAX])
{
	if (rule->topics.count == 0)
		return item_fault(fault, "rule %s has no topics", rule->name);
	if (rule->stream[0] == '\0')
		return item_fault(fault, "rule %s has no stream", rule->name);
	if (rule->max_length != 0 && rule->max_age_s != 0)
		return item_fault(fault, "rule %s has both max_length and max_age_s; Redis takes one of them",
				  rule->name);
	if (rule->fields == 0)
		rule->fields = FIELDS_DEFAULT;
	return true;
}

bool rule_equal(const struct rule *one, const struct rule *other)
{
	return strcmp(one->name, other->name) == 0 && strcmp(one->stream, other->stream) == 0 &&
	       topics_equal(&one->topics, &other->topics) && one->fields == other->fields &&
	       one->max_length == other->max_length && one->max_age_s == other->max_age_s && one->qos == other->qos;
}

const char *rule_field_name(enum rule_field field)
{
	CHECK(field < RULE_FIELD_COUNT);
	return FIELD_NAMES[field];
}
