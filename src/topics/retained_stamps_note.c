/* Stamps from one program to the next: one note, of bytes whose meaning STAMPS_VERSION has. They are no memory that is
 * found where it was, because there is none without a cluster, and the next program may be in one or not. */
#include "memory/notes.h"
#include "topics/retained_state.h"

#include <endian.h>

#define STAMPS_NOTE "retained stamps"
#define STAMPS_VERSION 1u
/* Version, key, the clock's time, the latest that was forgotten, what others have had. */
#define STAMPS_HEAD_BYTES (8u + 16u + 8u + 8u + 8u)
/* Topic, stamp, node, when it became a tombstone. */
#define STAMPS_ITEM_BYTES (8u + STAMP_BYTES + 4u + 4u)

static uint8_t *note_put_u64(uint8_t *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

static uint8_t *note_put_u32(uint8_t *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

static uint64_t note_get_u64(const uint8_t *at)
{
	uint64_t value;
	memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

static uint32_t note_get_u32(const uint8_t *at)
{
	uint32_t value;
	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static uint8_t *note_put_entry(uint8_t *at, const struct stamp_entry *entry)
{
	at = note_put_u64(at, entry->topic);
	stamp_put(entry->stamp, at);
	at = note_put_u32(at + STAMP_BYTES, entry->node);
	return note_put_u32(at, entry->cleared_s);
}

/* Tombstones come in their order. */
enum error retained_stamps_save(const struct retained_stamps *stamps, const struct arena *arena)
{
	size_t bytes = STAMPS_HEAD_BYTES + (size_t)stamps->entries.used * STAMPS_ITEM_BYTES;
	uint8_t *room = notes_put_room(arena->root->notes, arena_name(arena), STAMPS_NOTE, bytes);
	if (room == NULL)
		return ERROR_NO_MEMORY;
	uint8_t *at = note_put_u64(room, STAMPS_VERSION);
	memcpy(at, stamps->key.bytes, sizeof(stamps->key.bytes));
	at = note_put_u64(at + sizeof(stamps->key.bytes), stamps->clock.last);
	at = note_put_u64(at, stamps->forgotten);
	at = note_put_u64(at, stamps->shared);
	for (uint32_t index = 1; index <= stamps->entries.touched; index++) {
		const struct stamp_entry *entry = stamp_entry_at(stamps, index);
		if (entry->node != 0 && entry->cleared_s == 0)
			at = note_put_entry(at, entry);
	}
	for (uint32_t index = stamps->oldest; index != 0; index = stamp_entry_at(stamps, index)->newer)
		at = note_put_entry(at, stamp_entry_at(stamps, index));
	CHECK_EQ((size_t)(at - room), bytes);
	return ERROR_OK;
}

/* Whether the tree has what the entry says: nothing is made up from a note that lies. */
static bool note_is_sound(const struct retained *retained, uint32_t node, uint32_t cleared_s, struct stamp stamp)
{
	if (node == 0 || node > retained->nodes.touched || stamp_is_none(stamp))
		return false;
	const struct retained_node *found = retained_node_at(retained, node);
	return cleared_s != 0 ? found->holds != 0 && found->message == 0 : found->message != 0;
}

bool retained_stamps_adopt(struct retained *retained, const struct arena *arena)
{
	struct retained_stamps *stamps = retained->stamps;
	struct slice note;
	if (!arena_get(arena, STAMPS_NOTE, &note) || note.size < STAMPS_HEAD_BYTES ||
	    note_get_u64(note.data) != STAMPS_VERSION ||
	    memcmp(note.data + 8, stamps->key.bytes, sizeof(stamps->key.bytes)) != 0)
		return true; /* it was in no cluster, or in another one; tombstones stay in the tree until a restart */
	stamps->clock.last = note_get_u64(note.data + 24);
	stamps->forgotten = note_get_u64(note.data + 32);
	stamps->shared = note_get_u64(note.data + 40);
	for (size_t at = STAMPS_HEAD_BYTES; at + STAMPS_ITEM_BYTES <= note.size; at += STAMPS_ITEM_BYTES) {
		const uint8_t *item = note.data + at;
		uint64_t topic = note_get_u64(item);
		uint32_t node = note_get_u32(item + 8 + STAMP_BYTES), cleared_s = note_get_u32(item + 12 + STAMP_BYTES);
		struct stamp stamp;
		if (!stamp_get(item + 8, &stamp) || !note_is_sound(retained, node, cleared_s, stamp) ||
		    retained_stamps_find(stamps, topic) != 0)
			continue;
		uint32_t entry = retained_stamps_add(stamps, topic, node);
		if (entry == 0)
			return false;
		retained_stamps_set(stamps, entry, stamp, cleared_s);
	}
	return true;
}
