/* Formats figures for people. `out` holds FORMAT_BYTES and is returned. Pure; any thread. */
#ifndef BASE_FORMAT_H
#define BASE_FORMAT_H

#include <stdint.h>

#define FORMAT_BYTES 48u

/* 1,234,567 */
const char *format_count(uint64_t value, char *out);
/* 3.2 GiB */
const char *format_bytes(double bytes, char *out);
/* 12.3 us, 4.5 ms, 6.7 s, 8 min 9 s, 10 h 11 min, 12 d 13 h. */
const char *format_duration(double seconds, char *out);
/* A time of day in seconds since 1970: 2026-11-28 16:14:41 UTC. */
const char *format_time(double time_s, char *out);

#endif
