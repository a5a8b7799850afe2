/* One figure of a machine as a file of its kernel or of its administrator says it: a number, a word for "no limit",
 * nothing at all, or something that is none of these and is never guessed at. Pure; any thread. */
#ifndef DOCTOR_READING_H
#define DOCTOR_READING_H

#include "base/slice.h"

/* The kernel writes "no limit" also as 2^63 - 1, or that rounded to pages. */
#define READING_UNLIMITED_FROM ((uint64_t)1 << 62)

enum reading_state {
	READING_ABSENT,     /* the file or the line is not there, or may not be read */
	READING_UNREADABLE, /* it is there, and says no number */
	READING_UNLIMITED,  /* max, unlimited, infinity */
	READING_KNOWN,
};

struct reading {
	enum reading_state state;
	uint64_t value; /* if KNOWN */
};

struct reading reading_known(uint64_t value);

/* One decimal number or word, with blanks around it. */
struct reading reading_parse(struct slice text);
/* The same for the n-th word (from 0); ABSENT where there are fewer. A "kB" behind it multiplies it. */
struct reading reading_word(struct slice text, uint32_t n);
/* Hexadecimal, as masks are written, with or without commas: only the lowest 64 bits are kept. */
struct reading reading_mask(struct slice text);
/* A size as systemd takes it: 4G, 512M, 50% (of whole; UNREADABLE where whole is not known), infinity. */
struct reading reading_size(struct slice text, struct reading whole);

/* What bounds: UINT64_MAX where no number is known to bound. */
uint64_t reading_bound(struct reading reading);
/* What is used: 0 where it is not known. */
uint64_t reading_used(struct reading reading);

#endif
