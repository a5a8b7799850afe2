#include "shard_scene.h"

#include "access/addresses.h"
#include "access/admission.h"
#include "base/clock.h"
#include "reactor/fdpass.h"
#include "topics/rcu.h"

#include <stdio.h>
#include <sys/socket.h>

static uint64_t scene_now_ms = SCENE_START_MS;
static uint64_t scene_stalled_ms;
static int64_t scene_wall_offset_s;
static int scene_sleep_ms; /* of the last turn, had it been a thread's */
static void (*scene_before_sleep)(void *context);
static void *scene_before_sleep_context;

static uint64_t clock_of_scene(void)
{
	return scene_now_ms * 1000000u;
}

static int64_t wall_of_scene(void)
{
	return SCENE_WALL_S + (int64_t)(scene_now_ms / 1000) + scene_wall_offset_s;
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
 * shard.c, reads the time once, and sleeps in one place, so that there is no seam to pay for in the server. */
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
		.env.boards = scene->boards,
		.env.quota = &scene->quota,
		.env.index = scene->index,
		.env.retained = scene->retained,
		.env.addresses = scene->addresses,
		.env.access = scene->access,
		.env.sessions_offline = &scene->sessions_offline,
		.env.number = number,
		.env.journal_events = &JOURNAL_MODEL_EVENTS,
		.env.journal_context = &scene->records[number],
		.env.shard_count = scene->shard_count,
	};
	journal_record_begin(&scene->journal, number, shard);
	CHECK(fdpass_open(scene->pairs[number]) == ERROR_OK);
	shard->env.admissions_fd = scene->pairs[number][1];
#ifdef SCENE_ARENA
	char name[ROOT_NAME_BYTES];
	snprintf(name, sizeof(name), "shard %u", number);
	if (scene->root.block == NULL)
		CHECK(memory_root_open(&scene->root, 1) == ERROR_OK);
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

static void shard_end(struct shard_scene *scene, uint16_t number)
{
	poller_close(&scene->shards[number].loop.poller);
#ifdef SCENE_FRAMED
	link_shard_end(number);
#endif
	shard_close(&scene->shards[number]);
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
#ifdef SCENE_ARENA
	memory_root_close(&scene->root);
#endif
	for (uint16_t i = 0; i < scene->shard_count; i++)
		mailbox_close(&scene->mailboxes[i]);
}

/* As a gate would have them. */
static void open_door(struct shard_scene *scene)
{
	CHECK(access_sign_in_init(scene->access, &scene->sign_in, true) == ERROR_OK);
	scene->environment =
		(struct sign_in_environment){.settings = &scene->settings, .key = &scene->key, .access = scene->access};
	shard_scene_refresh(scene);
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
	scene->quota.limit = 1000;
	scene->key = (struct hash_key){{7}};
	scene->shard_count = shards;
	scene->index = index_new(shards, &scene->key);
	scene->retained = retained_new(&scene->key, scene->settings.retained_max, 1 << 20);
	scene->settings.access = *access;
	scene->access = access_new(&scene->settings.access, &scene->key, scene->mailboxes, shards);
	CHECK(scene->access != NULL);
	scene->addresses = addresses_new(&scene->key, 0);
	CHECK(scene->addresses != NULL);
	CHECK(scene->index != NULL && scene->retained != NULL);
	scene_now_ms = SCENE_START_MS;
	scene_wall_offset_s = 0;
	scene_before_sleep = NULL;
	journal_model_init(&scene->journal, scene->records, shards);
	open_door(scene);
	reader_register();
	begin_all(scene);
	return scene;
}

void shard_scene_free(struct shard_scene *scene)
{
	end_all(scene);
	journal_model_fini(&scene->journal);
	reader_unregister();
	index_free(scene->index);
	retained_free(scene->retained);
	addresses_free(scene->addresses);
	sign_in_fini(&scene->sign_in);
	acl_put(&scene->acl);
	access_free(scene->access);
	free(scene);
}

void shard_scene_restart(struct shard_scene *scene)
{
	end_all(scene);
	retained_free(scene->retained);
	scene->retained = retained_new(&scene->key, scene->settings.retained_max, 1 << 20);
	CHECK(scene->retained != NULL);
	journal_model_forget_retained(&scene->journal);
	atomic_store(&scene->sessions_offline, 0);
	scene_now_ms = SCENE_START_MS;
	scene_wall_offset_s = 0;
	begin_all(scene);
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
	return shard_turn(&scene->shards[shard]);
}

/* What a turn does shows in its counters, or is still to be done. Clients that go must not make up for what goes up. */
static uint64_t activity(const struct shard *shard)
{
	return shard->mem.io.read_count + shard->mem.io.write_count + shard->mem.io.bytes_out +
	       ((uint64_t)shard->mem.clients.used << 32) + atomic_load(&shard->counters.values[COUNTER_packets_in]) +
	       atomic_load(&shard->counters.values[COUNTER_messages_out]) + (has_work(shard) ? 1 : 0);
}

void shard_scene_settle(struct shard_scene *scene)
{
	int quiet = 0;
	for (int turns = 0; quiet < SETTLED_TURNS; turns++) {
		CHECK(turns < TURNS_MAX);
		bool busy = false;
		for (uint16_t i = 0; i < scene->shard_count; i++) {
			uint64_t before = activity(&scene->shards[i]);
			shard_turn(&scene->shards[i]);
			busy = busy || activity(&scene->shards[i]) != before || has_work(&scene->shards[i]);
		}
		quiet = busy ? 0 : quiet + 1;
	}
	journal_model_check(&scene->journal);
}

int shard_scene_connect(struct shard_scene *scene, uint16_t shard, struct slice bytes, int send_bytes)
{
	struct admission *admission;
	size_t packet_bytes;
	uint8_t version;
	scene->refusal = handshake_read(&scene->environment, true, bytes, &admission, &packet_bytes, &version);
	if (scene->refusal != ERROR_OK)
		return -1;
	int ends[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
	if (send_bytes != 0)
		CHECK(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes)) == 0);
#ifdef SCENE_FRAMED
	admission->carry.kind = STREAM_KINDS - 1;
	link_begin(ends[1]);
#endif
	atomic_fetch_add(&scene->quota.taken, 1);
	size_t size = sizeof(admission); /* NOLINT(bugprone-sizeof-expression): the pointer itself is handed over */
	enum error error = fdpass_send(scene->pairs[shard][0], &ends[0], 1, &admission, size);
	close(ends[0]);
	if (error == ERROR_OK)
		return ends[1];
	CHECK(error == ERROR_MORE);
	atomic_fetch_sub(&scene->quota.taken, 1);
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
	CHECK(shard->sessions.cleanups == NULL && shard->sessions.filter_jobs == NULL &&
	      shard->sessions.filter_jobs_bytes == 0);
	CHECK(shard->sessions.retained_jobs.jobs.used == 0 && shard->sessions.retained_jobs.queues.used == 0);
	CHECK(shard->sessions.subscriptions.pool.used == 0 && shard->sessions.subscriptions.lists.used == 0);
	CHECK(shard->loop.wheel.filed == 0);
	CHECK(shard->mem.io.backlog_bytes == 0);
	CHECK(shard->routing.congestion.excess_bytes == 0);
	CHECK(shard->routing.acks.tickets.used == 0 && shard->routing.acks.lines.used == 0 &&
	      shard->routing.acks.by_client.count == 0);
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
