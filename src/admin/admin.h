/* The admin side: metrics, an API and a page over HTTP. It has one thread, with a descriptor table of its own where
 * gates and shards have theirs. It reads counters and sends commands to shards (runtime/command.h), which take a lock
 * of a few instructions to receive them and do a bounded part in a turn; a shard never waits for an answer of the admin
 * side. Made, started and stopped by the main thread. */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "admin/api/context.h"
#include "net/listener.h"

#include <stdbool.h>

#define ADMIN_DEFAULT_URL "http://127.0.0.1:9883"
#define ADMIN_PATH_BYTES_MAX 1024

struct admin_options {
	char url[LISTENER_URL_BYTES_MAX];      /* "": no admin side */
	char token_file[ADMIN_PATH_BYTES_MAX]; /* "": no token */
	bool open_metrics;                     /* /metrics needs no token */
	bool url_is_default;                   /* if its port is taken, the gateway starts without an admin side */
};

struct admin;

/* Checks the options, opens the listener and starts the thread. Sets *started to NULL if the options ask for no admin
 * side. Returns false after logging why it cannot start. The gateway must outlive it. */
bool admin_start(const struct admin_options *options, struct gateway *gateway, struct admin_hooks hooks,
		 struct admin **started);
/* Returns whether admin_reload_token() would succeed; if not, writes the reason to *report. admin may be NULL. */
bool admin_check_token(const struct admin *admin, FILE *report);
/* Reads the token file again. On failure it writes the reason to *report, returns false and keeps the old token. admin
 * may be NULL. */
bool admin_reload_token(struct admin *admin, FILE *report);
/* Makes /ready fail because the gateway is about to stop. admin may be NULL, here and below. */
void admin_set_draining(struct admin *admin);
/* Ends the thread after the request that it is serving. */
void admin_stop(struct admin *admin);

#endif
