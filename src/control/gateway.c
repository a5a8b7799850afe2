#include "control/gateway.h"

#include "access/access.h"
#include "access/addresses.h"
#include "access/authority.h"
#include "access/password_workers.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "cluster/common/key.h"
#include "control/gateway_state.h"
#include "control/heritage.h"
#include "control/internal.h"
#include "gate/gate.h"
#include "gate/listeners.h"
#include "reactor/fdpass.h"
#include "reactor/fdtable.h"
#include "runtime/nodes/node_filters.h"
#include "runtime/nodes/node_mail.h"
#include "runtime/settings/settings_feed.h"
#include "shard/freeze/freeze.h"
#include "shard/loop.h"
#include "state/shard.h"
#include "topics/index/index.h"
#include "topics/index/rcu.h"
#include "topics/retained_changes.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <unistd.h>

/* Addresses counted at one time. Memory is taken as they appear. */
#define ADDRESSES_MAX (1u << 22)
/* Clients that come back have two sockets for a moment. */
#define FIXED_SPARE 1024u
/* The kernel keeps an array of so many places for each ring. */
#define FIXED_RING_SLOTS_MAX 32768u

/* All wakers of shards and that of the nodes thread, and its end of the pair. */
#define SHARD_KEEP_FDS_MAX(gateway) ((gateway)->shard_count + 2u)

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

static size_t gate_keep_fds_max(const struct gateway *gateway)
{
	return 2u * gateway->shard_count + SETTINGS_LISTENERS_MAX + gateway->gate_count + 2u;
}

/* In a cluster each retained message has a stamp. */
static enum error stamp_retained(struct gateway *gateway, const struct arena *shared)
{
	const struct settings *settings = gateway->settings;
	struct slice cluster = slice_string(settings->cluster.name);
	struct hash_key key = cluster_key(cluster, CLUSTER_KEY_RETAINED);
	return retained_stamp(gateway->retained, &key, cluster_node_hash(cluster, slice_string(settings->node)),
			      shared);
}

/* Where the configuration has a cluster. Memory of a program that was in none lacks what the index needs for one: which
 * filters only Roost's own clients have. */
static enum error join_cluster(struct gateway *gateway, struct arena *shared)
{
	const struct cluster_settings *cluster = &gateway->settings->cluster;
	if (!cluster_is_on(cluster))
		return ERROR_OK;
	gateway->nodes = node_port_new(gateway->mailboxes, gateway->shard_count, cluster->name);
	if (gateway->nodes == NULL)
		return ERROR_SYSTEM;
	struct index_watcher watcher = {node_filters_changed, gateway->nodes->filters};
	atomic_store(&gateway->nodes->filters->held, true); /* until the nodes thread runs */
	if (index_watch(gateway->index, &watcher, cluster->prefers_local, shared) == ERROR_OK)
		return stamp_retained(gateway, shared);
	log_write(LOG_WARNING,
		  "cluster-nats has no effect until a restart: the program before this one was in no cluster");
	node_port_free(gateway->nodes);
	gateway->nodes = NULL;
	return ERROR_OK;
}

static enum error make_shared(struct gateway *gateway)
{
	/* Stored sessions know their tokens by hashes of this key. */
	if (!gateway->is_heir)
		gateway->key = gateway->storage.store != NULL ? storage_key(&gateway->storage) : hash_key_random();
	uint16_t shards = gateway->shard_count;
	struct arena *shared = gateway->has_root ? &gateway->arenas[shards] : NULL;
	gateway->index = index_new(shards, &gateway->key, shared);
	gateway->addresses = addresses_new(&gateway->key, ADDRESSES_MAX, shared);
	gateway->retained = retained_new(&gateway->key, gateway->settings->retained_max,
					 gateway->settings->retained_bytes_max, shared);
	gateway->shards = aligned_alloc(64, shards * sizeof(*gateway->shards));
	gateway->gates = aligned_alloc(64, gateway->gate_count * sizeof(*gateway->gates));
	gateway->mailboxes =
		aligned_alloc(64, (shards + 1u) * sizeof(*gateway->mailboxes));        /* and the nodes thread's */
	gateway->boards = aligned_alloc(64, (shards + 1u) * sizeof(*gateway->boards)); /* likewise */
	gateway->quota = aligned_alloc(64, shards * sizeof(*gateway->quota));
	gateway->origin_takers = calloc(shards + 1u, sizeof(*gateway->origin_takers));
	gateway->admission_pairs = calloc(shards, sizeof(*gateway->admission_pairs));
	gateway->shard_keep_fds = calloc((size_t)shards * SHARD_KEEP_FDS_MAX(gateway), sizeof(int));
	gateway->gate_keep_fds = calloc(gate_keep_fds_max(gateway), sizeof(int));
	if (gateway->index == NULL || gateway->retained == NULL || gateway->addresses == NULL ||
	    gateway->shards == NULL || gateway->gates == NULL || gateway->mailboxes == NULL ||
	    gateway->boards == NULL || gateway->origin_takers == NULL || gateway->quota == NULL ||
	    gateway->admission_pairs == NULL || gateway->shard_keep_fds == NULL || gateway->gate_keep_fds == NULL)
		return ERROR_NO_MEMORY;
	memset(gateway->shards, 0, shards * sizeof(*gateway->shards));
	memset(gateway->gates, 0, gateway->gate_count * sizeof(*gateway->gates));
	memset(gateway->mailboxes, 0, (shards + 1u) * sizeof(*gateway->mailboxes));
	memset(gateway->boards, 0, (shards + 1u) * sizeof(*gateway->boards));
	memset(gateway->quota, 0, shards * sizeof(*gateway->quota));
	for (uint16_t i = 0; i < shards; i++) {
		if (mailbox_open(&gateway->mailboxes[i]) != ERROR_OK ||
		    fdpass_open(gateway->admission_pairs[i]) != ERROR_OK)
			return ERROR_SYSTEM;
	}
	if (join_cluster(gateway, shared) != ERROR_OK)
		return ERROR_SYSTEM;
	if (internal_open(gateway) != ERROR_OK)
		return ERROR_SYSTEM;
	gateway->access = access_new(&gateway->settings->access, &gateway->key, gateway->mailboxes, shards);
	return gateway->access != NULL ? ERROR_OK : ERROR_LIMIT;
}

static void sum_counters(const void *gateway, struct counters *sum)
{
	gateway_counters(gateway, sum);
}

/* Where they work there is a place for every client, because the descriptor table of a shard ends with its thread
 * (gateway_freeze()). Rings are made as they are needed. */
static struct fixed_plan plan_fixed_files(const struct gateway *gateway)
{
	const struct layout *layout = &gateway->layout;
	if (layout->fixed.sockets != 0)
		return (struct fixed_plan){.sockets = layout->quota + FIXED_SPARE,
					   .ring_slots = layout->fixed.ring_slots,
					   .first_descriptor = layout->fixed.first_descriptor};
	if (!gateway->settings->fixed_files || !gateway->settings->private_tables)
		return (struct fixed_plan){.sockets = 0};
	uint64_t slots = layout->table < FIXED_RING_SLOTS_MAX ? layout->table : FIXED_RING_SLOTS_MAX;
	return (struct fixed_plan){
		.sockets = layout->quota + FIXED_SPARE, .ring_slots = (uint32_t)slots, .first_descriptor = INT_MAX};
}

static enum error make_shard(struct gateway *gateway, uint16_t number)
{
	struct shard *shard = &gateway->shards[number];
	size_t keep_count = 0;
	int *keep_fds = gateway->shard_keep_fds + (size_t)number * SHARD_KEEP_FDS_MAX(gateway);
	for (uint16_t i = 0; i < gateway->shard_count; i++)
		keep_fds[keep_count++] = gateway->mailboxes[i].waker.fd;
	keep_fds[keep_count++] = gateway->admission_pairs[number][1];
	if (gateway->nodes != NULL)
		keep_fds[keep_count++] = gateway->nodes->waker.fd;
	shard->env.settings = gateway->settings;
	shard->shared.settings_view.feed = &gateway->feed;
	shard->env.mailboxes = gateway->mailboxes;
	shard->env.boards = gateway->boards;
	/* Shards that share a table share a quota. */
	shard->env.quota = &gateway->quota[gateway->settings->private_tables ? number : 0];
	shard->env.fixed = plan_fixed_files(gateway);
	shard->env.index = gateway->index;
	shard->env.retained = gateway->retained;
	shard->env.addresses = gateway->addresses;
	shard->env.access = gateway->access;
	shard->env.nodes = gateway->nodes;
	shard->env.origin_takers = gateway->origin_takers;
	shard->env.sessions_offline = &gateway->sessions_offline;
	shard->env.checkpoints_begun = &gateway->checkpoints_begun;
	shard->env.sum_counters = sum_counters;
	shard->env.sum_context = gateway;
	shard->env.keep_fds = keep_fds;
	shard->env.keep_count = keep_count;
	shard->env.admissions_fd = gateway->admission_pairs[number][1];
	shard->env.arena = gateway->has_root ? &gateway->arenas[number] : NULL;
	shard->env.number = number;
	shard->env.shard_count = gateway->shard_count;
	storage_attach(&gateway->storage, &shard->env);
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
	gate->tls_contexts = &gateway->tls.contexts;
	gate->password_workers = gateway->password_workers;
	gate->authority = gateway->authority;
	gate->shards = gateway->shards;
	gate->shard_count = gateway->shard_count;
	gate->gates = gateway->gates;
	gate->gate_count = gateway->gate_count;
	gate->number = number;
	gate->admission_fds = gateway->gate_keep_fds;
	gate->keep_fds = gateway->gate_keep_fds;
	gate->internal_fd = number == 0 ? gateway->internal_pair[1] : -1;
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
	gateway->gate_keep_fds[count++] = gateway->internal_pair[1];
	if (gateway->authority != NULL)
		gateway->gate_keep_fds[count++] = authority_waker(gateway->authority)->fd;
	CHECK_LE(count, gate_keep_fds_max(gateway)); /* make_shared() */
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

static enum error make_authority(struct gateway *gateway)
{
	if (!access_has_authority(gateway->access))
		return ERROR_OK;
	gateway->authority = authority_new(&gateway->settings->access);
	return gateway->authority != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

static enum error make_parts(struct gateway *gateway)
{
	enum error error = heritage_open_arenas(gateway);
	if (error == ERROR_OK)
		error = make_shared(gateway);
	if (error == ERROR_OK)
		error = make_password_workers(gateway);
	if (error == ERROR_OK)
		error = make_authority(gateway);
	for (uint16_t i = 0; i < gateway->shard_count && error == ERROR_OK; i++) {
		gateway->quota[i].limit = gateway->layout.quota;
		gateway->quota[i].spare = QUOTA_SPARE_OF_PER_TABLE;
		gateway->quota[i].whole = &gateway->whole;
		error = make_shard(gateway, i);
	}
	for (uint16_t i = 0; i < gateway->gate_count && error == ERROR_OK; i++)
		error = make_gate(gateway, i);
	if (error == ERROR_OK)
		error = heritage_adopt_parts(gateway);
	if (error == ERROR_OK)
		list_gate_keep_fds(gateway);
	if (error != ERROR_OK)
		log_write(LOG_ERROR, "cannot start: %s: %s", error_sentence(error), strerror(errno));
	return error;
}

/* ---- starting ---- */

enum error gateway_await_start(const _Atomic bool *started, const _Atomic bool *failed)
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
		bool resumes = shard->shared.freeze.resumes;
		if (shard_start(shard) != ERROR_OK ||
		    gateway_await_start(&shard->shared.started, &shard->shared.failed) != ERROR_OK)
			return ERROR_SYSTEM;
		if (resumes)
			freeze_close_copies(shard);
	}
	for (uint16_t i = 0; i < gateway->gate_count; i++) {
		struct gate *gate = &gateway->gates[i];
		if (gate_start(gate) != ERROR_OK || gateway_await_start(&gate->started, &gate->failed) != ERROR_OK)
			return ERROR_SYSTEM;
	}
	return ERROR_OK;
}

/* Where no sign-in is configured, only clients of this machine are let in. */
static void warn_of_refusals(const struct settings *settings, const struct listener *listener)
{
	const struct listener_settings *own = &settings->listener_settings[listener->settings];
	if (own->client_certificates != TLS_CLIENTS_NONE && own->certificate_names != CERTIFICATE_NAMES_NOTHING)
		return; /* the name in a certificate is a sign-in */
	if (!listener->loopback)
		log_write(LOG_WARNING,
			  "%s is not a loopback address: clients are refused there, because no sign-in is "
			  "configured and anonymous clients may use loopback listeners only",
			  listener->url);
	else if (own->proxy_count != 0 || own->proxy_all_unix)
		log_write(LOG_WARNING,
			  "%s: clients that a proxy brings from elsewhere are refused there, because no sign-in is "
			  "configured and anonymous clients must be of this machine",
			  listener->url);
}

static void log_start(const struct gateway *gateway)
{
	const struct settings *settings = gateway->settings;
	const struct layout *layout = &gateway->layout;
	if (!settings->private_tables)
		log_write(LOG_WARNING, "private descriptor tables are %s: all threads share one of %lu",
			  gateway->tables_refused ? "refused by the kernel or the container" : "switched off",
			  layout->table);
	log_always(LOG_INFO, "gates: %u, shards: %u, places for connections: %lu", gateway->gate_count,
		   gateway->shard_count, layout->capacity);
	if (layout->fixed.sockets != 0)
		log_write(LOG_INFO, "sockets beyond a table of %lu descriptors go to io_uring's tables", layout->table);
	enum access_anonymous anonymous = access_anonymous(&settings->access);
	if (settings->access.anonymous == ANONYMOUS_AUTO && anonymous == ANONYMOUS_NEVER)
		log_write(LOG_INFO,
			  "every client has to sign in; --anonymous loopback exempts clients of this machine, "
			  "and those of a proxy on it that does not say where they come from");
	for (uint32_t i = 0; i < settings->listener_count; i++) {
		log_always(LOG_INFO, "listening on %s", settings->listeners[i].url);
		if (!access_has_sign_in(gateway->access) && anonymous != ANONYMOUS_ALWAYS)
			warn_of_refusals(settings, &settings->listeners[i]);
	}
	storage_log_promise(&gateway->storage);
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

static enum error open_storage(struct gateway *gateway)
{
	struct store_refusal refusal;
	struct memory_root *root = gateway->has_root ? &gateway->memory.root : NULL;
	const struct store_options *options = &gateway->settings->store;
	const struct cluster_settings *cluster = &gateway->settings->cluster;
	gateway->storage.is_followed = cluster_is_on(cluster) && cluster->replicas != 0;
	if (!gateway->is_heir)
		return storage_open(&gateway->storage, options, gateway->shard_count, root);
	enum error error = storage_continue(&gateway->storage, options, gateway->shard_count, root, &refusal);
	if (error != ERROR_OK)
		log_write(LOG_ERROR, "store %s: %s", options->directory, refusal.why);
	return error;
}

static enum error begin_storage(struct gateway *gateway, store_progress progress, void *context)
{
	if (gateway->is_heir)
		return ERROR_OK;
	enum error error = storage_recover(&gateway->storage, gateway->shards, &gateway->key, progress, context);
	return error == ERROR_OK ? storage_start(&gateway->storage, gateway->mailboxes) : error;
}

static enum error gateway_assemble(struct gateway *gateway)
{
	enum error error = plan(gateway);
	if (error == ERROR_OK)
		heritage_check_table(gateway);
	if (error == ERROR_OK)
		error = open_storage(gateway);
	/* Behind the store, whose directory may have files for it. */
	if (error == ERROR_OK && !tls_keeper_open(&gateway->tls, gateway->settings))
		error = ERROR_LIMIT;
	return error == ERROR_OK ? make_parts(gateway) : error;
}

struct gateway *gateway_new(struct settings *settings, int root_fd)
{
	struct gateway *gateway = aligned_alloc(64, sizeof(*gateway));
	if (gateway == NULL)
		return NULL;
	memset(gateway, 0, sizeof(*gateway));
	gateway->settings = settings;
	if (root_fd < 0)
		heritage_make(gateway);
	if ((root_fd >= 0 && heritage_adopt(gateway, settings, root_fd) != ERROR_OK) ||
	    listeners_open(settings, gateway->inherited, gateway->inherited_count) != ERROR_OK) {
		free(gateway);
		return NULL;
	}
	atomic_init(&gateway->feed.current, settings);
	gateway->whole.spare = QUOTA_SPARE_OF_ALL;
	gateway->whole.limit = settings->connections != 0 ? settings->connections : UINT32_MAX;
	if (gateway_assemble(gateway) == ERROR_OK)
		return gateway;
	/* The process exits, so parts that were made are not freed. What the previous program is to go on with stays
	 * as it is. */
	if (gateway->is_heir)
		return NULL;
	listeners_end(settings);
	storage_close(&gateway->storage);
	free(gateway);
	return NULL;
}

bool gateway_start(struct gateway *gateway, store_progress progress, void *context)
{
	if (gateway->is_heir)
		heritage_keep(gateway, false);
	if (begin_storage(gateway, progress, context) != ERROR_OK)
		return false;
	/* A store that goes on is touched last: as long as nothing is written the previous program could take it back.
	 */
	if (start_threads(gateway) != ERROR_OK ||
	    (gateway->is_heir && storage_go_on(&gateway->storage, gateway->mailboxes) != ERROR_OK)) {
		log_write(LOG_ERROR, "cannot start the threads: %s", strerror(errno));
		return false;
	}
	if (listeners_begin(gateway->settings) != ERROR_OK && !gateway->is_heir) {
		listeners_end(gateway->settings);
		return false;
	}
	heritage_settle(gateway);
	tls_keeper_watch(&gateway->tls);
	log_start(gateway);
	return true;
}

/* ---- stopping ---- */

uint64_t gateway_stop(struct gateway *gateway, bool *kept)
{
	uint64_t until_ms = clock_now_ms() + gateway_settings(gateway)->drain_ms;
	for (uint16_t i = 0; i < gateway->gate_count; i++)
		gate_stop(&gateway->gates[i]);
	for (uint16_t i = 0; i < gateway->gate_count; i++)
		pthread_join(gateway->gates[i].thread, NULL);
	/* The kernel refuses connections from now on. */
	for (uint32_t i = 0; i < gateway->settings->listener_count; i++)
		listener_close_copy(&gateway->settings->listeners[i]);
	listeners_end(gateway->settings);
	if (gateway->password_workers != NULL)
		password_workers_stop(gateway->password_workers);
	for (uint16_t i = 0; i < gateway->shard_count; i++)
		shard_stop(&gateway->shards[i], until_ms);
	for (uint16_t i = 0; i < gateway->shard_count; i++)
		pthread_join(gateway->shards[i].loop.thread, NULL);
	*kept = storage_stop(&gateway->storage);

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
	authority_free(gateway->authority);
	for (uint16_t i = 0; i < gateway->shard_count; i++)
		shard_close(&gateway->shards[i]);
	for (uint16_t i = 0; i < gateway->shard_count; i++)
		mailbox_close(&gateway->mailboxes[i]);
	node_port_free(gateway->nodes);
	internal_close(gateway);
	storage_close(&gateway->storage);
	index_free(gateway->index);
	retained_free(gateway->retained);
	addresses_free(gateway->addresses);
	access_free(gateway->access);
	tls_keeper_close(&gateway->tls);
	heritage_close(gateway);
	free(gateway->shards);
	free(gateway->gates);
	free(gateway->mailboxes);
	free(gateway->boards);
	free(gateway->quota);
	free(gateway->origin_takers);
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
		.boards = gateway->boards,
		.index = gateway->index,
		.retained = gateway->retained,
		.key = &gateway->key,
		.nodes = gateway->nodes,
		.store = gateway->storage.store,
		.feed = (struct settings_feed *)&gateway->feed,
		.tls = (struct tls_keeper *)&gateway->tls,
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

bool gateway_store_figures(const struct gateway *gateway, struct store_figures *figures)
{
	if (gateway->storage.store == NULL)
		return false;
	store_figures(gateway->storage.store, figures);
	return true;
}

struct access *gateway_access(struct gateway *gateway)
{
	return gateway->access;
}

struct authority *gateway_authority(struct gateway *gateway)
{
	return gateway->authority;
}

uint16_t gateway_gate_waker_fds(const struct gateway *gateway, int *fds)
{
	for (uint16_t i = 0; i < gateway->gate_count && fds != NULL; i++)
		fds[i] = gateway->gates[i].waker.fd;
	return gateway->gate_count;
}

struct tls_keeper *gateway_tls(struct gateway *gateway)
{
	return &gateway->tls;
}

void gateway_count_also(struct gateway *gateway, const struct counters *counters)
{
	uint32_t count = atomic_load(&gateway->extra_count);
	CHECK(count < GATEWAY_COUNTERS_MAX);
	atomic_store(&gateway->extra_counters[count], counters);
	atomic_store(&gateway->extra_count, count + 1);
}
