/* The thread that fetches the JWK set from --token-jwks-url and hands it to access. It fetches again when the set is
 * too old (Cache-Control: max-age, between JWKS_AGE_S_LEAST and refresh_s; refresh_s without it), and when a token
 * names an unknown key, but at most once per cooldown_s. It sends the last ETag, so an unchanged set is not
 * transferred. While the URL fails, or returns no key set, the last keys stay in use and the thread tries again after
 * growing pauses. Redirects are not followed. Each fetch is a process of its own (fetch/fetch.h). The thread may block;
 * no other thread waits for it. */
#ifndef BRIDGE_JWKS_FETCH_H
#define BRIDGE_JWKS_FETCH_H

#include "access/access.h"
#include "runtime/counters.h"

#define JWKS_AGE_S_LEAST 10u

struct jwks_settings {
	const char *url;
	const char *ca_file; /* "": the system's certificate authorities */
	uint32_t refresh_s;
	uint32_t cooldown_s;
	bool private_table; /* the thread gets a descriptor table of its own */
};

struct jwks_fetch;

/* Returns whether the URL can be fetched; if not, *why is the reason, in static storage. */
bool jwks_url_check(const char *url, const char **why);

/* Starts the thread. Copies settings, but not the strings in it: they, access and counters must outlive the thread. It
 * is the only writer of counters. Returns NULL if memory, descriptors or threads are short. */
struct jwks_fetch *jwks_fetch_start(const struct jwks_settings *settings, struct access *access,
				    struct counters *counters);
/* Ends the thread at once, even in the middle of a fetch. *fetch may be NULL. */
void jwks_fetch_stop(struct jwks_fetch **fetch);

#endif
