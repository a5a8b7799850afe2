/* Messages that wait for sessions: kept once, counted by reference, gone with the last one. */
#include "publication_sample.h"
#include "random.h"
#include "session/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define KEPT_MAX 200u

struct scene {
	struct slab slab;
	struct messages messages;
	struct sample sample;
};

static int scene_open(void **state)
{
	static struct scene scene;
	scene = (struct scene){.slab = {.used_bytes = 0}};
	assert_int_equal(slab_open(&scene.slab, (size_t)4 << 20), ERROR_OK);
	messages_init(&scene.messages, &scene.slab);
	*state = &scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(scene->messages.count, 0);
	assert_int_equal(scene->messages.bytes, 0);
	assert_int_equal(scene->slab.used_bytes, 0);
	slab_close(&scene->slab);
	return 0;
}

static struct message_ref keep(struct scene *scene, uint32_t number)
{
	uint8_t payload[1200];
	memset(payload, (int)number, sizeof(payload));
	sample_plain(&scene->sample, "topic", slice_of(payload, 1 + number % sizeof(payload)), (uint8_t)(number % 3));
	return messages_new(&scene->messages, &scene->sample.publication, scene->sample.packet);
}

static void assert_is(struct scene *scene, struct message_ref ref, uint32_t number)
{
	const struct message *message = message_at(&scene->messages, ref);
	struct publication_parts parts = publication_parts(&message->publication, message->packet);
	assert_true(slice_equal(parts.topic, slice_string("topic")));
	assert_int_equal(parts.payload.size, 1 + number % 1200);
	for (size_t i = 0; i < parts.payload.size; i++)
		assert_int_equal(parts.payload.data[i], (uint8_t)number);
}

static void test_references_at_random(void **state)
{
	struct scene *scene = *state;
	struct {
		struct message_ref ref;
		uint32_t number;
		uint32_t references;
	} kept[KEPT_MAX] = {0};
	struct random random = {31};
	for (uint32_t step = 0; step < 50000; step++) {
		uint32_t i = random_below(&random, KEPT_MAX);
		if (kept[i].references == 0) {
			kept[i].ref = keep(scene, step);
			kept[i].number = step;
			kept[i].references = 1;
			assert_false(message_ref_is_none(kept[i].ref));
		} else if (random_below(&random, 5) < 2) {
			messages_get(&scene->messages, kept[i].ref);
			kept[i].references++;
		} else {
			assert_is(scene, kept[i].ref, kept[i].number);
			messages_put(&scene->messages, kept[i].ref);
			kept[i].references--;
		}
		uint32_t count = 0;
		uint64_t bytes = 0;
		for (uint32_t j = 0; j < KEPT_MAX && step % 64 == 0; j++) {
			if (kept[j].references == 0)
				continue;
			assert_int_equal(message_at(&scene->messages, kept[j].ref)->references, kept[j].references);
			count++;
			bytes += message_at(&scene->messages, kept[j].ref)->publication.packet_bytes;
		}
		if (step % 64 == 0) {
			assert_int_equal(scene->messages.count, count);
			assert_int_equal(scene->messages.bytes, bytes);
		}
	}
	for (uint32_t i = 0; i < KEPT_MAX; i++) {
		for (; kept[i].references != 0; kept[i].references--)
			messages_put(&scene->messages, kept[i].ref);
	}
}

static void test_no_memory(void **state)
{
	struct scene *scene = *state;
	static struct message_ref refs[20000];
	uint32_t count = 0;
	while (!message_ref_is_none(refs[count] = keep(scene, 999)))
		assert_true(++count < 20000);
	assert_int_equal(scene->messages.count, count);
	assert_int_equal(scene->messages.bytes, (uint64_t)count * scene->sample.publication.packet_bytes);
	for (uint32_t i = 0; i < count; i++) {
		assert_is(scene, refs[i], 999);
		messages_put(&scene->messages, refs[i]);
	}
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_references_at_random),
		IN_SCENE(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
