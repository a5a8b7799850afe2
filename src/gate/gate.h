/* A gate: a thread that owns the sockets that have not signed in yet. It accepts a connection, reads CONNECT, refuses
 * or admits the client, and passes an admitted socket to the client's shard. It shields the shards from connection
 * storms: it runs at a lower priority, and when it or a shard has no more room it stops accepting, so that new clients
 * wait in the kernel's queue at no cost to established ones. */
#ifndef GATE_GATE_H
#define GATE_GATE_H

#include "gate/state.h"

/* The fields "set before the thread starts" are set. Main thread, as the rest. */
enum error gate_open(struct gate *gate);
void gate_close(struct gate *gate);
enum error gate_start(struct gate *gate);
/* Tells the thread to end. It stops listening, refuses open handshakes and hands over admitted clients. */
void gate_stop(struct gate *gate);

#endif
