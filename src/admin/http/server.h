/* A small HTTP/1.1 server: one thread, one poller, a fixed number of connections, each in its turn. What may come in is
 * limited in size by http/head.h and admin/http/connection.h, and in time here: a client has so long for one request,
 * from its first byte, or the end of the last answer, to the end of the next answer, however it spreads its bytes. With
 * more than half of the places taken it has much less, so that hundreds who begin a request and never end it keep
 * nobody out for long.
 *
 * Made by any thread, run by one, which is the one in whose descriptor table it lives; told to stop by any. */
#ifndef ADMIN_HTTP_SERVER_H
#define ADMIN_HTTP_SERVER_H

#include "admin/http/exchange.h"
#include "base/error.h"
#include "net/waker.h"

#include <stdatomic.h>

#define HTTP_CONNECTIONS_MAX 128u
#define HTTP_REQUEST_MS 20000u
/* The same with more than half of the places taken. */
#define HTTP_REQUEST_CROWDED_MS 1000u
/* For what a client goes on sending behind an answer that ended its connection. */
#define HTTP_LINGER_MS 2000u
/* Before accepting is tried again after it failed for want of descriptors or memory. */
#define HTTP_ACCEPT_PAUSE_MS 100u

struct http_server;

/* The waker is made before the thread has its own descriptor table; it is the caller's. NULL: no memory. */
struct http_server *http_server_new(const struct http_service *service, int listener_fd, struct waker *waker);
/* Serves until *stopping, after whose change the waker is woken. ERROR_SYSTEM: it could not start. *started is called
 * once, when it serves. */
enum error http_server_run(struct http_server *server, const _Atomic bool *stopping, void (*started)(void *context),
			   void *context);
/* Not while it runs. Closes all connections, and the listener. */
void http_server_free(struct http_server *server);

#endif
