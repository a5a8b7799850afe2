/* Who is to get what in a scenario. A channel is a sequence of numbered messages: those of one publishing client to one
 * topic. A stream is a channel as one subscribing client receives it, and is what the bench audits. Topics and filters
 * are matched before the run, so that for every message it is known whether it is right, missing or foreign.
 *
 * Opened and closed by the main thread. In between, each stream and each channel's count is written by one thread only:
 * that of its client. */
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
	uint32_t channel_first[SCENARIO_GROUPS_MAX]; /* of each group; a client's channels are adjacent */
	/* subscriber s has first_stream[s] up to first_stream[s + 1], ordered by channel */
	uint32_t *first_stream;
	uint32_t *stream_channel;
	struct audit_stream *streams;
	uint32_t subscriber_count;
	uint32_t subscriber_first[SCENARIO_GROUPS_MAX];
};

/* Returns NULL, or why it cannot be opened; static storage. Close it in either case. */
const char *expectations_open(struct expectations *expectations, const struct scenario *scenario);
void expectations_close(struct expectations *expectations);

/* The channel of the client's message number `turn`. */
uint32_t expectations_channel(const struct expectations *expectations, uint32_t group, uint32_t client, uint64_t turn);

/* The stream, or NULL if the client is not meant to get the channel's messages. */
struct audit_stream *expectations_stream(struct expectations *expectations, uint32_t group, uint32_t client,
					 uint32_t channel);

/* Deliveries of one message of the group, on average. */
double expectations_fan(const struct expectations *expectations, uint32_t group);

/* Adds to audit what was sent and never arrived, over all streams. Call it while no thread runs. */
void expectations_end(const struct expectations *expectations, struct audit *audit);

#endif
