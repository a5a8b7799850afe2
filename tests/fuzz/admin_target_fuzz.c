/* Targets of HTTP requests, and the routes they lead to: whatever a slice says must be within the room that was given,
 * and a route's id must be one of the path's segments. */
#include "fuzz.h"

#include "admin/api/route_table.h"
#include "base/check.h"

#include <stdlib.h>

static void check_slice(struct slice slice, const uint8_t *room, size_t size)
{
	CHECK(slice.size == 0 || (slice.data >= room && slice.data + slice.size <= room + size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct target target;
	uint8_t *room = malloc(size + 1);
	CHECK(room != NULL);
	if (target_parse(&target, slice_of(data, size), room)) {
		CHECK(target.segment_count <= TARGET_SEGMENTS_MAX && target.query_count <= TARGET_QUERIES_MAX);
		for (uint32_t i = 0; i < target.segment_count; i++) {
			check_slice(target.segments[i], room, size);
			CHECK(target.segments[i].size != 0);
		}
		for (uint32_t i = 0; i < target.query_count; i++) {
			check_slice(target.queries[i].name, room, size);
			check_slice(target.queries[i].value, room, size);
		}
		for (int method = 0; method <= METHOD_COUNT; method++) {
			struct slice id = slice_of(NULL, 0);
			uint32_t methods;
			if (route_find(&target, (enum method)method, &id, &methods) != NULL)
				check_slice(id, room, size);
		}
	}
	free(room);
	return 0;
}
