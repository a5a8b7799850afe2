#include "reactor/fdtable.h"

#include "base/check.h"

#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

uint64_t fdtable_raise_limit(void)
{
	struct rlimit limit;
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	if (limit.rlim_cur < limit.rlim_max) {
		struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
		if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
			limit = raised;
	}
	return limit.rlim_cur;
}

static int compare_descriptors(const void *a, const void *b)
{
	int left = *(const int *)a;
	int right = *(const int *)b;
	return (left > right) - (left < right);
}

enum fdtable_kind fdtable_detach(const int *keep, size_t count)
{
	int *sorted = malloc((count + 1) * sizeof(*sorted));
	CHECK(sorted != NULL);
	if (count != 0)
		memcpy(sorted, keep, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), compare_descriptors);

	CHECK(count == 0 || sorted[0] >= 0);

	/* The range above the last kept descriptor is closed first. With CLOSE_RANGE_UNSHARE that is also the second
	 * way to a private table, and the kernel then copies only the descriptors below it. */
	unsigned int above = count == 0 || sorted[count - 1] < 3 ? 3 : (unsigned int)sorted[count - 1] + 1;
	if (unshare(CLONE_FILES) != 0 && close_range(above, ~0u, CLOSE_RANGE_UNSHARE) != 0) {
		free(sorted);
		return FDTABLE_SHARED;
	}
	close_range(above, ~0u, 0);
	unsigned int next = 3;
	for (size_t i = 0; i < count; i++) {
		unsigned int kept = (unsigned int)sorted[i];
		if (kept > next)
			close_range(next, kept - 1, 0);
		if (kept >= next)
			next = kept + 1;
	}
	CHECK(count == 0 || next > (unsigned int)sorted[count - 1]); /* all of keep was passed over */
	free(sorted);
	return FDTABLE_PRIVATE;
}

static void *try_detach(void *kind)
{
	*(enum fdtable_kind *)kind = fdtable_detach(NULL, 0);
	return NULL;
}

bool fdtable_can_detach(void)
{
	enum fdtable_kind kind = FDTABLE_SHARED;
	pthread_t thread;
	if (pthread_create(&thread, NULL, try_detach, &kind) != 0)
		return false;
	pthread_join(thread, NULL);
	return kind == FDTABLE_PRIVATE;
}
