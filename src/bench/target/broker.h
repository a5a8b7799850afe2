/* Where a broker under load comes from: it runs already, or it is started as a child of the bench, on a port of its own
 * and with what it needs to be compared: no log of connections, nothing kept on disk. Main thread. */
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
};

/* What --beside names: "mosquitto", the path of a Roost with options behind it, a URL or a port of this machine.
 * Returns NULL, or a sentence that says what is wrong; static storage. */
const char *broker_parse(const char *text, struct broker *out);

/* This program itself, with options of `roost serve` or "". */
struct broker broker_self(const char *options);

/* Names of brokers are told apart by a number where they are alike. others: those before it. */
void broker_name_apart(struct broker *broker, const struct broker *others, uint32_t count);

/* Starts it if it does not run yet, and waits until it takes connections. pid: of one that runs, 0: to be found. Says
 * on stderr what is wrong, with the broker's log, and returns false. Close the target in either case. */
bool broker_open(const struct broker *broker, pid_t pid, struct target *target);

#endif
