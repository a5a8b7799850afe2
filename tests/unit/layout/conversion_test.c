/* How memory of one layout comes to another: what may differ and where its bits go, and what is refused in which
 * sentence; texts that are cut or damaged at every byte. */
#include "../tries.h"
#include "layout/conversion.h"
#include "layout/memory_layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NODE "struct table_node 8: hash@0 u32; next@4 u32\n"

static const struct {
	const char *from;
	const char *to;
	const char *roots;
	const char *sentence;
	bool can;
} CASES[] = {
	{"", "", "", "", true},
	{"struct ticket 4: a@0 u32\n", "struct ticket 4: a@0 u32\n", "struct ticket\n", "", true},
	{"struct ticket 4: a@0 u32\n", "struct ticket 8: a@0 u32; b@4 u32\n", "struct ticket\n", "struct ticket", true},
	{"struct ticket 8: a@0 u32; b@4 u32\n", "struct ticket 8: b@0 u32; a@4 u32\n", "struct ticket\n",
	 "struct ticket", true},
	{"struct ticket 2: a@0 u16\n", "struct ticket 4: a@0 u32\n", "struct ticket\n", "struct ticket", true},
	{"struct ticket 4: a@0b3 u32; b@3b4 u32\n", "struct ticket 4: b@0b5 u32; a@5b3 u32\n", "struct ticket\n",
	 "struct ticket", true},
	{"struct ticket 8: a@0 u32; zero@4 u32\n", "struct ticket 4: a@0 u32\n", "struct ticket\n", "struct ticket",
	 true},
	{"struct in 4: a@0 u32\nstruct ticket 8: in@0 struct in[2]\n",
	 "struct in 8: a@4 u32; b@0 u32\nstruct ticket 16: in@0 struct in[2]\n", "struct ticket\n", "struct ticket",
	 true},
	{"struct ticket 8: @0 union {a@0 u32; b@0 u16}; c@4 u32\n",
	 "struct ticket 12: d@0 u32; @4 union {a@0 u32; b@0 u16}; c@8 u32\n", "struct ticket\n", "struct ticket", true},
	/* Both texts have a type that the other's roots do not lead to. */
	{"struct ticket 4: a@0 u32\n", "struct other 8: a@0 u64\nstruct ticket 4: a@0 u32\n", "struct ticket\n", "",
	 true},
	/* An enumeration that is kept as a number may have more values. */
	{"enum e 4: A=0; E_COUNT=1\n", "enum e 4: A=0; B=1; E_COUNT=2\n", "enum e\n", "", true},
	{"enum e 4: A=0; B=1\n", "enum e 4: B=0; A=1\n", "enum e\n",
	 "enum e differs: enum e is kept where it cannot be converted", false},
	/* A name that is gone may live on under another one. */
	{"struct ticket 4: a@0 u32\n", "struct ticket 4: b@0 u32\n", "struct ticket\n",
	 "struct ticket differs: a is gone, and what it holds would be lost", false},
	{"struct ticket 4: a@0 u32\n", "struct ticket 2: a@0 u16\n", "struct ticket\n",
	 "struct ticket differs: a has become narrower, or is an array", false},
	{"struct ticket 4: a@0 u32\n", "struct ticket 4: a@0 f32\n", "struct ticket\n",
	 "struct ticket differs: a is of another type", false},
	{"struct ticket 8: a@0 u32[2]\n", "struct ticket 12: a@0 u32[3]\n", "struct ticket\n",
	 "struct ticket differs: a is of another type", false},
	{"struct message 4: a@0 u32\n", "struct message 8: a@0 u32; b@4 u32\n", "struct message\n",
	 "struct message differs: struct message is kept where it cannot be converted", false},
	{"", "struct ticket 4: a@0 u32\n", "struct ticket\n", "struct ticket differs: struct ticket is new", false},
	{"struct a 4: a@0 u32\n", "", "", "struct a is gone", false},
	{"struct ticket 4: a@8 u32\n", "struct ticket 4: a@0 u32\n", "struct ticket\n",
	 "struct ticket differs: a lies outside of it", false},
	{"struct ticket 4: a@0 struct ticket\n", "struct ticket 8: b@4 u32; a@0 struct ticket\n", "struct ticket\n",
	 "struct ticket differs: b@4 u32; a@0 struct ticket is nested too deep", false},
};

static void test_what_may_differ_and_what_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		static struct layout_conversion made;
		char sentence[200];
		bool can = layout_conversion_between(&made, CASES[i].from, CASES[i].to, CASES[i].roots, sentence,
						     sizeof(sentence));
		assert_string_equal(sentence, CASES[i].sentence);
		assert_int_equal(can, CASES[i].can);
		if (can)
			assert_int_equal(made.conversion.rule_count != 0, sentence[0] != '\0');
	}
}

/* Two compilers' worth of layouts of the same objects. */
struct before {
	uint32_t link;
	uint16_t small;
	uint16_t kind : 3;
	uint16_t flag : 1;
	uint32_t hash, next;
};
struct after {
	uint64_t fresh;
	uint32_t hash, next;
	uint32_t kind : 5;
	uint32_t fresh_flag : 1;
	uint32_t flag : 1;
	uint32_t link;
	uint32_t small;
};

static void test_bits_go_where_they_belong(void **state)
{
	(void)state;
	static struct layout_conversion made;
	char sentence[200];
	const char *from = "struct retained_node 16: link@0 u32; small@4 u16; kind@48b3 u16; flag@51b1 u16; "
			   "table@8 struct table_node; expiry@16 u32[0]\n" NODE;
	const char *to = "struct retained_node 40: fresh@0 u64; table@8 struct table_node; kind@128b5 u32; "
			 "fresh_flag@133b1 u32; flag@134b1 u32; link@20 u32; small@24 u32; expiry@36 u32[0]\n" NODE;
	assert_true(layout_conversion_between(&made, from, to, "struct retained_node\n", sentence, sizeof(sentence)));
	assert_int_equal(made.conversion.type_count, 1);
	for (uint32_t i = 0; i < 64; i++) {
		struct before before = {.link = i * 77, .small = (uint16_t)(i * 999), .hash = i + 5, .next = ~i};
		before.kind = i & 7u;
		before.flag = i & 1u;
		struct after after = {0};
		made.types[0].to_bytes = sizeof(after); /* the text's padding is not the compiler's */
		convert_object(&made.types[0], &before, &after);
		assert_int_equal(after.fresh, 0);
		assert_int_equal(after.hash, before.hash);
		assert_int_equal(after.next, before.next);
		assert_int_equal(after.kind, before.kind);
		assert_int_equal(after.flag, before.flag);
		assert_int_equal(after.fresh_flag, 0);
		assert_int_equal(after.link, before.link);
		assert_int_equal(after.small, before.small);
	}
	/* The offsets that notes begin with are the new ones. */
	uint32_t offsets = 0;
	for (uint32_t i = 0; i < made.conversion.rule_count; i++) {
		const struct convert_rule *rule = &made.conversion.rules[i];
		if (rule->kind != CONVERT_OFFSET)
			continue;
		assert_int_equal(rule->offset, strcmp(rule->name, "retained table") == 0 ? 8 : 36);
		offsets++;
	}
	assert_int_equal(offsets, 2);
}

#define COUNTERS_BEFORE 4u
#define COUNTERS_AFTER 5u

/* One is new, one is gone, and those that stay have other numbers, wherever they are. */
static void test_counters_are_converted_by_their_names(void **state)
{
	(void)state;
	static struct layout_conversion made;
	char sentence[200];
	const char *from = "enum counter 4: READS=0; WRITES=1; OLD=2; TURNS=3; COUNTER_COUNT=4\n"
			   "enum error 4: NONE=0\n"
			   "struct counters 40: values@0 u64[4]; turned_ms@32 u64\n";
	const char *to = "enum counter 4: TURNS=0; READS=1; NEW=2; ALSO_NEW=3; WRITES=4; COUNTER_COUNT=5\n"
			 "enum error 4: NONE=0\n"
			 "struct counters 48: turned_ms@0 u64; values@8 u64[5]\n";
	assert_true(layout_conversion_between(&made, from, to, "enum counter\nstruct counters\n", sentence,
					      sizeof(sentence)));
	assert_string_equal(sentence, "struct counters");
	assert_int_equal(made.conversion.rule_count, 2);
	const uint64_t before[COUNTERS_BEFORE + 1] = {11, 22, 33, 44, 99};
	const uint64_t wanted[COUNTERS_AFTER + 1] = {99, 44, 11, 0, 0, 22};
	uint64_t after[COUNTERS_AFTER + 1] = {0};
	convert_object(&made.types[0], before, after);
	assert_memory_equal(after, wanted, sizeof(after));
	/* As many as before, and of the same type: others, nevertheless. */
	to = "enum counter 4: WRITES=0; READS=1; OLD=2; TURNS=3; COUNTER_COUNT=4\n"
	     "enum error 4: NONE=0\n"
	     "struct counters 40: values@0 u64[4]; turned_ms@32 u64\n";
	assert_true(layout_conversion_between(&made, from, to, "enum counter\nstruct counters\n", sentence,
					      sizeof(sentence)));
	assert_string_equal(sentence, "struct counters");
	convert_object(&made.types[0], before, memset(after, 0, sizeof(after)));
	assert_memory_equal(after, ((const uint64_t[]){22, 11, 33, 44, 99}), sizeof(before));
	to = "enum counter 4: WRITES=0; READS=1; OLD=2; TURNS=3; COUNTER_COUNT=4\n"
	     "enum error 4: NONE=0\n"
	     "struct counters 24: values@0 u32[4]; turned_ms@16 u64\n";
	assert_false(layout_conversion_between(&made, from, to, "struct counters\n", sentence, sizeof(sentence)));
	assert_string_equal(sentence, "struct counters differs: values is of another type");
}

static void test_this_program_has_nothing_to_convert_of_itself(void **state)
{
	(void)state;
	static struct layout_conversion made;
	char sentence[200];
	assert_true(
		layout_conversion_make(&made, memory_layout_text(), MEMORY_LAYOUT_VERSION, sentence, sizeof(sentence)));
	assert_int_equal(made.conversion.rule_count, 0);
	assert_string_equal(sentence, "");
	assert_false(layout_conversion_make(&made, memory_layout_text(), MEMORY_LAYOUT_VERSION + 1, sentence,
					    sizeof(sentence)));
	assert_non_null(strstr(sentence, "version"));
}

/* Every place in the table is of a type that there is, with the member that it names. */
static void test_each_type_of_the_table_can_have_one_member_more(void **state)
{
	(void)state;
	static const char *const TYPES[] = {"extension",
					    "account",
					    "principal",
					    "ack_line",
					    "acl_pool_entry",
					    "acl_pool_note",
					    "address",
					    "client",
					    "counters",
					    "flow_entry",
					    "gateway_note",
					    "heir_note",
					    "index_note",
					    "index_part_note",
					    "messages_note",
					    "own_entry",
					    "pending_acks_note",
					    "proxied",
					    "retained_job",
					    "retained_jobs_note",
					    "retained_node",
					    "retained_note",
					    "retained_queue",
					    "review",
					    "shard_note",
					    "subscriber_list",
					    "subscription",
					    "ticket",
					    "tls_streams_note",
					    "websocket",
					    "websocket_streams_note"};
	for (size_t i = 0; i < sizeof(TYPES) / sizeof(TYPES[0]); i++) {
		static struct layout_conversion made;
		char line[64], sentence[200];
		char *from = strdup(memory_layout_text());
		assert_non_null(from);
		snprintf(line, sizeof(line), "struct %s ", TYPES[i]);
		char *at = strstr(from, line);
		assert_non_null(at);
		/* The last member was not there before; but a tail was. */
		char *end = strchr(at, '\n');
		char *last = end;
		while (strncmp(last, "; ", 2) != 0)
			last--;
		memmove(last, end, strlen(end) + 1);
		bool has_tail = strcmp(TYPES[i], "principal") == 0;
		assert_int_equal(layout_conversion_make(&made, from, MEMORY_LAYOUT_VERSION, sentence, sizeof(sentence)),
				 !has_tail);
		assert_true(has_tail || made.conversion.rule_count >= 1);
		assert_int_equal(made.conversion.block_count, i < 2);
		free(from);
	}
}

/* All of them, or with a sanitizer fewer than of other tries: each is a whole plan. */
#define DAMAGES_STEP (TRIES_STEP == 1 ? 1u : 4 * TRIES_STEP)

static void test_damaged_texts_do_no_harm(void **state)
{
	(void)state;
	static struct layout_conversion made;
	char sentence[200];
	const char *whole = memory_layout_text();
	size_t size = strlen(whole);
	char *text = malloc(size + 1);
	assert_non_null(text);
	for (size_t cut = 0; cut < size; cut += DAMAGES_STEP + cut / 200) {
		memcpy(text, whole, cut);
		text[cut] = '\0';
		layout_conversion_make(&made, text, MEMORY_LAYOUT_VERSION, sentence, sizeof(sentence));
	}
	static const char DAMAGE[] = ";@{}[]\n:9b ";
	for (size_t at = 0; at < size; at += DAMAGES_STEP + at / 100) {
		memcpy(text, whole, size + 1);
		text[at] = DAMAGE[at % (sizeof(DAMAGE) - 1)];
		layout_conversion_make(&made, text, MEMORY_LAYOUT_VERSION, sentence, sizeof(sentence));
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_may_differ_and_what_not),
		cmocka_unit_test(test_bits_go_where_they_belong),
		cmocka_unit_test(test_counters_are_converted_by_their_names),
		cmocka_unit_test(test_this_program_has_nothing_to_convert_of_itself),
		cmocka_unit_test(test_each_type_of_the_table_can_have_one_member_more),
		cmocka_unit_test(test_damaged_texts_do_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
