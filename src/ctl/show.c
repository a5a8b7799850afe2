#include "ctl/show.h"

#include "base/check.h"
#include "base/format.h"

#include <stdint.h>
#include <string.h>

#define NAME_COLUMNS 26

void show_text(const char *text, FILE *out)
{
	for (; *text != '\0'; text++)
		fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, out);
}

/* ---- one value ---- */

enum unit {
	UNIT_NONE,
	UNIT_SECONDS,
	UNIT_BYTES,
	UNIT_TIME, /* seconds since 1970 */
};

/* The unit that a member's name ends with. *size: of the name without it. */
static enum unit unit_of(const char *name, size_t *size)
{
	static const struct {
		const char *suffix;
		enum unit unit;
	} UNITS[] = {{"_seconds", UNIT_SECONDS}, {"_bytes", UNIT_BYTES}};
	*size = strlen(name);
	if (strcmp(name, "time") == 0 || strcmp(name, "until") == 0 || strcmp(name, "expires") == 0)
		return UNIT_TIME;
	if (strcmp(name, "packet_bytes_max") == 0)
		return UNIT_BYTES;
	for (size_t i = 0; i < sizeof(UNITS) / sizeof(UNITS[0]); i++) {
		size_t suffix = strlen(UNITS[i].suffix);
		if (*size > suffix && strcmp(name + *size - suffix, UNITS[i].suffix) == 0) {
			*size -= suffix;
			return UNITS[i].unit;
		}
	}
	return UNIT_NONE;
}

static const char *text_of_number(enum unit unit, const json_t *value, char *text)
{
	double number = json_number_value(value);
	if (unit == UNIT_SECONDS)
		return format_duration(number, text);
	if (unit == UNIT_BYTES)
		return format_bytes(number, text);
	if (unit == UNIT_TIME)
		return format_time(number, text);
	if (json_is_integer(value))
		snprintf(text, FORMAT_BYTES, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		snprintf(text, FORMAT_BYTES, "%.6g", number);
	return text;
}

/* text: room for FORMAT_BYTES. The result is text, or the value's own or a constant. */
static const char *text_of(const char *name, const json_t *value, char *text)
{
	size_t size;
	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_number(value))
		return text_of_number(unit_of(name, &size), value, text);
	if (json_is_boolean(value))
		return json_is_true(value) ? "yes" : "no";
	bool endless = json_is_null(value) && (strcmp(name, "until") == 0 || strcmp(name, "expires") == 0);
	return endless ? "for ever" : "-";
}

static void show_name(const char *name, FILE *out)
{
	size_t size;
	unit_of(name, &size);
	for (size_t i = 0; i < size; i++)
		fputc(name[i] == '_' ? ' ' : name[i], out);
	CHECK(size <= strlen(name));
	fprintf(out, "%*s ", size < NAME_COLUMNS ? NAME_COLUMNS - (int)size : 0, "");
}

void show_member(const char *indent, const char *name, const json_t *value, FILE *out)
{
	char text[FORMAT_BYTES];
	if (json_is_array(value) || json_is_object(value))
		return;
	fputs(indent, out);
	show_name(name, out);
	show_text(text_of(name, value, text), out);
	fputc('\n', out);
}

/* ---- tables ---- */

static void show_cell(const char *text, int width, bool last, FILE *out)
{
	CHECK(width != 0);
	int wanted = width < 0 ? -width : width;
	int size = (int)strlen(text);
	int padding = size < wanted ? wanted - size : 0;
	if (width > 0)
		fprintf(out, "%*s", padding, "");
	show_text(text, out);
	if (!last)
		fprintf(out, "%*s", width < 0 ? padding + 2 : 2, "");
}

void show_table(const struct show_column *columns, size_t count, const json_t *rows, bool headings, FILE *out)
{
	CHECK(count > 0);
	char text[FORMAT_BYTES];
	size_t row;
	const json_t *value;
	for (size_t i = 0; i < count && headings && json_array_size(rows) != 0; i++)
		show_cell(columns[i].heading, columns[i].width, i + 1 == count, out);
	if (headings && json_array_size(rows) != 0)
		fputc('\n', out);
	json_array_foreach(rows, row, value)
	{
		for (size_t i = 0; i < count; i++) {
			const json_t *member = json_object_get(value, columns[i].member);
			show_cell(text_of(columns[i].member, member, text), columns[i].width, i + 1 == count, out);
		}
		fputc('\n', out);
	}
}

#define SHOW_TABLE(columns, rows, headings, out)                                                                       \
	show_table(columns, sizeof(columns) / sizeof((columns)[0]), rows, headings, out)

void show_clients(const json_t *answer, bool headings, FILE *out)
{
	/* The client id is last: it may be long, and contain spaces. */
	static const struct show_column COLUMNS[] = {
		{"NODE", "node", -12},
		{"STATE", "state", -9},
		{"HEARTBEAT", "grade", -9},
		{"MQTT", "protocol", -5},
		{"OVER", "transport", -4},
		{"ADDRESS", "address", -21},
		{"SUBSCRIPTIONS", "subscriptions", 13},
		{"QUEUED", "queued_messages", 6},
		{"DROPPED", "dropped_messages", 7},
		{"SILENT", "silent_seconds", 10},
		{"CLIENT ID", "client_id", -1},
	};
	const json_t *clients = json_object_get(answer, "clients");
	/* Only in a cluster there is a node to show. */
	size_t first = json_object_get(json_array_get(clients, 0), "node") != NULL ? 0 : 1;
	show_table(COLUMNS + first, sizeof(COLUMNS) / sizeof(COLUMNS[0]) - first, clients, headings, out);
}

void show_revocations(const json_t *answer, bool headings, FILE *out)
{
	static const struct show_column COLUMNS[] = {
		{"KIND", "kind", -6},
		{"UNTIL", "until", -23},
		{"ID", "id", -1},
	};
	SHOW_TABLE(COLUMNS, json_object_get(answer, "revocations"), headings, out);
}

/* Of one server only that it is not connected. */
static void show_redis(const json_t *redis, FILE *out)
{
	const json_t *nodes = json_object_get(redis, "nodes");
	const char *kind = json_string_value(json_object_get(redis, "kind"));
	size_t connected = 0;
	size_t i;
	const json_t *node;
	if (kind == NULL || strcmp(kind, "single") == 0) {
		if (!json_is_true(json_object_get(redis, "connected")))
			fputs("redis is not connected\n", out);
		return;
	}
	json_array_foreach(nodes, i, node) connected += json_is_true(json_object_get(node, "connected"));
	fprintf(out, "redis (%s): %zu of %zu servers are connected", kind, connected, json_array_size(nodes));
	if (strcmp(kind, "cluster") == 0)
		fprintf(out, ", %lld slots are covered as of %.0f s ago, %lld redirections were followed",
			(long long)json_integer_value(json_object_get(redis, "slots_covered")),
			json_number_value(json_object_get(redis, "map_seconds")),
			(long long)json_integer_value(json_object_get(redis, "redirects")));
	fputc('\n', out);
	json_array_foreach(nodes, i, node)
	{
		const char *fault = json_string_value(json_object_get(node, "last_error"));
		if (fault == NULL)
			continue;
		fputs("  ", out);
		show_text(json_string_value(json_object_get(node, "address")), out);
		fputs(": ", out);
		show_text(fault, out);
		fputc('\n', out);
	}
}

void show_rules(const json_t *answer, FILE *out)
{
	/* The last error is last: it is a sentence. */
	static const struct show_column COLUMNS[] = {
		{"RULE", "name", -16},           {"STATE", "state", -8},
		{"ENTRIES", "entries", 12},      {"BACKLOG", "backlog_messages", 9},
		{"OLDEST", "oldest_seconds", 9}, {"RETRIES", "retries", 7},
		{"DEAD", "dead_letters", 6},     {"REFUSED", "refused_messages", 7},
		{"STREAM", "stream", -24},       {"LAST ERROR", "last_error", -1},
	};
	const json_t *rules = json_object_get(answer, "rules");
	if (json_array_size(rules) == 0)
		fputs("there are no rules\n", out);
	else
		show_redis(json_object_get(answer, "redis"), out);
	SHOW_TABLE(COLUMNS, rules, true, out);
}

void show_consumers(const json_t *answer, FILE *out)
{
	static const struct show_column COLUMNS[] = {
		{"CONSUMER", "name", -16},     {"STATE", "state", -8},    {"PUBLISHED", "published", 12},
		{"COMMANDS", "commands", 9},   {"LAG", "lag", 9},         {"PENDING", "pending", 8},
		{"DELAY", "delay_seconds", 9}, {"CLAIMED", "claimed", 8}, {"RETRIES", "retries", 7},
		{"DEAD", "dead_letters", 6},   {"STREAM", "stream", -24}, {"LAST ERROR", "last_error", -1},
	};
	const json_t *consumers = json_object_get(answer, "consumers");
	if (json_array_size(consumers) == 0)
		fputs("there are no consumers\n", out);
	SHOW_TABLE(COLUMNS, consumers, true, out);
}

void show_hooks(const json_t *answer, FILE *out)
{
	/* The last error is last: it is a sentence. */
	static const struct show_column COLUMNS[] = {
		{"HOOK", "name", -16},
		{"STATE", "state", -8},
		{"EVENTS", "events", 12},
		{"BACKLOG", "backlog_messages", 9},
		{"OLDEST", "oldest_seconds", 9},
		{"REQUEST", "request_seconds", 9},
		{"DEAD", "dead_letters", 6},
		{"REFUSED", "refused_messages", 7},
		{"URL", "url", -32},
		{"LAST ERROR", "last_error", -1},
	};
	const json_t *hooks = json_object_get(answer, "hooks");
	if (json_array_size(hooks) == 0)
		fputs("there are no hooks\n", out);
	SHOW_TABLE(COLUMNS, hooks, true, out);
}

static void show_replica(const json_t *replica, FILE *out)
{
	const char *node = json_string_value(json_object_get(replica, "node"));
	const char *state = json_string_value(json_object_get(replica, "state"));
	const char *fault = json_string_value(json_object_get(replica, "fault"));
	if (state == NULL || strcmp(state, "off") == 0)
		return;
	fputs("replica: ", out);
	show_text(node != NULL ? node : "none", out);
	fputs(", ", out);
	show_text(state, out);
	if (fault != NULL) {
		fputs(", ", out);
		show_text(fault, out);
	}
	fputc('\n', out);
}

void show_nodes(const json_t *answer, FILE *out)
{
	/* The fault is last: it is a sentence. */
	static const struct show_column COLUMNS[] = {
		{"NODE", "name", -20},
		{"STATE", "state", -12},
		{"SINCE", "state_seconds", 9},
		{"CLIENTS", "clients", 9},
		{"SENT", "messages_sent", 12},
		{"RECEIVED", "messages_received", 12},
		{"WAITING", "waiting_messages", 8},
		{"DROPPED", "dropped_messages", 8},
		{"ROUND TRIP", "round_trip_seconds", 10},
		{"VERSION", "version", -16},
		{"FAULT", "fault", -1},
	};
	const char *fault = json_string_value(json_object_get(answer, "fault"));
	const char *server = json_string_value(json_object_get(answer, "nats_server"));
	const json_t *nodes = json_object_get(answer, "nodes");
	if (!json_is_true(json_object_get(answer, "cluster"))) {
		fputs("this gateway is in no cluster\n", out);
		return;
	}
	fputs("node ", out);
	show_text(json_string_value(json_object_get(answer, "node")), out);
	fputs(server != NULL ? ", NATS at " : ", not connected to NATS", out);
	if (server != NULL)
		show_text(server, out);
	fputs(json_is_true(json_object_get(answer, "caught_up")) ? "\n" : ", not caught up yet\n", out);
	if (fault != NULL) {
		show_text(fault, out);
		fputc('\n', out);
	}
	show_replica(json_object_get(answer, "replica"), out);
	if (json_array_size(nodes) == 0)
		fputs("no other node was heard of\n", out);
	SHOW_TABLE(COLUMNS, nodes, true, out);
}

void show_bridges(const json_t *answer, FILE *out)
{
	static const struct show_column COLUMNS[] = {
		{"BRIDGE", "name", -16},
		{"STATE", "state", -8},
		{"MQTT", "version", -5},
		{"SENT", "sent", 12},
		{"RECEIVED", "received", 12},
		{"BACKLOG", "backlog_messages", 9},
		{"DROPPED", "dropped_messages", 8},
		{"DEAD", "dead_letters", 6},
		{"REFUSED", "refused_messages", 7},
		{"RETRIES", "retries", 7},
		{"URL", "url", -28},
		{"LAST ERROR", "last_error", -1},
	};
	const json_t *bridges = json_object_get(answer, "bridges");
	if (json_array_size(bridges) == 0)
		fputs("there are no bridges\n", out);
	SHOW_TABLE(COLUMNS, bridges, true, out);
}

/* ---- one answer ---- */

void show_members(const json_t *answer, FILE *out)
{
	char text[FORMAT_BYTES];
	const char *name;
	json_t *value;
	size_t i;
	const json_t *line;
	json_object_foreach((json_t *)(uintptr_t)answer, name, value)
	{
		json_array_foreach(value, i, line)
		{
			show_text(text_of(name, line, text), out);
			fputc('\n', out);
		}
		show_member("", name, value, out);
	}
}

void show_client(const json_t *answer, FILE *out)
{
	static const struct show_column COLUMNS[] = {
		{"QOS", "qos", 5}, /* with a margin */
		{"NO LOCAL", "no_local", -8},
		{"RETAIN AS PUBLISHED", "retain_as_published", -19},
		{"IDENTIFIER", "identifier", 10},
		{"FILTER", "filter", -1},
	};
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)answer, name, value)
	{
		show_member("", name, value, out);
	}
	const json_t *tcp = json_object_get(answer, "tcp");
	if (json_is_object(tcp))
		fputs("\nTCP\n", out);
	json_object_foreach((json_t *)(uintptr_t)tcp, name, value)
	{
		show_member("  ", name, value, out);
	}
	const json_t *subscriptions = json_object_get(answer, "subscription_list");
	if (json_array_size(subscriptions) != 0)
		fputs("\nsubscriptions\n", out);
	SHOW_TABLE(COLUMNS, subscriptions, true, out);
}
