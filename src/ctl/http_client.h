/* One HTTP request at a time, with libcurl. One thread. */
#ifndef CTL_HTTP_CLIENT_H
#define CTL_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

struct http_client {
	const char *url;         /* "http://host:port", or https:// */
	const char *token;       /* NULL: none */
	const char *ca_file;     /* whom a server of https:// is trusted by; NULL: the system's */
	const char *certificate; /* a file with our own; NULL: none */
	const char *key;         /* NULL: the certificate's file has it, too */
	bool is_quiet;           /* that there is no answer is not said on stderr */
	bool insecure;           /* any server will do: certificate and name are not checked */
};

struct http_answer {
	long status;
	char *text; /* a null character follows it; the caller frees it, also where there was no answer */
	size_t bytes;
};

/* path begins with "/". body: JSON, or NULL. Blocks for up to 30 s. False: no answer; the reason is on stderr. */
bool http_client_ask(const struct http_client *client, const char *method, const char *path, const char *body,
		     struct http_answer *answer);

/* Percent-encoded, on the heap. NULL: no memory. */
char *http_client_escape(const char *text);

#endif
