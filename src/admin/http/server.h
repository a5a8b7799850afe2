/* A small HTTP/1.1 server: one thread, one poller, and a fixed number of connections that take turns. http/head.h and
 * admin/http/connection.h limit the size of requests. Time is limited here: a client has HTTP_REQUEST_MS from
 * connecting, or from its last answer, to the end of the next answer, however it spreads its bytes. While more than
 * half of the slots are taken it has much less, so that hundreds of clients that never finish a request cannot keep
 * others out for long.
 *
 * Any thread may make the server; one thread runs and frees it, in whose descriptor table it lives. */
#ifndef ADMIN_HTTP_SERVER_H
#define ADMIN_HTTP_SERVER_H

#include "admin/http/exchange.h"
#include "base/error.h"
#include "reactor/waker.h"
#include "runtime/tls_contexts.h"

#include <stdatomic.h>

#define HTTP_CONNECTIONS_MAX 128u
#define HTTP_REQUEST_MS 20000u
/* The same while more than half of the slots are taken. */
#define HTTP_REQUEST_CROWDED_MS 1000u
/* How long a client may go on sending after the last answer. */
#define HTTP_LINGER_MS 2000u
/* Pause after accept() failed for lack of descriptors or memory. */
#define HTTP_ACCEPT_PAUSE_MS 100u

struct http_server;

/* Takes over the listener. The waker stays the caller's. contexts: it speaks TLS, with the newest of SETTINGS_ADMIN, of
 * which there is one; NULL: without TLS. Returns NULL if memory is short. */
struct http_server *http_server_new(const struct http_service *service, int listener_fd, struct waker *waker,
				    struct tls_contexts *contexts);
/* Serves until *stopping is set and the waker woken. Calls started() once it accepts connections. Returns ERROR_SYSTEM
 * if it could not start. */
enum error http_server_run(struct http_server *server, const _Atomic bool *stopping, void (*started)(void *context),
			   void *context);
/* Closes all connections and the listener. Not while http_server_run() runs. */
void http_server_free(struct http_server *server);

#endif
