/* How long what a URL has answered may be used before it is asked again. Pure; any thread. */
#ifndef FETCH_CACHING_H
#define FETCH_CACHING_H

#include "base/slice.h"

/* The value of a header of this name (compared without case) in one line of an HTTP answer, trimmed. False: it is
 * another header. */
bool header_line_value(struct slice line, const char *name, struct slice *value);

/* max-age of a Cache-Control value [RFC 9111, 5.2.2.1]; false: it names none. More than 2^31 is 2^31. */
bool cache_control_max_age(struct slice value, uint32_t *seconds);

#endif
