/* The loop of a shard: one thread that waits, does a little of everything, writes the result, and waits again.
 *
 * Why one loop. Everything that a client needs is on one shard: its session, its queue, its timers, and its subscribers
 * on the same core. So the code takes no lock and needs no atomic operation for a client's data, and an idle client is
 * one cache line that nobody touches. The price: whatever holds this thread up holds up every client of the shard.
 * Hence the one rule of the loop. Each part of a turn has a share of work (runtime/turn_work.h). When the share is
 * spent the part stops, and it continues in the next turn, before anything that came later. A part that needs longer
 * keeps its position in a structure of its own (routings, filter jobs, cleanups, retained jobs, the next client of a
 * sweep), never on the stack. has_work() must know each of these: a part that it forgets sleeps until the next event.
 *
 * The turn has nine parts, in the order of shard_turn():
 *
 *     wait      for events, no longer than until the next deadline
 *     go on     with what other threads have left, and with what earlier turns began
 *     serve     clients' packets, first those of clients that waited
 *     admit     clients that the gates have let in
 *     command   carry out what the admin side asks
 *     time      visit the deadlines that have come, then send retained messages to new subscriptions
 *     end       every client and session whose end was noted; while draining, note some more first
 *     flush     to the other shards, then to the sockets; then close the sockets of the ended
 *     settle    give back what the turn used, and publish the figures
 *
 * Two of these positions matter. Ends come after every part that may find a reason, and before the flush. So no client
 * ends in the middle of a delivery or a walk, wills leave in the same turn, and a DISCONNECT is written before its
 * socket closes. Batches go back to other shards after the flush, because output may point into them until then. Their
 * return also tells the senders that the messages have arrived, or with which commit they will be safe, and lets
 * PUBACKs leave.
 *
 * Hazards. A flush may find a broken connection. It only notes that; the next turn carries it out. Scratch memory is
 * invalid after settle, and bytes handed to io_send() must stay valid until the flush. The clock is read once, at the
 * end of the wait. In a long turn now_ms is old, so code that measures the turn itself reads the clock again. While
 * the thread waits it is offline for RCU: it must hold nothing of the routing index then. */
#include "shard/loop.h"

#include "access/access.h"
#include "base/clock.h"
#include "client/acknowledge.h"
#include "client/conn.h"
#include "client/review.h"
#include "client/subscribe.h"
#include "deliver/bodies/bodies.h"
#include "deliver/congestion.h"
#include "deliver/queue.h"
#include "lifecycle/cleanup.h"
#include "lifecycle/due/revoke.h"
#include "lifecycle/end.h"
#include "lifecycle/moving.h"
#include "lifecycle/stored/promised.h"
#include "lifecycle/stored/retell.h"
#include "route/retained_jobs.h"
#include "route/route.h"
#include "route/routing.h"
#include "runtime/schedule.h"
#include "shard/admissions.h"
#include "shard/commands.h"
#include "shard/drain.h"
#include "shard/emptying/emptying.h"
#include "shard/freeze/freeze.h"
#include "shard/gauges.h"
#include "shard/nodes/node_mails.h"
#include "shard/timers.h"
#include "state/shard.h"
#include "state/tell_nodes.h"
#include "topics/index/rcu.h"
#include "topics/retained.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Limits of one turn: events, and clients that continue to be read. Shares of work bound the other parts
 * (runtime/turn_work.h). */
#define EVENTS_PER_TURN 256
#define READY_PER_TURN 256u
/* Between two turns of a shard that reads nobody: others have to do their part. */
#define QUIET_NAP_NS 50000
/* How often draining looks again at clients of which each has a backlog. */
#define DRAIN_POLL_MS 10
/* How often the thread's CPU time is read, which tells a long turn from a thread that did not get to run. */
#define RAN_STEP_MS 5u
/* The longest sleep. Deadlines are known, so this is only a safety net. */
#define SLEEP_MS_MAX 1000u

/* A client's tag has its index in the low half, which is never 0. These are the tags of the others. */
#define TAG_WAKER ((uint64_t)1 << 32)
#define TAG_ADMISSIONS ((uint64_t)2 << 32)
_Static_assert((uint32_t)TAG_WAKER == 0 && (uint32_t)TAG_ADMISSIONS == 0, "no client has these tags");

/* ---- clients ---- */

static void loop_handle_event(struct shard *shard, const struct poller_event *event)
{
	struct client_ref ref = {(uint32_t)event->tag};
	if (client_ref_is_none(ref))
		return; /* the waker, whose work is done, or admissions, which are taken after the events */
	struct client *client = shard_client(shard, ref);
	if (client->conn.generation != (uint32_t)(event->tag >> 32))
		return;
	if (poller_writable(event))
		client_write(shard, ref);
	if (poller_hung_up(event))
		client->hung_up = 1;
	if (poller_readable(event))
		client_read(shard, ref);
}

/* Serves clients that had more to read than their turn allowed. */
static void loop_serve_ready(struct shard *shard)
{
	uint32_t most = shard->loop.ready.count < READY_PER_TURN ? shard->loop.ready.count : READY_PER_TURN;
	uint32_t count = 0;
	/* Clients that are left stay ahead of those that begin to wait in this turn. */
	while (count < most && turn_work_takes_packets(&shard->loop.work)) {
		struct client_ref ref = shard->loop.ready.items[count++];
		struct client *client = shard_client(shard, ref);
		if (!client->ready)
			continue;
		client->ready = 0;
		client_read(shard, ref);
	}
	shard->loop.round_left -= count < shard->loop.round_left ? count : shard->loop.round_left;
	CHECK_LE(count, shard->loop.ready.count); /* client_read() only appends */
	shard->loop.ready.count -= count;
	if (shard->loop.ready.count != 0)
		memmove(shard->loop.ready.items, shard->loop.ready.items + count,
			shard->loop.ready.count * sizeof(shard->loop.ready.items[0]));
}

/* A round is all clients that wait at the end of a turn. All of them are served before any of them is served again.
 * Turns are short, so the length of a round tells how late the shard is. */
static void begin_round(struct shard *shard)
{
	CHECK_LE(shard->loop.round_left, shard->loop.ready.count);
	if (shard->loop.round_left != 0)
		return;
	shard->loop.round_left = shard->loop.ready.count;
	shard->loop.round_began_ms = shard->loop.now_ms;
}

/* ---- waiting ---- */

static bool has_work(const struct shard *shard)
{
	return shard->loop.ready.count != 0 || endings_waiting(&shard->sessions.endings) != 0 ||
	       route_has_mail(shard) || admissions_wait(shard) || shard->sessions.filter_jobs != NULL ||
	       shard->sessions.cleanups != NULL || routings_can_go_on(shard) ||
	       pending_acks_are_ready(&shard->routing.acks) || acknowledge_can_resume(shard) ||
	       commit_waits_are_ready(&shard->routing.commits) || retained_jobs_ready(&shard->sessions.retained_jobs) ||
	       revoke_has_work(shard) || review_waits(shard) || commands_waiting(&shard->shared.commands) ||
	       bodies_wait(shard) || freeze_wants_turn(shard) || promised_can_go_on(shard) || retell_has_work(shard) ||
	       shard_has_node_mail(shard) || moving_has_work(shard) ||
	       (shard->env.number == 0 && retained_has_expired(shard->env.retained, shard->loop.now_s));
}

static int loop_sleep_ms(struct shard *shard, bool draining)
{
	if (has_work(shard))
		return 0;
	if (draining)
		return shard->loop.drain_next == 0 && shard->loop.drain_waits ? DRAIN_POLL_MS : 0;
	uint32_t most_ms = emptying_wait_ms(shard, retell_wait_ms(shard, congestion_wait_ms(shard, SLEEP_MS_MAX)));
	most_ms = moving_wait_ms(shard, most_ms);
	uint32_t sleep_ms = wheel_wait_ms(&shard->loop.wheel, shard->loop.now_ms, most_ms);
	CHECK_LE(sleep_ms, SLEEP_MS_MAX); /* a longer one would pass for a negative timeout, which is endless */
	return (int)sleep_ms;
}

/* The CPU time that the thread used in the last turn, which took took_ms. The result may include up to RAN_STEP_MS from
 * before. The CPU clock is read no more often than that; a shorter turn is taken to have run all the time. */
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
	if (journal_is_on(&shard->sessions.journal))
		shard_deadline_clock_read(shard, clock_wall_s());
	shard->routing.outbox.turn_ns = now_ns;
	turn_stats_turn_begin(&shard->loop.stats, &shard->counters, now_ns, woken_ns, events);
}

/* Whether acknowledgements wait for batches to come back. Those that wait for commits are another matter: a commit
 * wakes the shard once for very many of them, so there is nothing to be patient about. */
static bool awaits_returned_acks(const struct shard *shard)
{
	return pending_acks_any(&shard->routing.acks) &&
	       (!commit_waits_are_on(&shard->routing.commits) || shard->routing.outbox.out_batches != 0);
}

/* Waits for events, then reads the clock. Where it may sleep, it first tells other threads that they have to wake it,
 * and then looks once more at all that they may have left in the meantime. */
static int wait_for_events(struct shard *shard, struct poller_event *events, bool draining)
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
	bool awaits_acks = awaits_returned_acks(shard);
	bool patient = awaits_acks && acknowledge_is_patient(shard);
	if (patient && timeout_ms > ACKNOWLEDGE_PATIENCE_MS)
		timeout_ms = ACKNOWLEDGE_PATIENCE_MS;
	bool awaits_returns = routings_await_room(shard) || retell_awaits_returns(shard) || (awaits_acks && !patient);
	outbox_await_returns(&shard->routing.outbox, awaits_returns);
	if (commit_waits_are_on(&shard->routing.commits))
		commit_waits_announce(&shard->routing.commits);
	waker_sleep(waker);
	if (outbox_has_mail(&shard->routing.outbox) ||
	    ((awaits_returns || patient) && outbox_has_returns(&shard->routing.outbox)) ||
	    commit_waits_are_ready(&shard->routing.commits) ||
	    access_has_recent(shard->env.access, shard->env.number) || commands_waiting(&shard->shared.commands) ||
	    bodies_collect(shard) || retell_has_work(shard) || freeze_wants_turn(shard) || shard_has_node_mail(shard) ||
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

/* Takes up new keys and rules, and continues revocations and reviews. */
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

/* Whether every noted end is carried out and every socket is closed. */
static bool has_ended_all(const struct shard *shard)
{
	return endings_waiting(&shard->sessions.endings) == 0 && shard->sessions.closing.count == 0;
}

/* ---- the turn ---- */

/* Lets packets leave memory, and goes on with the queues of clients whose packets have come back. */
static void loop_take_bodies(struct shard *shard)
{
	bodies_collect(shard);
	bodies_evict(shard);
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_LOADS);
	struct client_ref ref;
	while (!turn_work_is_spent(&shard->loop.work, until) && bodies_take(shard, &ref)) {
		if (client_ref_is_none(ref))
			continue;
		queue_send(shard, ref);
		retained_jobs_wake(shard, ref);
	}
}

/* Takes what other threads have left, and continues what earlier turns began. */
static void go_on(struct shard *shard)
{
	if (settings_refresh(&shard->shared.settings_view, &shard->env.settings))
		shard_take_settings(shard);
	if (outbox_collect(&shard->routing.outbox))
		routings_have_room(shard);
	session_cleanups_run(shard); /* first: they share the work of ends, and the older ones go first */
	loop_look_at_access(shard);
	congestion_run(shard);
	loop_take_bodies(shard);
	routings_run(shard);
	client_commits_run(shard);
	acknowledge_run(shard);
	route_deliver_mail(shard);
	filter_jobs_run(shard);
	promised_run(shard);
	node_mails_run(shard);
	moving_run(shard);
	retell_run(shard);
}

/* Handles what clients have sent, first of those that were left over. True: the gates have sent admissions. */
static bool serve(struct shard *shard, const struct poller_event *events, int count)
{
	bool arrive = false;
	turn_work_begin_packets(&shard->loop.work);
	loop_serve_ready(shard);
	for (int i = 0; i < count; i++) {
		arrive |= events[i].tag == TAG_ADMISSIONS;
		loop_handle_event(shard, &events[i]);
	}
	return arrive;
}

/* Sends the turn's output to other shards and to clients, then closes the sockets of clients that have ended. */
static void flush(struct shard *shard)
{
	outbox_send(&shard->routing.outbox);
	node_mails_flush(shard);
	io_flush(&shard->mem.io);
	end_close(shard);
}

/* Nothing points to the turn's bytes any more: gives them back and publishes the figures. */
static void settle_turn(struct shard *shard)
{
	begin_round(shard);
	turn_stats_turn_end(&shard->loop.stats, &shard->counters, clock_now_ns());
	turn_work_end(&shard->loop.work, &shard->counters);
	/* Before the batches go back: then all that they brought is told when their senders know of it. */
	journal_end_turn(&shard->sessions.journal);
	route_return_batches(shard);
	io_turn_end(&shard->mem.io);
	gauges_publish(shard);
}

/* What in a turn of a shard that reads nobody is left of go_on(): it begins nothing new. */
static void go_on_quietly(struct shard *shard)
{
	if (outbox_collect(&shard->routing.outbox))
		routings_have_room(shard);
	session_cleanups_run(shard);
	loop_look_at_access(shard);
	loop_take_bodies(shard);
	routings_run(shard);
	client_commits_run(shard);
	acknowledge_run(shard);
	route_deliver_mail(shard);
	filter_jobs_run(shard);
	promised_run(shard);
	node_mails_run(shard);
	moving_run(shard);
}

/* Events stay in the kernel, and clients that had more to read stay in their list: both are found again. */
static bool quiet_turn(struct shard *shard, enum shard_halt halt)
{
	static const struct timespec nap = {.tv_nsec = QUIET_NAP_NS};
	reader_offline();
	clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	reader_online();
	read_clock(shard, 0, 0);
	turn_work_begin(&shard->loop.work);
	turn_work_begin_packets(&shard->loop.work);

	go_on_quietly(shard);
	moving_stop(shard, ERROR_OVERLOADED);
	shard->shared.freeze.arriving = admissions_take(shard);
	if (halt < SHARD_FREEZES)
		commands_run(shard);
	end_run(shard);
	flush(shard);
	freeze_prepare_some(shard);
	bool quiet = freeze_look(shard);
	settle_turn(shard);
	if (!quiet || halt != SHARD_FREEZES || !freeze_is_prepared(shard))
		return true;
	freeze_leave(shard);
	return false;
}

/* False: the shard has drained, or its time for that is over, or it is frozen, and the thread may end. */
static bool shard_turn(struct shard *shard)
{
	struct poller_event events[EVENTS_PER_TURN];
	bool draining = atomic_load_explicit(&shard->shared.draining, memory_order_acquire);
	enum shard_halt halt = atomic_load_explicit(&shard->shared.freeze.halt, memory_order_acquire);
	if (halt >= SHARD_QUIETENS && !draining)
		return quiet_turn(shard, halt);
	int count = wait_for_events(shard, events, draining);
	turn_work_begin(&shard->loop.work);

	go_on(shard);
	bool arrive = serve(shard, events, count);
	moving_serve(shard);
	if (arrive || admissions_wait(shard))
		admissions_take(shard);
	commands_run(shard);
	timers_run(shard);
	retained_jobs_run(shard);
	emptying_run(shard);
	bool drained = draining && drain_some(shard);
	end_run(shard);
	flush(shard);
	if (halt == SHARD_PREPARES)
		freeze_prepare_some(shard);
	else
		freeze_return_some(shard);
	settle_turn(shard);

	bool is_late = draining && shard->loop.now_ms >= atomic_load(&shard->shared.drain_until_ms);
	return !((drained && has_ended_all(shard)) || is_late);
}

/* A thread that goes on with a frozen shard keeps what holds its sockets, too. */
static enum fdtable_kind loop_detach(const struct shard *shard)
{
	if (!shard->env.settings->private_tables)
		return FDTABLE_SHARED;
	size_t held = shard->shared.freeze.resumes ? freeze_descriptors(shard, NULL) : 0;
	int *keep = malloc((shard->env.keep_count + held) * sizeof(*keep));
	CHECK(keep != NULL);
	memcpy(keep, shard->env.keep_fds, shard->env.keep_count * sizeof(*keep));
	if (held != 0)
		freeze_descriptors(shard, keep + shard->env.keep_count);
	enum fdtable_kind kind = fdtable_detach(keep, shard->env.keep_count + held);
	free(keep);
	return kind;
}

/* A poller that was there before may know the descriptor. */
static enum error loop_watch(struct shard *shard, int fd, uint64_t tag, enum poller_mode mode)
{
	enum error error = poller_add(&shard->loop.poller, fd, tag, mode);
	return error == ERROR_SYSTEM && errno == EEXIST ? ERROR_OK : error;
}

static enum error loop_thread_setup(struct shard *shard)
{
	CHECK(pthread_getcpuclockid(pthread_self(), &shard->loop.cpu_clock) == 0);
	shard->loop.table = loop_detach(shard);
	schedule_thread(0);
	bool resumes = shard->shared.freeze.resumes;
	if (resumes)
		freeze_resume(shard);
	if (!resumes && poller_open(&shard->loop.poller) != ERROR_OK)
		return ERROR_SYSTEM;
	enum error error =
		loop_watch(shard, shard->env.mailboxes[shard->env.number].waker.fd, TAG_WAKER, POLLER_EDGE_READ);
	if (error == ERROR_OK)
		error = loop_watch(shard, shard->env.admissions_fd, TAG_ADMISSIONS, POLLER_LEVEL_READ);
	shard->loop.slept_from_ms = clock_now_ms();
	read_clock(shard, 0, 0);
	shard->loop.stats.ended_ns = shard->loop.stats.began_ns;
	if (shard->loop.wheel.pool == NULL)
		wheel_init(&shard->loop.wheel, &shard->mem.clients, offsetof(struct client, timer), shard->loop.now_ms);
	return error;
}

void shard_begin_clock(struct shard *shard)
{
	CHECK(shard->loop.wheel.pool == NULL);
	shard->loop.slept_from_ms = clock_now_ms();
	read_clock(shard, 0, 0);
	wheel_init(&shard->loop.wheel, &shard->mem.clients, offsetof(struct client, timer), shard->loop.now_ms);
}

/* Whether the shard was frozen, and its descriptors were taken; else it has drained. */
static bool loop_run(struct shard *shard)
{
	for (;;) {
		while (shard_turn(shard))
			;
		if (!freeze_is_over(shard))
			return false;
		reader_offline();
		bool taken = freeze_wait_taken(shard);
		reader_online();
		if (taken)
			return true;
	}
}

static void *shard_main(void *argument)
{
	struct shard *shard = argument;
	shard->loop.check = (struct check_context){.thread = "shard", .number = shard->env.number};
	check_context_set(&shard->loop.check);
	enum error error = loop_thread_setup(shard);
	atomic_store(&shard->shared.failed, error != ERROR_OK);
	atomic_store(&shard->shared.started, true);
	if (error != ERROR_OK)
		return NULL;
	reader_register();
	bool frozen = loop_run(shard);
	reader_unregister();
	if (frozen) {
		io_rest(&shard->mem.io);
		return NULL;
	}
	commands_refuse(&shard->shared.commands);
	io_leave(&shard->mem.io);
	poller_close(&shard->loop.poller);
	return NULL;
}

enum error shard_start(struct shard *shard)
{
	atomic_store(&shard->shared.started, false);
	return pthread_create(&shard->loop.thread, NULL, shard_main, shard) == 0 ? ERROR_OK : ERROR_SYSTEM;
}

void shard_stop(struct shard *shard, uint64_t drain_until_ms)
{
	atomic_store(&shard->shared.drain_until_ms, drain_until_ms);
	atomic_store_explicit(&shard->shared.draining, true, memory_order_release);
	waker_wake(&shard->env.mailboxes[shard->env.number].waker);
}
