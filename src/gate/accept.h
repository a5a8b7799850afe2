/* How a gate accepts connections. While it has no room, or a shard does not keep up, it takes the listeners out of its
 * poller, and new clients wait in the kernel's queue or go to another gate. Gate's thread only. */
#ifndef GATE_ACCEPT_H
#define GATE_ACCEPT_H

#include "gate/handshake/state.h"

/* The pause after descriptors have run out. */
#define GATE_ACCEPT_PAUSE_MS 50u

/* The poller's tag of listener n is GATE_ACCEPT_TAG + (n << 32). The low half is 0, which no handshake's tag has. */
#define GATE_ACCEPT_TAG ((uint64_t)3 << 32)

/* Adds the listeners to the poller, before the first turn. */
enum error gate_accept_begin(struct gate *gate);
void gate_accept_pause(struct gate *gate);
/* Accepts again if there is room and a pause for lack of descriptors is over. */
void gate_accept_resume(struct gate *gate);
/* If another gate has stopped accepting: adds the listeners to the poller again, which then reports connections that
 * were announced to the other gate only. */
void gate_accept_rearm(struct gate *gate);
/* Accepts some connections of the listener that the tag names. */
void gate_accept_some(struct gate *gate, uint64_t tag);

/* ---- connections of Roost's own clients (control/internal.h) ---- */

/* The main thread passes them in, for a gate has a descriptor table of its own. They go through the same stages as all
 * others, but nothing holds them up: neither a lack of room nor an overload, and no address counts. */

/* Adds what they come from to the poller, before the first turn; what waits there already is reported then. Does
 * nothing where another gate has them. ERROR_SYSTEM. */
enum error gate_internal_begin(struct gate *gate, uint64_t tag);
/* Takes all that have come. Those that come while the gate rests stay where they are, for gate_start(). */
void gate_internal_take(struct gate *gate);

/* Whether there is room for one more handshake. */
bool gate_has_room(const struct gate *gate);

#endif
