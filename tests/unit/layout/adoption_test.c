/* The memory of the program before: of the same layout, of another that is converted, and of one that is refused in a
 * sentence; and the other program can have it again. */
#include "layout/adoption.h"
#include "layout/memory_layout.h"
#include "memory/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define OBJECTS 1000u
#define LIST_BYTES 28u /* struct subscriber_list */

struct scene {
	struct memory_root root;
	struct notes notes;
	struct arena arena;
	struct pool lists;
};

static void scene_begin(struct scene *scene, uint64_t layout, uint32_t list_bytes)
{
	assert_int_equal(memory_root_open(&scene->root, layout), ERROR_OK);
	assert_int_equal(notes_open(&scene->notes, &scene->root), ERROR_OK);
	assert_int_equal(arena_open(&scene->arena, &scene->root, "shard 0"), ERROR_OK);
	assert_int_equal(pool_open_in(&scene->lists, &scene->arena, "lists", list_bytes, OBJECTS), ERROR_OK);
	for (uint32_t i = 1; i <= OBJECTS; i++)
		memset(pool_at(&scene->lists, pool_take(&scene->lists)), (int)(i % 251), list_bytes);
	assert_int_equal(pool_save(&scene->lists, &scene->arena), ERROR_OK);
}

static void scene_end(struct scene *scene)
{
	pool_close(&scene->lists);
	notes_close(&scene->notes);
	memory_root_close(&scene->root);
}

static void assert_lists(struct layout_adoption *adoption, uint32_t same_bytes)
{
	struct arena arena;
	struct pool lists;
	assert_int_equal(arena_find(&arena, &adoption->root, "shard 0"), ERROR_OK);
	assert_int_equal(pool_open_in(&lists, &arena, "lists", LIST_BYTES, OBJECTS), ERROR_OK);
	assert_int_equal(lists.used, OBJECTS);
	for (uint32_t i = 1; i <= OBJECTS; i++) {
		const uint8_t *list = pool_at(&lists, i);
		for (uint32_t at = 0; at < LIST_BYTES; at++)
			assert_int_equal(list[at], at < same_bytes ? i % 251 : 0);
	}
	pool_close(&lists);
}

static void test_same_layout_is_taken_as_it_is(void **state)
{
	(void)state;
	struct scene scene;
	static struct layout_adoption adoption;
	char sentence[200];
	scene_begin(&scene, memory_layout_hash(), LIST_BYTES);
	assert_int_equal(layout_adopt(&adoption, dup(scene.root.fd), sentence, sizeof(sentence)), ERROR_OK);
	assert_string_equal(sentence, "");
	assert_false(adoption.is_converted);
	assert_ptr_equal(adoption.root.notes, &adoption.notes);
	assert_lists(&adoption, LIST_BYTES);
	layout_adoption_finish(&adoption);
	assert_lists(&adoption, LIST_BYTES);
	notes_close(&adoption.notes);
	memory_root_close_block(&adoption.root);
	scene_end(&scene);
}

/* This program's text as it was before struct subscriber_list had its last two members. */
static char *text_of_before(void)
{
	char *text = strdup(memory_layout_text());
	assert_non_null(text);
	char *line = strstr(text, "\nstruct subscriber_list 28: ");
	assert_non_null(line);
	memcpy(strchr(line, '8'), "4", 1); /* 24 bytes */
	char *last = strstr(line, "; generation@24");
	char *end = strchr(line + 1, '\n');
	assert_true(last != NULL && last < end);
	memmove(last, end, strlen(end) + 1);
	return text;
}

static void put_text(struct scene *scene, const char *text, uint64_t version)
{
	assert_int_equal(notes_put(&scene->notes, "layout", "text", text, strlen(text) + 1), ERROR_OK);
	assert_int_equal(notes_put_u64(&scene->notes, "layout", "version", version), ERROR_OK);
}

static void test_another_layout_is_converted(void **state)
{
	(void)state;
	struct scene scene;
	static struct layout_adoption adoption;
	char sentence[200];
	char *text = text_of_before();
	scene_begin(&scene, 77, LIST_BYTES - 4);
	put_text(&scene, text, MEMORY_LAYOUT_VERSION);
	assert_true(layout_accepts(text, MEMORY_LAYOUT_VERSION, sentence, sizeof(sentence)));
	assert_string_equal(sentence, "struct subscriber_list");
	for (int round = 0; round < 2; round++) { /* the first one does not get to its first turn */
		assert_int_equal(layout_adopt(&adoption, dup(scene.root.fd), sentence, sizeof(sentence)), ERROR_OK);
		assert_string_equal(sentence, "struct subscriber_list");
		assert_true(adoption.is_converted);
		assert_int_equal(adoption.root.block->layout_hash, memory_layout_hash());
		assert_lists(&adoption, LIST_BYTES - 4);
		if (round == 0) {
			notes_close(&adoption.old_notes);
			memory_root_close_block(&adoption.old);
		} else {
			layout_adoption_finish(&adoption);
		}
		notes_close(&adoption.notes);
		memory_root_close_block(&adoption.root);
	}
	free(text);
	scene_end(&scene);
}

static void test_what_cannot_be_adopted_is_said(void **state)
{
	(void)state;
	static const struct {
		const char *text; /* NULL: there is none */
		uint64_t version;
		const char *sentence;
	} CASES[] = {
		{NULL, 0, "the memory has another layout, and no text says which"},
		{"", MEMORY_LAYOUT_VERSION, " is new"},
		{"", MEMORY_LAYOUT_VERSION + 1, "layout version"},
		{"", UINT64_MAX, "no text says which"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct scene scene;
		static struct layout_adoption adoption;
		char sentence[200];
		scene_begin(&scene, 77, LIST_BYTES);
		if (CASES[i].text != NULL)
			put_text(&scene, CASES[i].text, CASES[i].version);
		assert_int_equal(layout_adopt(&adoption, scene.root.fd, sentence, sizeof(sentence)), ERROR_NOT_FOUND);
		assert_non_null(strstr(sentence, CASES[i].sentence));
		scene_end(&scene);
	}
	static struct layout_adoption adoption;
	char sentence[200];
	assert_int_equal(layout_adopt(&adoption, -1, sentence, sizeof(sentence)), ERROR_NOT_FOUND);
	assert_non_null(strstr(sentence, "root block"));
}

static void test_own_notes_are_accepted(void **state)
{
	(void)state;
	struct scene scene;
	struct slice text;
	uint64_t version;
	char sentence[200];
	scene_begin(&scene, 77, LIST_BYTES);
	assert_int_equal(layout_put_notes(&scene.notes), ERROR_OK);
	assert_true(notes_get(&scene.notes, "layout", "text", &text));
	assert_true(notes_get_u64(&scene.notes, "layout", "version", &version));
	assert_true(layout_accepts((const char *)text.data, (uint32_t)version, sentence, sizeof(sentence)));
	assert_string_equal(sentence, "");
	scene_end(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_layout_is_taken_as_it_is),
		cmocka_unit_test(test_another_layout_is_converted),
		cmocka_unit_test(test_what_cannot_be_adopted_is_said),
		cmocka_unit_test(test_own_notes_are_accepted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
