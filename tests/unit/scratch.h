/* A directory of a test's own, which is gone afterwards with the files in it. */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#define SCRATCH_PATH_BYTES 256

struct scratch {
	char directory[64];
};

struct scratch scratch_open(void);
void scratch_close(struct scratch *scratch);
/* The path of a file in it, in `out`, which it returns. */
char *scratch_path(const struct scratch *scratch, const char *name, char out[SCRATCH_PATH_BYTES]);

#endif
