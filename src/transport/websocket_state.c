#include "transport/websocket_state.h"
#include "base/layout_root.h"

LAYOUT_ROOT(websocket_busy);
LAYOUT_ROOT(websocket_unread);

struct websocket_busy *websocket_busy_take(struct websocket_streams *websockets, struct websocket *websocket)
{
	struct websocket_busy *busy = websocket_busy(websockets, websocket);
	if (busy != NULL)
		return busy;
	uint32_t ref = slab_take(&websockets->slab, sizeof(*busy));
	if (ref == 0)
		return NULL;
	CHECK_LE(ref, WEBSOCKET_REF_BITS);
	websocket->bits |= ref;
	busy = slab_at(&websockets->slab, ref);
	memset(busy, 0, offsetof(struct websocket_busy, in)); /* of the rest, what is counted was written */
	return busy;
}

static void busy_give(struct websocket_streams *websockets, struct websocket *websocket)
{
	slab_give(&websockets->slab, websocket->bits & WEBSOCKET_REF_BITS, sizeof(struct websocket_busy));
	websocket->bits &= ~WEBSOCKET_REF_BITS;
}

void websocket_busy_settle(struct websocket_streams *websockets, struct websocket *websocket)
{
	const struct websocket_busy *busy = websocket_busy(websockets, websocket);
	if (busy == NULL || busy->in_left != 0 || busy->in_bytes != 0 || busy->unread != 0 || busy->out_left != 0 ||
	    busy->out_sent != busy->out_bytes || busy->pong_waits || busy->error != ERROR_OK || busy->close_code != 0)
		return;
	busy_give(websockets, websocket);
}

void websocket_busy_drop(struct websocket_streams *websockets, struct websocket *websocket)
{
	struct websocket_busy *busy = websocket_busy(websockets, websocket);
	if (busy == NULL)
		return;
	websocket_unread_drop(websockets, busy);
	busy_give(websockets, websocket);
}

struct websocket_unread *websocket_unread_take(struct websocket_streams *websockets, struct websocket_busy *busy,
					       size_t size)
{
	CHECK(busy->unread == 0 && size != 0 && size <= UINT32_MAX);
	uint32_t ref = slab_take(&websockets->slab, sizeof(struct websocket_unread) + size);
	if (ref == 0)
		return NULL;
	busy->unread = ref;
	struct websocket_unread *unread = slab_at(&websockets->slab, ref);
	*unread = (struct websocket_unread){.size = (uint32_t)size};
	return unread;
}

void websocket_unread_drop(struct websocket_streams *websockets, struct websocket_busy *busy)
{
	if (busy->unread == 0)
		return;
	size_t size = websocket_unread_at(websockets, busy)->size;
	slab_give(&websockets->slab, busy->unread, sizeof(struct websocket_unread) + size);
	busy->unread = 0;
}
