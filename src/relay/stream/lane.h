/* A rule at work: its session, the entries that were read and not sent yet, and those that Redis is to confirm: a
 * flight for each server, of which a cluster has several. Entries of a stream leave in the order in which their
 * messages came: what goes to a server next waits until the flight before is settled. Owned by the relay's thread. */
#ifndef RELAY_STREAM_LANE_H
#define RELAY_STREAM_LANE_H

#include "redis/redis_slots.h"
#include "relay/entry/entry_batch.h"
#include "relay/session/copies.h"
#include "relay/session/session_link.h"
#include "relay/stream/flight.h"
#include "relay/stream/stream_status.h"

struct lane {
	const struct rule *rule;
	struct session_link session;
	struct entry_batch pool;                 /* read, and to be sent; in a cluster also what is to be sent again */
	struct entry_batch spare;                /* empty */
	struct flight *flights[REDIS_NODES_MAX]; /* by the server's number; NULL: nothing went there yet */
	uint32_t flight_end;                     /* behind the last of these */
	bool in_cluster;
	bool is_held;    /* the server for some of the pool was not there when it was last looked at */
	uint64_t try_ms; /* before which the pool is not looked at again: its servers are not there, or busy; 0: at once
			  */
	bool had_no_room; /* for all of what was read */
	struct copies copies;
	struct rule_counts counts;
	char fault[STATUS_FAULT_BYTES]; /* the last one, in words */
	uint64_t fault_ms;              /* when, on the monotonic clock */
};

void lane_init(struct lane *lane, const struct rule *rule, bool in_cluster);
void lane_fini(struct lane *lane);

/* Whether it has room for messages that its session has sent. */
bool lane_may_read(const struct lane *lane);
/* Reads what there is room for. wall_ms: since 1970. false: the session's connection is lost. */
bool lane_read(struct lane *lane, uint64_t wall_ms);
/* Whether some of what was read had no room, and has some now: the socket does not tell of it again. */
static inline bool lane_has_unread(const struct lane *lane)
{
	return lane->had_no_room && lane_may_read(lane);
}

/* Whether there is something to send to Redis, somebody to tell of it, and its time has come. */
bool lane_is_ready(const struct lane *lane, uint64_t now_ms);
/* When that time comes; UINT64_MAX: there is nothing to send. */
uint64_t lane_retry_ms(const struct lane *lane);
/* Whether it holds entries that Redis has not confirmed. */
bool lane_holds(const struct lane *lane);
/* Whether some of them were refused, or their server is not there. */
bool lane_is_waiting(const struct lane *lane);
/* Whether answers are due. */
bool lane_is_at_redis(const struct lane *lane);

/* The flight to this server. NULL: memory is short. */
struct flight *lane_flight(struct lane *lane, uint32_t server);
/* In a cluster, when all of the pool has gone: nothing that was refused waits any more but what is at Redis. */
void lane_all_gone(struct lane *lane);
/* In a cluster: forgets those of the pool that a flight has copies of, which are marked BATCH_DONE. false: memory is
 * short, and they are all there still. */
bool lane_drop_moved(struct lane *lane);
/* Not in a cluster: has the flight take all that is to be sent. false: memory is short. */
bool lane_load(struct lane *lane, struct flight *flight);
/* Answers came, or the connection is lost: fault says so then, else it is "". Acknowledges what Redis has, and keeps
 * the rest. */
void lane_settle(struct lane *lane, struct flight *flight, const char *fault, uint64_t now_ms);

/* Notes what went wrong. Logged where it is new. */
void lane_note(struct lane *lane, const char *fault, uint64_t now_ms);

/* All but what the gateway alone knows: the backlog is what the lane holds of it. wall_ms: since 1970. */
void lane_status(const struct lane *lane, bool redis_connected, uint64_t now_ms, uint64_t wall_ms,
		 struct rule_status *status);

#endif
