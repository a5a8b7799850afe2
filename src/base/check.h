/* Assertions on what we promise ourselves. They stay on in release: a gateway that goes on with a broken invariant
 * loses messages quietly. Data from outside is never checked with these: it is an error path with a counter. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

/* Prints the place and the promise to stderr and aborts. */
_Noreturn void check_failed(const char *file, int line, const char *promise);

#define CHECK(promise)                                                                                                 \
	do {                                                                                                           \
		if (__builtin_expect(!(promise), 0))                                                                   \
			check_failed(__FILE__, __LINE__, #promise);                                                    \
	} while (0)

#endif
