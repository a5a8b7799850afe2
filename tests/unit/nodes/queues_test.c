/* Batches for a peer in their order, names that are found, and this node's own filters. */
#include "nodes/interest/name_table.h"
#include "nodes/interest/own_filters.h"
#include "nodes/publish/outgoing_queue.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_batches_go_back_in_order(void **state)
{
	(void)state;
	static struct batch batches[200];
	struct outgoing_queue queue = {.items = NULL};
	for (uint32_t i = 0; i < 200; i++)
		assert_true(outgoing_queue_push(&queue, &batches[i]));
	assert_null(outgoing_queue_pop_done(&queue, UINT64_MAX)); /* none was sent */
	for (uint32_t i = 0; i < 100; i++) {
		struct outgoing_batch *next = outgoing_queue_next(&queue);
		assert_ptr_equal(next->batch, &batches[i]);
		next->awaits = i % 2 != 0;
		next->first = next->last = i + 1;
		queue.sent++;
	}
	assert_ptr_equal(outgoing_queue_pop_done(&queue, 0), &batches[0]); /* nobody waits for it */
	assert_null(outgoing_queue_pop_done(&queue, 1));
	assert_ptr_equal(outgoing_queue_pop_done(&queue, 2), &batches[1]);
	uint32_t serial = (queue.serial + 5) & OUTGOING_SERIAL_MASK;
	assert_ptr_equal(outgoing_queue_find(&queue, serial)->batch, &batches[7]);
	assert_null(outgoing_queue_find(&queue, 0));
	/* Those under way are sent in another way, and remember which numbers they had. */
	outgoing_queue_rewind(&queue, (struct outgoing_runs){7, 8});
	assert_ptr_equal(outgoing_queue_next(&queue)->batch, &batches[2]);
	assert_int_equal(outgoing_queue_next(&queue)->copies, 3);
	assert_int_equal(outgoing_queue_next(&queue)->copies_runs.peer, 7);
	assert_int_equal(outgoing_queue_next(&queue)->copies_runs.own, 8);
	/* What was not sent since then keeps its numbers of then, and does not begin in front of what the spool has. */
	outgoing_queue_next(&queue)->offset = outgoing_queue_next(&queue)->kept = 40;
	outgoing_queue_next(&queue)->copies = 5;
	outgoing_queue_at(&queue, 1)->first = 1;
	outgoing_queue_at(&queue, 1)->last = 2;
	outgoing_queue_rewind(&queue, (struct outgoing_runs){9, 8});
	assert_int_equal(outgoing_queue_next(&queue)->copies, 5);
	assert_int_equal(outgoing_queue_next(&queue)->copies_runs.peer, 7);
	assert_int_equal(outgoing_queue_next(&queue)->offset, 40);
	assert_int_equal(outgoing_queue_at(&queue, 1)->copies, 1);
	assert_int_equal(outgoing_queue_at(&queue, 1)->copies_last, 2);
	assert_int_equal(outgoing_queue_at(&queue, 1)->copies_runs.peer, 9);
	outgoing_queue_next(&queue)->holders = 1;
	queue.sent = 1;
	assert_null(outgoing_queue_pop_done(&queue, UINT64_MAX));
	outgoing_queue_at(&queue, 0)->holders = 0;
	assert_ptr_equal(outgoing_queue_pop_done(&queue, 0), &batches[2]);
	for (uint32_t i = 3; i < 200; i++)
		assert_ptr_equal(outgoing_queue_pop(&queue), &batches[i]);
	assert_null(outgoing_queue_pop(&queue));
	outgoing_queue_fini(&queue);
}

static void test_names_against_an_array(void **state)
{
	(void)state;
	static uint32_t model[1000];
	struct name_table table = {.entries = NULL};
	struct random random = {5};
	assert_null(name_table_find(&table, 1));
	for (uint32_t step = 1; step < 100000; step++) {
		uint32_t at = random_below(&random, 1000);
		uint32_t name = at * 0x01000193u + 1; /* never 0 here */
		if (random_below(&random, 3) == 0) {
			name_table_remove(&table, name);
			model[at] = 0;
		} else {
			assert_true(name_table_set(&table, name, step));
			model[at] = step;
		}
		uint32_t other = random_below(&random, 1000);
		const uint32_t *found = name_table_find(&table, other * 0x01000193u + 1);
		assert_int_equal(found != NULL ? *found : 0, model[other]);
	}
	name_table_fini(&table);
}

static struct filter_note *note_of(uint32_t name, enum index_kind kind)
{
	struct filter_note *note = calloc(1, sizeof(*note) + 1);
	assert_non_null(note);
	note->name = name;
	note->kind = (uint8_t)kind;
	note->text_bytes = 1;
	note->text[0] = '+';
	return note;
}

static void test_own_filters(void **state)
{
	(void)state;
	static struct own_filters filters;
	struct slice text;
	uint32_t moved;
	own_filters_init(&filters);
	for (uint32_t name = 1; name <= 100; name++)
		assert_non_null(own_filters_add(&filters, note_of(name, name % 2 ? INDEX_GROUP : INDEX_WILDCARD)));
	assert_int_equal(filters.groups, 50);
	uint16_t generation = own_filters_find(&filters, 7)->generation;
	assert_true(own_filters_remove(&filters, 7, &moved));
	assert_int_equal(filters.items[moved].note->name, 100); /* the last one takes its place */
	assert_false(own_filters_remove(&filters, 7, &moved));
	assert_null(own_filters_find(&filters, 7));
	assert_non_null(own_filters_add(&filters, note_of(7, INDEX_GROUP)));
	uint16_t later = own_filters_find(&filters, 7)->generation;
	assert_int_not_equal(later, generation);
	assert_int_equal(filters.count, 100);
	/* One that has ended is known a while. */
	assert_true(own_filters_find_group(&filters, 7, generation, &text));
	assert_true(own_filters_find_group(&filters, 7, later, &text));
	assert_false(own_filters_find_group(&filters, 7, (uint16_t)(later + 1), &text));
	assert_false(own_filters_find_group(&filters, 8, 8, &text)); /* it is none */
	own_filters_clear(&filters);
	assert_int_equal(filters.count, 0);
	assert_true(own_filters_find_group(&filters, 7, later, &text));
	for (uint32_t name = 1; name <= OWN_ENDED_MAX; name++) {
		assert_non_null(own_filters_add(&filters, note_of(1000 + name, INDEX_GROUP)));
		assert_true(own_filters_remove(&filters, 1000 + name, &moved));
	}
	assert_false(own_filters_find_group(&filters, 7, later, &text));
	own_filters_fini(&filters);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batches_go_back_in_order),
		cmocka_unit_test(test_names_against_an_array),
		cmocka_unit_test(test_own_filters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
