#include "daemon/options/options.h"

#include "base/check.h"
#include "daemon/options/option_spec.h"
#include "mqtt/packet.h"
#include "runtime/overload.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER(name, field, least, most, help)                                                                         \
	{                                                                                                              \
		name, OPTION_NUMBER, offsetof(struct options, settings.field), least, most, NULL, help                 \
	}
#define SWITCH(name, field, help)                                                                                      \
	{                                                                                                              \
		name, OPTION_BOOL, offsetof(struct options, field), 0, 1, NULL, help                                   \
	}
#define ACCESS_TEXT_OF(name, field, bytes_max, help)                                                                   \
	{                                                                                                              \
		name, OPTION_TEXT, offsetof(struct options, settings.field), 0, bytes_max, NULL, help                  \
	}
#define ACCESS_TEXT(name, field, help) ACCESS_TEXT_OF(name, field, ACCESS_TEXT_BYTES_MAX, help)
#define CHOICE(name, field, words, help)                                                                               \
	{                                                                                                              \
		name, OPTION_CHOICE, offsetof(struct options, field), 0, sizeof(((struct options *)NULL)->field),      \
			words, help                                                                                    \
	}

/* Of all listeners. The kinds that only listeners have look for their fields themselves. */
#define LISTENER_LIST(name, kind, help)                                                                                \
	{                                                                                                              \
		name, kind, offsetof(struct options, listeners.defaults), 0, 0, NULL, help                             \
	}
#define LISTENER_FILE(name, field, help)                                                                               \
	{                                                                                                              \
		name, OPTION_PATH, offsetof(struct options, listeners.defaults.field), 0, LISTENER_PATH_BYTES_MAX,     \
			NULL, help                                                                                     \
	}
#define LISTENER_TEXT(name, field, help)                                                                               \
	{                                                                                                              \
		name, OPTION_TEXT, offsetof(struct options, listeners.defaults.field), 0, LISTENER_TEXT_BYTES_MAX,     \
			NULL, help                                                                                     \
	}

/* The words of a choice, in the order of its values, NULL at the end. */
static const char *const QUEUE_POLICIES[] = {"drop-oldest", "drop-newest", NULL};
static const char *const OVERLAPPING[] = {"copies", "one", NULL};
static const char *const RATE_POLICIES[] = {"slow-down", "end", NULL};
static const char *const REDIS_POLICIES[] = {"allow", "refuse", NULL};
static const char *const DURABILITIES[] = {"always", "periodic", NULL};
static const char *const STORE_FULL_POLICIES[] = {"refuse", "hold", NULL};
static const char *const LOG_LEVELS[] = {
	[LOG_ERROR] = "error", [LOG_WARNING] = "warning", [LOG_INFO] = "info", [LOG_DEBUG] = "debug", NULL};
static const char *const ANONYMOUS[] = {
	[ANONYMOUS_AUTO] = "auto",
	[ANONYMOUS_LOOPBACK] = "loopback",
	[ANONYMOUS_ALWAYS] = "always",
	[ANONYMOUS_NEVER] = "never",
	NULL,
};

static const char *const TLS_VERSIONS[] = {"1.2", "1.3", NULL};
static const char *const CLIENT_CERTIFICATES[] = {
	[TLS_CLIENTS_NONE] = "none",
	[TLS_CLIENTS_OPTIONAL] = "optional",
	[TLS_CLIENTS_REQUIRED] = "required",
	NULL,
};
static const char *const IDENTITY_FROM[] = {
	[TLS_IDENTITY_CN - TLS_IDENTITY_CN] = "cn",
	[TLS_IDENTITY_DNS - TLS_IDENTITY_CN] = "dns",
	[TLS_IDENTITY_EMAIL - TLS_IDENTITY_CN] = "email",
	[TLS_IDENTITY_URI - TLS_IDENTITY_CN] = "uri",
	NULL,
};
static const char *const IDENTITY_AS[] = {
	[CERTIFICATE_NAMES_NOTHING] = "nothing",
	[CERTIFICATE_NAMES_USER] = "user",
	[CERTIFICATE_NAMES_CLIENT_ID] = "client-id",
	NULL,
};

#define WORD_COUNT(words) (sizeof(words) / sizeof((words)[0]) - 1)
_Static_assert(WORD_COUNT(QUEUE_POLICIES) == 2 && WORD_COUNT(OVERLAPPING) == 2 && WORD_COUNT(RATE_POLICIES) == 2 &&
		       WORD_COUNT(REDIS_POLICIES) == 2 && WORD_COUNT(DURABILITIES) == 2 &&
		       WORD_COUNT(STORE_FULL_POLICIES) == 2,
	       "the field of each of these choices is a bool");
_Static_assert(WORD_COUNT(LOG_LEVELS) == LOG_DEBUG + 1, "each level has a word");
_Static_assert(WORD_COUNT(ANONYMOUS) == ANONYMOUS_NEVER + 1, "each policy has a word");
_Static_assert(WORD_COUNT(CLIENT_CERTIFICATES) == TLS_CLIENTS_REQUIRED + 1 &&
		       WORD_COUNT(IDENTITY_AS) == CERTIFICATE_NAMES_CLIENT_ID + 1 &&
		       WORD_COUNT(IDENTITY_FROM) == TLS_IDENTITY_URI - TLS_IDENTITY_CN + 1,
	       "each value has a word");

static const struct option_spec SPECS[] = {
	{"listen", OPTION_LISTEN, 0, 0, 0, NULL,
	 "URL to listen on: tcp://host[:port], tls://host[:port], ws://host:port[/path], wss://host:port[/path] or "
	 "unix:///path; a host name is resolved at the start, and all of its addresses are listened on; may be "
	 "repeated"},
	LISTENER_LIST("tls-certificate", OPTION_CERTIFICATE,
		      "file with a certificate that TLS listeners show, and behind it those that sign it, PEM; without "
		      "any they show one for development, which Roost makes; may be repeated, for an RSA and an ECDSA "
		      "one, and for other names"),
	LISTENER_LIST("tls-key", OPTION_KEY,
		      "file with the private key of a certificate, PEM; may be repeated, in the order of the "
		      "certificates; without any, each certificate's file has its key, too"),
	{"tls-client-certificates", OPTION_CHOICE, offsetof(struct options, listeners.defaults.client_certificates), 0,
	 sizeof(enum tls_client_certificates), CLIENT_CERTIFICATES,
	 "whether clients of TLS listeners are asked for a certificate, and let in without one"},
	LISTENER_FILE("tls-client-ca-file", client_ca_file,
		      "file with the certificates that sign those of clients, PEM"),
	LISTENER_FILE("tls-client-crl-file", client_crl_file,
		      "file with the lists of clients' certificates that were revoked, PEM, one of each that signs"),
	{"tls-identity-from", OPTION_CHOICE, offsetof(struct options, listeners.defaults.identity_from),
	 TLS_IDENTITY_CN, sizeof(enum tls_identity_from), IDENTITY_FROM,
	 "which name of a client's certificate counts: the common name of its subject, or a DNS name, a mail address "
	 "or a URI of its alternative names"},
	{"tls-identity-as", OPTION_CHOICE, offsetof(struct options, listeners.defaults.certificate_names), 0,
	 sizeof(enum certificate_names), IDENTITY_AS,
	 "what that name is taken for, or the common name that a balancer tells (proxy-from): user, as which the "
	 "client is "
	 "signed in; client-id, the only one that it may use; or nothing, and it has to sign in as others do"},
	{"tls-min-version", OPTION_CHOICE, offsetof(struct options, listeners.defaults.only_tls_1_3), 0, sizeof(bool),
	 TLS_VERSIONS, "lowest version of TLS that is spoken"},
	LISTENER_TEXT("tls-ciphers", ciphers,
		      "cipher suites of TLS 1.2, as OpenSSL names them, with : between; none: those of Mozilla's "
		      "intermediate profile with AES-GCM or ChaCha20"),
	LISTENER_TEXT("tls-ciphersuites", ciphersuites,
		      "cipher suites of TLS 1.3, likewise; none: TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384 and "
		      "TLS_CHACHA20_POLY1305_SHA256"),
	{"tls-ticket-file", OPTION_PATH, offsetof(struct options, settings.tls_tickets.file), 0,
	 STORE_DIRECTORY_BYTES_MAX, NULL,
	 "file that keeps the keys of session tickets, so that clients resume TLS sessions after a restart, and at "
	 "another node that has the same file; with a store and without this, it is the file tls-tickets in the "
	 "store's "
	 "directory"},
	NUMBER("tls-ticket-lifetime-s", tls_tickets.lifetime_s, 60, TLS_TICKET_LIFETIME_S_MAX,
	       "time within which a client may resume a TLS session; keys of tickets are changed twice in that time"),
	NUMBER("tls-handshakes-max", tls_handshakes_max, 1, 100000,
	       "TLS handshakes of one gate at one time, of some 50 KB each; four times as many may wait for their "
	       "turn"),
	NUMBER("tls-handshake-timeout-ms", tls_handshake_timeout_ms, 10, 600000,
	       "time within which a TLS handshake must be complete"),
	LISTENER_LIST("websocket-origin", OPTION_ORIGIN,
		      "origin of web pages that may open a WebSocket, such as https://example.org; none: any; may be "
		      "repeated"),
	LISTENER_LIST(
		"proxy-from", OPTION_PROXY,
		"address or network of a balancer whose connections begin with a PROXY protocol head, version 1 or "
		"2; unix: those that come through a unix socket; from there it is required, and from elsewhere "
		"refused; may be repeated"),
	{"unix-mode", OPTION_MODE, offsetof(struct options, listeners.defaults.mode), 0, 0, NULL,
	 "permissions of a unix socket's file, in octal"},
	LISTENER_LIST("unix-owner", OPTION_OWNER, "user who owns it, by name or number; none: whoever runs Roost"),
	LISTENER_LIST("unix-group", OPTION_GROUP, "group that it belongs to; likewise"),
	{"unix-peer-is-user", OPTION_BOOL, offsetof(struct options, listeners.defaults.peer_names_user), 0, 1, NULL,
	 "sign clients of a unix socket in as the user unix:UID, with the number of the user who runs them"},
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
	NUMBER("rule-messages-max", internal_queue_messages_max, 1, 100000000,
	       "messages that may wait in the session of a rule or a hook (streams and hooks, in the configuration "
	       "file); what comes beyond that it does not take"),
	NUMBER("rule-bytes-max", internal_queue_bytes_max, 1u << 20, 1u << 31,
	       "bytes of these messages, of each rule or hook"),
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
	{"queue-memory-max", OPTION_BYTES, offsetof(struct options, settings.queue_memory_max), 1, 1u << 20, NULL,
	 "bytes of waiting messages in memory, of all sessions together; beyond that those that the store has are in "
	 "it alone, and are read when their clients come for them; 0: no limit"},
	NUMBER("retained-max", retained_max, 0, 100000000, "retained messages"),
	NUMBER("retained-bytes-max", retained_bytes_max, 0, UINT32_MAX, "bytes of all retained messages together"),
	{"store", OPTION_DIRECTORY, offsetof(struct options, settings.store.directory), 0, STORE_DIRECTORY_BYTES_MAX,
	 NULL,
	 "directory that keeps sessions, their messages and retained messages across restarts; it is made if it is not "
	 "there, and one process may use it at a time"},
	CHOICE("durability", settings.store.periodic, DURABILITIES,
	       "what an acknowledgement promises where there is a store: always, that the message is on the device; "
	       "periodic, that the kernel has it, which survives the end of the process but not of the machine"),
	NUMBER("sync-interval-ms", store.sync_interval_ms, 10, 60000,
	       "time between two syncs with durability periodic: the most that a loss of power can cost"),
	CHOICE("store-full", settings.store.full_holds, STORE_FULL_POLICIES,
	       "what happens to messages at QoS 1 and 2 and to retained ones while the store cannot take them: refuse, "
	       "with a reason code where the protocol has one; hold, their publishers are not read from until it can"),
	NUMBER("checkpoint-bytes", store.checkpoint_bytes, 1u << 20, UINT32_MAX,
	       "bytes by which the store's log grows before what is still needed is written anew and the rest removed; "
	       "more makes that rarer, and starts longer"),
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
	ACCESS_TEXT("revocation-file", access.revocation_file,
		    "file that keeps revocations across restarts; with a store and without this, it is the file "
		    "revocations in the store's directory"),
	ACCESS_TEXT_OF(
		"redis", access.redis_url, ACCESS_REDIS_URL_BYTES_MAX,
		"server from which revocations are read, and to whose streams rules send: "
		"redis://[user:password@]host[:port][/database]; redis+cluster:// with a list of nodes, "
		"host:port,host:port; redis+sentinel:// with a list of Sentinels, /master and [/database]; the same "
		"with rediss for TLS; or unix://[user:password@]/path[?db=database]"),
	ACCESS_TEXT("redis-ca-file", access.redis_ca_file,
		    "file with the certificates that Redis is verified by where it begins with rediss, PEM, in place "
		    "of the "
		    "system's; its own, if it is signed by nobody else"),
	ACCESS_TEXT("redis-tls-name", access.redis_tls_name,
		    "name or address that its certificate must have, in place of the host that is connected to"),
	ACCESS_TEXT("redis-tls-certificate", access.redis_tls_certificate,
		    "file with the certificate that Roost shows to Redis, and behind it those that sign it, PEM"),
	ACCESS_TEXT("redis-tls-key", access.redis_tls_key,
		    "file with its private key, PEM; without this the certificate's file has it, too; as the other "
		    "files for Redis it is read for each connection, so a renewed one needs no reload"),
	CHOICE("redis-unavailable", settings.access.redis_refuses, REDIS_POLICIES,
	       "what happens to sign-ins while Redis is unavailable: allow (by what is known) or refuse"),
	NUMBER("redis-rescan-s", access.redis_rescan_s, 1, 86400, "time after which all revocations are read again"),
	{"presence-table", OPTION_TEXT, offsetof(struct options, settings.presence_table), 0, SETTINGS_NAME_BYTES_MAX,
	 NULL,
	 "name of the table of connected clients that is kept in Redis, such as roost:online: NAME:NODE is a hash with "
	 "a "
	 "field for each client, NAME has the nodes; none: there is no table"},
	{"node", OPTION_TEXT, offsetof(struct options, settings.node), 0, SETTINGS_NAME_BYTES_MAX, NULL,
	 "name of this gateway, which no other one has: letters, digits, dots, dashes and underscores; in that "
	 "table, in presence events and in a cluster; none: the host's name"},
	ACCESS_TEXT_OF(
		"cluster-nats", cluster.nats, CLUSTER_URLS_BYTES_MAX,
		"URLs of the NATS servers over which this gateway joins others, nats://[user:password@]host[:port] "
		"or tls://, with commas between them: clients, sessions and retained messages are those of all "
		"nodes then; none: it is alone"),
	ACCESS_TEXT_OF("cluster-name", cluster.name, CLUSTER_NAME_BYTES_MAX,
		       "name of the cluster, the same on each of its nodes: letters, digits, dashes and underscores"),
	ACCESS_TEXT_OF("cluster-credentials-file", cluster.credentials_file, CLUSTER_PATH_BYTES_MAX,
		       "file with the credentials (JWT and NKey) that NATS asks for"),
	ACCESS_TEXT_OF(
		"cluster-ca-file", cluster.ca_file, CLUSTER_PATH_BYTES_MAX,
		"file with the certificates that NATS is verified by where its URL begins with tls, PEM, in place "
		"of the system's"),
	ACCESS_TEXT_OF("cluster-certificate-file", cluster.certificate_file, CLUSTER_PATH_BYTES_MAX,
		       "file with the certificate that Roost shows to NATS, PEM"),
	ACCESS_TEXT_OF("cluster-key-file", cluster.key_file, CLUSTER_PATH_BYTES_MAX, "file with its private key, PEM"),
	NUMBER("cluster-timeout-ms", cluster.timeout_ms, 1000, 600000,
	       "silence after which another node counts as away: what is for it waits here"),
	NUMBER("cluster-claim-timeout-ms", cluster.claim_timeout_ms, 100, 60000,
	       "time that a client waits for its session from another node, before it gets a new one"),
	NUMBER("cluster-replicas", cluster.replicas, 0, 1,
	       "other nodes that hold what this one stores before it is acknowledged, and take over when it is gone"),
	NUMBER("cluster-takeover-s", cluster.takeover_s, 5, 86400,
	       "a replica takes the sessions over of a node that has been away for so long"),
	SWITCH("cluster-prefer-local", settings.cluster.prefers_local,
	       "shared subscriptions give a message to a member on the publisher's node where one is free"),
	ACCESS_TEXT("auth-redis", access.auth_redis,
		    "keys of users in Redis (redis), by which those sign in on whom neither a token nor the password "
		    "file decides: a name with one {user} or {client} in it, such as roost:user:{user}, of a hash with "
		    "the fields password (roost passwd --print makes it), permissions, disabled, expires_s and user"),
	ACCESS_TEXT(
		"auth-http", access.auth_http,
		"URL of a server that is asked about those clients in place of Redis, http:// or https://: a POST of "
		"JSON with client_id, username, password, address, transport, version and certificate, which is to "
		"answer {\"result\":\"allow\"} or \"deny\", and may add user, permissions, ttl_s and expires_s"),
	ACCESS_TEXT("auth-http-ca-file", access.auth_http_ca_file,
		    "file with the certificates that it is verified by, PEM, in place of the system's"),
	ACCESS_TEXT("auth-http-token-file", access.auth_http_token_file,
		    "file with a token that it is shown (Authorization: Bearer)"),
	ACCESS_TEXT("auth-http-secret-file", access.auth_http_secret_file,
		    "file with a secret by which requests to it are signed (Roost-Signature: HMAC-SHA256)"),
	NUMBER("auth-http-timeout-ms", access.auth_http_timeout_ms, 10, 60000, "time within which it has to answer"),
	NUMBER("auth-cache-entries", access.auth_cache_entries, 0, 16000000,
	       "answers about clients that are kept, those of refusals in a quarter of the places; 0: none"),
	NUMBER("auth-cache-s", access.auth_cache_s, 0, 86400,
	       "time for which such an answer is good, unless it says so itself or Redis tells sooner that it has "
	       "changed"),
	NUMBER("auth-cache-denied-s", access.auth_cache_denied_s, 0, 86400, "the same of a refusal"),
	NUMBER("auth-stale-s", access.auth_stale_s, 0, 604800,
	       "time for which an answer is still good behind that, while there is nobody to ask; 0: clients are then "
	       "refused with Server unavailable, and told when to come back"),
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
	 "URL of the admin side, http://host:port or https://host:port: metrics, API and a page; off: there is none"},
	{"admin-tls-certificate", OPTION_PATH, offsetof(struct options, listeners.admin_certificate.chain), 0,
	 LISTENER_PATH_BYTES_MAX, NULL,
	 "file with the certificate that it shows where it is https://, and behind it those that sign it, PEM; without "
	 "it, it shows those of tls-certificate, or one for development"},
	{"admin-tls-key", OPTION_PATH, offsetof(struct options, listeners.admin_certificate.key), 0,
	 LISTENER_PATH_BYTES_MAX, NULL,
	 "file with its private key, PEM; without this the certificate's file has it, too"},
	{"admin-tls-client-ca-file", OPTION_PATH, offsetof(struct options, listeners.admin_client_ca_file), 0,
	 LISTENER_PATH_BYTES_MAX, NULL,
	 "file with the certificates that sign those of its clients, PEM: with it, whoever shows none of them gets no "
	 "further"},
	{"admin-token-file", OPTION_PATH, offsetof(struct options, admin.token_file), 0, ADMIN_PATH_BYTES_MAX, NULL,
	 "file with the token that the admin side asks for; needed where its address is not loopback"},
	SWITCH("admin-open-metrics", admin.open_metrics, "let /metrics be read without the token"),
	CHOICE("log-level", log_level, LOG_LEVELS, "error, warning, info or debug"),
};

#define SPEC_COUNT (sizeof(SPECS) / sizeof(SPECS[0]))
_Static_assert(SPEC_COUNT <= OPTIONS_MAX, "options.lines has a place for each");

/* By assignment: memory that is zero stays untouched, and most of it is room for listeners that there are not. */
static void set_defaults(struct settings *settings)
{
	settings->gates = 1;
	settings->connect_timeout_ms = 10000;
	settings->packet_bytes_max = 1 << 20;
	settings->connect_bytes_max = 16 << 10;
	settings->handshake_bytes_max = 64 << 20;
	settings->queue_bytes_max = 1 << 20;
	settings->stuck_timeout_ms = 30000;
	settings->grace_ms = 5000;
	settings->idle_probe_s = 60;
	settings->overload_refuse_ms = 100;
	settings->drain_ms = 30000;
	settings->client_id_bytes_max = 1024;
	settings->client_subscriptions_max = 10000;
	settings->client_subscription_bytes_max = 4 << 20;
	settings->session_expiry_max_s = UINT32_MAX;
	settings->sessions_offline_max = 1000000;
	settings->inflight_max = 65535;
	settings->receive_max = 65535;
	settings->topic_alias_max = 32;
	settings->queue_messages_max = 1000;
	settings->internal_queue_messages_max = 1000000;
	settings->internal_queue_bytes_max = 1u << 30;
	settings->queue_memory_max = 256u << 20;
	settings->retained_max = 1000000;
	settings->retained_bytes_max = 1u << 30;
	settings->sys_interval_s = 10;
	settings->payload_format_check = true;
	settings->address_bits_v4 = 32;
	settings->address_bits_v6 = 64;
	settings->handshakes_max = 8192;
	settings->tls_handshakes_max = 256;
	settings->tls_handshake_timeout_ms = 10000;
	settings->backlog = 4096;
	settings->defer_accept = true;
	settings->private_tables = true;
	settings->fixed_files = true;
	settings->tls_tickets.lifetime_s = 86400;
	settings->store.sync_interval_ms = 200;
	settings->store.checkpoint_bytes = 256u << 20;
	settings->cluster.timeout_ms = 5000;
	settings->cluster.claim_timeout_ms = 2000;
	settings->cluster.takeover_s = 30;
	settings->cluster.prefers_local = true;
	settings->access.allow_by_default = true;
	settings->access.token_leeway_s = 30;
	settings->access.token_jwks_refresh_s = 300;
	settings->access.token_jwks_cooldown_s = 10;
	settings->access.redis_rescan_s = 60;
	settings->access.auth_http_timeout_ms = 3000;
	settings->access.auth_cache_entries = 100000;
	settings->access.auth_cache_s = 300;
	settings->access.auth_cache_denied_s = 10;
}

/* options is zero. */
static void options_init(struct options *options)
{
	set_defaults(&options->settings);
	options->listeners.defaults.identity_from = TLS_IDENTITY_CN;
	options->listeners.defaults.mode = 0660;
	snprintf(options->admin.url, sizeof(options->admin.url), "%s", ADMIN_DEFAULT_URL);
	options->admin.url_is_default = true;
	options->log_level = LOG_INFO;
}

struct options options_default(void)
{
	struct options options;
	memset(&options, 0, sizeof(options));
	options_init(&options);
	return options;
}

struct options *options_new(void)
{
	struct options *options = calloc(1, sizeof(*options));
	if (options != NULL)
		options_init(options);
	return options;
}

struct options *options_clone(const struct options *from)
{
	const size_t begin = offsetof(struct options, settings.listener_settings);
	const size_t end = begin + sizeof(from->settings.listener_settings);
	struct options *clone = calloc(1, sizeof(*clone));
	if (clone == NULL)
		return NULL;
	CHECK_LE(from->settings.listener_count, SETTINGS_LISTENERS_MAX);
	memcpy(clone, from, begin);
	memcpy(clone->settings.listener_settings, from->settings.listener_settings,
	       from->settings.listener_count * sizeof(from->settings.listener_settings[0]));
	memcpy((uint8_t *)clone + end, (const uint8_t *)from + end, sizeof(*clone) - end);
	return clone;
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
	return spec->kind == OPTION_LISTEN || spec->kind == OPTION_NETWORK || spec->kind == OPTION_CERTIFICATE ||
	       spec->kind == OPTION_KEY || spec->kind == OPTION_ORIGIN || spec->kind == OPTION_PROXY;
}

bool option_range(const struct option_spec *spec, uint32_t *least, uint32_t *most)
{
	CHECK(spec->kind != OPTION_NUMBER || spec->least < spec->most);
	*least = spec->least;
	*most = spec->most;
	return spec->kind == OPTION_NUMBER;
}
