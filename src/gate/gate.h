/* A gate: a thread that owns the sockets that have not signed in yet. It accepts a connection, reads CONNECT, refuses
 * or admits the client, and passes an admitted socket to the client's shard. It shields the shards from connection
 * storms: it runs at a lower priority, and when it or a shard has no more room it stops accepting, so that new clients
 * wait in the kernel's queue at no cost to established ones. */
#ifndef GATE_GATE_H
#define GATE_GATE_H

#include "gate/handshake/state.h"

/* The fields "set before the thread starts" are set. Main thread, as the rest. */
enum error gate_open(struct gate *gate);
void gate_close(struct gate *gate);
/* Its counters are those of the gates of the previous program: goes on from there. Before gate_start(). */
void gate_go_on_from_counters(struct gate *gate);
enum error gate_start(struct gate *gate);
/* Tells the thread to accept no more, and to end once all that it has accepted has been let in or has gone. New
 * connections wait in the kernel's queue, for gate_start(). */
void gate_rest(struct gate *gate);
/* Whether it has ended for that reason. Any thread. */
bool gate_is_at_rest(const struct gate *gate);
/* Connections that it has still. Any thread. */
uint32_t gate_handshakes_left(const struct gate *gate);
/* Tells the thread to end. It stops listening, refuses open handshakes and hands over admitted clients. */
void gate_stop(struct gate *gate);

#endif
