/* Who gets what in a scenario. A channel is what messages are numbered along: one publishing client's messages to one
 * topic. A stream is a channel as one subscribing client gets it: what is audited. All are found by matching topics
 * with filters before the run, so that whatever comes is known to be right, missing or foreign.
 *
 * Opened and closed by the main thread. In between, each stream and each channel's count has one thread that writes
 * it: that of its client. */
#ifndef BENCH_EXPECTATIONS_H
#define BENCH_EXPECTATIONS_H

#include "bench/measure/audit.h"
#include "bench/scenario/scenario.h"

/* 24 bytes each. */
#define EXPECTATIONS_STREAMS_MAX 10000000u
#define EXPECTATIONS_CHANNELS_MAX 4000000u

struct channel {
	uint64_t sent;
	uint32_t fan; /* subscribers that match */
};

struct expectations {
	const struct scenario *scenario;
	struct channel *channels;
	uint32_t channel_count;
	uint32_t channel_first[SCENARIO_GROUPS_MAX]; /* of each group; a client's channels are next to each other */
	/* of subscriber s: first_stream[s] up to first_stream[s + 1], by rising channel */
	uint32_t *first_stream;
	uint32_t *stream_channel;
	struct audit_stream *streams;
	uint32_t subscriber_count;
	uint32_t subscriber_first[SCENARIO_GROUPS_MAX];
};

/* NULL, or why it cannot be; static storage. Close it in either case. */
const char *expectations_open(struct expectations *expectations, const struct scenario *scenario);
void expectations_close(struct expectations *expectations);

/* Channels of one client of the group: 1, or one for each target. */
uint32_t expectations_channels_of(const struct scenario_group *group);

/* The channel of a message, by its turn among those of the client. */
uint32_t expectations_channel(const struct expectations *expectations, uint32_t group, uint32_t client, uint64_t turn);

/* The stream, or NULL where the client is not meant to get messages of the channel. */
struct audit_stream *expectations_stream(struct expectations *expectations, uint32_t group, uint32_t client,
					 uint32_t channel);

/* Deliveries of one message of the group, on average. */
double expectations_fan(const struct expectations *expectations, uint32_t group);

/* Counts into audit what was sent and never came, of all streams. When all threads rest. */
void expectations_end(const struct expectations *expectations, struct audit *audit);

#endif
