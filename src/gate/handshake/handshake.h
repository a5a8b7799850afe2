/* A handshake: an accepted socket that has not signed in, and what all of its stages share: reading and writing,
 * waiting, and the ways in which it ends. Gate's thread only.
 *
 *	PROXY ──▶ TLS ──▶ WEBSOCKET ──▶ CONNECT ──▶ admitted
 *
 * A listener's stages follow each other in this order, and each may refuse. A stage gets the bytes that have come, and
 * gives those that it does not use to the next one. One that has written something is over when that is out. */
#ifndef GATE_HANDSHAKE_HANDSHAKE_H
#define GATE_HANDSHAKE_HANDSHAKE_H

#include "gate/handshake/state.h"

/* Whether connections from this address begin with a PROXY head. */
bool gate_is_proxy(const struct gate *gate, uint8_t listener, const union peer *peer);
/* Whether the address may have one more connection (access/address_check.h). through_proxy: the kernel cannot keep it
 * out, because its packets are the proxy's. */
enum error gate_check_address(struct gate *gate, const union peer *peer, bool through_proxy, uint32_t *place);
/* Whether input may be read and handed to the stage now. */
bool gate_handshake_reads(const struct handshake *handshake);

/* Waits for what the poller reports. The handshake may be refused instead, as in all that follow. */
void gate_handshake_wait(struct gate *gate, uint32_t index);
/* Keeps input, as io_keep() does, and waits. version: for a refusal; 0 before CONNECT. */
void gate_handshake_keep(struct gate *gate, uint32_t index, struct slice bytes, size_t packet_bytes, bool replay,
			 uint8_t version);
/* Writes at once, as far as the socket takes it; the rest is conn.backlog. False: the connection broke. */
bool gate_handshake_send(struct gate *gate, uint32_t index, struct slice bytes);
/* A copy of the text, as a string. NULL: it has a NUL in it, or there is no memory. */
char *gate_copy_text(struct slice text);

void gate_handshake_refuse(struct gate *gate, uint32_t index, enum error reason, uint8_t version);
/* The connection ended, or its time is up: refused, unless it is a proxy's own, which has nothing to say. */
void gate_handshake_lost(struct gate *gate, uint32_t index, enum error reason);
/* The socket is closed, or has gone to a shard. */
void gate_handshake_release(struct gate *gate, uint32_t index);

/* Logs the refusal of a handshake, or of a connection refused before it became one. server_name: or NULL. */
void gate_log_refusal(const struct gate *gate, uint8_t listener, const union peer *peer, const char *server_name,
		      enum error reason);

#endif
