#include "gateway/shard.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/admission.h"
#include "gateway/client_subscribe.h"
#include "gateway/heartbeat.h"
#include "gateway/route.h"
#include "gateway/schedule.h"
#include "gateway/session_cleanup.h"
#include "gateway/sys_topics.h"
#include "net/fdpass.h"
#include "session/rcu.h"

#include <unistd.h>

/* Bounds on one turn, so that none is long: events, timers, clients that go on reading; the others are shares of work
 * (turn_work.h). */
#define EVENTS_A_TURN 256
#define TIMERS_A_TURN 1024u
#define TIMERS_A_STEP 16u
#define READY_A_TURN 256u
#define DRAINED_A_TURN 512u
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
#define SUBSCRIPTIONS_A_CLIENT 16u
#define SUBSCRIPTIONS_MIN 1000000u
/* Messages under way or waiting, of all its sessions. */
#define ACL_CACHE_SLOTS 8192u
/* Distinct permissions of tokens. */
#define TOKEN_RULES_MAX 1000000u
#define TOKEN_RULES_BYTES_MAX ((size_t)1 << 30)
#define FLOW_ENTRIES_MAX 256000000u
/* Retained messages that have expired and are taken away in a turn: a million are gone within seconds. */
#define RETAINED_EXPIRED_A_TURN 256u

static void on_blocked(void *context, struct conn *conn)
{
	struct shard *shard = context;
	const struct client *client = (const void *)((const uint8_t *)conn - offsetof(struct client, conn));
	/* One that is paused for a while is looked at soon: how long is known when it is read again, not here. */
	uint64_t wait_ms = client->pause == PAUSE_RATE ? 1 : shard->settings->stuck_timeout_ms;
	heartbeat_hurry(shard, shard_client_index(shard, client), shard->now_ms + wait_ms);
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
	list_push(&shard->broken, shard_client_index(shard, client));
}

static uint32_t subscriptions_limit(uint32_t clients)
{
	uint64_t wanted = (uint64_t)clients * SUBSCRIPTIONS_A_CLIENT;
	if (wanted < SUBSCRIPTIONS_MIN)
		wanted = SUBSCRIPTIONS_MIN;
	return wanted < UINT32_MAX / 2 ? (uint32_t)wanted : UINT32_MAX / 2;
}

/* What is kept elsewhere of the settings. */
static void take_settings(struct shard *shard)
{
	shard->subscriptions.client_max = shard->settings->client_subscriptions_max;
	shard->subscriptions.client_bytes_max = shard->settings->client_subscription_bytes_max;
}

enum error shard_open(struct shard *shard)
{
	/* Those that are closing still have their object for the rest of the turn. */
	uint64_t places = (uint64_t)shard->seats->limit + shard->settings->sessions_offline_max + 1024;
	uint32_t clients = places < CLIENTS_MAX ? (uint32_t)places : CLIENTS_MAX;
	routings_init(&shard->routings);
	shard->filter_jobs_end = &shard->filter_jobs;
	shard->cleanups_end = &shard->cleanups;
	messages_init(&shard->messages, &shard->slab);
	struct io_observer observer = {.blocked = on_blocked, .broken = on_broken, .context = shard};
	if (slab_open(&shard->slab, SLAB_BYTES_MAX) != ERROR_OK ||
	    pool_open(&shard->clients, sizeof(struct client), clients) != ERROR_OK ||
	    io_open(&shard->io, &shard->slab, observer) != ERROR_OK ||
	    registry_open(&shard->registry, &shard->clients, &shard->slab, clients) != ERROR_OK ||
	    subscriptions_open(&shard->subscriptions, shard->index, shard->number, subscriptions_limit(clients)) !=
		    ERROR_OK ||
	    retained_jobs_open(&shard->retained_jobs, clients, subscriptions_limit(clients)) != ERROR_OK ||
	    flow_store_open(&shard->flows, &shard->messages, FLOW_ENTRIES_MAX) != ERROR_OK ||
	    acl_cache_open(&shard->acl_cache, ACL_CACHE_SLOTS) != ERROR_OK ||
	    acl_pool_open(&shard->token_rules, TOKEN_RULES_MAX, TOKEN_RULES_BYTES_MAX) != ERROR_OK ||
	    access_sign_in_init(shard->access, &shard->sign_in, false) != ERROR_OK ||
	    post_init(&shard->post, shard->mailboxes, shard->shard_count, shard->number) != ERROR_OK ||
	    region_open(&shard->connected_at_s, ((size_t)clients + 1) * sizeof(uint32_t)) != ERROR_OK)
		return ERROR_NO_MEMORY;
	if (shard->fixed.sockets != 0 && io_fix_files(&shard->io, &shard->fixed) != ERROR_OK)
		return ERROR_NO_MEMORY;
	take_settings(shard);
	commands_open(&shard->commands);
	shard->lane_routes = calloc(shard->shard_count, sizeof(*shard->lane_routes));
	return shard->lane_routes != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

static bool arrivals_wait(const struct shard *shard)
{
	return shard->arrivals.next != shard->arrivals.count;
}

void shard_close(struct shard *shard)
{
	while (arrivals_wait(shard)) {
		struct admission *admission = shard->arrivals.admissions[shard->arrivals.next++];
		stream_carry_drop(&shard->io.streams, &admission->carry);
		free(admission);
	}
	free(shard->mail.parcel);
	retained_jobs_close(&shard->retained_jobs);
	routings_fini(shard);
	filter_jobs_fini(shard);
	revoke_fini(&shard->revoke);
	session_cleanups_fini(shard);
	post_fini(&shard->post);
	subscriptions_close(&shard->subscriptions);
	flow_store_close(&shard->flows);
	acl_cache_close(&shard->acl_cache);
	acl_pool_close(&shard->token_rules);
	sign_in_fini(&shard->sign_in);
	acl_put(&shard->acl);
	registry_close(&shard->registry);
	io_close(&shard->io);
	pool_close(&shard->clients);
	slab_close(&shard->slab);
	region_close(&shard->connected_at_s);
	commands_close(&shard->commands);
	routes_fini(&shard->routes);
	list_fini(&shard->ready);
	congestion_fini(&shard->congestion);
	list_fini(&shard->closing);
	list_fini(&shard->broken);
	free(shard->lane_routes);
}

/* ---- the parts of a turn ---- */

/* Its socket was lost on its way, or memory is short. */
static void drop_admission(struct shard *shard, struct admission *admission)
{
	stream_carry_drop(&shard->io.streams, &admission->carry);
	addresses_leave(shard->addresses, admission->address, true);
	seats_give(shard->seats);
}

/* Takes the next batch from the gates. False when there is none. */
static bool receive_arrivals(struct shard *shard)
{
	struct arrivals *arrivals = &shard->arrivals;
	size_t size = sizeof(arrivals->admissions);
	arrivals->next = 0;
	arrivals->count = 0;
	arrivals->fd_count = FDPASS_BATCH_MAX;
	enum error error =
		fdpass_receive(shard->admissions_fd, arrivals->fds, &arrivals->fd_count, arrivals->admissions, &size);
	if (error == ERROR_MORE)
		return false;
	if (error != ERROR_OK)
		log_write(LOG_ERROR, "shard %u lost sockets on their way: %s", shard->number, error_sentence(error));
	arrivals->count = (uint32_t)(size / sizeof(arrivals->admissions[0]));
	return arrivals->count != 0;
}

static void admit_next(struct shard *shard)
{
	struct arrivals *arrivals = &shard->arrivals;
	uint32_t i = arrivals->next++;
	struct admission *admission = arrivals->admissions[i];
	struct stream stream = STREAM_NONE;
	if (i < arrivals->fd_count) {
		stream = stream_adopt(&shard->io.streams, arrivals->fds[i], &admission->carry);
		if (!stream_exists(stream))
			stream_close_descriptor(arrivals->fds[i]);
	}
	if (stream_exists(stream))
		client_admit(shard, stream, admission);
	else
		drop_admission(shard, admission);
	free(admission);
}

/* What a connection that is taken over had to say, and a session's queue, may make one admission as long as many. A
 * client that comes, leaves a will and goes is let in no faster than wills are sent. False when none is left. */
static bool take_admissions(struct shard *shard)
{
	uint64_t until = turn_work_share(&shard->work, WORK_SHARE_ADMISSIONS);
	while (!turn_work_is_spent(&shard->work, until)) {
		if (routings_own_are_many(&shard->routings)) {
			COUNT(&shard->counters, admission_pauses);
			return true;
		}
		if (!arrivals_wait(shard) && !receive_arrivals(shard))
			return false;
		turn_work_charge(&shard->work, WORK_ADMISSION);
		admit_next(shard);
	}
	return true;
}

static void handle_event(struct shard *shard, const struct poller_event *event)
{
	uint32_t index = (uint32_t)event->tag;
	if (index == 0)
		return; /* the waker, which has done its work, or clients from the gates, who come after the events */
	struct client *client = shard_client(shard, index);
	if (client->conn.generation != (uint32_t)(event->tag >> 32))
		return;
	if (poller_writable(event))
		client_write(shard, index);
	if (poller_hung_up(event))
		client->hung_up = 1;
	if (poller_readable(event))
		client_read(shard, index);
}

/* Those who had more to read than one turn takes. */
static void serve_ready(struct shard *shard)
{
	uint32_t most = shard->ready.count < READY_A_TURN ? shard->ready.count : READY_A_TURN;
	uint32_t count = 0;
	/* Those that are left stay in front of all who come to wait in this turn. */
	while (count < most && turn_work_takes_packets(&shard->work)) {
		uint32_t index = shard->ready.items[count++];
		struct client *client = shard_client(shard, index);
		if (!client->ready)
			continue;
		client->ready = 0;
		client_read(shard, index);
	}
	shard->round_left -= count < shard->round_left ? count : shard->round_left;
	shard->ready.count -= count;
	if (shard->ready.count != 0)
		memmove(shard->ready.items, shard->ready.items + count,
			shard->ready.count * sizeof(shard->ready.items[0]));
}

/* Turns are short, so it is the round that tells how late the shard is: all who wait at the end of a turn are served
 * before anybody is served again. */
static void begin_round(struct shard *shard)
{
	if (shard->round_left != 0)
		return;
	shard->round_left = shard->ready.count;
	shard->round_began_ms = shard->now_ms;
}

static void end_broken(struct shard *shard)
{
	uint64_t until = turn_work_share(&shard->work, WORK_SHARE_ENDS);
	while (shard->broken.count != 0 && !turn_work_is_spent(&shard->work, until)) {
		uint32_t index = shard->broken.items[--shard->broken.count];
		const struct client *client = shard_client(shard, index);
		if (client_is_connected(client) && client->broken)
			client_end(shard, index, ERROR_CONNECTION_LOST);
	}
}

static void finish_closing(struct shard *shard)
{
	for (uint32_t i = 0; i < shard->closing.count; i++)
		client_finish(shard, shard->closing.items[i]);
	shard->closing.count = 0;
}

/* Ends some more clients, after those whom the gates let in last. A client with output that waits is given the time to
 * read it (client_write ends it then). True when none is left. */
static bool drain(struct shard *shard)
{
	if (take_admissions(shard))
		return false;
	if (shard->drain_next == 0)
		shard->drain_waits = true;
	uint64_t until = turn_work_share(&shard->work, WORK_SHARE_ENDS);
	for (uint32_t i = 0; i < DRAINED_A_TURN && shard->drain_next < shard->clients.touched; i++) {
		if (turn_work_is_spent(&shard->work, until))
			return false;
		uint32_t index = ++shard->drain_next;
		struct client *client = shard_client(shard, index);
		if (!client_is_connected(client) || client->conn.backlog != 0)
			continue;
		shard->drain_waits = false;
		if (client->conn.outbox == 0)
			client_end(shard, index, ERROR_SERVER_STOPPING);
	}
	if (shard->drain_next < shard->clients.touched)
		return false;
	/* Round again for those who had output; the turn's flush may have been all that they needed. */
	shard->drain_next = 0;
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
	COUNT_SET(counters, stalled_turns, shard->overload.stall_count);
	COUNT_SET(counters, reads, shard->io.read_count);
	COUNT_SET(counters, writes, shard->io.write_count);
	COUNT_SET(counters, bytes_in, shard->io.bytes_in);
	COUNT_SET(counters, bytes_out, shard->io.bytes_out);
	COUNT_SET(counters, backlog_bytes, shard->io.backlog_bytes);
	COUNT_SET(counters, connections_fixed, fixed_files_count(&shard->io.fixed_files));
	COUNT_SET(counters, fixed_file_failures, shard->io.fixed_files.failure_count);
	COUNT_SET(counters, subscriptions_open, shard->subscriptions.pool.used);
	COUNT_SET(counters, retained_owed, shard->retained_jobs.jobs.used);
	COUNT_SET(counters, queue_messages, shard->flows.entries.used);
	COUNT_SET(counters, stored_messages, shard->messages.count);
	COUNT_SET(counters, stored_bytes, shard->messages.bytes);
	COUNT_SET(counters, inbox_parcels, shard->post.out_parcels);
	COUNT_SET(counters, inbox_bytes, shard->post.out_bytes);
	COUNT_POOL(counters, pool_clients, &shard->clients);
	COUNT_POOL(counters, pool_subscriptions, &shard->subscriptions.pool);
	COUNT_POOL(counters, pool_lists, &shard->subscriptions.lists);
	COUNT_POOL(counters, pool_queue, &shard->flows.entries);
	COUNT_SET(counters, tokens_verified, shard->sign_in.tokens_verified);
	COUNT_SET(counters, acl_cache_hits, shard->acl_cache.hits);
	COUNT_SET(counters, acl_cache_misses, shard->acl_cache.misses);
	COUNT_SET(counters, slab_used_bytes, shard->slab.used_bytes);
	COUNT_SET(counters, slab_free_bytes, shard->slab.top_bytes - shard->slab.used_bytes);
	COUNT_SET(counters, allocations,
		  shard->slab.fresh_count + shard->post.allocation_count + shard->clients.touched +
			  shard->subscriptions.pool.touched + shard->subscriptions.lists.touched +
			  shard->retained_jobs.jobs.touched + shard->retained_jobs.queues.touched +
			  shard->flows.entries.touched + shard->routes.capacity + shard->ready.capacity +
			  shard->closing.capacity);
}

/* ---- the loop ---- */

static bool has_work(const struct shard *shard)
{
	return shard->ready.count != 0 || shard->broken.count != 0 || route_has_mail(shard) || arrivals_wait(shard) ||
	       shard->filter_jobs != NULL || shard->cleanups != NULL || routings_can_go_on(shard) ||
	       retained_jobs_ready(&shard->retained_jobs) || revoke_has_work(shard) || review_waits(shard) ||
	       commands_waiting(&shard->commands) ||
	       (shard->number == 0 && retained_has_expired(shard->retained, shard->now_s));
}

static int sleep_ms(struct shard *shard, bool draining)
{
	if (has_work(shard))
		return 0;
	if (draining)
		return shard->drain_next == 0 && shard->drain_waits ? DRAIN_POLL_MS : 0;
	return (int)wheel_wait_ms(&shard->wheel, shard->now_ms, congestion_wait_ms(shard, SLEEP_MS_MAX));
}

/* What the thread ran for in the turn before, which took so long, and for less than RAN_STEP_MS more. The clock that
 * tells it is read no more often than that: the time of a shorter turn is taken to be its own. */
static uint64_t ran_ms(struct shard *shard, uint64_t took_ms)
{
	if (shard->now_ms - shard->ran_at_ms < RAN_STEP_MS)
		return took_ms;
	uint64_t before_ns = shard->ran_ns;
	shard->ran_ns = clock_ran_ns();
	shard->ran_at_ms = shard->now_ms;
	return (shard->ran_ns - before_ns) / 1000000u;
}

static void judge_lag(struct shard *shard, uint64_t took_ms)
{
	uint32_t refuse_ms = shard->settings->overload_refuse_ms;
	uint64_t ran = ran_ms(shard, took_ms);
	if (shard->slept_from_ms != 0) {
		overload_rested(&shard->overload, shard->now_ms - shard->slept_from_ms, refuse_ms);
		return;
	}
	uint64_t waited_ms = shard->round_left != 0 ? shard->now_ms - shard->round_began_ms : took_ms;
	shard->round_began_ms += overload_turn(&shard->overload, waited_ms, took_ms, ran, refuse_ms);
}

static void read_clock(struct shard *shard, uint64_t woken_ns, int events)
{
	uint64_t now_ns = clock_now_ns();
	uint64_t before_ms = shard->now_ms;
	shard->now_ms = now_ns / 1000000u;
	judge_lag(shard, shard->now_ms - before_ms);
	atomic_store_explicit(&shard->lag_ms, shard->overload.lag_ms, memory_order_relaxed);
	shard->now_s = (uint32_t)(shard->now_ms / 1000);
	shard->io.now_ms = shard->now_ms;
	shard->post.turn_ns = now_ns;
	pulse_turn_begin(&shard->pulse, &shard->counters, now_ns, woken_ns, events);
}

/* Waits for events, asleep as far as others can tell when it may take a while; then reads the clock. */
static int wait_for_events(struct shard *shard, struct poller_event *events, bool draining)
{
	int timeout_ms = sleep_ms(shard, draining);
	shard->slept_from_ms = timeout_ms != 0 ? clock_now_ms() : 0;
	if (timeout_ms == 0) {
		pulse_sleep(&shard->pulse, 0);
		reader_quiescent();
		int ready = poller_wait(&shard->poller, events, EVENTS_A_TURN, 0);
		read_clock(shard, 0, ready);
		return ready;
	}
	struct waker *waker = &shard->mailboxes[shard->number].waker;
	bool awaits_room = routings_await_room(shard);
	post_await_room(&shard->post, awaits_room);
	waker_sleep(waker);
	if (post_has_mail(&shard->post) || (awaits_room && post_has_returns(&shard->post)) ||
	    access_has_recent(shard->access, shard->number) || commands_waiting(&shard->commands) ||
	    (!draining && atomic_load(&shard->draining)))
		timeout_ms = 0;
	pulse_sleep(&shard->pulse, timeout_ms);
	reader_offline();
	int count = poller_wait(&shard->poller, events, EVENTS_A_TURN, timeout_ms);
	reader_online();
	waker_awake(waker);
	read_clock(shard, waker_woken_ns(waker), count);
	return count;
}

/* Keys and rules as they are now, and what was revoked. */
static void look_at_access(struct shard *shard)
{
	if (shard->access_version != access_version(shard->access)) {
		struct acl *before = shard->acl;
		shard->acl = NULL;
		shard->access_version = access_refresh(shard->access, &shard->sign_in, &shard->acl);
		if (before != NULL && !acl_same(before, shard->acl))
			review_all(shard);
		acl_put(&before);
	}
	revoke_some(shard);
	review_some(shard);
}

/* What comes round by time. */
static void do_timers(struct shard *shard)
{
	uint64_t until = turn_work_share(&shard->work, WORK_SHARE_TIMERS);
	bool more = true;
	for (uint32_t i = 0; more && i < TIMERS_A_TURN && !turn_work_is_spent(&shard->work, until); i += TIMERS_A_STEP)
		more = wheel_turn(&shard->wheel, shard->now_ms, TIMERS_A_STEP, heartbeat_visit, shard);
	if (shard->number != 0)
		return;
	counter_add(&shard->counters.values[COUNTER_retained_expired],
		    retained_expire(shard->retained, shard->now_s, RETAINED_EXPIRED_A_TURN));
	sys_topics_publish(shard);
}

/* One turn. False when the shard has drained and may end. */
static bool turn(struct shard *shard)
{
	struct poller_event events[EVENTS_A_TURN];
	bool draining = atomic_load_explicit(&shard->draining, memory_order_acquire);
	int count = wait_for_events(shard, events, draining);
	turn_work_begin(&shard->work);

	if (settings_refresh(&shard->settings_view, &shard->settings))
		take_settings(shard);
	if (post_collect(&shard->post))
		routings_have_room(shard);
	session_cleanups_run(shard); /* before anybody ends in this turn */
	look_at_access(shard);
	congestion_run(shard);
	routings_run(shard);
	route_deliver_mail(shard);
	filter_jobs_run(shard);
	turn_work_begin_packets(&shard->work);
	serve_ready(shard);
	bool arrive = arrivals_wait(shard);
	for (int i = 0; i < count; i++) {
		arrive |= events[i].tag == TAG_ADMISSIONS;
		handle_event(shard, &events[i]);
	}
	if (arrive)
		take_admissions(shard);
	commands_run(&shard->commands, shard);
	do_timers(shard);
	retained_jobs_run(shard);
	bool drained = draining && drain(shard);
	post_send(&shard->post);
	io_flush(&shard->io);
	if (shard->broken.count != 0) {
		end_broken(shard);
		post_send(&shard->post);
		io_flush(&shard->io);
	}
	finish_closing(shard);
	begin_round(shard);
	pulse_turn_end(&shard->pulse, &shard->counters, clock_now_ns());
	turn_work_end(&shard->work, &shard->counters);
	route_return_parcels(shard);
	io_turn_end(&shard->io);
	publish_counters(shard);
	return !(drained || (draining && shard->now_ms >= atomic_load(&shard->drain_until_ms)));
}

static enum error settle_in(struct shard *shard)
{
	CHECK(pthread_getcpuclockid(pthread_self(), &shard->cpu_clock) == 0);
	shard->table =
		shard->settings->private_tables ? fdtable_detach(shard->keep_fds, shard->keep_count) : FDTABLE_SHARED;
	schedule_thread(0);
	if (poller_open(&shard->poller) != ERROR_OK)
		return ERROR_SYSTEM;
	enum error error =
		poller_add(&shard->poller, shard->mailboxes[shard->number].waker.fd, TAG_WAKER, POLLER_EDGE_READ);
	if (error == ERROR_OK)
		error = poller_add(&shard->poller, shard->admissions_fd, TAG_ADMISSIONS, POLLER_LEVEL_READ);
	shard->slept_from_ms = clock_now_ms();
	read_clock(shard, 0, 0);
	shard->pulse.ended_ns = shard->pulse.began_ns;
	wheel_init(&shard->wheel, &shard->clients, offsetof(struct client, timer), shard->now_ms);
	return error;
}

static void *shard_main(void *argument)
{
	struct shard *shard = argument;
	enum error error = settle_in(shard);
	atomic_store(&shard->failed, error != ERROR_OK);
	atomic_store(&shard->started, true);
	if (error != ERROR_OK)
		return NULL;
	reader_register();
	while (turn(shard))
		;
	commands_refuse(&shard->commands);
	reader_unregister();
	poller_close(&shard->poller);
	return NULL;
}

enum error shard_start(struct shard *shard)
{
	return pthread_create(&shard->thread, NULL, shard_main, shard) == 0 ? ERROR_OK : ERROR_SYSTEM;
}

void shard_stop(struct shard *shard, uint64_t drain_until_ms)
{
	atomic_store(&shard->drain_until_ms, drain_until_ms);
	atomic_store_explicit(&shard->draining, true, memory_order_release);
	waker_wake(&shard->mailboxes[shard->number].waker);
}
