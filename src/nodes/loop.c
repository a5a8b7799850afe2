#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/internal.h"
#include "nodes/requests.h"
#include "nodes/thread/nodes_thread.h"
#include "reactor/fdtable.h"
#include "runtime/nodes/node_filters.h"
#include "runtime/nodes/node_mail.h"
#include "state/shard.h"
#include "topics/index/rcu.h"

#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

/* Ahead of the relay, behind the shards. */
#define NODES_NICE 2
#define POLLED_MAX (1u + BUS_DESCRIPTORS + 2u * NODES_MAX)
#define STATUS_MS 100u
/* How long the end waits for what is on its way. */
#define ENDING_MS 3000u
#define SLEEP_MS_MAX 500u
/* At its beginning messages wait until those who are there have been heard: so long after NATS was reached, and no
 * longer than that where it is not. */
#define HEARING_MS 150u
#define HELD_MS_MAX 2000u

uint64_t nodes_new_incarnation(void)
{
	uint64_t incarnation = 0;
	while (incarnation == 0)
		randombytes_buf(&incarnation, sizeof(incarnation));
	return incarnation;
}

void nodes_add_service(struct nodes_thread *thread, const struct node_service *service, void *context)
{
	CHECK_LT(thread->service_count, NODES_SERVICES_MAX);
	thread->services[thread->service_count++] = (struct service_entry){.service = service, .context = context};
}

/* ---- the bus ---- */

static void on_datagram(void *context, enum bus_subject subject, struct slice datagram)
{
	struct nodes_thread *thread = context;
	if (subject == BUS_NODE)
		fellows_receive(thread, datagram);
	else
		members_receive(thread->members, datagram, thread->now_ms, clock_wall_ms());
	fellows_settle(thread);
}

static void on_connected(void *context)
{
	struct nodes_thread *thread = context;
	struct bus_status status;
	bus_status(thread->bus, &status);
	log_always(LOG_INFO, "connected to NATS at %s", status.url);
	members_bus_is_back(thread->members, thread->now_ms);
	fellows_hurry(thread);
	if (thread->held_until_ms > thread->now_ms + HEARING_MS)
		thread->held_until_ms = thread->now_ms + HEARING_MS;
}

static void on_lost(void *context)
{
	const struct nodes_thread *thread = context;
	struct bus_status status;
	bus_status(thread->bus, &status);
	log_always(LOG_WARNING, "NATS is away: %s; this node serves alone after %u ms", status.error,
		   thread->settings->timeout_ms);
}

/* ---- messages that wait for the beginning ---- */

static void hold(struct nodes_thread *thread, bool held)
{
	atomic_store(&thread->parts.nodes->filters->held, held);
	thread->held_until_ms = held ? thread->now_ms + HELD_MS_MAX : 0;
	for (uint16_t i = 0; i < thread->parts.shard_count && !held; i++) {
		struct node_mail *mail = node_mail_new(MESSAGE_FRAME, 0);
		if (mail != NULL)
			node_port_post(thread->parts.nodes, i, mail);
	}
}

static void go_on_if_heard(struct nodes_thread *thread)
{
	if (thread->held_until_ms != 0 && thread->now_ms >= thread->held_until_ms)
		hold(thread, false);
}

/* ---- waiting ---- */

static uint64_t nodes_earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t nodes_deadline_of(const struct nodes_thread *thread)
{
	uint64_t deadline_ms = nodes_earlier(members_next_deadline(thread->members), bus_next_deadline(thread->bus));
	deadline_ms = nodes_earlier(deadline_ms, fellows_deadline(thread));
	for (uint32_t i = 0; i < thread->service_count; i++) {
		const struct service_entry *entry = &thread->services[i];
		if (entry->service->deadline_ms != NULL)
			deadline_ms = nodes_earlier(deadline_ms, entry->service->deadline_ms(entry->context));
	}
	if (thread->held_until_ms != 0)
		deadline_ms = nodes_earlier(deadline_ms, thread->held_until_ms);
	return nodes_earlier(deadline_ms, thread->status_ms);
}

static bool has_mail(const struct nodes_thread *thread)
{
	if (!node_box_is_empty(&thread->parts.nodes->to_nodes) || atomic_load(&thread->resting) != thread->is_resting ||
	    atomic_load(&thread->stopping) != thread->is_ending)
		return true;
	for (uint32_t i = 0; i < thread->service_count; i++) {
		const struct service_entry *entry = &thread->services[i];
		if (entry->service->has_mail != NULL && entry->service->has_mail(entry->context))
			return true;
	}
	return false;
}

static uint32_t list_descriptors(struct nodes_thread *thread, struct pollfd *fds, uint32_t *of_bus)
{
	uint32_t count = 0;
	fds[count++] = (struct pollfd){.fd = thread->parts.nodes->waker.fd, .events = POLLIN};
	*of_bus = bus_poll(thread->bus, fds + count);
	count += *of_bus;
	for (uint32_t i = 0; i < thread->service_count; i++) {
		const struct service_entry *entry = &thread->services[i];
		if (entry->service->poll != NULL)
			count += entry->service->poll(entry->context, fds + count, POLLED_MAX - count);
	}
	return count;
}

static int wait_ms_of(const struct nodes_thread *thread)
{
	uint64_t deadline_ms = nodes_deadline_of(thread);
	uint64_t now_ms = clock_now_ms();
	if (thread->is_busy || deadline_ms <= now_ms)
		return 0;
	return deadline_ms - now_ms < SLEEP_MS_MAX ? (int)(deadline_ms - now_ms) : (int)SLEEP_MS_MAX;
}

/* Where it may sleep, it first tells other threads that they have to wake it, and then looks once more at all that they
 * may have left in the meantime. */
static void nodes_await_events(struct nodes_thread *thread, struct pollfd *fds, uint32_t count)
{
	struct waker *waker = &thread->parts.nodes->waker;
	int wait_ms = wait_ms_of(thread);
	eventfd_t woken;
	if (wait_ms == 0) {
		reader_quiescent();
		poll(fds, count, 0);
	} else {
		waker_sleep(waker);
		reader_offline();
		poll(fds, count, has_mail(thread) ? 0 : wait_ms);
		reader_online();
		waker_awake(waker);
	}
	if ((fds[0].revents & POLLIN) != 0)
		eventfd_read(waker->fd, &woken);
}

/* ---- a turn ---- */

static const struct service_entry *taker_of(const struct nodes_thread *thread, uint8_t kind)
{
	for (uint32_t i = 0; i < thread->service_count; i++) {
		const struct node_service *service = thread->services[i].service;
		if (kind >= service->kind_first && kind <= service->kind_last && service->mail != NULL)
			return &thread->services[i];
	}
	return NULL;
}

static void take_mail(struct nodes_thread *thread)
{
	struct node_mail *mail = node_box_take(&thread->parts.nodes->to_nodes);
	while (mail != NULL) {
		struct node_mail *next = mail->next;
		const struct service_entry *taker = taker_of(thread, mail->kind);
		if (taker != NULL)
			taker->service->mail(taker->context, mail);
		else
			node_mail_free(mail);
		mail = next;
	}
}

static void send_heartbeat(struct nodes_thread *thread)
{
	struct slice heartbeat = members_heartbeat(thread->members, thread->now_ms, clock_wall_ms());
	if (heartbeat.size != 0)
		bus_send_all(thread->bus, heartbeat);
}

/* What other threads see. */
static void publish_status(struct nodes_thread *thread)
{
	struct nodes_status *status = &thread->next_status;
	if (thread->now_ms < thread->status_ms)
		return;
	thread->status_ms = thread->now_ms + STATUS_MS;
	memset(status, 0, sizeof(*status));
	status->is_on = true;
	status->is_caught_up = true;
	fellows_status(thread, status);
	for (uint32_t i = 0; i < thread->service_count; i++) {
		const struct service_entry *entry = &thread->services[i];
		if (entry->service->status != NULL)
			entry->service->status(entry->context, status);
		if (entry->service->is_caught_up != NULL && !entry->service->is_caught_up(entry->context))
			status->is_caught_up = false;
	}
	nodes_status_pack(status);
	pthread_mutex_lock(&thread->lock);
	thread->status = *status;
	pthread_mutex_unlock(&thread->lock);
}

static void run_services(struct nodes_thread *thread)
{
	thread->is_busy = false;
	for (uint32_t i = 0; i < thread->service_count; i++) {
		const struct service_entry *entry = &thread->services[i];
		if (entry->service->turn != NULL && entry->service->turn(entry->context, thread->now_ms))
			thread->is_busy = true;
	}
}

static void forget_if_asked(struct nodes_thread *thread)
{
	char name[CLUSTER_NAME_BYTES_MAX];
	pthread_mutex_lock(&thread->lock);
	memcpy(name, thread->forgets, sizeof(name));
	thread->forgets[0] = '\0';
	pthread_mutex_unlock(&thread->lock);
	if (name[0] == '\0')
		return;
	thread->forgot = fellows_forget(thread, name);
	thread->status_ms = 0;
	sem_post(&thread->forgotten);
}

static void nodes_turn(struct nodes_thread *thread)
{
	struct pollfd fds[POLLED_MAX];
	uint32_t of_bus;
	uint32_t count = list_descriptors(thread, fds, &of_bus);
	nodes_await_events(thread, fds, count);
	thread->now_ms = clock_now_ms();
	bus_process(thread->bus, fds + 1, of_bus, thread->now_ms);
	members_tick(thread->members, thread->now_ms);
	fellows_settle(thread);
	fellows_agree(thread);
	fellows_tick(thread);
	take_mail(thread);
	run_services(thread);
	fellows_tell_figures(thread);
	send_heartbeat(thread);
	fellows_send(thread);
	bus_flush(thread->bus);
	forget_if_asked(thread);
	publish_status(thread);
	go_on_if_heard(thread);
}

/* ---- its beginning and its end ---- */

static void detach(struct nodes_thread *thread)
{
	size_t count = 0;
	if (!thread->parts.private_tables)
		return;
	int *keeps = calloc(thread->parts.shard_count + 2u, sizeof(*keeps));
	CHECK(keeps != NULL);
	for (uint16_t i = 0; i < thread->parts.shard_count; i++)
		keeps[count++] = thread->parts.mailboxes[i].waker.fd;
	keeps[count++] = thread->parts.nodes->waker.fd;
	keeps[count++] = gateway_internal_fd(thread->gateway);
	fdtable_detach(keeps, count);
	free(keeps);
}

static const char *or_null(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

static bool open_bus(struct nodes_thread *thread)
{
	const struct cluster_settings *settings = thread->settings;
	const struct bus_settings bus = {
		.urls = settings->nats,
		.cluster = settings->name,
		.node = thread->node,
		.credentials = or_null(settings->credentials_file),
		.ca_file = or_null(settings->ca_file),
		.certificate = or_null(settings->certificate_file),
		.key = or_null(settings->key_file),
	};
	const struct bus_receiver receiver = {
		.context = thread, .on_datagram = on_datagram, .on_connected = on_connected, .on_lost = on_lost};
	char fault[BUS_TEXT_BYTES];
	thread->bus = bus_new(&bus, receiver, thread->now_ms, fault);
	if (thread->bus == NULL)
		log_write(LOG_ERROR, "cluster: %s", fault);
	return thread->bus != NULL;
}

static bool nodes_begin(struct nodes_thread *thread)
{
	detach(thread);
	setpriority(PRIO_PROCESS, 0, NODES_NICE); /* on Linux this means the calling thread only */
	thread->now_ms = clock_now_ms();
	if (!open_bus(thread))
		return false;
	thread->members = fellows_new(thread, nodes_new_incarnation());
	if (thread->members == NULL) {
		bus_free(thread->bus);
		return false;
	}
	reader_register();
	requests_begin(thread->requests, thread->peers, thread->parts.nodes);
	node_port_open(thread->parts.nodes);
	fellows_remember(thread);
	thread->held_until_ms = thread->now_ms + HELD_MS_MAX;
	return true;
}

static bool is_done(const struct nodes_thread *thread)
{
	for (uint32_t i = 0; i < thread->service_count; i++) {
		const struct service_entry *entry = &thread->services[i];
		if (entry->service->is_done != NULL && !entry->service->is_done(entry->context))
			return false;
	}
	return true;
}

/* Nothing new is begun from here on. */
static void rest(struct nodes_thread *thread)
{
	if (thread->is_resting)
		return;
	thread->is_resting = true;
	requests_end(thread->requests);
	for (uint32_t i = 0; i < thread->service_count; i++) {
		const struct service_entry *entry = &thread->services[i];
		if (entry->service->ending != NULL)
			entry->service->ending(entry->context);
	}
}

/* Says good-bye when nothing is on its way any more, or the time is up. */
static void end(struct nodes_thread *thread)
{
	uint64_t until_ms = clock_now_ms() + ENDING_MS;
	rest(thread);
	thread->is_ending = true;
	while (!is_done(thread) && clock_now_ms() < until_ms)
		nodes_turn(thread);
	bus_send_all(thread->bus, members_goodbye(thread->members, thread->now_ms, clock_wall_ms()));
	bus_flush(thread->bus);
	fellows_free(thread);
	/* What is published from here on, and other nodes do not hear, is not acknowledged. */
	hold(thread, true);
	for (uint32_t i = 0; i < thread->service_count; i++) {
		const struct service_entry *entry = &thread->services[i];
		if (entry->service->ended != NULL)
			entry->service->ended(entry->context);
	}
	node_port_close(thread->parts.nodes);
	reader_unregister();
	sem_post(&thread->left);
	bus_free(thread->bus);
}

void *nodes_main(void *argument)
{
	struct nodes_thread *thread = argument;
	struct check_context check = {.thread = "nodes"};
	check_context_set(&check);
	bool runs = nodes_begin(thread);
	atomic_store(&thread->failed, !runs);
	sem_post(&thread->begun);
	if (!runs)
		return NULL;
	while (!atomic_load(&thread->stopping)) {
		if (atomic_load(&thread->resting))
			rest(thread);
		nodes_turn(thread);
	}
	end(thread);
	return NULL;
}
