#include "shard/freeze/carry.h"

#include "base/check.h"
#include "base/layout_root.h"
#include "client/review.h"
#include "deliver/origin/origin.h"
#include "lifecycle/stored/retell.h"
#include "memory/notes.h"
#include "shard/freeze/freeze.h"
#include "state/shard.h"

#include <stdlib.h>
#include <string.h>

/* The fixed part; lists are notes of their own. */
struct shard_note {
	uint64_t wheel_tick;
	uint32_t wheel_heads[WHEEL_SLOTS];
	uint32_t wheel_filed;
	uint32_t started_s;
	struct deadline_base deadlines;
	uint32_t sys_next_s;
	uint32_t loss_log_next_s;
	/* Of io, whose sums the counters show. */
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t read_count;
	uint64_t write_count;
	uint64_t backlog_bytes;
	/* Of publishers that wait. */
	uint64_t congestion_looked_ms;
	uint64_t congestion_excess_bytes;
	uint32_t congestion_stuck;
	uint32_t congestion_stuck_since_s;
	/* Of the gateway's own messages. */
	uint64_t own_queued;
	uint64_t own_left;
	int32_t poller;
	uint32_t fixed_files; /* there are some */
	uint32_t starved;     /* so are queues that stopped where memory was short */
	uint32_t takes_origins;
};
LAYOUT_ROOT(shard_note);
LAYOUT_ROOT(counters);
LAYOUT_ENUM(counter);
LAYOUT_ROOT(congestion_board);

static struct shard_note note_of(const struct shard *shard)
{
	const struct congestion *congestion = &shard->routing.congestion;
	struct shard_note note = {
		.wheel_tick = shard->loop.wheel.tick,
		.wheel_filed = shard->loop.wheel.filed,
		.started_s = shard->loop.started_s,
		.deadlines = shard->loop.deadlines,
		.sys_next_s = shard->loop.sys_next_s,
		.loss_log_next_s = shard->routing.loss_log_next_s,
		.bytes_in = shard->mem.io.bytes_in,
		.bytes_out = shard->mem.io.bytes_out,
		.read_count = shard->mem.io.read_count,
		.write_count = shard->mem.io.write_count,
		.backlog_bytes = shard->mem.io.backlog_bytes,
		.congestion_looked_ms = congestion->looked_ms,
		.congestion_excess_bytes = congestion->excess_bytes,
		.congestion_stuck = congestion->stuck,
		.congestion_stuck_since_s = congestion->stuck_since_s,
		.own_queued = shard->routing.routings.own_queued,
		.own_left = shard->routing.routings.own_left,
		.poller = shard->loop.poller.fd,
		.fixed_files = shard->env.fixed.sockets != 0,
		.takes_origins = origins_are_taken_by(shard, shard->env.number),
		.starved = shard->mem.loads.starved || shard->mem.loads.starved_next != 0,
	};
	memcpy(note.wheel_heads, shard->loop.wheel.heads, sizeof(note.wheel_heads));
	return note;
}

static enum error put_list(const struct arena *arena, const char *name, const struct client_list *list)
{
	return arena_put(arena, name, list->items, list->count * sizeof(list->items[0]));
}

static enum error get_list(const struct shard *shard, const char *name, struct client_list *list)
{
	struct slice kept;
	if (!arena_get(shard->env.arena, name, &kept) || kept.size % sizeof(struct client_ref) != 0)
		return ERROR_NOT_FOUND;
	const struct client_ref *refs = (const void *)kept.data;
	for (size_t i = 0; i < kept.size / sizeof(*refs); i++) {
		if (refs[i].index - 1 >= shard->mem.clients.touched)
			return ERROR_NOT_FOUND;
		client_list_push(list, refs[i]);
	}
	return ERROR_OK;
}

enum error carry_save(struct shard *shard)
{
	const struct arena *arena = shard->env.arena;
	struct shard_note note = note_of(shard);
	CHECK(shard->shared.freeze.resumes && shard->routing.acks_awaited.count == 0);
	enum error error = arena_put(arena, "loop", &note, sizeof(note));
	if (error == ERROR_OK)
		error = put_list(arena, "ready", &shard->loop.ready);
	if (error == ERROR_OK)
		error = put_list(arena, "congested", &shard->routing.congestion.congested);
	if (error == ERROR_OK)
		error = put_list(arena, "held", &shard->routing.congestion.held);
	if (error == ERROR_OK)
		error = arena_put(arena, "board", &shard->env.boards[shard->env.number],
				  sizeof(struct congestion_board));
	if (error == ERROR_OK)
		error = arena_put(arena, "counters", &shard->counters, sizeof(shard->counters));
	if (error == ERROR_OK)
		error = retell_save(shard);
	if (error == ERROR_OK && note.fixed_files)
		error = fixed_files_save(&shard->mem.io.fixed_files, arena);
	return error;
}

static void take_note(struct shard *shard, const struct shard_note *note)
{
	struct congestion *congestion = &shard->routing.congestion;
	shard->loop.wheel.pool = &shard->mem.clients;
	shard->loop.wheel.node_offset = offsetof(struct client, timer);
	shard->loop.wheel.tick = note->wheel_tick;
	shard->loop.wheel.filed = note->wheel_filed;
	memcpy(shard->loop.wheel.heads, note->wheel_heads, sizeof(note->wheel_heads));
	shard->loop.started_s = note->started_s;
	shard->loop.deadlines = note->deadlines;
	shard->loop.sys_next_s = note->sys_next_s;
	shard->routing.loss_log_next_s = note->loss_log_next_s;
	shard->mem.io.bytes_in = note->bytes_in;
	shard->mem.io.bytes_out = note->bytes_out;
	shard->mem.io.read_count = note->read_count;
	shard->mem.io.write_count = note->write_count;
	shard->mem.io.backlog_bytes = note->backlog_bytes;
	congestion->looked_ms = note->congestion_looked_ms;
	congestion->excess_bytes = note->congestion_excess_bytes;
	congestion->stuck = note->congestion_stuck;
	congestion->stuck_since_s = note->congestion_stuck_since_s;
	shard->routing.routings.own_queued = note->own_queued;
	shard->routing.routings.own_left = note->own_left;
	shard->mem.loads.starved = note->starved != 0;
	shard->loop.poller.fd = note->poller;
	if (note->takes_origins)
		origins_take(shard);
}

static uint64_t counted(const struct shard *shard, enum counter counter)
{
	return atomic_load_explicit(&shard->counters.values[counter], memory_order_relaxed);
}

/* Those that are kept elsewhere, and set from there each turn (shard/gauges.h). */
static void go_on_from_counters(struct shard *shard)
{
	shard->loop.overload.stall_count = counted(shard, COUNTER_stalled_turns);
	shard->guard.sign_in.tokens_verified = counted(shard, COUNTER_tokens_verified);
	shard->guard.acl_cache.hits = counted(shard, COUNTER_acl_cache_hits);
	shard->guard.acl_cache.misses = counted(shard, COUNTER_acl_cache_misses);
}

static bool shard_note_is_sound(const struct shard *shard, const struct shard_note *note)
{
	for (uint32_t i = 0; i < WHEEL_SLOTS; i++) {
		if (note->wheel_heads[i] > shard->mem.clients.touched)
			return false;
	}
	return note->poller >= 0 && (note->fixed_files != 0) == (shard->env.fixed.sockets != 0);
}

enum error carry_adopt(struct shard *shard)
{
	const struct arena *arena = shard->env.arena;
	struct shard_note note;
	if (!arena_get_exact(arena, "loop", &note, sizeof(note)) || !shard_note_is_sound(shard, &note) ||
	    !arena_get_exact(arena, "counters", &shard->counters, sizeof(shard->counters)) ||
	    !arena_get_exact(arena, "board", &shard->env.boards[shard->env.number], sizeof(struct congestion_board)))
		return ERROR_NOT_FOUND;
	take_note(shard, &note);
	go_on_from_counters(shard);
	enum error error = get_list(shard, "ready", &shard->loop.ready);
	if (error == ERROR_OK)
		error = get_list(shard, "congested", &shard->routing.congestion.congested);
	if (error == ERROR_OK)
		error = get_list(shard, "held", &shard->routing.congestion.held);
	if (error == ERROR_OK)
		error = retell_adopt(shard);
	if (error == ERROR_OK && note.fixed_files) {
		fixed_files_close(&shard->mem.io.fixed_files);
		error = fixed_files_adopt(&shard->mem.io.fixed_files, arena);
	}
	/* Rules may be others by now. */
	review_all(shard);
	shard->shared.freeze.resumes = true;
	return error;
}
