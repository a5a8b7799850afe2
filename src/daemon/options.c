#include "daemon/options.h"

#include "base/check.h"
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

#define WORD_COUNT(words) (sizeof(words) / sizeof((words)[0]) - 1)
_Static_assert(WORD_COUNT(QUEUE_POLICIES) == 2 && WORD_COUNT(OVERLAPPING) == 2 && WORD_COUNT(RATE_POLICIES) == 2 &&
		       WORD_COUNT(REDIS_POLICIES) == 2,
	       "the field of each of these choices is a bool");
_Static_assert(WORD_COUNT(LOG_LEVELS) == LOG_DEBUG + 1, "each level has a word");
_Static_assert(WORD_COUNT(ANONYMOUS) == ANONYMOUS_NEVER + 1, "each policy has a word");

static const struct option_spec SPECS[] = {
	{"listen", OPTION_LISTEN, 0, 0, 0, NULL,
	 "URL to listen on, tcp://host:port; a host name is resolved at the start, and all of its addresses are "
	 "listened on; may be repeated"},
	NUMBER("gates", gates, 1, 16, "threads that accept and sign in"),
	NUMBER("shards", shards, 0, 1024,
	       "threads that hold clients; 0: one per core, or more if the connections need them"),
	NUMBER("connections", connections, 0, 16000000,
	       "clients that may be connected at the same time; 0: as many as the shards hold"),
	NUMBER("connect-timeout-ms", connect_timeout_ms, 10, 600000, "time within which the whole CONNECT must arrive"),
	NUMBER("packet-bytes-max", packet_bytes_max, 128, MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX,
	       "largest packet that a client may send"),
	NUMBER("connect-bytes-max", connect_bytes_max, 128, 1u << 20,
	       "largest CONNECT packet, with its will; clients that have not signed in send it"),
	NUMBER("handshake-bytes-max", handshake_bytes_max, 1u << 16, 1u << 27,
	       "bytes that one gate keeps of incomplete CONNECT packets, and as many again for clients on their way "
	       "to their shards"),
	NUMBER("queue-bytes-max", queue_bytes_max, 1024, MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX,
	       "limit for each of three things per client: output that waits to be sent, beyond which QoS 0 messages "
	       "are dropped; QoS 1 and 2 messages that wait in its session; and those that wait for its "
	       "acknowledgement; at least packet-bytes-max"),
	NUMBER("queue-messages-max", queue_messages_max, 1, 10000000,
	       "QoS 1 and 2 messages that may wait in one session"),
	CHOICE("queue-policy", settings.queue_drops_newest, QUEUE_POLICIES,
	       "which message is lost when a session's queue is full: drop-oldest or drop-newest"),
	CHOICE("overlapping-subscriptions", settings.overlapping_one, OVERLAPPING,
	       "what a client gets if several of its subscriptions match a message: copies, one for each, or one, at "
	       "the highest QoS among them"),
	NUMBER("inflight-max", inflight_max, 1, 65535,
	       "QoS 1 and 2 messages in flight to one client, unless it asks for fewer; queue-bytes-max limits their "
	       "bytes"),
	NUMBER("receive-max", receive_max, 1, 65535, "QoS 2 messages in flight from one version 5 client"),
	NUMBER("topic-alias-max", topic_alias_max, 0, 65535, "topic aliases per connection, in each direction"),
	NUMBER("session-expiry-max-s", session_expiry_max_s, 0, UINT32_MAX,
	       "longest time that a session may outlive its connection; 4294967295: forever"),
	NUMBER("sessions-offline-max", sessions_offline_max, 0, 16000000, "sessions without a connection"),
	NUMBER("retained-max", retained_max, 0, 100000000, "retained messages"),
	NUMBER("retained-bytes-max", retained_bytes_max, 0, UINT32_MAX, "bytes of all retained messages together"),
	NUMBER("keepalive-max-s", keepalive_max_s, 0, 65535,
	       "longest keepalive of version 5 clients, which are told of it; 0: no limit"),
	NUMBER("sys-interval-s", sys_interval_s, 0, 86400,
	       "seconds between publications on $SYS topics; 0: none are published"),
	SWITCH("payload-format-check", settings.payload_format_check,
	       "refuse payloads that are marked as UTF-8 but are not"),
	{"response-information", OPTION_TEXT, offsetof(struct options, settings.response_information), 0,
	 SETTINGS_TEXT_BYTES_MAX, NULL,
	 "Response Information for version 5 clients that request it: where responses may be sent"},
	NUMBER("stuck-timeout-ms", stuck_timeout_ms, 100, 3600000,
	       "a client that accepts no byte of its waiting output for this long is disconnected"),
	NUMBER("grace-ms", grace_ms, 0, 600000,
	       "a silent client is marked as suspect for this long before it is disconnected"),
	NUMBER("idle-probe-s", idle_probe_s, 0, 86400,
	       "idle time after which TCP probes a client without a keepalive; 0: it does not"),
	NUMBER("overload-refuse-ms", overload_refuse_ms, OVERLOAD_REFUSE_MS_MIN, 60000,
	       "new connections are refused while a shard's turns take this long; from a tenth of it on, fewer are "
	       "accepted; from twice as long on, QoS 0 messages to slow readers are dropped, and from four times as "
	       "long on, publishers are held back"),
	NUMBER("drain-ms", drain_ms, 0, 600000, "longest time that a stop may take"),
	SWITCH("disconnect-on-stop", settings.disconnect_on_stop,
	       "at a stop, send version 5 clients DISCONNECT 0x8B before closing their connections; clients based on "
	       "libmosquitto do not reconnect after it"),
	NUMBER("client-id-bytes-max", client_id_bytes_max, 23, 65535, "longest client id"),
	NUMBER("client-subscriptions-max", client_subscriptions_max, 1, 1000000, "subscriptions of one client"),
	NUMBER("client-subscription-bytes-max", client_subscription_bytes_max, 2 << 20, UINT32_MAX,
	       "memory for the filters of one client: their text, and some 40 bytes for each filter, or for each level "
	       "of a filter with wildcards"),
	CHOICE("anonymous", settings.access.anonymous, ANONYMOUS,
	       "which clients are accepted without signing in: loopback (on addresses that only this machine reaches), "
	       "always, never, or auto, which is never if tokens or passwords are configured and else loopback"),
	ACCESS_TEXT("token-secret-file", access.token_secret_file, "file with the secret that signs tokens (HS256)"),
	ACCESS_TEXT("token-key-file", access.token_key_file,
		    "file with the public key that verifies tokens, PEM (RS256, ES256, EdDSA)"),
	ACCESS_TEXT("token-jwks-file", access.token_jwks_file, "file with a JWK set that verifies tokens"),
	ACCESS_TEXT("token-jwks-url", access.token_jwks_url,
		    "URL from which a JWK set is fetched, http:// or https://"),
	ACCESS_TEXT("token-jwks-ca-file", access.token_jwks_ca_file,
		    "file with the certificates that its server is verified by, PEM, in place of the system's"),
	NUMBER("token-jwks-refresh-s", access.token_jwks_refresh_s, 1, 604800,
	       "time after which it is fetched again, or sooner if the response's Cache-Control says so"),
	NUMBER("token-jwks-cooldown-s", access.token_jwks_cooldown_s, 1, 86400,
	       "shortest time between two fetches because of tokens with unknown keys"),
	ACCESS_TEXT("token-issuer", access.token_issuer, "required iss of a token"),
	ACCESS_TEXT("token-audience", access.token_audience, "required aud of a token, or one of its list"),
	NUMBER("token-leeway-s", access.token_leeway_s, 0, 86400, "how far the clocks of issuers may be off"),
	SWITCH("token-in-user-name", settings.access.token_in_user_name, "accept a token as the user name too"),
	ACCESS_TEXT("token-claim-client-id", access.token_claim_client_id,
		    "claim with the client id that a token is valid for"),
	ACCESS_TEXT("token-claim-user", access.token_claim_user, "claim with the user name"),
	ACCESS_TEXT("token-claim-permissions", access.token_claim_permissions, "claim with the permissions"),
	ACCESS_TEXT("password-file", access.password_file,
		    "file with users and hashes of their passwords (roost passwd)"),
	NUMBER("password-threads", access.password_threads, 0, 64,
	       "threads that check passwords, at low priority; 0: one for every two cores"),
	ACCESS_TEXT(
		"client-id-pattern", access.client_id_pattern,
		"client ids that a user may use, such as %u (the user's name) or %u-* (any that begin with the name "
		"and a dash); for a token that names a client id, that one counts"),
	ACCESS_TEXT("rule-file", access.rule_file,
		    "file with the rules for who may publish and subscribe to which topics"),
	SWITCH("allow-by-default", settings.access.allow_by_default, "allow what no rule mentions"),
	ACCESS_TEXT("revocation-file", access.revocation_file, "file that keeps revocations across restarts"),
	ACCESS_TEXT("redis", access.redis_url,
		    "server from which revocations are read: redis://[user:password@]host[:port][/database] or "
		    "unix://[user:password@]/path[?db=database]"),
	CHOICE("redis-unavailable", settings.access.redis_refuses, REDIS_POLICIES,
	       "what happens to sign-ins while Redis is unavailable: allow (by what is known) or refuse"),
	NUMBER("redis-rescan-s", access.redis_rescan_s, 1, 86400, "time after which all revocations are read again"),
	NUMBER("address-connections-max", address.connections_max, 0, 16000000,
	       "connections from one address; 0: no limit"),
	NUMBER("address-handshakes-max", address.handshakes_max, 0, 1000000,
	       "connections from one address that have not signed in yet; 0: no limit"),
	NUMBER("address-rate", address.rate, 0, 1000, "new connections per second from one address; 0: no limit"),
	NUMBER("address-burst", address.burst, 0, 1000000,
	       "new connections from one address in a burst, beyond that rate"),
	NUMBER("address-bits-v4", address_bits_v4, 8, 32,
	       "leading bits of an IPv4 address that count as one address here"),
	NUMBER("address-bits-v6", address_bits_v6, 16, 128,
	       "leading bits of an IPv6 address that count as one address here"),
	{"address-exempt", OPTION_NETWORK, offsetof(struct options, settings.address_exempt), 0, 0, NULL,
	 "address or network that these limits do not apply to; may be repeated"},
	{"address-denied", OPTION_NETWORK, offsetof(struct options, settings.address_denied), 0, 0, NULL,
	 "address or network whose connections the kernel drops without an answer, or which are closed at once if it "
	 "cannot; may be repeated"},
	NUMBER("client-messages-a-second", client_messages_a_second, 0, 1000000,
	       "messages per second that one client may publish; 0: no limit"),
	NUMBER("client-bytes-a-second", client_bytes_a_second, 0, 1u << 30,
	       "bytes per second of these messages; 0: no limit"),
	CHOICE("rate-policy", settings.rate_ends_client, RATE_POLICIES,
	       "what happens to a client that publishes faster: slow-down, or end its connection"),
	NUMBER("handshakes-max", handshakes_max, 16, 1000000, "connections of one gate that have not signed in yet"),
	NUMBER("backlog", backlog, 1, 65535, "connections that may wait in the kernel to be accepted"),
	SWITCH("defer-accept", settings.defer_accept,
	       "let the kernel hold a connection back until its first bytes have arrived"),
	SWITCH("private-tables", settings.private_tables,
	       "give each thread a descriptor table of its own, so that the limit of one does not count for all"),
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
_Static_assert(SPEC_COUNT <= OPTIONS_MAX, "options.lines has a place for each");

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
	CHECK(number < SPEC_COUNT);
	return &SPECS[number];
}

size_t option_place(const struct option_spec *spec)
{
	CHECK(spec >= SPECS && spec < SPECS + SPEC_COUNT);
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
	CHECK(spec->kind != OPTION_NUMBER || spec->least < spec->most);
	*least = spec->least;
	*most = spec->most;
	return spec->kind == OPTION_NUMBER;
}
