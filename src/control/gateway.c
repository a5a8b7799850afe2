#include "control/gateway.h"

#include "access/access.h"
#include "access/addresses.h"
#include "access/password_workers.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/layout.h"
#include "gate/gate.h"
#include "gate/listeners.h"
#include "reactor/fdpass.h"
#include "reactor/fdtable.h"
#include "runtime/settings_feed.h"
#include "shard/loop.h"
#include "state/shard.h"
#include "topics/index.h"
#include "topics/rcu.h"
#include "topics/retained.h"

#include <errno.h>
#include <sched.h>
#include <unistd.h>

/* Addresses counted at one time. Memory is taken as they appear. */
#define ADDRESSES_MAX (1u << 22)

struct gateway {
	struct settings *settings; /* as given at the start */
	struct settings_feed feed; /* the settings in force */
	struct hash_key key;
	struct index *index;
	struct retained *retained;
	struct addresses *addresses;
	struct access *access;
	struct password_workers *password_workers; /* NULL: no password file is configured */
	_Atomic uint32_t sessions_offline;
	struct shard *shards;
	struct gate *gates;
	struct mailbox *mailboxes;
	struct congestion_board *boards;
	struct quota *quota;       /* one per shard; only the first is used if all share a table */
	struct quota whole;        /* `connections`: the quota of all shards together */
	int (*admission_pairs)[2]; /* one socket pair per shard: gates send on [0], the shard receives on [1] */
	int *shard_keep_fds;       /* descriptors that each shard keeps: all wakers, its end of the pair */
	int *gate_keep_fds;        /* descriptors that gates keep: all sending ends, the listeners, the gates' wakers */
	uint16_t shard_count;
	uint16_t gate_count;
	bool tables_refused; /* the kernel refused private descriptor tables */
	_Atomic(const struct counters *) extra_counters[GATEWAY_COUNTERS_MAX]; /* the bridge's */
	_Atomic uint32_t extra_count;
	struct layout layout;
};

/* They are allocated in arrays at addresses that are multiples of 64, so that threads share no cache line. */
_Static_assert(sizeof(struct shard) % 64 == 0 && sizeof(struct gate) % 64 == 0, "whole cache lines");
_Static_assert(sizeof(struct mailbox) % 64 == 0 && sizeof(struct quota) % 64 == 0, "whole cache lines");
_Static_assert(sizeof(struct congestion_board) % 64 == 0 && sizeof(struct gateway) % 64 == 0, "whole cache lines");

/* ---- planning ---- */

static uint32_t core_count(void)
{
	cpu_set_t cores;
	return sched_getaffinity(0, sizeof(cores), &cores) == 0 ? (uint32_t)CPU_COUNT(&cores) : 1;
}

/* ---- creation ---- */

static enum error make_shared(struct gateway *gateway)
{
	gateway->key = hash_key_random();
	uint16_t shards = gateway->shard_count;
	gateway->index = index_new(shards, &gateway->key);
	gateway->addresses = addresses_new(&gateway->key, ADDRESSES_MAX);
	gateway->retained =
		retained_new(&gateway->key, gateway->settings->retained_max, gateway->settings->retained_bytes_max);
	gateway->shards = aligned_alloc(64, shards * sizeof(*gateway->shards));
	gateway->gates = aligned_alloc(64, gateway->gate_count * sizeof(*gateway->gates));
	gateway->mailboxes = aligned_alloc(64, shards * sizeof(*gateway->mailboxes));
	gateway->boards = aligned_alloc(64, shards * sizeof(*gateway->boards));
	gateway->quota = aligned_alloc(64, shards * sizeof(*gateway->quota));
	gateway->admission_pairs = calloc(shards, sizeof(*gateway->admission_pairs));
	gateway->shard_keep_fds = calloc((size_t)shards * (shards + 1u), sizeof(int));
	gateway->gate_keep_fds = calloc(2u * shards + SETTINGS_LISTENERS_MAX + gateway->gate_count, sizeof(int));
	if (gateway->index == NULL || gateway->retained == NULL || gateway->addresses == NULL ||
	    gateway->shards == NULL || gateway->gates == NULL || gateway->mailboxes == NULL ||
	    gateway->boards == NULL || gateway->quota == NULL || gateway->admission_pairs == NULL ||
	    gateway->shard_keep_fds == NULL || gateway->gate_keep_fds == NULL)
		return ERROR_NO_MEMORY;
	memset(gateway->shards, 0, shards * sizeof(*gateway->shards));
	memset(gateway->gates, 0, gateway->gate_count * sizeof(*gateway->gates));
	memset(gateway->mailboxes, 0, shards * sizeof(*gateway->mailboxes));
	memset(gateway->boards, 0, shards * sizeof(*gateway->boards));
	memset(gateway->quota, 0, shards * sizeof(*gateway->quota));
	for (uint16_t i = 0; i < shards; i++) {
		if (mailbox_open(&gateway->mailboxes[i]) != ERROR_OK ||
		    fdpass_open(gateway->admission_pairs[i]) != ERROR_OK)
			return ERROR_SYSTEM;
	}
	gateway->access = access_new(&gateway->settings->access, &gateway->key, gateway->mailboxes, shards);
	return gateway->access != NULL ? ERROR_OK : ERROR_LIMIT;
}

static void sum_counters(const void *gateway, struct counters *sum)
{
	gateway_counters(gateway, sum);
}

static enum error make_shard(struct gateway *gateway, uint16_t number)
{
	struct shard *shard = &gateway->shards[number];
	int *keep_fds = gateway->shard_keep_fds + (size_t)number * (gateway->shard_count + 1u);
	for (uint16_t i = 0; i < gateway->shard_count; i++)
		keep_fds[i] = gateway->mailboxes[i].waker.fd;
	keep_fds[gateway->shard_count] = gateway->admission_pairs[number][1];
	shard->env.settings = gateway->settings;
	shard->shared.settings_view.feed = &gateway->feed;
	shard->env.mailboxes = gateway->mailboxes;
	shard->env.boards = gateway->boards;
	/* Shards that share a table share a quota. */
	shard->env.quota = &gateway->quota[gateway->settings->private_tables ? number : 0];
	const struct layout_fixed *fixed = &gateway->layout.fixed;
	shard->env.fixed = (struct fixed_plan){.sockets = fixed->sockets,
					       .ring_slots = fixed->ring_slots,
					       .first_descriptor = fixed->first_descriptor};
	shard->env.index = gateway->index;
	shard->env.retained = gateway->retained;
	shard->env.addresses = gateway->addresses;
	shard->env.access = gateway->access;
	shard->env.sessions_offline = &gateway->sessions_offline;
	shard->env.sum_counters = sum_counters;
	shard->env.sum_context = gateway;
	shard->env.keep_fds = keep_fds;
	shard->env.keep_count = gateway->shard_count + 1u;
	shard->env.admissions_fd = gateway->admission_pairs[number][1];
	shard->env.number = number;
	shard->env.shard_count = gateway->shard_count;
	return shard_open(shard);
}

/* gate_keep_fds begins with the sending ends in the order of the shards, so it also serves as admission_fds. */
static enum error make_gate(struct gateway *gateway, uint16_t number)
{
	struct gate *gate = &gateway->gates[number];
	gate->settings = gateway->settings;
	gate->settings_view.feed = &gateway->feed;
	gate->key = &gateway->key;
	gate->addresses = gateway->addresses;
	gate->access = gateway->access;
	gate->password_workers = gateway->password_workers;
	gate->shards = gateway->shards;
	gate->shard_count = gateway->shard_count;
	gate->gates = gateway->gates;
	gate->gate_count = gateway->gate_count;
	gate->number = number;
	gate->admission_fds = gateway->gate_keep_fds;
	gate->keep_fds = gateway->gate_keep_fds;
	return gate_open(gate);
}

static void list_gate_keep_fds(struct gateway *gateway)
{
	size_t count = 0;
	for (uint16_t i = 0; i < gateway->shard_count; i++)
		gateway->gate_keep_fds[count++] = gateway->admission_pairs[i][0];
	for (uint32_t i = 0; i < gateway->settings->listener_count; i++)
		gateway->gate_keep_fds[count++] = gateway->settings->listeners[i].fd;
	for (uint16_t i = 0; i < gateway->gate_count; i++)
		gateway->gate_keep_fds[count++] = gateway->gates[i].waker.fd;
	CHECK_LE(count, 2u * gateway->shard_count + SETTINGS_LISTENERS_MAX + gateway->gate_count); /* make_shared() */
	for (uint16_t i = 0; i < gateway->gate_count; i++)
		gateway->gates[i].keep_count = count;
}

static enum error make_password_workers(struct gateway *gateway)
{
	if (!access_has_passwords(gateway->access))
		return ERROR_OK;
	gateway->password_workers = password_workers_new();
	return gateway->password_workers != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

static enum error make_parts(struct gateway *gateway)
{
	enum error error = make_shared(gateway);
	if (error == ERROR_OK)
		error = make_password_workers(gateway);
	for (uint16_t i = 0; i < gateway->shard_count && error == ERROR_OK; i++) {
		gateway->quota[i].limit = gateway->layout.quota;
		gateway->quota[i].spare = QUOTA_SPARE_OF_PER_TABLE;
		gateway->quota[i].whole = &gateway->whole;
		error = make_shard(gateway, i);
	}
	for (uint16_t i = 0; i < gateway->gate_count && error == ERROR_OK; i++)
		error = make_gate(gateway, i);
	if (error == ERROR_OK)
		list_gate_keep_fds(gateway);
	if (error != ERROR_OK)
		log_write(LOG_ERROR, "cannot start: %s: %s", error_sentence(error), strerror(errno));
	return error;
}

/* ---- starting ---- */

/* Waits until a thread has set up its descriptor table. The table that it copies must not change until then. */
static enum error await_start(const _Atomic bool *started, const _Atomic bool *failed)
{
	while (!atomic_load(started))
		sched_yield();
	return atomic_load(failed) ? ERROR_SYSTEM : ERROR_OK;
}

/* Password workers use the main thread's table, of which they need only the gates' wakers. */
static enum error start_password_workers(struct gateway *gateway)
{
	if (gateway->password_workers == NULL)
		return ERROR_OK;
	uint32_t threads = gateway->settings->access.password_threads;
	if (threads == 0)
		threads = (core_count() + 1) / 2;
	return password_workers_start(gateway->password_workers,
				      threads < PASSWORD_THREADS_MAX ? threads : PASSWORD_THREADS_MAX);
}

static enum error start_threads(struct gateway *gateway)
{
	reader_start_deferring();
	if (start_password_workers(gateway) != ERROR_OK)
		return ERROR_SYSTEM;
	for (uint16_t i = 0; i < gateway->shard_count; i++) {
		struct shard *shard = &gateway->shards[i];
		if (shard_start(shard) != ERROR_OK ||
		    await_start(&shard->shared.started, &shard->shared.failed) != ERROR_OK)
			return ERROR_SYSTEM;
	}
	for (uint16_t i = 0; i < gateway->gate_count; i++) {
		struct gate *gate = &gateway->gates[i];
		if (gate_start(gate) != ERROR_OK || await_start(&gate->started, &gate->failed) != ERROR_OK)
			return ERROR_SYSTEM;
	}
	return ERROR_OK;
}

/* Closes the main thread's copies of descriptors that the threads hold in their own tables. */
static void close_copies(struct gateway *gateway)
{
	for (uint16_t i = 0; i < gateway->shard_count; i++) {
		close(gateway->admission_pairs[i][0]);
		close(gateway->admission_pairs[i][1]);
	}
	for (uint32_t i = 0; i < gateway->settings->listener_count; i++)
		listener_close_copy(&gateway->settings->listeners[i]);
}

static void log_start(const struct gateway *gateway)
{
	const struct settings *settings = gateway->settings;
	const struct layout *layout = &gateway->layout;
	if (!settings->private_tables)
		log_write(LOG_WARNING, "private descriptor tables are %s: all threads share one of %lu",
			  gateway->tables_refused ? "refused by the kernel or the container" : "switched off",
			  layout->table);
	log_write(LOG_INFO, "gates: %u, shards: %u, places for connections: %lu", gateway->gate_count,
		  gateway->shard_count, layout->capacity);
	if (layout->fixed.sockets != 0)
		log_write(LOG_INFO, "sockets beyond a table of %lu descriptors go to io_uring's tables", layout->table);
	enum access_anonymous anonymous = access_anonymous(&settings->access);
	if (settings->access.anonymous == ANONYMOUS_AUTO && anonymous == ANONYMOUS_NEVER)
		log_write(LOG_INFO,
			  "every client has to sign in; --anonymous loopback exempts clients of this machine, "
			  "and those of a proxy on it");
	for (uint32_t i = 0; i < settings->listener_count; i++) {
		const struct listener *listener = &settings->listeners[i];
		log_write(LOG_INFO, "listening on %s", listener->url);
		if (!listener->loopback && !access_has_sign_in(gateway->access) && anonymous != ANONYMOUS_ALWAYS)
			log_write(LOG_WARNING,
				  "%s is not a loopback address: clients are refused there, because no sign-in is "
				  "configured and anonymous clients may use loopback listeners only",
				  listener->url);
	}
	log_write(LOG_INFO, "ready");
}

static enum error plan(struct gateway *gateway)
{
	struct settings *settings = gateway->settings;
	if (settings->private_tables && !fdtable_can_detach()) {
		settings->private_tables = false;
		gateway->tables_refused = true;
	}
	settings->fixed_files = settings->fixed_files && poller_outlives_descriptors() && fixed_files_work();
	enum error error = layout_plan(&gateway->layout, settings, fdtable_raise_limit(), core_count());
	CHECK_LE(gateway->layout.shards, UINT16_MAX);
	CHECK(settings->gates > 0 && settings->gates <= UINT16_MAX);
	gateway->shard_count = (uint16_t)gateway->layout.shards;
	gateway->gate_count = (uint16_t)settings->gates;
	return error;
}

static enum error gateway_assemble(struct gateway *gateway)
{
	enum error error = plan(gateway);
	if (error == ERROR_OK)
		error = make_parts(gateway);
	if (error != ERROR_OK)
		return error;
	error = start_threads(gateway);
	if (error != ERROR_OK)
		log_write(LOG_ERROR, "cannot start the threads: %s", strerror(errno));
	return error;
}

struct gateway *gateway_start(struct settings *settings)
{
	if (listeners_open(settings) != ERROR_OK)
		return NULL;
	struct gateway *gateway = aligned_alloc(64, sizeof(*gateway));
	if (gateway == NULL)
		return NULL;
	memset(gateway, 0, sizeof(*gateway));
	gateway->settings = settings;
	atomic_init(&gateway->feed.current, settings);
	gateway->whole.spare = QUOTA_SPARE_OF_ALL;
	gateway->whole.limit = settings->connections != 0 ? settings->connections : UINT32_MAX;
	if (gateway_assemble(gateway) != ERROR_OK) {
		/* The process exits, so nothing is freed. */
		return NULL;
	}
	if (gateway->settings->private_tables)
		close_copies(gateway);
	log_start(gateway);
	return gateway;
}

/* ---- stopping ---- */

uint64_t gateway_stop(struct gateway *gateway)
{
	uint64_t until_ms = clock_now_ms() + gateway_settings(gateway)->drain_ms;
	for (uint16_t i = 0; i < gateway->gate_count; i++)
		gate_stop(&gateway->gates[i]);
	for (uint16_t i = 0; i < gateway->gate_count; i++)
		pthread_join(gateway->gates[i].thread, NULL);
	if (gateway->password_workers != NULL)
		password_workers_stop(gateway->password_workers);
	for (uint16_t i = 0; i < gateway->shard_count; i++)
		shard_stop(&gateway->shards[i], until_ms);
	for (uint16_t i = 0; i < gateway->shard_count; i++)
		pthread_join(gateway->shards[i].loop.thread, NULL);

	struct counters sum = {0};
	gateway_counters(gateway, &sum);
	return atomic_load(&sum.values[COUNTER_connections_open]);
}

void gateway_free(struct gateway *gateway)
{
	if (gateway->password_workers != NULL)
		password_workers_free(gateway->password_workers);
	for (uint16_t i = 0; i < gateway->gate_count; i++)
		gate_close(&gateway->gates[i]);
	for (uint16_t i = 0; i < gateway->shard_count; i++)
		shard_close(&gateway->shards[i]);
	for (uint16_t i = 0; i < gateway->shard_count; i++)
		mailbox_close(&gateway->mailboxes[i]);
	index_free(gateway->index);
	retained_free(gateway->retained);
	addresses_free(gateway->addresses);
	access_free(gateway->access);
	free(gateway->shards);
	free(gateway->gates);
	free(gateway->mailboxes);
	free(gateway->boards);
	free(gateway->quota);
	free(gateway->admission_pairs);
	free(gateway->shard_keep_fds);
	free(gateway->gate_keep_fds);
	free(gateway->feed.owned);
	free(gateway);
}

struct gateway_parts gateway_parts(const struct gateway *gateway)
{
	return (struct gateway_parts){
		.shards = gateway->shards,
		.gates = gateway->gates,
		.mailboxes = gateway->mailboxes,
		.index = gateway->index,
		.retained = gateway->retained,
		.key = &gateway->key,
		.feed = (struct settings_feed *)&gateway->feed,
		.table_descriptors = gateway->layout.table,
		.packet_bytes_max = gateway->settings->packet_bytes_max,
		.shard_count = gateway->shard_count,
		.gate_count = gateway->gate_count,
		.private_tables = gateway->settings->private_tables,
	};
}

void gateway_counters(const struct gateway *gateway, struct counters *sum)
{
	for (uint16_t i = 0; i < gateway->gate_count; i++)
		counters_add(sum, &gateway->gates[i].counters);
	for (uint16_t i = 0; i < gateway->shard_count; i++)
		counters_add(sum, &gateway->shards[i].counters);
	uint32_t extra_count = atomic_load(&gateway->extra_count);
	for (uint32_t i = 0; i < extra_count; i++)
		counters_add(sum, atomic_load(&gateway->extra_counters[i]));
}

struct access *gateway_access(struct gateway *gateway)
{
	return gateway->access;
}

void gateway_count_also(struct gateway *gateway, const struct counters *counters)
{
	uint32_t count = atomic_load(&gateway->extra_count);
	CHECK(count < GATEWAY_COUNTERS_MAX);
	atomic_store(&gateway->extra_counters[count], counters);
	atomic_store(&gateway->extra_count, count + 1);
}
