#include "shard_scene.h"

#include "access/addresses.h"
#include "access/admission.h"
#include "base/clock.h"
#ifdef SCENE_CONVERTS
#include "layout/conversion.h"
#include "layout/layout_text.h"
#include "layout/memory_layout.h"
#include "shifted_layout.h"
#endif
#include "reactor/fdpass.h"
#include "runtime/nodes/node_filters.h"
#include "runtime/nodes/node_mail.h"
#include "stored_model.h"
#include "topics/index/rcu.h"
#include "tries.h"

#include <stdio.h>
#include <sys/socket.h>

const struct scene_kind SCENE_KIND = {
#ifdef SCENE_EVICTS
	.evicts = true,
#endif
#ifdef SCENE_CONVERTS
	.converts = true,
#endif
};

static uint64_t scene_now_ms = SCENE_START_MS;
static uint64_t scene_stalled_ms;
static int64_t scene_wall_offset_s;
static int64_t scene_wall_began_s; /* with the monotonic clock, after a crash */
static int scene_sleep_ms;         /* of the last turn, had it been a thread's */
static void (*scene_before_sleep)(void *context);
static void *scene_before_sleep_context;

static uint64_t clock_of_scene(void)
{
	return scene_now_ms * 1000000u;
}

static int64_t wall_of_scene(void)
{
	return SCENE_WALL_S + scene_wall_began_s + (int64_t)(scene_now_ms / 1000) + scene_wall_offset_s;
}

/* The scene's time is its shards' own, but for stalls of the machine. */
static uint64_t ran_of_scene(void)
{
	return (scene_now_ms - scene_stalled_ms) * 1000000u;
}

static int poll_without_sleep(struct poller *poller, struct poller_event *events, int count, int timeout_ms)
{
	scene_sleep_ms = timeout_ms;
	return poller_wait(poller, events, count, 0);
}

/* Another thread may do something at any moment: at this one it is easily missed. */
static void sleep_of_scene(struct waker *waker)
{
	if (scene_before_sleep != NULL)
		scene_before_sleep(scene_before_sleep_context);
	waker_sleep(waker);
}

/* The shard itself, with its clock and its sleep in the test's hands. Included rather than linked: a turn is private to
 * loop.c, reads the time once, and sleeps in one place, so that there is no seam to pay for in the server. */
#define clock_now_ns clock_of_scene
#define clock_ran_ns ran_of_scene
#define clock_wall_s wall_of_scene
#define poller_wait poll_without_sleep
#define waker_sleep sleep_of_scene
#include "shard/loop.c" /* NOLINT(bugprone-suspicious-include) */
#undef clock_now_ns
#undef clock_ran_ns
#undef clock_wall_s
#undef poller_wait
#undef waker_sleep

#define SETTLED_TURNS 3
#define TURNS_MAX 100000

static void shard_begin(struct shard_scene *scene, uint16_t number)
{
	struct shard *shard = &scene->shards[number];
	*shard = (struct shard){
		.env.settings = &scene->settings,
		.env.mailboxes = scene->mailboxes,
		.env.nodes = scene->nodes,
		.env.boards = scene->boards,
		.env.quota = &scene->quota,
		.env.index = scene->index,
		.env.retained = scene->retained,
		.env.addresses = scene->addresses,
		.env.access = scene->access,
		.env.origin_takers = scene->origin_takers,
		.env.sessions_offline = &scene->sessions_offline,
		.env.checkpoints_begun = &scene->checkpoints_begun,
		.env.number = number,
		.env.journal_events = scene->events != NULL ? scene->events : &JOURNAL_MODEL_EVENTS,
		.env.journal_safety = scene->commits ? &JOURNAL_MODEL_SAFETY : NULL,
		.env.journal_context = &scene->records[number],
		.env.journal_checkpoints = &JOURNAL_MODEL_CHECKPOINTS,
		.env.shard_count = scene->shard_count,
	};
#ifdef SCENE_EVICTS
	bool has_source = true;
#else
	bool has_source = scene->is_restored;
#endif
	if (has_source) {
		shard->env.message_source = &BODY_SOURCE;
		shard->env.message_source_context = &scene->sources[number];
	}
	journal_record_begin(&scene->journal, number, shard);
	body_source_begin(&scene->sources[number], &scene->records[number]);
	CHECK(fdpass_open(scene->pairs[number]) == ERROR_OK);
	shard->env.admissions_fd = scene->pairs[number][1];
#ifdef SCENE_ARENA
	char name[ROOT_NAME_BYTES];
	snprintf(name, sizeof(name), "shard %u", number);
	CHECK(arena_open(&scene->arenas[number], &scene->root, name) == ERROR_OK);
	shard->env.arena = &scene->arenas[number];
#endif
	CHECK(shard_open(shard) == ERROR_OK);
#ifdef SCENE_ARENA
	/* All that it has of clients and sessions can be found again. */
	static const char *const NAMES[] = {"slab", "clients", "registry", "subscriptions", "flow entries", "acks"};
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
		CHECK(arena_region(&scene->arenas[number], NAMES[i]) != NULL);
#endif
#ifdef SCENE_FRAMED
	link_shard_begin(number, &shard->mem.io.streams);
#endif
	CHECK(loop_thread_setup(shard) == ERROR_OK);
}

/* Those that the shard did not take any more: their sockets close, and what they are goes. */
static void drop_admissions(struct shard_scene *scene, uint16_t number)
{
	int fds[FDPASS_BATCH_MAX];
	struct admission *admissions[FDPASS_BATCH_MAX];
	for (;;) {
		size_t count = FDPASS_BATCH_MAX;
		size_t size = sizeof(admissions);
		if (fdpass_receive(scene->pairs[number][1], fds, &count, admissions, &size) != ERROR_OK)
			return;
		for (size_t i = 0; i < count; i++)
			close(fds[i]);
		for (size_t i = 0; i < size / sizeof(admissions[0]); i++) {
			atomic_fetch_sub(&scene->quota.taken, 1);
			stream_carry_drop(&scene->shards[number].mem.io.streams, &admissions[i]->carry);
			free(admissions[i]);
		}
	}
}

static void shard_end(struct shard_scene *scene, uint16_t number)
{
	drop_admissions(scene, number);
	poller_close(&scene->shards[number].loop.poller);
#ifdef SCENE_FRAMED
	link_shard_end(number);
#endif
	shard_close(&scene->shards[number]);
	body_source_end(&scene->sources[number]);
#ifdef SCENE_ARENA
	arena_close(&scene->arenas[number]);
#endif
	close(scene->pairs[number][0]);
	close(scene->pairs[number][1]);
}

/* Batches on their way go back to their owners before those are closed. */
static void begin_all(struct shard_scene *scene)
{
	for (uint16_t i = 0; i < scene->shard_count; i++)
		CHECK(mailbox_open(&scene->mailboxes[i]) == ERROR_OK);
	for (uint16_t i = 0; i < scene->shard_count; i++)
		shard_begin(scene, i);
}

static void end_all(struct shard_scene *scene)
{
	for (uint16_t i = 0; i < scene->shard_count; i++)
		shard_end(scene, i);
	for (uint16_t i = 0; i < scene->shard_count; i++)
		mailbox_close(&scene->mailboxes[i]);
}

static void begin_root(struct shard_scene *scene)
{
	(void)scene;
#ifdef SCENE_ARENA
	CHECK(memory_root_open(&scene->root, 1) == ERROR_OK);
	CHECK(notes_open(&scene->notes, &scene->root) == ERROR_OK);
	CHECK(arena_open(&scene->shared, &scene->root, "shared") == ERROR_OK);
#endif
}

static void end_root(struct shard_scene *scene)
{
	(void)scene;
#ifdef SCENE_ARENA
	notes_close(&scene->notes);
#ifndef SCENE_CONVERTS /* there its regions are entered in the first root block */
	arena_close(&scene->shared);
#endif
	memory_root_close(&scene->root);
#endif
}

/* For what shards share; NULL: it does not outlive the program. */
static struct arena *shared_arena(struct shard_scene *scene)
{
	return scene->root.block != NULL ? &scene->shared : NULL;
}

/* As a gate would have them. */
static void open_door(struct shard_scene *scene)
{
	CHECK(access_sign_in_init(scene->access, &scene->sign_in, true) == ERROR_OK);
	scene->environment =
		(struct sign_in_environment){.settings = &scene->settings, .key = &scene->key, .access = scene->access};
	shard_scene_refresh(scene);
}

void shard_scene_join_cluster(struct shard_scene *scene)
{
	end_all(scene);
	scene->nodes = node_port_new(scene->mailboxes, scene->shard_count, "test");
	CHECK(scene->nodes != NULL);
	struct index_watcher watcher = {node_filters_changed, scene->nodes->filters};
	CHECK(index_watch(scene->index, &watcher, true, shared_arena(scene)) == ERROR_OK);
	begin_all(scene);
}

void shard_scene_restart_with_commits(struct shard_scene *scene, bool commits)
{
	scene->commits = commits;
	shard_scene_restart(scene);
}

struct shard_scene *shard_scene_new_with_commits(uint16_t shards)
{
	struct shard_scene *scene = shard_scene_new(shards);
	shard_scene_restart_with_commits(scene, true);
	return scene;
}

struct shard_scene *shard_scene_new(uint16_t shards)
{
	static const struct access_settings OPEN = {.allow_by_default = true};
	return shard_scene_new_guarded(shards, &OPEN);
}

struct shard_scene *shard_scene_new_guarded(uint16_t shards, const struct access_settings *access)
{
	struct shard_scene *scene = aligned_alloc(64, sizeof(*scene));
	CHECK(scene != NULL && shards <= SCENE_SHARDS_MAX);
	memset(scene, 0, sizeof(*scene));
	scene->settings = (struct settings){
		.packet_bytes_max = 1 << 20,
		.connect_bytes_max = 1 << 20,
		.queue_bytes_max = 64 << 10,
		.overload_refuse_ms = 100,
		.stuck_timeout_ms = 5000,
		.client_id_bytes_max = 64,
		.client_subscriptions_max = 100,
		.client_subscription_bytes_max = UINT32_MAX,
		.session_expiry_max_s = UINT32_MAX,
		.sessions_offline_max = 100,
		.inflight_max = 10,
		.receive_max = 10,
		.topic_alias_max = 4,
		.queue_messages_max = 20,
		.retained_max = 1000,
		.retained_bytes_max = 1 << 20,
		.payload_format_check = true,
	};
#ifdef SCENE_EVICTS
	scene->settings.queue_memory_max = 1;
#endif
	begin_root(scene);
	scene->quota.limit = 1000;
	scene->key = (struct hash_key){{7}};
	scene->shard_count = scene->first_shard_count = shards;
#ifdef SCENE_COMMITS
	scene->commits = true;
#endif
	scene->index = index_new(shards, &scene->key, shared_arena(scene));
	scene->retained = retained_new(&scene->key, scene->settings.retained_max, 1 << 20, shared_arena(scene));
	scene->settings.access = *access;
	scene->access = access_new(&scene->settings.access, &scene->key, scene->mailboxes, shards);
	CHECK(scene->access != NULL);
	scene->addresses = addresses_new(&scene->key, 0, shared_arena(scene));
	CHECK(scene->addresses != NULL);
	CHECK(scene->index != NULL && scene->retained != NULL);
	scene_now_ms = SCENE_START_MS;
	scene_wall_offset_s = scene_wall_began_s = 0;
	scene_before_sleep = NULL;
	journal_model_init(&scene->journal, scene->records, shards);
	scene->second_journal.records = scene->second_records;
	open_door(scene);
	reader_register();
	begin_all(scene);
	return scene;
}

void shard_scene_free(struct shard_scene *scene)
{
	end_all(scene);
	node_port_free(scene->nodes);
	journal_model_fini(&scene->journal);
	journal_model_fini(&scene->second_journal);
	reader_unregister();
	index_free(scene->index);
	retained_free(scene->retained);
	addresses_free(scene->addresses);
	sign_in_fini(&scene->sign_in);
	acl_put(&scene->acl);
	access_free(scene->access);
	end_root(scene);
	free(scene);
}

/* The kernel closes a process's sockets. */
static void lose_connections(struct shard *shard)
{
	for (uint32_t i = 1; i <= shard->mem.clients.touched; i++) {
		struct client *client = shard_client(shard, (struct client_ref){i});
		if (client->state != CLIENT_FREE && stream_exists(client->conn.stream))
			stream_close(&shard->mem.io.streams, client->conn.stream);
	}
}

/* All that shards share is new as well, but for the settings. */
static void begin_process(struct shard_scene *scene, uint16_t shards)
{
	index_free(scene->index);
	retained_free(scene->retained);
	addresses_free(scene->addresses);
	sign_in_fini(&scene->sign_in);
	acl_put(&scene->acl);
	access_free(scene->access);
	scene->shard_count = shards;
	scene->index = index_new(shards, &scene->key, shared_arena(scene));
	scene->retained = retained_new(&scene->key, scene->settings.retained_max, 1 << 20, shared_arena(scene));
	scene->access = access_new(&scene->settings.access, &scene->key, scene->mailboxes, shards);
	scene->addresses = addresses_new(&scene->key, 0, shared_arena(scene));
	CHECK(scene->index != NULL && scene->retained != NULL && scene->access != NULL && scene->addresses != NULL);
	atomic_store(&scene->sessions_offline, 0);
	atomic_store(&scene->checkpoints_begun, 0);
	atomic_store(&scene->quota.taken, 0);
	memset(scene->boards, 0, sizeof(scene->boards));
	memset((void *)scene->origin_takers, 0, sizeof(scene->origin_takers));
	journal_model_fini(&scene->journal);
	journal_model_fini(&scene->second_journal);
	memset(scene->records, 0, sizeof(scene->records));
	journal_model_init(&scene->journal, scene->records, shards);
	open_door(scene);
	begin_all(scene);
}

void shard_scene_restart(struct shard_scene *scene)
{
	end_all(scene);
	scene_now_ms = SCENE_START_MS;
	scene_wall_offset_s = scene_wall_began_s = 0;
	bool was_restored = scene->is_restored;
	scene->is_restored = false;
	if (was_restored) {
		begin_process(scene, scene->first_shard_count);
		return;
	}
	retained_free(scene->retained);
	scene->retained = retained_new(&scene->key, scene->settings.retained_max, 1 << 20, shared_arena(scene));
	CHECK(scene->retained != NULL);
	journal_model_forget_retained(&scene->journal);
	journal_model_fini(&scene->second_journal);
	scene->journal.second = NULL;
	atomic_store(&scene->sessions_offline, 0);
	atomic_store(&scene->checkpoints_begun, 0);
	begin_all(scene);
}

static struct deadline_clock clocks_of_scene(void)
{
	return (struct deadline_clock){.wall_s = wall_of_scene(), .now_s = (uint32_t)(scene_now_ms / 1000)};
}

/* What was restored is told at once, before it changes: it has to be what was stored. */
static void tell_restored(struct shard_scene *scene, const struct stored_model *stored)
{
	for (uint16_t i = 0; i < scene->shard_count; i++) {
		struct shard *shard = &scene->shards[i];
		do {
			turn_work_begin(&shard->loop.work);
			retell_run(shard);
		} while (shard->sessions.retell.next <= shard->sessions.retell.last ||
			 !shard->sessions.retell.is_retained_told);
		journal_end_turn(&shard->sessions.journal);
	}
	struct stored_model told;
	struct deadline_clock clock = clocks_of_scene();
	if (clock.wall_s < stored->model.wall_s)
		clock.wall_s = stored->model.wall_s;
	stored_model_make(&told, &scene->journal, clock);
	stored_model_check_restored(stored, &told, clock.wall_s);
	stored_model_free(&told);
}

bool shard_scene_crash(struct shard_scene *scene, uint16_t shards)
{
	CHECK(shards <= SCENE_SHARDS_MAX);
	if (scene->journal.is_partial)
		return false; /* it would be the journal before that counts */
	struct stored_model stored;
	struct restore_report report;
	stored_model_make(&stored, &scene->journal, clocks_of_scene());
	stored.model.wall_s = scene->records[0].wall_s;
	for (uint16_t i = 0; i < scene->shard_count; i++) {
		if (stored.model.wall_s < scene->records[i].wall_s)
			stored.model.wall_s = scene->records[i].wall_s;
		lose_connections(&scene->shards[i]);
	}
	end_all(scene);
	scene_wall_began_s += (int64_t)(scene_now_ms / 1000) - SCENE_START_MS / 1000;
	scene_now_ms = SCENE_START_MS + scene_now_ms % 1000;
	scene_stalled_ms = 0;
	scene->is_restored = true;
	begin_process(scene, shards);
	journal_model_want_checkpoint(&scene->journal, NULL);
	stored.journal = &scene->journal;
	struct restore_bodies bodies = stored_model_bodies(&stored);
	reader_offline();
	CHECK(restore_shards(scene->shards, &scene->key, &stored.model, &bodies, &report) == ERROR_OK);
	reader_online();
	CHECK(report.sessions == stored.model.session_count && report.lost == 0);
	CHECK_EQ(atomic_load(&scene->sessions_offline), stored.model.session_count);
	tell_restored(scene, &stored);
	stored_model_free(&stored);
	return true;
}

void shard_scene_refresh(struct shard_scene *scene)
{
	access_refresh(scene->access, &scene->sign_in, &scene->acl);
	scene->environment.sign_in = access_has_sign_in(scene->access) ? &scene->sign_in : NULL;
	scene->environment.acl = access_has_rules(scene->access) ? scene->acl : NULL;
	scene->environment.wall_s = (int64_t)time(NULL);
}

void shard_scene_before_sleep(void (*hook)(void *context), void *context)
{
	scene_before_sleep = hook;
	scene_before_sleep_context = context;
}

int shard_scene_sleep_ms(void)
{
	return scene_sleep_ms;
}

void shard_scene_pass_ms(struct shard_scene *scene, uint64_t ms)
{
	(void)scene;
	scene_now_ms += ms;
}

void shard_scene_stall_ms(struct shard_scene *scene, uint64_t ms)
{
	shard_scene_pass_ms(scene, ms);
	scene_stalled_ms += ms;
}

void shard_scene_set_wall(int64_t offset_s)
{
	scene_wall_offset_s = offset_s;
}

bool shard_scene_turn_one(struct shard_scene *scene, uint16_t shard)
{
	bool goes_on = shard_turn(&scene->shards[shard]);
#ifdef SCENE_COMMITS
	journal_model_commit(&scene->journal);
#endif
	return goes_on;
}

/* What a turn does shows in its counters, or is still to be done. Clients that go must not make up for what goes up. */
static uint64_t activity(const struct shard *shard)
{
	return shard->mem.io.read_count + shard->mem.io.write_count + shard->mem.io.bytes_out +
	       ((uint64_t)shard->mem.clients.used << 32) + atomic_load(&shard->counters.values[COUNTER_packets_in]) +
	       atomic_load(&shard->counters.values[COUNTER_messages_out]) + (has_work(shard) ? 1 : 0);
}

#ifdef SCENE_UPGRADES
/* What the next program opens from the shard's arena. */
static size_t adopted_regions(struct shard *shard, struct region **regions)
{
	struct shard_memory *mem = &shard->mem;
	struct shard_sessions *sessions = &shard->sessions;
	struct region *all[] = {
		&mem->slab.region,
		&mem->clients.region,
		&mem->transports.tls.slab.region,
		&mem->transports.websockets.pool.region,
		&mem->transports.websockets.slab.region,
		&mem->transports.proxied.pool.region,
		&mem->flows.entries.region,
		&sessions->registry.table.buckets,
		&sessions->subscriptions.pool.region,
		&sessions->subscriptions.lists.region,
		&sessions->subscriptions.own.entries.region,
		&sessions->subscriptions.own.table.buckets,
		&sessions->retained_jobs.jobs.region,
		&sessions->retained_jobs.queues.region,
		&sessions->retained_jobs.by_subscription.buckets,
		&sessions->retained_jobs.by_client.buckets,
		&shard->routing.acks.tickets.region,
		&shard->routing.acks.lines.region,
		&shard->routing.acks.by_client.buckets,
		&shard->guard.token_rules.entries.region,
		&shard->guard.token_rules.texts.region,
		&shard->guard.token_rules.table.buckets,
		&sessions->connected_at_s,
	};
	memcpy(regions, all, sizeof(all));
	return sizeof(all) / sizeof(all[0]);
}

/* What does not lie in arenas stays as it is: a test of the rest. The new shard is where the old one was, so that what
 * points into it is good. */
static void keep_the_rest(struct shard *shard, const struct shard *old)
{
	io_close(&shard->mem.io);
	outbox_fini(&shard->routing.outbox);
	commit_waits_close(&shard->routing.commits);
	acl_cache_close(&shard->guard.acl_cache);
	sign_in_fini(&shard->guard.sign_in);
	retell_close(shard);
	commands_close(&shard->shared.commands);
	free(shard->routing.peer_routes);
	struct shard fresh = *shard;
	*shard = *old;
	shard->env.arena = fresh.env.arena;
	shard->mem.slab = fresh.mem.slab;
	shard->mem.clients = fresh.mem.clients;
	shard->mem.transports = fresh.mem.transports;
	shard->mem.messages = fresh.mem.messages;
	shard->mem.flows = fresh.mem.flows;
	shard->sessions.registry = fresh.sessions.registry;
	shard->sessions.subscriptions = fresh.sessions.subscriptions;
	shard->sessions.connected_at_s = fresh.sessions.connected_at_s;
	shard->sessions.retained_jobs = fresh.sessions.retained_jobs;
	shard->routing.acks = fresh.routing.acks;
	shard->guard.token_rules = fresh.guard.token_rules;
	shard->guard.review = fresh.guard.review;
}

/* The program is replaced: the shard's memory is saved, and found at other addresses. */
static void upgrade_shard(struct shard_scene *scene, uint16_t number)
{
	struct shard *shard = &scene->shards[number];
	struct region *regions[32];
	struct shard *old = aligned_alloc(64, sizeof(*old));
	CHECK(old != NULL);
	*old = *shard;
	scene->arenas[number].adopted = true;
	*shard = (struct shard){.env = old->env};
	CHECK(shard_open(shard) == ERROR_OK);
	shard->sessions.subscriptions.looks = old->sessions.subscriptions.looks;
	shard->mem.flows.looks = old->mem.flows.looks;
	shard->routing.acks.limit = old->routing.acks.limit;
	shard->sessions.subscriptions.client_max = old->sessions.subscriptions.client_max;
	scene->arenas[number].adopted = false;
	/* From here on it is the next program's own, for the one after it. */
	for (size_t i = adopted_regions(shard, regions); i-- != 0;) {
		CHECK(regions[i]->adopted);
		regions[i]->adopted = false;
	}
	keep_the_rest(shard, old);
	for (size_t i = adopted_regions(old, regions); i-- != 0;)
		regions[i]->adopted = true; /* to be unmapped alone */
	slab_close(&old->mem.slab);
	transports_close(&old->mem.transports);
	registry_close(&old->sessions.registry);
	flow_store_close(&old->mem.flows);
	pool_close(&old->mem.clients);
	subscriptions_close(&old->sessions.subscriptions);
	retained_jobs_close(&old->sessions.retained_jobs);
	pending_acks_close(&old->routing.acks);
	acl_pool_close(&old->guard.token_rules);
	region_close(&old->sessions.connected_at_s);
	free(old);
}

#ifdef SCENE_CONVERTS
/* What shards share stays where it is. */
static void drop_shared_rules(struct conversion *conversion)
{
	static const char *const SHARED[] = {"retained nodes", "retained table", "retained expiries",
					     "retained",       "addresses #",    "addresses # table",
					     "index",          "index # table"};
	uint32_t kept = 0;
	for (uint32_t i = 0; i < conversion->rule_count; i++) {
		bool is_shared = false;
		for (size_t name = 0; name < sizeof(SHARED) / sizeof(SHARED[0]); name++)
			is_shared = is_shared || strcmp(conversion->rules[i].name, SHARED[name]) == 0;
		if (!is_shared)
			conversion->rules[kept++] = conversion->rules[i];
	}
	conversion->rule_count = kept;
}

static void plan_conversion(struct layout_conversion *plan, const char *from, const char *to)
{
	char sentence[200];
	CHECK(layout_conversion_between(plan, from, to, LAYOUT_ROOTS, sentence, sizeof(sentence)));
	drop_shared_rules(&plan->conversion);
}

/* The next program has another layout, and the one after it this one's. */
static void convert_there_and_back(struct shard_scene *scene)
{
	static struct layout_conversion away, home; /* the same every time */
	static struct memory_root there, back;
	static struct notes there_notes, back_notes;
	if (away.conversion.types == NULL) {
		char *shifted = shifted_layout_text();
		plan_conversion(&away, memory_layout_text(), shifted);
		plan_conversion(&home, shifted, memory_layout_text());
		free(shifted);
	}
	CHECK(memory_convert(&away.conversion, &scene->root, 1, &there, &there_notes) == ERROR_OK);
	CHECK(memory_convert(&home.conversion, &there, 1, &back, &back_notes) == ERROR_OK);
	notes_close(&there_notes);
	memory_root_close_block(&there);
	notes_close(&scene->notes);
	CHECK(close(scene->root.fd) == 0); /* its block stays mapped, for what the shards share is entered there */
	scene->root = back;
	scene->notes = back_notes;
	scene->notes.arena.root = &scene->root;
	scene->root.notes = &scene->notes;
}
#else
static void convert_there_and_back(const struct shard_scene *scene)
{
	(void)scene;
}
#endif

static void upgrade_all(struct shard_scene *scene)
{
	static unsigned steps; /* every third: in a minute of CPU rather than in four */
	if (steps++ % (3 * TRIES_STEP) != 0)
		return;
	for (uint16_t i = 0; i < scene->shard_count; i++)
		CHECK(shard_save_memory(&scene->shards[i]) == ERROR_OK);
	convert_there_and_back(scene);
	for (uint16_t i = 0; i < scene->shard_count; i++)
		upgrade_shard(scene, i);
	notes_clear(&scene->notes);
}
#else
static void upgrade_all(const struct shard_scene *scene)
{
	(void)scene;
}
#endif

void shard_scene_settle(struct shard_scene *scene)
{
	upgrade_all(scene);
	int quiet = 0;
	for (int turns = 0; quiet < SETTLED_TURNS; turns++) {
		CHECK(turns < TURNS_MAX);
		bool busy = false;
		for (uint16_t i = 0; i < scene->shard_count; i++) {
			uint64_t before = activity(&scene->shards[i]);
			shard_turn(&scene->shards[i]);
			if (scene->commits)
				journal_model_commit(&scene->journal);
			busy = busy || activity(&scene->shards[i]) != before || has_work(&scene->shards[i]) ||
			       (scene->shards[i].mem.loads.under_way != 0 && !scene->sources[i].holds);
		}
		quiet = busy ? 0 : quiet + 1;
	}
	journal_model_check(&scene->journal);
}

uint16_t shard_scene_of(const struct shard_scene *scene, const char *id)
{
	return shard_of_hash(hash_slice(&scene->key, slice_string(id)), scene->shard_count);
}

void shard_scene_want_checkpoint(struct shard_scene *scene)
{
	if (journal_model_has_checkpoint(&scene->journal))
		journal_model_want_checkpoint(&scene->journal, &scene->second_journal);
}

int shard_scene_connect(struct shard_scene *scene, uint16_t shard, struct slice bytes, int send_bytes)
{
	struct admission *admission;
	size_t packet_bytes;
	uint8_t version;
	struct handshake_origin origin = {.loopback = true, .is_internal = scene->internal};
	scene->refusal = handshake_read(&scene->environment, &origin, bytes, &admission, &packet_bytes, &version);
	if (scene->refusal != ERROR_OK)
		return -1;
	if (scene->internal)
		admission->address = ADDRESSES_INTERNAL;
	int ends[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
	if (send_bytes != 0)
		CHECK(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes)) == 0);
#ifdef SCENE_FRAMED
	link_begin(ends[0], ends[1], &admission->carry);
#endif
	atomic_fetch_add(&scene->quota.taken, 1);
	size_t size = sizeof(admission); /* NOLINT(bugprone-sizeof-expression): the pointer itself is handed over */
	enum error error = fdpass_send(scene->pairs[shard][0], &ends[0], 1, &admission, size);
	close(ends[0]);
	if (error == ERROR_OK)
		return ends[1];
	CHECK(error == ERROR_MORE);
	atomic_fetch_sub(&scene->quota.taken, 1);
	stream_carry_drop(&scene->shards[shard].mem.io.streams, &admission->carry);
	free(admission);
	close(ends[1]);
	return -1;
}

uint32_t shard_scene_clients(const struct shard_scene *scene, uint16_t shard)
{
	return scene->shards[shard].mem.clients.used;
}

uint64_t shard_scene_counter(const struct shard_scene *scene, uint16_t shard, enum counter counter)
{
	return atomic_load(&scene->shards[shard].counters.values[counter]);
}

uint64_t shard_scene_ends(const struct shard_scene *scene, uint16_t shard, enum error reason)
{
	return atomic_load(&scene->shards[shard].counters.ends[reason]);
}

static void check_shard_empty(const struct shard *shard)
{
	CHECK(shard->mem.clients.used == 0);
	CHECK(atomic_load(&shard->counters.values[COUNTER_connections_open]) == 0);
	CHECK(shard->sessions.registry.table.count == 0);
	CHECK(shard->mem.flows.entries.used == 0 && shard->mem.messages.count == 0);
	CHECK(shard->mem.messages.bytes == 0 && shard->mem.messages.apart_bytes == 0);
	CHECK(shard->mem.messages.absent_count == 0 && shard->mem.messages.absent_bytes == 0);
	CHECK(shard->mem.loads.under_way == 0 && shard->mem.loads.bytes == 0 && !shard->mem.loads.starved);
	CHECK(shard->sessions.cleanups == NULL && shard->sessions.filter_jobs == NULL &&
	      shard->sessions.filter_jobs_bytes == 0);
	CHECK(shard->sessions.retained_jobs.jobs.used == 0 && shard->sessions.retained_jobs.queues.used == 0);
	CHECK(shard->sessions.subscriptions.pool.used == 0 && shard->sessions.subscriptions.lists.used == 0);
	CHECK(shard->loop.wheel.filed == 0);
	CHECK(shard->mem.io.backlog_bytes == 0);
	CHECK(shard->routing.congestion.excess_bytes == 0);
	CHECK(shard->routing.acks.tickets.used == 0 && shard->routing.acks.lines.used == 0 &&
	      shard->routing.acks.by_client.count == 0 && shard->routing.acks.answers == 0);
	CHECK(!commit_waits_any(&shard->routing.commits));
	for (uint32_t place = 0; place < CONGESTION_PLACES; place++)
		CHECK(atomic_load(&shard->env.boards[shard->env.number].congested[place]) == 0);
	CHECK(shard->mem.slab.used_bytes == 0);
	CHECK(shard->sessions.closing.count == 0 && !has_work(shard));
	for (uint16_t to = 0; to < shard->env.shard_count; to++)
		CHECK(shard->routing.outbox.peers[to].open == NULL);
	uint64_t ends = 0;
	for (int i = 0; i < ERROR_COUNT; i++)
		ends += atomic_load(&shard->counters.ends[i]);
	/* More where a client could not even be greeted. */
	CHECK(ends >= atomic_load(&shard->counters.values[COUNTER_connections_signed_in]));
}

void shard_scene_check_empty(const struct shard_scene *scene)
{
	for (uint16_t i = 0; i < scene->shard_count; i++)
		check_shard_empty(&scene->shards[i]);
	journal_model_check_empty(&scene->journal);
	CHECK(atomic_load(&scene->quota.taken) == 0);
	CHECK(index_size(scene->index).filters == 0);
}
