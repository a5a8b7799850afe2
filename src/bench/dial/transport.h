/* What carries MQTT on the sockets to one broker: TLS, the frames of a WebSocket, or both, with all that the clients of
 * a run share. Opened and closed by the main thread; in between any thread may read it. */
#ifndef BENCH_TRANSPORT_H
#define BENCH_TRANSPORT_H

#include "bench/dial/url.h"

#include <stddef.h>

struct tls_context;

/* From the command line; for all brokers of a run. */
struct transport_options {
	const char *ca_path;     /* PEM; NULL: the broker's certificate is not checked */
	const char *cert_path;   /* PEM, the clients' certificate; NULL: they have none */
	const char *key_path;    /* PEM, its key */
	uint32_t resume_percent; /* of connections that offer a ticket of an earlier one */
	const char *ciphers;     /* offered for TLS 1.2, OpenSSL's names; NULL: src/tls's own choice */
	const char *suites;      /* the same for TLS 1.3 */
	bool only_tls_1_2;
};

struct transport {
	struct tls_context *tls; /* NULL: no TLS */
	bool is_websocket;
	uint32_t resume_percent;
	char host[URL_HOST_BYTES];           /* without a port, as TLS asks for it */
	char authority[URL_HOST_BYTES + 16]; /* with one, as HTTP wants it */
	char path[URL_PATH_BYTES];           /* of the WebSocket */
};

/* On failure says why on stderr, and returns false; *transport is then safe to close. */
bool transport_open(struct transport *transport, const struct url *url, const struct transport_options *options);
void transport_close(struct transport *transport);

/* MQTT does not lie on the socket itself. */
static inline bool transport_is_layered(const struct transport *transport)
{
	return transport->tls != NULL || transport->is_websocket;
}

#endif
