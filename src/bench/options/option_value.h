/* Values on the command line, checked. Each parser says on stderr what is wrong, with the option's name, and returns
 * false; the caller exits with BENCH_EXIT_USAGE. Called at start, by the main thread. */
#ifndef BENCH_OPTION_VALUE_H
#define BENCH_OPTION_VALUE_H

#include "bench/dial/url.h"

#include <stdbool.h>
#include <stdint.h>

/* A decimal number from min to max; _ or , may group its digits: 1_000_000. */
bool option_number(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *out);
bool option_u32(const char *name, const char *text, uint32_t min, uint32_t max, uint32_t *out);
/* "full", which is 0, or connections a second. */
bool option_rate(const char *name, const char *text, uint32_t *out);
/* 3, 4 or 5 (or 3.1, 3.1.1, 5.0): MQTT's protocol level. */
bool option_version(const char *name, const char *text, uint8_t *out);
/* 0, 1 or 2. */
bool option_qos(const char *name, const char *text, uint8_t *out);
/* A prefix for topics or client ids: no wildcard, at most bytes_max. */
bool option_prefix(const char *name, const char *text, uint32_t bytes_max);
bool option_url(const char *name, const char *text, struct url *out);
bool option_tcp_url(const char *name, const char *text, struct url *out);
/* ADDRESS/PREFIX of IPv4. */
bool option_source_range(const char *name, const char *text, struct source_range *out);

#endif
