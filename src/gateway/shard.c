#include "gateway/shard.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/admission.h"
#include "gateway/heartbeat.h"
#include "gateway/principal.h"
#include "gateway/retained_jobs.h"
#include "gateway/route.h"
#include "gateway/sys_topics.h"
#include "net/fdpass.h"
#include "session/rcu.h"

#include <sched.h>
#include <unistd.h>

/* Bounds on one turn, so that none is long: events, admissions, timers, clients that go on reading. */
#define EVENTS_A_TURN 256
#define ADMISSION_BATCHES_A_TURN 2
#define TIMERS_A_TURN 1024u
#define READY_A_TURN 256u
#define DRAINED_A_TURN 512u
/* While all who are left have output that waits, draining looks at them so often. */
#define DRAIN_POLL_MS 10
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
/* Retained messages that are looked at in a turn, to find those that have expired. */
#define RETAINED_SWEEP 16u

static void on_blocked(void *context, struct conn *conn)
{
	struct shard *shard = context;
	const struct client *client = (const void *)((const uint8_t *)conn - offsetof(struct client, conn));
	heartbeat_hurry(shard, shard_client_index(shard, client), shard->now_ms + shard->settings->stuck_timeout_ms);
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

enum error shard_open(struct shard *shard)
{
	/* Those that are closing still have their object for the rest of the turn. */
	uint64_t places = (uint64_t)shard->seats->limit + shard->settings->sessions_offline_max + 1024;
	uint32_t clients = places < CLIENTS_MAX ? (uint32_t)places : CLIENTS_MAX;
	shard->waiting_end = &shard->waiting;
	shard->retained_jobs_end = &shard->retained_jobs;
	messages_init(&shard->messages, &shard->slab);
	struct io_observer observer = {.blocked = on_blocked, .broken = on_broken, .context = shard};
	if (slab_open(&shard->slab, SLAB_BYTES_MAX) != ERROR_OK ||
	    pool_open(&shard->clients, sizeof(struct client), clients) != ERROR_OK ||
	    io_open(&shard->io, &shard->slab, observer) != ERROR_OK ||
	    registry_open(&shard->registry, &shard->clients, &shard->slab, clients) != ERROR_OK ||
	    subscriptions_open(&shard->subscriptions, shard->index, shard->number, subscriptions_limit(clients)) !=
		    ERROR_OK ||
	    flow_store_open(&shard->flows, &shard->messages, FLOW_ENTRIES_MAX) != ERROR_OK ||
	    acl_cache_open(&shard->acl_cache, ACL_CACHE_SLOTS) != ERROR_OK ||
	    acl_pool_open(&shard->token_rules, TOKEN_RULES_MAX, TOKEN_RULES_BYTES_MAX) != ERROR_OK ||
	    access_sign_in_init(shard->access, &shard->sign_in, false) != ERROR_OK ||
	    post_init(&shard->post, shard->mailboxes, shard->shard_count, shard->number) != ERROR_OK ||
	    region_open(&shard->connected_at_s, ((size_t)clients + 1) * sizeof(uint32_t)) != ERROR_OK)
		return ERROR_NO_MEMORY;
	if (shard->fixed.sockets != 0 && io_fix_files(&shard->io, &shard->fixed) != ERROR_OK)
		return ERROR_NO_MEMORY;
	shard->subscriptions.client_max = shard->settings->client_subscriptions_max;
	commands_open(&shard->commands);
	shard->lane_routes = calloc(shard->shard_count, sizeof(*shard->lane_routes));
	return shard->lane_routes != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

void shard_close(struct shard *shard)
{
	free(shard->mail.parcel);
	retained_jobs_fini(shard);
	route_forget_waiting(shard);
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
	list_fini(&shard->paused);
	list_fini(&shard->closing);
	list_fini(&shard->broken);
	free(shard->lane_routes);
}

/* ---- the parts of a turn ---- */

/* Its socket was lost on its way. */
static void drop_admission(struct shard *shard, const struct admission *admission)
{
	addresses_leave(shard->addresses, admission->address, true);
	seats_give(shard->seats);
}

/* False when none is left. */
static bool take_admissions(struct shard *shard)
{
	int fds[FDPASS_BATCH_MAX];
	struct admission *admissions[FDPASS_BATCH_MAX];
	for (int batch = 0; batch < ADMISSION_BATCHES_A_TURN; batch++) {
		size_t count = FDPASS_BATCH_MAX;
		size_t size = sizeof(admissions);
		enum error error = fdpass_receive(shard->admissions_fd, fds, &count, admissions, &size);
		if (error == ERROR_MORE)
			return false;
		if (error != ERROR_OK)
			log_write(LOG_ERROR, "shard %u lost sockets on their way: %s", shard->number,
				  error_sentence(error));
		for (size_t i = 0; i < size / sizeof(admissions[0]); i++) {
			if (i < count)
				client_admit(shard, fds[i], admissions[i]);
			else
				drop_admission(shard, admissions[i]);
			free(admissions[i]);
		}
	}
	return true;
}

static void handle_event(struct shard *shard, const struct epoll_event *event)
{
	if (event->data.u64 == TAG_ADMISSIONS) {
		take_admissions(shard);
		return;
	}
	uint32_t index = (uint32_t)event->data.u64;
	if (index == 0)
		return; /* the waker: it has done its work */
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
static void serve_ready(struct shard *shard)
{
	uint32_t count = shard->ready.count < READY_A_TURN ? shard->ready.count : READY_A_TURN;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t index = shard->ready.items[i];
		struct client *client = shard_client(shard, index);
		if (!client->ready)
			continue;
		client->ready = 0;
		client_read(shard, index);
	}
	shard->ready.count -= count;
	if (shard->ready.count != 0)
		memmove(shard->ready.items, shard->ready.items + count,
			shard->ready.count * sizeof(shard->ready.items[0]));
}

/* Those whose message found an inbox full try again; where it is still full they pause again. */
static void resume_paused(struct shard *shard)
{
	uint32_t count = shard->paused.count;
	for (uint32_t i = 0; i < count; i++) {
		if (shard_client(shard, shard->paused.items[i])->pause == PAUSE_ROOM)
			client_resume(shard, shard->paused.items[i]);
	}
	shard->paused.count = 0;
}

static void end_broken(struct shard *shard)
{
	for (uint32_t i = 0; i < shard->broken.count; i++) {
		uint32_t index = shard->broken.items[i];
		const struct client *client = shard_client(shard, index);
		if (client_is_connected(client) && client->broken)
			client_end(shard, index, ERROR_CONNECTION_LOST);
	}
	shard->broken.count = 0;
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
	for (uint32_t i = 0; i < DRAINED_A_TURN && shard->drain_next < shard->clients.touched; i++) {
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
	COUNT_SET(counters, reads, shard->io.read_count);
	COUNT_SET(counters, writes, shard->io.write_count);
	COUNT_SET(counters, bytes_in, shard->io.bytes_in);
	COUNT_SET(counters, bytes_out, shard->io.bytes_out);
	COUNT_SET(counters, backlog_bytes, shard->io.backlog_bytes);
	COUNT_SET(counters, connections_fixed, fixed_files_count(&shard->io.fixed_files));
	COUNT_SET(counters, subscriptions_open, shard->subscriptions.pool.used);
	COUNT_SET(counters, queue_messages, shard->flows.entries.used);
	COUNT_SET(counters, stored_messages, shard->messages.count);
	COUNT_SET(counters, stored_bytes, shard->messages.bytes);
	COUNT_SET(counters, inbox_parcels, shard->post.out_parcels);
	COUNT_SET(counters, inbox_bytes, shard->post.out_bytes);
	COUNT_POOL(counters, pool_clients, &shard->clients);
	COUNT_POOL(counters, pool_subscriptions, &shard->subscriptions.pool);
	COUNT_POOL(counters, pool_lists, &shard->subscriptions.lists);
	COUNT_POOL(counters, pool_queue, &shard->flows.entries);
	COUNT_SET(counters, slab_used_bytes, shard->slab.used_bytes);
	COUNT_SET(counters, slab_free_bytes, shard->slab.top_bytes - shard->slab.used_bytes);
	COUNT_SET(counters, allocations,
		  shard->slab.fresh_count + shard->post.allocation_count + shard->clients.touched +
			  shard->subscriptions.pool.touched + shard->subscriptions.lists.touched +
			  shard->flows.entries.touched + shard->routes.capacity + shard->ready.capacity +
			  shard->paused.capacity + shard->closing.capacity);
}

/* ---- the loop ---- */

static bool has_work(const struct shard *shard)
{
	return shard->ready.count != 0 || shard->broken.count != 0 || route_has_mail(shard) || route_has_own(shard) ||
	       (shard->retained_jobs != NULL && retained_jobs_ready(shard)) || principal_revoking(shard) ||
	       commands_waiting(&shard->commands);
}

static int sleep_ms(struct shard *shard, bool draining)
{
	if (has_work(shard))
		return 0;
	if (draining)
		return shard->drain_next == 0 && shard->drain_waits ? DRAIN_POLL_MS : 0;
	return (int)wheel_wait_ms(&shard->wheel, shard->now_ms, congestion_wait_ms(shard, SLEEP_MS_MAX));
}

static void read_clock(struct shard *shard, uint64_t woken_ns, int events)
{
	uint64_t now_ns = clock_now_ns();
	uint64_t before_ms = shard->now_ms;
	shard->now_ms = now_ns / 1000000u;
	if (shard->slept_from_ms != 0)
		overload_rested(&shard->overload, shard->now_ms - shard->slept_from_ms);
	else
		overload_turn(&shard->overload, shard->now_ms - before_ms);
	atomic_store_explicit(&shard->lag_ms, shard->overload.lag_ms, memory_order_relaxed);
	shard->now_s = (uint32_t)(shard->now_ms / 1000);
	shard->io.now_ms = shard->now_ms;
	shard->post.turn_ns = now_ns;
	pulse_turn_begin(&shard->pulse, &shard->counters, now_ns, woken_ns, events);
}

/* Waits for events, asleep as far as others can tell when it may take a while; then reads the clock. */
static int wait_for_events(struct shard *shard, struct epoll_event *events, bool draining)
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
	bool awaits_room = shard->paused.count != 0 || shard->waiting != NULL;
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
	if (shard->access_version != access_version(shard->access))
		shard->access_version = access_refresh(shard->access, &shard->sign_in, &shard->acl);
	principal_revoke_some(shard);
}

/* What comes round by time. */
static void do_timers(struct shard *shard)
{
	wheel_turn(&shard->wheel, shard->now_ms, TIMERS_A_TURN, heartbeat_visit, shard);
	if (shard->number != 0)
		return;
	retained_sweep(shard->retained, shard->now_s, RETAINED_SWEEP);
	sys_topics_publish(shard);
}

/* One turn. False when the shard has drained and may end. */
static bool turn(struct shard *shard)
{
	struct epoll_event events[EVENTS_A_TURN];
	bool draining = atomic_load_explicit(&shard->draining, memory_order_acquire);
	int count = wait_for_events(shard, events, draining);

	if (settings_refresh(&shard->settings_view, &shard->settings))
		shard->subscriptions.client_max = shard->settings->client_subscriptions_max;
	if (post_collect(&shard->post)) {
		resume_paused(shard);
		shard->waiting_for_room = false;
	}
	look_at_access(shard);
	congestion_run(shard);
	route_turn_begin(shard);
	route_deliver_mail(shard);
	serve_ready(shard);
	for (int i = 0; i < count; i++)
		handle_event(shard, &events[i]);
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
	pulse_turn_end(&shard->pulse, &shard->counters, clock_now_ns());
	route_return_parcels(shard);
	io_turn_end(&shard->io);
	publish_counters(shard);
	return !(drained || (draining && shard->now_ms >= atomic_load(&shard->drain_until_ms)));
}

/* A batch thread does not interrupt what runs on its core when it is woken: what woke it then comes together with all
 * that follows until that has had its turn, and a turn handles many messages instead of one (docs/decisions). */
static void take_place(const struct shard *shard)
{
	struct sched_param parameter = {0};
	sched_setscheduler(0, SCHED_BATCH, &parameter);
	if (shard->core < 0)
		return;
	cpu_set_t cores;
	CPU_ZERO(&cores);
	CPU_SET((size_t)shard->core, &cores);
	if (sched_setaffinity(0, sizeof(cores), &cores) != 0)
		log_write(LOG_WARNING, "shard %u could not be pinned to core %d", shard->number, shard->core);
}

static enum error settle_in(struct shard *shard)
{
	CHECK(pthread_getcpuclockid(pthread_self(), &shard->cpu_clock) == 0);
	shard->table =
		shard->settings->private_tables ? fdtable_detach(shard->keep_fds, shard->keep_count) : FDTABLE_SHARED;
	take_place(shard);
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
