/* How long a connection may take for one request, from its first byte or the last answer to the next answer: whoever
 * sends a header a byte at a time is not idle, and would keep its place for ever. Where places run short it may take
 * much less, so that hundreds who begin a request and never end it keep nobody out for long. Any thread. */
#ifndef ADMIN_PATIENCE_H
#define ADMIN_PATIENCE_H

#include <pthread.h>
#include <stdint.h>

#define PATIENCE_CONNECTIONS_MAX 128u
#define PATIENCE_MS 20000u
/* With more than half of the places taken. */
#define PATIENCE_CROWDED_MS 1000u

struct patience_place {
	const void *connection; /* NULL: free */
	int fd;
	uint64_t since_ms;
};

struct patience {
	pthread_mutex_t lock;
	uint32_t taken; /* places */
	struct patience_place places[PATIENCE_CONNECTIONS_MAX];
};

void patience_init(struct patience *patience);
void patience_fini(struct patience *patience);

void patience_begin(struct patience *patience, const void *connection, int fd);
/* It has got an answer. */
void patience_renew(struct patience *patience, const void *connection);
/* Before its descriptor is closed. */
void patience_end(struct patience *patience, const void *connection);
/* Hangs up on those that have taken too long; their owner finds that they have ended. */
void patience_end_slow(struct patience *patience);

#endif
