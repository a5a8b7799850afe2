/* The thread of the table of who is online. It hears of comings and goings by presence events, over a session of its
 * own (relay/session/session_link.h), and hands each to Redis; many go with one system call.
 *
 * Whenever the connection to Redis is new, or the table there is not what it should be, it is made anew: all clients
 * are listed, page by page, and events go on meanwhile. An event that is read before a page was asked for is older than
 * the page, and goes to Redis before it; one that is read later goes behind it. A client's last event is the one that
 * counts, so the table comes to be right whatever happens meanwhile, and an event that was lost is made good by the
 * next listing. So nothing of it has to be kept: while Redis is away, or takes less than there is, events are dropped,
 * and the session ends with its connection. */
#ifndef RELAY_TABLE_LOOP_H
#define RELAY_TABLE_LOOP_H

#include "relay/session/session_link.h"
#include "relay/session/session_thread.h"
#include "relay/table/table_link.h"
#include "relay/table/table_listing.h"

#define TABLE_CLIENT_ID "$roost/presence-table"
/* How long events gather before they are read. */
#define TABLE_GATHER_MS 5u
/* How often the life of the table is renewed, and looked at whether all of it is there. */
#define TABLE_RENEW_MS 5000u
/* While so much waits for Redis no further page is listed. */
#define TABLE_LISTED_BYTES_MAX ((size_t)1 << 20)
/* When so much waits for Redis, events are dropped, and the table is made anew once Redis has had all of it. */
#define TABLE_BEHIND_BYTES ((size_t)16 << 20)
/* At its end it waits for so long for Redis. */
#define TABLE_STOP_MS 1000u

struct table_loop {
	struct session_thread thread;
	/* Set before the thread starts. */
	const struct redis_target *redis;
	const char *prefix;
	const char *node;
	/* Shared with whoever shows it. */
	pthread_mutex_t *lock;
	struct table_status *status;
	_Atomic bool leaves; /* set before the thread is stopped: the gateway ends, and the table with it */
	/* The thread's own. */
	enum table_state state;
	struct topics topics;
	struct session_link session;
	struct table_writer writer;
	struct table_link link;
	struct table_listing listing;
	struct table_event event;
	struct bytes payload; /* of an event */
	struct bytes value;   /* of a client */
	struct pause pause;   /* after something other than Redis went wrong */
	char fault[TABLE_FAULT_BYTES];
	uint64_t fault_ms;
	uint64_t events;
	uint64_t listings;
	uint64_t dropped;    /* events that the session had missed when the table was begun */
	uint64_t read_ms;    /* when what has gathered is to be read; 0: nothing has */
	uint64_t renew_ms;   /* when the table is to be renewed */
	uint64_t renewals;   /* that Redis has confirmed */
	uint64_t renewed_ms; /* when it confirmed the last one; 0: never */
	bool lost;           /* the session is */
};

/* The thread's main function; argument is the loop. */
void *table_loop_main(void *argument);

#endif
