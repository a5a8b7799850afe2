#include "session/flow_window.h"
#include "base/layout_root.h"

#include "base/check.h"

#include <string.h>

#define TABLE_MIN 64u
#define TABLE_MAX 65536u
_Static_assert((TABLE_MIN & (TABLE_MIN - 1)) == 0 && (TABLE_MAX & (TABLE_MAX - 1)) == 0, "a place is the last bits");
_Static_assert(TABLE_MAX > UINT16_MAX, "the largest table has a place for each packet identifier");

struct flow_window {
	uint32_t capacity; /* of the table, a power of two; 0: there is none */
	uint32_t cursor;
	struct flow_repeats repeats;
	/* By the last bits of the identifier. The identifiers in use are within a span from the oldest to the newest.
	 * No two of them share a place while the table is at least as long as that. */
	uint32_t entries[];
};
LAYOUT_ROOT(flow_window);

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
	CHECK_NE(window->capacity, 0u);
	return &window->entries[packet_id & (window->capacity - 1)];
}

void flow_window_free(struct flow *flow, struct flow_store *store)
{
	if (flow->window != 0)
		slab_give(store->messages->slab, flow->window,
			  flow_window_bytes_for(flow_window_of(flow, store)->capacity));
	flow->window = 0;
}

/* Replaces the block by one with an empty table of this capacity; keeps the rest. NULL: no memory, nothing changed. */
static struct flow_window *flow_window_resize(struct flow *flow, struct flow_store *store, uint32_t capacity)
{
	CHECK((capacity & (capacity - 1)) == 0 && capacity <= TABLE_MAX);
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

/* How many places the identifiers in flight span, from the oldest to the newest, and one to spare. Where they wrap,
 * that includes 0, which is never used. */
static uint32_t packet_id_span(const struct flow *flow, const struct flow_store *store)
{
	uint16_t oldest = flow_entry_at(store, flow_first(flow, store))->packet_id;
	return (uint32_t)(uint16_t)(flow->packet_id - oldest) + 2;
}

static bool rebuild_table(struct flow *flow, struct flow_store *store)
{
	uint32_t capacity = TABLE_MIN;
	while (capacity < TABLE_MAX && capacity < 2 * packet_id_span(flow, store))
		capacity *= 2;
	struct flow_window *window = flow_window_resize(flow, store, capacity);
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
	return (window != NULL && window->capacity != 0) || rebuild_table(flow, store);
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
	if (window->capacity < TABLE_MAX && packet_id_span(flow, store) > window->capacity) {
		if (!rebuild_table(flow, store))
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
	if (!repeats || flow_window_resize(flow, store, 0) == NULL)
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
		window = flow_window_resize(flow, store, 0);
	if (window != NULL)
		window->repeats = *repeats;
	else
		flow_window_free(flow, store);
}

bool flow_window_repeats(const struct flow *flow, const struct flow_store *store, struct flow_repeats *repeats)
{
	const struct flow_window *window = flow_window_of(flow, store);
	bool known = window != NULL && window->repeats.messages != 0;
	CHECK(!known || window->repeats.last != 0); /* without it, what is to be repeated would be dropped first */
	if (known)
		*repeats = window->repeats;
	return known;
}

void flow_window_repeated(const struct flow *flow, const struct flow_store *store, uint32_t bytes)
{
	struct flow_window *window = flow_window_of(flow, store);
	if (window == NULL || window->repeats.messages == 0)
		return;
	CHECK_LE(bytes, window->repeats.bytes);
	window->repeats.messages--;
	window->repeats.bytes -= bytes;
}

uint32_t flow_window_cursor(const struct flow *flow, const struct flow_store *store)
{
	const struct flow_window *window = flow_window_of(flow, store);
	/* An entry that was sent since is no use: the queue begins after it. */
	bool good = window != NULL && window->cursor != 0 && flow_entry_at(store, window->cursor)->packet_id == 0;
	return good ? window->cursor : 0;
}

void flow_window_set_cursor(struct flow *flow, struct flow_store *store, uint32_t entry)
{
	struct flow_window *window = flow_window_of(flow, store);
	if (window == NULL && entry != 0)
		window = flow_window_resize(flow, store, 0);
	if (window != NULL)
		window->cursor = entry;
}
