/* Keeps what TLS listeners need: certificates and all that a handshake has to know, read from files at the start, on a
 * reload and when a file has changed; and the keys of session tickets. Contexts reach the gates as a snapshot
 * (runtime/tls_contexts.h), and nobody is dropped: what is under way goes on with the old ones.
 *
 * One thread at a time: the main thread, or one that reloads; tls_keeper_watch_fd() and _turn() are the main thread's,
 * whose table has the descriptor. Blocks on the disk. */
#ifndef CONTROL_TLS_KEEPER_H
#define CONTROL_TLS_KEEPER_H

#include "control/tls/file_stamps.h"
#include "control/tls/file_watch.h"
#include "control/tls/ticket_file.h"
#include "runtime/tls_contexts.h"

#include <stdio.h>

struct tls_keeper {
	struct tls_contexts contexts;
	struct tls_tickets *tickets; /* NULL: no listener has TLS, and nothing is done */
	struct ticket_file ticket_file;
	struct file_stamps stamps; /* of the files that were read last, also where they would not do */
	struct file_watch watch;
	bool is_watching;
	bool is_stale;         /* the files may be others than those that are watched */
	uint64_t quiet_at_ms;  /* when to look whether files changed; UINT64_MAX: nothing happened */
	uint64_t latest_at_ms; /* not later than that, whatever happens meanwhile */
	uint64_t minute_at_ms; /* when to rotate */
	int64_t warned_day;    /* since 1970 */
	_Atomic uint64_t reloads;
	_Atomic uint64_t reload_failures;
};

/* False: a file will not do, or there is no memory; the log says so. The settings' listeners are open. */
bool tls_keeper_open(struct tls_keeper *keeper, const struct settings *settings);
/* No other thread uses it any more. */
void tls_keeper_close(struct tls_keeper *keeper);

/* Reads all files anew. False: report has a sentence for each listener whose files will not do, and nothing changes. */
bool tls_keeper_read(struct tls_keeper *keeper, const struct settings *settings, FILE *report,
		     struct tls_context_set *fresh);
/* Makes them the gates' own, and takes over the references. */
void tls_keeper_use(struct tls_keeper *keeper, const struct settings *settings, struct tls_context_set *fresh);

/* Begins to watch, once the threads have their own tables of descriptors. */
void tls_keeper_watch(struct tls_keeper *keeper);
/* To be polled for POLLIN; -1: there is nothing to watch. */
int tls_keeper_watch_fd(const struct tls_keeper *keeper);
/* Takes up files that have changed, rotates the keys of tickets, warns of certificates that end. To be called when the
 * descriptor says so, and after as many milliseconds as it returns. */
uint32_t tls_keeper_turn(struct tls_keeper *keeper, const struct settings *settings, uint64_t now_ms, int64_t wall_s);

#endif
