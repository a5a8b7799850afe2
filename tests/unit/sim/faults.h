/* What a kernel may do to a shard, from a seed: reads and writes that are short, refused for now (EAGAIN), interrupted
 * (EINTR) or broken (ECONNRESET), events that come late, twice, in another order, without a cause, or for a connection
 * that is gone. The linker brings recv(), send(), sendmsg() and the poller's functions here (--wrap), so there is no
 * trace of it in the product.
 *
 * Only what a kernel may do: whoever is told EAGAIN gets an event later, as does one whose read was short although more
 * was there (in a kernel the rest comes after the read). After EINTR there is none: nothing has changed.
 *
 * Faults happen only between faults_turn_begin() and faults_turn_end(). One thread, one scene at a time. */
#ifndef TESTS_SIM_FAULTS_H
#define TESTS_SIM_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_kind {
	FAULT_SHORT = 1,     /* reads and writes */
	FAULT_AGAIN = 2,     /* EAGAIN */
	FAULT_INTR = 4,      /* EINTR */
	FAULT_LATE = 8,      /* events wait for a later turn */
	FAULT_SPURIOUS = 16, /* events without a cause, some for connections that are gone */
	FAULT_ORDER = 32,    /* the events of a turn are shuffled */
	FAULT_RESET = 64,    /* ECONNRESET */
	FAULT_ALL = 127,
	FAULT_KINDS = 7,
};

/* Nothing is known and nothing goes wrong. */
void faults_clear(void);
/* A turn begins: faults of these kinds, each once in `rarity` calls or so, by the seed. kinds 0: none, and all events
 * that wait are handed out. */
void faults_turn_begin(unsigned kinds, uint32_t rarity, uint64_t seed);
void faults_turn_end(void);
/* Is shown what the kernel took of the server's output; NULL: nobody. */
void faults_watch_output(void (*watch)(int fd, const uint8_t *bytes, size_t size));
/* Whether events wait. */
bool faults_wait(void);
/* How many there were of a kind, since faults_clear(). */
uint64_t faults_count(enum fault_kind kind);
const char *fault_name(enum fault_kind kind);

#endif
