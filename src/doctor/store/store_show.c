#include "base/format.h"
#include "doctor/store/store.h"

#include <math.h>

static void show_sync(const char *size, uint32_t count, uint64_t p50_ns, uint64_t p99_ns, FILE *out)
{
	char middle[FORMAT_BYTES];
	char tail[FORMAT_BYTES];
	fprintf(out, "  write and fdatasync of %s: p50 %s, p99 %s, of %u\n", size,
		format_duration((double)p50_ns / 1e9, middle), format_duration((double)p99_ns / 1e9, tail), count);
}

void store_show(const struct store_verdict *verdict, FILE *out)
{
	const struct device *device = &verdict->device;
	const struct durable_rate *rate = &verdict->rate;
	char cells[4][FORMAT_BYTES];
	fprintf(out, "\nA store in %s (%s%s%s, %s free):\n\n", verdict->directory, device->file_system,
		device->name[0] != '\0' ? " on " : "", device->name,
		format_bytes((double)device->free_bytes, cells[0]));
	show_sync("4 KiB", verdict->small_count, verdict->sync.small_p50_ns, verdict->sync.small_p99_ns, out);
	show_sync("64 KiB", verdict->large_count, verdict->sync.large_p50_ns, verdict->sync.large_p99_ns, out);
	fprintf(out,
		"\n  Expect of --durability always, with messages of 200 bytes:\n"
		"    one publisher, one message at a time: %s messages/s = 1 / p50 of 4 KiB\n"
		"    16,000 messages in flight (500 publishers, 32 each): %s messages/s, the lower of\n"
		"      16,000 / (1.5 x p50 of 64 KiB), for a message waits for half a commit on average, and for its "
		"own,\n"
		"      and 64 KiB / p50 of 64 KiB = %s/s, at 250 bytes of log each (larger commits carry more)\n",
		format_count((uint64_t)rate->alone_per_s, cells[0]),
		format_count((uint64_t)rate->flight_per_s, cells[1]), format_bytes(rate->bytes_per_s, cells[2]));
	fprintf(out, "    PUBACK: p50 %s = 1.5 x p50 of 64 KiB; p99 at most %s = 2 x p99 of 64 KiB\n",
		format_duration(rate->puback_p50_us / 1e6, cells[0]),
		format_duration(rate->puback_p99_us / 1e6, cells[1]));
	for (uint32_t i = 0; i < verdict->warning_count; i++)
		fprintf(out, "\n! %s\n", verdict->warnings[i]);
}

static json_t *json_times(uint32_t count, uint64_t p50_ns, uint64_t p99_ns)
{
	return json_pack("{sI sf sf}", "count", (json_int_t)count, "p50_us", (double)p50_ns / 1e3, "p99_us",
			 (double)p99_ns / 1e3);
}

static json_t *json_figure(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

json_t *store_json(const struct store_verdict *verdict)
{
	const struct device *device = &verdict->device;
	const struct durable_rate *rate = &verdict->rate;
	const struct durable_sync *sync = &verdict->sync;
	json_t *warnings = json_array();
	for (uint32_t i = 0; i < verdict->warning_count; i++)
		json_array_append_new(warnings, json_string(verdict->warnings[i]));
	return json_pack("{ss ss ss sb sI so so s{so so so so} so}", "directory", verdict->directory, "file_system",
			 device->file_system, "device", device->name, "rotates", device->rotates, "free_bytes",
			 (json_int_t)device->free_bytes, "sync_4k",
			 json_times(verdict->small_count, sync->small_p50_ns, sync->small_p99_ns), "sync_64k",
			 json_times(verdict->large_count, sync->large_p50_ns, sync->large_p99_ns), "expect",
			 "alone_per_s", json_figure(rate->alone_per_s), "flight_per_s", json_figure(rate->flight_per_s),
			 "puback_p50_us", json_figure(rate->puback_p50_us), "puback_p99_us",
			 json_figure(rate->puback_p99_us), "warnings", warnings);
}
