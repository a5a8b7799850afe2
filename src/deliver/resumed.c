#include "deliver/resumed.h"

#include "base/check.h"
#include "base/layout_root.h"
#include "deliver/delivery.h"
#include "memory/notes.h"
#include "state/client_state.h"
#include "state/shard.h"
#include "store/model/model.h"

#include <stdatomic.h>
#include <stdlib.h>

/* The longest filter, with the name of its group in front. */
#define RESUMED_FILTER_BYTES_MAX (UINT16_MAX + 1u)
#define RESUMED_NOTE "resumed"
#define RESUMED_COUNT_NOTE "resumed count"

enum claim_state {
	CLAIM_OPEN,
	CLAIM_ENDING, /* `completed` is told, and not known to be safe */
	CLAIM_ENDED,
};

struct claim {
	uint64_t key;
	uint32_t first; /* of its items */
	uint32_t count;
	/* Written by its publisher's shard alone. */
	uint64_t commit; /* ENDING: from which on it is safe */
	uint8_t state;   /* enum claim_state */
};

struct resumed {
	_Atomic uint32_t holders;  /* shards */
	struct resumed_list items; /* sorted */
	struct claim *list;        /* sorted by key */
	uint32_t count;
	uint32_t *left; /* by publisher's shard: claims that have not ended; each is its shard's own */
};

static uint64_t resumed_key(uint16_t shard, uint32_t session, uint16_t packet_id)
{
	return (uint64_t)shard << 48 | (uint64_t)session << 16 | packet_id;
}

/* ---- making ---- */

static enum error resumed_list_add_one(struct resumed_list *list, uint64_t key, struct slice receiver, bool is_group)
{
	if (list->count == list->capacity) {
		uint32_t more = list->capacity * 2 + 64;
		struct resumed_item *grown = reallocarray(list->items, more, sizeof(*grown));
		if (grown == NULL)
			return ERROR_NO_MEMORY;
		list->items = grown;
		list->capacity = more;
	}
	uint8_t *copy = malloc(receiver.size + 1);
	if (copy == NULL)
		return ERROR_NO_MEMORY;
	if (receiver.size != 0)
		memcpy(copy, receiver.data, receiver.size);
	list->items[list->count++] =
		(struct resumed_item){.key = key, .receiver = slice_of(copy, receiver.size), .is_group = is_group};
	return ERROR_OK;
}

enum error resumed_list_add(struct resumed_list *list, uint16_t shard, struct client_ref session,
			    const struct model_claim *claims)
{
	enum error error = ERROR_OK;
	CHECK(!client_ref_is_none(session));
	for (const struct model_claim *at = claims; at != NULL && error == ERROR_OK; at = at->next)
		error = resumed_list_add_one(list, resumed_key(shard, session.index, at->packet_id), at->receiver,
					     at->is_group);
	return error;
}

static void resumed_list_free(struct resumed_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		free((void *)(uintptr_t)list->items[i].receiver.data);
	free(list->items);
	*list = (struct resumed_list){.items = NULL};
}

void resumed_lists_free(struct resumed_list **lists, uint16_t shard_count)
{
	for (uint16_t i = 0; *lists != NULL && i < shard_count; i++)
		resumed_list_free(&(*lists)[i]);
	free(*lists);
	*lists = NULL;
}

/* Groups behind sessions. */
static int resumed_compare_receivers(const struct resumed_item *one, struct slice receiver, bool is_group)
{
	if (one->is_group != is_group)
		return one->is_group ? 1 : -1;
	if (one->receiver.size != receiver.size)
		return one->receiver.size < receiver.size ? -1 : 1;
	return receiver.size != 0 ? memcmp(one->receiver.data, receiver.data, receiver.size) : 0;
}

static int resumed_compare(const void *left, const void *right)
{
	const struct resumed_item *one = left, *other = right;
	if (one->key != other->key)
		return one->key < other->key ? -1 : 1;
	return resumed_compare_receivers(one, other->receiver, other->is_group);
}

/* All in the first list. */
static bool resumed_join(struct resumed_list *lists, uint16_t shard_count)
{
	uint32_t count = 0;
	for (uint16_t i = 0; i < shard_count; i++)
		count += lists[i].count;
	struct resumed_item *joined = reallocarray(lists[0].items, count, sizeof(*joined));
	if (joined == NULL)
		return false;
	lists[0].items = joined;
	lists[0].capacity = count;
	for (uint16_t i = 1; i < shard_count; i++) {
		if (lists[i].count != 0)
			memcpy(joined + lists[0].count, lists[i].items, lists[i].count * sizeof(*joined));
		lists[0].count += lists[i].count;
		free(lists[i].items);
		lists[i] = (struct resumed_list){.items = NULL};
	}
	qsort(joined, count, sizeof(*joined), resumed_compare);
	return true;
}

static void resumed_fill(struct resumed *claims)
{
	for (uint32_t i = 0; i < claims->items.count; i++) {
		uint64_t key = claims->items.items[i].key;
		if (claims->count == 0 || claims->list[claims->count - 1].key != key) {
			claims->list[claims->count++] = (struct claim){.key = key, .first = i};
			claims->left[key >> 48]++;
		}
		claims->list[claims->count - 1].count++;
	}
}

static void resumed_free(struct resumed *claims)
{
	resumed_list_free(&claims->items);
	free(claims->list);
	free(claims->left);
	free(claims);
}

enum error resumed_make(struct resumed_list *lists, struct shard *shards, uint16_t shard_count)
{
	uint64_t count = 0;
	for (uint16_t i = 0; i < shard_count; i++)
		count += lists[i].count;
	if (count == 0)
		return ERROR_OK;
	struct resumed *claims =
		count <= UINT32_MAX && resumed_join(lists, shard_count) ? calloc(1, sizeof(*claims)) : NULL;
	if (claims == NULL)
		return ERROR_NO_MEMORY;
	claims->items = lists[0];
	lists[0] = (struct resumed_list){.items = NULL};
	claims->list = calloc(count, sizeof(*claims->list));
	claims->left = calloc(shard_count, sizeof(*claims->left));
	if (claims->list == NULL || claims->left == NULL) {
		resumed_free(claims);
		return ERROR_NO_MEMORY;
	}
	resumed_fill(claims);
	atomic_init(&claims->holders, shard_count);
	for (uint16_t i = 0; i < shard_count; i++)
		shards[i].sessions.resumed = claims;
	return ERROR_OK;
}

/* ---- from one program to the next ---- */

/* One receiver of a claim that has not ended. The texts lie behind all of them, in their order. */
struct resumed_note {
	uint64_t key;
	uint64_t commit;
	uint32_t receiver_bytes;
	uint8_t is_group;
	uint8_t state; /* enum claim_state */
	uint16_t unused;
};
LAYOUT_ROOT(resumed_note);
LAYOUT_ENUM(claim_state);

static void resumed_put(const struct resumed *claims, struct resumed_note *notes, uint8_t *text)
{
	for (uint32_t i = 0; i < claims->count; i++) {
		const struct claim *claim = &claims->list[i];
		for (uint32_t at = 0; claim->state != CLAIM_ENDED && at < claim->count; at++) {
			const struct resumed_item *item = &claims->items.items[claim->first + at];
			*notes++ = (struct resumed_note){.key = claim->key,
							 .commit = claim->commit,
							 .receiver_bytes = (uint32_t)item->receiver.size,
							 .is_group = item->is_group,
							 .state = claim->state};
			if (item->receiver.size != 0)
				memcpy(text, item->receiver.data, item->receiver.size);
			text += item->receiver.size;
		}
	}
}

enum error resumed_save(const struct shard *shards, const struct arena *arena)
{
	const struct resumed *claims = shards[0].sessions.resumed;
	uint32_t count = 0;
	size_t text_bytes = 0;
	for (uint32_t i = 0; claims != NULL && i < claims->count; i++) {
		const struct claim *claim = &claims->list[i];
		for (uint32_t at = 0; claim->state != CLAIM_ENDED && at < claim->count; at++, count++)
			text_bytes += claims->items.items[claim->first + at].receiver.size;
	}
	enum error error = arena_put(arena, RESUMED_COUNT_NOTE, &count, sizeof(count));
	if (error != ERROR_OK || count == 0)
		return error;
	size_t head_bytes = count * sizeof(struct resumed_note);
	uint8_t *note = malloc(head_bytes + text_bytes);
	if (note == NULL)
		return ERROR_NO_MEMORY;
	resumed_put(claims, (struct resumed_note *)(void *)note, note + head_bytes);
	error = arena_put(arena, RESUMED_NOTE, note, head_bytes + text_bytes);
	free(note);
	return error;
}

/* The heads' texts fill the rest, and keys ascend, as they were noted. */
static bool resumed_note_is_sound(struct slice kept, uint32_t count, uint16_t shard_count)
{
	const struct resumed_note *notes = (const void *)kept.data;
	uint64_t bytes = (uint64_t)count * sizeof(*notes);
	if (bytes > kept.size)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (notes[i].state >= CLAIM_ENDED || notes[i].key >> 48 >= shard_count ||
		    (i != 0 && notes[i].key < notes[i - 1].key))
			return false;
		bytes += notes[i].receiver_bytes;
	}
	return bytes == kept.size;
}

static void resumed_set_states(const struct resumed *claims, const struct resumed_note *notes)
{
	for (uint32_t i = 0; i < claims->count; i++) {
		struct claim *claim = &claims->list[i];
		claim->state = notes[claim->first].state;
		claim->commit = notes[claim->first].commit;
	}
}

enum error resumed_adopt(struct shard *shards, uint16_t shard_count, const struct arena *arena)
{
	uint32_t count = 0;
	struct slice kept;
	if (!arena_get_exact(arena, RESUMED_COUNT_NOTE, &count, sizeof(count)))
		return ERROR_NOT_FOUND;
	if (count == 0)
		return ERROR_OK;
	if (!arena_get(arena, RESUMED_NOTE, &kept) || !resumed_note_is_sound(kept, count, shard_count))
		return ERROR_NOT_FOUND;
	const struct resumed_note *notes = (const void *)kept.data;
	struct resumed_list *lists = calloc(shard_count, sizeof(*lists));
	enum error error = lists != NULL ? ERROR_OK : ERROR_NO_MEMORY;
	const uint8_t *text = kept.data + count * sizeof(*notes);
	for (uint32_t i = 0; i < count && error == ERROR_OK; i++) {
		error = resumed_list_add_one(&lists[0], notes[i].key, slice_of(text, notes[i].receiver_bytes),
					     notes[i].is_group != 0);
		text += notes[i].receiver_bytes;
	}
	if (error == ERROR_OK)
		error = resumed_make(lists, shards, shard_count);
	if (error == ERROR_OK)
		resumed_set_states(shards[0].sessions.resumed, notes);
	resumed_lists_free(&lists, shard_count);
	return error;
}

void resumed_close(struct shard *shard)
{
	struct resumed *claims = shard->sessions.resumed;
	shard->sessions.resumed = NULL;
	if (claims != NULL && atomic_fetch_sub(&claims->holders, 1) == 1)
		resumed_free(claims);
}

/* ---- finding ---- */

/* The first whose key is not less. */
static uint32_t resumed_place(const struct resumed *claims, uint64_t key)
{
	uint32_t low = 0, high = claims->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (claims->list[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct claim *resumed_find(const struct resumed *claims, uint64_t key)
{
	uint32_t place = resumed_place(claims, key);
	return place < claims->count && claims->list[place].key == key ? &claims->list[place] : NULL;
}

static bool resumed_has_receiver(const struct resumed *claims, const struct claim *claim, struct slice receiver,
				 bool is_group)
{
	uint32_t low = claim->first, high = claim->first + claim->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = resumed_compare_receivers(&claims->items.items[middle], receiver, is_group);
		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* ---- on the publisher's shard ---- */

/* Whether the shard's publishers have any. */
static bool resumed_are_left(const struct shard *shard)
{
	const struct resumed *claims = shard->sessions.resumed;
	return claims != NULL && claims->left[shard->env.number] != 0;
}

/* One that has not ended. */
static struct claim *resumed_find_own(const struct shard *shard, struct client_ref session, uint16_t packet_id)
{
	if (!resumed_are_left(shard))
		return NULL;
	struct claim *claim =
		resumed_find(shard->sessions.resumed, resumed_key(shard->env.number, session.index, packet_id));
	return claim != NULL && claim->state != CLAIM_ENDED ? claim : NULL;
}

static void claim_end(struct shard *shard, struct claim *claim)
{
	uint32_t *left = &shard->sessions.resumed->left[shard->env.number];
	CHECK(claim->state != CLAIM_ENDED && *left != 0);
	claim->state = CLAIM_ENDED;
	--*left;
}

enum resumed_answer resumed_publish(struct shard *shard, struct client_ref session, uint16_t packet_id, bool dup)
{
	struct claim *claim = resumed_find_own(shard, session, packet_id);
	if (claim == NULL)
		return RESUMED_NOT;
	if (claim->state == CLAIM_OPEN && dup)
		return RESUMED_AGAIN;
	if (claim->state == CLAIM_OPEN) {
		struct journal *journal = &shard->sessions.journal;
		journal_tell(journal)->completed(journal->context, session, packet_id);
		claim->state = CLAIM_ENDING;
		claim->commit = commit_waits_unsafe(&shard->routing.commits);
	}
	if (claim->commit != 0 && !commit_waits_is_safe(&shard->routing.commits, shard->env.number, claim->commit))
		return RESUMED_WAIT;
	claim_end(shard, claim);
	return RESUMED_NOT;
}

void resumed_end(struct shard *shard, struct client_ref session, uint16_t packet_id)
{
	struct claim *claim = resumed_find_own(shard, session, packet_id);
	if (claim != NULL)
		claim_end(shard, claim);
}

void resumed_give_up(struct shard *shard, struct client_ref session, uint16_t packet_id)
{
	struct journal *journal = &shard->sessions.journal;
	if (!shard_client(shard, session)->session.journaled)
		return;
	journal_tell(journal)->completed(journal->context, session, packet_id);
	resumed_end(shard, session, packet_id);
}

void resumed_end_session(struct shard *shard, struct client_ref session)
{
	if (!resumed_are_left(shard))
		return;
	const struct resumed *claims = shard->sessions.resumed;
	uint64_t from = resumed_key(shard->env.number, session.index, 0);
	for (uint32_t i = resumed_place(claims, from); i < claims->count && claims->list[i].key >> 16 == from >> 16;
	     i++) {
		if (claims->list[i].state != CLAIM_ENDED)
			claim_end(shard, &claims->list[i]);
	}
}

void resumed_tell(struct shard *shard, struct client_ref session, uint16_t generation)
{
	if (!resumed_are_left(shard))
		return;
	struct journal *journal = &shard->sessions.journal;
	const struct resumed *claims = shard->sessions.resumed;
	uint64_t from = resumed_key(shard->env.number, session.index, 0);
	for (uint32_t i = resumed_place(claims, from); i < claims->count && claims->list[i].key >> 16 == from >> 16;
	     i++) {
		const struct claim *claim = &claims->list[i];
		struct journal_taken told = {
			.publisher = {.session = session, .shard = shard->env.number, .generation = generation},
			.packet_id = (uint16_t)claim->key};
		for (uint32_t at = 0; claim->state == CLAIM_OPEN && at < claim->count; at++) {
			told.receiver = claims->items.items[claim->first + at].receiver;
			told.is_group = claims->items.items[claim->first + at].is_group;
			journal_tell(journal)->taken(journal->context, &told);
		}
		turn_work_charge(&shard->loop.work, WORK_NODE * (uint64_t)claim->count);
	}
}

/* ---- on a receiver's shard ---- */

bool resumed_is_taken(const struct shard *shard, const struct delivery *delivery,
		      const struct subscription *subscription)
{
	const struct resumed *claims = shard->sessions.resumed;
	const struct publisher_name *publisher = &delivery->publisher;
	CHECK(claims != NULL && delivery->publication.resumed && delivery->publication.qos == 2);
	uint16_t packet_id = publication_packet_id(&delivery->publication, delivery->packet);
	const struct claim *claim = resumed_find(claims, resumed_key(publisher->shard, publisher->index, packet_id));
	if (claim == NULL)
		return false; /* its publisher's session has ended meanwhile */
	if ((subscription->options & SUBSCRIPTION_SHARED) == 0) {
		const struct session *session = &shard_client(shard, subscription->client)->session;
		return resumed_has_receiver(claims, claim, registry_id(&shard->sessions.registry, session), false);
	}
	uint8_t text[RESUMED_FILTER_BYTES_MAX];
	size_t bytes = index_filter_text(shard->env.index, subscription->node, text, sizeof(text));
	CHECK_NE(bytes, 0u);
	return resumed_has_receiver(claims, claim, slice_of(text, bytes), true);
}

/* A checkpoint is under way here, or begins. */
static bool resumed_checkpoint_runs(const struct shard *shard)
{
	const struct journal *journal = &shard->sessions.journal;
	if (journal->checkpoints == NULL)
		return false;
	uint32_t wanted = journal->checkpoints->wanted(journal->context);
	return shard->sessions.retell.stage != RETELL_IDLE || (wanted != 0 && wanted != shard->sessions.retell.number);
}

void resumed_tell_group(struct shard *shard, const struct publisher_name *publisher, struct message_ref message,
			struct subscription_ref subscription)
{
	if (!resumed_checkpoint_runs(shard))
		return;
	const struct message *kept = message_at(&shard->mem.messages, message);
	CHECK(kept->publication.qos == 2 && !message_is_absent(kept));
	uint8_t text[RESUMED_FILTER_BYTES_MAX];
	uint32_t node = subscriptions_at(&shard->sessions.subscriptions, subscription)->node;
	size_t bytes = index_filter_text(shard->env.index, node, text, sizeof(text));
	CHECK_NE(bytes, 0u);
	struct journal_taken told = {
		.publisher = {{publisher->index}, publisher->shard, publisher->generation},
		.packet_id = publication_packet_id(&kept->publication, message_packet(&shard->mem.messages, kept)),
		.receiver = slice_of(text, bytes),
		.is_group = true,
	};
	struct journal *journal = &shard->sessions.journal;
	journal_tell(journal)->taken(journal->context, &told);
}
