#include "session/flow_window.h"

#include <string.h>

#define TABLE_MIN 64u
#define TABLE_MAX 65536u

struct flow_window {
	uint32_t capacity; /* of the table, a power of two; 0: there is none */
	uint32_t cursor;
	struct flow_repeats repeats;
	/* By the last bits of the identifier. Those in use follow each other, so that none share a place while the
	 * table is longer than the way from the oldest to the newest. */
	uint32_t entries[];
};

static struct flow_window *flow_window_of(const struct flow *flow, const struct flow_store *store)
{
	return flow->window != 0 ? slab_at(store->messages->slab, flow->window) : NULL;
}

static size_t flow_window_bytes_for(uint32_t capacity)
{
	return sizeof(struct flow_window) + capacity * sizeof(uint32_t);
}

static uint32_t *flow_window_place_of(struct flow_window *window, uint16_t packet_id)
{
	return &window->entries[packet_id & (window->capacity - 1)];
}

void flow_window_free(struct flow *flow, struct flow_store *store)
{
	if (flow->window != 0)
		slab_give(store->messages->slab, flow->window,
			  flow_window_bytes_for(flow_window_of(flow, store)->capacity));
	flow->window = 0;
}

/* The block, with a table of this capacity that is empty, and the rest as it was. NULL: no memory, as it was. */
static struct flow_window *resize(struct flow *flow, struct flow_store *store, uint32_t capacity)
{
	struct slab *slab = store->messages->slab;
	uint32_t ref = slab_take(slab, flow_window_bytes_for(capacity));
	if (ref == 0)
		return NULL;
	struct flow_window *window = slab_at(slab, ref);
	const struct flow_window *before = flow_window_of(flow, store);
	window->repeats = before != NULL ? before->repeats : (struct flow_repeats){0};
	window->cursor = before != NULL ? before->cursor : 0;
	window->capacity = capacity;
	memset(window->entries, 0, capacity * sizeof(window->entries[0]));
	flow_window_free(flow, store);
	flow->window = ref;
	return window;
}

/* Identifiers from the oldest to the newest that was given, both with their neighbours: 0 is left out on the way. */
static uint32_t span(const struct flow *flow, const struct flow_store *store)
{
	uint16_t oldest = flow_entry_at(store, flow_first(flow, store))->packet_id;
	return (uint32_t)(uint16_t)(flow->packet_id - oldest) + 2;
}

static bool build(struct flow *flow, struct flow_store *store)
{
	uint32_t capacity = TABLE_MIN;
	while (capacity < TABLE_MAX && capacity < 2 * span(flow, store))
		capacity *= 2;
	struct flow_window *window = resize(flow, store, capacity);
	if (window == NULL)
		return false;
	for (uint32_t at = flow_first(flow, store); at != 0 && at != flow->unsent; at = flow_next(flow, store, at)) {
		const struct flow_entry *entry = flow_entry_at(store, at);
		if (entry->state != FLOW_DONE)
			*flow_window_place_of(window, entry->packet_id) = at;
	}
	return true;
}

bool flow_window_make_table(struct flow *flow, struct flow_store *store)
{
	const struct flow_window *window = flow_window_of(flow, store);
	return (window != NULL && window->capacity != 0) || build(flow, store);
}

uint32_t flow_window_find(const struct flow *flow, const struct flow_store *store, uint16_t packet_id)
{
	return *flow_window_place_of(flow_window_of(flow, store), packet_id);
}

void flow_window_add(struct flow *flow, struct flow_store *store, uint32_t entry)
{
	struct flow_window *window = flow_window_of(flow, store);
	if (window->capacity == 0)
		return;
	if (window->capacity < TABLE_MAX && span(flow, store) > window->capacity) {
		if (!build(flow, store))
			flow_window_free(flow, store);
		return;
	}
	*flow_window_place_of(window, flow_entry_at(store, entry)->packet_id) = entry;
}

void flow_window_drop_table(struct flow *flow, struct flow_store *store)
{
	const struct flow_window *window = flow_window_of(flow, store);
	if (window == NULL || window->capacity == 0)
		return;
	bool repeats = flow->unsent != 0 && flow_entry_at(store, flow->unsent)->packet_id != 0;
	if (!repeats || resize(flow, store, 0) == NULL)
		flow_window_free(flow, store);
}

void flow_window_moved(const struct flow *flow, const struct flow_store *store, uint32_t from, uint32_t to)
{
	struct flow_window *window = flow_window_of(flow, store);
	if (window == NULL)
		return;
	if (window->repeats.last == from)
		window->repeats.last = to;
	if (window->cursor == from)
		window->cursor = to;
}

void flow_window_forget(const struct flow *flow, const struct flow_store *store, uint32_t entry)
{
	struct flow_window *window = flow_window_of(flow, store);
	if (window == NULL)
		return;
	flow_window_moved(flow, store, entry, 0);
	uint16_t packet_id = flow_entry_at(store, entry)->packet_id;
	if (window->capacity != 0 && *flow_window_place_of(window, packet_id) == entry)
		*flow_window_place_of(window, packet_id) = 0;
}

void flow_window_rewind(struct flow *flow, struct flow_store *store, const struct flow_repeats *repeats, bool many)
{
	struct flow_window *window = flow_window_of(flow, store);
	if (window != NULL ? window->capacity != 0 : many)
		window = resize(flow, store, 0);
	if (window != NULL)
		window->repeats = *repeats;
	else
		flow_window_free(flow, store);
}

bool flow_window_repeats(const struct flow *flow, const struct flow_store *store, struct flow_repeats *repeats)
{
	const struct flow_window *window = flow_window_of(flow, store);
	bool known = window != NULL && window->repeats.messages != 0;
	if (known)
		*repeats = window->repeats;
	return known;
}

void flow_window_repeated(const struct flow *flow, const struct flow_store *store, uint32_t bytes)
{
	struct flow_window *window = flow_window_of(flow, store);
	if (window == NULL || window->repeats.messages == 0)
		return;
	window->repeats.messages--;
	window->repeats.bytes -= bytes;
}

uint32_t flow_window_cursor(const struct flow *flow, const struct flow_store *store)
{
	const struct flow_window *window = flow_window_of(flow, store);
	/* One that was sent since is of no use: those behind it begin the queue. */
	bool good = window != NULL && window->cursor != 0 && flow_entry_at(store, window->cursor)->packet_id == 0;
	return good ? window->cursor : 0;
}

void flow_window_set_cursor(struct flow *flow, struct flow_store *store, uint32_t entry)
{
	struct flow_window *window = flow_window_of(flow, store);
	if (window == NULL && entry != 0)
		window = resize(flow, store, 0);
	if (window != NULL)
		window->cursor = entry;
}
