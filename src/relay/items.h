/* The items of the configuration's lists, each list of one kind: what the daemon needs to read them, and to tell which
 * have changed. Pure; any thread. */
#ifndef RELAY_ITEMS_H
#define RELAY_ITEMS_H

#include "relay/consumer/consumer.h"
#include "relay/entry/rule.h"
#include "relay/item/hook.h"
#include "relay/item/mqtt_bridge.h"

struct relay_items {
	struct rules rules;
	struct consumers consumers;
	struct hooks hooks;
	struct mqtt_bridges bridges;
};

/* The kinds, in the order of their table. */
enum item_kinds {
	ITEM_RULES,
	ITEM_CONSUMERS,
	ITEM_HOOKS,
	ITEM_BRIDGES,
};

/* A kind of items. An item begins with its name. */
struct item_kind {
	const char *list;      /* the key in the configuration */
	const char *name;      /* what an item is called, without an article */
	const char *example;   /* how one may begin */
	const char *key_names; /* in words */
	uint32_t most;
	size_t item_bytes;
	size_t items_at; /* in struct relay_items */
	size_t count_at; /* likewise, a uint32_t */
	size_t line_at;  /* in an item, a uint32_t: where it stands in the configuration file */
	bool needs_redis;
	void (*init)(void *item);
	/* How to set what stands behind a key. NULL: there is no such key. */
	const struct item_key *(*key)(const char *name);
	/* Completes an item of which all was set. False: fault says what is missing. */
	bool (*complete)(void *item, char fault[ITEM_FAULT_BYTES_MAX]);
	/* Whether both say the same; where they stand does not count. */
	bool (*equal)(const void *one, const void *other);
	/* Why both cannot be there, as what the later one does, too; NULL: they can. The function, too, may be NULL. */
	const char *(*clash)(const void *one, const void *other);
};

/* enum item_kinds. NULL behind the last one. */
const struct item_kind *item_kind_at(size_t number);

uint32_t item_count(const struct item_kind *kind, const struct relay_items *items);
void *item_at(const struct item_kind *kind, struct relay_items *items, uint32_t number);
const void *item_look(const struct item_kind *kind, const struct relay_items *items, uint32_t number);
static inline const char *item_name(const void *item)
{
	return item;
}
uint32_t item_line(const struct item_kind *kind, const void *item);
/* The item of this name; NULL: there is none. */
const void *item_find(const struct item_kind *kind, const struct relay_items *items, struct slice name);

/* Adds one in which nothing is set yet. NULL: there are as many as may be. */
void *item_add(const struct item_kind *kind, struct relay_items *items, uint32_t line);
/* Completes the last one. False: fault says what is missing, or that another one has its name. */
bool item_complete(const struct item_kind *kind, struct relay_items *items, char fault[ITEM_FAULT_BYTES_MAX]);

/* Whether both have the same items, in the same order. */
bool items_equal(const struct item_kind *kind, const struct relay_items *one, const struct relay_items *other);

#endif
