/* The program of this process is replaced while its clients stay: `roost ctl upgrade`, SIGUSR2, and the package's
 * post-install. docs/decisions/0021-upgrade.md says why it is as it is.
 *
 *   asked -> the new program is tried as a child (upgrade/trial.h) -> the gateway is frozen (control/gateway.h) ->
 *   execve() -> the new program goes on with the clients (upgrade/heir.h)
 *
 * At each step before execve() the gateway serves on if something is wrong, and behind it the new program goes back to
 * this one. Requests come from any thread; all else is the main thread's. */
#ifndef UPGRADE_UPGRADE_H
#define UPGRADE_UPGRADE_H

#include "upgrade/heir.h"
#include "upgrade/trial.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UPGRADE_PATH_BYTES 4096u

struct admin;
struct gateway;
struct upgrade;

/* Who uses the gateway beside its clients, and must not while it stands still: stop() ends that before it is frozen,
 * but for those who go on until nothing is in transit, which leave() ends; start() begins it again where this program
 * serves on. */
struct upgrade_users {
	void (*stop)(void *context);
	void (*leave)(void *context);
	void (*start)(void *context);
	void *context;
};

enum upgrade_state {
	UPGRADE_NONE,    /* none was asked for in this process */
	UPGRADE_ASKED,   /* and is under way */
	UPGRADE_DONE,    /* the last one brought this program */
	UPGRADE_REFUSED, /* the last one did not take place */
};

/* For people and for the API. */
struct upgrade_status {
	enum upgrade_state state;
	uint64_t number; /* of the request: grows with each, over all programs of the process */
	char why[HEIR_WHY_BYTES];
	char from[HEIR_VERSION_BYTES]; /* UPGRADE_DONE: which version was replaced */
	uint64_t clients;
	uint32_t closed;    /* connections that had not signed in when their time was up */
	uint64_t silent_us; /* no client was read or written to for so long */
	uint64_t done;      /* upgrades that this process has seen, and those that were refused */
	uint64_t refused;
};

/* heir: how this program began. NULL: no memory, no descriptor. */
struct upgrade *upgrade_new(const struct heir *heir);
void upgrade_free(struct upgrade *upgrade);

/* Asks for an upgrade to the program at this path; "" for the one where this program was started from, whatever is
 * there now. False: why says why not. Any thread. */
bool upgrade_ask(struct upgrade *upgrade, const char *path, char *why, size_t why_size);
void upgrade_status(struct upgrade *upgrade, struct upgrade_status *status);
/* Readable when an upgrade was asked for. */
int upgrade_fd(const struct upgrade *upgrade);

/* Carries out what was asked for. Returns only where this program serves on; the log says why. */
void upgrade_run(struct upgrade *upgrade, struct gateway *gateway, struct admin *admin,
		 const struct upgrade_users *users);
/* This program, which is an heir, serves by now. */
void upgrade_begun(struct upgrade *upgrade, struct heir *heir, struct admin *admin);

#endif
