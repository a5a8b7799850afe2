#include "device/durable_rate.h"

#include "base/check.h"

#include <math.h>

#define COMMITS_WAITED 1.5
#define COMMITS_WAITED_MOST 2.0

static double per_second(double count, double ns)
{
	return ns > 0 ? count * 1e9 / ns : (double)NAN;
}

struct durable_rate durable_rate_of(const struct durable_sync *sync, uint32_t record_bytes, uint32_t flight)
{
	CHECK(record_bytes > 0 && flight > 0);
	double bytes = per_second(DURABLE_RATE_LARGE_BYTES, (double)sync->large_p50_ns);
	double device = bytes / record_bytes;
	double waited = per_second(flight, COMMITS_WAITED * (double)sync->large_p50_ns);
	return (struct durable_rate){
		.alone_per_s = per_second(1, (double)sync->small_p50_ns),
		.flight_per_s = waited < device ? waited : device,
		.bytes_per_s = bytes,
		.device_per_s = device,
		.puback_p50_us = COMMITS_WAITED * (double)sync->large_p50_ns / 1e3,
		.puback_p99_us = COMMITS_WAITED_MOST * (double)sync->large_p99_ns / 1e3,
	};
}
