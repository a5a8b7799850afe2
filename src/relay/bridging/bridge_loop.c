#include "relay/bridging/bridge_loop.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A sleep without anything to wait for; status is looked at then. */
#define BRIDGE_SLEEP_MS_MAX 1000u

/* In the list for poll(). */
enum {
	BRIDGE_AT_WAKER,
	BRIDGE_AT_DONE,
	BRIDGE_AT_LANES,
	BRIDGE_POLLED_MAX = BRIDGE_AT_LANES + 2 * MQTT_BRIDGES_MAX,
};

/* ---- lanes ---- */

static void bridge_loop_open_lanes(struct bridge_loop *loop)
{
	loop->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	for (uint32_t i = 0; i < loop->bridges->count && loop->done_fd >= 0; i++) {
		const struct mqtt_bridge *bridge = &loop->bridges->items[i];
		struct bridge_lane *lane = calloc(1, sizeof(*lane));
		if (lane == NULL || !bridge_lane_init(lane, bridge, loop->node, loop->done_fd)) {
			free(lane);
			break;
		}
		lane->gateway = loop->thread.gateway;
		lane->asker = loop->thread.asker;
		lane->exchange.counts = loop->status->bridges[i].counts;
		loop->lanes[loop->count++] = lane;
	}
	if (loop->count != loop->bridges->count)
		log_write(LOG_ERROR, "bridges from %s on do not work: memory or descriptors are short",
			  loop->bridges->items[loop->count].name);
}

static void close_lanes(struct bridge_loop *loop)
{
	struct session_link *locals[MQTT_BRIDGES_MAX];
	for (uint32_t i = 0; i < loop->count; i++) {
		bridge_lane_stop(loop->lanes[i]);
		locals[i] = &loop->lanes[i]->exchange.local;
	}
	session_thread_finish(locals, loop->count, clock_now_ms() + BRIDGE_LOOP_STOP_MS);
	for (uint32_t i = 0; i < loop->count; i++) {
		bridge_lane_fini(loop->lanes[i]);
		free(loop->lanes[i]);
	}
	if (loop->done_fd >= 0)
		close(loop->done_fd);
}

/* ---- a turn ---- */

static int bridge_sleep_ms(const struct bridge_loop *loop, uint64_t now_ms)
{
	uint64_t until_ms = now_ms + BRIDGE_SLEEP_MS_MAX;
	for (uint32_t i = 0; i < loop->count; i++) {
		uint64_t lane_ms = bridge_lane_due_ms(loop->lanes[i]);
		until_ms = lane_ms < until_ms ? lane_ms : until_ms;
	}
	return until_ms > now_ms ? (int)(until_ms - now_ms) : 1;
}

static void wait_for_bridges(struct bridge_loop *loop, struct pollfd polled[BRIDGE_POLLED_MAX])
{
	polled[BRIDGE_AT_WAKER] = (struct pollfd){.fd = loop->thread.waker.fd, .events = POLLIN};
	polled[BRIDGE_AT_DONE] = (struct pollfd){.fd = loop->done_fd, .events = POLLIN};
	for (uint32_t i = 0; i < loop->count; i++)
		bridge_lane_poll(loop->lanes[i], polled + BRIDGE_AT_LANES + 2 * i);
	waker_sleep(&loop->thread.waker);
	if (!session_thread_is_stopping(&loop->thread))
		poll(polled, BRIDGE_AT_LANES + 2 * loop->count, bridge_sleep_ms(loop, clock_now_ms()));
	waker_awake(&loop->thread.waker);
}

static void tell_bridges_status(struct bridge_loop *loop, uint64_t now_ms)
{
	pthread_mutex_lock(loop->lock);
	for (uint32_t i = 0; i < loop->count; i++)
		bridge_lane_status(loop->lanes[i], now_ms, &loop->status->bridges[i]);
	pthread_mutex_unlock(loop->lock);
}

static void bridge_turn(struct bridge_loop *loop)
{
	struct pollfd polled[BRIDGE_POLLED_MAX] = {0};
	eventfd_t done;
	wait_for_bridges(loop, polled);
	uint64_t now_ms = clock_now_ms();
	if (polled[BRIDGE_AT_DONE].revents != 0)
		(void)!eventfd_read(loop->done_fd, &done);
	for (uint32_t i = 0; i < loop->count; i++) {
		bridge_lane_hear(loop->lanes[i], polled + BRIDGE_AT_LANES + 2 * i, now_ms);
		bridge_lane_tend(loop->lanes[i], now_ms);
	}
	/* Before the acknowledgements: whoever sees that nothing waits finds what was counted. */
	tell_bridges_status(loop, now_ms);
	for (uint32_t i = 0; i < loop->count; i++)
		bridge_lane_flush(loop->lanes[i], now_ms);
}

void *bridge_loop_main(void *argument)
{
	struct bridge_loop *loop = argument;
	session_thread_begin(&loop->thread);
	bridge_loop_open_lanes(loop);
	while (!session_thread_is_stopping(&loop->thread))
		bridge_turn(loop);
	close_lanes(loop);
	return NULL;
}
