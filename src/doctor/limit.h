/* What bounds the number of connections on a machine. One table (limit.c) says for each bound where it is read, how the
 * need for N connections is computed, what breaks when it is too low, and what mends it. Pure; any thread. */
#ifndef DOCTOR_LIMIT_H
#define DOCTOR_LIMIT_H

#include "doctor/machine.h"

#define LIMIT_WANTED_BYTES 64u

enum limit_kind {
	LIMIT_HOLDS,    /* how many connections there can be */
	LIMIT_AT_ONCE,  /* how many may come, or have data under way, at the same time */
	LIMIT_OUTGOING, /* a load generator or a bridge on this machine; not the gateway's clients */
	LIMIT_ADVICE,   /* no number: good, or better changed */
};

enum limit_unit {
	LIMIT_COUNT,
	LIMIT_BYTES,
	LIMIT_RANGE, /* from the fact before it in the table to the fact */
	LIMIT_WORDS, /* shown as the words that were read, or as yes and no */
};

enum mend_way {
	MEND_NONE,        /* for information */
	MEND_SYSCTL,      /* the key, set to the value wanted */
	MEND_DESCRIPTORS, /* limits.d for logins, a drop-in for the service */
	MEND_SERVICE,     /* a drop-in for the service: directive and value */
	MEND_FILE,        /* a file of /sys, set to the value wanted; tmpfiles.d sets it at every start */
	MEND_WORDS,       /* no file mends it */
};

struct limit {
	const char *key;
	enum limit_kind kind;
	enum limit_unit unit;
	enum fact fact; /* what is shown; machine_path() says where it is read */
	bool optional;  /* where it is not there, it bounds nothing; without this it is not known */
	bool apart;     /* what there is, is of another kind than the fact: the need is not shown beside it */
	uint32_t words; /* of its file, the fact being the last of them; 0 is 1 */
	/* What there is, to be compared with the need; NULL: the fact. UINT64_MAX: it bounds nothing here. */
	uint64_t (*have)(const struct machine *machine);
	/* Never falls as connections rise. NULL for LIMIT_ADVICE. */
	uint64_t (*need)(const struct machine *machine, uint64_t connections);
	/* LIMIT_ADVICE only; connections is 0 where no number is wished. NULL: for information. */
	bool (*good)(const struct machine *machine, uint64_t connections);
	const char *breaks;
	enum mend_way way;
	/* The value to set for so many connections; false: there is none better than what is set. NULL: the need and a
	 * little more. */
	bool (*wanted)(const struct machine *machine, uint64_t connections, char *wanted);
	const char
		*mend; /* MEND_SERVICE: the directive; MEND_WORDS, or beside a value: what else to do; NULL: nothing */
};

extern const struct limit LIMITS[];
extern const uint32_t LIMIT_TABLE_SIZE;

/* The value to set, as text; wanted, as before below, holds LIMIT_WANTED_BYTES. False: none is better. */
bool limit_wanted(const struct limit *limit, const struct machine *machine, uint64_t connections, char *wanted);

/* What is set now, as text to set it again. False: it is not known, or not settable. */
bool limit_before(const struct limit *limit, const struct machine *machine, char *before);

/* The file that is written to set it, "/proc/sys/net/core/somaxconn"; out holds LIMIT_PATH_BYTES. False: no file sets
 * it while the machine runs. */
#define LIMIT_PATH_BYTES 128u
bool limit_path(const struct limit *limit, char *out);

#endif
