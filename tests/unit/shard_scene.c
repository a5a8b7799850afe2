#include "shard_scene.h"

#include "base/clock.h"
#include "gateway/admission.h"
#include "gateway/handshake.h"
#include "net/fdpass.h"
#include "session/rcu.h"

#include <sys/socket.h>

static uint64_t scene_now_ms = SCENE_START_MS;

static uint64_t clock_of_scene(void)
{
	return scene_now_ms * 1000000u;
}

static int poll_without_sleep(struct poller *poller, struct epoll_event *events, int count, int timeout_ms)
{
	(void)timeout_ms;
	return poller_wait(poller, events, count, 0);
}

/* The shard itself, with its clock and its sleep in the test's hands. Included rather than linked: a turn is private to
 * shard.c, reads the time once, and sleeps in one place, so that there is no seam to pay for in the server. */
#define clock_now_ns clock_of_scene
#define poller_wait poll_without_sleep
#include "gateway/shard.c" /* NOLINT(bugprone-suspicious-include) */
#undef clock_now_ns
#undef poller_wait

#define SETTLED_TURNS 3
#define TURNS_MAX 100000

static void shard_begin(struct shard_scene *scene, uint16_t number)
{
	struct shard *shard = &scene->shards[number];
	*shard = (struct shard){
		.settings = &scene->settings,
		.mailboxes = scene->mailboxes,
		.seats = &scene->seats,
		.index = scene->index,
		.retained = scene->retained,
		.sessions_offline = &scene->sessions_offline,
		.number = number,
		.shard_count = scene->shard_count,
		.core = -1,
	};
	CHECK(fdpass_open(scene->pairs[number]) == ERROR_OK);
	shard->admissions_fd = scene->pairs[number][1];
	CHECK(shard_open(shard) == ERROR_OK);
	CHECK(settle_in(shard) == ERROR_OK);
}

static void shard_end(struct shard_scene *scene, uint16_t number)
{
	poller_close(&scene->shards[number].poller);
	shard_close(&scene->shards[number]);
	close(scene->pairs[number][0]);
	close(scene->pairs[number][1]);
}

/* Parcels on their way go back to their owners before those are closed. */
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

struct shard_scene *shard_scene_new(uint16_t shards)
{
	struct shard_scene *scene = aligned_alloc(64, sizeof(*scene));
	CHECK(scene != NULL && shards <= SCENE_SHARDS_MAX);
	memset(scene, 0, sizeof(*scene));
	scene->settings = (struct settings){
		.packet_bytes_max = 1 << 20,
		.queue_bytes_max = 64 << 10,
		.stuck_timeout_ms = 5000,
		.client_id_bytes_max = 64,
		.client_subscriptions_max = 100,
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
	scene->seats.limit = 1000;
	scene->key = (struct hash_key){{7}};
	scene->shard_count = shards;
	scene->index = index_new(shards, &scene->key);
	scene->retained = retained_new(&scene->key, scene->settings.retained_max, 1 << 20);
	CHECK(scene->index != NULL && scene->retained != NULL);
	scene_now_ms = SCENE_START_MS;
	reader_register();
	begin_all(scene);
	return scene;
}

void shard_scene_free(struct shard_scene *scene)
{
	end_all(scene);
	reader_unregister();
	index_free(scene->index);
	retained_free(scene->retained);
	free(scene);
}

void shard_scene_restart(struct shard_scene *scene)
{
	end_all(scene);
	retained_free(scene->retained);
	scene->retained = retained_new(&scene->key, scene->settings.retained_max, 1 << 20);
	CHECK(scene->retained != NULL);
	atomic_store(&scene->sessions_offline, 0);
	scene_now_ms = SCENE_START_MS;
	begin_all(scene);
}

void shard_scene_pass_ms(struct shard_scene *scene, uint64_t ms)
{
	(void)scene;
	scene_now_ms += ms;
}

bool shard_scene_turn_one(struct shard_scene *scene, uint16_t shard)
{
	return turn(&scene->shards[shard]);
}

/* What a turn does shows in its counters, or is still to be done. */
static uint64_t activity(const struct shard *shard)
{
	return shard->io.read_count + shard->io.write_count + shard->io.bytes_out + shard->clients.used +
	       atomic_load(&shard->counters.values[COUNTER_packets_in]) +
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
			turn(&scene->shards[i]);
			busy = busy || activity(&scene->shards[i]) != before || has_work(&scene->shards[i]);
		}
		quiet = busy ? 0 : quiet + 1;
	}
}

int shard_scene_connect(struct shard_scene *scene, uint16_t shard, struct slice bytes, int send_bytes)
{
	struct admission *admission;
	size_t packet_bytes;
	uint8_t version;
	if (handshake_read(&scene->settings, &scene->key, true, bytes, &admission, &packet_bytes, &version) != ERROR_OK)
		return -1;
	int ends[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
	if (send_bytes != 0)
		CHECK(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes)) == 0);
	atomic_fetch_add(&scene->seats.taken, 1);
	size_t size = sizeof(admission); /* NOLINT(bugprone-sizeof-expression): the pointer itself is handed over */
	enum error error = fdpass_send(scene->pairs[shard][0], &ends[0], 1, &admission, size);
	close(ends[0]);
	if (error == ERROR_OK)
		return ends[1];
	CHECK(error == ERROR_MORE);
	atomic_fetch_sub(&scene->seats.taken, 1);
	free(admission);
	close(ends[1]);
	return -1;
}

uint32_t shard_scene_clients(const struct shard_scene *scene, uint16_t shard)
{
	return scene->shards[shard].clients.used;
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
	CHECK(shard->clients.used == 0);
	CHECK(atomic_load(&shard->counters.values[COUNTER_connections_open]) == 0);
	CHECK(shard->registry.table.count == 0);
	CHECK(shard->flows.entries.used == 0 && shard->messages.count == 0 && shard->retained_jobs == NULL);
	CHECK(shard->subscriptions.pool.used == 0 && shard->subscriptions.lists.used == 0);
	CHECK(shard->wheel.filed == 0);
	CHECK(shard->io.backlog_bytes == 0);
	CHECK(shard->slab.used_bytes == 0);
	CHECK(shard->closing.count == 0 && !has_work(shard));
	for (uint16_t to = 0; to < shard->shard_count; to++)
		CHECK(shard->post.lanes[to].open == NULL);
	uint64_t ends = 0;
	for (int i = 0; i < ERROR_COUNT; i++)
		ends += atomic_load(&shard->counters.ends[i]);
	CHECK(ends == atomic_load(&shard->counters.values[COUNTER_connections_signed_in]));
}

void shard_scene_check_empty(const struct shard_scene *scene)
{
	for (uint16_t i = 0; i < scene->shard_count; i++)
		check_shard_empty(&scene->shards[i]);
	CHECK(atomic_load(&scene->seats.taken) == 0);
	CHECK(index_size(scene->index).filters == 0);
}
