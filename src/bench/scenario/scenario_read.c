#include "bench/scenario/scenario.h"

#include "bench/measure/inflight.h"
#include "bench/measure/stamp.h"

#include "base/file.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#define PAYLOAD_BYTES_MAX 65536u
#define NUMBER_BYTES_MAX 32u

struct reader {
	const char *name;
	char *fault;
	yaml_document_t document;
};

struct key;
/* Puts a value into the field. */
typedef bool key_set(struct reader *reader, const struct key *key, const yaml_node_t *value, void *into);

struct key {
	const char *name;
	key_set *set;
	size_t offset;
	double min; /* of numbers; for texts, max is the size of the field */
	double max;
};

static bool complain(struct reader *reader, const yaml_node_t *at, const char *key, const char *fault)
{
	snprintf(reader->fault, SCENARIO_FAULT_BYTES, "%s:%zu: %s%s%s", reader->name, at->start_mark.line + 1, key,
		 *key != '\0' ? ": " : "", fault);
	return false;
}

static const yaml_node_t *node_of(struct reader *reader, int index)
{
	return yaml_document_get_node(&reader->document, index);
}

/* Returns NULL if it has complained. */
static const char *scalar(struct reader *reader, const char *key, const yaml_node_t *value)
{
	const char *text = (const char *)value->data.scalar.value;
	if (value->type != YAML_SCALAR_NODE)
		complain(reader, value, key, "a single value is wanted here");
	else if (strlen(text) != value->data.scalar.length)
		complain(reader, value, key, "the value contains a null character");
	else
		return text;
	return NULL;
}

/* Digits may be grouped: 100_000. Decimal notation only, so that neither "0x10" nor "nan" gets in. */
static bool parse_decimal(const char *text, double *out)
{
	char digits[NUMBER_BYTES_MAX + 1];
	size_t size = 0;
	char *end;
	for (; *text != '\0' && size < NUMBER_BYTES_MAX; text++) {
		if (*text != '_')
			digits[size++] = *text;
	}
	digits[size] = '\0';
	if (*text != '\0' || size == 0 || strspn(digits, "0123456789.") != size)
		return false;
	*out = strtod(digits, &end);
	return *end == '\0' && isfinite(*out);
}

static bool take_number(struct reader *reader, const struct key *key, const yaml_node_t *value, double *out)
{
	char fault[96];
	const char *text = scalar(reader, key->name, value);
	if (text == NULL)
		return false;
	if (parse_decimal(text, out) && *out >= key->min && *out <= key->max)
		return true;
	snprintf(fault, sizeof(fault), "a number from %.15g to %.15g is wanted here", key->min, key->max);
	return complain(reader, value, key->name, fault);
}

static bool set_double(struct reader *reader, const struct key *key, const yaml_node_t *value, void *into)
{
	return take_number(reader, key, value, into);
}

static bool set_u32(struct reader *reader, const struct key *key, const yaml_node_t *value, void *into)
{
	double number;
	if (!take_number(reader, key, value, &number))
		return false;
	if (floor(number) < number)
		return complain(reader, value, key->name, "a whole number is wanted here");
	*(uint32_t *)into = (uint32_t)number;
	return true;
}

static bool set_bool(struct reader *reader, const struct key *key, const yaml_node_t *value, void *into)
{
	const char *text = scalar(reader, key->name, value);
	if (text == NULL)
		return false;
	*(bool *)into = strcmp(text, "true") == 0;
	if (*(bool *)into || strcmp(text, "false") == 0)
		return true;
	return complain(reader, value, key->name, "true or false is wanted here");
}

/* Names go into client ids, reports and tokens: nothing in them may need an escape. */
static bool set_text(struct reader *reader, const struct key *key, const yaml_node_t *value, void *into)
{
	const char *text = scalar(reader, key->name, value);
	if (text == NULL)
		return false;
	for (const char *at = text; *at != '\0'; at++) {
		if ((unsigned char)*at < ' ' || strchr("\"\\<>&+#", *at) != NULL)
			return complain(reader, value, key->name,
					"control characters and \" \\ < > & + # are not taken");
	}
	if (*text == '\0' || strlen(text) >= (size_t)key->max)
		return complain(reader, value, key->name, "the text is empty, or too long");
	memcpy(into, text, strlen(text) + 1);
	return true;
}

static bool set_url(struct reader *reader, const struct key *key, const yaml_node_t *value, void *into)
{
	const char *text = scalar(reader, key->name, value);
	if (text == NULL)
		return false;
	const char *fault = url_parse(text, into);
	return fault == NULL || complain(reader, value, key->name, fault);
}

/* The word's place in the list, counted from `first`. */
static bool take_word(struct reader *reader, const struct key *key, const yaml_node_t *value, const char *const *words,
		      uint32_t first, const char *wanted, uint32_t *out)
{
	const char *text = scalar(reader, key->name, value);
	if (text == NULL)
		return false;
	for (uint32_t i = 0; words[i] != NULL; i++) {
		if (strcmp(text, words[i]) == 0) {
			*out = first + i;
			return true;
		}
	}
	return complain(reader, value, key->name, wanted);
}

static bool set_role(struct reader *reader, const struct key *key, const yaml_node_t *value, void *into)
{
	static const char *const ROLES[] = {"idle", "subscriber", "publisher", "both", NULL};
	_Static_assert(ROLE_IDLE == 0 && ROLE_SUBSCRIBER == 1 && ROLE_PUBLISHER == 2 && ROLE_BOTH == 3, "as in ROLES");
	return take_word(reader, key, value, ROLES, 0, "publisher, subscriber, both or idle is wanted here", into);
}

static bool set_version(struct reader *reader, const struct key *key, const yaml_node_t *value, void *into)
{
	static const char *const VERSIONS[] = {"3.1", "3.1.1", "5", NULL};
	return take_word(reader, key, value, VERSIONS, 3, "3.1, 3.1.1 or 5 is wanted here", into);
}

static bool set_topic(struct reader *reader, const struct key *key, const yaml_node_t *value, void *into)
{
	const char *text = scalar(reader, key->name, value);
	if (text == NULL)
		return false;
	const char *fault = topic_pattern_parse(text, strcmp(key->name, "subscribe") == 0, into);
	return fault == NULL || complain(reader, value, key->name, fault);
}

/* A number a second, or "load". */
static bool set_rate(struct reader *reader, const struct key *key, const yaml_node_t *value, void *into)
{
	struct scenario_rate *rate = into;
	if (value->type == YAML_SCALAR_NODE && strcmp((const char *)value->data.scalar.value, "load") == 0) {
		rate->is_load = true;
		return true;
	}
	return take_number(reader, key, value, &rate->a_second);
}

/* A number of bytes, or a list of the least and the most. */
static bool set_size(struct reader *reader, const struct key *key, const yaml_node_t *value, void *into)
{
	uint32_t *sizes = into;
	if (value->type != YAML_SEQUENCE_NODE) {
		if (!set_u32(reader, key, value, &sizes[0]))
			return false;
		sizes[1] = sizes[0];
		return true;
	}
	const yaml_node_item_t *items = value->data.sequence.items.start;
	if (value->data.sequence.items.top - items != 2)
		return complain(reader, value, key->name,
				"a number, or a list of the least and the most is wanted here");
	if (!set_u32(reader, key, node_of(reader, items[0]), &sizes[0]) ||
	    !set_u32(reader, key, node_of(reader, items[1]), &sizes[1]))
		return false;
	return sizes[0] <= sizes[1] || complain(reader, value, key->name, "the least is more than the most");
}

static const struct key *find_key(const struct key *keys, const char *name)
{
	while (keys->name != NULL && strcmp(keys->name, name) != 0)
		keys++;
	return keys->name != NULL ? keys : NULL;
}

static bool stands_twice(struct reader *reader, const yaml_node_t *mapping, const yaml_node_pair_t *pair,
			 const char *name)
{
	for (const yaml_node_pair_t *other = mapping->data.mapping.pairs.start; other < pair; other++) {
		const yaml_node_t *key = node_of(reader, other->key);
		if (key->type == YAML_SCALAR_NODE && strcmp((const char *)key->data.scalar.value, name) == 0)
			return true;
	}
	return false;
}

static bool take_mapping(struct reader *reader, const struct key *keys, const char *what, const yaml_node_t *mapping,
			 void *into)
{
	char fault[96];
	if (mapping->type != YAML_MAPPING_NODE)
		return complain(reader, mapping, what, "a mapping of keys to values is wanted here");
	for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top;
	     pair++) {
		const yaml_node_t *at = node_of(reader, pair->key);
		const char *name = scalar(reader, what, at);
		if (name == NULL)
			return false;
		const struct key *key = find_key(keys, name);
		if (key == NULL) {
			snprintf(fault, sizeof(fault), "there is no such key%s%s", *what != '\0' ? " in " : "", what);
			return complain(reader, at, name, fault);
		}
		if (stands_twice(reader, mapping, pair, name))
			return complain(reader, at, name, "the key stands here for the second time");
		if (!key->set(reader, key, node_of(reader, pair->value), (char *)into + key->offset))
			return false;
	}
	return true;
}

#define FIELD(type, field) offsetof(struct type, field)

static const struct key OBJECTIVE_KEYS[] = {
	{"p99_ms", set_double, FIELD(objectives, p99_ms), 0, 1e6},
	{"p999_ms", set_double, FIELD(objectives, p999_ms), 0, 1e6},
	{"sign_in_p99_ms", set_double, FIELD(objectives, sign_in_p99_ms), 0, 1e6},
	{"error_rate", set_double, FIELD(objectives, error_rate), 0, 1},
	{"lost", set_double, FIELD(objectives, lost), 0, 1e12},
	{"doubled", set_double, FIELD(objectives, doubled), 0, 1e12},
	{0},
};

static bool set_objectives(struct reader *reader, const struct key *key, const yaml_node_t *value, void *into)
{
	return take_mapping(reader, OBJECTIVE_KEYS, key->name, value, into);
}

static bool set_signal(struct reader *reader, const struct key *key, const yaml_node_t *value, void *into)
{
	static const char *const SIGNALS[] = {"KILL", "TERM", NULL};
	uint32_t place;
	if (!take_word(reader, key, value, SIGNALS, 0, "KILL or TERM is wanted here", &place))
		return false;
	*(uint32_t *)into = place == 0 ? SIGKILL : SIGTERM;
	return true;
}

static bool set_command(struct reader *reader, const struct key *key, const yaml_node_t *value, void *into)
{
	struct scenario_restart *restart = into;
	size_t used = 0;
	if (value->type != YAML_SEQUENCE_NODE)
		return complain(reader, value, key->name, "a list of words is wanted here");
	for (const yaml_node_item_t *item = value->data.sequence.items.start; item < value->data.sequence.items.top;
	     item++) {
		const yaml_node_t *node = node_of(reader, *item);
		const char *word = scalar(reader, key->name, node);
		if (word == NULL)
			return false;
		size_t size = strlen(word) + 1;
		if (restart->word_count == SCENARIO_WORDS_MAX || used + size > sizeof(restart->command))
			return complain(reader, node, key->name, "the command is too long");
		memcpy(restart->command + used, word, size);
		used += size;
		restart->word_count++;
	}
	return restart->word_count > 0 || complain(reader, value, key->name, "the command is empty");
}

static const struct key RESTART_KEYS[] = {
	{"after_ms", set_u32, FIELD(scenario_restart, after_ms), 1, 86400000},
	{"signal", set_signal, FIELD(scenario_restart, signal), 0, 0},
	{"command", set_command, 0, 0, 0},
	{"store", set_text, FIELD(scenario_restart, store), 0, SCENARIO_PATH_BYTES},
	{0},
};

static bool set_restart(struct reader *reader, const struct key *key, const yaml_node_t *value, void *into)
{
	struct scenario *scenario = into;
	if (!take_mapping(reader, RESTART_KEYS, key->name, value, &scenario->restart))
		return false;
	return scenario->restart.after_ms > 0 || complain(reader, value, key->name, "a restart needs after_ms");
}

static const struct key GROUP_KEYS[] = {
	{"name", set_text, FIELD(scenario_group, name), 0, SCENARIO_NAME_BYTES},
	{"count", set_u32, FIELD(scenario_group, count), 1, SCENARIO_CLIENTS_MAX},
	{"role", set_role, FIELD(scenario_group, role), 0, 0},
	{"version", set_version, FIELD(scenario_group, version), 0, 0},
	{"qos", set_u32, FIELD(scenario_group, qos), 0, 2},
	{"keepalive_s", set_u32, FIELD(scenario_group, keepalive_s), 0, UINT16_MAX},
	{"clean_start", set_bool, FIELD(scenario_group, clean_start), 0, 0},
	{"subscribe", set_topic, FIELD(scenario_group, subscribe), 0, 0},
	{"publish", set_topic, FIELD(scenario_group, publish), 0, 0},
	{"circles", set_u32, FIELD(scenario_group, circles), 1, SCENARIO_CLIENTS_MAX},
	{"targets", set_u32, FIELD(scenario_group, targets), 2, SCENARIO_CLIENTS_MAX},
	{"size", set_size, FIELD(scenario_group, size_min), STAMP_BYTES, PAYLOAD_BYTES_MAX},
	{"interval_ms", set_u32, FIELD(scenario_group, interval_ms), 1, 86400000},
	{"rate", set_rate, FIELD(scenario_group, rate), 0.001, SCENARIO_RATE_MAX},
	{"reconnects", set_rate, FIELD(scenario_group, reconnects), 0.001, SCENARIO_RATE_MAX},
	{"loops", set_u32, FIELD(scenario_group, loops), 1, 1e9},
	{"inflight", set_u32, FIELD(scenario_group, inflight), 1, INFLIGHT_WINDOW_MAX},
	{"url", set_url, FIELD(scenario_group, url), 0, 0},
	{"user_name", set_text, FIELD(scenario_group, user_name), 0, SCENARIO_NAME_BYTES},
	{"token_secret", set_text, FIELD(scenario_group, token_secret), 0, SCENARIO_PATH_BYTES},
	{0},
};

_Static_assert(FIELD(scenario_group, size_max) == FIELD(scenario_group, size_min) + sizeof(uint32_t),
	       "set_size takes both");

static bool take_group(struct reader *reader, const yaml_node_t *value, struct scenario *scenario)
{
	if (scenario->group_count == SCENARIO_GROUPS_MAX)
		return complain(reader, value, "groups", "more than 16 groups");
	struct scenario_group *group = &scenario->groups[scenario->group_count++];
	scenario_group_init(group);
	group->line = (uint32_t)value->start_mark.line + 1;
	if (!take_mapping(reader, GROUP_KEYS, "groups", value, group))
		return false;
	const char *fault = scenario_group_fault(group);
	return fault == NULL || complain(reader, value, group->name, fault);
}

static bool set_groups(struct reader *reader, const struct key *key, const yaml_node_t *value, void *into)
{
	struct scenario *scenario = into;
	if (value->type != YAML_SEQUENCE_NODE)
		return complain(reader, value, key->name, "a list of groups is wanted here");
	for (const yaml_node_item_t *item = value->data.sequence.items.start; item < value->data.sequence.items.top;
	     item++) {
		if (!take_group(reader, node_of(reader, *item), scenario))
			return false;
	}
	return true;
}

struct rise {
	double from;
	double to;
	double step;
};

static const struct key RISE_KEYS[] = {
	{"from", set_double, FIELD(rise, from), 0.001, SCENARIO_RATE_MAX},
	{"to", set_double, FIELD(rise, to), 0.001, SCENARIO_RATE_MAX},
	{"step", set_double, FIELD(rise, step), 0.001, SCENARIO_RATE_MAX},
	{0},
};

static bool add_step(struct reader *reader, const struct key *key, const yaml_node_t *at, struct scenario *scenario,
		     double load)
{
	if (scenario->step_count == SCENARIO_STEPS_MAX)
		return complain(reader, at, key->name, "more than 64 steps");
	scenario->steps[scenario->step_count++] = load;
	return true;
}

static bool take_rise(struct reader *reader, const struct key *key, const yaml_node_t *value, struct scenario *scenario)
{
	struct rise rise = {0};
	if (!take_mapping(reader, RISE_KEYS, key->name, value, &rise))
		return false;
	if (!(rise.from > 0 && rise.to >= rise.from && rise.step > 0))
		return complain(reader, value, key->name, "from, to and step are wanted, and from is not above to");
	for (uint32_t i = 0; rise.from + i * rise.step <= rise.to; i++) {
		if (!add_step(reader, key, value, scenario, rise.from + i * rise.step))
			return false;
	}
	return true;
}

static bool set_steps(struct reader *reader, const struct key *key, const yaml_node_t *value, void *into)
{
	struct scenario *scenario = into;
	if (value->type == YAML_MAPPING_NODE)
		return take_rise(reader, key, value, scenario);
	if (value->type != YAML_SEQUENCE_NODE)
		return complain(reader, value, key->name, "a list of loads, or from, to and step are wanted here");
	for (const yaml_node_item_t *item = value->data.sequence.items.start; item < value->data.sequence.items.top;
	     item++) {
		double load;
		const yaml_node_t *node = node_of(reader, *item);
		if (!take_number(reader, key, node, &load) || !add_step(reader, key, node, scenario, load))
			return false;
	}
	return true;
}

static const struct key KEYS[] = {
	{"name", set_text, FIELD(scenario, name), 0, SCENARIO_NAME_BYTES},
	{"url", set_url, FIELD(scenario, url), 0, 0},
	{"threads", set_u32, FIELD(scenario, threads), 1, 64},
	{"ramp_up_s", set_u32, FIELD(scenario, ramp_up_s), 0, 3600},
	{"warm_up_ms", set_u32, FIELD(scenario, warm_up_ms), 0, 600000},
	{"duration_s", set_u32, FIELD(scenario, duration_s), 1, 86400},
	{"steps", set_steps, 0, 0.001, SCENARIO_RATE_MAX},
	{"objectives", set_objectives, FIELD(scenario, objectives), 0, 0},
	{"restart", set_restart, 0, 0, 0},
	{"groups", set_groups, 0, 0, 0},
	{0},
};

static bool read_document(struct reader *reader, struct scenario *out)
{
	const yaml_node_t *root = yaml_document_get_root_node(&reader->document);
	if (root == NULL) {
		snprintf(reader->fault, SCENARIO_FAULT_BYTES, "%s: the file is empty", reader->name);
		return false;
	}
	if (!take_mapping(reader, KEYS, "", root, out))
		return false;
	const char *fault = scenario_fault(out);
	return fault == NULL || complain(reader, root, "", fault);
}

static bool load_document(struct reader *reader, yaml_parser_t *parser)
{
	if (yaml_parser_load(parser, &reader->document))
		return true;
	snprintf(reader->fault, SCENARIO_FAULT_BYTES, "%s:%zu: %s", reader->name, parser->problem_mark.line + 1,
		 parser->problem != NULL ? parser->problem : "not YAML");
	return false;
}

/* A second document must not be ignored silently. */
static bool is_last_document(struct reader *reader, yaml_parser_t *parser)
{
	if (!load_document(reader, parser))
		return false;
	const yaml_node_t *root = yaml_document_get_root_node(&reader->document);
	bool last = root == NULL || complain(reader, root, "", "a second document begins here; one is read");
	yaml_document_delete(&reader->document);
	return last;
}

bool scenario_parse(const char *name, struct slice text, struct scenario *out, char fault[SCENARIO_FAULT_BYTES])
{
	struct reader reader = {.name = name, .fault = fault};
	yaml_parser_t parser;
	scenario_init(out);
	if (!yaml_parser_initialize(&parser)) {
		snprintf(fault, SCENARIO_FAULT_BYTES, "%s: out of memory", name);
		return false;
	}
	yaml_parser_set_input_string(&parser, text.data, text.size);
	bool good = load_document(&reader, &parser);
	if (good) {
		good = read_document(&reader, out);
		yaml_document_delete(&reader.document);
		good = good && is_last_document(&reader, &parser);
	}
	yaml_parser_delete(&parser);
	return good;
}

bool scenario_read(const char *path, struct scenario *out, char fault[SCENARIO_FAULT_BYTES])
{
	uint8_t *data;
	size_t size;
	const char *failure = file_read(path, SCENARIO_FILE_BYTES_MAX, FILE_PUBLIC, &data, &size);
	if (failure != NULL) {
		snprintf(fault, SCENARIO_FAULT_BYTES, "%s: %s", path, failure);
		return false;
	}
	bool good = scenario_parse(path, slice_of(data, size), out, fault);
	free(data);
	return good;
}
