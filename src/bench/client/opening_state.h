/* What a client holds while TLS or a WebSocket is opened (client/opening.h). For the pool's own files. */
#ifndef BENCH_OPENING_STATE_H
#define BENCH_OPENING_STATE_H

#include "tls/handshake.h"
#include "ws/upgrade.h"

enum opening_stage {
	OPENING_HANDSHAKE, /* -> TICKET, UPGRADE, or done */
	OPENING_TICKET,    /* TLS is up, what follows was sent, and a ticket is expected first -> UPGRADE, or done */
	OPENING_UPGRADE,   /* the request was sent -> done */
};

/* Room for any session. */
struct session_room {
	_Alignas(struct tls_session) uint8_t bytes[TLS_SESSION_BYTES_MAX];
};

struct opening {
	struct tls_handshake *tls; /* up to TICKET */
	char key[WS_KEY_BYTES + 1];
	uint8_t stage;             /* enum opening_stage */
	struct session_room *kept; /* while TICKET */
};

static inline struct tls_session *opening_session(struct session_room *room)
{
	return (struct tls_session *)room->bytes;
}

void opening_free(struct opening *opening); /* may be NULL */

#endif
