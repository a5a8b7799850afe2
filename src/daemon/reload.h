/* Reads the configuration again while the gateway runs, and applies all of it or nothing. Any thread but a shard's or a
 * gate's: it blocks. */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include "control/gateway.h"
#include "daemon/options/options.h"

#include <pthread.h>

struct relay;

struct reloader {
	pthread_mutex_t lock;
	int argc;
	char **argv;
	struct options *started; /* as read at the start */
	struct options *current;
	struct gateway *gateway;
	struct admin *admin; /* its token is read again; NULL: none */
	struct relay *relay; /* it gets the items */
	uint32_t drains;     /* that were begun */
	bool stopping;
	bool upgrading;
};

/* started: as read, before the gateway changed anything in it. Until reloader_begin(), which the same thread calls, a
 * reload waits: the admin side takes requests before the caller has its handle. */
void reloader_init(struct reloader *reloader, int argc, char **argv, const struct options *started);
/* From here on reloads are possible. */
void reloader_begin(struct reloader *reloader, struct gateway *gateway, struct admin *admin, struct relay *relay);
/* From here on they are refused. */
void reloader_end(struct reloader *reloader);
/* Whether the program is being replaced, which ends with a program that knows of no drain: none begins meanwhile. One
 * that was begun before is in the settings by the time that this returns. Main thread. */
void reloader_set_upgrading(struct reloader *reloader, bool upgrading);

/* After that, when nobody calls it any more; also where it never began. */
void reloader_fini(struct reloader *reloader);

/* True: report has a line for each change. False: nothing has changed, and report says why. */
bool reloader_reload(void *reloader, FILE *report);
/* The same, with the report in the log. */
void reloader_reload_and_log(struct reloader *reloader);
/* Begins this drain, or ends the one that there is (number 0). Returns whether it did; if not, why says why not. */
bool reloader_drain(struct reloader *reloader, const struct drain_settings *drain, char *why, size_t why_size);
/* Takes up certificates whose files have changed, and what else is due (control/tls_keeper.h). Main thread. Returns
 * after how many milliseconds it wants to be called again, at the latest. */
uint32_t reloader_keep_tls(struct reloader *reloader);

#endif
