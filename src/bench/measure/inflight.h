/* One publisher's messages above QoS 0 whose handshake has not ended: at most `window`, counted from the oldest of
 * them, so that no packet identifier is in use twice. Acknowledgements may come in any order. Pure; owned by one
 * thread. */
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
	uint64_t oldest; /* number of the oldest unacknowledged message; next if there is none */
	uint64_t next;
};

/* window: 1..INFLIGHT_WINDOW_MAX. Returns false without memory. */
bool inflight_open(struct inflight *inflight, uint32_t window);
void inflight_close(struct inflight *inflight);

/* How many messages may be sent now. */
uint32_t inflight_room(const struct inflight *inflight);

/* Returns the packet identifier of the next message, which is now in flight; needs room. qos: 1 or 2. */
uint16_t inflight_take(struct inflight *inflight, uint8_t qos);

/* Finds the number of the message in flight that has the identifier. Returns false if none has. */
bool inflight_find(const struct inflight *inflight, uint16_t packet_id, uint64_t *number);
/* The identifier of a message. */
uint16_t inflight_packet_id(uint64_t number);
/* Ends the handshake of a message in flight: the server has refused it. */
void inflight_drop(struct inflight *inflight, uint64_t number);

/* Handles a PUBACK, PUBREC or PUBCOMP (enum mqtt_type). Returns false if nothing waited for it. */
bool inflight_answer(struct inflight *inflight, uint8_t type, uint16_t packet_id);

#endif
