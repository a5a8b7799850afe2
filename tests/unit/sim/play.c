#include "play.h"

#include "../random.h"
#include "base/check.h"
#include "base/log.h"
#include "clients.h"
#include "mqtt/encode.h"
#include "safety.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SHORT_EXPIRY_S 20u
#define LONG_EXPIRY_S 100000u
#define CONNECT_TURNS_MAX 400
#define SETTLE_ROUNDS_MAX 400
#define HELD_MS 256u /* longer than a publisher is held back at a time */
#define SEND_BUFFER_BYTES 4096

static struct shard_scene *scene_of_plays;
static uint8_t unread_of_plays[MODEL_CLIENTS][ACTOR_UNREAD_BYTES_MAX];
static struct model model_of_plays;
static uint64_t loads_of_plays;

/* ---- memory ---- */

static struct random random_of(uint64_t seed)
{
	struct random random = {.state = seed * 0x9E3779B97F4A7C15u | 1u};
	for (int i = 0; i < 4; i++)
		random_next(&random);
	return random;
}

/* In a third of the plays no packet leaves memory. In the others they do so at any time when they may, and come back
 * late; in some of these one cannot be read now and then, which is counted as lost. */
static bool packets_leave(const struct play *play)
{
	return play->seed % 3 != 0;
}

static void choose_source(struct shard_scene *scene, const struct play *play)
{
	struct random random = random_of(play->seed);
	bool fails = packets_leave(play) && play->seed % 8 == 1;
	scene->settings.queue_memory_max = 0;
	for (uint16_t shard = 0; shard < scene->shard_count; shard++) {
		scene->sources[shard].random.state = random.state + shard;
		scene->sources[shard].lateness = random_below(&random, 5);
		scene->sources[shard].fails_one = fails ? 10 : 0;
	}
}

static void choose_memory(struct shard_scene *scene, const struct play *play, uint64_t turn_seed)
{
	static const uint64_t MEMORY_MAX[] = {1, 1, 500, 5000, 50000, 0};
	struct random random = random_of(turn_seed);
	if (packets_leave(play))
		scene->settings.queue_memory_max = MEMORY_MAX[random_below(&random, 6)];
}

/* ---- turns ---- */

static void turn(struct sim *sim, uint16_t shard)
{
	if (sim->hooks->begin != NULL)
		sim->hooks->begin();
	choose_memory(sim->scene, sim->play, sim->turn_seed);
	faults_turn_begin(sim->faults, sim->play->rarity, sim->turn_seed++);
	shard_scene_turn_one(sim->scene, shard);
	faults_turn_end();
	if (sim->play->commits)
		safety_commit(sim, sim->turn_seed, sim->settles);
	if (sim->hooks->end != NULL)
		sim->hooks->end();
}

static void turn_all(struct sim *sim)
{
	for (uint16_t shard = 0; shard < sim->scene->shard_count; shard++)
		turn(sim, shard);
}

static void pass_ms(struct sim *sim, uint64_t ms)
{
	sim->now_ms += ms;
	shard_scene_pass_ms(sim->scene, ms);
}

/* ---- coming and going ---- */

static size_t connect_bytes(struct sim *sim, uint32_t number, uint32_t bits, bool clean, uint8_t *out)
{
	static const uint32_t EXPIRIES_S[] = {0, SHORT_EXPIRY_S, LONG_EXPIRY_S, LONG_EXPIRY_S};
	struct sim_client *client = &sim->clients[number];
	char id[2] = {(char)('a' + number), '\0'};
	static char payload[PACKET_BYTES_MAX];
	uint8_t version = (bits & 3u) == 0 ? 4 : 5;
	client->expiry_s = version == 5 ? EXPIRIES_S[bits >> 2 & 3u] : clean ? 0 : LONG_EXPIRY_S;
	struct mqtt_connect connect = {
		.client_id = slice_string(id),
		.session_expiry_s = version == 5 ? client->expiry_s : 0,
		.packet_bytes_max = MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX,
		.receive_max = version == 5 && (bits >> 4 & 3u) == 0 ? 2 : UINT16_MAX,
		.topic_alias_max = version == 5 && (bits >> 6 & 1u) != 0 ? 2 : 0,
		.version = version,
		.clean_start = clean,
		.has_will = (bits >> 7 & 1u) != 0,
		.request_problem_info = true,
	};
	if (connect.has_will) {
		uint32_t topic = bits >> 8 & 3u;
		uint8_t qos = (uint8_t)((bits >> 10 & 3u) % 3u);
		uint32_t message = model_publish(sim->model, number, topic, qos, true);
		model_payload(message, payload);
		connect.will = (struct mqtt_will){.topic = slice_string(model_topic(topic)),
						  .payload = slice_of(payload, model_payload_bytes(message)),
						  .delay_s = version == 5 ? (bits >> 12 & 1u) * 5u : 0,
						  .qos = qos};
	}
	size_t size = mqtt_connect_encode(&connect, out, PACKET_BYTES_MAX);
	CHECK(size != 0);
	return size;
}

/* What CONNACK's session present flag has to say. */
static enum certainty presence_of(const struct sim *sim, uint32_t number)
{
	const struct sim_client *client = &sim->clients[number];
	enum certainty there = sim->model->sessions[number].there;
	if (there == MODEL_NO || client->expiry_s == UINT32_MAX)
		return there;
	uint64_t since_s = (sim->now_ms - client->left_ms) / 1000;
	bool is_long = client->expiry_s == LONG_EXPIRY_S;
	return since_s + 2 < client->expiry_s && (!sim->breaks || is_long) ? there : MODEL_MAYBE;
}

/* The new connection is there: so is a session, the one before or another. */
static void begin(struct sim *sim, uint32_t number, bool clean, enum certainty before)
{
	struct sim_client *client = &sim->clients[number];
	bool doubtful = client->doubtful;
	client->connected = true;
	client->doubtful = false;
	client->lasting = client->expiry_s != 0;
	if (client->present && (clean || before == MODEL_NO))
		violation("client %u is told of a session that it had not", number);
	if (!client->present && !clean && before == MODEL_YES)
		violation("client %u has lost its session", number);
	model_connection_new(sim->model, number);
	if (!client->present) {
		sim_session_new(sim->model, number, MODEL_YES);
		client->outbox_count = 0;
	}
	sim->model->sessions[number].there = MODEL_YES;
	for (uint32_t i = 0; i < client->outbox_count; i++) {
		struct sent *sent = &client->outbox[i];
		if (sent->received) {
			sent->repeats = true;
			actor_say_ack(&client->actor, MQTT_PUBREL, sent->packet_id);
			continue;
		}
		sim->model->messages[sent->message].resent++;
		sim->model->messages[sent->message].doubtful |= doubtful;
		sim_say_publish(sim, number, sent->message, sent->packet_id, true);
	}
}

static int hand_over(struct sim *sim, uint32_t number, struct slice bytes)
{
	if (sim->hooks->begin != NULL)
		sim->hooks->begin();
	char id[2] = {(char)('a' + number), '\0'};
	int fd = shard_scene_connect(sim->scene, shard_scene_of(sim->scene, id), bytes,
				     sim->play->small_buffers ? SEND_BUFFER_BYTES : 0);
	if (sim->hooks->end != NULL)
		sim->hooks->end();
	return fd;
}

static void await_connack(struct sim *sim, uint32_t number)
{
	struct actor *actor = &sim->clients[number].actor;
	for (int turns = 0; actor->fd >= 0 && !actor->greeted; turns++) {
		if (turns == CONNECT_TURNS_MAX)
			violation("client %u is not answered", number);
		turn_all(sim);
		actor_read(actor, 4); /* CONNACK begins here, and may be longer: no matter */
	}
}

static enum certainty weaker(enum certainty there, bool doubtful)
{
	return doubtful && there == MODEL_YES ? MODEL_MAYBE : there;
}

/* What the session is before the new connection comes; the older one, where there is one, is lost for the client. */
static enum certainty leave_older(struct sim *sim, uint32_t number)
{
	struct sim_client *client = &sim->clients[number];
	if (!client->connected)
		return presence_of(sim, number);
	bool ends = client->ends;
	bool doubtful = ends || (sim->breaks && client->expiry_s == SHORT_EXPIRY_S);
	client->actor.fd = -1;
	sim_lose(sim, number);
	if (client->lasting)
		return weaker(MODEL_YES, doubtful);
	return ends ? MODEL_MAYBE : MODEL_NO;
}

/* It is not in. Told so, it knows that nothing has changed. Otherwise it may have been let in, and its session may be
 * another one. */
static void stay_out(struct sim *sim, uint32_t number, const struct sim_client *was, enum certainty before)
{
	struct sim_client *client = &sim->clients[number];
	actor_leave(&client->actor);
	client->left_ms = sim->now_ms;
	if (client->refused) {
		client->expiry_s = was->expiry_s;
		client->lasting = was->lasting;
		client->left_ms = was->left_ms;
		sim->model->sessions[number].there = before;
		return;
	}
	client->expiry_s = UINT32_MAX;
	client->doubtful = true;
	model_session_doubtful(sim->model, number);
}

/* An older connection is open until the new one is answered. */
static void do_connect(struct sim *sim, uint32_t number, uint32_t bits)
{
	static uint8_t packet[PACKET_BYTES_MAX];
	struct sim_client *client = &sim->clients[number];
	bool clean = (bits >> 16 & 7u) == 0;
	int older = client->actor.fd;
	enum certainty before = leave_older(sim, number);
	struct sim_client was = *client;
	size_t size = connect_bytes(sim, number, bits, clean, packet);
	int fd = hand_over(sim, number, slice_of(packet, size));
	client->refused = fd < 0; /* by the gate */
	client->present = false;
	client->actor.may_be_refused = sim->hooks->memory_fails;
	client->actor.observer = (struct actor_observer){sim_heard_packet, sim};
	if (fd >= 0) {
		actor_begin(&client->actor, fd, slice_of(packet, size), sim->scene->settings.inflight_max);
		await_connack(sim, number);
	}
	if (older >= 0)
		actor_leave(&(struct actor){.fd = older});
	if (client->actor.fd >= 0 && !client->refused) {
		begin(sim, number, clean, before);
		return;
	}
	if (!sim->hooks->memory_fails && (sim->play->faults & FAULT_RESET) == 0)
		violation("client %u is not let in", number);
	stay_out(sim, number, &was, before);
}

static void do_disconnect(struct sim *sim, uint32_t number, uint32_t bits)
{
	struct sim_client *client = &sim->clients[number];
	static const uint8_t WITH_WILL[] = {0xe0, 1, 4};
	static const uint8_t WITHOUT_SESSION[] = {0xe0, 7, 0, 5, 0x11, 0, 0, 0, 0};
	bool five = client->actor.version == MQTT_VERSION_5;
	if (five && (bits & 3u) == 1)
		actor_say(&client->actor, slice_of(WITH_WILL, sizeof(WITH_WILL)));
	else if (five && (bits & 3u) == 2)
		actor_say(&client->actor, slice_of(WITHOUT_SESSION, sizeof(WITHOUT_SESSION)));
	else
		actor_say(&client->actor, slice_of("\xe0", 2));
	bool ends_session = five && (bits & 3u) == 2;
	sim_lose(sim, number);
	if (ends_session && client->lasting)
		sim->model->sessions[number].there = MODEL_MAYBE;
}

/* ---- steps ---- */

static void do_turns(struct sim *sim, uint32_t bits)
{
	for (uint32_t count = 1 + (bits >> 4 & 7u); count != 0; count--) {
		for (uint16_t i = 0; i < sim->scene->shard_count; i++) {
			uint16_t shard = (uint16_t)((i + bits) % sim->scene->shard_count);
			if ((bits >> (8 + shard) & 3u) != 0)
				turn(sim, shard);
		}
	}
}

static bool anything_outstanding(const struct sim *sim)
{
	for (uint32_t i = 0; i < MODEL_CLIENTS; i++) {
		const struct sim_client *client = &sim->clients[i];
		if (client->connected && (client->outbox_count != 0 || client->request_count != 0 || client->ends ||
					  client->actor.heard_count != 0 || client->actor.unread_bytes != 0))
			return true;
	}
	for (uint16_t shard = 0; shard < sim->scene->shard_count; shard++) {
		if (sim->scene->shards[shard].mem.loads.starved || sim->scene->shards[shard].mem.loads.under_way != 0)
			return true;
	}
	return faults_wait();
}

/* Everything comes to rest: without faults, all is read and answered. */
static void settle(struct sim *sim)
{
	int quiet = 0;
	sim->faults = 0;
	sim->settles = true;
	for (int rounds = 0; quiet < 3; rounds++) {
		uint64_t heard = sim->heard;
		for (int turns = 0; turns < 4; turns++)
			turn_all(sim);
		for (uint32_t i = 0; i < MODEL_CLIENTS; i++) {
			for (int reads = 0; reads < 4; reads++)
				sim_hear(sim, i, ACTOR_UNREAD_BYTES_MAX);
			actor_acknowledge(&sim->clients[i].actor, ACTOR_HEARD_MAX, false);
		}
		quiet = anything_outstanding(sim) || sim->heard != heard ? 0 : quiet + 1;
		if (rounds == SETTLE_ROUNDS_MAX)
			violation("what was asked is not answered");
		if (quiet == 0 && rounds % 8 == 7)
			pass_ms(sim, HELD_MS);
	}
	shard_scene_settle(sim->scene);
	sim->faults = sim->play->faults;
	sim->settles = false;
}

/* Messages that nobody has room for are counted by the shards, which begin with 0. */
static uint64_t dropped(const struct shard_scene *scene)
{
	uint64_t count = 0;
	for (uint16_t shard = 0; shard < scene->shard_count; shard++)
		count += shard_scene_counter(scene, shard, COUNTER_messages_dropped_memory) +
			 shard_scene_counter(scene, shard, COUNTER_messages_dropped_queue_full) +
			 shard_scene_counter(scene, shard, COUNTER_messages_lost_unreadable);
	return count;
}

/* Everybody is gone, and comes back to a gateway that knows of sessions and messages what was told. A message at QoS 2
 * that was not answered yet may be with some of several subscribers, and goes to the others alone. */
static void do_crash(struct sim *sim, uint32_t bits)
{
	uint64_t count = dropped(sim->scene);
	if (sim->scene->journal.is_partial)
		return; /* it cannot, before what was restored is told */
	for (uint16_t shard = 0; shard < sim->scene->shard_count; shard++)
		loads_of_plays += sim->scene->sources[shard].loads;
	faults_clear();
	CHECK(shard_scene_crash(sim->scene, (uint16_t)(1 + bits % SCENE_SHARDS_MAX)));
	safety_restart();
	choose_source(sim->scene, sim->play);
	sim->dropped += count;
	for (uint32_t i = 0; i < MODEL_CLIENTS; i++) {
		const struct sim_client *client = &sim->clients[i];
		sim_lose(sim, i);
		/* If the gateway took it for connected, its expiry began with the last thing that was told of anybody.
		 */
		if (client->lasting && client->expiry_s == SHORT_EXPIRY_S)
			model_session_doubtful(sim->model, i);
	}
}

static void do_pass(struct sim *sim, uint32_t bits)
{
	static const uint32_t TIMES_MS[] = {1, 50, 128, 1000, 3000, 6000, 15000, 30000};
	pass_ms(sim, TIMES_MS[bits & 7u]);
}

/* Where the client is connected. */
static void do_as_client(struct sim *sim, const struct step *step)
{
	struct sim_client *client = &sim->clients[step->client];
	switch ((enum step_kind)step->kind) {
	case STEP_DISCONNECT:
		do_disconnect(sim, step->client, step->bits);
		break;
	case STEP_DROP:
		sim_lose(sim, step->client);
		break;
	case STEP_END_OUTPUT:
		shutdown(client->actor.fd, SHUT_WR);
		client->ends = true;
		client->left_ms = sim->now_ms;
		break;
	case STEP_SUBSCRIBE:
	case STEP_UNSUBSCRIBE:
		sim_subscribe(sim, step->client, step->bits, step->kind == STEP_UNSUBSCRIBE);
		break;
	case STEP_PUBLISH:
		sim_publish(sim, step->client, step->bits);
		break;
	case STEP_ANSWER:
		actor_acknowledge(&client->actor, 1 + (step->bits & 7u), (step->bits >> 3 & 3u) == 0);
		break;
	default:
		break;
	}
}

static void do_step(struct sim *sim, const struct step *step)
{
	struct sim_client *client = &sim->clients[step->client];
	sim->turn_seed = (sim->play->seed << 20) + ((uint64_t)step->place << 10);
	switch ((enum step_kind)step->kind) {
	case STEP_CONNECT:
		do_connect(sim, step->client, step->bits);
		break;
	case STEP_READ:
		sim_hear(sim, step->client, (size_t)1 << (step->bits % 17u));
		break;
	case STEP_TURN:
		do_turns(sim, step->bits);
		break;
	case STEP_PASS:
		do_pass(sim, step->bits);
		break;
	case STEP_SETTLE:
		settle(sim);
		break;
	case STEP_CHECKPOINT:
		shard_scene_want_checkpoint(sim->scene);
		break;
	case STEP_CRASH:
		do_crash(sim, step->bits);
		break;
	default:
		if (client->connected && !client->ends)
			do_as_client(sim, step);
	}
}

/* ---- beginning and end ---- */

/* Who has a session comes back for what it is owed. */
static void collect(struct sim *sim)
{
	for (uint32_t i = 0; i < MODEL_CLIENTS; i++) {
		if (!sim->clients[i].connected && presence_of(sim, i) == MODEL_YES)
			do_connect(sim, i, 1u | 2u << 2 | 1u << 4 | 1u << 16);
		else if (!sim->clients[i].connected)
			sim->model->sessions[i].there = MODEL_NO;
	}
	/* Acknowledgements of a client that is held back as a publisher are read when its time is over. */
	settle(sim);
	pass_ms(sim, HELD_MS);
	settle(sim);
	uint32_t missing = model_missing(sim->model, false);
	if (missing > sim->dropped + dropped(sim->scene)) {
		model_missing(sim->model, true);
		violation("%u messages that were acknowledged are lost, and %lu are counted", missing,
			  sim->dropped + dropped(sim->scene));
	}
}

static void finish(struct sim *sim)
{
	static const struct play_hooks NONE;
	sim->turn_seed = sim->play->seed;
	if (sim->hooks->finish != NULL)
		sim->hooks->finish();
	settle(sim);
	sim->faults = 0;
	struct play calm = *sim->play;
	calm.faults = 0;
	sim->play = &calm;
	sim->hooks = &NONE;
	collect(sim);
	for (uint32_t i = 0; i < MODEL_CLIENTS; i++) {
		do_connect(sim, i, 1u | 1u << 4); /* a clean start, and a session that ends */
		do_disconnect(sim, i, 0);
	}
	for (int times = 0; times < 4; times++) {
		settle(sim);
		pass_ms(sim, HELD_MS * 100);
	}
	shard_scene_check_empty(sim->scene);
	for (uint16_t shard = 0; shard < sim->scene->shard_count; shard++)
		loads_of_plays += sim->scene->sources[shard].loads;
}

static void open_scene(bool commits)
{
	static struct journal_events events;
	safety_listen(&events);
	faults_clear();
	if (scene_of_plays == NULL) {
		scene_of_plays = shard_scene_new(2);
		log_level_set(LOG_ERROR);
	}
	scene_of_plays->events = commits ? &events : NULL;
	shard_scene_restart_with_commits(scene_of_plays, commits);
}

static void choose_settings(struct settings *settings, const struct play *play)
{
	settings->queue_messages_max = play->tight ? 10 : MODEL_MESSAGES_MAX;
	settings->queue_bytes_max = play->tight ? 8192 : 16u << 20;
	settings->inflight_max = play->tight ? 3 : 10;
	settings->overload_refuse_ms = play->hasty ? 100 : UINT32_MAX / 2;
	settings->stuck_timeout_ms = play->impatient ? 2000 : UINT32_MAX / 2;
}

void play_run(const struct play *play, const struct play_hooks *hooks)
{
	open_scene(play->commits);
	choose_settings(&scene_of_plays->settings, play);
	choose_source(scene_of_plays, play);
	memset(&model_of_plays, 0, sizeof(model_of_plays));
	struct sim sim = {
		.play = play,
		.hooks = hooks,
		.scene = scene_of_plays,
		.model = &model_of_plays,
		.now_ms = SCENE_START_MS,
		.faults = play->faults,
		.breaks = hooks->memory_fails || (play->faults & FAULT_RESET) != 0 || play->impatient,
	};
	for (uint32_t i = 0; i < MODEL_CLIENTS; i++)
		sim.clients[i].actor = (struct actor){.fd = -1, .version = 4, .unread = unread_of_plays[i]};
	if (play->commits)
		safety_begin(&sim);
	for (uint32_t i = 0; i < play->step_count; i++) {
		if (play->steps[i].client < play->clients)
			do_step(&sim, &play->steps[i]);
	}
	finish(&sim);
	safety_end();
}

uint64_t play_loads(void)
{
	return loads_of_plays;
}

void play_close(void)
{
	if (scene_of_plays != NULL)
		shard_scene_free(scene_of_plays);
	scene_of_plays = NULL;
}

/* ---- making and printing ---- */

static const struct {
	const char *name;
	uint32_t weight;
} KINDS[STEP_KINDS] = {
	[STEP_CONNECT] = {"connect", 10},
	[STEP_DISCONNECT] = {"disconnect", 3},
	[STEP_DROP] = {"drop", 3},
	[STEP_END_OUTPUT] = {"end output", 1},
	[STEP_SUBSCRIBE] = {"subscribe", 10},
	[STEP_UNSUBSCRIBE] = {"unsubscribe", 3},
	[STEP_PUBLISH] = {"publish", 25},
	[STEP_READ] = {"read", 20},
	[STEP_ANSWER] = {"answer", 15},
	[STEP_TURN] = {"turn", 30},
	[STEP_PASS] = {"pass", 3},
	[STEP_SETTLE] = {"settle", 1},
	[STEP_CHECKPOINT] = {"checkpoint", 1},
	[STEP_CRASH] = {"crash", 1},
};

static uint8_t choose_kind(struct random *random)
{
	uint32_t all = 0;
	for (uint32_t kind = 0; kind < STEP_KINDS; kind++)
		all += KINDS[kind].weight;
	uint32_t left = random_below(random, all);
	uint8_t kind = 0;
	while (left >= KINDS[kind].weight)
		left -= KINDS[kind++].weight;
	return kind;
}

void play_make(struct play *play, uint64_t seed, uint32_t steps)
{
	static const uint32_t RARITIES[] = {2, 3, 5, 20};
	struct random random = {.state = seed * 0x9E3779B97F4A7C15u | 1u};
	CHECK_LE(steps, PLAY_STEPS_MAX);
	for (int i = 0; i < 4; i++)
		random_next(&random);
	*play = (struct play){
		.seed = seed,
		.faults = random_next(&random) & random_next(&random) & FAULT_ALL,
		.rarity = RARITIES[random_below(&random, 4)],
		.clients = 2 + random_below(&random, MODEL_CLIENTS - 1),
		.small_buffers = random_below(&random, 2) == 0,
		.tight = random_below(&random, 3) == 0,
		.hasty = random_below(&random, 3) == 0,
		.impatient = random_below(&random, 3) == 0,
		.commits = seed % 2 == 1,
		.step_count = steps,
	};
	for (uint32_t i = 0; i < steps; i++) {
		play->steps[i] = (struct step){.kind = choose_kind(&random),
					       .client = (uint8_t)random_below(&random, play->clients),
					       .place = (uint16_t)i,
					       .bits = random_next(&random)};
		if (i < play->clients) /* somebody has to be there */
			play->steps[i] = (struct step){STEP_CONNECT, (uint8_t)i, (uint16_t)i, play->steps[i].bits};
	}
}

void play_print(const struct play *play)
{
	fprintf(stderr,
		"seed %lu, %u clients, %u steps, small buffers: %d, tight: %d, hasty: %d, impatient: %d, commits: %d, "
		"faults, one in %u:",
		play->seed, play->clients, play->step_count, play->small_buffers, play->tight, play->hasty,
		play->impatient, play->commits, play->rarity);
	for (uint32_t i = 0; i < FAULT_KINDS; i++) {
		if ((play->faults & 1u << i) != 0)
			fprintf(stderr, " %s", fault_name((enum fault_kind)(1u << i)));
	}
	fputc('\n', stderr);
	for (uint32_t i = 0; i < play->step_count; i++)
		fprintf(stderr, "  %3u client %u: %s 0x%x\n", play->steps[i].place, play->steps[i].client,
			KINDS[play->steps[i].kind].name, play->steps[i].bits);
}
