/* Sockets that a gate has accepted and that have not signed in: each is read until its CONNECT is whole, then refused
 * or admitted. None is kept for longer than `connect_timeout_ms`. By the gate's thread. */
#ifndef GATE_HANDSHAKES_H
#define GATE_HANDSHAKES_H

#include "gate/state.h"

enum error gate_handshakes_open(struct gate *gate);
/* Before the first; the gate knows the time. */
void gate_handshakes_begin(struct gate *gate);

/* Owns fd and the place in gate->addresses, and reads what has come already. False: memory is short, and both are still
 * the caller's. */
bool gate_handshake_new(struct gate *gate, int fd, uint8_t listener, const struct sockaddr_storage *peer,
			uint32_t address);
/* What the poller reports of one; of one that is over by now it is nothing. */
void gate_handshake_event(struct gate *gate, const struct poller_event *event);
/* Goes on with those whose passwords have been checked. */
void gate_handshakes_take_verdicts(struct gate *gate);
/* Refuses those whose time is up. */
void gate_handshakes_expire(struct gate *gate);
/* Refuses all: the server stops. */
void gate_handshakes_end(struct gate *gate);

/* Also of a connection that was never a handshake. */
void gate_log_refusal(const struct gate *gate, uint8_t listener, const union peer *peer, enum error reason);

#endif
