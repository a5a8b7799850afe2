/* URLs of NATS servers, as the configuration has them: bytes in, parts out. Any thread. */
#ifndef NODES_BUS_URL_H
#define NODES_BUS_URL_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define BUS_URLS_MAX 16u
#define BUS_URL_BYTES_MAX 512u
#define BUS_TEXT_BYTES 256u

struct bus_url {
	bool is_tls;
	char host[BUS_TEXT_BYTES];    /* without brackets */
	char shown[BUS_TEXT_BYTES];   /* without user and password, for log and API */
	char full[BUS_URL_BYTES_MAX]; /* as libnats takes it: nats://, the port filled in */
};

/* Reads nats://[USER[:PASSWORD]@]HOST[:PORT] or tls://..., several with commas between them and perhaps blanks around.
 * A user without a password is a token. Returns how many, 1 to BUS_URLS_MAX; 0: `fault` says in words what is wrong,
 * without a password. */
uint32_t bus_urls_read(const char *text, struct bus_url urls[BUS_URLS_MAX], char fault[BUS_TEXT_BYTES]);

#endif
