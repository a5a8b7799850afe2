/* All that a shard has in its arena, found by the next program at other addresses: sessions by client id, their
 * subscriptions, messages in flight and queued, wills, aliases, packets that came in part, retained messages that are
 * owed, acknowledgements that wait. And opening it changes nothing. The same where it is converted to another layout
 * and back. */
#include "access/addresses.h"
#include "layout/conversion.h"
#include "layout/layout_text.h"
#include "layout/memory_layout.h"
#include "outliving.h"
#include "peer.h"
#include "shard/loop.h"
#include "shifted_layout.h"
#include "state/account.h"
#include "state/extension.h"
#include "state/principal.h"
#include "topics/index/index.h"
#include "topics/index/rcu.h"
#include "topics/retained.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#define HOUR_S 3600u
#define PEERS 40u
#define PRINCIPALS 10u

struct twin {
	struct memory_root root;
	struct notes notes;
	struct notes back_notes; /* where it is converted to another layout and back */
	bool is_converted;
	struct arena arena;
	struct arena shared;
	struct index *index;
	struct retained *retained;
	struct shard *shard;
	struct mailbox *mailboxes;
};

static int scene_open(void **state)
{
	*state = shard_scene_new(1);
	return 0;
}

static int scene_close(void **state)
{
	struct shard_scene *scene = *state;
	shard_scene_pass_ms(scene, 2000u * HOUR_S);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
	shard_scene_free(scene);
	return 0;
}

/* ---- another layout ---- */

/* From this program's layout to another, and from there to this one's. */
static void convert_there_and_back(struct twin *twin)
{
	static struct layout_conversion made;
	static struct memory_root there;
	static struct notes there_notes;
	static struct memory_root back;
	char sentence[200];
	char *shifted = shifted_layout_text();
	const char *own = memory_layout_text();
	CHECK(layout_conversion_between(&made, own, shifted, LAYOUT_ROOTS, sentence, sizeof(sentence)));
	CHECK(made.conversion.type_count == 27 && made.conversion.block_count == 3);
	CHECK(memory_convert(&made.conversion, &twin->root, 2, &there, &there_notes) == ERROR_OK);
	CHECK(layout_conversion_between(&made, shifted, own, LAYOUT_ROOTS, sentence, sizeof(sentence)));
	CHECK(memory_convert(&made.conversion, &there, 1, &back, &twin->back_notes) == ERROR_OK);
	free(shifted);
	notes_close(&there_notes);
	memory_root_close_block(&there);
	notes_close(&twin->notes);
	CHECK(munmap(twin->root.block, sizeof(*twin->root.block)) == 0);
	twin->root = back;
	twin->root.notes = &twin->back_notes;
	twin->back_notes.arena.root = &twin->root;
	twin->is_converted = true;
}

/* What the next program does, as far as memory goes. */
static void twin_open(struct twin *twin, struct shard_scene *scene, bool converts)
{
	struct shard *shard = &scene->shards[0];
	CHECK(shard_save_memory(shard) == ERROR_OK);
	reader_offline();
	CHECK(index_save(scene->index, &scene->shared) == ERROR_OK);
	reader_online();
	CHECK(retained_save(scene->retained, &scene->shared) == ERROR_OK);
	CHECK(addresses_save(scene->addresses, &scene->shared) == ERROR_OK);
	uint64_t sum = outliving_sum(&scene->root);
	CHECK(memory_root_adopt(&twin->root, scene->root.fd, 1) == ERROR_OK);
	CHECK(notes_adopt(&twin->notes, &twin->root) == ERROR_OK);
	if (converts)
		convert_there_and_back(twin);
	CHECK(arena_find(&twin->arena, &twin->root, "shard 0") == ERROR_OK);
	CHECK(arena_find(&twin->shared, &twin->root, "shared") == ERROR_OK);
	twin->index = index_new(1, &scene->key, &twin->shared);
	twin->retained = retained_new(&scene->key, 1000, 1 << 20, &twin->shared);
	CHECK(twin->index != NULL && twin->retained != NULL);
	twin->shard = aligned_alloc(64, sizeof(*twin->shard));
	CHECK(twin->shard != NULL);
	memset(twin->shard, 0, sizeof(*twin->shard));
	twin->shard->env = shard->env;
	twin->shard->env.arena = &twin->arena;
	twin->shard->env.index = twin->index;
	twin->shard->env.retained = twin->retained;
	CHECK(shard_open(twin->shard) == ERROR_OK);
	CHECK_EQ(outliving_sum(&scene->root), sum);
}

static void twin_close(struct twin *twin, struct shard_scene *scene)
{
	uint64_t sum = outliving_sum(&scene->root);
	shard_close(twin->shard);
	free(twin->shard);
	retained_free(twin->retained);
	reader_offline();
	index_free(twin->index);
	reader_online();
	CHECK_EQ(outliving_sum(&scene->root), sum); /* the first program's memory is as it was */
	notes_close(twin->is_converted ? &twin->back_notes : &twin->notes);
	if (twin->is_converted)
		memory_root_close_block(&twin->root);
	else
		CHECK(munmap(twin->root.block, sizeof(*twin->root.block)) == 0);
	notes_clear(&scene->notes);
}

/* ---- comparing ---- */

static void assert_same_pool(const struct pool *one, const struct pool *other)
{
	assert_int_equal(one->used, other->used);
	assert_int_equal(one->touched, other->touched);
	assert_int_equal(one->free, other->free);
	assert_int_equal(one->limit, other->limit);
	assert_ptr_not_equal(one->region.base, other->region.base);
	assert_memory_equal(one->region.base, other->region.base, one->touched * one->object_bytes);
}

static void assert_same_table(const struct table *one, const struct table *other)
{
	assert_int_equal(one->count, other->count);
	assert_int_equal(one->bucket_count, other->bucket_count);
	assert_int_equal(one->level_mask, other->level_mask);
}

static void assert_same_messages(const struct messages *one, const struct messages *other)
{
	assert_int_equal(one->count, other->count);
	assert_int_equal(one->bytes, other->bytes);
	assert_int_equal(one->apart_bytes, other->apart_bytes);
	assert_int_equal(one->era, other->era);
	assert_int_equal(one->oldest.index, other->oldest.index);
	assert_int_equal(one->newest.index, other->newest.index);
	assert_int_equal(one->unsafe.index, other->unsafe.index);
}

/* What is in the blocks that a conversion moves. */
static void assert_same_blocks(const struct shard *one, const struct shard *other)
{
	uint32_t principals = 0, accounts = 0;
	for (uint32_t i = 1; i <= one->mem.clients.touched; i++) {
		struct client client = *shard_client(one, (struct client_ref){i});
		struct client twin = *shard_client(other, (struct client_ref){i});
		if (client.state == CLIENT_FREE)
			continue;
		const struct extension *extension = extension_of(one, &client);
		const struct principal *principal = principal_of(one, &client);
		const struct account *account = account_of(one, &client);
		assert_int_equal(extension != NULL, extension_of(other, &twin) != NULL);
		assert_int_equal(principal != NULL, principal_of(other, &twin) != NULL);
		assert_int_equal(account != NULL, account_of(other, &twin) != NULL);
		if (extension != NULL) {
			struct extension same = *extension_of(other, &twin);
			same.account = extension->account;
			assert_memory_equal(extension, &same, sizeof(same));
		}
		if (principal != NULL)
			assert_memory_equal(principal, principal_of(other, &twin),
					    offsetof(struct principal, user) + principal->user_bytes);
		if (account != NULL)
			assert_memory_equal(account, account_of(other, &twin), sizeof(*account));
		principals += principal != NULL;
		accounts += account != NULL;
		twin.extension = client.extension;
		twin.principal = client.principal;
		assert_memory_equal(&client, &twin, sizeof(client));
	}
	assert_int_equal(principals, one->mem.clients.used > 2 ? PRINCIPALS : 0);
	assert_int_equal(accounts, principals);
}

static void assert_same_shard(const struct shard *one, const struct shard *other, bool is_converted)
{
	assert_same_blocks(one, other);
	if (!is_converted) {
		assert_same_pool(&one->mem.clients, &other->mem.clients);
		assert_memory_equal(one->mem.slab.classes, other->mem.slab.classes, sizeof(one->mem.slab.classes));
		assert_int_equal(one->mem.slab.top_bytes, other->mem.slab.top_bytes);
	}
	assert_same_pool(&one->mem.flows.entries, &other->mem.flows.entries);
	assert_same_pool(&one->mem.transports.websockets.pool, &other->mem.transports.websockets.pool);
	assert_same_pool(&one->mem.transports.proxied.pool, &other->mem.transports.proxied.pool);
	assert_same_pool(&one->sessions.subscriptions.pool, &other->sessions.subscriptions.pool);
	assert_same_pool(&one->sessions.subscriptions.lists, &other->sessions.subscriptions.lists);
	assert_same_pool(&one->sessions.subscriptions.own.entries, &other->sessions.subscriptions.own.entries);
	assert_same_pool(&one->sessions.retained_jobs.jobs, &other->sessions.retained_jobs.jobs);
	assert_same_pool(&one->sessions.retained_jobs.queues, &other->sessions.retained_jobs.queues);
	assert_same_pool(&one->routing.acks.tickets, &other->routing.acks.tickets);
	assert_same_pool(&one->routing.acks.lines, &other->routing.acks.lines);
	assert_same_pool(&one->guard.token_rules.entries, &other->guard.token_rules.entries);
	assert_same_table(&one->sessions.registry.table, &other->sessions.registry.table);
	assert_same_table(&one->sessions.subscriptions.own.table, &other->sessions.subscriptions.own.table);
	assert_same_table(&one->sessions.retained_jobs.by_client, &other->sessions.retained_jobs.by_client);
	assert_same_table(&one->sessions.retained_jobs.by_subscription, &other->sessions.retained_jobs.by_subscription);
	assert_same_table(&one->routing.acks.by_client, &other->routing.acks.by_client);
	assert_same_table(&one->guard.token_rules.table, &other->guard.token_rules.table);
	assert_same_messages(&one->mem.messages, &other->mem.messages);
	assert_int_equal(one->mem.slab.used_bytes, other->mem.slab.used_bytes);
	assert_int_equal(one->sessions.retained_jobs.ready_first, other->sessions.retained_jobs.ready_first);
	assert_int_equal(one->sessions.retained_jobs.ready_last, other->sessions.retained_jobs.ready_last);
	assert_memory_equal(&one->guard.review, &other->guard.review, sizeof(one->guard.review));
	assert_memory_equal(&one->guard.token_rules.key, &other->guard.token_rules.key, sizeof(struct hash_key));
	assert_memory_equal(one->sessions.connected_at_s.base, other->sessions.connected_at_s.base,
			    one->sessions.connected_at_s.usable_bytes);
}

/* The session of an id is there, and what its flow leads to. */
static void assert_session(struct shard *shard, const struct hash_key *key, const char *id, uint32_t entries,
			   const char *last_payload)
{
	uint32_t hash = (uint32_t)hash_slice(key, slice_string(id));
	struct client_ref ref = registry_find(&shard->sessions.registry, hash, slice_string(id));
	assert_false(client_ref_is_none(ref));
	const struct extension *extension = extension_of(shard, shard_client(shard, ref));
	uint32_t count = 0;
	uint32_t last = 0;
	for (uint32_t at = extension != NULL ? flow_first(&extension->flow, &shard->mem.flows) : 0; at != 0;
	     at = flow_next(&extension->flow, &shard->mem.flows, at)) {
		last = at;
		count++;
	}
	assert_int_equal(count, entries);
	if (count == 0)
		return;
	const struct message *message =
		message_at(&shard->mem.messages, flow_entry_at(&shard->mem.flows, last)->message);
	struct slice payload =
		publication_parts(&message->publication, message_packet(&shard->mem.messages, message)).payload;
	assert_true(slice_equal(payload, slice_string(last_payload)));
}

/* Some clients are known by a name, and have lost messages. */
static void give_principals(struct shard *shard)
{
	char user[32];
	for (uint32_t i = 1; i <= PRINCIPALS; i++) {
		struct client *client = shard_client(shard, (struct client_ref){i});
		snprintf(user, sizeof(user), "a user with a name %u", i * i * i);
		struct journal_principal told = {.user = slice_string(user), .user_hash = i};
		struct principal_ref made;
		assert_int_equal(principal_restore(shard, &told, PRINCIPAL_NEVER_S, &made), ERROR_OK);
		principal_set(shard, client, made);
		principal_tell(shard, client);
		account_need(shard, client)->dropped = i;
	}
}

/* ---- tests ---- */

static void test_all_of_a_shard_is_found(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peers[PEERS];
	char id[32];
	char topic[32];
	for (uint32_t i = 0; i < PEERS; i++) {
		snprintf(id, sizeof(id), "client %u", i);
		peers[i] = peer_sign_in(scene,
					PEER_CONNECT(.id = id, .expiry_s = HOUR_S, .receive_max = 2, .alias_max = 4,
						     .will_topic = "will", .will_payload = "gone", .will_delay_s = 100),
					false);
		snprintf(topic, sizeof(topic), "t/%u", i);
		peer_subscribe(&peers[i], topic, (uint8_t)(i % 3));
		peer_subscribe(&peers[i], i % 2 == 0 ? "t/+/all" : "$share/group/t/all", 1);
	}
	give_principals(&scene->shards[0]);
	for (uint32_t i = 0; i < 30; i++) { /* found by key from the 17th on */
		snprintf(topic, sizeof(topic), "many/%u", i);
		peer_subscribe(&peers[0], topic, 1);
	}
	for (uint32_t i = 1; i < 6; i++) /* five in flight or queued for each: two are sent, none acknowledged */
		for (uint32_t to = 1; to < PEERS; to += 3) {
			snprintf(topic, sizeof(topic), "t/%u", to);
			peer_publish(&peers[0], topic, i == 5 ? "last" : "message", 1, (uint16_t)(100 * to + i));
			peer_hears_ack(&peers[0], MQTT_PUBACK, (uint16_t)(100 * to + i), 0);
		}
	for (uint32_t i = 2; i < PEERS; i += 3)
		peer_vanish(&peers[i]);
	peer_say(&peers[3], "\x30\x20\x00\x05part", 8); /* a packet comes in part */
	shard_scene_settle(scene);

	for (int converts = 0; converts < 2; converts++) {
		struct twin twin = {0};
		twin_open(&twin, scene, converts != 0);
		assert_same_shard(&scene->shards[0], twin.shard, converts != 0);
		for (uint32_t i = 0; i < PEERS; i++) {
			snprintf(id, sizeof(id), "client %u", i);
			assert_session(twin.shard, &scene->key, id, i % 3 == 1 ? 5 : 0, "last");
		}
		assert_int_equal(index_size(twin.index).filters, index_size(scene->index).filters);
		twin_close(&twin, scene);
	}
	for (uint32_t i = 0; i < PEERS; i++) {
		if (peers[i].fd >= 0)
			peer_vanish(&peers[i]);
	}
}

/* A client that takes nothing is owed retained messages; its walk stands in the middle of the tree. */
static void test_owed_messages_and_backlogs_are_found(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	char topic[32];
	char payload[400];
	memset(payload, 'x', sizeof(payload));
	payload[sizeof(payload) - 1] = '\0';
	for (uint32_t i = 0; i < 300; i++) {
		snprintf(topic, sizeof(topic), "r/%u", i);
		peer_publish_as(&from, &(struct mqtt_publish){.topic = slice_string(topic),
							      .payload = slice_string(payload),
							      .retain = true});
	}
	struct far_peer slow =
		peer_sign_in(scene, PEER_CONNECT(.id = "slow", .expiry_s = HOUR_S, .send_bytes = 4608), false);
	peer_subscribe(&slow, "r/#", 1);
	shard_scene_settle(scene);
	const struct shard *shard = &scene->shards[0];
	assert_int_equal(shard->sessions.retained_jobs.jobs.used, 1);

	for (int round = 0; round < 3; round++) { /* it was put off, and is tried again */
		struct twin twin = {0};
		twin_open(&twin, scene, round == 1);
		assert_same_shard(shard, twin.shard, round == 1);
		twin_close(&twin, scene);
	}
	peer_vanish(&slow);
	peer_vanish(&from);
	for (uint32_t i = 0; i < 300; i++) {
		struct far_peer last = peer_sign_in(scene, PEER_CONNECT(.id = "last"), false);
		snprintf(topic, sizeof(topic), "r/%u", i);
		peer_publish_as(&last, &(struct mqtt_publish){.topic = slice_string(topic), .retain = true});
		peer_vanish(&last);
	}
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_all_of_a_shard_is_found),
		IN_SCENE(test_owed_messages_and_backlogs_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
