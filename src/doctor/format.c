#include "doctor/format.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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

const char *format_number(double value, int decimals, char *out)
{
	if (isfinite(value))
		snprintf(out, FORMAT_BYTES, "%.*f", decimals, fabs(value) < 1e15 ? value : 1e15);
	else
		snprintf(out, FORMAT_BYTES, "n/a");
	return out;
}
