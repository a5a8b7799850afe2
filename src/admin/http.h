/* The HTTP server (libmicrohttpd): from its callbacks to requests, and from their answers to responses; what a request
 * may be as large as, how long it may take, and who may send it. Started and stopped by the thread in whose descriptor
 * table it is to be. */
#ifndef ADMIN_HTTP_H
#define ADMIN_HTTP_H

struct admin;
struct server;

/* Serves on this listening socket, which is the server's from here on. NULL: it could not start. */
struct server *server_start(struct admin *admin, int listener_fd);
/* Ends connections that have been busy with one request for too long. Once a second or so. */
void server_end_slow(struct server *server);
void server_stop(struct server *server);

#endif
