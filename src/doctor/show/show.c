#include "doctor/show/show.h"

#include "base/check.h"
#include "base/format.h"
#include "doctor/fix/fix.h"
#include "doctor/limits/sizing.h"

#include <stdlib.h>
#include <string.h>

static const char *const HEADINGS[] = {
	[LIMIT_HOLDS] = "how many connections there can be",
	[LIMIT_AT_ONCE] = "how many may connect, or have data in flight, at the same time",
	[LIMIT_OUTGOING] = "how many a load generator or a bridge on this machine can make to one server",
	[LIMIT_ADVICE] = "settings that matter",
};
_Static_assert(sizeof(HEADINGS) / sizeof(HEADINGS[0]) == LIMIT_ADVICE + 1, "each kind has a heading");

static const char *show_unit(const struct limit *limit, uint64_t value, char *out)
{
	return limit->unit == LIMIT_BYTES ? format_bytes((double)value, out) : format_count(value, out);
}

static const char *show_words(const struct finding *finding, const struct machine *machine)
{
	switch (finding->limit->fact) {
	case FACT_HUGE_PAGES:
		return machine->huge_pages;
	case FACT_CLOCK_SOURCE:
		return machine->clock_source;
	case FACT_CAPABILITIES:
		return machine_may_raise(machine) ? "yes" : "no";
	default:
		return reading_used(finding->now) != 0 ? "yes" : "no";
	}
}

static const char *show_now(const struct finding *finding, const struct machine *machine, char *out)
{
	const struct limit *limit = finding->limit;
	switch (finding->now.state) {
	case READING_ABSENT:
		return finding->state == FINDING_UNKNOWN ? "not readable" : "-";
	case READING_UNREADABLE:
		return "not a number";
	case READING_UNLIMITED:
		return "unlimited";
	case READING_KNOWN:
		break;
	}
	if (limit->unit == LIMIT_WORDS)
		return show_words(finding, machine);
	if (limit->unit == LIMIT_RANGE) {
		CHECK(limit->fact > 0 && limit->words == 2);
		snprintf(out, FORMAT_BYTES, "%llu to %llu", (unsigned long long)machine->facts[limit->fact - 1].value,
			 (unsigned long long)finding->now.value);
		return out;
	}
	return show_unit(limit, finding->now.value, out);
}

static const char *show_allows(const struct finding *finding, char *out)
{
	if (finding->limit->kind == LIMIT_ADVICE)
		return "";
	return finding->allows == VERDICT_UNBOUNDED ? "no limit" : format_count(finding->allows, out);
}

/* Empty where there is nothing to compare it with. */
static const char *show_need(const struct verdict *verdict, const struct finding *finding, char *out)
{
	const struct limit *limit = finding->limit;
	bool comparable = limit->need != NULL && !limit->apart && finding->now.state == READING_KNOWN;
	if (verdict->connections == 0 || !comparable)
		return "";
	return show_unit(limit, finding->need, out);
}

static void show_row(const struct verdict *verdict, const struct finding *finding, bool colour, FILE *out)
{
	static const char MARKS[] = {[FINDING_FINE] = ' ', [FINDING_SHORT] = '!', [FINDING_UNKNOWN] = '?'};
	char allows[FORMAT_BYTES];
	char now[FORMAT_BYTES];
	char need[FORMAT_BYTES];
	char line[160];
	bool marked = colour && finding->state != FINDING_FINE;
	int size = snprintf(line, sizeof(line), "%c %13s  %-30s  %-20s  %s", MARKS[finding->state],
			    show_allows(finding, allows), finding->limit->key, show_now(finding, verdict->machine, now),
			    show_need(verdict, finding, need));
	CHECK(size > 0 && (size_t)size < sizeof(line));
	while (size > 0 && line[size - 1] == ' ')
		line[--size] = '\0';
	fprintf(out, "%s%s%s\n", marked ? "\033[1;31m" : "", line, marked ? "\033[0m" : "");
}

static void show_table(const struct verdict *verdict, bool colour, FILE *out)
{
	fprintf(out, "  %13s  %-30s  %s\n", "connections", "limit",
		verdict->connections != 0 ? "now                   needed" : "now");
	for (uint32_t i = 0; i < verdict->count; i++) {
		const struct finding *finding = &verdict->findings[i];
		if (i == 0 || finding->limit->kind != verdict->findings[i - 1].limit->kind)
			fprintf(out, "\n  %s:\n", HEADINGS[finding->limit->kind]);
		show_row(verdict, finding, colour, out);
	}
}

static void show_headline(const struct verdict *verdict, FILE *out)
{
	char asked[FORMAT_BYTES];
	char holds[FORMAT_BYTES];
	const char *first = verdict->first != NULL ? verdict->first->limit->key : "";
	if (verdict->first != NULL)
		format_count(verdict->holds, holds);
	if (verdict->connections == 0)
		fputs("This machine", out);
	else
		fprintf(out, "This machine, for %s connections: %s", format_count(verdict->connections, asked),
			verdict->fits ? "they fit" : "they do not fit");
	if (verdict->first == NULL)
		fputs(": nothing that is known here limits them.\n\n", out);
	else if (verdict->connections == 0)
		fprintf(out, ": %s breaks first, at %s connections.\n\n", first, holds);
	else
		fprintf(out, ". %s breaks first, at %s.\n\n", first, holds);
}

static void show_short(const struct finding *finding, uint32_t number, FILE *out)
{
	char allows[FORMAT_BYTES];
	char words[FIX_BYTES];
	fprintf(out, "%u. %s", number, finding->limit->key);
	if (finding->limit->kind != LIMIT_ADVICE)
		fprintf(out, " allows %s", show_allows(finding, allows));
	fprintf(out, " (%s)\n   %s\n", machine_path(finding->limit->fact), finding->limit->breaks);
	if (*fix_describe(finding, words) != '\0')
		fprintf(out, "   fix: %s\n", words);
}

static void show_fixes(const struct verdict *verdict, FILE *out)
{
	static const char *const TITLES[] = {
		[LIMIT_HOLDS] = "What breaks, in order:",
		[LIMIT_AT_ONCE] = "What suffers when all clients connect, or are all sent something, at once:",
		[LIMIT_OUTGOING] = "For a load generator or a bridge on this machine:",
		[LIMIT_ADVICE] = "Better changed:",
	};
	_Static_assert(sizeof(TITLES) / sizeof(TITLES[0]) == LIMIT_ADVICE + 1, "each kind has a title");
	uint32_t number = 0;
	int kind = -1;
	for (uint32_t i = 0; i < verdict->count; i++) {
		const struct finding *finding = &verdict->findings[i];
		if (finding->state != FINDING_SHORT)
			continue;
		if ((int)finding->limit->kind != kind)
			fprintf(out, "\n%s\n", TITLES[finding->limit->kind]);
		kind = (int)finding->limit->kind;
		show_short(finding, ++number, out);
	}
}

void show_people(const struct verdict *verdict, bool colour, FILE *out)
{
	show_headline(verdict, out);
	show_table(verdict, colour, out);
	show_fixes(verdict, out);
}

/* ---- for programs ---- */

static json_t *json_bound(uint64_t value)
{
	return value > INT64_MAX ? json_null() : json_integer((json_int_t)value);
}

static json_t *json_finding(const struct finding *finding, const struct machine *machine)
{
	static const char *const KINDS[] = {[LIMIT_HOLDS] = "holds",
					    [LIMIT_AT_ONCE] = "at_once",
					    [LIMIT_OUTGOING] = "outgoing",
					    [LIMIT_ADVICE] = "advice"};
	static const char *const STATES[] = {
		[FINDING_FINE] = "fine", [FINDING_SHORT] = "short", [FINDING_UNKNOWN] = "unknown"};
	static const char *const READINGS[] = {
		[READING_ABSENT] = "absent",
		[READING_UNREADABLE] = "unreadable",
		[READING_UNLIMITED] = "unlimited",
		[READING_KNOWN] = "known",
	};
	_Static_assert(sizeof(KINDS) / sizeof(KINDS[0]) == LIMIT_ADVICE + 1, "each kind has a name");
	_Static_assert(sizeof(STATES) / sizeof(STATES[0]) == FINDING_UNKNOWN + 1, "each state has a name");
	_Static_assert(sizeof(READINGS) / sizeof(READINGS[0]) == READING_KNOWN + 1, "each reading has a name");
	const struct limit *limit = finding->limit;
	bool known = finding->now.state == READING_KNOWN;
	char words[FIX_BYTES];
	json_t *now = !known                       ? json_null()
		      : limit->unit == LIMIT_WORDS ? json_string(show_words(finding, machine))
						   : json_bound(finding->now.value);
	bool asked = limit->need != NULL && finding->need != 0;
	return json_pack("{ss ss ss ss ss so so so so ss ss* ss*}", "key", limit->key, "kind", KINDS[limit->kind],
			 "state", STATES[finding->state], "where", machine_path(limit->fact), "reading",
			 READINGS[finding->now.state], "now", now, "allows", json_bound(finding->allows), "have",
			 json_bound(finding->have), "needed", asked ? json_bound(finding->need) : json_null(), "breaks",
			 limit->breaks, "wanted", finding->fixable ? finding->wanted : NULL, "mend",
			 finding->state == FINDING_SHORT ? fix_describe(finding, words) : NULL);
}

json_t *show_json(const struct verdict *verdict)
{
	const struct machine *machine = verdict->machine;
	json_t *findings = json_array();
	for (uint32_t i = 0; i < verdict->count; i++)
		json_array_append_new(findings, json_finding(&verdict->findings[i], machine));
	uint64_t n = verdict->connections != 0 ? verdict->connections : 1;
	return json_pack("{so so sb ss* sI sI sI sI so}", "connections",
			 verdict->connections != 0 ? json_bound(verdict->connections) : json_null(), "holds",
			 json_bound(verdict->holds), "fits", verdict->fits, "breaks_first",
			 verdict->first != NULL ? verdict->first->limit->key : NULL, "shards",
			 (json_int_t)sizing_shards(machine, n), "threads", (json_int_t)sizing_threads(machine, n),
			 "mappings", (json_int_t)sizing_mappings(machine, n), "address_bytes",
			 (json_int_t)sizing_address_bytes(machine, n), "limits", findings);
}

void show_print_json(json_t *json, FILE *out)
{
	CHECK(json != NULL);
	json_dumpf(json, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(json);
}
