/* What was promised and what came of it, across connections and restarts: for each publisher which of its numbered
 * messages were acknowledged, for each stream (one publisher's messages to one session, or to a shared subscription as
 * a whole) which have arrived. An acknowledged message must arrive in every stream of its publisher; at QoS 0 and 2 at
 * most once, at QoS 1 perhaps again; its first arrival in the order of the numbers. Whatever was sent and not
 * acknowledged may arrive or not. Pure; owned by one thread. */
#ifndef BENCH_LEDGER_H
#define BENCH_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEDGER_FAULTS_KEPT 12u

/* A set of message numbers; grows as they come. */
struct ledger_set {
	uint64_t *words;
	size_t count;
};

struct ledger_publisher {
	struct ledger_set acknowledged;
	uint8_t qos;
};

struct ledger_stream {
	struct ledger_set seen;
	struct ledger_set lost; /* given up */
	uint64_t next;          /* one above the highest number that arrived */
	bool wanted;            /* there is such a stream */
	bool ordered;           /* of a shared subscription only each member's part is in order */
};

enum ledger_fault_kind { LEDGER_MISSING, LEDGER_DOUBLED, LEDGER_REORDERED, LEDGER_LATE, LEDGER_FAULT_KINDS };

struct ledger_fault {
	enum ledger_fault_kind kind;
	uint32_t publisher;
	uint32_t slot;
	uint64_t number;
};

struct ledger_sums {
	uint64_t acknowledged; /* messages */
	uint64_t arrived;      /* in all streams, each once */
	uint64_t repeated;     /* again, at QoS 1 */
	uint64_t faults[LEDGER_FAULT_KINDS];
};

struct ledger {
	struct ledger_publisher *publishers;
	struct ledger_stream *streams; /* of publisher p: p * slots to p * slots + slots - 1 */
	uint32_t publisher_count;
	uint32_t slots;
	uint64_t outstanding; /* acknowledged, not arrived and not given up, of all streams */
	struct ledger_sums sums;
	struct ledger_sums at_qos[3];                   /* the same, by the QoS of the publisher */
	struct ledger_fault faults[LEDGER_FAULTS_KEPT]; /* the first */
	uint32_t fault_count;                           /* of these */
	bool out_of_memory;                             /* then the sums are worth nothing */
};

/* No stream is wanted yet, and every publisher's QoS is 0. Returns false without memory. */
bool ledger_open(struct ledger *ledger, uint32_t publishers, uint32_t slots);
void ledger_close(struct ledger *ledger);

struct ledger_stream *ledger_stream_at(struct ledger *ledger, uint32_t publisher, uint32_t slot);

/* The server has taken on the message: PUBACK, or PUBREC. Once for each message. */
void ledger_acknowledge(struct ledger *ledger, uint32_t publisher, uint64_t number);
/* The message arrived in the stream, which must be wanted. */
void ledger_receive(struct ledger *ledger, uint32_t publisher, uint32_t slot, uint64_t number);
/* Counts as missing what is outstanding, which is not waited for any more. One that arrives later is LEDGER_LATE. */
void ledger_give_up(struct ledger *ledger);

/* One above the highest number of the publisher that was acknowledged; 0: none was. */
uint64_t ledger_acknowledged_until(const struct ledger *ledger, uint32_t publisher);

/* The streams that lack messages which were given up: how many there are, and what the others of them got, at least and
 * at most. */
struct ledger_losers {
	uint32_t count;
	uint64_t least;
	uint64_t most;
};
struct ledger_losers ledger_losers(const struct ledger *ledger);

/* Nothing is missing, doubled or out of order. */
bool ledger_is_clean(const struct ledger *ledger);

/* "missing", "doubled", "out of order", "late". Static storage. */
const char *ledger_fault_name(enum ledger_fault_kind kind);

#endif
