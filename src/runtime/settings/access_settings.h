/* The options for access control: who may sign in, and what each client may do. */
#ifndef RUNTIME_ACCESS_SETTINGS_H
#define RUNTIME_ACCESS_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#define ACCESS_TEXT_BYTES_MAX 256u
/* It may name many servers. */
#define ACCESS_REDIS_URL_BYTES_MAX 1024u

enum access_anonymous {
	ANONYMOUS_AUTO,     /* LOOPBACK if no sign-in is configured, NEVER otherwise */
	ANONYMOUS_LOOPBACK, /* only on listeners bound to a loopback address, and not those a proxy brings from
			       elsewhere */
	ANONYMOUS_ALWAYS,
	ANONYMOUS_NEVER,
};

/* Paths and texts; "" means not set. Filled by the daemon; immutable while the gateway runs. */
struct access_settings {
	enum access_anonymous anonymous;
	bool allow_by_default; /* what no rule decides */
	bool token_in_user_name;
	uint32_t token_leeway_s;
	char token_secret_file[ACCESS_TEXT_BYTES_MAX];
	char token_key_file[ACCESS_TEXT_BYTES_MAX];
	char token_jwks_file[ACCESS_TEXT_BYTES_MAX];
	char token_issuer[ACCESS_TEXT_BYTES_MAX];
	char token_audience[ACCESS_TEXT_BYTES_MAX];
	char token_claim_client_id[ACCESS_TEXT_BYTES_MAX];
	char token_claim_user[ACCESS_TEXT_BYTES_MAX];
	char token_claim_permissions[ACCESS_TEXT_BYTES_MAX];
	uint32_t password_threads; /* threads that check passwords; 0: one for every two cores */
	char password_file[ACCESS_TEXT_BYTES_MAX];
	char client_id_pattern[ACCESS_TEXT_BYTES_MAX]; /* auth/rules/client_id_pattern.h; "": any user may have any id
							*/
	char rule_file[ACCESS_TEXT_BYTES_MAX];
	char revocation_file[ACCESS_TEXT_BYTES_MAX];
	/* For the bridge. Here because signing in depends on whether keys or revocations have to be waited for. */
	char token_jwks_url[ACCESS_TEXT_BYTES_MAX];
	char token_jwks_ca_file[ACCESS_TEXT_BYTES_MAX];
	uint32_t token_jwks_refresh_s;
	uint32_t token_jwks_cooldown_s; /* the least time between two fetches for unknown keys */
	char redis_url[ACCESS_REDIS_URL_BYTES_MAX];
	char redis_ca_file[ACCESS_TEXT_BYTES_MAX];
	char redis_tls_certificate[ACCESS_TEXT_BYTES_MAX];
	char redis_tls_key[ACCESS_TEXT_BYTES_MAX];
	char redis_tls_name[ACCESS_TEXT_BYTES_MAX];
	uint32_t redis_rescan_s;
	/* Who is asked about those whom neither a token nor the password file decides on (access/authority.h). */
	char auth_redis[ACCESS_TEXT_BYTES_MAX]; /* names of keys, with {user} or {client} */
	char auth_http[ACCESS_TEXT_BYTES_MAX];  /* a URL */
	char auth_http_ca_file[ACCESS_TEXT_BYTES_MAX];
	char auth_http_token_file[ACCESS_TEXT_BYTES_MAX];  /* Authorization: Bearer */
	char auth_http_secret_file[ACCESS_TEXT_BYTES_MAX]; /* that requests are signed with */
	uint32_t auth_http_timeout_ms;
	uint32_t auth_cache_entries;
	uint32_t auth_cache_s;
	uint32_t auth_cache_denied_s;
	uint32_t auth_stale_s;
	bool redis_refuses; /* nobody may sign in while Redis is unreachable */
};

#endif
