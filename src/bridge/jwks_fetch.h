/* The thread that fetches the JWK set of --token-jwks-url and hands it to the access. It is asked for again when it has
 * become old (Cache-Control: max-age, from JWKS_AGE_S_LEAST up to refresh_s; without it refresh_s), and when a token
 * names a key that nobody knows, but not more often than every cooldown_s. ETags save the transfer. While the URL is
 * down, or answers with what is no key set, the keys that were fetched before stay in use, and it is tried again with
 * pauses that grow. Redirects are not followed. Each fetch is a process of
 * its own (fetch/fetch.h); the thread waits for it, and nobody waits for the thread. */
#ifndef BRIDGE_JWKS_FETCH_H
#define BRIDGE_JWKS_FETCH_H

#include "gateway/access.h"
#include "gateway/counters.h"

#define JWKS_AGE_S_LEAST 10u

struct jwks_settings {
	const char *url;
	const char *ca_file; /* "": what the system trusts */
	uint32_t refresh_s;
	uint32_t cooldown_s;
	bool private_table; /* a descriptor table of its own */
};

struct jwks_fetch;

/* Whether the URL is one that can be fetched; *why otherwise, in static storage. */
bool jwks_url_check(const char *url, const char **why);

/* Starts the thread. settings are copied but their texts, which outlive it as access and counters do (it is the only
 * writer of the counters that it counts). NULL: no memory, descriptors or threads. */
struct jwks_fetch *jwks_fetch_start(const struct jwks_settings *settings, struct access *access,
				    struct counters *counters);
/* Ends the thread, at once even where it is in the middle of a transfer. NULL is nothing. */
void jwks_fetch_stop(struct jwks_fetch **fetch);

#endif
