/* The configuration, read again while the gateway runs: all of it or nothing. Any thread but a shard's or a gate's. */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include "control/gateway.h"
#include "daemon/options.h"

#include <pthread.h>

struct reloader {
	pthread_mutex_t lock;
	int argc;
	char **argv;
	struct options started; /* as they were read at the start */
	struct options current;
	struct gateway *gateway;
	struct admin *admin; /* whose token is read again; NULL: none */
	bool stopping;
};

/* started: as read, before the gateway made anything of it. A reload waits until reloader_begin(), by the same thread:
 * the admin side answers before the caller has its handle. */
void reloader_init(struct reloader *reloader, int argc, char **argv, const struct options *started);
/* From here on it can reload. */
void reloader_begin(struct reloader *reloader, struct gateway *gateway, struct admin *admin);
/* And from here on not any more. */
void reloader_end(struct reloader *reloader);

/* True: what has changed is in *report, a line each. False: nothing has, and *report says why. */
bool reloader_reload(void *reloader, FILE *report);
/* The same for the log. */
void reloader_reload_and_log(struct reloader *reloader);

#endif
