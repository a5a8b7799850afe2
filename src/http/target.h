/* The target of an HTTP request, such as "/api/v1/clients/a%2Fb?limit=10". It is split first and decoded afterwards, so
 * that an escaped slash stays part of its segment. No path names a file. Pure: bytes from outside in, slices out. */
#ifndef HTTP_TARGET_H
#define HTTP_TARGET_H

#include "base/slice.h"

#define TARGET_SEGMENTS_MAX 8u
#define TARGET_QUERIES_MAX 16u

struct target_query {
	struct slice name;
	struct slice value;
};

struct target {
	struct slice segments[TARGET_SEGMENTS_MAX]; /* "/" has none */
	uint32_t segment_count;
	struct target_query queries[TARGET_QUERIES_MAX];
	uint32_t query_count;
};

/* `room` has the size of raw; the slices point into it. Returns false if raw is not a path, has an empty segment, too
 * many parts or a broken escape. */
bool target_parse(struct target *target, struct slice raw, uint8_t *room);

/* Sets *value to the query's value. Returns false if there is none. */
bool target_query(const struct target *target, const char *name, struct slice *value);
/* Parses decimal digits, from 0 to most. */
bool target_number(struct slice text, uint32_t most, uint32_t *number);

#endif
