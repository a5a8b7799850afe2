#include "memory/notes.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define NOTES_MAGIC UINT64_C(0x7365746f6e747372) /* "rstnotes", as it lies in memory */
#define NOTES_SLOTS_MIN 1024u
#define NOTE_ALIGN ((size_t)8)

/* The region begins with it. */
struct notes_head {
	uint64_t magic;
	uint32_t version;
	uint32_t count;
	uint64_t end; /* of the last note */
};
/* A note begins with it. Scope and name follow, each with its NUL, and then the data; both are padded to 8 bytes. */
struct note_head {
	uint64_t data_bytes;
	uint32_t name_bytes; /* of scope and name, with both NULs, not padded */
	uint32_t zero;
};
/* Other versions of the program read these: raise NOTES_VERSION when one of them changes. */
_Static_assert(sizeof(struct notes_head) == 24 && sizeof(struct note_head) == 16, "version 1");

struct note_name {
	char bytes[NOTES_NAME_BYTES];
	uint32_t size;
	uint64_t hash;
};

static size_t notes_padded(size_t bytes)
{
	return (bytes + NOTE_ALIGN - 1) / NOTE_ALIGN * NOTE_ALIGN;
}

static struct notes_head *notes_head_of(const struct notes *notes)
{
	return (struct notes_head *)(void *)notes->region.base;
}

static struct note_head *note_at(const struct notes *notes, uint64_t offset)
{
	CHECK(offset % NOTE_ALIGN == 0 && offset < notes->region.usable_bytes);
	return (struct note_head *)(void *)(notes->region.base + offset);
}

/* FNV-1a: the program itself chooses the names. */
static uint64_t notes_hash(const char *name, uint32_t size)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (uint32_t i = 0; i < size; i++)
		hash = (hash ^ (uint8_t)name[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static struct note_name notes_name(const char *scope, const char *name)
{
	struct note_name made;
	size_t scope_size = strlen(scope) + 1;
	size_t name_size = strlen(name) + 1;
	CHECK_LE(scope_size + name_size, NOTES_NAME_BYTES);
	memcpy(made.bytes, scope, scope_size);
	memcpy(made.bytes + scope_size, name, name_size);
	made.size = (uint32_t)(scope_size + name_size);
	made.hash = notes_hash(made.bytes, made.size);
	return made;
}

/* ---- the table of names ---- */

static bool notes_slot_is(const struct notes *notes, const struct note_slot *slot, const struct note_name *name)
{
	if (slot->hash != name->hash)
		return false;
	const struct note_head *note = note_at(notes, slot->offset);
	return note->name_bytes == name->size && memcmp(note + 1, name->bytes, name->size) == 0;
}

/* The name's slot, or the free one where it belongs. */
static struct note_slot *notes_slot(const struct notes *notes, const struct note_name *name)
{
	uint64_t at = name->hash & (notes->slot_count - 1);
	while (notes->slots[at].offset != 0 && !notes_slot_is(notes, &notes->slots[at], name))
		at = (at + 1) & (notes->slot_count - 1);
	return &notes->slots[at];
}

static enum error notes_grow_slots(struct notes *notes)
{
	uint32_t before = notes->slot_count;
	if (notes->count < before / 2)
		return ERROR_OK;
	uint32_t count = before != 0 ? before * 2 : NOTES_SLOTS_MIN;
	struct note_slot *slots = calloc(count, sizeof(*slots));
	if (slots == NULL)
		return ERROR_NO_MEMORY;
	for (uint32_t i = 0; i < before; i++) {
		if (notes->slots[i].offset == 0)
			continue;
		uint64_t at = notes->slots[i].hash & (count - 1);
		while (slots[at].offset != 0)
			at = (at + 1) & (count - 1);
		slots[at] = notes->slots[i];
	}
	free(notes->slots);
	notes->slots = slots;
	notes->slot_count = count;
	return ERROR_OK;
}

/* ---- opening ---- */

static void notes_begin(struct notes *notes)
{
	*notes_head_of(notes) =
		(struct notes_head){.magic = NOTES_MAGIC, .version = NOTES_VERSION, .end = sizeof(struct notes_head)};
}

static void notes_attach(struct notes *notes, struct memory_root *root)
{
	CHECK(pthread_mutex_init(&notes->lock, NULL) == 0);
	root->notes = notes;
}

enum error notes_open(struct notes *notes, struct memory_root *root)
{
	CHECK(root->notes == NULL);
	*notes = (struct notes){0};
	enum error error = arena_open(&notes->arena, root, NOTES_ARENA);
	if (error != ERROR_OK)
		return error;
	error = region_open_in(&notes->region, &notes->arena, NOTES_REGION, NOTES_BYTES_MAX);
	if (error == ERROR_OK) {
		error = region_grow(&notes->region, sizeof(struct notes_head));
		if (error != ERROR_OK)
			region_close(&notes->region);
	}
	if (error != ERROR_OK) {
		arena_close(&notes->arena);
		return error;
	}
	notes_begin(notes);
	notes_attach(notes, root);
	return ERROR_OK;
}

/* The end of the note; 0: it reaches beyond `end`, or its names are none. */
static uint64_t note_end(const struct notes *notes, uint64_t offset, uint64_t end)
{
	if (end - offset < sizeof(struct note_head))
		return 0;
	const struct note_head *note = note_at(notes, offset);
	uint64_t left = end - offset - sizeof(*note);
	if (note->name_bytes < 2 || note->name_bytes > NOTES_NAME_BYTES || notes_padded(note->name_bytes) > left)
		return 0;
	left -= notes_padded(note->name_bytes);
	if (note->data_bytes > left || notes_padded(note->data_bytes) > left)
		return 0;
	const char *name = (const char *)(note + 1);
	const char *scope_end = memchr(name, '\0', note->name_bytes - 1);
	const char *name_end = scope_end != NULL ? memchr(scope_end + 1, '\0', note->name_bytes) : NULL;
	if (scope_end == NULL || name_end != name + note->name_bytes - 1)
		return 0;
	return offset + sizeof(*note) + notes_padded(note->name_bytes) + notes_padded(note->data_bytes);
}

static enum error notes_read_one(struct notes *notes, uint64_t offset)
{
	const struct note_head *note = note_at(notes, offset);
	struct note_name name = {.size = note->name_bytes};
	memcpy(name.bytes, note + 1, name.size);
	name.hash = notes_hash(name.bytes, name.size);
	enum error error = notes_grow_slots(notes);
	if (error != ERROR_OK)
		return error;
	struct note_slot *slot = notes_slot(notes, &name);
	if (slot->offset != 0)
		return ERROR_NOT_FOUND; /* it comes twice */
	*slot = (struct note_slot){.hash = name.hash, .offset = offset};
	notes->count++;
	return ERROR_OK;
}

static enum error notes_read(struct notes *notes)
{
	if (notes->region.usable_bytes < sizeof(struct notes_head))
		return ERROR_NOT_FOUND;
	struct notes_head head = *notes_head_of(notes);
	if (head.magic != NOTES_MAGIC || head.version != NOTES_VERSION || head.end < sizeof(head) ||
	    head.end > notes->region.usable_bytes || head.end % NOTE_ALIGN != 0)
		return ERROR_NOT_FOUND;
	for (uint64_t offset = sizeof(head); offset != head.end;) {
		uint64_t end = note_end(notes, offset, head.end);
		enum error error = end != 0 ? notes_read_one(notes, offset) : ERROR_NOT_FOUND;
		if (error != ERROR_OK)
			return error;
		offset = end;
	}
	return notes->count == head.count ? ERROR_OK : ERROR_NOT_FOUND;
}

enum error notes_adopt(struct notes *notes, struct memory_root *root)
{
	CHECK(root->notes == NULL);
	*notes = (struct notes){0};
	enum error error = arena_find(&notes->arena, root, NOTES_ARENA);
	if (error == ERROR_OK)
		error = region_adopt(&notes->region, &notes->arena, NOTES_REGION);
	if (error != ERROR_OK)
		return error;
	error = notes_read(notes);
	if (error != ERROR_OK) {
		free(notes->slots);
		region_unmap(&notes->region);
		return error;
	}
	notes_attach(notes, root);
	return ERROR_OK;
}

void notes_make_in(struct notes *notes, struct memory_root *root, const struct arena *arena,
		   const struct region *region)
{
	CHECK(root->notes == NULL && region->usable_bytes >= sizeof(struct notes_head));
	*notes = (struct notes){.arena = *arena, .region = *region};
	notes_begin(notes);
	notes_attach(notes, root);
}

bool notes_each(const struct notes *notes, notes_visit *visit, void *context)
{
	uint64_t end = notes_head_of(notes)->end;
	for (uint64_t offset = sizeof(struct notes_head); offset != end;) {
		const struct note_head *note = note_at(notes, offset);
		const char *scope = (const char *)(note + 1);
		const char *name = scope + strlen(scope) + 1;
		struct slice data = slice_of(scope + notes_padded(note->name_bytes), note->data_bytes);
		if (!visit(context, scope, name, data))
			return false;
		offset += sizeof(*note) + notes_padded(note->name_bytes) + notes_padded(note->data_bytes);
	}
	return true;
}

void notes_close(struct notes *notes)
{
	CHECK(notes->arena.root->notes == notes);
	notes->arena.root->notes = NULL;
	free(notes->slots);
	region_unmap(&notes->region);
	CHECK(pthread_mutex_destroy(&notes->lock) == 0);
}

void notes_clear(struct notes *notes)
{
	region_forget(&notes->region, 0, notes->region.usable_bytes);
	notes_begin(notes);
	notes->count = 0;
	if (notes->slot_count != 0)
		memset(notes->slots, 0, notes->slot_count * sizeof(*notes->slots));
}

/* ---- putting ---- */

/* The note with its name, and room for the data; 0: no memory. */
static uint64_t notes_append(struct notes *notes, const struct note_name *name, size_t bytes, enum error *error)
{
	struct notes_head *head = notes_head_of(notes);
	uint64_t offset = head->end;
	size_t frame = sizeof(struct note_head) + notes_padded(name->size);
	*error = bytes < NOTES_BYTES_MAX ? region_grow(&notes->region, offset + frame + notes_padded(bytes))
					 : ERROR_LIMIT;
	if (*error == ERROR_OK)
		*error = notes_grow_slots(notes);
	if (*error != ERROR_OK)
		return 0;
	struct note_slot *slot = notes_slot(notes, name);
	CHECK_EQ(slot->offset, 0u); /* the name is new */
	*slot = (struct note_slot){.hash = name->hash, .offset = offset};
	struct note_head *note = note_at(notes, offset);
	*note = (struct note_head){.data_bytes = bytes, .name_bytes = name->size};
	memcpy(note + 1, name->bytes, name->size);
	head->end = offset + frame + notes_padded(bytes);
	notes->count = ++head->count;
	return offset;
}

static enum error notes_make(struct notes *notes, const char *scope, const char *name, size_t bytes, void **room)
{
	struct note_name full = notes_name(scope, name);
	enum error error;
	CHECK(pthread_mutex_lock(&notes->lock) == 0);
	uint64_t offset = notes_append(notes, &full, bytes, &error);
	CHECK(pthread_mutex_unlock(&notes->lock) == 0);
	if (offset != 0)
		*room = notes->region.base + offset + sizeof(struct note_head) + notes_padded(full.size);
	return error;
}

enum error notes_put(struct notes *notes, const char *scope, const char *name, const void *data, size_t bytes)
{
	void *room;
	enum error error = notes_make(notes, scope, name, bytes, &room);
	if (error == ERROR_OK && bytes != 0)
		memcpy(room, data, bytes); /* without the lock: nothing moves */
	return error;
}

void *notes_put_room(struct notes *notes, const char *scope, const char *name, size_t bytes)
{
	void *room;
	return notes_make(notes, scope, name, bytes, &room) == ERROR_OK ? room : NULL;
}

enum error notes_put_u64(struct notes *notes, const char *scope, const char *name, uint64_t value)
{
	return notes_put(notes, scope, name, &value, sizeof(value));
}

/* ---- getting ---- */

bool notes_get(const struct notes *notes, const char *scope, const char *name, struct slice *data)
{
	struct note_name full = notes_name(scope, name);
	const struct note_slot *slot = notes->slot_count != 0 ? notes_slot(notes, &full) : NULL;
	if (slot == NULL || slot->offset == 0)
		return false;
	const struct note_head *note = note_at(notes, slot->offset);
	*data = slice_of((const uint8_t *)(note + 1) + notes_padded(full.size), note->data_bytes);
	return true;
}

bool notes_get_exact(const struct notes *notes, const char *scope, const char *name, void *data, size_t bytes)
{
	struct slice found;
	if (!notes_get(notes, scope, name, &found) || found.size != bytes)
		return false;
	if (bytes != 0)
		memcpy(data, found.data, bytes);
	return true;
}

bool notes_get_u64(const struct notes *notes, const char *scope, const char *name, uint64_t *value)
{
	return notes_get_exact(notes, scope, name, value, sizeof(*value));
}

bool notes_get_array(const struct notes *notes, const char *scope, const char *name, size_t item_bytes,
		     const void **items, uint32_t *count)
{
	struct slice found;
	CHECK(item_bytes != 0);
	if (!notes_get(notes, scope, name, &found) || found.size % item_bytes != 0 ||
	    found.size / item_bytes > UINT32_MAX)
		return false;
	*items = found.data;
	*count = (uint32_t)(found.size / item_bytes);
	return true;
}

/* ---- of an arena ---- */

enum error arena_put(const struct arena *arena, const char *name, const void *data, size_t bytes)
{
	if (arena == NULL)
		return ERROR_OK;
	CHECK(arena->root->notes != NULL);
	return notes_put(arena->root->notes, arena_name(arena), name, data, bytes);
}

bool arena_get(const struct arena *arena, const char *name, struct slice *data)
{
	return arena->root->notes != NULL && notes_get(arena->root->notes, arena_name(arena), name, data);
}

bool arena_get_exact(const struct arena *arena, const char *name, void *data, size_t bytes)
{
	return arena->root->notes != NULL && notes_get_exact(arena->root->notes, arena_name(arena), name, data, bytes);
}
