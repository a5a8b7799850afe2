/* Who may come in and what each may do, as the daemon has read it from its options. */
#ifndef RUNTIME_ACCESS_SETTINGS_H
#define RUNTIME_ACCESS_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#define ACCESS_TEXT_BYTES_MAX 256u

enum access_anonymous {
	ANONYMOUS_AUTO,     /* as LOOPBACK where nobody can sign in, as NEVER where clients can */
	ANONYMOUS_LOOPBACK, /* on listeners that only this machine reaches */
	ANONYMOUS_ALWAYS,
	ANONYMOUS_NEVER,
};

/* Paths and texts; "" where there is none. Filled by the daemon; immutable while the gateway runs. */
struct access_settings {
	enum access_anonymous anonymous;
	bool allow_by_default; /* what no rule speaks of */
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
	uint32_t password_threads; /* that check them; 0: one for every two cores */
	char password_file[ACCESS_TEXT_BYTES_MAX];
	char client_id_pattern[ACCESS_TEXT_BYTES_MAX]; /* auth/rules/client_id_pattern.h; "": any id is anyone's */
	char rule_file[ACCESS_TEXT_BYTES_MAX];
	char revocation_file[ACCESS_TEXT_BYTES_MAX];
	/* What the bridge fetches; here because signing in depends on whether there is something to wait for. */
	char token_jwks_url[ACCESS_TEXT_BYTES_MAX];
	char token_jwks_ca_file[ACCESS_TEXT_BYTES_MAX];
	uint32_t token_jwks_refresh_s;
	uint32_t token_jwks_cooldown_s; /* at least between two fetches for keys that nobody knows */
	char redis_url[ACCESS_TEXT_BYTES_MAX];
	uint32_t redis_rescan_s;
	bool redis_refuses; /* nobody may sign in while Redis is away */
};

#endif
