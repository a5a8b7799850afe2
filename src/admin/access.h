/* Who may ask the admin side: a bearer token where one is configured; without one only this machine, and no web page
 * that a browser on it happens to show. Any thread. */
#ifndef ADMIN_ACCESS_H
#define ADMIN_ACCESS_H

#include "base/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define ACCESS_TOKEN_BYTES_MIN 16u
#define ACCESS_TOKEN_BYTES_MAX 1024u
#define ACCESS_DIGEST_BYTES 32u
#define ACCESS_FAULT_BYTES_MAX 512u

struct access {
	pthread_mutex_t lock;
	bool has_token;
	uint8_t digest[ACCESS_DIGEST_BYTES]; /* of the token, which is not kept */
};

void access_init(struct access *access);
void access_fini(struct access *access);

/* Reads the token from the file's first line; "": there is none from now on. False: *fault says why not, and nothing
 * has changed. */
bool access_read_token(struct access *access, const char *path, char fault[ACCESS_FAULT_BYTES_MAX]);

/* What a request says about who sends it; NULL where the header is missing. */
struct access_claim {
	const char *authorization;
	const char *host;
	const char *origin;
	bool changes; /* the request does more than look */
};

enum access_verdict {
	ACCESS_GRANTED,
	ACCESS_NO_TOKEN, /* one is needed and none was given */
	ACCESS_WRONG_TOKEN,
	ACCESS_WRONG_HOST,   /* without a token: asked by a name that is not this machine's own */
	ACCESS_WRONG_ORIGIN, /* a web page from elsewhere asks for a change */
};

enum access_verdict access_check(struct access *access, const struct access_claim *claim);
/* What needs no token: the first three of these still hold for it where there is none. */
enum access_verdict access_check_open(const struct access_claim *claim);

#endif
