/* Made-up machines: trees of files below a directory of their own, for tests of the doctor. */
#ifndef TESTS_UNIT_DOCTOR_FAKE_ROOT_H
#define TESTS_UNIT_DOCTOR_FAKE_ROOT_H

#include "doctor/machine/machine.h"

struct fake_file {
	const char *path;
	const char *text;
};

struct fake_root {
	char prefix[64];
	uint8_t *buffer; /* of ROOT_FILE_BYTES_MAX, for what reads files */
};

/* Trees end with a path of NULL. */
extern const struct fake_file FAKE_DEBIAN[]; /* as installed: nothing tuned, 8 GiB, 4 cores, started by systemd */
extern const struct fake_file
	FAKE_CONTAINER[]; /* of 512 MiB, 100 tasks and half a core, a profile of seccomp, no io_uring */
extern const struct fake_file FAKE_TUNED[]; /* of 64 GiB, by somebody who knew what for */

struct fake_root fake_root_make(const struct fake_file *files);
/* Makes the directories on the way; replaces what was there. */
void fake_root_write(struct fake_root *fake, const char *path, const char *text);
void fake_root_delete(struct fake_root *fake, const char *path);
/* What is in a file now; the caller frees it. */
char *fake_root_text(struct fake_root *fake, const char *path);
void fake_root_remove(struct fake_root *fake);

/* As the files of another machine are looked at, with pages of 4 KiB. The caller frees it with machine_free(). */
struct machine *fake_root_machine(const struct fake_root *fake);

#endif
