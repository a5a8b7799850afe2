/* What lies where: the sentence about two texts that differ, and the text of this very program. */
#include "layout/memory_layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *before;
	const char *after;
	const char *sentence; /* NULL: they are equal */
} PAIRS[] = {
	{"", "", NULL},
	{"struct a 4: n@0 u32\n", "struct a 4: n@0 u32\n", NULL},
	{"struct a 4: n@0 u32\n", "struct a 8: n@0 u32; m@4 u32\n",
	 "struct a differs: it has m@4 u32 where it had nothing"},
	{"struct a 8: n@0 u32; m@4 u32\n", "struct a 4: n@0 u32\n",
	 "struct a differs: it has nothing where it had m@4 u32"},
	{"struct a 8: n@0 u32; m@4 u32\n", "struct a 8: n@0 u32; m@4 f32\n",
	 "struct a differs: it has m@4 f32 where it had m@4 u32"},
	{"struct a 4: n@0 u32\n", "struct a 4: n@0 u32\nstruct b 1: c@0 u8\n", "struct b is new"},
	{"struct a 4: n@0 u32\nstruct b 1: c@0 u8\n", "struct b 1: c@0 u8\n", "struct a is gone"},
	{"struct a 4: n@0 u32\n", "", "struct a is gone"},
	{"struct ab 4: n@0 u32\n", "struct a 4: n@0 u32\nstruct ab 4: n@0 u32\n", "struct a is new"},
	/* Not of this form at all. */
	{"struct a 4: n@0 u32\n", "rubbish", "rubbish is new"},
	{"\n", "struct a 4: n@0 u32\n", " is gone"},
	{"struct a 4: n@0 u32", "struct a 4", "struct a differs: it has nothing where it had n@0 u32"},
};

static void says_what_differs(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(PAIRS) / sizeof(PAIRS[0]); i++) {
		char sentence[200] = "";
		bool differs = memory_layout_difference(PAIRS[i].before, PAIRS[i].after, sentence, sizeof(sentence));
		assert_int_equal(differs, PAIRS[i].sentence != NULL);
		assert_string_equal(sentence, differs ? PAIRS[i].sentence : "");
	}
}

static void a_sentence_is_cut_where_there_is_no_room(void **state)
{
	(void)state;
	char sentence[10] = "";
	assert_true(memory_layout_difference("", "struct abcdefgh 1: c@0 u8\n", sentence, sizeof(sentence)));
	assert_string_equal(sentence, "struct ab");
}

/* As wide as the types that every client has, so that a tool that found nothing does not pass. */
static void this_program_has_a_text(void **state)
{
	(void)state;
	const char *text = memory_layout_text();
	assert_non_null(strstr(text, "\nstruct client 64: session@0 struct session; "));
	assert_non_null(strstr(text, "\nstruct wheel_node 8: next@0 u32; previous@4 u32\n"));
	assert_non_null(strstr(text, "\nenum client_state 4: CLIENT_FREE=0; "));
	char sentence[200];
	assert_false(memory_layout_difference(text, text, sentence, sizeof(sentence)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_differs),
		cmocka_unit_test(a_sentence_is_cut_where_there_is_no_room),
		cmocka_unit_test(this_program_has_a_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
