#include "relay/stream/stream_loop.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "relay/stream/launch.h"

#include <poll.h>
#include <time.h>

/* A sleep without anything to wait for; status is looked at then. */
#define SLEEP_MS_MAX 1000u

/* In the list for poll(). */
enum {
	AT_WAKER,
	AT_LANES,
};

#define POLLED_MAX (AT_LANES + RULES_MAX + REDIS_SIDE_POLLED_MAX)

static uint64_t wall_clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* NOLINTBEGIN(bugprone-macro-parentheses): the name of what is declared */
#define EACH_LANE(loop, lane)                                                                                          \
	for (struct lane *lane = (loop)->lanes; lane < (loop)->lanes + (loop)->rules->count; lane++)
/* NOLINTEND(bugprone-macro-parentheses) */

/* ---- sessions ---- */

static void lose_session(struct stream_loop *loop, struct lane *lane, uint64_t now_ms)
{
	if (!session_thread_is_stopping(&loop->thread))
		lane_note(lane, lane->session.fault, now_ms);
	session_link_close(&lane->session);
	loop->lost = true;
}

static void flush_session(struct stream_loop *loop, struct lane *lane, uint64_t now_ms)
{
	if (lane->session.state != SESSION_CLOSED && lane->session.out.size != 0 && !session_link_flush(&lane->session))
		lose_session(loop, lane, now_ms);
}

/* The session is there. Where the gateway does not say which filters it has, those of before stay until the next time.
 */
static void subscribe_lane(struct stream_loop *loop, struct lane *lane)
{
	char id[ITEM_CLIENT_BYTES_MAX];
	struct session_facts session;
	size_t size = item_client_id(RULE_CLIENT_PREFIX, lane->rule->name, id);
	session_asker_inspect(loop->thread.asker, slice_of(id, size), &lane->rule->topics, &session);
	session_link_subscribe(&lane->session, &lane->rule->topics, lane->rule->qos, session.stale,
			       session.stale_count);
}

static void read_session(struct stream_loop *loop, struct lane *lane, uint64_t now_ms)
{
	if (!lane_may_read(lane))
		return;
	if (!lane_read(lane, wall_clock_ms())) {
		lose_session(loop, lane, now_ms);
		return;
	}
	if (lane->session.state == SESSION_CONNECTED)
		subscribe_lane(loop, lane);
}

/* ---- a turn ---- */

/* While Redis is away a lane takes what it can hold of the first read, so that its age is known. Where a part of a
 * cluster is away it goes on, for the others. */
static bool wants_input(const struct stream_loop *loop, const struct lane *lane)
{
	if (session_thread_is_stopping(&loop->thread) || !lane_may_read(lane))
		return false;
	if (lane->session.state != SESSION_READY)
		return true;
	bool goes_on = loop->side.connected && (lane->in_cluster || !lane_is_waiting(lane));
	return loop->read_ms == 0 && (goes_on || !lane_holds(lane));
}

static uint64_t sooner(uint64_t one, uint64_t other)
{
	return one < other ? one : other;
}

static int stream_sleep_ms(const struct stream_loop *loop, uint64_t now_ms)
{
	uint64_t until_ms = sooner(now_ms + SLEEP_MS_MAX, redis_side_due_ms(&loop->side));
	if (loop->read_ms != 0)
		until_ms = sooner(until_ms, loop->read_ms);
	for (uint32_t i = 0; i < loop->rules->count && redis_side_takes(&loop->side); i++)
		until_ms = sooner(until_ms, lane_retry_ms(&loop->lanes[i]));
	return until_ms > now_ms ? (int)(until_ms - now_ms) : 0;
}

static void wait_for_input(struct stream_loop *loop, struct pollfd polled[POLLED_MAX])
{
	uint32_t count = AT_LANES;
	polled[AT_WAKER] = (struct pollfd){.fd = loop->thread.waker.fd, .events = POLLIN};
	EACH_LANE(loop, lane)
	{
		int events = (wants_input(loop, lane) ? POLLIN : 0) | (lane->session.is_blocked ? POLLOUT : 0);
		polled[count++] = (struct pollfd){.fd = lane->session.fd, .events = (short)events};
	}
	count += redis_side_poll(&loop->side, polled + count);
	waker_sleep(&loop->thread.waker);
	poll(polled, count, session_thread_is_stopping(&loop->thread) ? 1 : stream_sleep_ms(loop, clock_now_ms()));
	waker_awake(&loop->thread.waker);
}

static void hear_sessions(struct stream_loop *loop, const struct pollfd *polled, uint64_t now_ms)
{
	EACH_LANE(loop, lane)
	{
		short events = polled[lane - loop->lanes].revents;
		if (lane->session.state == SESSION_CLOSED)
			continue;
		if ((events & (POLLHUP | POLLERR)) != 0 || lane->session.state != SESSION_READY)
			read_session(loop, lane, now_ms);
		else if ((events & POLLIN) != 0 && loop->read_ms == 0)
			loop->read_ms = now_ms + STREAM_LOOP_GATHER_MS;
		/* It has no room for what may be there; all of it comes again. */
		if ((events & (POLLHUP | POLLERR)) != 0 && lane->session.state != SESSION_CLOSED &&
		    !lane_may_read(lane)) {
			snprintf(lane->session.fault, sizeof(lane->session.fault), "the gateway closed the connection");
			lose_session(loop, lane, now_ms);
		}
	}
}

/* Reads what has gathered, and sends what is ready. */
static void move_on(struct stream_loop *loop, uint64_t now_ms)
{
	if (loop->read_ms != 0 && now_ms >= loop->read_ms) {
		loop->read_ms = 0;
		EACH_LANE(loop, lane)
		{
			if (wants_input(loop, lane))
				read_session(loop, lane, now_ms);
		}
	}
	if (!redis_side_takes(&loop->side) || session_thread_is_stopping(&loop->thread))
		return;
	EACH_LANE(loop, lane)
	{
		if (lane_is_ready(lane, now_ms))
			launch_lane(&loop->side, lane, now_ms);
		if (lane_has_unread(lane))
			read_session(loop, lane, now_ms);
	}
	redis_side_flush(&loop->side, now_ms);
}

/* ---- how it is doing ---- */

static void tell_status(struct stream_loop *loop, uint64_t now_ms)
{
	uint64_t wall_ms = wall_clock_ms();
	pthread_mutex_lock(loop->lock);
	redis_side_status(&loop->side, now_ms, &loop->status->redis);
	loop->status->count = loop->rules->count;
	EACH_LANE(loop, lane)
	{
		struct rule_status *status = &loop->status->rules[lane - loop->lanes];
		lane_status(lane, loop->side.connected, now_ms, wall_ms, status);
		if (!loop->side.connected && loop->side.fault[0] != '\0')
			snprintf(status->fault, sizeof(status->fault), "redis: %.200s", loop->side.fault);
	}
	pthread_mutex_unlock(loop->lock);
}

/* ---- the thread ---- */

static void open_lanes(struct stream_loop *loop)
{
	for (uint32_t i = 0; i < loop->rules->count; i++) {
		char id[ITEM_CLIENT_BYTES_MAX];
		struct lane *lane = &loop->lanes[i];
		size_t size = item_client_id(RULE_CLIENT_PREFIX, loop->rules->items[i].name, id);
		lane_init(lane, &loop->rules->items[i], redis_side_is_cluster(&loop->side));
		lane->counts = loop->status->rules[i].counts;
		session_link_open(&lane->session, loop->thread.fds[i], slice_of(id, size));
		flush_session(loop, lane, loop->thread.started_ms);
	}
}

static void stream_turn(struct stream_loop *loop)
{
	struct pollfd polled[POLLED_MAX];
	redis_side_tend(&loop->side, clock_now_ms());
	wait_for_input(loop, polled);
	uint64_t now_ms = clock_now_ms();
	redis_side_hear(&loop->side, polled + AT_LANES + loop->rules->count, now_ms);
	hear_sessions(loop, polled + AT_LANES, now_ms);
	move_on(loop, now_ms);
	/* Before the acknowledgements: whoever sees that nothing waits finds what was counted. */
	tell_status(loop, now_ms);
	EACH_LANE(loop, lane)
	flush_session(loop, lane, now_ms);
	if (loop->lost)
		session_thread_call(&loop->thread, now_ms);
}

static void end_sessions(struct stream_loop *loop, uint64_t until_ms)
{
	struct session_link *sessions[RULES_MAX];
	uint32_t count = 0;
	EACH_LANE(loop, lane)
	sessions[count++] = &lane->session;
	session_thread_finish(sessions, count, until_ms);
	EACH_LANE(loop, lane)
	lane_fini(lane);
}

void *stream_loop_main(void *argument)
{
	struct stream_loop *loop = argument;
	session_thread_begin(&loop->thread);
	redis_side_begin(&loop->side);
	open_lanes(loop);
	while (!session_thread_is_stopping(&loop->thread))
		stream_turn(loop);
	/* What is under way is settled, so that it need not come again. */
	uint64_t until_ms = clock_now_ms() + STREAM_LOOP_STOP_MS;
	while (redis_side_owes(&loop->side) && clock_now_ms() < until_ms)
		stream_turn(loop);
	end_sessions(loop, until_ms);
	tell_status(loop, clock_now_ms());
	redis_side_fini(&loop->side);
	return NULL;
}
