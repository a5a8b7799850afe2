/* Assertions on what we promise ourselves. They stay on in release: a gateway that goes on with a broken invariant
 * loses messages quietly. Never check data from outside with these: it takes an error path with a counter.
 *
 * A broken promise prints the place, the promise and its values, what the thread was doing, a backtrace, and the
 * addr2line command that turns the backtrace into source lines. Then it aborts. It allocates nothing and takes no lock
 * of ours, so it also works in a signal handler (base/crash.h). Any thread. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdint.h>

/* What a thread is doing. The thread owns it and updates it as it works, at two stores a packet. Only a failure of the
 * same thread reads it. */
struct check_context {
	const char *thread; /* "shard"; static */
	uint32_t number;    /* which of its kind */
	uint32_t client;    /* index of the client of the last packet; 0: none yet */
	uint32_t packet_type;
};

/* Sets the calling thread's context. It must outlive the thread, or be removed with NULL. */
void check_context_set(const struct check_context *context);

_Noreturn void check_failed(const char *file, int line, const char *promise) __attribute__((cold));
_Noreturn void check_values_failed(const char *file, int line, const char *promise, int64_t left, int64_t right)
	__attribute__((cold));
/* Prints the text, then the context and backtrace that check_failed() prints after the promise. */
struct crash_text;
void check_print_circumstances(struct crash_text *text) __attribute__((cold));

#define CHECK(promise)                                                                                                 \
	do {                                                                                                           \
		if (__builtin_expect(!(promise), 0))                                                                   \
			check_failed(__FILE__, __LINE__, #promise);                                                    \
	} while (0)

/* Comparisons of integers. They print both values, evaluate each side once, and compare in the common type. */
#define CHECK_COMPARE(left, operator, right)                                                                           \
	do {                                                                                                           \
		const __typeof__((left) + (right)) check_left = (left);                                                \
		const __typeof__((left) + (right)) check_right = (right);                                              \
		if (__builtin_expect(!(check_left operator check_right), 0))                                           \
			check_values_failed(__FILE__, __LINE__, #left " " #operator" " #right, (int64_t)check_left,    \
					    (int64_t)check_right);                                                     \
	} while (0)

#define CHECK_EQ(left, right) CHECK_COMPARE(left, ==, right)
#define CHECK_NE(left, right) CHECK_COMPARE(left, !=, right)
#define CHECK_LT(left, right) CHECK_COMPARE(left, <, right)
#define CHECK_LE(left, right) CHECK_COMPARE(left, <=, right)
#define CHECK_GT(left, right) CHECK_COMPARE(left, >, right)
#define CHECK_GE(left, right) CHECK_COMPARE(left, >=, right)

#endif
