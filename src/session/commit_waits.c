#include "session/commit_waits.h"

#include "base/check.h"

#include <stdlib.h>

#define CAPACITY_MIN 64u
/* A ring that has grown beyond this is given back when it is empty. */
#define CAPACITY_KEPT 4096u
_Static_assert((CAPACITY_MIN & (CAPACITY_MIN - 1)) == 0, "a place in a ring is found by a mask");

enum error commit_waits_open(struct commit_waits *waits, const struct journal *journal, uint16_t shards, uint16_t self)
{
	CHECK_LT(self, shards);
	*waits = (struct commit_waits){
		.safety = journal->safety, .context = journal->context, .shards = shards, .self = self};
	if (journal->safety == NULL)
		return ERROR_OK;
	waits->queues = calloc(shards, sizeof(*waits->queues));
	return waits->queues != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

void commit_waits_close(struct commit_waits *waits)
{
	for (uint16_t i = 0; waits->queues != NULL && i < waits->shards; i++)
		free(waits->queues[i].items);
	free(waits->queues);
	*waits = (struct commit_waits){0};
}

uint64_t commit_waits_unsafe(const struct commit_waits *waits)
{
	if (waits->safety == NULL)
		return 0;
	uint64_t told = waits->safety->told(waits->context);
	return waits->safety->safe(waits->context, waits->self) < told ? told : 0;
}

uint64_t commit_waits_behind(const struct commit_waits *waits)
{
	if (waits->safety == NULL)
		return 0;
	return waits->queues[waits->self].count != 0 ? waits->safety->told(waits->context) : commit_waits_unsafe(waits);
}

bool commit_waits_is_safe(const struct commit_waits *waits, uint16_t shard, uint64_t commit)
{
	CHECK(waits->safety != NULL && shard < waits->shards);
	return waits->safety->safe(waits->context, shard) >= commit;
}

/* ---- rings ---- */

static struct commit_wait *wait_at(const struct commit_queue *queue, uint32_t place)
{
	return &queue->items[(queue->first + place) & (queue->capacity - 1)];
}

static enum error commit_queue_grow(struct commit_queue *queue)
{
	uint32_t capacity = queue->capacity != 0 ? queue->capacity * 2 : CAPACITY_MIN;
	struct commit_wait *items = malloc(capacity * sizeof(*items));
	if (items == NULL || capacity < queue->capacity) {
		free(items);
		return ERROR_NO_MEMORY;
	}
	for (uint32_t i = 0; i < queue->count; i++)
		items[i] = *wait_at(queue, i);
	free(queue->items);
	queue->items = items;
	queue->first = 0;
	queue->capacity = capacity;
	return ERROR_OK;
}

/* Numbers are compared by their low halves: no commit is waited for while two thousand million others become safe. */
static bool is_before(uint32_t commit, uint32_t other)
{
	return (int32_t)(commit - other) < 0;
}

enum error commit_waits_push(struct commit_waits *waits, uint16_t shard, uint64_t commit,
			     const struct commit_wait *wait)
{
	CHECK(waits->safety != NULL && shard < waits->shards && commit != 0);
	struct commit_queue *queue = &waits->queues[shard];
	if (queue->count == queue->capacity && commit_queue_grow(queue) != ERROR_OK)
		return ERROR_NO_MEMORY;
	/* Batches that come back together need not be in the order of their commits. */
	uint32_t number = (uint32_t)commit;
	if (queue->count != 0 && is_before(number, queue->last))
		number = queue->last;
	struct commit_wait *pushed = wait_at(queue, queue->count++);
	*pushed = *wait;
	pushed->commit = queue->last = number;
	waits->waiting++;
	return ERROR_OK;
}

static bool commit_queue_is_ready(const struct commit_waits *waits, uint16_t shard)
{
	const struct commit_queue *queue = &waits->queues[shard];
	if (queue->count == 0)
		return false;
	uint32_t safe = (uint32_t)waits->safety->safe(waits->context, shard);
	return !is_before(safe, wait_at(queue, 0)->commit);
}

static void commit_queue_pop(struct commit_queue *queue, struct commit_wait *wait)
{
	*wait = *wait_at(queue, 0);
	queue->first = (queue->first + 1) & (queue->capacity - 1);
	if (--queue->count != 0 || queue->capacity <= CAPACITY_KEPT)
		return;
	free(queue->items);
	*queue = (struct commit_queue){0};
}

bool commit_waits_next(struct commit_waits *waits, struct commit_wait *wait)
{
	for (uint16_t looked = 0; waits->waiting != 0 && looked < waits->shards; looked++) {
		if (commit_queue_is_ready(waits, waits->next)) {
			commit_queue_pop(&waits->queues[waits->next], wait);
			waits->waiting--;
			return true;
		}
		waits->next = (uint16_t)(waits->next + 1u == waits->shards ? 0 : waits->next + 1u);
	}
	return false;
}

bool commit_waits_are_ready(const struct commit_waits *waits)
{
	for (uint16_t shard = 0; waits->waiting != 0 && shard < waits->shards; shard++) {
		if (commit_queue_is_ready(waits, shard))
			return true;
	}
	return false;
}

void commit_waits_announce(struct commit_waits *waits)
{
	bool awaits = waits->waiting != 0;
	if (awaits == waits->awaits)
		return;
	waits->awaits = awaits;
	waits->safety->await(waits->context, awaits);
}
