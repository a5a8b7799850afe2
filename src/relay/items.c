#include "relay/items.h"

#include "base/check.h"

#include <string.h>

static void init_rule(void *item)
{
	rule_init(item);
}

static bool complete_rule(void *item, char fault[ITEM_FAULT_BYTES_MAX])
{
	return rule_complete(item, fault);
}

static bool equal_rules(const void *one, const void *other)
{
	return rule_equal(one, other);
}

static void init_consumer(void *item)
{
	consumer_init(item);
}

static bool complete_consumer(void *item, char fault[ITEM_FAULT_BYTES_MAX])
{
	return consumer_complete(item, fault);
}

static bool equal_consumers(const void *one, const void *other)
{
	return consumer_equal(one, other);
}

/* Both would be one member, and each would take what the other has read and not done for its own. */
static const char *clash_of_consumers(const void *one, const void *other)
{
	const struct consumer *first = one, *second = other;
	bool same = strcmp(first->stream, second->stream) == 0 && strcmp(first->group, second->group) == 0;
	return same ? "reads the same stream in the same group" : NULL;
}

static void init_hook(void *item)
{
	hook_init(item);
}

static bool complete_hook(void *item, char fault[ITEM_FAULT_BYTES_MAX])
{
	return hook_complete(item, fault);
}

static bool equal_hooks(const void *one, const void *other)
{
	return hook_equal(one, other);
}

static void init_bridge(void *item)
{
	mqtt_bridge_init(item);
}

static bool complete_bridge(void *item, char fault[ITEM_FAULT_BYTES_MAX])
{
	return mqtt_bridge_complete(item, fault);
}

static bool equal_bridges(const void *one, const void *other)
{
	return mqtt_bridge_equal(one, other);
}

_Static_assert(offsetof(struct rule, name) == 0, "an item begins with its name");
_Static_assert(offsetof(struct consumer, name) == 0, "an item begins with its name");
_Static_assert(offsetof(struct hook, name) == 0, "an item begins with its name");
_Static_assert(offsetof(struct mqtt_bridge, name) == 0, "an item begins with its name");

static const struct item_kind KINDS[] = {
	[ITEM_RULES] =
		{
			.list = "streams",
			.name = "rule",
			.example = "- name: telemetry",
			.key_names = "name, topics, stream, fields, qos, max_length and max_age_s",
			.most = RULES_MAX,
			.item_bytes = sizeof(struct rule),
			.items_at = offsetof(struct relay_items, rules.items),
			.count_at = offsetof(struct relay_items, rules.count),
			.line_at = offsetof(struct rule, line),
			.needs_redis = true,
			.init = init_rule,
			.key = rule_key,
			.complete = complete_rule,
			.equal = equal_rules,
		},
	[ITEM_CONSUMERS] =
		{
			.list = "consumers",
			.name = "consumer",
			.example = "- name: orders",
			.key_names = "name, stream, group, from, batch, claim_after_s, dead_letters and delete",
			.most = CONSUMERS_MAX,
			.item_bytes = sizeof(struct consumer),
			.items_at = offsetof(struct relay_items, consumers.items),
			.count_at = offsetof(struct relay_items, consumers.count),
			.line_at = offsetof(struct consumer, line),
			.needs_redis = true,
			.init = init_consumer,
			.key = consumer_key,
			.complete = complete_consumer,
			.equal = equal_consumers,
			.clash = clash_of_consumers,
		},
	[ITEM_HOOKS] =
		{
			.list = "hooks",
			.name = "hook",
			.example = "- name: alarms",
			.key_names = "name, topics, url, secret_file, headers, header_files, source, content_type, "
				     "batch_messages, batch_bytes, delay_ms, concurrency, timeout_ms, retry_for_s, "
				     "dead_letter_file, qos, ca_file, certificate_file and key_file",
			.most = HOOKS_MAX,
			.item_bytes = sizeof(struct hook),
			.items_at = offsetof(struct relay_items, hooks.items),
			.count_at = offsetof(struct relay_items, hooks.count),
			.line_at = offsetof(struct hook, line),
			.init = init_hook,
			.key = hook_key,
			.complete = complete_hook,
			.equal = equal_hooks,
		},
	[ITEM_BRIDGES] =
		{
			.list = "bridges",
			.name = "bridge",
			.example = "- name: headquarters",
			.key_names = "name, url, up, down, client_id, user, password_file, ca_file, certificate_file, "
				     "key_file, protocol, keepalive_s, clean, session_expiry_s, retain, inflight, "
				     "queue_messages, queue_bytes and when_full",
			.most = MQTT_BRIDGES_MAX,
			.item_bytes = sizeof(struct mqtt_bridge),
			.items_at = offsetof(struct relay_items, bridges.items),
			.count_at = offsetof(struct relay_items, bridges.count),
			.line_at = offsetof(struct mqtt_bridge, line),
			.init = init_bridge,
			.key = mqtt_bridge_key,
			.complete = complete_bridge,
			.equal = equal_bridges,
		},
};

const struct item_kind *item_kind_at(size_t number)
{
	return number < sizeof(KINDS) / sizeof(KINDS[0]) ? &KINDS[number] : NULL;
}

static uint32_t *item_count_place(const struct item_kind *kind, struct relay_items *items)
{
	return (uint32_t *)(void *)((char *)items + kind->count_at);
}

uint32_t item_count(const struct item_kind *kind, const struct relay_items *items)
{
	uint32_t count;
	memcpy(&count, (const char *)items + kind->count_at, sizeof(count));
	CHECK_LE(count, kind->most);
	return count;
}

void *item_at(const struct item_kind *kind, struct relay_items *items, uint32_t number)
{
	CHECK_LT(number, kind->most);
	return (char *)items + kind->items_at + number * kind->item_bytes;
}

const void *item_look(const struct item_kind *kind, const struct relay_items *items, uint32_t number)
{
	CHECK_LT(number, kind->most);
	return (const char *)items + kind->items_at + number * kind->item_bytes;
}

uint32_t item_line(const struct item_kind *kind, const void *item)
{
	uint32_t line;
	memcpy(&line, (const char *)item + kind->line_at, sizeof(line));
	return line;
}

const void *item_find(const struct item_kind *kind, const struct relay_items *items, struct slice name)
{
	uint32_t count = item_count(kind, items);
	for (uint32_t i = 0; i < count; i++) {
		const void *item = item_look(kind, items, i);
		if (slice_equal(slice_string(item_name(item)), name))
			return item;
	}
	return NULL;
}

void *item_add(const struct item_kind *kind, struct relay_items *items, uint32_t line)
{
	uint32_t *count = item_count_place(kind, items);
	if (*count == kind->most)
		return NULL;
	void *item = item_at(kind, items, (*count)++);
	kind->init(item);
	memcpy((char *)item + kind->line_at, &line, sizeof(line));
	return item;
}

static bool check_clashes(const struct item_kind *kind, const struct relay_items *items, const void *item,
			  char fault[ITEM_FAULT_BYTES_MAX])
{
	for (uint32_t i = 0; kind->clash != NULL && item_look(kind, items, i) != item; i++) {
		const void *before = item_look(kind, items, i);
		const char *clash = kind->clash(before, item);
		if (clash != NULL)
			return item_fault(fault, "the %s in line %u %s, too", kind->name, item_line(kind, before),
					  clash);
	}
	return true;
}

bool item_complete(const struct item_kind *kind, struct relay_items *items, char fault[ITEM_FAULT_BYTES_MAX])
{
	uint32_t count = item_count(kind, items);
	CHECK(count != 0);
	void *item = item_at(kind, items, count - 1);
	if (item_name(item)[0] == '\0')
		return item_fault(fault, "this %s has no name", kind->name);
	if (!kind->complete(item, fault))
		return false;
	const void *first = item_find(kind, items, slice_string(item_name(item)));
	if (first != item)
		return item_fault(fault, "the %s in line %u is named %s, too", kind->name, item_line(kind, first),
				  item_name(item));
	return check_clashes(kind, items, item, fault);
}

bool items_equal(const struct item_kind *kind, const struct relay_items *one, const struct relay_items *other)
{
	uint32_t count = item_count(kind, one);
	bool same = count == item_count(kind, other);
	for (uint32_t i = 0; i < count && same; i++)
		same = kind->equal(item_look(kind, one, i), item_look(kind, other, i));
	return same;
}
