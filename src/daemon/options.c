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
	OPTION_TEXT, /* at most SETTINGS_TEXT_BYTES_MAX - 1 bytes */
	OPTION_LISTEN,
	OPTION_LOG_LEVEL,
	OPTION_QUEUE_POLICY,
	OPTION_NETWORK, /* may be given several times; struct networks */
	OPTION_RATE_POLICY,
	OPTION_ANONYMOUS,
	OPTION_REDIS_POLICY,
};

struct option_spec {
	const char *name;
	enum option_kind kind;
	size_t offset; /* of the field in struct settings: uint32_t, bool or char[] */
	uint32_t least;
	uint32_t most;
	const char *help;
};

#define NUMBER(name, field, least, most, help)                                                                         \
	{                                                                                                              \
		name, OPTION_NUMBER, offsetof(struct settings, field), least, most, help                               \
	}
#define SWITCH(name, field, help)                                                                                      \
	{                                                                                                              \
		name, OPTION_BOOL, offsetof(struct settings, field), 0, 1, help                                        \
	}
#define TEXT(name, field, help)                                                                                        \
	{                                                                                                              \
		name, OPTION_TEXT, offsetof(struct settings, field), 0, 0, help                                        \
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
	SWITCH("payload-format-check", payload_format_check, "refuse payloads that are said to be UTF-8 and are not"),
	{"response-information", OPTION_TEXT, offsetof(struct settings, response_information), 0, 0,
	 "told to version 5 clients that ask for it: where they may have their responses sent"},
	NUMBER("stuck-timeout-ms", stuck_timeout_ms, 100, 3600000,
	       "a client that takes no byte of its waiting output for so long is ended"),
	NUMBER("grace-ms", grace_ms, 0, 600000,
	       "a client that is not heard of is marked as suspect so long before it is closed"),
	NUMBER("idle-probe-s", idle_probe_s, 0, 86400,
	       "clients without a keepalive: TCP asks after so long whether they are still there; 0: it does not"),
	NUMBER("drain-ms", drain_ms, 0, 600000, "longest time that a stop may take"),
	NUMBER("client-id-bytes-max", client_id_bytes_max, 23, 65535, "longest client id"),
	NUMBER("client-subscriptions-max", client_subscriptions_max, 1, 1000000, "subscriptions of one client"),
	{"anonymous", OPTION_ANONYMOUS, 0, 0, 0,
	 "who is let in without signing in: loopback (on addresses that only this machine reaches), always or never"},
	TEXT("token-secret-file", access.token_secret_file, "secret that tokens are signed with (HS256)"),
	TEXT("token-key-file", access.token_key_file, "public key of tokens, PEM (RS256, ES256, EdDSA)"),
	TEXT("token-jwks-file", access.token_jwks_file, "keys of tokens, a JWK set"),
	TEXT("token-jwks-url", access.token_jwks_url, "where a JWK set is fetched from, http:// or https://"),
	TEXT("token-jwks-ca-file", access.token_jwks_ca_file,
	     "certificates that its server is trusted by, PEM, in place of the system's"),
	NUMBER("token-jwks-refresh-s", access.token_jwks_refresh_s, 1, 604800,
	       "it is fetched again after so long, or sooner where the answer's Cache-Control says so"),
	NUMBER("token-jwks-cooldown-s", access.token_jwks_cooldown_s, 1, 86400,
	       "tokens with unknown keys have it fetched no sooner than so long after the last time"),
	TEXT("token-issuer", access.token_issuer, "what a token's iss must be"),
	TEXT("token-audience", access.token_audience, "what a token's aud must be, or have in its list"),
	NUMBER("token-leeway-s", access.token_leeway_s, 0, 86400, "how far the clocks of issuers may be off"),
	SWITCH("token-in-user-name", access.token_in_user_name, "take a token in the user name too"),
	TEXT("token-claim-client-id", access.token_claim_client_id, "claim with the client id that a token is for"),
	TEXT("token-claim-user", access.token_claim_user, "claim with the user"),
	TEXT("token-claim-permissions", access.token_claim_permissions, "claim with the permissions"),
	TEXT("password-file", access.password_file, "users and hashes of their passwords (roost passwd)"),
	TEXT("rule-file", access.rule_file, "who may publish and subscribe to what"),
	SWITCH("allow-by-default", access.allow_by_default, "allow what no rule speaks of"),
	TEXT("revocation-file", access.revocation_file, "what is revoked, across restarts"),
	TEXT("redis", access.redis_url,
	     "where revocations are followed: redis://[user:password@]host[:port][/database] or "
	     "unix://[user:password@]/path[?db=database]"),
	{"redis-unavailable", OPTION_REDIS_POLICY, 0, 0, 0,
	 "sign-ins while Redis is away: allow (with what is known) or refuse"},
	NUMBER("redis-rescan-s", access.redis_rescan_s, 1, 86400, "all revocations are read again after so long"),
	NUMBER("address-connections-max", address.connections_max, 0, 16000000,
	       "connections of one address; 0: no limit"),
	NUMBER("address-handshakes-max", address.handshakes_max, 0, 1000000,
	       "connections of one address that have not signed in yet; 0: no limit"),
	NUMBER("address-rate", address.rate, 0, 1000, "new connections of one address a second; 0: no limit"),
	NUMBER("address-burst", address.burst, 0, 1000000, "that many more of them at once"),
	NUMBER("address-bits-v4", address_bits_v4, 8, 32, "leading bits that make an IPv4 address one of these"),
	NUMBER("address-bits-v6", address_bits_v6, 16, 128, "leading bits that make an IPv6 address one of these"),
	{"address-exempt", OPTION_NETWORK, offsetof(struct settings, address_exempt), 0, 0,
	 "address or network that these limits do not count; may be given several times"},
	{"address-denied", OPTION_NETWORK, offsetof(struct settings, address_denied), 0, 0,
	 "address or network whose connections are closed at once; may be given several times"},
	NUMBER("client-messages-a-second", client_messages_a_second, 0, 1000000,
	       "messages that one client may publish; 0: no limit"),
	NUMBER("client-bytes-a-second", client_bytes_a_second, 0, 1u << 30, "bytes of them; 0: no limit"),
	{"rate-policy", OPTION_RATE_POLICY, 0, 0, 0, "a client that publishes faster than it may: slow-down or end"},
	NUMBER("handshakes-max", handshakes_max, 16, 1000000, "sockets of one gate that have not signed in yet"),
	NUMBER("backlog", backlog, 1, 65535, "connections that may wait in the kernel to be accepted"),
	SWITCH("defer-accept", defer_accept, "let the kernel hold a connection until its first bytes are there"),
	SWITCH("private-tables", private_tables, "a descriptor table for each thread, beyond the limit of one"),
	{"log-level", OPTION_LOG_LEVEL, 0, 0, 0, "error, warning, info or debug"},
};

#define SPEC_COUNT (sizeof(SPECS) / sizeof(SPECS[0]))

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
				.grace_ms = 5000,
				.idle_probe_s = 60,
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
				.access = {.allow_by_default = true,
					   .token_leeway_s = 30,
					   .token_jwks_refresh_s = 300,
					   .token_jwks_cooldown_s = 10,
					   .redis_rescan_s = 60},
				.address_bits_v4 = 32,
				.address_bits_v6 = 64,
				.handshakes_max = 8192,
				.backlog = 4096,
				.defer_accept = true,
				.private_tables = true,
			},
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
	return spec->kind == OPTION_LISTEN || spec->kind == OPTION_NETWORK;
}

static bool set_number(const struct option_spec *spec, struct settings *settings, const char *text, char *fault)
{
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < spec->least || value > spec->most) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is not a number from %u to %u", text, spec->least,
			 spec->most);
		return false;
	}
	*(uint32_t *)(void *)((uint8_t *)settings + spec->offset) = (uint32_t)value;
	return true;
}

static bool set_bool(const struct option_spec *spec, struct settings *settings, const char *text, char *fault)
{
	bool value = strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;
	if (!value && strcmp(text, "false") != 0 && strcmp(text, "no") != 0) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is neither true nor false", text);
		return false;
	}
	*(bool *)((uint8_t *)settings + spec->offset) = value;
	return true;
}

static bool set_text(const struct option_spec *spec, struct settings *settings, const char *text, char *fault)
{
	size_t size = strlen(text);
	if (size >= SETTINGS_TEXT_BYTES_MAX || mqtt_string_check(slice_of(text, size)) != ERROR_OK) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is longer than %d bytes or not UTF-8", text,
			 SETTINGS_TEXT_BYTES_MAX - 1);
		return false;
	}
	memcpy((char *)settings + spec->offset, text, size + 1);
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

static const char *const ANONYMOUS[] = {
	[ANONYMOUS_LOOPBACK] = "loopback",
	[ANONYMOUS_ALWAYS] = "always",
	[ANONYMOUS_NEVER] = "never",
};

static bool set_anonymous(struct settings *settings, const char *text, char *fault)
{
	for (unsigned i = 0; i < sizeof(ANONYMOUS) / sizeof(ANONYMOUS[0]); i++) {
		if (strcmp(text, ANONYMOUS[i]) == 0) {
			settings->access.anonymous = (enum access_anonymous)i;
			return true;
		}
	}
	snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is not loopback, always or never", text);
	return false;
}

static bool set_rate_policy(struct settings *settings, const char *text, char *fault)
{
	settings->rate_ends_client = strcmp(text, "end") == 0;
	if (settings->rate_ends_client || strcmp(text, "slow-down") == 0)
		return true;
	snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is neither slow-down nor end", text);
	return false;
}

static bool set_redis_policy(struct settings *settings, const char *text, char *fault)
{
	settings->access.redis_refuses = strcmp(text, "refuse") == 0;
	if (settings->access.redis_refuses || strcmp(text, "allow") == 0)
		return true;
	snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is neither allow nor refuse", text);
	return false;
}

static bool add_network(const struct option_spec *spec, struct settings *settings, const char *text, char *fault)
{
	struct networks *networks = (void *)((uint8_t *)settings + spec->offset);
	const char *reason = "";
	if (networks->count == SETTINGS_NETWORKS_MAX) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "more than %d networks", SETTINGS_NETWORKS_MAX);
		return false;
	}
	if (network_parse(text, &networks->items[networks->count], &reason) != ERROR_OK) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.100s\": %s", text, reason);
		return false;
	}
	networks->count++;
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
		return set_number(spec, &options->settings, text, fault);
	case OPTION_BOOL:
		return set_bool(spec, &options->settings, text, fault);
	case OPTION_TEXT:
		return set_text(spec, &options->settings, text, fault);
	case OPTION_QUEUE_POLICY:
		return set_queue_policy(&options->settings, text, fault);
	case OPTION_NETWORK:
		return add_network(spec, &options->settings, text, fault);
	case OPTION_ANONYMOUS:
		return set_anonymous(&options->settings, text, fault);
	case OPTION_RATE_POLICY:
		return set_rate_policy(&options->settings, text, fault);
	case OPTION_REDIS_POLICY:
		return set_redis_policy(&options->settings, text, fault);
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
	[OPTION_NETWORK] = " NETWORK", [OPTION_RATE_POLICY] = " POLICY",
	[OPTION_ANONYMOUS] = " WHO",   [OPTION_REDIS_POLICY] = " POLICY",
};

static void print_default(const struct option_spec *spec, const struct settings *defaults, FILE *out)
{
	const uint8_t *field = (const uint8_t *)defaults + spec->offset;
	switch (spec->kind) {
	case OPTION_NUMBER:
		fprintf(out, "%u", *(const uint32_t *)(const void *)field);
		break;
	case OPTION_BOOL:
		fputs(*(const bool *)field ? "on" : "off", out);
		break;
	case OPTION_TEXT:
		fputs("none", out);
		break;
	case OPTION_LISTEN:
		fputs(DEFAULT_LISTENER, out);
		break;
	case OPTION_LOG_LEVEL:
		fputs("info", out);
		break;
	case OPTION_QUEUE_POLICY:
		fputs("drop-oldest", out);
		break;
	case OPTION_NETWORK:
		fputs("none", out);
		break;
	case OPTION_ANONYMOUS:
		fputs(ANONYMOUS[defaults->access.anonymous], out);
		break;
	case OPTION_REDIS_POLICY:
		fputs("allow", out);
		break;
	case OPTION_RATE_POLICY:
		fputs("slow-down", out);
		break;
	}
}

void options_print_help(FILE *out)
{
	struct options defaults = options_default();
	for (size_t i = 0; i < SPEC_COUNT; i++) {
		const struct option_spec *spec = &SPECS[i];
		fprintf(out, "  --%s%s%s\n        %s (", spec->kind == OPTION_BOOL ? "[no-]" : "", spec->name,
			PLACEHOLDERS[spec->kind], spec->help);
		print_default(spec, &defaults.settings, out);
		fputs(")\n", out);
	}
}
