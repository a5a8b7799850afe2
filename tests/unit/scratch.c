#include "scratch.h"

#include "base/check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct scratch scratch_open(void)
{
	struct scratch scratch = {.directory = "/tmp/roost-test-XXXXXX"};
	CHECK(mkdtemp(scratch.directory) != NULL);
	return scratch;
}

void scratch_close(struct scratch *scratch)
{
	DIR *entries = opendir(scratch->directory);
	CHECK(entries != NULL);
	for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
		char path[SCRATCH_PATH_BYTES + 256];
		snprintf(path, sizeof(path), "%s/%s", scratch->directory, entry->d_name);
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			CHECK(unlink(path) == 0);
	}
	closedir(entries);
	CHECK(rmdir(scratch->directory) == 0);
}

char *scratch_path(const struct scratch *scratch, const char *name, char out[SCRATCH_PATH_BYTES])
{
	snprintf(out, SCRATCH_PATH_BYTES, "%s/%s", scratch->directory, name);
	return out;
}
