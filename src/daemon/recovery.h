/* Shows how far a recovery of the store is: a bar where stderr is a terminal, else a line in the log each second; and
 * the admin side is told. A signal that asks the process to stop ends it at once, for a recovery changes nothing that
 * the next one could not read. Main thread. */
#ifndef DAEMON_RECOVERY_H
#define DAEMON_RECOVERY_H

#include <stdbool.h>
#include <stdint.h>

struct admin;

struct recovery {
	struct admin *admin; /* NULL: none */
	uint64_t next_ms;    /* when to show it again */
	bool is_terminal;
	bool is_drawn; /* the bar stands on the last line of the terminal */
};

void recovery_begin(struct recovery *recovery, struct admin *admin);
/* A store_progress. With done == all the bar is taken away. */
void recovery_show(void *recovery, uint64_t done, uint64_t all);
/* Takes the bar away. */
void recovery_end(struct recovery *recovery);

#endif
