/* The gateway: its gates, its shards and what they share. Created, started and stopped by the main thread, which
 * carries no traffic itself. */
#ifndef CONTROL_GATEWAY_H
#define CONTROL_GATEWAY_H

#include "runtime/counters.h"
#include "runtime/settings/settings.h"
#include "store/store.h"

struct gateway;
struct authority;
struct congestion_board;
struct gate;
struct hash_key;
struct index;
struct mailbox;
struct node_port;
struct notes;
struct retained;
struct settings_feed;
struct shard;
struct tls_keeper;

/* Binds the listeners, opens the store if there is one, and makes what the threads need; none of them runs yet.
 * root_fd: of what the previous program left, to go on with its clients (control/heritage.h); -1: nothing. Then nothing
 * is changed that the previous program would miss if it went on itself, until gateway_start(). Keeps the settings,
 * which must outlive the gateway, and writes the bound listeners to them, with the ports that the kernel chose. Returns
 * NULL after logging the reason; the process must then exit. */
struct gateway *gateway_new(struct settings *settings, int root_fd);
/* Recovers what the store holds, starts the threads and takes connections. progress is called now and then while the
 * store is read. Returns false after logging the reason; the process must then exit. */
bool gateway_start(struct gateway *gateway, store_progress progress, void *context);

/* Stops listening, sends DISCONNECT to version 5 clients if so configured [3.14], flushes, and ends the threads within
 * settings->drain_ms; then the store writes and syncs what is left. *kept: it could, or there is none. Returns how many
 * clients were still connected at the end. */
uint64_t gateway_stop(struct gateway *gateway, bool *kept);
/* After gateway_stop(), when no other thread uses the gateway any more. */
void gateway_free(struct gateway *gateway);

/* ---- standing still (control/freeze.h has the steps) ---- */

/* What came of a freeze. Times in nanoseconds of the monotonic clock; 0: it did not come so far. */
struct gateway_frozen {
	char why[200]; /* it is not frozen, and serves on; "": it is */
	uint64_t asked_ns;
	uint64_t quiet_from_ns; /* since then no client is read */
	uint64_t quiet_ns;      /* nothing was in transit any more */
	uint64_t frozen_ns;     /* all threads had ended */
	uint64_t stored_ns;     /* the store stood still, too */
	uint32_t closed;        /* connections that had not signed in when their time was up */
};
/* Whether a program that describes its store so (storage_describe()) can go on with the one that there is. */
bool gateway_may_follow(const struct gateway *gateway, const char *storage, struct store_refusal *refusal);
/* Who still has to do with the shards while they finish what is in transit between them, such as the nodes thread, and
 * has to leave before they end. */
struct gateway_guest {
	void (*leave)(void *context); /* called once nothing is in transit; clients wait meanwhile */
	void *context;
};
/* Ends the threads of gates and shards, and keeps every client. False: it serves on, and report->why says why not.
 * Blocks; clients are served until the last few milliseconds. guest: NULL: there is none. */
bool gateway_freeze(struct gateway *gateway, const struct gateway_guest *guest, struct gateway_frozen *report);
/* Notes all that the next program needs to go on, and lets what it is to have outlive execve(). The gateway is frozen.
 * *root_fd: what gateway_new() of that program is to be given. False: why says why not, and nothing has changed. */
bool gateway_leave(struct gateway *gateway, int *root_fd, char *why, size_t why_size);
/* For what others add, between gateway_leave() and execve(), and for what they read in the next program, until
 * gateway_start(). */
struct notes *gateway_notes(struct gateway *gateway);
/* Takes that back: execve() has failed. Before gateway_thaw(). */
void gateway_stay(struct gateway *gateway);
/* Starts the threads again on what is there. False, after logging why: the process must exit. */
bool gateway_thaw(struct gateway *gateway);

/* What the admin API may use until gateway_free(): counters, and what may be read with atomics only. Any thread. */
struct gateway_parts {
	struct shard *shards;
	struct gate *gates;
	struct mailbox *mailboxes;
	struct congestion_board *boards; /* of shards, and behind them the nodes thread's */
	struct index *index;
	struct retained *retained;
	const struct hash_key *key; /* of client ids */
	struct node_port *nodes;    /* NULL: the gateway is in no cluster */
	struct store *store;        /* NULL: there is none */
	struct settings_feed *feed;
	struct tls_keeper *tls;     /* its contexts and atomics only */
	uint64_t table_descriptors; /* capacity of one descriptor table */
	uint32_t packet_bytes_max;
	uint16_t shard_count;
	uint16_t gate_count;
	bool private_tables;
};
struct gateway_parts gateway_parts(const struct gateway *gateway);

/* Gives all threads a copy of these settings and waits until each has switched to it. The caller makes sure that only
 * fields differ that may change at run time, and calls from one thread at a time. ERROR_NO_MEMORY: nothing has changed.
 * ERROR_TIMEOUT: a thread hangs; the others have the new settings. */
enum error gateway_reload(struct gateway *gateway, const struct settings *settings);
/* The settings in force. Valid until the next gateway_reload(). */
const struct settings *gateway_settings(const struct gateway *gateway);

/* Access control, for threads that bring keys and revocations. Valid until gateway_free(). */
struct access *gateway_access(struct gateway *gateway);
/* What asks about clients outside; NULL: nothing does. Valid until gateway_free(). */
struct authority *gateway_authority(struct gateway *gateway);
/* The descriptors of the gates' wakers, which answers wake: a thread that answers and has a private descriptor table
 * must keep these in it. Returns their number; fds may be NULL. */
uint16_t gateway_gate_waker_fds(const struct gateway *gateway, int *fds);
/* Certificates and ticket keys; whoever reloads has it to itself. Valid until gateway_free(). */
struct tls_keeper *gateway_tls(struct gateway *gateway);
/* Adds the counters of a thread that the gateway did not start to its sum. They must outlive the gateway. At most
 * eight times. Main thread. */
void gateway_count_also(struct gateway *gateway, const struct counters *counters);

/* False: there is no store. Any thread. */
bool gateway_store_figures(const struct gateway *gateway, struct store_figures *figures);

/* Adds the counters of all threads to *sum. Any thread. */
void gateway_counters(const struct gateway *gateway, struct counters *sum);

#endif
