/* What a node says of its retained messages, so that two nodes find where they differ. */
#include "topics/retained_changes.h"

#include "topics/retained_state.h"

struct retained_state retained_state(struct retained *retained)
{
	const struct retained_stamps *stamps = retained->stamps;
	pthread_mutex_lock(&retained->lock);
	struct retained_state state = {
		.time = stamps->clock.last,
		.forgotten = stamps->forgotten,
		.shared = stamps->shared,
		.collisions = stamps->collisions,
		.refused = stamps->refused,
		.too_far_ahead = stamps->clock.too_far_ahead,
		.entries = stamps->entries.used,
		.cleared = stamps->cleared,
		.cleared_early = stamps->cleared_forgotten,
	};
	pthread_mutex_unlock(&retained->lock);
	return state;
}

void retained_digest(struct retained *retained, uint64_t digest[RETAINED_BUCKETS], uint32_t counts[RETAINED_BUCKETS])
{
	const struct retained_stamps *stamps = retained->stamps;
	pthread_mutex_lock(&retained->lock);
	memcpy(digest, stamps->digest, sizeof(stamps->digest));
	if (counts != NULL)
		memcpy(counts, stamps->count, sizeof(stamps->count));
	pthread_mutex_unlock(&retained->lock);
}

static struct retained_item list_item_of(const struct stamp_entry *entry)
{
	return (struct retained_item){
		.topic = entry->topic, .stamp = entry->stamp, .is_cleared = entry->cleared_s != 0};
}

uint32_t retained_list(struct retained *retained, const struct retained_buckets *buckets, uint32_t *next,
		       struct retained_item *items, uint32_t count_max)
{
	const struct retained_stamps *stamps = retained->stamps;
	uint32_t count = 0, visits = 0;
	pthread_mutex_lock(&retained->lock);
	uint32_t last = stamps->entries.touched;
	uint32_t at = *next != 0 ? *next : 1;
	for (; at <= last && count < count_max && visits < RETAINED_LIST_VISITS_MAX; at++, visits++) {
		const struct stamp_entry *entry = stamp_entry_at(stamps, at);
		if (entry->node != 0 && retained_buckets_have(buckets, retained_bucket_of(entry->topic)))
			items[count++] = list_item_of(entry);
	}
	pthread_mutex_unlock(&retained->lock);
	*next = at <= last ? at : 0;
	return count;
}

bool retained_find(struct retained *retained, uint64_t topic, struct retained_item *item)
{
	pthread_mutex_lock(&retained->lock);
	uint32_t entry = retained_stamps_find(retained->stamps, topic);
	if (entry != 0)
		*item = list_item_of(stamp_entry_at(retained->stamps, entry));
	pthread_mutex_unlock(&retained->lock);
	return entry != 0;
}

bool retained_read(struct retained *retained, uint64_t topic, uint32_t now_s, retained_value *visit, void *context)
{
	pthread_mutex_lock(&retained->lock);
	uint32_t index = retained_stamps_find(retained->stamps, topic);
	const struct stamp_entry *entry = index != 0 ? stamp_entry_at(retained->stamps, index) : NULL;
	bool found = entry != NULL && entry->cleared_s == 0;
	if (found) {
		const struct retained_message *kept =
			retained_kept_at(retained, retained_node_at(retained, entry->node)->message);
		found = !publication_expired(&kept->publication, now_s);
		if (found)
			visit(context, &kept->publication, kept->packet, entry->stamp);
	}
	pthread_mutex_unlock(&retained->lock);
	return found;
}

/* Writes the node's topic so that it ends before `end`, and returns where it begins. */
static uint8_t *list_write_topic(const struct retained *retained, uint32_t node, const uint8_t *begin, uint8_t *end)
{
	uint8_t *at = end;
	for (; node != retained->root; node = retained_node_at(retained, node)->parent) {
		struct slice level = retained_level_of(retained, node);
		if (at != end)
			*--at = '/';
		CHECK(level.size <= (size_t)(at - begin)); /* it was a topic */
		at -= level.size;
		if (level.size != 0)
			memcpy(at, level.data, level.size);
	}
	return at;
}

static bool list_tell_cleared(struct retained *retained, uint32_t index, retained_told_cleared *told, void *context)
{
	const struct stamp_entry *entry = stamp_entry_at(retained->stamps, index);
	if (entry->node == 0 || entry->cleared_s == 0)
		return true;
	uint8_t text[UINT16_MAX];
	const uint8_t *begin = list_write_topic(retained, entry->node, text, text + sizeof(text));
	struct slice topic = slice_of(begin, (size_t)(text + sizeof(text) - begin));
	return told(context, topic, entry->stamp, ++retained->changes);
}

static struct stamp list_times_of(const struct retained_stamps *stamps)
{
	return (struct stamp){.time = stamps->forgotten + 1, .node = stamps->shared};
}

struct stamp retained_times(struct retained *retained, uint64_t *number)
{
	pthread_mutex_lock(&retained->lock);
	struct stamp times = list_times_of(retained->stamps);
	*number = ++retained->changes;
	pthread_mutex_unlock(&retained->lock);
	return times;
}

void retained_set_shared(struct retained *retained, uint64_t time)
{
	pthread_mutex_lock(&retained->lock);
	retained->stamps->shared = time;
	pthread_mutex_unlock(&retained->lock);
}

bool retained_tell_cleared_step(struct retained *retained, uint32_t *next, uint32_t *visits,
				retained_told_cleared *told, void *context)
{
	const struct retained_stamps *stamps = retained->stamps;
	if (stamps == NULL)
		return true;
	pthread_mutex_lock(&retained->lock);
	bool more = true;
	if (*next == 0) {
		*next = 1;
		if (stamps->forgotten != 0 || stamps->shared != 0)
			more = told(context, slice_of(NULL, 0), list_times_of(stamps), ++retained->changes);
	}
	for (; *next <= stamps->entries.touched && more && *visits != 0; ++*next, --*visits)
		more = list_tell_cleared(retained, *next, told, context);
	bool is_over = *next > stamps->entries.touched;
	pthread_mutex_unlock(&retained->lock);
	if (is_over)
		*next = 0;
	return is_over;
}
