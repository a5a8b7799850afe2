/* Who takes part in a durable run, and who hears whom. Clients are numbered: publishers first (those of retained
 * topics last), then subscribers: of one topic, of all topics by a wildcard, members of one shared subscription to all
 * topics. A publisher has one topic. Pure; any thread. */
#ifndef BENCH_CAST_H
#define BENCH_CAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAST_TOPIC_BYTES_MAX 128u
#define CAST_QOS_MIXED 3u
#define CAST_NO_SLOT UINT32_MAX

struct cast {
	const char *topic_prefix;
	uint32_t publishers; /* of ordinary topics */
	uint32_t retained;   /* publishers of retained topics */
	uint32_t exact;      /* subscriber e hears publisher e % publishers */
	uint32_t wildcards;
	uint32_t members;         /* 0: no shared subscription */
	uint32_t offline_percent; /* of the subscribers */
	uint8_t qos;              /* CAST_QOS_MIXED: 2, 1 and 0 in turn */
};

static inline uint32_t cast_publishers(const struct cast *cast)
{
	return cast->publishers + cast->retained;
}

static inline uint32_t cast_subscribers(const struct cast *cast)
{
	return cast->exact + cast->wildcards + cast->members;
}

static inline uint32_t cast_clients(const struct cast *cast)
{
	return cast_publishers(cast) + cast_subscribers(cast);
}

uint8_t cast_qos(const struct cast *cast, uint32_t publisher);

/* Streams of a publisher, with those that it may lack (struct ledger). */
uint32_t cast_slots(const struct cast *cast);
/* The stream in which the subscriber hears the publisher, or CAST_NO_SLOT. */
uint32_t cast_slot(const struct cast *cast, uint32_t subscriber, uint32_t publisher);
/* Someone hears the publisher in that stream. */
bool cast_has_stream(const struct cast *cast, uint32_t publisher, uint32_t slot);
bool cast_slot_is_shared(const struct cast *cast, uint32_t slot);

/* Whether the subscriber is offline while messages flow. The round decides which ones, evenly among them. */
bool cast_is_offline(const struct cast *cast, uint32_t subscriber, uint32_t round);

/* Both write into out, which holds CAST_TOPIC_BYTES_MAX, and return the size. */
size_t cast_topic(const struct cast *cast, uint32_t publisher, uint8_t *out);
size_t cast_filter(const struct cast *cast, uint32_t subscriber, uint8_t *out);
/* Filter of all retained topics. */
size_t cast_retained_filter(const struct cast *cast, uint8_t *out);

#endif
