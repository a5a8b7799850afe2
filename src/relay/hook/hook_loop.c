#include "relay/hook/hook_loop.h"

#include "base/check.h"
#include "base/clock.h"

#include <poll.h>
#include <stdio.h>

/* A sleep without anything to wait for; status is looked at then. */
#define HOOK_SLEEP_MS_MAX 1000u

_Static_assert(HOOKS_MAX *HOOK_CONCURRENCY_MAX <= FETCHER_JOBS_MAX, "each hook has its jobs");
_Static_assert(HOOKS_MAX *HOOK_SHARE_BYTES + HOOK_COMMON_BYTES + ((size_t)2 << 20) < FETCHER_BYTES_MAX,
	       "each hook has its share, and there is room for answers");
_Static_assert(HOOK_COMMON_BYTES > HOOK_EVENT_BYTES_MAX, "any event goes at some time");
_Static_assert(HOOKS_MAX <= THREAD_SESSIONS_MAX, "one thread has all of them");

/* In the list for poll(). */
enum {
	HOOK_AT_WAKER,
	HOOK_AT_FETCHER,
	HOOK_AT_LANES,
};

/* NOLINTBEGIN(bugprone-macro-parentheses): the name of what is declared */
#define EACH_HOOK(loop, lane)                                                                                          \
	for (struct hook_lane *lane = (loop)->lanes; lane < (loop)->lanes + (loop)->hooks->count; lane++)
/* NOLINTEND(bugprone-macro-parentheses) */

static struct hook_time read_clocks(void)
{
	return (struct hook_time){.now_ms = clock_now_ms(), .wall_s = (uint64_t)clock_wall_s()};
}

/* ---- sessions ---- */

static void lose_hook_session(struct hook_loop *loop, struct hook_lane *lane, uint64_t now_ms)
{
	if (!session_thread_is_stopping(&loop->thread))
		hook_lane_note(lane, lane->session.fault, now_ms);
	session_link_close(&lane->session);
	loop->lost = true;
}

static void flush_hook_session(struct hook_loop *loop, struct hook_lane *lane, uint64_t now_ms)
{
	if (lane->session.state != SESSION_CLOSED && lane->session.out.size != 0 && !session_link_flush(&lane->session))
		lose_hook_session(loop, lane, now_ms);
}

/* The session is there. Where the gateway does not say which filters it has, those of before stay until the next time.
 */
static void subscribe_hook(struct hook_loop *loop, struct hook_lane *lane)
{
	char id[ITEM_CLIENT_BYTES_MAX];
	struct session_facts session;
	size_t size = item_client_id(HOOK_CLIENT_PREFIX, lane->hook->name, id);
	session_asker_inspect(loop->thread.asker, slice_of(id, size), &lane->hook->topics, &session);
	session_link_subscribe(&lane->session, &lane->hook->topics, lane->hook->qos, session.stale,
			       session.stale_count);
}

static void read_hook_session(struct hook_loop *loop, struct hook_lane *lane, const struct hook_time *time)
{
	if (!hook_lane_may_read(lane))
		return;
	if (!hook_lane_read(lane, time)) {
		lose_hook_session(loop, lane, time->now_ms);
		return;
	}
	if (lane->session.state == SESSION_CONNECTED)
		subscribe_hook(loop, lane);
}

static void hear_hook_sessions(struct hook_loop *loop, const struct pollfd *polled, const struct hook_time *time)
{
	EACH_HOOK(loop, lane)
	{
		if (lane->read_ms != 0 && time->now_ms >= lane->read_ms) {
			lane->read_ms = 0;
			read_hook_session(loop, lane, time);
		}
		short events = polled[lane - loop->lanes].revents;
		if (lane->session.state == SESSION_CLOSED || events == 0)
			continue;
		bool has_ended = (events & (POLLHUP | POLLERR)) != 0;
		if (has_ended || lane->session.state != SESSION_READY || lane->hook->delay_ms == 0)
			read_hook_session(loop, lane, time);
		else if ((events & POLLIN) != 0)
			lane->read_ms = time->now_ms + HOOK_LOOP_GATHER_MS;
		/* It has no room for what may be there; all of it comes again. */
		if (has_ended && lane->session.state != SESSION_CLOSED && !hook_lane_may_read(lane)) {
			snprintf(lane->session.fault, sizeof(lane->session.fault), "the gateway closed the connection");
			lose_hook_session(loop, lane, time->now_ms);
		}
	}
}

/* ---- requests ---- */

static size_t beyond_share(size_t bytes)
{
	return bytes > HOOK_SHARE_BYTES ? bytes - HOOK_SHARE_BYTES : 0;
}

/* What a hook has under way changes from `before` to what it has now. */
static void count_common_bytes(struct hook_loop *loop, const struct hook_lane *lane, size_t before)
{
	CHECK_GE(loop->common_bytes, beyond_share(before));
	loop->common_bytes += beyond_share(lane->bytes_under_way) - beyond_share(before);
	CHECK_LE(loop->common_bytes, HOOK_COMMON_BYTES);
}

static bool fits_in_share(const struct hook_loop *loop, const struct hook_lane *lane, size_t bytes)
{
	size_t more = beyond_share(lane->bytes_under_way + bytes) - beyond_share(lane->bytes_under_way);
	/* What is too large to be sent at all is not. */
	return loop->common_bytes + more <= HOOK_COMMON_BYTES || bytes > HOOK_EVENT_BYTES_MAX;
}

static void launch_line(struct hook_loop *loop, struct hook_lane *lane, uint32_t number, const struct hook_time *time)
{
	uint64_t id = (uint64_t)(lane - loop->lanes) * HOOK_CONCURRENCY_MAX + number;
	size_t before = lane->bytes_under_way;
	if (!fits_in_share(loop, lane, hook_line_prepare(lane, number)))
		return; /* until an answer comes */
	hook_line_launch(lane, number, &loop->fetcher, id, &loop->body, time);
	count_common_bytes(loop, lane, before);
}

static void launch_due(struct hook_loop *loop, const struct hook_time *time)
{
	if (session_thread_is_stopping(&loop->thread))
		return;
	EACH_HOOK(loop, lane)
	{
		for (uint32_t i = 0; i < lane->hook->concurrency; i++) {
			if (hook_line_is_due(lane, i, time->now_ms))
				launch_line(loop, lane, i, time);
		}
		/* What was read and had no room has some now; the socket does not tell of it again. */
		if (hook_lane_has_unread(lane))
			read_hook_session(loop, lane, time);
	}
}

static void hear_hook_answers(struct hook_loop *loop, const struct hook_time *time)
{
	struct fetch_answer answer;
	fetcher_work(&loop->fetcher, time->now_ms);
	while (fetcher_next(&loop->fetcher, time->now_ms, &answer)) {
		uint64_t place = answer.id / HOOK_CONCURRENCY_MAX;
		CHECK_LT(place, loop->hooks->count);
		struct hook_lane *lane = &loop->lanes[place];
		size_t before = lane->bytes_under_way;
		hook_line_settle(lane, (uint32_t)(answer.id % HOOK_CONCURRENCY_MAX), &answer, time);
		count_common_bytes(loop, lane, before);
	}
}

/* ---- a turn ---- */

static uint64_t next_due_ms(const struct hook_loop *loop, uint64_t now_ms)
{
	uint64_t until_ms = now_ms + HOOK_SLEEP_MS_MAX, fetcher_ms = fetcher_due_ms(&loop->fetcher);
	until_ms = fetcher_ms < until_ms ? fetcher_ms : until_ms;
	for (uint32_t i = 0; i < loop->hooks->count; i++) {
		uint64_t lane_ms = hook_lane_due_ms(&loop->lanes[i]);
		until_ms = lane_ms < until_ms ? lane_ms : until_ms;
		uint64_t read_ms = loop->lanes[i].read_ms;
		until_ms = read_ms != 0 && read_ms < until_ms ? read_ms : until_ms;
	}
	return until_ms;
}

/* 1: what is due could not be sent, and waits for others' answers. */
static int hook_sleep_ms(const struct hook_loop *loop, uint64_t now_ms)
{
	uint64_t until_ms = next_due_ms(loop, now_ms);
	if (session_thread_is_stopping(&loop->thread))
		return 1;
	return until_ms > now_ms ? (int)(until_ms - now_ms) : 1;
}

static void wait_for_hooks(struct hook_loop *loop, struct pollfd polled[HOOK_AT_LANES + HOOKS_MAX])
{
	uint32_t count = HOOK_AT_LANES;
	polled[HOOK_AT_WAKER] = (struct pollfd){.fd = loop->thread.waker.fd, .events = POLLIN};
	polled[HOOK_AT_FETCHER] =
		(struct pollfd){.fd = fetcher_fd(&loop->fetcher), .events = fetcher_events(&loop->fetcher)};
	EACH_HOOK(loop, lane)
	{
		bool reads =
			!session_thread_is_stopping(&loop->thread) && lane->read_ms == 0 && hook_lane_may_read(lane);
		int events = (reads ? POLLIN : 0) | (lane->session.is_blocked ? POLLOUT : 0);
		polled[count++] = (struct pollfd){.fd = lane->session.fd, .events = (short)events};
	}
	waker_sleep(&loop->thread.waker);
	poll(polled, count, hook_sleep_ms(loop, clock_now_ms()));
	waker_awake(&loop->thread.waker);
}

static void tell_hooks_status(struct hook_loop *loop, uint64_t now_ms)
{
	uint64_t wall_ms = clock_wall_ms();
	pthread_mutex_lock(loop->lock);
	loop->status->count = loop->hooks->count;
	EACH_HOOK(loop, lane)
	hook_lane_status(lane, now_ms, wall_ms, &loop->status->hooks[lane - loop->lanes]);
	pthread_mutex_unlock(loop->lock);
}

static void hook_turn(struct hook_loop *loop)
{
	struct pollfd polled[HOOK_AT_LANES + HOOKS_MAX];
	wait_for_hooks(loop, polled);
	struct hook_time time = read_clocks();
	hear_hook_answers(loop, &time);
	hear_hook_sessions(loop, polled + HOOK_AT_LANES, &time);
	launch_due(loop, &time);
	/* Before the acknowledgements: whoever sees that nothing waits finds what was counted. */
	tell_hooks_status(loop, time.now_ms);
	EACH_HOOK(loop, lane)
	flush_hook_session(loop, lane, time.now_ms);
	if (loop->lost)
		session_thread_call(&loop->thread, time.now_ms);
}

/* ---- the thread ---- */

static void open_hooks(struct hook_loop *loop)
{
	for (uint32_t i = 0; i < loop->hooks->count; i++) {
		char id[ITEM_CLIENT_BYTES_MAX];
		struct hook_lane *lane = &loop->lanes[i];
		size_t size = item_client_id(HOOK_CLIENT_PREFIX, loop->hooks->items[i].name, id);
		hook_lane_init(lane, &loop->hooks->items[i], loop->source);
		lane->counts = loop->status->hooks[i].counts;
		session_link_open(&lane->session, loop->thread.fds[i], slice_of(id, size));
		flush_hook_session(loop, lane, loop->thread.started_ms);
	}
}

static void close_hooks(struct hook_loop *loop, uint64_t until_ms)
{
	struct session_link *sessions[HOOKS_MAX];
	uint32_t count = 0;
	EACH_HOOK(loop, lane)
	sessions[count++] = &lane->session;
	session_thread_finish(sessions, count, until_ms);
	EACH_HOOK(loop, lane)
	hook_lane_fini(lane);
	bytes_free(&loop->body);
}

void *hook_loop_main(void *argument)
{
	struct hook_loop *loop = argument;
	session_thread_begin(&loop->thread);
	snprintf(loop->source, sizeof(loop->source), "urn:roost:%s", loop->node[0] != '\0' ? loop->node : "localhost");
	fetcher_init(&loop->fetcher, FETCHER_JOBS_MAX);
	open_hooks(loop);
	while (!session_thread_is_stopping(&loop->thread))
		hook_turn(loop);
	/* What is under way is settled, so that it need not come again. */
	uint64_t until_ms = clock_now_ms() + HOOK_LOOP_STOP_MS;
	while (loop->fetcher.job_count != 0 && clock_now_ms() < until_ms)
		hook_turn(loop);
	fetcher_fini(&loop->fetcher);
	close_hooks(loop, until_ms);
	tell_hooks_status(loop, clock_now_ms());
	return NULL;
}
