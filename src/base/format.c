#include "base/format.h"

#include <stdio.h>
#include <time.h>

_Static_assert(FORMAT_BYTES >= sizeof("18,446,744,073,709,551,615"), "the largest count fits");

const char *format_count(uint64_t value, char *out)
{
	char digits[FORMAT_BYTES];
	char *to = out;
	int size = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
	for (int i = 0; i < size; i++) {
		if (i > 0 && (size - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return out;
}

const char *format_bytes(double bytes, char *out)
{
	static const char *const UNITS[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	size_t unit = 0;
	while (bytes >= 1024 && unit + 1 < sizeof(UNITS) / sizeof(UNITS[0])) {
		bytes /= 1024;
		unit++;
	}
	snprintf(out, FORMAT_BYTES, "%.*f %s", unit == 0 ? 0 : 1, bytes, UNITS[unit]);
	return out;
}

/* Two units, where the first is a multiple of the second: 8 min 9 s. */
static void format_parts(double seconds, const char *unit, uint64_t unit_s, const char *part, uint64_t part_s,
			 char *out)
{
	uint64_t whole_s = seconds < 1e15 ? (uint64_t)seconds : (uint64_t)1e15;
	snprintf(out, FORMAT_BYTES, "%lu %s %lu %s", whole_s / unit_s, unit, whole_s % unit_s / part_s, part);
}

const char *format_duration(double seconds, char *out)
{
	if (seconds == 0)
		snprintf(out, FORMAT_BYTES, "0 s");
	else if (seconds < 0.0009995)
		snprintf(out, FORMAT_BYTES, "%.3g us", seconds * 1e6);
	else if (seconds < 0.9995)
		snprintf(out, FORMAT_BYTES, "%.3g ms", seconds * 1e3);
	else if (seconds < 60)
		snprintf(out, FORMAT_BYTES, "%.3g s", seconds);
	else if (seconds < 3600)
		format_parts(seconds, "min", 60, "s", 1, out);
	else if (seconds < 86400)
		format_parts(seconds, "h", 3600, "min", 60, out);
	else
		format_parts(seconds, "d", 86400, "h", 3600, out);
	return out;
}

const char *format_time(double time_s, char *out)
{
	struct tm parts;
	time_t whole = (time_t)time_s;
	/* Up to 9999-12-31, so that a year has four digits. */
	if (!(time_s >= 0 && time_s < 253402300800.0) || gmtime_r(&whole, &parts) == NULL ||
	    strftime(out, FORMAT_BYTES, "%Y-%m-%d %H:%M:%S UTC", &parts) == 0)
		snprintf(out, FORMAT_BYTES, "-");
	return out;
}
