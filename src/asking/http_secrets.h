/* By what an HTTP server knows that it is Roost who asks: a token and a secret, each from a file that is read again now
 * and then, so that a renewed one counts without a reload. One thread, which blocks on the disk. */
#ifndef ASKING_HTTP_SECRETS_H
#define ASKING_HTTP_SECRETS_H

#include "auth/text/fault.h"
#include "base/slice.h"

#define HTTP_SECRET_BYTES_MAX 4096u
#define HTTP_SECRETS_AGE_MS 10000u

struct http_secrets {
	const char *token_file;                         /* ""; none */
	const char *secret_file;                        /* "": none */
	char authorization[HTTP_SECRET_BYTES_MAX + 64]; /* a header's line; "": none */
	uint8_t secret[HTTP_SECRET_BYTES_MAX];
	size_t secret_bytes;
	uint64_t read_ms;
	bool is_told; /* that it could not be read again */
};

/* Reads both. False: *fault names the file and says why; what there was stays. */
bool http_secrets_read(struct http_secrets *secrets, uint64_t now_ms, struct fault *fault);
/* Reads them again if they are older than HTTP_SECRETS_AGE_MS; logs once that it cannot. */
void http_secrets_refresh(struct http_secrets *secrets, uint64_t now_ms);
void http_secrets_clear(struct http_secrets *secrets);

#endif
