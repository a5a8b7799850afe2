#include "relay/entry/rule.h"

#include "base/check.h"
#include "mqtt/field/topic.h"
#include "relay/entry/stream_name.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
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

static bool rule_fault(char fault[RULE_FAULT_BYTES_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool rule_fault(char fault[RULE_FAULT_BYTES_MAX], const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(fault, RULE_FAULT_BYTES_MAX, format, arguments);
	va_end(arguments);
	return false;
}

void rule_init(struct rule *rule)
{
	*rule = (struct rule){.qos = 1};
}

/* ---- keys ---- */

static bool set_name(struct rule *rule, const char *text, char *fault)
{
	size_t size = strlen(text);
	if (size == 0 || size >= RULE_NAME_BYTES_MAX || strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") != size)
		return rule_fault(fault, "\"%.64s\" is not a name of 1 to %u letters of a-z, 0-9, _ and -", text,
				  RULE_NAME_BYTES_MAX - 1);
	memcpy(rule->name, text, size + 1);
	return true;
}

static bool add_filter(struct rule *rule, const char *text, char *fault)
{
	struct slice filter = slice_string(text);
	struct slice group;
	struct slice rest;
	enum error error = mqtt_filter_check(filter);
	if (error == ERROR_OK && mqtt_filter_share(filter, &group, &rest, &error))
		return rule_fault(
			fault, "\"%.64s\" is shared with other subscribers; a rule takes all that matches its topics",
			text);
	if (error != ERROR_OK)
		return rule_fault(fault, "\"%.64s\" is no topic filter: %s", text, error_sentence(error));
	if (filter.size >= RULE_FILTER_BYTES_MAX)
		return rule_fault(fault, "a topic filter of more than %u bytes", RULE_FILTER_BYTES_MAX - 1);
	for (uint32_t i = 0; i < rule->filter_count; i++) {
		if (strcmp(rule->filters[i], text) == 0)
			return rule_fault(fault, "\"%.64s\" is there for the second time", text);
	}
	if (rule->filter_count == RULE_FILTERS_MAX)
		return rule_fault(fault, "more than %u topic filters", RULE_FILTERS_MAX);
	memcpy(rule->filters[rule->filter_count++], text, filter.size + 1);
	return true;
}

static bool set_stream(struct rule *rule, const char *text, char *fault)
{
	const char *why;
	size_t size = strlen(text);
	if (size >= RULE_STREAM_BYTES_MAX)
		return rule_fault(fault, "a name of more than %u bytes", RULE_STREAM_BYTES_MAX - 1);
	if (!stream_name_check(text, &why))
		return rule_fault(fault, "\"%.64s\": %s", text, why);
	memcpy(rule->stream, text, size + 1);
	return true;
}

static bool add_rule_field(struct rule *rule, const char *text, char *fault)
{
	for (int i = 0; i < RULE_FIELD_COUNT; i++) {
		if (strcmp(FIELD_NAMES[i], text) != 0)
			continue;
		if ((rule->fields & 1u << i) != 0)
			return rule_fault(fault, "\"%s\" is there for the second time", text);
		rule->fields |= 1u << i;
		return true;
	}
	return rule_fault(fault,
			  "\"%.64s\" is no field; there are topic, payload, qos, retain, properties, client, user, "
			  "address and time",
			  text);
}

static bool read_rule_number(const char *text, uint32_t least, uint32_t most, uint32_t *number, char *fault)
{
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < least || value > most)
		return rule_fault(fault, "\"%.64s\" is not a number from %u to %u", text, least, most);
	*number = (uint32_t)value;
	return true;
}

static bool set_qos(struct rule *rule, const char *text, char *fault)
{
	uint32_t qos;
	if (!read_rule_number(text, 0, 1, &qos, fault))
		return rule_fault(fault,
				  "\"%.64s\" is neither 0, at most once, nor 1, at least once; more than that is not "
				  "to be had with XADD",
				  text);
	rule->qos = (uint8_t)qos;
	return true;
}

static bool set_max_length(struct rule *rule, const char *text, char *fault)
{
	return read_rule_number(text, 1, RULE_LENGTH_MAX, &rule->max_length, fault);
}

static bool set_max_age(struct rule *rule, const char *text, char *fault)
{
	return read_rule_number(text, 1, RULE_AGE_S_MAX, &rule->max_age_s, fault);
}

static const struct rule_key {
	const char *name;
	bool is_list;
	bool (*set)(struct rule *rule, const char *text, char *fault);
} KEYS[] = {
	{"name", false, set_name},         {"topics", true, add_filter}, {"stream", false, set_stream},
	{"fields", true, add_rule_field},  {"qos", false, set_qos},      {"max_length", false, set_max_length},
	{"max_age_s", false, set_max_age},
};

static const struct rule_key *find_key(const char *name)
{
	for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++) {
		if (strcmp(KEYS[i].name, name) == 0)
			return &KEYS[i];
	}
	return NULL;
}

bool rule_has_key(const char *name, bool *is_list)
{
	const struct rule_key *key = find_key(name);
	*is_list = key != NULL && key->is_list;
	return key != NULL;
}

bool rule_set(struct rule *rule, const char *name, const char *text, char fault[RULE_FAULT_BYTES_MAX])
{
	const struct rule_key *key = find_key(name);
	CHECK(key != NULL);
	return key->set(rule, text, fault);
}

/* ---- whole rules ---- */

bool rule_complete(struct rules *rules, char fault[RULE_FAULT_BYTES_MAX])
{
	CHECK(rules->count != 0 && rules->count <= RULES_MAX);
	struct rule *rule = &rules->items[rules->count - 1];
	if (rule->name[0] == '\0')
		return rule_fault(fault, "this rule has no name");
	if (rule->filter_count == 0)
		return rule_fault(fault, "rule %s has no topics", rule->name);
	if (rule->stream[0] == '\0')
		return rule_fault(fault, "rule %s has no stream", rule->name);
	if (rule->max_length != 0 && rule->max_age_s != 0)
		return rule_fault(fault, "rule %s has both max_length and max_age_s; Redis takes one of them",
				  rule->name);
	for (uint32_t i = 0; i + 1 < rules->count; i++) {
		if (strcmp(rules->items[i].name, rule->name) == 0)
			return rule_fault(fault, "the rule in line %u is named %s, too", rules->items[i].line,
					  rule->name);
	}
	if (rule->fields == 0)
		rule->fields = FIELDS_DEFAULT;
	return true;
}

bool rule_equal(const struct rule *one, const struct rule *other)
{
	if (strcmp(one->name, other->name) != 0 || strcmp(one->stream, other->stream) != 0 ||
	    one->filter_count != other->filter_count || one->fields != other->fields ||
	    one->max_length != other->max_length || one->max_age_s != other->max_age_s || one->qos != other->qos)
		return false;
	for (uint32_t i = 0; i < one->filter_count; i++) {
		if (strcmp(one->filters[i], other->filters[i]) != 0)
			return false;
	}
	return true;
}

const struct rule *rules_find(const struct rules *rules, struct slice name)
{
	for (uint32_t i = 0; i < rules->count; i++) {
		if (slice_equal(slice_string(rules->items[i].name), name))
			return &rules->items[i];
	}
	return NULL;
}

const char *rule_field_name(enum rule_field field)
{
	CHECK(field < RULE_FIELD_COUNT);
	return FIELD_NAMES[field];
}

/* FNV-1a, folded to what an identifier may be: 1 to 268,435,455 [3.3.2.3.8]. It is kept with messages, so it has no
 * key. Where two filters of a rule had the same, their copies of one publish would be two entries. */
uint32_t rule_filter_identifier(const char *filter)
{
	uint32_t hash = 2166136261u;
	for (; *filter != '\0'; filter++)
		hash = (hash ^ (uint8_t)*filter) * 16777619u;
	hash = (hash ^ hash >> 28) & 0x0fffffffu;
	return hash != 0 ? hash : 1;
}

bool rule_has_identifier(const struct rule *rule, uint32_t identifier)
{
	CHECK_LE(rule->filter_count, RULE_FILTERS_MAX);
	for (uint32_t i = 0; i < rule->filter_count; i++) {
		if (rule_filter_identifier(rule->filters[i]) == identifier)
			return true;
	}
	return false;
}

size_t rule_client_id(const struct rule *rule, char id[RULE_CLIENT_BYTES_MAX])
{
	int size = snprintf(id, RULE_CLIENT_BYTES_MAX, RULE_CLIENT_PREFIX "%s", rule->name);
	CHECK(size > 0 && (size_t)size < RULE_CLIENT_BYTES_MAX);
	return (size_t)size;
}
