/* The topic filters of something that takes messages, such as a rule. Pure; any thread. */
#ifndef RELAY_ITEM_TOPICS_H
#define RELAY_ITEM_TOPICS_H

#include "relay/item/item.h"

#define TOPICS_MAX 16u
#define TOPICS_FILTER_BYTES_MAX 256u /* with the null character */

struct topics {
	char filters[TOPICS_MAX][TOPICS_FILTER_BYTES_MAX];
	uint32_t count;
};

/* False: fault says why there can be no such filter. */
bool topics_add(struct topics *topics, const char *text, char fault[ITEM_FAULT_BYTES_MAX]);
bool topics_equal(const struct topics *one, const struct topics *other);
bool topics_has(const struct topics *topics, struct slice filter);

/* The subscription identifier of a filter where there are several. It goes by the filter's text, so that one that was
 * taken out is not taken for another. */
uint32_t topics_identifier(const char *filter);
/* Whether there is a filter of this identifier. */
bool topics_has_identifier(const struct topics *topics, uint32_t identifier);

#endif
