/* Slabs: blocks of every size that never overlap, with bounded slack, a limit, and nothing lost. */
#include "broken_promise.h"
#include "memory/slab.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define MIB ((size_t)1 << 20)

struct block {
	uint32_t ref;
	uint32_t bytes;
};

static int slab_setup(void **state)
{
	static struct slab slab;
	assert_int_equal(slab_open(&slab, 1024 * MIB), ERROR_OK);
	*state = &slab;
	return 0;
}

static int slab_teardown(void **state)
{
	slab_close(*state);
	return 0;
}

static struct block block_take(struct slab *slab, uint32_t bytes)
{
	struct block block = {slab_take(slab, bytes), bytes};
	assert_int_not_equal(block.ref, 0);
	memset(slab_at(slab, block.ref), (int)(block.ref * 7 + bytes), bytes);
	return block;
}

/* Nobody else has written to it since. */
static void block_give(struct slab *slab, struct block block)
{
	const uint8_t *at = slab_at(slab, block.ref);
	uint8_t with = (uint8_t)(block.ref * 7 + block.bytes);
	assert_int_equal(at[0], with);
	assert_memory_equal(at, at + 1, block.bytes - 1);
	slab_give(slab, block.ref, block.bytes);
}

static void test_classes(void **state)
{
	(void)state;
	for (size_t bytes = 1; bytes <= 256; bytes++)
		assert_int_equal(slab_block_bytes(bytes), (bytes + 15) / 16 * 16);
	for (size_t bytes = 257; bytes <= SLAB_BLOCK_BYTES_MAX; bytes += 1 + bytes / 1000) {
		size_t block = slab_block_bytes(bytes);
		assert_true(block >= bytes);
		assert_int_equal(block % SLAB_UNIT_BYTES, 0);
		assert_true((block - bytes) * 5 <= block);
		assert_int_equal(slab_block_bytes(block), block);
	}
	assert_int_equal(slab_block_bytes(SLAB_BLOCK_BYTES_MAX), SLAB_BLOCK_BYTES_MAX);
}

/* Each size once, some always out at the same time. */
static void test_every_size_up_to_100k(void **state)
{
	struct slab *slab = *state;
	struct block window[32] = {0};
	for (uint32_t bytes = 1; bytes <= 100000; bytes += bytes < 20000 ? 1 : 13) {
		struct block *place = &window[bytes % 32];
		if (place->ref != 0)
			block_give(slab, *place);
		*place = block_take(slab, bytes);
		assert_int_equal((uintptr_t)slab_at(slab, place->ref) % SLAB_UNIT_BYTES, 0);
	}
	for (int i = 0; i < 32; i++) {
		if (window[i].ref != 0)
			block_give(slab, window[i]);
	}
	assert_int_equal(slab->used_bytes, 0);
}

static uint32_t random_size(struct random *random)
{
	uint32_t largest = 1u << random_below(random, 15);
	return 1 + random_below(random, largest);
}

static void test_random_takes_and_gives(void **state)
{
	struct slab *slab = *state;
	enum { LIVE_MAX = 1000 };
	static struct block live[LIVE_MAX];
	struct random random = {2};
	size_t count = 0, used_bytes = 0;
	for (int step = 0; step < 60000; step++) {
		if (count == LIVE_MAX || (count != 0 && random_below(&random, 2) == 0)) {
			size_t at = random_below(&random, (uint32_t)count);
			used_bytes -= slab_block_bytes(live[at].bytes);
			block_give(slab, live[at]);
			live[at] = live[--count];
		} else {
			live[count] = block_take(slab, random_size(&random));
			used_bytes += slab_block_bytes(live[count++].bytes);
		}
		assert_int_equal(slab->used_bytes, used_bytes);
	}
	while (count != 0)
		block_give(slab, live[--count]);
	assert_int_equal(slab->used_bytes, 0);
}

/* The steady state takes nothing new from the system. */
static void test_fresh_count_grows_with_the_peak_only(void **state)
{
	struct slab *slab = *state;
	for (int round = 0; round < 100; round++) {
		struct block blocks[50];
		for (uint32_t i = 0; i < 50; i++)
			blocks[i] = block_take(slab, 1 + i * 40);
		for (uint32_t i = 0; i < 50; i++)
			block_give(slab, blocks[i]);
	}
	assert_int_equal(slab->fresh_count, 50);
}

static void test_given_back_with_another_size_of_the_class(void **state)
{
	struct slab *slab = *state;
	uint32_t ref = slab_take(slab, 300);
	slab_give(slab, ref, slab_block_bytes(300));
	assert_int_equal(slab->used_bytes, 0);
	assert_int_equal(slab_take(slab, 310), ref);
	slab_give(slab, ref, 310);
}

static void test_limit_is_met_and_left_again(void **state)
{
	(void)state;
	struct slab slab;
	assert_int_equal(slab_open(&slab, MIB), ERROR_OK);
	static struct block blocks[MIB / 1024];
	size_t count = 0;
	uint32_t ref;
	while ((ref = slab_take(&slab, 1024)) != 0) {
		assert_true(count < MIB / 1024);
		blocks[count++] = (struct block){ref, 1024};
	}
	assert_true(count >= MIB / 1024 - 8);
	assert_int_equal(slab_take(&slab, 2048), 0);
	slab_give(&slab, blocks[0].ref, 1024);
	assert_int_equal(slab_take(&slab, 1024), blocks[0].ref);
	assert_int_equal(slab.used_bytes, count * 1024);
	slab_close(&slab);
}

static size_t resident_pages(const struct slab *slab, uint32_t ref, size_t bytes)
{
	unsigned char resident[1024];
	uint8_t *first = (uint8_t *)(((uintptr_t)slab_at(slab, ref) + 4095) & ~(uintptr_t)4095);
	size_t pages = bytes / 4096 - 1;
	assert_true(pages <= sizeof(resident));
	assert_int_equal(mincore(first, pages * 4096, resident), 0);
	size_t count = 0;
	for (size_t i = 0; i < pages; i++)
		count += resident[i] & 1;
	return count;
}

static void test_large_free_blocks_hold_no_memory(void **state)
{
	struct slab *slab = *state;
	struct block block = block_take(slab, MIB);
	assert_int_equal(resident_pages(slab, block.ref, MIB), MIB / 4096 - 1);
	block_give(slab, block);
	assert_in_range(resident_pages(slab, block.ref, MIB), 0, 1);
	assert_int_equal(slab_take(slab, MIB), block.ref);
	slab_give(slab, block.ref, MIB);
}

static void test_largest_block(void **state)
{
	struct slab *slab = *state;
	uint32_t ref = slab_take(slab, SLAB_BLOCK_BYTES_MAX);
	assert_int_not_equal(ref, 0);
	uint8_t *bytes = slab_at(slab, ref);
	bytes[0] = bytes[SLAB_BLOCK_BYTES_MAX - 1] = 1;
	uint32_t other = slab_take(slab, 1);
	assert_int_not_equal(other, 0);
	uint8_t *stranger = slab_at(slab, other);
	assert_true(stranger < bytes || stranger >= bytes + SLAB_BLOCK_BYTES_MAX);
	slab_give(slab, ref, SLAB_BLOCK_BYTES_MAX);
	slab_give(slab, other, 1);
	assert_int_equal(slab->used_bytes, 0);
}

struct stranger {
	struct slab *slab;
	uint32_t ref;
};

static void look_at_stranger(void *argument)
{
	const struct stranger *stranger = argument;
	*(volatile char *)slab_at(stranger->slab, stranger->ref) = 1;
}

#if SANITIZER_ADDRESS || SANITIZER_THREAD
static void look_at_stranger_unlocked(void *argument)
{
	const struct stranger *stranger = argument;
	*(volatile char *)slab_at_unlocked(stranger->slab, stranger->ref) = 1;
}

static void test_unlocked_reference_beyond_the_reserve_is_a_broken_promise(void **state)
{
	struct slab *slab = *state;
	char text[BROKEN_PROMISE_BYTES];
	struct stranger stranger = {slab, 0};
	look_at_stranger_unlocked(&(struct stranger){slab, slab_take(slab, 4096)});
	assert_breaks_promise(look_at_stranger_unlocked, &stranger, text);
	stranger.ref = (uint32_t)(slab->region.reserved_bytes / SLAB_UNIT_BYTES);
	assert_breaks_promise(look_at_stranger_unlocked, &stranger, text);
}
#endif

static void test_reference_that_was_never_taken_is_a_broken_promise(void **state)
{
	struct slab *slab = *state;
	char text[BROKEN_PROMISE_BYTES];
	struct stranger stranger = {slab, 1};
	assert_breaks_promise(look_at_stranger, &stranger, text); /* nothing was taken yet */
	uint32_t ref = slab_take(slab, 4096);
	uint32_t end = ref + 4096 / SLAB_UNIT_BYTES;
	look_at_stranger(&(struct stranger){slab, end - 1});
	const uint32_t strangers[] = {0, end, UINT32_MAX};
	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		stranger.ref = strangers[i];
		assert_breaks_promise(look_at_stranger, &stranger, text);
	}
}

static void slab_give_twice(void *slab)
{
	uint32_t ref = slab_take(slab, 100);
	slab_take(slab, 100);
	slab_give(slab, ref, 100);
	slab_give(slab, ref, 100);
}

static void test_giving_back_twice_is_a_broken_promise(void **state)
{
	char text[BROKEN_PROMISE_BYTES];
	assert_breaks_promise(slab_give_twice, *state, text);
}

#define IN_SLAB(test) cmocka_unit_test_setup_teardown(test, slab_setup, slab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classes),
		IN_SLAB(test_every_size_up_to_100k),
		IN_SLAB(test_random_takes_and_gives),
		IN_SLAB(test_fresh_count_grows_with_the_peak_only),
		IN_SLAB(test_given_back_with_another_size_of_the_class),
		cmocka_unit_test(test_limit_is_met_and_left_again),
		IN_SLAB(test_large_free_blocks_hold_no_memory),
		IN_SLAB(test_largest_block),
		IN_SLAB(test_reference_that_was_never_taken_is_a_broken_promise),
		IN_SLAB(test_giving_back_twice_is_a_broken_promise),
#if SANITIZER_ADDRESS || SANITIZER_THREAD
		IN_SLAB(test_unlocked_reference_beyond_the_reserve_is_a_broken_promise),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
