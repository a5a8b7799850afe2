/* Which client ids a user may have: a pattern in which %u stands for the user's name and %% for a percent sign; a '*'
 * at the end stands for anything. "%u": only the name itself; "%u-*": ids that begin with the name and a dash, as many
 * as the user likes (names that have a dash in them then reach into each other's). Pure; any thread. */
#ifndef AUTH_CLIENT_ID_PATTERN_H
#define AUTH_CLIENT_ID_PATTERN_H

#include "base/slice.h"

/* NULL where the pattern is well-formed, or what is wrong, in static storage. */
const char *client_id_pattern_check(struct slice pattern);

/* Whether the user may have it. With %u in the pattern nobody without a name has any. */
bool client_id_pattern_allows(struct slice pattern, struct slice user, struct slice client_id);

/* For an id that is assigned: writes what the pattern asks for in front of its '*', or all of it, to out. False: it
 * does not fit, or needs a name and there is none. *open: anything may follow. */
bool client_id_pattern_expand(struct slice pattern, struct slice user, uint8_t *out, size_t room, size_t *size,
			      bool *open);

#endif
