#include "daemon/options.h"

#include "mqtt/packet.h"
#include "mqtt/topic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_LISTENER "tcp://127.0.0.1:1883"

enum option_kind {
	OPTION_NUMBER,
	OPTION_BOOL, /* a switch on the command line: --name, --no-name */
	OPTION_TEXT, /* at most `most` - 1 bytes */
	OPTION_PATH, /* the same: a file */
	OPTION_ADMIN,
	OPTION_LISTEN,
	OPTION_LOG_LEVEL,
	OPTION_QUEUE_POLICY,
};

struct option_spec {
	const char *name;
	enum option_kind kind;
	size_t offset; /* of the field in struct options: uint32_t, bool or char[] */
	uint32_t least;
	uint32_t most;
	const char *help;
};

#define NUMBER(name, field, least, most, help)                                                                         \
	{                                                                                                              \
		name, OPTION_NUMBER, offsetof(struct options, settings.field), least, most, help                       \
	}
#define SWITCH(name, field, help)                                                                                      \
	{                                                                                                              \
		name, OPTION_BOOL, offsetof(struct options, field), 0, 1, help                                         \
	}

static const struct option_spec SPECS[] = {
	{"listen", OPTION_LISTEN, 0, 0, 0, "URL to listen on, tcp://address:port; may be given several times"},
	NUMBER("gates", gates, 1, 16, "threads that accept and sign in"),
	NUMBER("shards", shards, 0, 1024, "threads that hold clients; 0: one a core, more where connections need them"),
	NUMBER("connections", connections, 0, 16000000,
	       "clients that may be there at one time; 0: as many as the shards hold"),
	NUMBER("connect-timeout-ms", connect_timeout_ms, 10, 600000, "time for a whole CONNECT to come"),
	NUMBER("packet-bytes-max", packet_bytes_max, 128, MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX,
	       "largest packet that a client may send"),
	NUMBER("queue-bytes-max", queue_bytes_max, 1024, 1u << 28,
	       "output that may wait for one client, where QoS 0 messages beyond it are dropped; and messages of "
	       "QoS 1 and 2 that may wait for its session"),
	NUMBER("queue-messages-max", queue_messages_max, 1, 10000000,
	       "messages of QoS 1 and 2 that may wait for one session"),
	{"queue-policy", OPTION_QUEUE_POLICY, 0, 0, 0,
	 "what a session's full queue forgets: drop-oldest or drop-newest"},
	NUMBER("inflight-max", inflight_max, 1, 65535,
	       "messages of QoS 1 and 2 under way to one client, unless it asks for fewer"),
	NUMBER("receive-max", receive_max, 1, 65535, "messages of QoS 2 under way from one version 5 client"),
	NUMBER("topic-alias-max", topic_alias_max, 0, 65535, "topic aliases of one connection, in each direction"),
	NUMBER("session-expiry-max-s", session_expiry_max_s, 0, UINT32_MAX,
	       "longest time that a session outlives its connection; 4294967295: for ever"),
	NUMBER("sessions-offline-max", sessions_offline_max, 0, 16000000, "sessions without a connection"),
	NUMBER("retained-max", retained_max, 0, 100000000, "retained messages"),
	NUMBER("retained-bytes-max", retained_bytes_max, 0, UINT32_MAX, "bytes of their packets together"),
	NUMBER("keepalive-max-s", keepalive_max_s, 0, 65535,
	       "longest keepalive of version 5 clients, which are told; 0: no bound"),
	NUMBER("sys-interval-s", sys_interval_s, 0, 86400,
	       "seconds between publications on $SYS topics; 0: there are none"),
	SWITCH("payload-format-check", settings.payload_format_check,
	       "refuse payloads that are said to be UTF-8 and are not"),
	{"response-information", OPTION_TEXT, offsetof(struct options, settings.response_information), 0,
	 SETTINGS_TEXT_BYTES_MAX,
	 "told to version 5 clients that ask for it: where they may have their responses sent"},
	NUMBER("stuck-timeout-ms", stuck_timeout_ms, 100, 3600000,
	       "a client that takes no byte of its waiting output for so long is ended"),
	NUMBER("drain-ms", drain_ms, 0, 600000, "longest time that a stop may take"),
	NUMBER("client-id-bytes-max", client_id_bytes_max, 23, 65535, "longest client id"),
	NUMBER("client-subscriptions-max", client_subscriptions_max, 1, 1000000, "subscriptions of one client"),
	NUMBER("handshakes-max", handshakes_max, 16, 1000000, "sockets of one gate that have not signed in yet"),
	NUMBER("backlog", backlog, 1, 65535, "connections that may wait in the kernel to be accepted"),
	SWITCH("defer-accept", settings.defer_accept,
	       "let the kernel hold a connection until its first bytes are there"),
	SWITCH("private-tables", settings.private_tables,
	       "a descriptor table for each thread, beyond the limit of one"),
	{"admin", OPTION_ADMIN, 0, 0, 0,
	 "URL of the admin side, http://address:port: metrics, API and a page; off: there is none"},
	{"admin-token-file", OPTION_PATH, offsetof(struct options, admin.token_file), 0, ADMIN_PATH_BYTES_MAX,
	 "file with the token that the admin side asks for; needed where its address is not loopback"},
	SWITCH("admin-open-metrics", admin.open_metrics, "let /metrics be read without the token"),
	{"log-level", OPTION_LOG_LEVEL, 0, 0, 0, "error, warning, info or debug"},
};

#define SPEC_COUNT (sizeof(SPECS) / sizeof(SPECS[0]))
_Static_assert(SPEC_COUNT <= OPTIONS_MAX, "each option has a line of the file");

struct options options_default(void)
{
	return (struct options){
		.settings =
			{
				.gates = 1,
				.connect_timeout_ms = 10000,
				.packet_bytes_max = 1 << 20,
				.queue_bytes_max = 256 << 10,
				.stuck_timeout_ms = 30000,
				.drain_ms = 30000,
				.client_id_bytes_max = 1024,
				.client_subscriptions_max = 10000,
				.session_expiry_max_s = UINT32_MAX,
				.sessions_offline_max = 1000000,
				.inflight_max = 100,
				.receive_max = 1000,
				.topic_alias_max = 32,
				.queue_messages_max = 1000,
				.retained_max = 1000000,
				.retained_bytes_max = 1u << 30,
				.sys_interval_s = 10,
				.payload_format_check = true,
				.handshakes_max = 8192,
				.backlog = 4096,
				.defer_accept = true,
				.private_tables = true,
			},
		.admin = {.url = ADMIN_DEFAULT_URL, .url_is_default = true},
		.log_level = LOG_INFO,
	};
}

static bool same_name(const char *a, const char *b)
{
	for (; *a != '\0' && *b != '\0'; a++, b++) {
		bool both_dashes = (*a == '-' || *a == '_') && (*b == '-' || *b == '_');
		if (*a != *b && !both_dashes)
			return false;
	}
	return *a == *b;
}

const struct option_spec *option_find(const char *name)
{
	for (size_t i = 0; i < SPEC_COUNT; i++) {
		if (same_name(SPECS[i].name, name))
			return &SPECS[i];
	}
	return NULL;
}

bool option_is_switch(const struct option_spec *spec)
{
	return spec->kind == OPTION_BOOL;
}

bool option_is_list(const struct option_spec *spec)
{
	return spec->kind == OPTION_LISTEN;
}

static bool set_number(const struct option_spec *spec, struct options *options, const char *text, char *fault)
{
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < spec->least || value > spec->most) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is not a number from %u to %u", text, spec->least,
			 spec->most);
		return false;
	}
	*(uint32_t *)(void *)((uint8_t *)options + spec->offset) = (uint32_t)value;
	return true;
}

static bool set_bool(const struct option_spec *spec, struct options *options, const char *text, char *fault)
{
	bool value = strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;
	if (!value && strcmp(text, "false") != 0 && strcmp(text, "no") != 0) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is neither true nor false", text);
		return false;
	}
	*(bool *)((uint8_t *)options + spec->offset) = value;
	return true;
}

static bool set_text(const struct option_spec *spec, struct options *options, const char *text, char *fault)
{
	size_t size = strlen(text);
	if (size >= spec->most || mqtt_string_check(slice_of(text, size)) != ERROR_OK) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is longer than %u bytes or not UTF-8", text,
			 spec->most - 1);
		return false;
	}
	memcpy((char *)options + spec->offset, text, size + 1);
	return true;
}

static bool set_queue_policy(struct settings *settings, const char *text, char *fault)
{
	settings->queue_drops_newest = strcmp(text, "drop-newest") == 0;
	if (settings->queue_drops_newest || strcmp(text, "drop-oldest") == 0)
		return true;
	snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is neither drop-oldest nor drop-newest", text);
	return false;
}

/* The whole of it is looked at when it is opened. */
static bool set_admin(struct admin_options *admin, const char *text, char *fault)
{
	bool off = strcmp(text, "off") == 0;
	if (!off && (strncmp(text, "http://", strlen("http://")) != 0 || strlen(text) >= sizeof(admin->url))) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is neither http://address:port nor off", text);
		return false;
	}
	snprintf(admin->url, sizeof(admin->url), "%s", off ? "" : text);
	admin->url_is_default = false;
	return true;
}

static bool add_listener(struct options *options, const char *text, char *fault)
{
	struct settings *settings = &options->settings;
	const char *reason;
	if (settings->listener_count == SETTINGS_LISTENERS_MAX) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "more than %d listeners", SETTINGS_LISTENERS_MAX);
		return false;
	}
	if (listener_parse(text, &settings->listeners[settings->listener_count], &reason) != ERROR_OK) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.100s\": %s", text, reason);
		return false;
	}
	settings->listener_count++;
	return true;
}

bool option_set(const struct option_spec *spec, struct options *options, const char *text,
		char fault[OPTION_FAULT_BYTES_MAX])
{
	switch (spec->kind) {
	case OPTION_NUMBER:
		return set_number(spec, options, text, fault);
	case OPTION_BOOL:
		return set_bool(spec, options, text, fault);
	case OPTION_TEXT:
	case OPTION_PATH:
		return set_text(spec, options, text, fault);
	case OPTION_ADMIN:
		return set_admin(&options->admin, text, fault);
	case OPTION_QUEUE_POLICY:
		return set_queue_policy(&options->settings, text, fault);
	case OPTION_LISTEN:
		return add_listener(options, text, fault);
	case OPTION_LOG_LEVEL:
		if (log_level_parse(text, &options->log_level))
			return true;
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is not error, warning, info or debug", text);
		return false;
	}
	return false;
}

void options_complete(struct options *options)
{
	char fault[OPTION_FAULT_BYTES_MAX];
	if (options->settings.listener_count == 0)
		add_listener(options, DEFAULT_LISTENER, fault);
}

/* What stands for an option's value in the help. */
static const char *const PLACEHOLDERS[] = {
	[OPTION_NUMBER] = " N",        [OPTION_BOOL] = "",
	[OPTION_TEXT] = " TEXT",       [OPTION_LISTEN] = " URL",
	[OPTION_LOG_LEVEL] = " LEVEL", [OPTION_QUEUE_POLICY] = " POLICY",
	[OPTION_PATH] = " FILE",       [OPTION_ADMIN] = " URL",
};

static void print_listeners(const struct settings *settings, FILE *out)
{
	for (uint32_t i = 0; i < settings->listener_count; i++)
		fprintf(out, "%s%s", i != 0 ? ", " : "", settings->listeners[i].url);
	if (settings->listener_count == 0)
		fputs(DEFAULT_LISTENER, out);
}

/* As it is written in the configuration file. */
void option_print_value(const struct option_spec *spec, const struct options *options, FILE *out)
{
	const uint8_t *field = (const uint8_t *)options + spec->offset;
	switch (spec->kind) {
	case OPTION_NUMBER:
		fprintf(out, "%u", *(const uint32_t *)(const void *)field);
		break;
	case OPTION_BOOL:
		fputs(*(const bool *)field ? "true" : "false", out);
		break;
	case OPTION_TEXT:
	case OPTION_PATH:
		fprintf(out, "\"%s\"", (const char *)field);
		break;
	case OPTION_ADMIN:
		fputs(options->admin.url[0] != '\0' ? options->admin.url : "off", out);
		break;
	case OPTION_LISTEN:
		print_listeners(&options->settings, out);
		break;
	case OPTION_LOG_LEVEL:
		fputs(log_level_name(options->log_level), out);
		break;
	case OPTION_QUEUE_POLICY:
		fputs(options->settings.queue_drops_newest ? "drop-newest" : "drop-oldest", out);
		break;
	}
}

/* The same for people. */
static void print_default(const struct option_spec *spec, const struct options *defaults, FILE *out)
{
	if (spec->kind == OPTION_TEXT || spec->kind == OPTION_PATH)
		fputs("none", out);
	else if (spec->kind == OPTION_BOOL)
		fputs(*(const bool *)((const uint8_t *)defaults + spec->offset) ? "on" : "off", out);
	else
		option_print_value(spec, defaults, out);
}

void options_print_help(FILE *out)
{
	struct options defaults = options_default();
	for (size_t i = 0; i < SPEC_COUNT; i++) {
		const struct option_spec *spec = &SPECS[i];
		fprintf(out, "  --%s%s%s\n        %s (", spec->kind == OPTION_BOOL ? "[no-]" : "", spec->name,
			PLACEHOLDERS[spec->kind], spec->help);
		print_default(spec, &defaults, out);
		fputs(")\n", out);
	}
}

/* ---- what others may know of an option ---- */

size_t option_count(void)
{
	return SPEC_COUNT;
}

const struct option_spec *option_at(size_t number)
{
	return &SPECS[number];
}

size_t option_place(const struct option_spec *spec)
{
	return (size_t)(spec - SPECS);
}

const char *option_name(const struct option_spec *spec)
{
	return spec->name;
}

const char *option_help(const struct option_spec *spec)
{
	return spec->help;
}

bool option_range(const struct option_spec *spec, uint32_t *least, uint32_t *most)
{
	*least = spec->least;
	*most = spec->most;
	return spec->kind == OPTION_NUMBER;
}

void option_copy(const struct option_spec *spec, struct options *into, const struct options *from)
{
	uint8_t *to = (uint8_t *)into + spec->offset;
	const uint8_t *field = (const uint8_t *)from + spec->offset;
	if (spec->kind == OPTION_NUMBER)
		memcpy(to, field, sizeof(uint32_t));
	else if (spec->kind == OPTION_BOOL)
		memcpy(to, field, sizeof(bool));
	else if (spec->kind == OPTION_TEXT)
		memcpy(to, field, SETTINGS_TEXT_BYTES_MAX);
	else if (spec->kind == OPTION_LOG_LEVEL)
		into->log_level = from->log_level;
	else if (spec->kind == OPTION_QUEUE_POLICY)
		into->settings.queue_drops_newest = from->settings.queue_drops_newest;
}
