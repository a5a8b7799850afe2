#include "daemon/option_spec.h"

#include "mqtt/packet.h"
#include "runtime/overload.h"

#include <stddef.h>

#define NUMBER(name, field, least, most, help)                                                                         \
	{                                                                                                              \
		name, OPTION_NUMBER, offsetof(struct options, settings.field), least, most, NULL, help                 \
	}
#define SWITCH(name, field, help)                                                                                      \
	{                                                                                                              \
		name, OPTION_BOOL, offsetof(struct options, field), 0, 1, NULL, help                                   \
	}
#define ACCESS_TEXT(name, field, help)                                                                                 \
	{                                                                                                              \
		name, OPTION_TEXT, offsetof(struct options, settings.field), 0, ACCESS_TEXT_BYTES_MAX, NULL, help      \
	}
#define CHOICE(name, field, words, help)                                                                               \
	{                                                                                                              \
		name, OPTION_CHOICE, offsetof(struct options, field), 0, sizeof(((struct options *)NULL)->field),      \
			words, help                                                                                    \
	}

/* The words of a choice, in the order of its values, NULL at the end. */
static const char *const QUEUE_POLICIES[] = {"drop-oldest", "drop-newest", NULL};
static const char *const OVERLAPPING[] = {"copies", "one", NULL};
static const char *const RATE_POLICIES[] = {"slow-down", "end", NULL};
static const char *const REDIS_POLICIES[] = {"allow", "refuse", NULL};
static const char *const LOG_LEVELS[] = {
	[LOG_ERROR] = "error", [LOG_WARNING] = "warning", [LOG_INFO] = "info", [LOG_DEBUG] = "debug", NULL};
static const char *const ANONYMOUS[] = {
	[ANONYMOUS_AUTO] = "auto",
	[ANONYMOUS_LOOPBACK] = "loopback",
	[ANONYMOUS_ALWAYS] = "always",
	[ANONYMOUS_NEVER] = "never",
	NULL,
};

static const struct option_spec SPECS[] = {
	{"listen", OPTION_LISTEN, 0, 0, 0, NULL,
	 "URL to listen on, tcp://host:port, where the host is an address or a name, which is resolved at the start "
	 "and "
	 "listened on at each of its addresses; may be given several times"},
	NUMBER("gates", gates, 1, 16, "threads that accept and sign in"),
	NUMBER("shards", shards, 0, 1024, "threads that hold clients; 0: one a core, more where connections need them"),
	NUMBER("connections", connections, 0, 16000000,
	       "clients that may be there at one time; 0: as many as the shards hold"),
	NUMBER("connect-timeout-ms", connect_timeout_ms, 10, 600000, "time for a whole CONNECT to come"),
	NUMBER("packet-bytes-max", packet_bytes_max, 128, MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX,
	       "largest packet that a client may send"),
	NUMBER("connect-bytes-max", connect_bytes_max, 128, 1u << 20,
	       "largest CONNECT, with its will: it comes from clients that have not signed in"),
	NUMBER("handshake-bytes-max", handshake_bytes_max, 1u << 16, 1u << 27,
	       "bytes that one gate keeps of CONNECTs that came in part, and as many again of clients on their way to "
	       "their shards"),
	NUMBER("queue-bytes-max", queue_bytes_max, 1024, MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX,
	       "output that may wait for one client, where QoS 0 messages beyond it are dropped; messages of QoS 1 "
	       "and 2 that may wait for its session; and those kept for it until it acknowledges them; at least "
	       "packet-bytes-max"),
	NUMBER("queue-messages-max", queue_messages_max, 1, 10000000,
	       "messages of QoS 1 and 2 that may wait for one session"),
	CHOICE("queue-policy", settings.queue_drops_newest, QUEUE_POLICIES,
	       "what a session's full queue forgets: drop-oldest or drop-newest"),
	CHOICE("overlapping-subscriptions", settings.overlapping_one, OVERLAPPING,
	       "what a client gets of a message that several of its subscriptions match: copies, one for each, or one "
	       "at the highest QoS of them"),
	NUMBER("inflight-max", inflight_max, 1, 65535,
	       "messages of QoS 1 and 2 under way to one client, unless it asks for fewer; in bytes queue-bytes-max "
	       "bounds them"),
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
	 SETTINGS_TEXT_BYTES_MAX, NULL,
	 "told to version 5 clients that ask for it: where they may have their responses sent"},
	NUMBER("stuck-timeout-ms", stuck_timeout_ms, 100, 3600000,
	       "a client that takes no byte of its waiting output for so long is ended"),
	NUMBER("grace-ms", grace_ms, 0, 600000,
	       "a client that is not heard of is marked as suspect so long before it is closed"),
	NUMBER("idle-probe-s", idle_probe_s, 0, 86400,
	       "clients without a keepalive: TCP asks after so long whether they are still there; 0: it does not"),
	NUMBER("overload-refuse-ms", overload_refuse_ms, OVERLOAD_REFUSE_MS_MIN, 60000,
	       "new connections are refused while a shard's turns take so long; fewer are accepted from a tenth of it, "
	       "QoS 0 messages to slow readers are shed from twice and publishers held from four times as long"),
	NUMBER("drain-ms", drain_ms, 0, 600000, "longest time that a stop may take"),
	SWITCH("disconnect-on-stop", settings.disconnect_on_stop,
	       "at a stop, send version 5 clients DISCONNECT 0x8B before their connections are closed; clients of "
	       "libmosquitto take it as a word not to come back"),
	NUMBER("client-id-bytes-max", client_id_bytes_max, 23, 65535, "longest client id"),
	NUMBER("client-subscriptions-max", client_subscriptions_max, 1, 1000000, "subscriptions of one client"),
	NUMBER("client-subscription-bytes-max", client_subscription_bytes_max, 2 << 20, UINT32_MAX,
	       "memory that the filters of one client may take: their text, and some 40 bytes for each, of one with "
	       "wildcards for each of its levels"),
	CHOICE("anonymous", settings.access.anonymous, ANONYMOUS,
	       "who is let in without signing in: loopback (on addresses that only this machine reaches), always, "
	       "never, "
	       "or auto: never where tokens or passwords are configured, loopback where they are not"),
	ACCESS_TEXT("token-secret-file", access.token_secret_file, "secret that tokens are signed with (HS256)"),
	ACCESS_TEXT("token-key-file", access.token_key_file, "public key of tokens, PEM (RS256, ES256, EdDSA)"),
	ACCESS_TEXT("token-jwks-file", access.token_jwks_file, "keys of tokens, a JWK set"),
	ACCESS_TEXT("token-jwks-url", access.token_jwks_url, "where a JWK set is fetched from, http:// or https://"),
	ACCESS_TEXT("token-jwks-ca-file", access.token_jwks_ca_file,
		    "certificates that its server is trusted by, PEM, in place of the system's"),
	NUMBER("token-jwks-refresh-s", access.token_jwks_refresh_s, 1, 604800,
	       "it is fetched again after so long, or sooner where the answer's Cache-Control says so"),
	NUMBER("token-jwks-cooldown-s", access.token_jwks_cooldown_s, 1, 86400,
	       "tokens with unknown keys have it fetched no sooner than so long after the last time"),
	ACCESS_TEXT("token-issuer", access.token_issuer, "what a token's iss must be"),
	ACCESS_TEXT("token-audience", access.token_audience, "what a token's aud must be, or have in its list"),
	NUMBER("token-leeway-s", access.token_leeway_s, 0, 86400, "how far the clocks of issuers may be off"),
	SWITCH("token-in-user-name", settings.access.token_in_user_name, "take a token in the user name too"),
	ACCESS_TEXT("token-claim-client-id", access.token_claim_client_id,
		    "claim with the client id that a token is for"),
	ACCESS_TEXT("token-claim-user", access.token_claim_user, "claim with the user"),
	ACCESS_TEXT("token-claim-permissions", access.token_claim_permissions, "claim with the permissions"),
	ACCESS_TEXT("password-file", access.password_file, "users and hashes of their passwords (roost passwd)"),
	NUMBER("password-threads", access.password_threads, 0, 64,
	       "threads that check passwords, at a low priority; 0: one for every two cores"),
	ACCESS_TEXT(
		"client-id-pattern", access.client_id_pattern,
		"client ids that a user may have, such as %u (the user's name) or %u-* (any that begin with it and a "
		"dash); a token that names a client id goes by that"),
	ACCESS_TEXT("rule-file", access.rule_file, "who may publish and subscribe to what"),
	SWITCH("allow-by-default", settings.access.allow_by_default, "allow what no rule speaks of"),
	ACCESS_TEXT("revocation-file", access.revocation_file, "what is revoked, across restarts"),
	ACCESS_TEXT("redis", access.redis_url,
		    "where revocations are followed: redis://[user:password@]host[:port][/database] or "
		    "unix://[user:password@]/path[?db=database]"),
	CHOICE("redis-unavailable", settings.access.redis_refuses, REDIS_POLICIES,
	       "sign-ins while Redis is away: allow (with what is known) or refuse"),
	NUMBER("redis-rescan-s", access.redis_rescan_s, 1, 86400, "all revocations are read again after so long"),
	NUMBER("address-connections-max", address.connections_max, 0, 16000000,
	       "connections of one address; 0: no limit"),
	NUMBER("address-handshakes-max", address.handshakes_max, 0, 1000000,
	       "connections of one address that have not signed in yet; 0: no limit"),
	NUMBER("address-rate", address.rate, 0, 1000, "new connections of one address a second; 0: no limit"),
	NUMBER("address-burst", address.burst, 0, 1000000, "that many more of them at once"),
	NUMBER("address-bits-v4", address_bits_v4, 8, 32, "leading bits that make an IPv4 address one of these"),
	NUMBER("address-bits-v6", address_bits_v6, 16, 128, "leading bits that make an IPv6 address one of these"),
	{"address-exempt", OPTION_NETWORK, offsetof(struct options, settings.address_exempt), 0, 0, NULL,
	 "address or network that these limits do not count; may be given several times"},
	{"address-denied", OPTION_NETWORK, offsetof(struct options, settings.address_denied), 0, 0, NULL,
	 "address or network whose connections the kernel drops without an answer, or which are closed at once where "
	 "it "
	 "does not; may be given several times"},
	NUMBER("client-messages-a-second", client_messages_a_second, 0, 1000000,
	       "messages that one client may publish; 0: no limit"),
	NUMBER("client-bytes-a-second", client_bytes_a_second, 0, 1u << 30, "bytes of them; 0: no limit"),
	CHOICE("rate-policy", settings.rate_ends_client, RATE_POLICIES,
	       "a client that publishes faster than it may: slow-down or end"),
	NUMBER("handshakes-max", handshakes_max, 16, 1000000, "sockets of one gate that have not signed in yet"),
	NUMBER("backlog", backlog, 1, 65535, "connections that may wait in the kernel to be accepted"),
	SWITCH("defer-accept", settings.defer_accept,
	       "let the kernel hold a connection until its first bytes are there"),
	SWITCH("private-tables", settings.private_tables,
	       "a descriptor table for each thread, beyond the limit of one"),
	SWITCH("fixed-files", settings.fixed_files,
	       "keep sockets that these do not hold in io_uring's tables, where the kernel lets it"),
	{"admin", OPTION_ADMIN, 0, 0, 0, NULL,
	 "URL of the admin side, http://host:port: metrics, API and a page; off: there is none"},
	{"admin-token-file", OPTION_PATH, offsetof(struct options, admin.token_file), 0, ADMIN_PATH_BYTES_MAX, NULL,
	 "file with the token that the admin side asks for; needed where its address is not loopback"},
	SWITCH("admin-open-metrics", admin.open_metrics, "let /metrics be read without the token"),
	CHOICE("log-level", log_level, LOG_LEVELS, "error, warning, info or debug"),
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
				.connect_bytes_max = 16 << 10,
				.handshake_bytes_max = 64 << 20,
				.queue_bytes_max = 1 << 20,
				.stuck_timeout_ms = 30000,
				.grace_ms = 5000,
				.idle_probe_s = 60,
				.overload_refuse_ms = 100,
				.drain_ms = 30000,
				.client_id_bytes_max = 1024,
				.client_subscriptions_max = 10000,
				.client_subscription_bytes_max = 4 << 20,
				.session_expiry_max_s = UINT32_MAX,
				.sessions_offline_max = 1000000,
				.inflight_max = 65535,
				.receive_max = 65535,
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
				.fixed_files = true,
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

bool option_is_switch(const struct option_spec *spec)
{
	return spec->kind == OPTION_BOOL;
}

bool option_is_list(const struct option_spec *spec)
{
	return spec->kind == OPTION_LISTEN || spec->kind == OPTION_NETWORK;
}

bool option_range(const struct option_spec *spec, uint32_t *least, uint32_t *most)
{
	*least = spec->least;
	*most = spec->most;
	return spec->kind == OPTION_NUMBER;
}
