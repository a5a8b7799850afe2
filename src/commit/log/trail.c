#include "commit/log/trail.h"

#include "base/check.h"
#include "commit/told/sleeper.h"

#include <stdlib.h>
#include <string.h>

void trail_init(struct trail *trail, struct sleeper *writer)
{
	*trail = (struct trail){.writer = writer, .confirmed = TRAIL_NOT_AWAITED};
	CHECK(pthread_mutex_init(&trail->lock, NULL) == 0);
}

void trail_fini(struct trail *trail)
{
	pthread_mutex_destroy(&trail->lock);
	free(trail->segments);
	*trail = (struct trail){.confirmed = TRAIL_NOT_AWAITED};
}

/* ---- the writer's side ---- */

/* What is asked for is the last one, or near it. */
static struct trail_segment *trail_find(const struct trail *trail, uint32_t number)
{
	for (uint32_t i = trail->count; i-- > 0 && trail->segments[i].number >= number;) {
		if (trail->segments[i].number == number)
			return &trail->segments[i];
	}
	return NULL;
}

static void trail_lock(struct trail *trail)
{
	pthread_mutex_lock(&trail->lock);
}

/* segment: that has changed; NULL: none. */
static void trail_changed(struct trail *trail, struct trail_segment *segment)
{
	uint64_t position = atomic_load_explicit(&trail->position, memory_order_relaxed) + 1;
	if (segment != NULL)
		segment->position = position;
	atomic_store_explicit(&trail->position, position, memory_order_release);
	if (trail->follower != NULL)
		sleeper_wake(trail->follower);
	pthread_mutex_unlock(&trail->lock);
}

void trail_add(struct trail *trail, uint32_t number, uint64_t bytes, bool is_shown, bool is_old)
{
	if (trail == NULL)
		return;
	trail_lock(trail);
	if (trail->count == trail->capacity && !trail->is_short) {
		uint32_t more = trail->capacity * 2 + 16;
		struct trail_segment *grown = reallocarray(trail->segments, more, sizeof(*grown));
		trail->is_short = grown == NULL;
		if (grown != NULL) {
			trail->segments = grown;
			trail->capacity = more;
		}
	}
	struct trail_segment *segment = NULL;
	if (!trail->is_short) {
		CHECK(trail->count == 0 || trail->segments[trail->count - 1].number < number);
		segment = &trail->segments[trail->count++];
		*segment = (struct trail_segment){
			.number = number, .bytes = bytes, .is_shown = is_shown, .is_old = is_old};
	}
	trail_changed(trail, segment);
}

void trail_show(struct trail *trail, uint32_t number)
{
	if (trail == NULL)
		return;
	trail_lock(trail);
	struct trail_segment *segment = trail_find(trail, number);
	if (segment != NULL)
		segment->is_shown = true;
	trail_changed(trail, segment);
}

void trail_grow(struct trail *trail, uint32_t number, uint64_t bytes)
{
	if (trail == NULL)
		return;
	trail_lock(trail);
	struct trail_segment *segment = trail_find(trail, number);
	if (segment != NULL) {
		segment->bytes = bytes;
		segment->is_old = false;
	}
	trail_changed(trail, segment);
}

void trail_remove(struct trail *trail, uint32_t number)
{
	if (trail == NULL)
		return;
	trail_lock(trail);
	struct trail_segment *segment = trail_find(trail, number);
	if (segment != NULL) {
		size_t behind = (size_t)(trail->segments + trail->count - (segment + 1));
		memmove(segment, segment + 1, behind * sizeof(*segment));
		trail->count--;
	}
	trail_changed(trail, NULL);
}

/* ---- the follower's side ---- */

void trail_follow(struct trail *trail, struct sleeper *follower)
{
	trail_lock(trail);
	trail->follower = follower;
	pthread_mutex_unlock(&trail->lock);
}

bool trail_copy(struct trail *trail, struct trail_segment **segments, uint32_t *capacity, uint32_t *count,
		uint64_t *position)
{
	trail_lock(trail);
	bool good = !trail->is_short;
	if (good && *capacity < trail->count) {
		struct trail_segment *grown = reallocarray(*segments, trail->capacity, sizeof(*grown));
		good = grown != NULL;
		if (good) {
			*segments = grown;
			*capacity = trail->capacity;
		}
	}
	if (good) {
		*count = trail->count;
		*position = atomic_load_explicit(&trail->position, memory_order_relaxed);
		if (trail->count != 0)
			memcpy(*segments, trail->segments, trail->count * sizeof(**segments));
	}
	pthread_mutex_unlock(&trail->lock);
	return good;
}

void trail_confirm(struct trail *trail, uint64_t position)
{
	/* Sequentially consistent, as sleeper_wake() needs it: the writer looks once more before it sleeps. */
	if (atomic_exchange(&trail->confirmed, position) != position)
		sleeper_wake(trail->writer);
}
