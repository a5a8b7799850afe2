/* Assertions on what we promise ourselves. They stay on in release: a gateway that goes on with a broken invariant
 * loses messages quietly. Data from outside is never checked with these: it is an error path with a counter.
 *
 * A broken promise prints, in one write() to stderr: the place, the promise and its values, what the thread was busy
 * with, and a backtrace with the addr2line command that turns it into lines. Then it aborts. Nothing on that way
 * allocates or takes a lock of ours, so it may happen anywhere, in a signal handler too (base/crash.h). Any thread. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdint.h>

/* What a thread is busy with. The thread owns it and writes to it as it goes on, which costs a store or two a packet;
 * it is read where the same thread fails, and nowhere else. */
struct check_context {
	const char *thread; /* "shard"; static */
	uint32_t number;    /* which of its kind */
	uint32_t client;    /* index of the client of the last packet; 0: none yet */
	uint32_t packet_type;
};

/* Sets the calling thread's context, which must outlive the thread or be taken away with NULL. */
void check_context_set(const struct check_context *context);

_Noreturn void check_failed(const char *file, int line, const char *promise) __attribute__((cold));
_Noreturn void check_values_failed(const char *file, int line, const char *promise, int64_t left, int64_t right)
	__attribute__((cold));
/* Prints what the report holds, and behind it what check_failed() prints behind the promise: context and backtrace. */
struct crash_text;
void check_print_circumstances(struct crash_text *text) __attribute__((cold));

#define CHECK(promise)                                                                                                 \
	do {                                                                                                           \
		if (__builtin_expect(!(promise), 0))                                                                   \
			check_failed(__FILE__, __LINE__, #promise);                                                    \
	} while (0)

/* Comparisons of integers that print both values. Each side is evaluated once, and compared in their common type. */
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
