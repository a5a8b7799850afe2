/* Bodies that cannot be read: what may pass is tried again, and what is wrong is not. */
#include "commit/reader.h"
#include "store/format/segment_file.h"
#include "writer_scene.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND_NS UINT64_C(1000000000)

static void keep(struct scene *scene, uint32_t shard, uint32_t message)
{
	uint8_t packet[TOY_PACKET_MAX];
	struct journal_message told = {
		.publication = toy_packet(message, 1, packet), .packet = packet, .expires_at_s = INT64_MAX};
	STORE_JOURNAL_EVENTS.begin(&scene->shards[shard], 5000);
	STORE_JOURNAL_EVENTS.kept(&scene->shards[shard], (struct message_ref){message}, &told);
	STORE_JOURNAL_EVENTS.end(&scene->shards[shard]);
	scene_step(scene);
}

static void ask(struct scene *scene, uint32_t shard, uint32_t first, uint32_t count)
{
	uint8_t packet[TOY_PACKET_MAX];
	struct store_load *load = calloc(1, sizeof(*load));
	for (uint32_t i = first; i < first + count; i++)
		load->bodies[load->count++] =
			(struct store_body){.message = {i}, .packet_bytes = toy_packet(i, 1, packet).packet_bytes};
	store_load(&scene->shards[shard], &load);
}

/* How many of the bodies came. -1: there is no answer yet. */
static int answered(struct scene *scene, uint32_t shard)
{
	struct store_load *load = store_loaded(&scene->shards[shard]);
	if (load == NULL)
		return -1;
	int came = 0;
	for (uint32_t i = 0; i < load->count; i++) {
		uint8_t packet[TOY_PACKET_MAX];
		struct publication publication = toy_packet(load->bodies[i].message.index, 1, packet);
		if (load->bodies[i].packet != NULL) {
			assert_memory_equal(load->bodies[i].packet, packet, publication.packet_bytes);
			came++;
		}
		free(load->bodies[i].packet);
	}
	free(load);
	return came;
}

static struct scene *scene_with_bodies(struct reader *reader)
{
	struct scene *scene = scene_new(1, STORE_ALWAYS, 1 << 20, 1 << 20);
	scene_checkpoint_all(scene, 100);
	for (uint32_t message = 1; message <= 5; message++) {
		keep(scene, 0, message);
		keep(scene, 1, message);
	}
	scene->sim->fail_error = EIO;
	reader_init(reader, &scene->store->common, &scene->store->bodies, &scene->sim->disk, &scene->store->figures,
		    NULL);
	return scene;
}

static void a_read_that_fails_is_tried_again(void **state)
{
	(void)state;
	struct reader reader;
	struct scene *scene = scene_with_bodies(&reader);
	/* The third of five reads fails, and those behind it. */
	scene->sim->fail_read_in = 4;
	ask(scene, 0, 1, 5);
	assert_true(reader_step(&reader, SECOND_NS));
	assert_int_equal(answered(scene, 0), -1);
	/* Nobody else waits for that, and nothing is tried too soon. */
	scene->sim->fail_read_in = 0;
	ask(scene, 1, 1, 2);
	assert_true(reader_step(&reader, SECOND_NS + SECOND_NS / 2));
	assert_int_equal(answered(scene, 1), 2);
	assert_int_equal(answered(scene, 0), -1);
	assert_true(reader_step(&reader, 2 * SECOND_NS));
	assert_int_equal(answered(scene, 0), 5);
	assert_int_equal(figures_get(&scene->store->figures.loads), 7);
	assert_int_equal(figures_get(&scene->store->figures.load_failures), 0);
	assert_false(reader_step(&reader, 9 * SECOND_NS));
	reader_fini(&reader);
	scene_free(scene);
}

static void a_read_that_goes_on_failing_is_given_up(void **state)
{
	(void)state;
	struct reader reader;
	struct scene *scene = scene_with_bodies(&reader);
	scene->sim->fail_read_in = 4;
	ask(scene, 0, 1, 5);
	for (uint64_t try = 1; try < READER_TRIES; try++) {
		assert_true(reader_step(&reader, try * SECOND_NS));
		assert_int_equal(answered(scene, 0), -1);
		scene->sim->fail_read_in = 1;
	}
	assert_true(reader_step(&reader, READER_TRIES * SECOND_NS));
	assert_int_equal(answered(scene, 0), 2);
	assert_int_equal(figures_get(&scene->store->figures.load_failures), 3);
	/* One that waits when the store stops is answered too. */
	scene->sim->fail_read_in = 1;
	ask(scene, 0, 1, 1);
	assert_true(reader_step(&reader, 9 * SECOND_NS));
	assert_int_equal(answered(scene, 0), -1);
	reader_fini(&reader);
	assert_int_equal(answered(scene, 0), 0);
	scene_free(scene);
}

static void bytes_that_are_wrong_are_not_read_again(void **state)
{
	(void)state;
	struct reader reader;
	struct scene *scene = scene_with_bodies(&reader);
	struct body body;
	assert_true(bodies_find(&scene->store->bodies, 0, 2, &body));
	char name[STORE_SEGMENT_NAME_BYTES];
	struct disk_file *file;
	const struct disk *disk = &scene->sim->disk;
	assert_int_equal(disk->operations->open(disk->context, store_segment_name(body.segment, name), false, &file),
			 0);
	file->bytes[body.offset] = STORE_KIND_COUNT;
	disk->operations->close(disk->context, file);
	ask(scene, 0, 1, 5);
	ask(scene, 0, 3, 1);
	assert_true(reader_step(&reader, SECOND_NS));
	assert_int_equal(answered(scene, 0), 4);
	assert_int_equal(answered(scene, 0), 1);
	assert_int_equal(figures_get(&scene->store->figures.load_failures), 1);
	reader_fini(&reader);
	scene_free(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_read_that_fails_is_tried_again),
		cmocka_unit_test(a_read_that_goes_on_failing_is_given_up),
		cmocka_unit_test(bytes_that_are_wrong_are_not_read_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
