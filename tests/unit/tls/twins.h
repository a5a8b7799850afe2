/* Two sessions that are each other's peer, with made-up secrets; and records that no honest peer would write, sealed
 * with the right keys. */
#ifndef UNIT_TLS_TWINS_H
#define UNIT_TLS_TWINS_H

#include "tls/ciphers.h"
#include "tls/session.h"

/* Of records [RFC 8446, 5.1]. */
enum { TYPE_CIPHER = 20, TYPE_ALERT = 21, TYPE_HANDSHAKE = 22, TYPE_DATA = 23 };

struct twin {
	_Alignas(struct tls_session) uint8_t memory[TLS_SESSION_BYTES_MAX];
	struct tls_session *session; /* in there */
};

struct twins {
	struct tls_ciphers *ciphers;
	struct twin server;
	struct twin client;
};

/* cipher: the suite's number, whose version it is too. */
void twins_make(struct twins *twins, struct tls_ciphers *ciphers, uint16_t cipher);

/* What the writer seals: a record of the type with the content, and in TLS 1.3 `padding` zeros behind it. Returns its
 * length; out has room for size + padding + TLS_OVERHEAD_BYTES_MAX. A type of 0 is TLS 1.3's record without one. */
size_t seal_anything(struct tls_ciphers *ciphers, struct tls_session *writer, uint8_t type, const void *content,
		     size_t size, size_t padding, uint8_t *out);

#endif
