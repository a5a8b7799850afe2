#include "base/check.h"
#include "base/format.h"
#include "ctl/show.h"

#include <stdint.h>

/* ---- histograms: how many took no longer than each bound; all share one list of bounds ---- */

static double sum_of(const json_t *counts)
{
	double sum = 0;
	size_t i;
	const json_t *count;
	json_array_foreach(counts, i, count)
	{
		sum += json_number_value(count);
	}
	return sum;
}

static void show_bucket(const json_t *bounds, size_t bucket, double count, double sum, FILE *out)
{
	char text[FORMAT_BYTES];
	char label[FORMAT_BYTES + 8];
	CHECK(json_array_size(bounds) > 0 && sum > 0);
	size_t last = json_array_size(bounds) - 1;
	const json_t *bound = json_array_get(bounds, bucket <= last ? bucket : last);
	format_duration(json_number_value(bound), text);
	snprintf(label, sizeof(label), "%s %s", bucket <= last ? "up to" : "above", text);
	fprintf(out, "  %-26s %.0f (%.1f %%)\n", label, count, 100 * count / sum);
}

static void show_histogram(const char *title, const json_t *counts, const json_t *bounds, FILE *out)
{
	double sum = sum_of(counts);
	size_t i;
	const json_t *count;
	if (sum == 0 || json_array_size(bounds) == 0)
		return;
	fprintf(out, "\n%s\n", title);
	json_array_foreach(counts, i, count)
	{
		if (json_number_value(count) != 0)
			show_bucket(bounds, i, json_number_value(count), sum, out);
	}
}

/* The bound below which the fraction stayed; null: there is none, or it is above the last bound. A new reference. */
static json_t *quantile_of(const json_t *counts, const json_t *bounds, double fraction)
{
	CHECK(fraction > 0 && fraction <= 1);
	double below = 0;
	double sum = sum_of(counts);
	for (size_t i = 0; i < json_array_size(bounds) && sum != 0; i++) {
		below += json_number_value(json_array_get(counts, i));
		if (below >= fraction * sum)
			return json_incref(json_array_get(bounds, i));
	}
	return json_null();
}

/* ---- parts of the answer ---- */

static void show_part(const json_t *answer, const char *name, FILE *out)
{
	const json_t *part = json_object_get(answer, name);
	const char *member;
	json_t *value;
	if (json_is_object(part))
		fprintf(out, "\n%s\n", name);
	json_object_foreach((json_t *)(uintptr_t)part, member, value)
	{
		show_member("  ", member, value, out);
	}
}

static void show_transports(const json_t *clients, FILE *out)
{
	const char *name;
	json_t *value;
	json_object_foreach(json_object_get(clients, "by_transport"), name, value)
	{
		fprintf(out, "  of these over %-12s %" JSON_INTEGER_FORMAT "\n", name, json_integer_value(value));
	}
}

/* A line each: when it ends, whose it is, and where it is from. */
static void show_certificates(const json_t *tls, FILE *out)
{
	static const struct show_column COLUMNS[] = {
		{"EXPIRES", "expires", 27}, /* with a margin */
		{"KIND", "kind", -10},
		{"SUBJECT", "subject", -30},
		{"PATH", "path", -1},
	};
	const json_t *certificates = json_object_get(tls, "certificates");
	if (json_array_size(certificates) != 0)
		show_table(COLUMNS, sizeof(COLUMNS) / sizeof(COLUMNS[0]), certificates, true, out);
}

static void show_memory(const json_t *memory, FILE *out)
{
	char text[FORMAT_BYTES];
	const char *name;
	json_t *value;
	json_object_foreach(json_object_get(memory, "parts"), name, value)
	{
		fprintf(out, "  of sessions: %-13s %s\n", name, format_bytes(json_number_value(value), text));
	}
}

/* Counters have the same names here as in metrics and logs. */
static void show_counters(const json_t *counters, FILE *out)
{
	const char *name;
	json_t *value;
	if (json_is_object(counters))
		fputs("\ncounters\n", out);
	json_object_foreach((json_t *)(uintptr_t)counters, name, value)
	{
		fprintf(out, "  %-27s %" JSON_INTEGER_FORMAT "\n", name, json_integer_value(value));
	}
}

static void show_ends(const json_t *ends, FILE *out)
{
	const char *name;
	json_t *value;
	if (json_object_size(ends) != 0)
		fputs("\nconnections that ended, by reason\n", out);
	json_object_foreach((json_t *)(uintptr_t)ends, name, value)
	{
		fprintf(out, "  %-26s %10" JSON_INTEGER_FORMAT "  ", name,
			json_integer_value(json_object_get(value, "count")));
		const char *meaning = json_string_value(json_object_get(value, "meaning"));
		show_text(meaning != NULL ? meaning : "", out);
		fputc('\n', out);
	}
}

static void show_shards(json_t *shards, const json_t *bounds, FILE *out)
{
	static const struct show_column COLUMNS[] = {
		{"SHARD", "shard", 7}, /* with a margin */
		{"CLIENTS", "clients", 9},
		{"CPU", "cpu_seconds", 12},
		{"TURNS", "turns", 12},
		{"99 % WITHIN", "turn_99_seconds", 11},
		{"LONGEST", "longest_turn_seconds", 10},
		{"RECENTLY", "longest_recent_turn_seconds", 10},
		{"WAKE-UP 99 %", "wake_lag_99_seconds", 12},
		{"DESCRIPTORS", "descriptors", 11},
		{"OF", "descriptors_allowed", 9},
	};
	size_t i;
	json_t *shard;
	json_array_foreach(shards, i, shard)
	{
		json_object_set_new(shard, "turn_99_seconds",
				    quantile_of(json_object_get(shard, "turn_counts"), bounds, 0.99));
		json_object_set_new(shard, "wake_lag_99_seconds",
				    quantile_of(json_object_get(shard, "wake_lag_counts"), bounds, 0.99));
	}
	if (json_array_size(shards) != 0)
		fputs("\nshards\n", out);
	show_table(COLUMNS, sizeof(COLUMNS) / sizeof(COLUMNS[0]), shards, true, out);
}

void show_stats(const json_t *answer, FILE *out)
{
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)answer, name, value)
	{
		show_member("", name, value, out);
	}
	const json_t *bounds = json_object_get(answer, "timing_bounds_seconds");
	show_part(answer, "clients", out);
	show_transports(json_object_get(answer, "clients"), out);
	show_part(answer, "memory", out);
	show_memory(json_object_get(answer, "memory"), out);
	show_part(answer, "store", out);
	show_part(answer, "authority", out);
	show_part(answer, "tls", out);
	show_certificates(json_object_get(answer, "tls"), out);
	show_shards(json_object_get(answer, "shards"), bounds, out);
	show_histogram("time of a message from its reading to its writing", json_object_get(answer, "delivery_counts"),
		       bounds, out);
	show_ends(json_object_get(answer, "ends"), out);
	show_counters(json_object_get(answer, "counters"), out);
}
