/* The admin side: metrics, an API and a page over HTTP. It has one thread, with a descriptor table of its own where
 * gates and shards have theirs. It reads counters and sends commands to shards (runtime/command.h), which take a lock
 * of a few instructions to receive them and do a bounded part in a turn; a shard never waits for an answer of the admin
 * side. Made, started and stopped by the main thread. */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "admin/api/context.h"
#include "net/listener.h"

#include <stdbool.h>
#include <string.h>

#define ADMIN_DEFAULT_URL "http://127.0.0.1:9883"
#define ADMIN_PATH_BYTES_MAX 1024

struct admin_options {
	char url[LISTENER_URL_BYTES_MAX];      /* "": no admin side */
	char token_file[ADMIN_PATH_BYTES_MAX]; /* "": no token */
	bool open_metrics;                     /* /metrics needs no token */
	struct listener inherited;             /* of the previous program (admin_listener()); asked "": none */
	bool url_is_default;                   /* if its port is taken, the gateway starts without an admin side */
};

#define ADMIN_TLS_SCHEME "https://"
/* Whether its clients come over TLS. */
static inline bool admin_is_tls(const char *url)
{
	return strncmp(url, ADMIN_TLS_SCHEME, sizeof(ADMIN_TLS_SCHEME) - 1) == 0;
}

struct admin;

/* Checks the options, opens the listener and starts the thread. Until admin_set_started() only what needs no token is
 * served: whether it is healthy and ready, the page, the description of the API. Sets *started to NULL if the options
 * ask for no admin side. Returns false after logging why it cannot start. The gateway must outlive it. */
bool admin_start(const struct admin_options *options, struct gateway *gateway, struct admin_hooks hooks,
		 struct admin **started);
/* Whether admin_start() would take these options. Opens nothing. Logs why not. */
bool admin_check_options(const struct admin_options *options);
/* What it listens on, for the next program to go on with; fd -1: nothing, or admin is NULL. */
struct listener admin_listener(const struct admin *admin);
/* Returns whether admin_reload_token() would succeed; if not, writes the reason to *report. admin may be NULL. */
bool admin_check_token(const struct admin *admin, FILE *report);
/* Reads the token file again. On failure it writes the reason to *report, returns false and keeps the old token. admin
 * may be NULL. */
bool admin_reload_token(struct admin *admin, FILE *report);
/* The gateway has read so much of its store, in percent. admin may be NULL. */
void admin_set_recovery(struct admin *admin, uint32_t percent);
/* The gateway runs: all of the API is served from now on. admin may be NULL. */
void admin_set_started(struct admin *admin);
/* What came of upgrades, for the metrics. admin may be NULL. */
void admin_set_upgrades(struct admin *admin, uint64_t done, uint64_t refused, uint64_t silent_us);
/* Makes /ready fail because the gateway is about to stop. admin may be NULL, here and below. */
void admin_set_draining(struct admin *admin);
/* Waits until what was asked has been answered, for a second at most: who asks for an upgrade is to learn that it was
 * accepted before the program that says so is gone. */
void admin_await_answers(const struct admin *admin);
/* Ends the thread after the request that it is serving. */
void admin_stop(struct admin *admin);

#endif
