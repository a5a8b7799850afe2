/* The limits of one address or prefix (access/addresses.h). */
#ifndef RUNTIME_ADDRESS_LIMITS_H
#define RUNTIME_ADDRESS_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

/* 0 means no limit, in each field. */
struct address_limits {
	uint32_t connections_max; /* handshakes included */
	uint32_t handshakes_max;
	uint32_t rate;  /* new connections per second, in the long run */
	uint32_t burst; /* this many more at once */
};

static inline bool address_limits_any(const struct address_limits *limits)
{
	return limits->connections_max != 0 || limits->handshakes_max != 0 || limits->rate != 0;
}

#endif
