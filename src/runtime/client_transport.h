/* How a client comes, in a word, and what its TLS is called: for metrics, the API, $SYS and the log. Pure; any thread.
 */
#ifndef RUNTIME_CLIENT_TRANSPORT_H
#define RUNTIME_CLIENT_TRANSPORT_H

#include "net/stream.h"

enum client_transport {
	CLIENT_TCP,
	CLIENT_TLS,
	CLIENT_WS,
	CLIENT_WSS,
	CLIENT_UNIX,
	CLIENT_TRANSPORTS,
};

/* facts: of its stream. is_unix: it came through a unix socket, which its stream cannot tell. What lies between a proxy
 * and the client is not known, and does not count. */
enum client_transport client_transport(const struct stream_facts *facts, bool is_unix);
/* "tcp", "tls", "ws", "wss", "unix"; static storage. */
const char *client_transport_name(enum client_transport transport);
/* Of a version as on the wire: "1.2", "1.3"; NULL: there is no TLS. */
const char *client_tls_version(uint16_t version);
/* IANA's name of a cipher suite: "TLS_AES_128_GCM_SHA256"; NULL: none that the record layer has. */
const char *client_tls_cipher(uint16_t cipher);

#endif
