/* The publishing side of a load: windows, bursts, numbering, and what a full socket did not take. Owned by the load's
 * thread. */
#ifndef BENCH_PUBLISHER_H
#define BENCH_PUBLISHER_H

#include "bench/load.h"

struct publisher {
	uint8_t *blocked; /* what the socket did not take yet; on the heap */
	size_t blocked_size;
	uint64_t outstanding; /* deliveries on their way */
	uint32_t turn;        /* one-to-one: which of its subscribers is next */
};

/* A channel is what messages are numbered along: a subscriber's topic in one-to-one, else a publisher. */
struct publishers {
	const struct load_plan *load;
	struct fleet *fleet;
	struct publisher *list;
	uint64_t *sent;  /* messages of each channel */
	uint8_t *packet; /* room for one burst */
	uint8_t *padding;
	uint32_t channels;
	uint32_t subscribers;
	uint32_t fan; /* deliveries of one message */
	bool stopped; /* nothing new is sent */
};

bool publishers_open(struct publishers *publishers, const struct load_plan *load, struct fleet *fleet);
void publishers_close(struct publishers *publishers);

/* Publishes what the window allows. */
void publisher_pump(struct publishers *publishers, uint32_t index);
/* The socket has room again. */
void publisher_writable(struct publishers *publishers, uint32_t index);
/* So many of its deliveries came or are known to be lost. */
void publisher_settle(struct publishers *publishers, uint32_t index, uint64_t settled);
/* All that was sent was settled. */
bool publishers_idle(const struct publishers *publishers);

/* The topic's number that a subscriber (not counting publishers) subscribes to. */
uint32_t publishers_topic(const struct publishers *publishers, uint32_t subscriber);

#endif
