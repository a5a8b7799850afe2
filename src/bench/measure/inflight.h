/* One publisher's messages above QoS 0 that are not acknowledged to the end: at most `window`, counted from the oldest
 * one that is not, so that an identifier is never given twice. Any order of acknowledgements is taken. Pure; owned by
 * one thread. */
#ifndef BENCH_INFLIGHT_H
#define BENCH_INFLIGHT_H

#include <stdbool.h>
#include <stdint.h>

/* Identifiers are 1..65535. */
#define INFLIGHT_WINDOW_MAX 65535u

/* NONE -> PUBACK, PUBREC; PUBREC -> PUBCOMP; PUBACK, PUBCOMP -> NONE. */
enum inflight_wait { INFLIGHT_NONE, INFLIGHT_PUBACK, INFLIGHT_PUBREC, INFLIGHT_PUBCOMP };

struct inflight {
	uint8_t *waits; /* enum inflight_wait: a ring of `window`, by the message's number */
	uint32_t window;
	uint64_t oldest; /* number of the oldest message that waits; == next if there is none */
	uint64_t next;
};

/* window: 1..INFLIGHT_WINDOW_MAX. False without memory. */
bool inflight_open(struct inflight *inflight, uint32_t window);
void inflight_close(struct inflight *inflight);

/* How many messages may be sent now. */
uint32_t inflight_room(const struct inflight *inflight);

/* Identifier of the next message, which waits from now on; needs room. qos: 1 or 2. */
uint16_t inflight_take(struct inflight *inflight, uint8_t qos);

/* Takes note of a PUBACK, PUBREC or PUBCOMP (enum mqtt_type). False where nothing waits for it. */
bool inflight_answer(struct inflight *inflight, uint8_t type, uint16_t packet_id);

#endif
