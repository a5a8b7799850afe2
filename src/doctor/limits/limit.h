/* What limits the number of connections on a machine. One table (limit.c) says for each limit where it is read, how
 * much N connections need of it, what breaks when it is too low, and how to fix it. Pure; any thread. */
#ifndef DOCTOR_LIMITS_LIMIT_H
#define DOCTOR_LIMITS_LIMIT_H

#include "doctor/limits/need.h"

enum limit_kind {
	LIMIT_HOLDS,    /* how many connections there can be */
	LIMIT_AT_ONCE,  /* how many may connect, or have data in flight, at the same time */
	LIMIT_OUTGOING, /* for a load generator or a bridge on this machine; not for the gateway's clients */
	LIMIT_ADVICE,   /* a setting rather than a number: good, or better changed */
};

enum limit_unit {
	LIMIT_COUNT,
	LIMIT_BYTES,
	LIMIT_RANGE, /* from the fact before this one to this one */
	LIMIT_WORDS, /* shown as the words that were read, or as yes or no */
};

enum fix_way {
	FIX_NONE,        /* for information */
	FIX_SYSCTL,      /* the key, set to the value wanted */
	FIX_DESCRIPTORS, /* a file in limits.d for logins, a drop-in for the service */
	FIX_SERVICE,     /* a drop-in for the service: directive and value */
	FIX_FILE,        /* a file of /sys, set to the value wanted; tmpfiles.d sets it at every boot */
	FIX_WORDS,       /* no file fixes it, only what the words say */
};

struct limit {
	const char *key;
	enum limit_kind kind;
	enum limit_unit unit;
	enum fact fact; /* what is shown; machine_path() says where it is read */
	bool optional;  /* where the file does not exist, it limits nothing; without this, the limit is unknown then */
	bool apart;     /* the need is of another kind than the fact, and is not shown beside it */
	uint32_t words; /* in its file, the fact being the last of them; 0 means 1 */
	/* What there is, to be compared with the need; UINT64_MAX: it limits nothing here. NULL: the fact itself. */
	uint64_t (*have)(const struct machine *machine);
	/* Never falls as connections rise. NULL for LIMIT_ADVICE. */
	uint64_t (*need)(const struct machine *machine, uint64_t connections);
	/* LIMIT_ADVICE only; connections is 0 where the user named no number. NULL: for information. */
	bool (*good)(const struct machine *machine, uint64_t connections);
	const char *breaks;
	enum fix_way way;
	/* The value to set for so many connections; false: none is better than the one that is set. NULL: the need and
	 * a little more. */
	bool (*wanted)(const struct machine *machine, uint64_t connections, char *wanted);
	/* FIX_SERVICE: the directive. FIX_WORDS, or beside a value: what else to do; NULL: nothing. */
	const char *fix;
};

extern const struct limit LIMITS[];
extern const uint32_t LIMIT_TABLE_SIZE;

/* The value to set, as text; wanted, like before below, holds NEED_WANTED_BYTES. False: none is better. */
bool limit_wanted(const struct limit *limit, const struct machine *machine, uint64_t connections, char *wanted);

/* The value that is set now, as text with which it can be set again. False: it is not known, or cannot be set. */
bool limit_before(const struct limit *limit, const struct machine *machine, char *before);

/* The file to write, such as "/proc/sys/net/core/somaxconn"; out holds LIMIT_PATH_BYTES. False: no file sets it while
 * the machine runs. */
#define LIMIT_PATH_BYTES 128u
bool limit_path(const struct limit *limit, char *out);

#endif
