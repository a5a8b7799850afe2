/* A gate: one thread that owns only sockets which have not signed in. It accepts, reads CONNECT, refuses or admits,
 * and passes the socket to the client's home shard. It pays for storms so that the shards do not: it runs at a lower
 * priority, and when it or the shards have no more room it stops accepting, so that new clients wait in the kernel's
 * queue at no cost to those already there. */
#ifndef GATE_GATE_H
#define GATE_GATE_H

#include "gate/state.h"

enum error gate_open(struct gate *gate);
void gate_close(struct gate *gate);
enum error gate_start(struct gate *gate);
/* Ends the thread: stops listening, drops handshakes, hands over what was admitted. Does not wait for it. */
void gate_stop(struct gate *gate);

#endif
