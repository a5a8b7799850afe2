/* The address of Redis: redis://[user:password@]host[:port][/database], rediss:// likewise for TLS, or
 * unix://[user:password@]/path[?db=database]. User and password may contain %-escapes. Pure; any thread. */
#ifndef REDIS_REDIS_URL_H
#define REDIS_REDIS_URL_H

#include <stdbool.h>
#include <stdint.h>

#define REDIS_PORT_DEFAULT 6379u
#define REDIS_TEXT_BYTES_MAX 256u

struct redis_url {
	bool is_unix; /* host is a path */
	bool is_tls;
	uint16_t port;
	uint32_t database;
	char host[REDIS_TEXT_BYTES_MAX];
	char user[REDIS_TEXT_BYTES_MAX];     /* "": the default one */
	char password[REDIS_TEXT_BYTES_MAX]; /* "": none */
};

/* On failure it returns false and sets *why to a sentence in static storage that does not contain the password. */
bool redis_url_parse(const char *text, struct redis_url *url, const char **why);

#endif
