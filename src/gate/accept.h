/* A gate's listeners: whether it is told of their connections, and how it takes those. While a gate has no room, or a
 * shard lags, it is not told, and new clients wait in the kernel's queue or come to another gate. By the gate's
 * thread. */
#ifndef GATE_ACCEPT_H
#define GATE_ACCEPT_H

#include "gate/state.h"

/* While descriptors are short, the gate looks again after so long. */
#define GATE_ACCEPT_PAUSE_MS 50u

/* Of a listener, with the poller: + its number << 32. */
#define GATE_ACCEPT_TAG ((uint64_t)2 << 32)

/* Before the first turn. */
enum error gate_accept_begin(struct gate *gate);
void gate_accept_pause(struct gate *gate);
/* Where there is room, and the pause for want of descriptors is over. */
void gate_accept_resume(struct gate *gate);
/* Another gate may have stopped accepting: its connections are reported here once the listeners are added again. */
void gate_accept_look_again(struct gate *gate);
/* The tag is a listener's: takes some of its connections. */
void gate_accept_some(struct gate *gate, uint64_t tag);

/* For one more handshake. */
bool gate_has_room(const struct gate *gate);

#endif
