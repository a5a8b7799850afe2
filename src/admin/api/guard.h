/* Access control of the admin side. With a configured bearer token, requests need it. Without one, only requests to a
 * loopback name are allowed, and pages of other origins may not change anything. Any thread. */
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

/* Reads the token from the file's first line; the path "" removes the token. On failure it sets *fault, returns false
 * and changes nothing. */
bool guard_read_token(struct guard *guard, const char *path, char fault[GUARD_FAULT_BYTES_MAX]);

/* What a request tells about its sender. The data of a missing header field is NULL. */
struct guard_claim {
	struct slice authorization;
	struct slice host;
	struct slice origin;
	bool changes; /* the request is not a mere GET */
};

enum guard_verdict {
	GUARD_GRANTED,
	GUARD_NO_TOKEN, /* a token is required and the request has none */
	GUARD_WRONG_TOKEN,
	GUARD_WRONG_HOST,   /* no token is configured, and Host is not a loopback name */
	GUARD_WRONG_ORIGIN, /* a page of another origin requests a change */
};

enum guard_verdict guard_check(struct guard *guard, const struct guard_claim *claim);
/* The check for paths that need no token: only the origin is checked. */
enum guard_verdict guard_check_open(const struct guard_claim *claim);

#endif
