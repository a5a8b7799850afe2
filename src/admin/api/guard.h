/* Who may ask the admin side: a bearer token where one is configured; without one only this machine, and no web page
 * that a browser on it happens to show. Any thread. */
#ifndef ADMIN_API_GUARD_H
#define ADMIN_API_GUARD_H

#include "base/error.h"
#include "base/slice.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define GUARD_TOKEN_BYTES_MIN 16u
#define GUARD_TOKEN_BYTES_MAX 1024u
#define GUARD_DIGEST_BYTES 32u
#define GUARD_FAULT_BYTES_MAX 512u

struct guard {
	pthread_mutex_t lock;
	bool has_token;
	uint8_t digest[GUARD_DIGEST_BYTES]; /* of the token, which is not kept */
};

void guard_init(struct guard *guard);
void guard_fini(struct guard *guard);

/* Reads the token from the file's first line; "": there is none from now on. False: *fault says why not, and nothing
 * has changed. */
bool guard_read_token(struct guard *guard, const char *path, char fault[GUARD_FAULT_BYTES_MAX]);

/* What a request says about who sends it; data is NULL where the header is missing. */
struct guard_claim {
	struct slice authorization;
	struct slice host;
	struct slice origin;
	bool changes; /* the request does more than look */
};

enum guard_verdict {
	GUARD_GRANTED,
	GUARD_NO_TOKEN, /* one is needed and none was given */
	GUARD_WRONG_TOKEN,
	GUARD_WRONG_HOST,   /* without a token: asked by a name that is not this machine's own */
	GUARD_WRONG_ORIGIN, /* a web page from elsewhere asks for a change */
};

enum guard_verdict guard_check(struct guard *guard, const struct guard_claim *claim);
/* What needs no token: the first three of these still hold for it where there is none. */
enum guard_verdict guard_check_open(const struct guard_claim *claim);

#endif
