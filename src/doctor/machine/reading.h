/* One figure of a machine as a file of its kernel or its administrator gives it: a number, a word for "no limit",
 * nothing at all, or something else, which is never guessed at. Pure; any thread. */
#ifndef DOCTOR_MACHINE_READING_H
#define DOCTOR_MACHINE_READING_H

#include "base/slice.h"

/* The kernel also writes "no limit" as 2^63 - 1, or as that rounded to pages. */
#define READING_UNLIMITED_FROM ((uint64_t)1 << 62)

enum reading_state {
	READING_ABSENT,     /* the file or the line does not exist, or may not be read */
	READING_UNREADABLE, /* it exists, but is not a number */
	READING_UNLIMITED,  /* max, unlimited, infinity */
	READING_KNOWN,
};

struct reading {
	enum reading_state state;
	uint64_t value; /* where KNOWN, else 0 */
};

struct reading reading_known(uint64_t value);

/* One decimal number or word, with or without blanks around it. */
struct reading reading_parse(struct slice text);
/* The same for the n-th word (from 0); ABSENT where there are fewer. A "kB" after it multiplies it by 1024. */
struct reading reading_word(struct slice text, uint32_t n);
/* A hexadecimal mask, with or without commas; only its lowest 64 bits are kept. */
struct reading reading_mask(struct slice text);
/* A size as systemd reads it: 4G, 512M, infinity, or 50% of whole (UNREADABLE where whole is not known). */
struct reading reading_size(struct slice text, struct reading whole);

/* As a limit: UINT64_MAX where there is none, or none is known. */
uint64_t reading_bound(struct reading reading);
/* As an amount: 0 where it is not known. */
uint64_t reading_used(struct reading reading);

#endif
