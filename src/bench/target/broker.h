/* Where a broker under load comes from. It runs already, or the bench starts it as a child on a free port, set up for a
 * comparison: it logs no connections and keeps nothing on disk, and for TLS it has a certificate for development, with
 * an ECDSA key on P-256. Main thread. */
#ifndef BENCH_BROKER_H
#define BENCH_BROKER_H

#include "bench/target/target.h"

#define BROKER_PATH_BYTES 1024u

enum broker_kind {
	BROKER_RUNNING, /* at url */
	BROKER_ROOST,
	BROKER_MOSQUITTO,
};

struct broker {
	enum broker_kind kind;
	char name[TARGET_NAME_BYTES];
	struct url url;
	char program[BROKER_PATH_BYTES];
	const char *options; /* of `roost serve`, separated by spaces; borrowed */
	uint8_t scheme;      /* enum url_scheme: what one that is started listens for; not URL_UNIX */
};

/* What --beside names: "mosquitto", the path of a Roost, which options may follow, a URL, or a port of this machine.
 * Returns NULL, or a sentence that says what is wrong; static storage. */
const char *broker_parse(const char *text, struct broker *out);

/* This program itself, with options of `roost serve` or "". */
struct broker broker_self(const char *options);

/* Adds a number to the broker's name if one of the others, those before it, has the same. */
void broker_name_apart(struct broker *broker, const struct broker *others, uint32_t count);

/* Starts the broker if it does not run yet, and waits until it accepts connections. pid is that of a running broker, 0
 * to find it. On failure says why on stderr, with the broker's log, and returns false. Close the target in either case.
 */
bool broker_open(const struct broker *broker, pid_t pid, const struct transport_options *options,
		 struct target *target);

#endif
