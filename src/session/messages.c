#include "session/messages.h"
#include "base/layout_root.h"

#include "base/check.h"
#include "memory/notes.h"

LAYOUT_ROOT(message);
LAYOUT_ROOT(message_body);

#define APART_BYTES (sizeof(struct message) + sizeof(struct message_body))

void messages_init(struct messages *messages, struct slab *slab)
{
	*messages = (struct messages){.slab = slab};
}

/* What there is beside the slab. */
struct messages_note {
	uint64_t bytes;
	uint64_t apart_bytes;
	uint64_t absent_bytes;
	uint64_t evicted;
	uint32_t count;
	uint32_t absent_count;
	struct message_ref oldest;
	struct message_ref newest;
	struct message_ref unsafe;
	uint32_t era;
};
LAYOUT_ROOT(messages_note);

enum error messages_save(const struct messages *messages, const struct arena *arena)
{
	struct messages_note note = {
		.bytes = messages->bytes,
		.apart_bytes = messages->apart_bytes,
		.absent_bytes = messages->absent_bytes,
		.evicted = messages->evicted,
		.count = messages->count,
		.absent_count = messages->absent_count,
		.oldest = messages->oldest,
		.newest = messages->newest,
		.unsafe = messages->unsafe,
		.era = messages->era,
	};
	return arena_put(arena, "messages", &note, sizeof(note));
}

enum error messages_find(struct messages *messages, const struct arena *arena)
{
	struct messages_note note;
	if (!arena_is_adopted(arena))
		return ERROR_OK;
	if (!arena_get_exact(arena, "messages", &note, sizeof(note)) || note.era > 1)
		return ERROR_NOT_FOUND;
	messages->bytes = note.bytes;
	messages->apart_bytes = note.apart_bytes;
	messages->absent_bytes = note.absent_bytes;
	messages->evicted = note.evicted;
	messages->count = note.count;
	messages->absent_count = note.absent_count;
	messages->oldest = note.oldest;
	messages->newest = note.newest;
	messages->unsafe = note.unsafe;
	messages->era = note.era;
	return ERROR_OK;
}

/* A new message in a block of `bytes`, without its packet. */
static struct message_ref take_head(struct messages *messages, const struct publication *publication, size_t bytes,
				    bool apart)
{
	struct message_ref ref = {slab_take(messages->slab, bytes)};
	if (message_ref_is_none(ref))
		return ref;
	struct message *message = message_at(messages, ref);
	message->references = 1;
	message->journaled = 0;
	message->era = messages->era & 1u;
	message->apart = apart;
	message->unreadable = 0;
	message->halfway = 0;
	message->publication = *publication;
	if (apart)
		*message_body(message) = (struct message_body){.block = 0};
	messages->count++;
	return ref;
}

struct message_ref messages_new(struct messages *messages, const struct publication *publication, const uint8_t *packet)
{
	struct message_ref ref =
		take_head(messages, publication, sizeof(struct message) + publication->packet_bytes, false);
	if (message_ref_is_none(ref))
		return ref;
	memcpy(message_packet(messages, message_at(messages, ref)), packet, publication->packet_bytes);
	messages->bytes += publication->packet_bytes;
	return ref;
}

/* ---- the list ---- */

static void evictable_append(struct messages *messages, struct message_ref ref)
{
	struct message_body *body = message_body(message_at(messages, ref));
	const struct journal_safety *safety = messages->journal->safety;
	CHECK(body->block != 0);
	body->commit = safety != NULL ? (uint32_t)safety->told(messages->journal->context) : 0;
	body->older = messages->newest;
	body->newer = message_ref_none();
	if (message_ref_is_none(messages->newest))
		messages->oldest = ref;
	else
		message_body(message_at(messages, messages->newest))->newer = ref;
	messages->newest = ref;
	if (message_ref_is_none(messages->unsafe))
		messages->unsafe = ref;
}

static void evictable_unlink(struct messages *messages, struct message_ref ref)
{
	const struct message_body *body = message_body(message_at(messages, ref));
	if (message_ref_is_none(body->older)) {
		CHECK(message_ref_equal(messages->oldest, ref));
		messages->oldest = body->newer;
	} else {
		message_body(message_at(messages, body->older))->newer = body->newer;
	}
	if (message_ref_is_none(body->newer)) {
		CHECK(message_ref_equal(messages->newest, ref));
		messages->newest = body->older;
	} else {
		message_body(message_at(messages, body->newer))->older = body->older;
	}
	if (message_ref_equal(messages->unsafe, ref))
		messages->unsafe = body->newer;
}

/* ---- packets apart ---- */

static bool take_packet(struct messages *messages, struct message *message, const uint8_t *packet)
{
	uint32_t bytes = message->publication.packet_bytes;
	uint32_t block = slab_take(messages->slab, bytes);
	if (block == 0)
		return false;
	memcpy(slab_at(messages->slab, block), packet, bytes);
	message_body(message)->block = block;
	messages->bytes += bytes;
	messages->apart_bytes += bytes;
	return true;
}

static void give_packet(struct messages *messages, const struct message *message)
{
	struct message_body *body = message_body(message);
	uint32_t bytes = message->publication.packet_bytes;
	CHECK(messages->apart_bytes >= bytes && messages->bytes >= messages->apart_bytes);
	slab_give(messages->slab, body->block, bytes);
	body->block = 0;
	messages->bytes -= bytes;
	messages->apart_bytes -= bytes;
}

struct message_ref messages_new_apart(struct messages *messages, const struct publication *publication,
				      const uint8_t *packet)
{
	struct message_ref ref = take_head(messages, publication, APART_BYTES, true);
	if (message_ref_is_none(ref) || take_packet(messages, message_at(messages, ref), packet))
		return ref;
	messages->count--;
	slab_give(messages->slab, ref.index, APART_BYTES);
	return message_ref_none();
}

static void count_absent(struct messages *messages, const struct message *message)
{
	CHECK(message->journaled); /* else it would be nowhere */
	messages->absent_count++;
	messages->absent_bytes += message->publication.packet_bytes;
}

static void count_absent_no_more(struct messages *messages, const struct message *message)
{
	CHECK(messages->absent_count > 0 && messages->absent_bytes >= message->publication.packet_bytes);
	messages->absent_count--;
	messages->absent_bytes -= message->publication.packet_bytes;
}

struct message_ref messages_new_absent(struct messages *messages, const struct publication *publication)
{
	struct message_ref ref = take_head(messages, publication, APART_BYTES, true);
	if (message_ref_is_none(ref))
		return ref;
	message_at(messages, ref)->journaled = 1;
	count_absent(messages, message_at(messages, ref));
	return ref;
}

static bool is_safe(const struct message_body *body, uint64_t safe)
{
	return (int32_t)((uint32_t)safe - body->commit) >= 0;
}

void messages_note_safe(struct messages *messages, uint64_t safe, uint32_t most)
{
	for (; most != 0 && !message_ref_is_none(messages->unsafe); most--) {
		const struct message_body *body = message_body(message_at(messages, messages->unsafe));
		if (!is_safe(body, safe))
			return;
		messages->unsafe = body->newer;
	}
}

uint32_t messages_evict(struct messages *messages, uint64_t bytes_max, uint32_t most)
{
	uint32_t count = 0;
	for (; count < most && messages->apart_bytes > bytes_max; count++) {
		struct message_ref ref = messages->oldest;
		if (message_ref_is_none(ref) || message_ref_equal(ref, messages->unsafe))
			break;
		evictable_unlink(messages, ref);
		struct message *message = message_at(messages, ref);
		give_packet(messages, message);
		message->halfway = 0;
		count_absent(messages, message);
	}
	messages->evicted += count;
	return count;
}

enum error messages_install(struct messages *messages, struct message_ref ref, const uint8_t *packet)
{
	struct message *message = message_at(messages, ref);
	if (!message_is_absent(message))
		return ERROR_OK;
	if (!take_packet(messages, message, packet))
		return ERROR_NO_MEMORY;
	message->unreadable = 0;
	count_absent_no_more(messages, message);
	evictable_append(messages, ref);
	return ERROR_OK;
}

void messages_set_unreadable(struct messages *messages, struct message_ref ref)
{
	struct message *message = message_at(messages, ref);
	if (message_is_absent(message))
		message->unreadable = 1;
}

/* ---- references ---- */

void messages_begin_era(struct messages *messages)
{
	messages->era ^= 1u;
}

static void tell_again(struct messages *messages, struct message_ref ref, struct journal_message *told)
{
	struct journal *journal = messages->journal;
	struct message *message = message_at(messages, ref);
	message->era = messages->era & 1u;
	bool before = journal_again(journal, true);
	if (message_is_absent(message)) {
		journal->checkpoints->kept_at(journal->context, ref, told);
	} else {
		told->packet = message_packet(messages, message);
		journal_tell(journal)->kept(journal->context, ref, told);
	}
	journal_again(journal, before);
}

void messages_tell(struct messages *messages, struct message_ref ref, int64_t expires_at_s,
		   const struct journal_publisher *publisher)
{
	struct message *message = message_at(messages, ref);
	CHECK(message->references > 0);
	if (message->journaled && message->era == messages->era)
		return;
	struct journal_message told = {.publication = message->publication, .expires_at_s = expires_at_s};
	told.publication.expires_s = 0;
	if (publisher != NULL)
		told.publisher = *publisher;
	if (message->journaled) {
		tell_again(messages, ref, &told);
		return;
	}
	told.packet = message_packet(messages, message);
	message->journaled = 1;
	message->era = messages->era & 1u;
	journal_tell(messages->journal)->kept(messages->journal->context, ref, &told);
	if (message->apart)
		evictable_append(messages, ref);
}

void messages_get(struct messages *messages, struct message_ref ref)
{
	struct message *message = message_at(messages, ref);
	CHECK(message->references > 0);
	message->references++;
}

/* Frees what is not in the message's own block. */
static void leave_apart(struct messages *messages, struct message_ref ref)
{
	const struct message *message = message_at(messages, ref);
	if (message_is_absent(message)) {
		count_absent_no_more(messages, message);
		return;
	}
	if (message->journaled)
		evictable_unlink(messages, ref);
	give_packet(messages, message);
}

void messages_put(struct messages *messages, struct message_ref ref)
{
	struct message *message = message_at(messages, ref);
	CHECK(message->references > 0);
	if (--message->references != 0)
		return;
	if (message->journaled)
		journal_tell(messages->journal)->forgotten(messages->journal->context, ref);
	size_t bytes = APART_BYTES;
	if (message->apart) {
		leave_apart(messages, ref);
	} else {
		bytes = sizeof(*message) + message->publication.packet_bytes;
		messages->bytes -= message->publication.packet_bytes;
	}
	messages->count--;
	slab_give(messages->slab, ref.index, bytes);
}
