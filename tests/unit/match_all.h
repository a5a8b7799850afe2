/* A match of the routing index from its beginning to its end. */
#ifndef TESTS_UNIT_MATCH_ALL_H
#define TESTS_UNIT_MATCH_ALL_H

#include "topics/index/index.h"
#include "topics/index/rcu.h"

/* In one slice. */
static inline enum error match_all(const struct index *index, struct slice topic, struct routes *routes)
{
	struct index_place place = {0};
	routes->count = 0;
	routes->units_left = INT32_MAX;
	return index_match(index, topic, &place, routes);
}

/* In the smallest slices, between which nothing of the index is held. Only for short levels (INDEX_UNITS_MIN). */
static inline enum error match_bit_by_bit(const struct index *index, struct slice topic, struct routes *routes)
{
	struct index_place place = {0};
	enum error error = ERROR_MORE;
	for (routes->count = 0; error == ERROR_MORE; reader_quiescent()) {
		routes->units_left = 1;
		error = index_match(index, topic, &place, routes);
	}
	return error;
}

#endif
