/* A receiver's half of QoS 2: the packet identifiers of messages that it has and whose PUBREL has not come. It outlives
 * the connection, as the session does [MQTT-4.3.3-10], so a message that is sent again after a restart is known again.
 * It also remembers which message each identifier stands for: a server that uses one again too early would lose a
 * message without a trace. Pure; owned by one thread. */
#ifndef BENCH_UNRELEASED_H
#define BENCH_UNRELEASED_H

#include <stdbool.h>
#include <stdint.h>

struct unreleased_entry {
	uint64_t number;
	uint32_t publisher;
	uint16_t packet_id;
};

struct unreleased {
	uint8_t *bits;                  /* of all identifiers; NULL before the first */
	struct unreleased_entry *queue; /* a ring, oldest first: PUBREL comes in that order as a rule */
	uint32_t head;
	uint32_t count;
	uint32_t room; /* 0, or a power of two */
};

enum unreleased_answer {
	UNRELEASED_NEW,       /* it is remembered now */
	UNRELEASED_AGAIN,     /* the same message once more, which is not to be passed on */
	UNRELEASED_REUSED,    /* another message under an identifier in use; it is remembered instead */
	UNRELEASED_NO_MEMORY, /* not remembered */
};

/* All zero is an empty one. */
void unreleased_close(struct unreleased *unreleased);

enum unreleased_answer unreleased_take(struct unreleased *unreleased, uint16_t packet_id, uint32_t publisher,
				       uint64_t number);
/* A PUBREL; one for an identifier that is not there is no fault. */
void unreleased_release(struct unreleased *unreleased, uint16_t packet_id);
/* The session is a new one. */
void unreleased_clear(struct unreleased *unreleased);

#endif
