/* How long an HTTP response may be used before it is fetched again. Pure; any thread. */
#ifndef FETCH_CACHING_H
#define FETCH_CACHING_H

#include "base/slice.h"

/* Sets *value to the trimmed value if the line of an HTTP response is the field with this name, ignoring case. Returns
 * false otherwise. */
bool header_line_value(struct slice line, const char *name, struct slice *value);

/* Sets *seconds to the max-age of a Cache-Control value [RFC 9111, 5.2.2.1], at most 2^31. Returns false if it names
 * none. */
bool cache_control_max_age(struct slice value, uint32_t *seconds);

#endif
