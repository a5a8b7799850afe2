/* A match of the routing index from its beginning to its end. */
#ifndef TESTS_UNIT_MATCH_ALL_H
#define TESTS_UNIT_MATCH_ALL_H

#include "session/index.h"

/* In one slice. */
static inline enum error match_all(const struct index *index, struct slice topic, struct routes *routes)
{
	struct index_place place = {0};
	routes->count = 0;
	routes->units_left = INT32_MAX;
	return index_match(index, topic, &place, routes);
}

#endif
