/* Messages that wait for sessions: kept once, counted by reference, gone with the last one; packets of theirs that
 * leave memory, the oldest first and none before it is safe, and come back. */
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
	struct journal journal;
	uint64_t told;  /* number of the commit in which all is told */
	uint32_t known; /* messages that the journal was told of and that are not forgotten */
};

static void on_begin(void *context, int64_t wall_s)
{
	(void)context;
	(void)wall_s;
}

static void on_kept(void *context, struct message_ref name, const struct journal_message *told)
{
	struct scene *scene = context;
	assert_false(message_ref_is_none(name));
	assert_int_equal(told->publication.expires_s, 0);
	scene->known++;
}

static void on_forgotten(void *context, struct message_ref name)
{
	struct scene *scene = context;
	assert_false(message_ref_is_none(name));
	assert_int_not_equal(scene->known, 0);
	scene->known--;
}

static uint64_t on_told(const void *context)
{
	const struct scene *scene = context;
	return scene->told;
}

static int scene_open(void **state)
{
	static struct scene scene;
	scene = (struct scene){.slab = {.used_bytes = 0}};
	assert_int_equal(slab_open(&scene.slab, (size_t)4 << 20), ERROR_OK);
	messages_init(&scene.messages, &scene.slab);
	static const struct journal_events EVENTS = {.begin = on_begin, .kept = on_kept, .forgotten = on_forgotten};
	static const struct journal_safety SAFETY = {.told = on_told};
	scene.journal = (struct journal){.events = &EVENTS, .safety = &SAFETY, .context = &scene};
	scene.messages.journal = &scene.journal;
	*state = &scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(scene->messages.count, 0);
	assert_int_equal(scene->messages.bytes, 0);
	assert_int_equal(scene->messages.apart_bytes, 0);
	assert_int_equal(scene->messages.absent_count, 0);
	assert_int_equal(scene->messages.absent_bytes, 0);
	assert_int_equal(scene->known, 0);
	assert_true(message_ref_is_none(scene->messages.oldest) && message_ref_is_none(scene->messages.newest));
	assert_int_equal(scene->slab.used_bytes, 0);
	slab_close(&scene->slab);
	return 0;
}

static void make_sample(struct scene *scene, uint32_t number)
{
	static uint8_t payload[1200];
	memset(payload, (int)number, sizeof(payload));
	sample_plain(&scene->sample, "topic", slice_of(payload, 1 + number % sizeof(payload)), (uint8_t)(number % 3));
}

static struct message_ref keep(struct scene *scene, uint32_t number)
{
	make_sample(scene, number);
	return messages_new(&scene->messages, &scene->sample.publication, scene->sample.packet);
}

static void assert_is(struct scene *scene, struct message_ref ref, uint32_t number)
{
	const struct message *message = message_at(&scene->messages, ref);
	struct publication_parts parts =
		publication_parts(&message->publication, message_packet(&scene->messages, message));
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

/* ---- packets apart ---- */

static struct message_ref keep_apart(struct scene *scene, uint32_t number)
{
	make_sample(scene, number);
	struct message_ref ref = messages_new_apart(&scene->messages, &scene->sample.publication, scene->sample.packet);
	assert_false(message_ref_is_none(ref));
	return ref;
}

static struct message_ref keep_apart_and_tell(struct scene *scene, uint32_t number, uint64_t commit)
{
	struct message_ref ref = keep_apart(scene, number);
	scene->told = commit;
	messages_tell(&scene->messages, ref, 0, NULL);
	return ref;
}

static uint32_t evict(struct scene *scene, uint64_t bytes_max, uint64_t safe)
{
	messages_note_safe(&scene->messages, safe, UINT32_MAX);
	return messages_evict(&scene->messages, bytes_max, UINT32_MAX);
}

static void install(struct scene *scene, struct message_ref ref, uint32_t number)
{
	make_sample(scene, number);
	assert_int_equal(messages_install(&scene->messages, ref, scene->sample.packet), ERROR_OK);
}

static void test_the_oldest_that_are_safe_leave(void **state)
{
	struct scene *scene = *state;
	struct messages *messages = &scene->messages;
	enum { MESSAGES = 10 };
	struct message_ref refs[MESSAGES];
	for (uint32_t i = 0; i < MESSAGES; i++)
		refs[i] = keep_apart_and_tell(scene, 600, 5 + i / 2); /* two a commit: 5 5 6 6 7 7 8 8 9 9 */
	uint32_t each = message_at(messages, refs[0])->publication.packet_bytes;
	assert_int_equal(messages->apart_bytes, MESSAGES * each);
	assert_int_equal(evict(scene, 0, 4), 0);
	assert_int_equal(evict(scene, (uint64_t)MESSAGES * each, 9), 0); /* there is no need */
	assert_int_equal(evict(scene, (uint64_t)MESSAGES * each - 1, 9), 1);
	assert_int_equal(messages_evict(messages, 0, 2), 2); /* a bounded number at a time */
	for (uint32_t i = 0; i < MESSAGES; i++)
		assert_int_equal(messages_is_absent(messages, refs[i]), i < 3);
	assert_int_equal(messages->absent_count, 3);
	assert_int_equal(messages->absent_bytes, 3 * each);
	assert_int_equal(messages->bytes, (MESSAGES - 3) * each);
	/* What comes back is as if it had been told now: it leaves last, and is safe with what was told meanwhile. */
	install(scene, refs[1], 600);
	assert_is(scene, refs[1], 600);
	messages_put(messages, refs[4]); /* out of the middle of the list */
	scene->told = 12;
	install(scene, refs[0], 600);
	assert_int_equal(evict(scene, 0, 11), MESSAGES - 4 + 1);
	for (uint32_t i = 0; i < MESSAGES; i++)
		if (i != 4)
			assert_int_equal(messages_is_absent(messages, refs[i]), i != 0);
	assert_int_equal(evict(scene, 0, 12), 1);
	for (uint32_t i = 0; i < MESSAGES; i++)
		if (i != 4)
			messages_put(messages, refs[i]);
}

/* Nothing leaves that is nowhere else: what the journal was not told of, and what is not apart. */
static void test_what_stays(void **state)
{
	struct scene *scene = *state;
	struct message_ref plain = keep(scene, 7);
	messages_tell(&scene->messages, plain, 0, NULL);
	struct message_ref untold = keep_apart(scene, 8);
	assert_int_equal(evict(scene, 0, UINT32_MAX), 0);
	assert_is(scene, plain, 7);
	assert_is(scene, untold, 8);
	messages_tell(&scene->messages, untold, 0, NULL);
	assert_int_equal(evict(scene, 0, 0), 1);
	assert_is(scene, plain, 7);
	messages_put(&scene->messages, plain);
	messages_put(&scene->messages, untold);
}

/* Half of a commit's number is kept: the other half passes a border, and commits pass by in great number. */
static void test_numbers_of_commits_wrap(void **state)
{
	struct scene *scene = *state;
	uint64_t border = (uint64_t)3 << 32;
	struct message_ref before = keep_apart_and_tell(scene, 1, border - 1);
	struct message_ref behind = keep_apart_and_tell(scene, 2, border + 1);
	assert_int_equal(evict(scene, 0, border - 2), 0);
	assert_int_equal(evict(scene, 0, border), 1);
	assert_int_equal(evict(scene, 0, border + 1), 1);
	install(scene, before, 1);
	messages_note_safe(&scene->messages, border + 2, 1); /* once within 2^31 commits is enough */
	assert_int_equal(evict(scene, 0, border + ((uint64_t)1 << 31) + 5), 1);
	messages_put(&scene->messages, before);
	messages_put(&scene->messages, behind);
}

static void test_restored_without_packets(void **state)
{
	struct scene *scene = *state;
	struct messages *messages = &scene->messages;
	make_sample(scene, 40);
	struct message_ref ref = messages_new_absent(messages, &scene->sample.publication);
	scene->known++; /* the journal has it from before */
	assert_true(messages_is_absent(messages, ref));
	assert_int_equal(scene->slab.used_bytes, 32);
	messages_tell(messages, ref, 0, NULL);
	assert_int_equal(scene->known, 1); /* not again */
	messages_set_unreadable(messages, ref);
	assert_true(message_at(messages, ref)->unreadable);
	install(scene, ref, 40);
	assert_false(message_at(messages, ref)->unreadable);
	assert_is(scene, ref, 40);
	install(scene, ref, 41); /* it is there: nothing changes */
	assert_is(scene, ref, 40);
	messages_set_unreadable(messages, ref);
	assert_false(message_at(messages, ref)->unreadable);
	messages_put(messages, ref);
}

struct apart {
	struct message_ref ref;
	uint32_t number;
	uint32_t references;
	uint64_t commit; /* 0: not told */
	bool plain;
};

static void check_apart(struct scene *scene, const struct apart *kept, uint64_t safe)
{
	const struct messages *messages = &scene->messages;
	uint64_t bytes = 0;
	uint64_t absent_bytes = 0;
	uint32_t known = 0;
	for (uint32_t i = 0; i < KEPT_MAX; i++) {
		if (kept[i].references == 0)
			continue;
		const struct message *message = message_at(messages, kept[i].ref);
		assert_int_equal(message->references, kept[i].references);
		known += message->journaled;
		if (message_is_absent(message)) {
			assert_true(!kept[i].plain && kept[i].commit != 0 && kept[i].commit <= safe);
			absent_bytes += message->publication.packet_bytes;
		} else {
			assert_is(scene, kept[i].ref, kept[i].number);
			bytes += message->publication.packet_bytes;
		}
	}
	assert_int_equal(messages->bytes, bytes);
	assert_int_equal(messages->absent_bytes, absent_bytes);
	assert_int_equal(scene->known, known);
	uint64_t listed = 0;
	struct message_ref at = messages->oldest;
	for (; !message_ref_is_none(at); at = message_body(message_at(messages, at))->newer) {
		const struct message *message = message_at(messages, at);
		assert_true(message->journaled && !message_is_absent(message));
		listed += message->publication.packet_bytes;
	}
	assert_true(listed <= messages->apart_bytes);
}

static void act_on(struct scene *scene, struct apart *kept, struct random *random, uint32_t number)
{
	struct messages *messages = &scene->messages;
	if (kept->references == 0) {
		bool plain = random_below(random, 4) == 0;
		struct message_ref ref = plain ? keep(scene, number) : keep_apart(scene, number);
		*kept = (struct apart){.ref = ref, .number = number, .references = 1, .plain = plain};
	} else if (kept->commit == 0 && random_below(random, 2) == 0) {
		messages_tell(messages, kept->ref, 0, NULL);
		kept->commit = scene->told;
	} else if (messages_is_absent(messages, kept->ref) && random_below(random, 2) == 0) {
		install(scene, kept->ref, kept->number);
		kept->commit = scene->told;
	} else if (random_below(random, 5) < 2) {
		messages_get(messages, kept->ref);
		kept->references++;
	} else {
		messages_put(messages, kept->ref);
		kept->references--;
	}
}

static void test_both_forms_at_random(void **state)
{
	struct scene *scene = *state;
	static struct apart kept[KEPT_MAX];
	memset(kept, 0, sizeof(kept));
	struct random random = {47};
	uint64_t safe = 0;
	scene->told = 1;
	for (uint32_t step = 0; step < 50000; step++) {
		act_on(scene, &kept[random_below(&random, KEPT_MAX)], &random, step);
		if (random_below(&random, 10) == 0)
			scene->told++;
		if (random_below(&random, 20) == 0)
			safe += random_below(&random, (uint32_t)(scene->told - safe));
		if (random_below(&random, 30) == 0) {
			messages_note_safe(&scene->messages, safe, random_below(&random, 20));
			messages_evict(&scene->messages, random_below(&random, 30000), random_below(&random, 20));
		}
		if (step % 64 == 0)
			check_apart(scene, kept, safe);
	}
	assert_in_range(scene->messages.evicted, 1000, 50000);
	for (uint32_t i = 0; i < KEPT_MAX; i++) {
		for (; kept[i].references != 0; kept[i].references--)
			messages_put(&scene->messages, kept[i].ref);
	}
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_references_at_random),           IN_SCENE(test_no_memory),
		IN_SCENE(test_the_oldest_that_are_safe_leave), IN_SCENE(test_what_stays),
		IN_SCENE(test_numbers_of_commits_wrap),        IN_SCENE(test_restored_without_packets),
		IN_SCENE(test_both_forms_at_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
