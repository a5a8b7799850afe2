/* A program that the previous one, in the same process, has replaced itself by. It finds what was left through its
 * environment: the root of memory, and in the notes where the previous program is, in case this one cannot go on.
 *
 * Until heir_takes_over() every end of this program is a way back to the previous one: an error, a CHECK that fails, a
 * signal of a fault, and a time limit. Main thread. */
#ifndef UPGRADE_HEIR_H
#define UPGRADE_HEIR_H

#include "net/listener.h"

#include <stdbool.h>
#include <stdint.h>

struct notes;

#define HEIR_VERSION_BYTES 64u
#define HEIR_WHY_BYTES 512u
/* A program with more than that is not replaced: the way back knows no others. */
#define HEIR_ARGUMENTS_BYTES_MAX ((size_t)1 << 20)
#define HEIR_ARGUMENTS_MAX 16384u
#define HEIR_ENVIRONMENT_MAX 4096u
/* The environment's name for the descriptors of the root and of the previous program; and the notes' scope. */
#define HEIR_ENV_ROOT "ROOST_UPGRADE"
#define HEIR_SCOPE "upgrade"

/* Times are of the monotonic clock; 0: not known. In notes: no pointers. */
struct heir_note {
	char from[HEIR_VERSION_BYTES]; /* version of the previous program */
	struct listener admin;         /* of the admin side; fd -1: there is none */
	uint64_t asked_ns;
	uint64_t quiet_from_ns;
	uint64_t quiet_ns;
	uint64_t frozen_ns;
	uint64_t execve_ns;
	uint64_t clients;
	uint64_t number; /* of the request, and what came of the ones before (upgrade/upgrade.h) */
	uint64_t done;
	uint64_t refused;
	uint32_t closed; /* connections that had not signed in */
};

struct heir {
	struct heir_note note;
	char why[HEIR_WHY_BYTES]; /* not empty: the next program could not go on, for this reason, and this is the
				     previous one again */
	int root_fd;              /* -1: nobody was replaced */
	int program_fd;           /* of the previous program; -1: there is no way back to it */
};

/* Reads the environment, and takes from it what must not reach children. From here on the way back is open. */
void heir_begin(struct heir *heir);
static inline bool heir_is_one(const struct heir *heir)
{
	return heir->root_fd >= 0;
}
/* The notes can be read by now. False: they have none for this program. */
bool heir_read(struct heir *heir, const struct notes *notes);
/* In builds for tests: does what ROOST_TEST_UPGRADE in the environment says, "fail", "crash" or "hang". False: fail. */
bool heir_test_point(const struct heir *heir);
/* Replaces this program by the previous one. Returns only where that fails, or where there is none. */
void heir_go_back(const char *why);
/* From now on there is no way back: the next turn of a shard changes what the previous program noted. Whatever can
 * fail is to be done before. */
void heir_takes_over(struct heir *heir);
/* Logs what it took. */
void heir_serves(const struct heir *heir);

#endif
