/* What one thread's load of messages looks like. Types only.
 *
 * Clients 0..publishers-1 publish and do not subscribe, the others subscribe:
 *   one-to-one  a topic each; a publisher goes round its share of them, message by message
 *   fan-out     all to one topic
 *   fan-in      the first one to the topic that everybody publishes to; the others, a topic each, stay idle
 *   shared      the first `members` as one group to the topic that everybody publishes to; the others stay idle
 *
 * Every publisher publishes, and every subscriber subscribes, at the same QoS. */
#ifndef BENCH_LOAD_PLAN_H
#define BENCH_LOAD_PLAN_H

#include <stdint.h>

enum load_pattern { LOAD_ONE_TO_ONE, LOAD_FAN_OUT, LOAD_FAN_IN, LOAD_SHARED };

struct load_plan {
	enum load_pattern pattern;
	uint32_t clients;
	uint32_t publishers;
	uint32_t members; /* shared: of the group */
	uint32_t burst;   /* messages in one send */
	uint32_t window;  /* messages of one publisher that may be on their way, or not acknowledged; >= burst */
	uint32_t rate;    /* messages a second, of all publishers in turns; 0: as many as the windows allow */
	uint32_t size;    /* of a payload, >= STAMP_BYTES */
	uint8_t qos;
};

#endif
