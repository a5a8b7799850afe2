/* A hook at work: its session, and lines of events. Each line has at most one request under way, and its events leave
 * in the order in which their messages came; messages of one client are all in one line, so that their order holds
 * however many lines there are. Owned by the thread of hooks. */
#ifndef RELAY_HOOK_HOOK_LANE_H
#define RELAY_HOOK_HOOK_LANE_H

#include "fetch/fetcher.h"
#include "reactor/pause.h"
#include "relay/hook/hook_batch.h"
#include "relay/hook/hook_files.h"
#include "relay/hook/hook_status.h"
#include "relay/session/copies.h"
#include "relay/session/session_link.h"

/* Faults are logged no more often than this: an endpoint may fail every other request. */
#define HOOK_TELL_MS 1000u
/* What is in files is read again after so long. */
#define HOOK_FILES_MS 10000u

struct hook_line {
	struct hook_batch gathered; /* read, and to be sent after those in flight */
	uint64_t gathered_ms;       /* when the first of them was read */
	struct hook_batch flying;   /* sent, or to be sent again */
	bool is_at_endpoint;        /* a request is under way */
	struct pause pause;         /* of what is in flight, before it is sent again */
	uint64_t failed_ms;         /* since when what goes next has failed; 0: it has not */
};

struct hook_lane {
	const struct hook *hook;
	const char *source; /* of events, where the hook names none */
	struct session_link session;
	uint64_t read_ms; /* when what gathers there is to be read; 0: nothing does */
	bool had_no_room; /* for all that was read */
	struct copies copies;
	struct hook_line lines[HOOK_CONCURRENCY_MAX];
	struct hash_key key; /* which line a client's messages go to */
	struct hook_files files;
	uint64_t files_ms; /* when they were read; 0: they were not yet */
	size_t bytes_under_way;
	struct hook_counts counts;
	char fault[HOOK_FAULT_BYTES]; /* the last one, in words */
	uint64_t fault_ms;            /* when, on the monotonic clock */
	bool is_waiting;              /* the last request has failed */
	char told[HOOK_FAULT_BYTES];  /* the fault that was logged last */
	uint64_t told_ms;             /* when; 0: none was */
	bool says_when_well;          /* one was since it was last said that all is well */
};

/* Times are on the monotonic clock, but for those in seconds, which are since 1970. */
struct hook_time {
	uint64_t now_ms;
	uint64_t wall_s;
};

void hook_lane_init(struct hook_lane *lane, const struct hook *hook, const char *source);
void hook_lane_fini(struct hook_lane *lane);

/* Whether it has room for messages that its session has sent. */
bool hook_lane_may_read(const struct hook_lane *lane);
/* Reads what there is room for. false: the session's connection is lost. */
bool hook_lane_read(struct hook_lane *lane, const struct hook_time *time);

/* Whether some of what was read had no room. */
static inline bool hook_lane_has_unread(const struct hook_lane *lane)
{
	return lane->session.state != SESSION_CLOSED && lane->had_no_room;
}

/* When something is to be sent; UINT64_MAX: nothing is. */
uint64_t hook_lane_due_ms(const struct hook_lane *lane);
/* Whether something of this line is to be sent now. */
bool hook_line_is_due(const struct hook_lane *lane, uint32_t number, uint64_t now_ms);
/* Decides which events go with its next request, which is due. Returns the request's size. */
size_t hook_line_prepare(struct hook_lane *lane, uint32_t number);
/* Posts what was prepared as the job `id`. Where that fails it is tried again after a pause. body: room, empty, here
 * and afterwards.
 */
void hook_line_launch(struct hook_lane *lane, uint32_t number, struct fetcher *fetcher, uint64_t id, struct bytes *body,
		      const struct hook_time *time);
/* It was answered: acknowledges what the endpoint has, and keeps the rest. */
void hook_line_settle(struct hook_lane *lane, uint32_t number, const struct fetch_answer *answer,
		      const struct hook_time *time);

/* Notes what went wrong. Logged where it is new. */
void hook_lane_note(struct hook_lane *lane, const char *fault, uint64_t now_ms);

/* All but what the gateway alone knows: the backlog is what the lane holds of it. wall_ms: since 1970. */
void hook_lane_status(const struct hook_lane *lane, uint64_t now_ms, uint64_t wall_ms, struct hook_status *status);

#endif
