/* All handshakes of a gate: accepted sockets that have not signed in. Each goes through its stages (gate/stages.h)
 * until its CONNECT is complete [3.1], then it is refused or admitted. None lasts longer than `connect_timeout_ms`, and
 * none is in TLS for longer than `tls_handshake_timeout_ms`. Gate's thread only. */
#ifndef GATE_HANDSHAKES_H
#define GATE_HANDSHAKES_H

#include "gate/handshake/state.h"

enum error gate_handshakes_open(struct gate *gate);
/* In the gate's thread, before the first handshake; gate->now_ms is set. */
void gate_handshakes_begin(struct gate *gate);

/* Begins a handshake and reads the input that is there already. Takes ownership of fd and of the place in
 * gate->addresses, unless it returns false: then memory is short. */
bool gate_handshake_new(struct gate *gate, int fd, uint8_t listener, const union peer *peer, uint32_t address);
/* An event that the poller reports for a handshake. Ignored if that has ended. */
void gate_handshake_event(struct gate *gate, const struct poller_event *event);
/* Continues the handshakes whose passwords have been checked. */
void gate_handshakes_take_verdicts(struct gate *gate);
/* The same of answers from outside. */
void gate_handshakes_take_answers(struct gate *gate);
/* Refuses handshakes whose time is up. */
void gate_handshakes_expire(struct gate *gate);
/* Refuses all handshakes, because the server stops. None is open afterwards. */
void gate_handshakes_end(struct gate *gate);

#endif
