#include "topics/retained_stamps.h"

#include "base/check.h"

#include <stdlib.h>

struct retained_stamps *retained_stamps_new(const struct hash_key *key, uint64_t node, uint32_t messages_max)
{
	struct retained_stamps *stamps = calloc(1, sizeof(*stamps));
	if (stamps == NULL)
		return NULL;
	stamps->key = *key;
	stamps->clock.node = node;
	stamps->cleared_max = messages_max > RETAINED_CLEARED_MIN ? messages_max : RETAINED_CLEARED_MIN;
	uint64_t all = (uint64_t)messages_max + stamps->cleared_max + 1;
	uint32_t limit = all < UINT32_MAX / 2 ? (uint32_t)all : UINT32_MAX / 2;
	if (pool_open(&stamps->entries, sizeof(struct stamp_entry), limit) != ERROR_OK) {
		free(stamps);
		return NULL;
	}
	if (table_open(&stamps->table, &stamps->entries, offsetof(struct stamp_entry, table), limit) != ERROR_OK) {
		pool_close(&stamps->entries);
		free(stamps);
		return NULL;
	}
	return stamps;
}

void retained_stamps_free(struct retained_stamps *stamps)
{
	if (stamps == NULL)
		return;
	table_close(&stamps->table);
	pool_close(&stamps->entries);
	free(stamps);
}

uint32_t retained_stamps_find(const struct retained_stamps *stamps, uint64_t topic)
{
	uint32_t entry = table_first(&stamps->table, (uint32_t)topic);
	while (entry != 0 && stamp_entry_at(stamps, entry)->topic != topic)
		entry = table_next(&stamps->table, entry);
	return entry;
}

uint32_t retained_stamps_add(struct retained_stamps *stamps, uint64_t topic, uint32_t node)
{
	CHECK_NE(node, 0u);
	uint32_t index = pool_take(&stamps->entries);
	if (index == 0)
		return 0;
	*stamp_entry_at(stamps, index) = (struct stamp_entry){.topic = topic, .node = node};
	table_insert(&stamps->table, index, (uint32_t)topic);
	stamps->count[retained_bucket_of(topic)]++;
	return index;
}

/* What has no stamp yet is in no digest. */
static void toggle_digest(struct retained_stamps *stamps, const struct stamp_entry *entry)
{
	if (entry->cleared_s == 0 && !stamp_is_none(entry->stamp))
		stamps->digest[retained_bucket_of(entry->topic)] ^= stamp_digest(entry->topic, entry->stamp);
}

static void unlink_cleared(struct retained_stamps *stamps, const struct stamp_entry *entry)
{
	if (entry->older != 0)
		stamp_entry_at(stamps, entry->older)->newer = entry->newer;
	else
		stamps->oldest = entry->newer;
	if (entry->newer != 0)
		stamp_entry_at(stamps, entry->newer)->older = entry->older;
	else
		stamps->newest = entry->older;
	CHECK_GT(stamps->cleared, 0u);
	stamps->cleared--;
}

static void link_cleared(struct retained_stamps *stamps, uint32_t index)
{
	struct stamp_entry *entry = stamp_entry_at(stamps, index);
	entry->older = stamps->newest;
	entry->newer = 0;
	if (stamps->newest != 0)
		stamp_entry_at(stamps, stamps->newest)->newer = index;
	else
		stamps->oldest = index;
	stamps->newest = index;
	stamps->cleared++;
}

void retained_stamps_remove(struct retained_stamps *stamps, uint32_t index)
{
	struct stamp_entry *entry = stamp_entry_at(stamps, index);
	CHECK_NE(entry->node, 0u);
	toggle_digest(stamps, entry);
	if (entry->cleared_s != 0)
		unlink_cleared(stamps, entry);
	table_remove(&stamps->table, index);
	uint32_t *count = &stamps->count[retained_bucket_of(entry->topic)];
	CHECK_GT(*count, 0u);
	--*count;
	entry->node = 0;
	pool_give(&stamps->entries, index);
}

void retained_stamps_set(struct retained_stamps *stamps, uint32_t index, struct stamp stamp, uint32_t cleared_s)
{
	CHECK(!stamp_is_none(stamp));
	struct stamp_entry *entry = stamp_entry_at(stamps, index);
	toggle_digest(stamps, entry);
	if (entry->cleared_s != 0)
		unlink_cleared(stamps, entry);
	entry->stamp = stamp;
	entry->cleared_s = cleared_s;
	if (cleared_s != 0)
		link_cleared(stamps, index);
	toggle_digest(stamps, entry);
}
