/* Whose turn it is to do TLS. Every step of a handshake with whole input goes through here: what comes in one turn of
 * the gate is sorted before any of it costs. Handshakes in progress go first, for each holds some 50 KB; then those
 * that offer a ticket, which cost a third of a full one; then full ones, of which one begins in each turn, and one for
 * every few that offer a ticket, whatever the others do. A turn spends a few milliseconds, so that a storm of TLS does
 * not hold up the gate's other clients, and the number of handshakes in progress is bounded (--tls-handshakes-max).
 * Gate's thread only. */
#ifndef GATE_HANDSHAKE_TLS_QUEUE_H
#define GATE_HANDSHAKE_TLS_QUEUE_H

#include "gate/handshake/state.h"

/* Where others wait to begin and no more may be in progress, a client that is not done so long after the server's first
 * flight is given up, whatever it has said meanwhile. One that is far away and slow needs a second. */
#define GATE_TLS_PATIENCE_MS 2000u
/* Of a turn. A step takes 0.03 to 0.3 ms, one with an RSA key of 4096 bits 3 ms. */
#define GATE_TLS_TURN_NS 4000000u
/* So many that offer a ticket begin before a full one that waits. Whether a ticket is any good is not known before. */
#define GATE_TLS_RESUMED_IN_A_ROW 8u
/* So many times tls_handshakes_max may wait to begin. */
#define GATE_TLS_WAITING_FACTOR 4u

/* Waits for its turn, or for its client. ERROR_TLS_HANDSHAKE_QUEUE: too many wait to begin. */
enum error gate_tls_queue_add(struct gate *gate, uint32_t index, enum gate_tls_wait wait);
/* Does nothing where it does not wait. */
void gate_tls_queue_remove(struct gate *gate, uint32_t index);

/* The time of this turn begins. */
void gate_tls_turn_begin(struct gate *gate);
/* Takes the next handshake whose turn it is; tls_turn is set. 0: none, or the time is spent. */
uint32_t gate_tls_next(struct gate *gate);
/* The handshake in progress that is to be given up for one that waits to begin. 0: none. */
uint32_t gate_tls_overdue(const struct gate *gate);
/* Whether gate_tls_next() would have one in a turn that begins now. */
bool gate_tls_has_work(const struct gate *gate);

/* The object in handshake->tls is new, and counts; or is freed, if there is one. */
void gate_tls_count(struct gate *gate);
void gate_tls_free(struct gate *gate, uint32_t index);
/* Gives the memory of handshakes that have ended back to the kernel, now and then. Once a turn. */
void gate_tls_trim(struct gate *gate);

#endif
