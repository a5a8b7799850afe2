/* The target of an HTTP request, "/api/v1/clients/a%2Fb?limit=10", split first and decoded afterwards, so that a slash
 * in a client id stays what it is. Pure: bytes from outside in, slices out. There is no file behind any path. */
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

/* room: as long as raw; the slices point into it. False: it is not a path, has an empty segment, more parts than there
 * may be, or an escape that is none. */
bool target_parse(struct target *target, struct slice raw, uint8_t *room);

/* The value of the query; false: it is not there. */
bool target_query(const struct target *target, const char *name, struct slice *value);
/* A value in digits alone, from 0 to most. */
bool target_number(struct slice text, uint32_t most, uint32_t *number);

#endif
