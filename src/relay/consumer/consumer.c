#include "relay/consumer/consumer.h"

#include "base/check.h"
#include "relay/entry/entry_batch.h"

#include <string.h>

#define BATCH_DEFAULT 1000u
#define BATCH_MOST 10000u
#define CLAIM_AFTER_S_DEFAULT 60u
#define CLAIM_AFTER_S_MOST 86400u
#define GROUP_DEFAULT "roost"

void consumer_init(struct consumer *consumer)
{
	*consumer = (struct consumer){
		.group = GROUP_DEFAULT,
		.dead = RULE_DEAD_STREAM,
		.batch = BATCH_DEFAULT,
		.claim_after_s = CLAIM_AFTER_S_DEFAULT,
	};
}

/* ---- keys ---- */

static bool set_consumer_name(void *item, const char *text, char *fault)
{
	struct consumer *consumer = item;
	return item_set_name(consumer->name, text, fault);
}

static bool set_consumer_stream(void *item, const char *text, char *fault)
{
	struct consumer *consumer = item;
	return item_set_text(consumer->stream, sizeof(consumer->stream), text, fault);
}

static bool set_consumer_group(void *item, const char *text, char *fault)
{
	struct consumer *consumer = item;
	return item_set_text(consumer->group, sizeof(consumer->group), text, fault);
}

static bool set_dead_stream(void *item, const char *text, char *fault)
{
	struct consumer *consumer = item;
	return item_set_text(consumer->dead, sizeof(consumer->dead), text, fault);
}

static bool set_batch(void *item, const char *text, char *fault)
{
	struct consumer *consumer = item;
	return item_set_number(&consumer->batch, text, 1, BATCH_MOST, fault);
}

static bool set_claim_after(void *item, const char *text, char *fault)
{
	struct consumer *consumer = item;
	return item_set_number(&consumer->claim_after_s, text, 0, CLAIM_AFTER_S_MOST, fault);
}

static bool set_from(void *item, const char *text, char *fault)
{
	struct consumer *consumer = item;
	consumer->from_new = strcmp(text, "new") == 0;
	return consumer->from_new || strcmp(text, "start") == 0 ||
	       item_fault(fault, "\"%.64s\" is neither start, all that is in the stream, nor new, what is added later",
			  text);
}

static bool set_deletes(void *item, const char *text, char *fault)
{
	struct consumer *consumer = item;
	return item_set_switch(&consumer->deletes, text, fault);
}

static const struct item_key KEYS[] = {
	{"name", false, set_consumer_name},
	{"stream", false, set_consumer_stream},
	{"group", false, set_consumer_group},
	{"dead_letters", false, set_dead_stream},
	{"batch", false, set_batch},
	{"from", false, set_from},
	{"claim_after_s", false, set_claim_after},
	{"delete", false, set_deletes},
};

const struct item_key *consumer_key(const char *name)
{
	return item_key_find(KEYS, sizeof(KEYS) / sizeof(KEYS[0]), name);
}

/* ---- whole consumers ---- */

bool consumer_complete(struct consumer *consumer, char fault[ITEM_FAULT_BYTES_MAX])
{
	if (consumer->stream[0] == '\0')
		return item_fault(fault, "consumer %s has no stream", consumer->name);
	if (strcmp(consumer->stream, consumer->dead) == 0)
		return item_fault(fault, "consumer %s would read its own dead letters", consumer->name);
	return true;
}

bool consumer_equal(const struct consumer *one, const struct consumer *other)
{
	return strcmp(one->name, other->name) == 0 && strcmp(one->stream, other->stream) == 0 &&
	       strcmp(one->group, other->group) == 0 && strcmp(one->dead, other->dead) == 0 &&
	       one->batch == other->batch && one->claim_after_s == other->claim_after_s &&
	       one->from_new == other->from_new && one->deletes == other->deletes;
}
