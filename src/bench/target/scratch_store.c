#include "bench/target/scratch_store.h"

#include "base/check.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEMPLATE "/var/tmp/roost-bench-XXXXXX"
#define DESCRIPTORS_FOR_REMOVAL 16

_Static_assert(sizeof(TEMPLATE) <= SCRATCH_STORE_BYTES, "the path has room");

bool scratch_store_make(struct scratch_store *store)
{
	memcpy(store->path, TEMPLATE, sizeof(TEMPLATE));
	if (mkdtemp(store->path) != NULL)
		return true;
	fprintf(stderr, "roost bench: no directory could be made in /var/tmp: %s\n", strerror(errno));
	return false;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

void scratch_store_remove(const struct scratch_store *store)
{
	CHECK(strncmp(store->path, TEMPLATE, strlen(TEMPLATE) - strlen("XXXXXX")) == 0); /* nothing else is removed */
	nftw(store->path, remove_entry, DESCRIPTORS_FOR_REMOVAL, FTW_DEPTH | FTW_PHYS);
}
