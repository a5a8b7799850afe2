/* The new program before it replaces this one: it runs as a child that reads the configuration, judges this program's
 * memory by the text of its layout, and says what it is. So a program that is none, is of another machine, crashes,
 * hangs, does not like the configuration or cannot go on with such memory is known while every client is served as
 * ever. */
#ifndef UPGRADE_TRIAL_H
#define UPGRADE_TRIAL_H

#include <stdbool.h>
#include <stddef.h>

#define TRIAL_VERSION_BYTES 64u
#define TRIAL_WHY_BYTES 512u
#define TRIAL_STORAGE_BYTES 96u
#define TRIAL_TYPE_BYTES 128u
#define TRIAL_SECONDS_MAX 10u

struct trial {
	char version[TRIAL_VERSION_BYTES]; /* what the program says it is; "": it has not come so far */
	char storage[TRIAL_STORAGE_BYTES]; /* what it takes its store for (control/storage.h) */
	char converts[TRIAL_TYPE_BYTES]; /* the first type that it would convert in memory; "": it would take all as it
					    is */
	char why[TRIAL_WHY_BYTES];       /* it will not do; "": it will */
};

/* ---- by the program that serves; main thread; blocks for TRIAL_SECONDS_MAX at most ---- */

/* Whether PATH is a file that this process may be replaced by: absolute, regular, executable, and written by nobody
 * else than root and the process's own user. False: trial->why. */
bool trial_may_run(const char *path, struct trial *trial);
/* arguments: of this process, without its own name; NULL-terminated. False: trial->why. */
bool trial_run(const char *path, char *const arguments[], struct trial *trial);

/* ---- by the child ---- */

/* Whether this process is on trial. To be asked once: the environment does not say so any more then. */
bool trial_is_one(void);
/* The configuration is good: says what this program is, what it would do with the memory whose layout is described on
 * stdin, and what it takes its store for, on stdout. Returns the exit status. */
int trial_answer(const char *storage);

#endif
