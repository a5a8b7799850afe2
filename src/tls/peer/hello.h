/* What a stranger's first bytes are, before anything costs: TLS or something else, and a ClientHello that resumes a
 * session or one that wants the whole handshake. Pure; any thread. */
#ifndef TLS_PEER_HELLO_H
#define TLS_PEER_HELLO_H

#include "base/error.h"
#include "base/slice.h"

/* ERROR_OK: the first record of a handshake is there, whole: tls_handshake_step() will now spend what a handshake
 * costs. ERROR_MORE: more bytes are needed to say; at most TLS_HELLO_BYTES_MAX. ERROR_TLS_PLAIN_MQTT,
 * ERROR_TLS_PLAIN_HTTP, ERROR_TLS_NOT_TLS, ERROR_TLS_VERSION (SSL 2 and 3), ERROR_TLS_RECORD_LENGTH. */
#define TLS_HELLO_BYTES_MAX (5u + 16384u)
enum error tls_hello_look(struct slice input);

/* True: the ClientHello offers a session to resume, by a ticket [RFC 5077, 3.2] or a pre-shared key [RFC 8446, 4.2.11].
 * It may still get a full handshake, where the ticket turns out to be too old. False also for anything that is no whole
 * ClientHello in one record. */
bool tls_hello_resumes(struct slice input);
/* The name that it asks for (SNI), in the input; size 0: none, or malformed. */
struct slice tls_hello_server_name(struct slice input);

#endif
