/* Topics of a scenario: a text with at most one placeholder for a number.
 *   %n  the client's number within its group
 *   %g  the number of the circle that it belongs to: n modulo the group's `circles`
 *   %t  for publishing only: goes round the group's `targets`, message by message
 * Pure; any thread. */
#ifndef BENCH_TOPIC_PATTERN_H
#define BENCH_TOPIC_PATTERN_H

#include "bench/client/client.h"

/* A placeholder becomes up to 10 digits. */
#define TOPIC_PATTERN_BYTES_MAX CLIENT_PREFIX_BYTES_MAX
#define TOPIC_BYTES_MAX (TOPIC_PATTERN_BYTES_MAX + 10u)

enum topic_number { TOPIC_FIXED, TOPIC_CLIENT, TOPIC_CIRCLE, TOPIC_TARGET };

struct topic_pattern {
	char before[TOPIC_PATTERN_BYTES_MAX + 1];
	char after[TOPIC_PATTERN_BYTES_MAX + 1]; /* "" where there is no placeholder */
	enum topic_number number;
};

/* Returns NULL, or a sentence that says what is wrong with text; static storage. A pattern to subscribe to may have
 * wildcards, but no %t; a pattern to publish to may have %t, but no wildcards. */
const char *topic_pattern_parse(const char *text, bool subscribes, struct topic_pattern *out);

/* Returns false if the group has no such pattern. */
bool topic_pattern_is_set(const struct topic_pattern *pattern);

/* The placeholder's number for a client, or CLIENT_NO_TOPIC without a placeholder. */
uint32_t topic_pattern_number(const struct topic_pattern *pattern, uint32_t client, uint32_t circles, uint32_t target);

/* Writes the topic; out holds TOPIC_BYTES_MAX. Returns the size. */
size_t topic_pattern_write(const struct topic_pattern *pattern, uint32_t number, uint8_t *out);

#endif
