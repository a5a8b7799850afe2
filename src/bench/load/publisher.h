/* The publishing side of a load: windows or a schedule, bursts and numbering. A publisher's window limits the messages
 * under way to subscribers and, above QoS 0, the unacknowledged ones. Owned by the load's thread. */
#ifndef BENCH_PUBLISHER_H
#define BENCH_PUBLISHER_H

#include "bench/client/pool.h"
#include "bench/load/plan.h"
#include "bench/measure/histogram.h"
#include "bench/measure/inflight.h"
#include "bench/measure/schedule.h"

struct publisher {
	struct inflight inflight; /* above QoS 0 */
	uint64_t outstanding;     /* deliveries under way */
	uint32_t turn;            /* one-to-one: which of its subscribers is next */
};

/* A channel is what messages are numbered along: a subscriber's topic in one-to-one, else a publisher. */
struct publishers {
	const struct load_plan *load;
	struct client_pool *pool;
	struct publisher *list;
	uint64_t *sent;  /* messages of each channel */
	uint8_t *packet; /* room for one burst */
	uint8_t *padding;
	uint32_t channels;
	uint32_t subscribers;
	uint32_t fan;              /* deliveries of one message */
	struct schedule schedule;  /* at a rate: publishers take its turns in order */
	struct histogram *late_ns; /* how late messages are sent; NULL: not measured */
	uint64_t held_ns;          /* how long the server has held up the message being written */
	bool held;                 /* the server holds up messages that are due, so the bench is not to blame */
	bool stopped;              /* sends nothing new */
};

bool publishers_open(struct publishers *publishers, const struct load_plan *load, struct client_pool *pool);
void publishers_close(struct publishers *publishers);

/* At a rate: publishes what is due and returns when the next message is, or SCHEDULE_NEVER. A publisher that must wait
 * for its socket or for an acknowledgement holds up the turns behind it. All of them keep the time at which they were
 * due. */
uint64_t publishers_tick(struct publishers *publishers, uint64_t now_ns);

/* Publishes as much as the window allows; at a rate, nothing. */
void publisher_pump(struct publishers *publishers, uint32_t index);
/* Handles a PUBACK, PUBREC or PUBCOMP (enum mqtt_type). Returns false if nothing waited for it. */
bool publisher_acknowledge(struct publishers *publishers, uint32_t index, uint8_t type, uint16_t packet_id);
/* So many of its deliveries have arrived, or are known to be lost. */
void publisher_settle(struct publishers *publishers, uint32_t index, uint64_t settled);
/* Messages that are not acknowledged yet. */
uint64_t publishers_unacknowledged(const struct publishers *publishers);
/* All messages have been delivered or lost, and acknowledged. */
bool publishers_idle(const struct publishers *publishers);

/* The number of the topic that a subscriber (counted without the publishers) subscribes to, with CLIENT_TOPIC_SHARED
 * for a shared subscription. */
uint32_t publishers_topic(const struct publishers *publishers, uint32_t subscriber);

#endif
