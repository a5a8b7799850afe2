#include "shard/loop.h"

#include "access/access.h"
#include "access/addresses.h"
#include "access/admission.h"
#include "base/clock.h"
#include "base/log.h"
#include "client/acknowledge.h"
#include "client/conn.h"
#include "client/keepalive.h"
#include "client/subscribe.h"
#include "lifecycle/cleanup.h"
#include "lifecycle/review.h"
#include "lifecycle/revoke.h"
#include "lifecycle/session.h"
#include "reactor/fdpass.h"
#include "route/congestion.h"
#include "route/retained_jobs.h"
#include "route/route.h"
#include "route/routing.h"
#include "runtime/schedule.h"
#include "shard/commands.h"
#include "shard/sys_topics.h"
#include "state/shard.h"
#include "topics/rcu.h"
#include "topics/retained.h"

#include <unistd.h>

/* Bounds on one turn, so that none is long: events, timers, clients that go on reading; the others are shares of work
 * (turn_work.h). */
#define EVENTS_PER_TURN 256
#define TIMERS_PER_TURN 1024u
#define TIMERS_PER_STEP 16u
#define READY_PER_TURN 256u
#define DRAINED_PER_TURN 512u
/* While all who are left have output that waits, draining looks at them so often. */
#define DRAIN_POLL_MS 10
/* A turn's length is told apart from what its thread ran for, this exactly. */
#define RAN_STEP_MS 5u
/* The longest sleep; deadlines are known, so this is only a belt. */
#define SLEEP_MS_MAX 1000u

/* Tags of what is not a client: index 0. */
#define TAG_WAKER ((uint64_t)1 << 32)
#define TAG_ADMISSIONS ((uint64_t)2 << 32)

/* Bytes that one shard may keep for partial packets, blocked output, client ids and wills. */
#define SLAB_BYTES_MAX ((size_t)8 << 30)
#define CLIENTS_MAX (1u << 26)
#define SUBSCRIPTIONS_PER_CLIENT 16u
#define SUBSCRIPTIONS_MIN 1000000u
/* Messages under way or waiting, of all its sessions. */
#define ACL_CACHE_SLOTS 8192u
/* Distinct permissions of tokens. */
#define TOKEN_RULES_MAX 1000000u
#define TOKEN_RULES_BYTES_MAX ((size_t)1 << 30)
#define FLOW_ENTRIES_MAX 256000000u
/* Retained messages that have expired and are taken away in a turn: a million are gone within seconds. */
#define RETAINED_EXPIRED_PER_TURN 256u

static void on_blocked(void *context, struct conn *conn)
{
	struct shard *shard = context;
	const struct client *client = (const void *)((const uint8_t *)conn - offsetof(struct client, conn));
	/* One that is paused for a while is looked at soon: how long is known when it is read again, not here. */
	uint64_t wait_ms = client->pause == PAUSE_RATE ? 1 : shard->env.settings->stuck_timeout_ms;
	keepalive_hurry(shard, shard_client_index(shard, client), shard->loop.now_ms + wait_ms);
}

static void on_broken(void *context, struct conn *conn)
{
	struct shard *shard = context;
	struct client *client = (void *)((uint8_t *)conn - offsetof(struct client, conn));
	/* Ended later: the flush may be in the middle of a delivery, and an end may publish a will. By then its place
	 * may be another's, or its session have another connection: `broken` tells. */
	if (!client_is_connected(client) || client->broken)
		return;
	client->broken = 1;
	list_push(&shard->sessions.broken, shard_client_index(shard, client));
}

static uint32_t subscriptions_limit(uint32_t clients)
{
	uint64_t wanted = (uint64_t)clients * SUBSCRIPTIONS_PER_CLIENT;
	if (wanted < SUBSCRIPTIONS_MIN)
		wanted = SUBSCRIPTIONS_MIN;
	return wanted < UINT32_MAX / 2 ? (uint32_t)wanted : UINT32_MAX / 2;
}

/* What is kept elsewhere of the settings. */
static void take_settings(struct shard *shard)
{
	shard->sessions.subscriptions.client_max = shard->env.settings->client_subscriptions_max;
	shard->sessions.subscriptions.client_bytes_max = shard->env.settings->client_subscription_bytes_max;
}

enum error shard_open(struct shard *shard)
{
	/* Those that are closing still have their object for the rest of the turn. */
	uint64_t places = (uint64_t)shard->env.quota->limit + shard->env.settings->sessions_offline_max + 1024;
	uint32_t clients = places < CLIENTS_MAX ? (uint32_t)places : CLIENTS_MAX;
	routings_init(&shard->routing.routings);
	shard->sessions.filter_jobs_end = &shard->sessions.filter_jobs;
	shard->sessions.cleanups_end = &shard->sessions.cleanups;
	messages_init(&shard->mem.messages, &shard->mem.slab);
	struct io_observer observer = {.blocked = on_blocked, .broken = on_broken, .context = shard};
	if (slab_open(&shard->mem.slab, SLAB_BYTES_MAX) != ERROR_OK ||
	    pool_open(&shard->mem.clients, sizeof(struct client), clients) != ERROR_OK ||
	    io_open(&shard->mem.io, &shard->mem.slab, observer) != ERROR_OK ||
	    registry_open(&shard->sessions.registry, &shard->mem.clients, &shard->mem.slab, clients) != ERROR_OK ||
	    subscriptions_open(&shard->sessions.subscriptions, shard->env.index, shard->env.number,
			       subscriptions_limit(clients)) != ERROR_OK ||
	    retained_jobs_open(&shard->sessions.retained_jobs, clients, subscriptions_limit(clients)) != ERROR_OK ||
	    flow_store_open(&shard->mem.flows, &shard->mem.messages, FLOW_ENTRIES_MAX) != ERROR_OK ||
	    acl_cache_open(&shard->guard.acl_cache, ACL_CACHE_SLOTS) != ERROR_OK ||
	    acl_pool_open(&shard->guard.token_rules, TOKEN_RULES_MAX, TOKEN_RULES_BYTES_MAX) != ERROR_OK ||
	    access_sign_in_init(shard->env.access, &shard->guard.sign_in, false) != ERROR_OK ||
	    outbox_init(&shard->routing.outbox, shard->env.mailboxes, shard->env.shard_count, shard->env.number) !=
		    ERROR_OK ||
	    pending_acks_open(&shard->routing.acks, clients) != ERROR_OK ||
	    region_open(&shard->sessions.connected_at_s, ((size_t)clients + 1) * sizeof(uint32_t)) != ERROR_OK)
		return ERROR_NO_MEMORY;
	if (shard->env.fixed.sockets != 0 && io_fix_files(&shard->mem.io, &shard->env.fixed) != ERROR_OK)
		return ERROR_NO_MEMORY;
	shard->routing.outbox.returned = acknowledge_returned;
	shard->routing.outbox.context = shard;
	take_settings(shard);
	commands_open(&shard->shared.commands);
	shard->routing.peer_routes = calloc(shard->env.shard_count, sizeof(*shard->routing.peer_routes));
	return shard->routing.peer_routes != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

static bool arrivals_wait(const struct shard *shard)
{
	return shard->loop.arrivals.next != shard->loop.arrivals.count;
}

void shard_close(struct shard *shard)
{
	while (arrivals_wait(shard))
		free(shard->loop.arrivals.admissions[shard->loop.arrivals.next++]);
	free(shard->routing.mail.batch);
	retained_jobs_close(&shard->sessions.retained_jobs);
	routings_fini(shard);
	filter_jobs_fini(shard);
	revoke_fini(&shard->guard.revoke);
	session_cleanups_fini(shard);
	outbox_fini(&shard->routing.outbox);
	pending_acks_close(&shard->routing.acks);
	list_fini(&shard->routing.acks_awaited);
	subscriptions_close(&shard->sessions.subscriptions);
	flow_store_close(&shard->mem.flows);
	acl_cache_close(&shard->guard.acl_cache);
	acl_pool_close(&shard->guard.token_rules);
	sign_in_fini(&shard->guard.sign_in);
	acl_put(&shard->guard.acl);
	registry_close(&shard->sessions.registry);
	io_close(&shard->mem.io);
	pool_close(&shard->mem.clients);
	slab_close(&shard->mem.slab);
	region_close(&shard->sessions.connected_at_s);
	commands_close(&shard->shared.commands);
	routes_fini(&shard->routing.routes);
	list_fini(&shard->loop.ready);
	congestion_fini(&shard->routing.congestion);
	list_fini(&shard->sessions.closing);
	list_fini(&shard->sessions.broken);
	free(shard->routing.peer_routes);
}

/* ---- the parts of a turn ---- */

/* Its socket was lost on its way. */
static void drop_admission(struct shard *shard, const struct admission *admission)
{
	addresses_leave(shard->env.addresses, admission->address, true);
	quota_give(shard->env.quota);
}

/* Takes the next batch from the gates. False when there is none. */
static bool receive_arrivals(struct shard *shard)
{
	struct arrivals *arrivals = &shard->loop.arrivals;
	size_t size = sizeof(arrivals->admissions);
	arrivals->next = 0;
	arrivals->count = 0;
	arrivals->fd_count = FDPASS_BATCH_MAX;
	enum error error = fdpass_receive(shard->env.admissions_fd, arrivals->fds, &arrivals->fd_count,
					  arrivals->admissions, &size);
	if (error == ERROR_MORE)
		return false;
	if (error != ERROR_OK)
		log_write(LOG_ERROR, "shard %u lost sockets on their way: %s", shard->env.number,
			  error_sentence(error));
	arrivals->count = (uint32_t)(size / sizeof(arrivals->admissions[0]));
	return arrivals->count != 0;
}

static void admit_next(struct shard *shard)
{
	struct arrivals *arrivals = &shard->loop.arrivals;
	uint32_t i = arrivals->next++;
	if (i < arrivals->fd_count)
		client_admit(shard, arrivals->fds[i], arrivals->admissions[i]);
	else
		drop_admission(shard, arrivals->admissions[i]);
	free(arrivals->admissions[i]);
}

/* What a connection that is taken over had to say, and a session's queue, may make one admission as long as many. A
 * client that comes, leaves a will and goes is let in no faster than wills are sent. False when none is left. */
static bool take_admissions(struct shard *shard)
{
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_ADMISSIONS);
	while (!turn_work_is_spent(&shard->loop.work, until)) {
		if (routings_own_are_many(&shard->routing.routings)) {
			COUNT(&shard->counters, admission_pauses);
			return true;
		}
		if (!arrivals_wait(shard) && !receive_arrivals(shard))
			return false;
		turn_work_charge(&shard->loop.work, WORK_ADMISSION);
		admit_next(shard);
	}
	return true;
}

static void loop_handle_event(struct shard *shard, const struct epoll_event *event)
{
	uint32_t index = (uint32_t)event->data.u64;
	if (index == 0)
		return; /* the waker, which has done its work, or clients from the gates, who come after the events */
	struct client *client = shard_client(shard, index);
	if (client->conn.generation != (uint32_t)(event->data.u64 >> 32))
		return;
	if (poller_writable(event))
		client_write(shard, index);
	if (poller_hung_up(event))
		client->hung_up = 1;
	if (poller_readable(event))
		client_read(shard, index);
}

/* Those who had more to read than one turn takes. */
static void loop_serve_ready(struct shard *shard)
{
	uint32_t most = shard->loop.ready.count < READY_PER_TURN ? shard->loop.ready.count : READY_PER_TURN;
	uint32_t count = 0;
	/* Those that are left stay in front of all who come to wait in this turn. */
	while (count < most && turn_work_takes_packets(&shard->loop.work)) {
		uint32_t index = shard->loop.ready.items[count++];
		struct client *client = shard_client(shard, index);
		if (!client->ready)
			continue;
		client->ready = 0;
		client_read(shard, index);
	}
	shard->loop.round_left -= count < shard->loop.round_left ? count : shard->loop.round_left;
	shard->loop.ready.count -= count;
	if (shard->loop.ready.count != 0)
		memmove(shard->loop.ready.items, shard->loop.ready.items + count,
			shard->loop.ready.count * sizeof(shard->loop.ready.items[0]));
}

/* Turns are short, so it is the round that tells how late the shard is: all who wait at the end of a turn are served
 * before anybody is served again. */
static void begin_round(struct shard *shard)
{
	if (shard->loop.round_left != 0)
		return;
	shard->loop.round_left = shard->loop.ready.count;
	shard->loop.round_began_ms = shard->loop.now_ms;
}

static void end_broken(struct shard *shard)
{
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_ENDS);
	while (shard->sessions.broken.count != 0 && !turn_work_is_spent(&shard->loop.work, until)) {
		uint32_t index = shard->sessions.broken.items[--shard->sessions.broken.count];
		const struct client *client = shard_client(shard, index);
		if (client_is_connected(client) && client->broken)
			client_end(shard, index, ERROR_CONNECTION_LOST);
	}
}

static void finish_closing(struct shard *shard)
{
	for (uint32_t i = 0; i < shard->sessions.closing.count; i++)
		client_finish(shard, shard->sessions.closing.items[i]);
	shard->sessions.closing.count = 0;
}

/* Ends some more clients, after those whom the gates let in last. A client with output that waits is given the time to
 * read it (client_write ends it then). True when none is left. */
static bool drain(struct shard *shard)
{
	if (take_admissions(shard))
		return false;
	if (shard->loop.drain_next == 0)
		shard->loop.drain_waits = true;
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_ENDS);
	for (uint32_t i = 0; i < DRAINED_PER_TURN && shard->loop.drain_next < shard->mem.clients.touched; i++) {
		if (turn_work_is_spent(&shard->loop.work, until))
			return false;
		uint32_t index = ++shard->loop.drain_next;
		struct client *client = shard_client(shard, index);
		if (!client_is_connected(client) || client->conn.backlog != 0)
			continue;
		shard->loop.drain_waits = false;
		if (client->conn.outbox == 0)
			client_end(shard, index, ERROR_SERVER_STOPPING);
	}
	if (shard->loop.drain_next < shard->mem.clients.touched)
		return false;
	/* Round again for those who had output; the turn's flush may have been all that they needed. */
	shard->loop.drain_next = 0;
	return atomic_load_explicit(&shard->counters.values[COUNTER_connections_open], memory_order_relaxed) == 0;
}

#define COUNT_POOL(counters, name, pool)                                                                               \
	do {                                                                                                           \
		COUNT_SET(counters, name##_used, (pool)->used);                                                        \
		COUNT_SET(counters, name##_free, (pool)->touched - (pool)->used);                                      \
	} while (0)

static void publish_counters(struct shard *shard)
{
	struct counters *counters = &shard->counters;
	COUNT(counters, turns);
	COUNT_SET(counters, stalled_turns, shard->loop.overload.stall_count);
	COUNT_SET(counters, reads, shard->mem.io.read_count);
	COUNT_SET(counters, writes, shard->mem.io.write_count);
	COUNT_SET(counters, bytes_in, shard->mem.io.bytes_in);
	COUNT_SET(counters, bytes_out, shard->mem.io.bytes_out);
	COUNT_SET(counters, backlog_bytes, shard->mem.io.backlog_bytes);
	COUNT_SET(counters, connections_fixed, fixed_files_count(&shard->mem.io.fixed_files));
	COUNT_SET(counters, fixed_file_failures, shard->mem.io.fixed_files.failure_count);
	COUNT_SET(counters, subscriptions_open, shard->sessions.subscriptions.pool.used);
	COUNT_SET(counters, retained_owed, shard->sessions.retained_jobs.jobs.used);
	COUNT_SET(counters, queue_messages, shard->mem.flows.entries.used);
	COUNT_SET(counters, stored_messages, shard->mem.messages.count);
	COUNT_SET(counters, stored_bytes, shard->mem.messages.bytes);
	COUNT_SET(counters, acks_waiting, shard->routing.acks.tickets.used);
	COUNT_SET(counters, acks_waiting_clients, shard->routing.acks.lines.used);
	COUNT_SET(counters, inbox_parcels, shard->routing.outbox.out_batches);
	COUNT_SET(counters, inbox_bytes, shard->routing.outbox.out_bytes);
	COUNT_POOL(counters, pool_clients, &shard->mem.clients);
	COUNT_POOL(counters, pool_subscriptions, &shard->sessions.subscriptions.pool);
	COUNT_POOL(counters, pool_lists, &shard->sessions.subscriptions.lists);
	COUNT_POOL(counters, pool_queue, &shard->mem.flows.entries);
	COUNT_SET(counters, tokens_verified, shard->guard.sign_in.tokens_verified);
	COUNT_SET(counters, acl_cache_hits, shard->guard.acl_cache.hits);
	COUNT_SET(counters, acl_cache_misses, shard->guard.acl_cache.misses);
	COUNT_SET(counters, slab_used_bytes, shard->mem.slab.used_bytes);
	COUNT_SET(counters, slab_free_bytes, shard->mem.slab.top_bytes - shard->mem.slab.used_bytes);
	COUNT_SET(counters, allocations,
		  shard->mem.slab.fresh_count + shard->routing.outbox.allocation_count + shard->mem.clients.touched +
			  shard->sessions.subscriptions.pool.touched + shard->sessions.subscriptions.lists.touched +
			  shard->sessions.retained_jobs.jobs.touched + shard->sessions.retained_jobs.queues.touched +
			  shard->mem.flows.entries.touched + shard->routing.routes.capacity +
			  shard->routing.acks.tickets.touched + shard->routing.acks.lines.touched +
			  shard->loop.ready.capacity + shard->sessions.closing.capacity);
}

/* ---- the loop ---- */

static bool has_work(const struct shard *shard)
{
	return shard->loop.ready.count != 0 || shard->sessions.broken.count != 0 || route_has_mail(shard) ||
	       arrivals_wait(shard) || shard->sessions.filter_jobs != NULL || shard->sessions.cleanups != NULL ||
	       routings_can_go_on(shard) || pending_acks_are_ready(&shard->routing.acks) ||
	       retained_jobs_ready(&shard->sessions.retained_jobs) || revoke_has_work(shard) || review_waits(shard) ||
	       commands_waiting(&shard->shared.commands) ||
	       (shard->env.number == 0 && retained_has_expired(shard->env.retained, shard->loop.now_s));
}

static int loop_sleep_ms(struct shard *shard, bool draining)
{
	if (has_work(shard))
		return 0;
	if (draining)
		return shard->loop.drain_next == 0 && shard->loop.drain_waits ? DRAIN_POLL_MS : 0;
	return (int)wheel_wait_ms(&shard->loop.wheel, shard->loop.now_ms, congestion_wait_ms(shard, SLEEP_MS_MAX));
}

/* What the thread ran for in the turn before, which took so long, and for less than RAN_STEP_MS more. The clock that
 * tells it is read no more often than that: the time of a shorter turn is taken to be its own. */
static uint64_t ran_ms(struct shard *shard, uint64_t took_ms)
{
	if (shard->loop.now_ms - shard->loop.ran_at_ms < RAN_STEP_MS)
		return took_ms;
	uint64_t before_ns = shard->loop.ran_ns;
	shard->loop.ran_ns = clock_ran_ns();
	shard->loop.ran_at_ms = shard->loop.now_ms;
	return (shard->loop.ran_ns - before_ns) / 1000000u;
}

static void judge_lag(struct shard *shard, uint64_t took_ms)
{
	uint32_t refuse_ms = shard->env.settings->overload_refuse_ms;
	uint64_t ran = ran_ms(shard, took_ms);
	if (shard->loop.slept_from_ms != 0) {
		overload_rested(&shard->loop.overload, shard->loop.now_ms - shard->loop.slept_from_ms, refuse_ms);
		return;
	}
	uint64_t waited_ms = shard->loop.round_left != 0 ? shard->loop.now_ms - shard->loop.round_began_ms : took_ms;
	shard->loop.round_began_ms += overload_turn(&shard->loop.overload, waited_ms, took_ms, ran, refuse_ms);
}

static void read_clock(struct shard *shard, uint64_t woken_ns, int events)
{
	uint64_t now_ns = clock_now_ns();
	uint64_t before_ms = shard->loop.now_ms;
	shard->loop.now_ms = now_ns / 1000000u;
	judge_lag(shard, shard->loop.now_ms - before_ms);
	atomic_store_explicit(&shard->shared.lag_ms, shard->loop.overload.lag_ms, memory_order_relaxed);
	shard->loop.now_s = (uint32_t)(shard->loop.now_ms / 1000);
	shard->mem.io.now_ms = shard->loop.now_ms;
	shard->routing.outbox.turn_ns = now_ns;
	turn_stats_turn_begin(&shard->loop.stats, &shard->counters, now_ns, woken_ns, events);
}

/* Waits for events, asleep as far as others can tell when it may take a while; then reads the clock. */
static int wait_for_events(struct shard *shard, struct epoll_event *events, bool draining)
{
	int timeout_ms = loop_sleep_ms(shard, draining);
	shard->loop.slept_from_ms = timeout_ms != 0 ? clock_now_ms() : 0;
	if (timeout_ms == 0) {
		turn_stats_sleep(&shard->loop.stats, 0);
		reader_quiescent();
		int ready = poller_wait(&shard->loop.poller, events, EVENTS_PER_TURN, 0);
		read_clock(shard, 0, ready);
		return ready;
	}
	struct waker *waker = &shard->env.mailboxes[shard->env.number].waker;
	bool patient = pending_acks_any(&shard->routing.acks) && acknowledge_is_patient(shard);
	if (patient && timeout_ms > ACKNOWLEDGE_PATIENCE_MS)
		timeout_ms = ACKNOWLEDGE_PATIENCE_MS;
	bool awaits_returns = routings_await_room(shard) || (pending_acks_any(&shard->routing.acks) && !patient);
	outbox_await_returns(&shard->routing.outbox, awaits_returns);
	waker_sleep(waker);
	if (outbox_has_mail(&shard->routing.outbox) ||
	    ((awaits_returns || patient) && outbox_has_returns(&shard->routing.outbox)) ||
	    access_has_recent(shard->env.access, shard->env.number) || commands_waiting(&shard->shared.commands) ||
	    (!draining && atomic_load(&shard->shared.draining)))
		timeout_ms = 0;
	turn_stats_sleep(&shard->loop.stats, timeout_ms);
	reader_offline();
	int count = poller_wait(&shard->loop.poller, events, EVENTS_PER_TURN, timeout_ms);
	reader_online();
	waker_awake(waker);
	if (patient && timeout_ms != 0)
		acknowledge_waited(shard, count == 0);
	read_clock(shard, waker_woken_ns(waker), count);
	return count;
}

/* Keys and rules as they are now, and what was revoked. */
static void loop_look_at_access(struct shard *shard)
{
	if (shard->guard.access_version != access_version(shard->env.access)) {
		struct acl *before = shard->guard.acl;
		shard->guard.acl = NULL;
		shard->guard.access_version =
			access_refresh(shard->env.access, &shard->guard.sign_in, &shard->guard.acl);
		if (before != NULL && !acl_same(before, shard->guard.acl))
			review_all(shard);
		acl_put(&before);
	}
	revoke_some(shard);
	review_some(shard);
}

/* What comes round by time. */
static void do_timers(struct shard *shard)
{
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_TIMERS);
	bool more = true;
	for (uint32_t i = 0; more && i < TIMERS_PER_TURN && !turn_work_is_spent(&shard->loop.work, until);
	     i += TIMERS_PER_STEP)
		more = wheel_turn(&shard->loop.wheel, shard->loop.now_ms, TIMERS_PER_STEP, keepalive_visit, shard);
	if (shard->env.number != 0)
		return;
	counter_add(&shard->counters.values[COUNTER_retained_expired],
		    retained_expire(shard->env.retained, shard->loop.now_s, RETAINED_EXPIRED_PER_TURN));
	sys_topics_publish(shard);
}

/* What has become safe is acknowledged. */
static void answer_publishers(struct shard *shard)
{
	if (!pending_acks_any(&shard->routing.acks))
		return;
	for (uint32_t index = acknowledge_run(shard); index != 0; index = acknowledge_run(shard))
		client_end(shard, index, ERROR_NO_MEMORY);
}

/* One turn. False when the shard has drained and may end. */
static bool shard_turn(struct shard *shard)
{
	struct epoll_event events[EVENTS_PER_TURN];
	bool draining = atomic_load_explicit(&shard->shared.draining, memory_order_acquire);
	int count = wait_for_events(shard, events, draining);
	turn_work_begin(&shard->loop.work);

	if (settings_refresh(&shard->shared.settings_view, &shard->env.settings))
		take_settings(shard);
	if (outbox_collect(&shard->routing.outbox))
		routings_have_room(shard);
	session_cleanups_run(shard); /* before anybody ends in this turn */
	loop_look_at_access(shard);
	congestion_run(shard);
	routings_run(shard);
	answer_publishers(shard);
	route_deliver_mail(shard);
	filter_jobs_run(shard);
	turn_work_begin_packets(&shard->loop.work);
	loop_serve_ready(shard);
	bool arrive = arrivals_wait(shard);
	for (int i = 0; i < count; i++) {
		arrive |= events[i].data.u64 == TAG_ADMISSIONS;
		loop_handle_event(shard, &events[i]);
	}
	if (arrive)
		take_admissions(shard);
	commands_run(shard);
	do_timers(shard);
	retained_jobs_run(shard);
	bool drained = draining && drain(shard);
	outbox_send(&shard->routing.outbox);
	io_flush(&shard->mem.io);
	if (shard->sessions.broken.count != 0) {
		end_broken(shard);
		outbox_send(&shard->routing.outbox);
		io_flush(&shard->mem.io);
	}
	finish_closing(shard);
	begin_round(shard);
	turn_stats_turn_end(&shard->loop.stats, &shard->counters, clock_now_ns());
	turn_work_end(&shard->loop.work, &shard->counters);
	route_return_batches(shard);
	io_turn_end(&shard->mem.io);
	publish_counters(shard);
	return !(drained || (draining && shard->loop.now_ms >= atomic_load(&shard->shared.drain_until_ms)));
}

static enum error loop_thread_setup(struct shard *shard)
{
	CHECK(pthread_getcpuclockid(pthread_self(), &shard->loop.cpu_clock) == 0);
	shard->loop.table = shard->env.settings->private_tables
				    ? fdtable_detach(shard->env.keep_fds, shard->env.keep_count)
				    : FDTABLE_SHARED;
	schedule_thread(0);
	if (poller_open(&shard->loop.poller) != ERROR_OK)
		return ERROR_SYSTEM;
	enum error error = poller_add(&shard->loop.poller, shard->env.mailboxes[shard->env.number].waker.fd, TAG_WAKER,
				      POLLER_EDGE_READ);
	if (error == ERROR_OK)
		error = poller_add(&shard->loop.poller, shard->env.admissions_fd, TAG_ADMISSIONS, POLLER_LEVEL_READ);
	shard->loop.slept_from_ms = clock_now_ms();
	read_clock(shard, 0, 0);
	shard->loop.stats.ended_ns = shard->loop.stats.began_ns;
	wheel_init(&shard->loop.wheel, &shard->mem.clients, offsetof(struct client, timer), shard->loop.now_ms);
	return error;
}

static void *shard_main(void *argument)
{
	struct shard *shard = argument;
	enum error error = loop_thread_setup(shard);
	atomic_store(&shard->shared.failed, error != ERROR_OK);
	atomic_store(&shard->shared.started, true);
	if (error != ERROR_OK)
		return NULL;
	reader_register();
	while (shard_turn(shard))
		;
	commands_refuse(&shard->shared.commands);
	reader_unregister();
	poller_close(&shard->loop.poller);
	return NULL;
}

enum error shard_start(struct shard *shard)
{
	return pthread_create(&shard->loop.thread, NULL, shard_main, shard) == 0 ? ERROR_OK : ERROR_SYSTEM;
}

void shard_stop(struct shard *shard, uint64_t drain_until_ms)
{
	atomic_store(&shard->shared.drain_until_ms, drain_until_ms);
	atomic_store_explicit(&shard->shared.draining, true, memory_order_release);
	waker_wake(&shard->env.mailboxes[shard->env.number].waker);
}
