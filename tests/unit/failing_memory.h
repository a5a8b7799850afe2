/* Refuses the n-th request for memory, for any n: malloc(), calloc(), realloc(), aligned_alloc(), region_grow(),
 * pool_take() and slab_take(), from wherever they are called in what is linked statically. The linker brings them here
 * (--wrap), so there is no trace of it in the product. A test asks for it in meson.build:
 *
 *	executable(..., dependencies: [cmocka, failing_memory])
 *
 * and sweeps over a play that it writes as a function. The play builds its scene, does what is to be tested, checks
 *that each refusal was answered as the contract says and that nothing is lost, and takes the scene down:
 *
 *	static void play(void *context)
 *	{
 *		struct scene *scene = scene_new();                  (building is not to fail: before
 *failing_memory_start()) failing_memory_start();
 *		... requests, with checks that hold with and without memory ...
 *		failing_memory_stop();                              (from here on there is memory again)
 *		... all that was refused can be done now; counts add up; nothing is left over ...
 *		scene_free(scene);
 *	}
 *	static void test_each_refusal(void **state)
 *	{
 *		uint64_t requests = failing_memory_sweep(FAILING_ALL, FAILING_ONCE, play, scene);
 *		assert_true(requests > 100);                        (that it swept over something)
 *	}
 *	cmocka_unit_test_setup_teardown(test_each_refusal, NULL, failing_memory_teardown)
 *
 * The play must ask for the same in each run: no time, no addresses, random numbers with a fixed seed. Only the thread
 * that started is refused anything. A pool or slab is refused even where it has free objects, as at its limit;
 * region_grow() only where it would have to ask the kernel. list_push() is never refused: it has no way to fail
 * (memory/list.h), and aborts. What libraries allocate for themselves (jansson, OpenSSL, libc's own) is not seen.
 *
 * Where a play fails, the teardown prints which request had been refused, and from where it came. */
#ifndef UNIT_FAILING_MEMORY_H
#define UNIT_FAILING_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

enum failing_kind {
	FAILING_MALLOC = 1, /* calloc() and aligned_alloc() too */
	FAILING_REALLOC = 2,
	FAILING_REGION = 4,
	FAILING_POOL = 8,
	FAILING_SLAB = 16,
	FAILING_ALL = 31,
};

enum failing_mode {
	FAILING_ONCE,       /* the n-th request is refused, and those behind it are not */
	FAILING_FROM_THERE, /* all from the n-th on, until failing_memory_stop() */
};

/* Calls play() again and again: in the n-th run the n-th request of these kinds (FAILING_ALL, or some of them) after
 * failing_memory_start() is refused. Ends with the first run in which nothing was, and returns how many requests that
 * made. Under a sanitizer, of those beyond the first hundred every fifth is refused (tries.h). */
uint64_t failing_memory_sweep(unsigned kinds, enum failing_mode mode, void (*play)(void *context), void *context);

/* Within a play: requests are counted and refused from here, and no longer from there. */
void failing_memory_start(void);
/* True: one was refused since failing_memory_start(). */
bool failing_memory_stop(void);

/* What was refused first in this run: "slab_take"; NULL: nothing yet. */
const char *failing_memory_refused(void);

/* cmocka's teardown. 0. */
int failing_memory_teardown(void **state);

#endif
