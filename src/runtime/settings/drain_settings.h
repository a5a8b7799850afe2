/* A drain: the clients of this server are ended one after the other, evenly over a time, so that the servers that take
 * them see no storm (shard/emptying/emptying.h, gate/gate.c). Part of the settings: each thread takes it up with the
 * next snapshot. */
#ifndef RUNTIME_DRAIN_SETTINGS_H
#define RUNTIME_DRAIN_SETTINGS_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define DRAIN_REFERENCE_BYTES_MAX 256u

struct drain_settings {
	uint32_t number;  /* of the drain; 0: there is none */
	uint64_t from_ms; /* of the monotonic clock: from here on newcomers are refused and clients end */
	uint64_t over_ms; /* in so long, 1 or more */
	uint8_t reason;   /* enum error: ERROR_DRAINED, ERROR_USE_ANOTHER_SERVER or ERROR_SERVER_MOVED */
	char server_reference[DRAIN_REFERENCE_BYTES_MAX]; /* where version 5 clients go [4.13]; "": it is not said */
};

/* Whether newcomers are refused, at this time. */
static inline bool drain_refuses(const struct drain_settings *drain, uint64_t now_ms)
{
	return drain->number != 0 && now_ms >= drain->from_ms;
}

/* How many of `clients` that there were when it began may be left at this time. */
static inline uint64_t drain_may_be_left(const struct drain_settings *drain, uint64_t clients, uint64_t now_ms)
{
	if (now_ms <= drain->from_ms)
		return clients;
	uint64_t passed_ms = now_ms - drain->from_ms;
	if (passed_ms >= drain->over_ms)
		return 0;
	/* Clients fit into 32 bits, and so does a drain of 49 days. */
	return clients * (drain->over_ms - passed_ms) / drain->over_ms;
}

/* What a refusal or a DISCONNECT for this reason names as Server Reference [3.2.2.3.16, 3.14.2.2.5]; "": nothing. */
static inline const char *drain_reference_for(const struct drain_settings *drain, enum error reason)
{
	return reason == ERROR_USE_ANOTHER_SERVER || reason == ERROR_SERVER_MOVED ? drain->server_reference : "";
}

#endif
