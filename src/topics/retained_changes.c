/* Changes that have a stamp: which of them win, and the tombstones that those leave which take away. */
#include "topics/retained_changes.h"

#include "mqtt/field/topic.h"
#include "topics/retained_state.h"

/* When memory for a topic is short, so many tombstones make room for it. */
#define CLEARED_FOR_ROOM 16u

/* 0 is "no tombstone". */
static uint32_t cleared_at(uint32_t now_s)
{
	return now_s != 0 ? now_s : 1;
}

bool retained_is_stamped(const struct retained *retained)
{
	return retained->stamps != NULL;
}

/* The entry of this node's topic; 0: it has none, or another topic has the same hash. */
static uint32_t stamped_entry_of(const struct retained *retained, struct slice topic)
{
	return retained_stamps_find(retained->stamps, hash_slice(&retained->stamps->key, topic));
}

/* ---- tombstones ---- */

static void cleared_set_entry(struct retained *retained, uint32_t index, struct stamp stamp, uint32_t cleared_s)
{
	const struct stamp_entry *entry = stamp_entry_at(retained->stamps, index);
	struct retained_node *node = retained_node_at(retained, entry->node);
	if (entry->cleared_s == 0 && cleared_s != 0)
		node->holds++;
	if (entry->cleared_s != 0 && cleared_s == 0)
		node->holds--;
	retained_stamps_set(retained->stamps, index, stamp, cleared_s);
}

static void cleared_forget_time(struct retained_stamps *stamps, struct stamp stamp)
{
	if (stamps->forgotten < stamp.time)
		stamps->forgotten = stamp.time;
}

static void cleared_forget_oldest(struct retained *retained)
{
	struct retained_stamps *stamps = retained->stamps;
	const struct stamp_entry *entry = stamp_entry_at(stamps, stamps->oldest);
	uint32_t node = entry->node;
	cleared_forget_time(stamps, entry->stamp);
	CHECK_GT(retained_node_at(retained, node)->holds, 0u);
	retained_node_at(retained, node)->holds--;
	retained_stamps_remove(stamps, stamps->oldest);
	retained_prune(retained, node);
}

/* Forgets tombstones before their time. False: there are none. */
static bool cleared_make_room(struct retained *retained)
{
	struct retained_stamps *stamps = retained->stamps;
	uint32_t forgotten = 0;
	while (forgotten < CLEARED_FOR_ROOM && stamps->oldest != 0) {
		cleared_forget_oldest(retained);
		forgotten++;
	}
	stamps->cleared_forgotten += forgotten;
	return forgotten != 0;
}

bool retained_forget(struct retained *retained, uint32_t now_s, uint32_t count_max)
{
	struct retained_stamps *stamps = retained->stamps;
	uint32_t count = 0;
	pthread_mutex_lock(&retained->lock);
	while (count < count_max && stamps->oldest != 0 &&
	       now_s - stamp_entry_at(stamps, stamps->oldest)->cleared_s >= RETAINED_CLEARED_S) {
		cleared_forget_oldest(retained);
		count++;
	}
	pthread_mutex_unlock(&retained->lock);
	return count == count_max;
}

struct stamp retained_stamp_of(const struct retained *retained, const struct publication *publication,
			       const uint8_t *packet)
{
	uint32_t entry =
		retained->stamps == NULL ? 0 : stamped_entry_of(retained, publication_parts(publication, packet).topic);
	return entry != 0 ? stamp_entry_at(retained->stamps, entry)->stamp : (struct stamp){0};
}

struct stamp retained_stamp_expired(struct retained *retained, uint32_t node, uint32_t now_s)
{
	struct stamp none = {0};
	if (retained->stamps == NULL)
		return none;
	const struct retained_message *kept = retained_kept_at(retained, retained_node_at(retained, node)->message);
	uint32_t index = stamped_entry_of(retained, publication_parts(&kept->publication, kept->packet).topic);
	if (index == 0 || stamp_entry_at(retained->stamps, index)->node != node)
		return none;
	struct stamp stamp = stamp_entry_at(retained->stamps, index)->stamp;
	cleared_set_entry(retained, index, stamp, cleared_at(now_s));
	if (retained->stamps->cleared > retained->stamps->cleared_max)
		cleared_make_room(retained);
	return stamp;
}

/* ---- a change ---- */

/* A change on its way through the functions below. */
struct applying {
	const struct publication *publication;
	const uint8_t *packet;
	struct slice topic;
	uint64_t hash;
	struct stamp stamp;
	uint32_t now_s;
	bool takes_away;
	bool is_own; /* it was made here */
};

/* False: another node's change comes too late. */
static bool choose_stamp(struct retained_stamps *stamps, const struct retained_change *change, struct stamp before,
			 struct retained_result *result)
{
	if (stamp_is_none(change->stamp)) {
		result->stamp = stamp_next(&stamps->clock, change->wall_ms, before);
		return true;
	}
	result->is_ahead = !stamp_hear(&stamps->clock, change->stamp, change->wall_ms);
	result->is_older = stamp_compare(change->stamp, before) <= 0;
	result->stamp = result->is_older ? before : change->stamp;
	return !result->is_older;
}

/* Two topics of one hash: the later one has no stamp, and is each node's own. */
static enum error apply_collided(struct retained *retained, const struct applying *applying, uint32_t node,
				 struct retained_result *result)
{
	retained->stamps->collisions++;
	result->stamp = (struct stamp){0};
	if (applying->is_own)
		return retained_set_at(retained, node, applying->publication, applying->packet, applying->takes_away,
				       &result->number);
	retained_prune(retained, node);
	return ERROR_OK;
}

static uint32_t apply_node_for(struct retained *retained, struct slice topic)
{
	uint32_t node;
	do
		node = retained_find_topic(retained, topic, true);
	while (node == 0 && cleared_make_room(retained));
	return node;
}

static uint32_t apply_entry_for(struct retained *retained, uint64_t hash, uint32_t node)
{
	/* Tombstones that make room may not take the node with them. */
	retained_node_at(retained, node)->holds++;
	uint32_t entry;
	do
		entry = retained_stamps_add(retained->stamps, hash, node);
	while (entry == 0 && cleared_make_room(retained));
	retained_node_at(retained, node)->holds--;
	return entry;
}

/* It could not be noted that the topic is gone, which it is. */
static enum error apply_failed(struct retained *retained, const struct applying *applying)
{
	if (!applying->takes_away)
		return ERROR_NO_MEMORY;
	cleared_forget_time(retained->stamps, applying->stamp);
	return ERROR_OK;
}

static enum error apply_at(struct retained *retained, const struct applying *applying, uint32_t node, uint32_t index,
			   uint64_t *number)
{
	struct retained_stamps *stamps = retained->stamps;
	uint32_t entry = index != 0 ? index : apply_entry_for(retained, applying->hash, node);
	if (entry == 0) {
		retained_prune(retained, node);
		return apply_failed(retained, applying);
	}
	enum error error = ERROR_OK;
	if (applying->takes_away)
		retained_forget_message(retained, node);
	else
		error = retained_replace(retained, node, applying->publication, applying->packet);
	if (error != ERROR_OK) {
		if (index == 0)
			retained_stamps_remove(stamps, entry);
		retained_prune(retained, node);
		return error;
	}
	cleared_set_entry(retained, entry, applying->stamp, applying->takes_away ? cleared_at(applying->now_s) : 0);
	*number = retained_number(retained, applying->publication, applying->packet);
	if (stamps->cleared > stamps->cleared_max)
		cleared_make_room(retained);
	return ERROR_OK;
}

static enum error apply_locked(struct retained *retained, struct applying *applying,
			       const struct retained_change *change, struct retained_result *result)
{
	struct retained_stamps *stamps = retained->stamps;
	uint32_t node = apply_node_for(retained, applying->topic); /* first: it may make room among the entries */
	uint32_t index = retained_stamps_find(stamps, applying->hash);
	struct stamp before = index != 0 ? stamp_entry_at(stamps, index)->stamp : (struct stamp){0};
	bool wins = choose_stamp(stamps, change, before, result);
	applying->stamp = result->stamp;
	if (node == 0)
		return wins ? apply_failed(retained, applying) : ERROR_OK;
	if (index != 0 && stamp_entry_at(stamps, index)->node != node)
		return apply_collided(retained, applying, node, result);
	if (!wins) {
		retained_prune(retained, node);
		return ERROR_OK;
	}
	return apply_at(retained, applying, node, index, &result->number);
}

enum error retained_apply(struct retained *retained, const struct publication *publication, const uint8_t *packet,
			  const struct retained_change *change, struct retained_result *result)
{
	*result = (struct retained_result){0};
	bool is_own = stamp_is_none(change->stamp);
	if (retained->stamps == NULL || !retained_is_counted(publication, packet)) {
		CHECK(is_own || retained->stamps != NULL);
		return is_own ? retained_set(retained, publication, packet, change->now_s, &result->number) : ERROR_OK;
	}
	struct publication_parts parts = publication_parts(publication, packet);
	struct applying applying = {
		.publication = publication,
		.packet = packet,
		.topic = parts.topic,
		.hash = hash_slice(&retained->stamps->key, parts.topic),
		.now_s = change->now_s,
		.takes_away = retained_takes_away(publication, &parts, change->now_s),
		.is_own = is_own,
	};
	pthread_mutex_lock(&retained->lock);
	enum error error = apply_locked(retained, &applying, change, result);
	if (error != ERROR_OK && !is_own)
		retained->stamps->refused++;
	pthread_mutex_unlock(&retained->lock);
	if (error != ERROR_OK)
		result->stamp = (struct stamp){0};
	return error;
}

bool retained_clear(struct retained *retained, uint64_t topic, const struct retained_change *change,
		    retained_expired *cleared, void *context)
{
	struct retained_stamps *stamps = retained->stamps;
	pthread_mutex_lock(&retained->lock);
	stamp_hear(&stamps->clock, change->stamp, change->wall_ms);
	uint32_t index = retained_stamps_find(stamps, topic);
	const struct stamp_entry *entry = index != 0 ? stamp_entry_at(stamps, index) : NULL;
	bool clears = entry != NULL && entry->cleared_s == 0 && stamp_compare(entry->stamp, change->stamp) < 0;
	if (clears) {
		uint32_t node = entry->node;
		const struct retained_message *kept =
			retained_kept_at(retained, retained_node_at(retained, node)->message);
		if (cleared != NULL)
			cleared(context, &kept->publication, kept->packet,
				retained_number(retained, &kept->publication, kept->packet), change->stamp);
		retained_forget_message(retained, node);
		cleared_set_entry(retained, index, change->stamp, cleared_at(change->now_s));
		if (stamps->cleared > stamps->cleared_max)
			cleared_make_room(retained);
	}
	pthread_mutex_unlock(&retained->lock);
	return clears;
}

/* ---- at the beginning ---- */

/* What has no stamp yet. */
static enum error stamp_old(struct retained *retained)
{
	struct retained_stamps *stamps = retained->stamps;
	struct stamp old = stamp_of_old(stamps->clock.node);
	for (uint32_t node = retained_next_of_all(retained, retained->root); node != 0;
	     node = retained_next_of_all(retained, node)) {
		if (retained_node_at(retained, node)->message == 0)
			continue;
		const struct retained_message *kept =
			retained_kept_at(retained, retained_node_at(retained, node)->message);
		uint64_t hash = hash_slice(&stamps->key, publication_parts(&kept->publication, kept->packet).topic);
		if (!retained_is_counted(&kept->publication, kept->packet) || retained_stamps_find(stamps, hash) != 0)
			continue;
		uint32_t entry = retained_stamps_add(stamps, hash, node);
		if (entry == 0)
			return ERROR_NO_MEMORY;
		retained_stamps_set(stamps, entry, old, 0);
	}
	return ERROR_OK;
}

enum error retained_stamp(struct retained *retained, const struct hash_key *key, uint64_t node,
			  const struct arena *arena)
{
	CHECK(retained->stamps == NULL);
	retained->stamps = retained_stamps_new(key, node, retained->messages_max);
	if (retained->stamps == NULL || (arena_is_adopted(arena) && !retained_stamps_adopt(retained, arena)))
		return ERROR_NO_MEMORY;
	return stamp_old(retained);
}

enum error retained_restore(struct retained *retained, const struct publication *publication, const uint8_t *packet,
			    const struct retained_change *change)
{
	struct retained_result result;
	if (retained->stamps == NULL)
		return retained_set(retained, publication, packet, change->now_s, NULL);
	struct retained_change restored = *change;
	if (stamp_is_none(restored.stamp))
		restored.stamp = stamp_of_old(retained->stamps->clock.node);
	return retained_apply(retained, publication, packet, &restored, &result);
}

static void restore_cleared_locked(struct retained *retained, struct slice topic, const struct retained_change *change)
{
	struct retained_stamps *stamps = retained->stamps;
	if (topic.size == 0) {
		cleared_forget_time(stamps, (struct stamp){.time = change->stamp.time - 1});
		stamps->shared = change->stamp.node;
		return;
	}
	uint64_t hash = hash_slice(&stamps->key, topic);
	bool fits = stamps->cleared < stamps->cleared_max && retained_stamps_find(stamps, hash) == 0;
	uint32_t node = fits ? retained_find_topic(retained, topic, true) : 0;
	uint32_t entry = node != 0 ? retained_stamps_add(stamps, hash, node) : 0;
	if (entry != 0)
		cleared_set_entry(retained, entry, change->stamp, cleared_at(change->now_s));
	else
		cleared_forget_time(stamps, change->stamp);
	if (node != 0)
		retained_prune(retained, node);
}

void retained_restore_cleared(struct retained *retained, struct slice topic, const struct retained_change *change)
{
	if (retained->stamps == NULL || stamp_is_none(change->stamp))
		return;
	pthread_mutex_lock(&retained->lock);
	stamp_hear(&retained->stamps->clock, change->stamp, change->wall_ms);
	restore_cleared_locked(retained, topic, change);
	pthread_mutex_unlock(&retained->lock);
}
