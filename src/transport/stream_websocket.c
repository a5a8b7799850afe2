#include "transport/stream_websocket.h"
#include "base/layout_root.h"

#include "memory/notes.h"
#include "transport/websocket_read.h"
#include "transport/websocket_write.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

LAYOUT_ROOT(websocket);

/* More than any frame that is written from it: a head, and 16 KiB. */
#define SCRATCH_BYTES ((size_t)17 * 1024)
/* Of the slab, for each stream: what is under way, and what came behind its upgrade. */
#define STREAM_BYTES_MAX ((size_t)1024)
#define SLAB_BYTES_MIN ((size_t)16 << 20)

/* ---- reading and writing ---- */

static ssize_t websocket_receive(struct streams *streams, struct stream stream, void *buffer, size_t size, bool *more)
{
	return websocket_read(streams, websocket_of(streams, stream), buffer, size, more);
}

static bool websocket_pending(struct streams *streams, struct stream stream)
{
	const struct websocket *websocket = websocket_of(streams, stream);
	const struct websocket_busy *busy = websocket_busy(websockets_of(streams), websocket);
	return (websocket->bits & WEBSOCKET_ENDED) != 0 || (busy != NULL && busy->unread != 0) ||
	       stream_pending(streams, websocket->below);
}

static ssize_t websocket_sendv(struct streams *streams, struct stream stream, const struct iovec *parts, size_t count)
{
	return websocket_write(streams, websocket_of(streams, stream), parts, count);
}

static ssize_t websocket_send(struct streams *streams, struct stream stream, const void *bytes, size_t size)
{
	struct iovec part = {(void *)(uintptr_t)bytes, size};
	return websocket_write(streams, websocket_of(streams, stream), &part, 1);
}

static int websocket_stage_descriptor(const struct streams *streams, struct stream stream)
{
	return websocket_write_descriptor(streams, websocket_of(streams, stream));
}

static bool websocket_stage(struct streams *streams, struct stream stream, const struct iovec *parts, size_t count,
			    struct stream_room room, struct slice *bytes)
{
	return websocket_write_stage(streams, websocket_of(streams, stream), parts, count, room, bytes);
}

static ssize_t websocket_staged(struct streams *streams, struct stream stream, size_t size, struct slice bytes,
				ssize_t result)
{
	return websocket_write_staged(streams, websocket_of(streams, stream), size, bytes, result);
}

static int websocket_flush(struct streams *streams, struct stream stream)
{
	return websocket_write_on(streams, websocket_of(streams, stream));
}

/* ---- what is the socket's ---- */

static void websocket_acknowledge(struct streams *streams, struct stream stream)
{
	stream_acknowledge(streams, websocket_of(streams, stream)->below);
}

static int websocket_borrow(struct streams *streams, struct stream stream)
{
	return stream_borrow(streams, websocket_of(streams, stream)->below);
}

static void websocket_give_back(struct streams *streams, struct stream stream, int fd)
{
	stream_give_back(streams, websocket_of(streams, stream)->below, fd);
}

static struct stream websocket_settle(struct streams *streams, struct stream stream)
{
	struct websocket *websocket = websocket_of(streams, stream);
	websocket->below = stream_settle(streams, websocket->below);
	return stream;
}

static void websocket_describe(const struct streams *streams, struct stream stream, struct stream_facts *facts)
{
	const struct websocket *websocket = websocket_of(streams, stream);
	const struct websocket_busy *busy = websocket_busy(websockets_of(streams), websocket);
	*facts = stream_facts(streams, websocket->below);
	facts->is_websocket = true;
	if (busy != NULL && facts->error == ERROR_OK)
		facts->error = (enum error)busy->error;
}

/* ---- the end ---- */

static void websocket_shutdown(struct streams *streams, struct stream stream)
{
	struct websocket *websocket = websocket_of(streams, stream);
	websocket->bits |= WEBSOCKET_CUT;
	stream_shutdown(streams, websocket->below);
}

static void websocket_end(struct streams *streams, struct stream stream)
{
	struct websocket *websocket = websocket_of(streams, stream);
	websocket_write_close(streams, websocket);
	stream_close(streams, websocket->below);
	websocket_busy_drop(websockets_of(streams), websocket);
	pool_give(&websockets_of(streams)->pool, (uint32_t)stream_number(stream));
}

/* ---- moving ---- */

/* As long as it has to be: nearly all have nothing under way. */
struct websocket_carry {
	struct stream_carry below;
	uint32_t bits;
	uint32_t unread_bytes;
	uint8_t bytes[]; /* struct websocket_busy, where bits say so; what came behind the upgrade */
};

static size_t carried_busy_bytes(uint32_t bits)
{
	return (bits & WEBSOCKET_REF_BITS) != 0 ? sizeof(struct websocket_busy) : 0;
}

static struct websocket_carry *carry_new(const struct websocket_streams *websockets, const struct websocket *websocket)
{
	const struct websocket_busy *busy = websocket_busy(websockets, websocket);
	const struct websocket_unread *unread = NULL;
	if (busy != NULL && busy->unread != 0)
		unread = websocket_unread_at(websockets, busy);
	uint32_t unread_bytes = unread != NULL ? unread->size - unread->given : 0;
	size_t busy_bytes = carried_busy_bytes(websocket->bits);
	struct websocket_carry *carry = malloc(sizeof(*carry) + busy_bytes + unread_bytes);
	if (carry == NULL)
		return NULL;
	carry->bits = websocket->bits;
	carry->unread_bytes = unread_bytes;
	if (busy != NULL)
		memcpy(carry->bytes, busy, busy_bytes);
	if (unread != NULL)
		memcpy(carry->bytes + busy_bytes, unread->bytes + unread->given, unread_bytes);
	return carry;
}

static int websocket_release(struct streams *streams, struct stream stream, struct stream_carry *carry)
{
	struct websocket_streams *websockets = websockets_of(streams);
	struct websocket *websocket = websocket_of(streams, stream);
	struct websocket_carry *carried = carry_new(websockets, websocket);
	if (carried == NULL) {
		errno = ENOMEM;
		return -1;
	}
	int fd = stream_release(streams, websocket->below, &carried->below);
	if (fd < 0) {
		free(carried);
		return -1;
	}
	websocket_busy_drop(websockets, websocket);
	pool_give(&websockets->pool, (uint32_t)stream_number(stream));
	*carry = (struct stream_carry){.state = carried, .kind = STREAM_WEBSOCKET};
	return fd;
}

static bool unread_keep(struct websocket_streams *websockets, struct websocket *websocket, struct slice bytes)
{
	struct websocket_busy *busy = websocket_busy_take(websockets, websocket);
	struct websocket_unread *unread = busy != NULL ? websocket_unread_take(websockets, busy, bytes.size) : NULL;
	if (unread == NULL)
		return false;
	memcpy(unread->bytes, bytes.data, bytes.size);
	return true;
}

static bool busy_restore(struct websocket_streams *websockets, struct websocket *websocket,
			 const struct websocket_carry *carried)
{
	websocket->bits = carried->bits & ~WEBSOCKET_REF_BITS;
	if ((carried->bits & WEBSOCKET_REF_BITS) == 0)
		return true;
	struct websocket_busy *busy = websocket_busy_take(websockets, websocket);
	if (busy == NULL)
		return false;
	size_t busy_bytes = carried_busy_bytes(carried->bits);
	memcpy(busy, carried->bytes, busy_bytes);
	busy->unread = 0;
	return carried->unread_bytes == 0 ||
	       unread_keep(websockets, websocket, slice_of(carried->bytes + busy_bytes, carried->unread_bytes));
}

/* A new one's index, with nothing beneath it yet; 0: no memory. */
static uint32_t websocket_take(struct websocket_streams *websockets)
{
	uint32_t index = pool_take(&websockets->pool);
	if (index != 0)
		*(struct websocket *)pool_at(&websockets->pool, index) = (struct websocket){.below = STREAM_NONE};
	return index;
}

static void websocket_give(struct websocket_streams *websockets, uint32_t index)
{
	websocket_busy_drop(websockets, pool_at(&websockets->pool, index));
	pool_give(&websockets->pool, index);
}

static struct stream websocket_adopt(struct streams *streams, int fd, struct stream_carry *carry)
{
	struct websocket_streams *websockets = websockets_of(streams);
	struct websocket_carry *carried = carry->state;
	CHECK(carried != NULL);
	uint32_t index = websocket_take(websockets);
	if (index == 0)
		return STREAM_NONE;
	struct websocket *websocket = pool_at(&websockets->pool, index);
	if (busy_restore(websockets, websocket, carried))
		websocket->below = stream_adopt(streams, fd, &carried->below);
	if (!stream_exists(websocket->below)) {
		websocket_give(websockets, index);
		return STREAM_NONE;
	}
	free(carried);
	return stream_of(STREAM_WEBSOCKET, (int)index);
}

static void websocket_drop(const struct streams *streams, struct stream_carry *carry)
{
	struct websocket_carry *carried = carry->state;
	stream_carry_drop(streams, &carried->below);
	free(carried);
}

/* ---- opening ---- */

static const struct stream_ops WEBSOCKET_OPS = {
	.receive = websocket_receive,
	.pending = websocket_pending,
	.send = websocket_send,
	.sendv = websocket_sendv,
	.flush = websocket_flush,
	.stage_descriptor = websocket_stage_descriptor,
	.stage = websocket_stage,
	.staged = websocket_staged,
	.acknowledge = websocket_acknowledge,
	.shutdown = websocket_shutdown,
	.close = websocket_end,
	.borrow = websocket_borrow,
	.give_back = websocket_give_back,
	.describe = websocket_describe,
	.settle = websocket_settle,
	.release = websocket_release,
	.adopt = websocket_adopt,
	.drop = websocket_drop,
};

/* What the kind is beside its pool and slab. */
struct websocket_streams_note {
	uint64_t pings;
	uint64_t failures;
};
LAYOUT_ROOT(websocket_streams_note);

static enum error websocket_find_note(struct websocket_streams *websockets, const struct arena *arena)
{
	struct websocket_streams_note note;
	if (!arena_is_adopted(arena))
		return ERROR_OK;
	if (!arena_get_exact(arena, "websocket streams", &note, sizeof(note)))
		return ERROR_NOT_FOUND;
	websockets->pings = note.pings;
	websockets->failures = note.failures;
	return ERROR_OK;
}

enum error websocket_streams_save(const struct websocket_streams *websockets, const struct arena *arena)
{
	struct websocket_streams_note note = {.pings = websockets->pings, .failures = websockets->failures};
	enum error error = arena_put(arena, "websocket streams", &note, sizeof(note));
	if (error == ERROR_OK)
		error = pool_save(&websockets->pool, arena);
	return error == ERROR_OK ? slab_save(&websockets->slab, arena) : error;
}

enum error websocket_streams_open(struct websocket_streams *websockets, struct streams *streams, struct arena *arena,
				  uint32_t limit, bool masks)
{
	size_t slab_bytes = (size_t)limit * STREAM_BYTES_MAX + SLAB_BYTES_MIN;
	if (slab_bytes > WEBSOCKET_SLAB_BYTES_MAX)
		slab_bytes = WEBSOCKET_SLAB_BYTES_MAX;
	*websockets = (struct websocket_streams){.masks = masks, .close_code = WS_CLOSE_NORMAL};
	CHECK(limit <= STREAM_NUMBER_MAX);
	enum error error = pool_open_in(&websockets->pool, arena, "websockets", sizeof(struct websocket), limit);
	if (error != ERROR_OK)
		return error;
	error = slab_open_in(&websockets->slab, arena, "websocket frames", slab_bytes);
	if (error == ERROR_OK && (websockets->scratch = malloc(SCRATCH_BYTES)) == NULL)
		error = ERROR_NO_MEMORY;
	if (error == ERROR_OK)
		error = websocket_find_note(websockets, arena);
	if (error != ERROR_OK) {
		websocket_streams_close(websockets);
		return error;
	}
	CHECK_EQ(getrandom(&websockets->random, sizeof(websockets->random), 0), (ssize_t)sizeof(websockets->random));
	streams_add_kind(streams, (enum stream_kind)STREAM_WEBSOCKET, &WEBSOCKET_OPS, websockets);
	return ERROR_OK;
}

void websocket_streams_close(struct websocket_streams *websockets)
{
	free(websockets->scratch);
	slab_close(&websockets->slab);
	pool_close(&websockets->pool);
	*websockets = (struct websocket_streams){0};
}

struct stream websocket_stream_over(struct streams *streams, struct stream below, struct slice unread)
{
	struct websocket_streams *websockets = websockets_of(streams);
	uint32_t index = websocket_take(websockets);
	if (index == 0)
		return STREAM_NONE;
	struct websocket *websocket = pool_at(&websockets->pool, index);
	if (unread.size != 0 && !unread_keep(websockets, websocket, unread)) {
		websocket_give(websockets, index);
		return STREAM_NONE;
	}
	websocket->below = below;
	return stream_of(STREAM_WEBSOCKET, (int)index);
}
