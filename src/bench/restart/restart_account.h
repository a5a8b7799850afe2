/* The account of a scenario with a restart: for each message whether it was acknowledged and where it has arrived,
 * across the end of the server (sessions/ledger.h). Opened and closed by the main thread; in between it is the one
 * worker's, and the main thread's while that reports. */
#ifndef BENCH_RESTART_ACCOUNT_H
#define BENCH_RESTART_ACCOUNT_H

#include "bench/scenario/expectations.h"
#include "bench/scenario/step.h"
#include "bench/sessions/ledger.h"

#include <stdatomic.h>

struct restart_account {
	const struct expectations *expectations;
	struct ledger ledger; /* its publishers are channels */
	uint32_t *slots;      /* of each stream */
	uint64_t sessions_lost;
	uint64_t identifiers_reused;
	uint64_t refused;
	struct step_restart settled; /* up to the end of the step before */
	atomic_bool server_is_down;  /* by the main thread: what breaks is expected */
};

/* Returns NULL, or why it cannot be opened; static storage. Close it in either case. */
const char *restart_account_open(struct restart_account *account, const struct expectations *expectations);
void restart_account_close(struct restart_account *account);

/* The server has taken on the message: PUBACK, or PUBREC. Once for each message. */
void restart_account_acknowledge(struct restart_account *account, uint32_t channel, uint64_t number);
/* It arrived in the stream. Returns whether it was there for the first time. */
bool restart_account_receive(struct restart_account *account, const struct audit_stream *stream, uint64_t number);

/* At the end of a step: counts what has not come as missing, and notes what was counted since the step before. What was
 * acknowledged decides, in place of what was sent: at QoS 0 nothing is promised. */
void restart_account_note_step(struct restart_account *account, struct step *step);

#endif
