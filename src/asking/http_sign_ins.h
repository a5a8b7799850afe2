/* The thread that asks an HTTP server about clients for the gates (access/authority.h): a POST of JSON for each
 * question, many at a time, by a process of its own (fetch/fetcher.h).
 *
 * 200 with the JSON of auth/outside/answer.h is an answer; 401 and 403 are a refusal, whatever comes with them. All
 * else is none: other statuses, redirects among them, JSON that cannot be read, a connection that fails, and silence.
 * Where many in a row get none the authority is away for some time, so that clients are not kept waiting for nothing.
 */
#ifndef ASKING_HTTP_SIGN_INS_H
#define ASKING_HTTP_SIGN_INS_H

#include "asking/http_secrets.h"
#include "runtime/counters.h"

struct gateway;
struct http_sign_ins;

/* Strings outlive the thread. */
struct http_sign_in_settings {
	const char *url;
	const char *ca_file; /* "": the system's certificate authorities */
	const char *token_file;
	const char *secret_file;
	uint32_t timeout_ms;
	bool private_table; /* the thread gets a descriptor table of its own */
};

/* Whether these will do. False: *fault says what will not, and begins with the option or the file. */
bool http_sign_ins_check(const struct http_sign_in_settings *settings, struct fault *fault);

/* Starts the thread. gateway, which has an authority, and counters must outlive it, and it is the only writer of
 * counters. Returns NULL if memory, descriptors or threads are short. */
struct http_sign_ins *http_sign_ins_start(const struct http_sign_in_settings *settings, struct gateway *gateway,
					  struct counters *counters);
/* Ends the thread at once; who waits is refused. *asks may be NULL. */
void http_sign_ins_stop(struct http_sign_ins **asks);

#endif
