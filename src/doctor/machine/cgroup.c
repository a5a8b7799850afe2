#include "doctor/machine/cgroup.h"

#include "base/check.h"
#include "doctor/machine/text.h"

#include <stdio.h>

#define PATH_BYTES 2048

/* Where one kind of bound stands in either version. */
struct controller {
	const char *name;
	const char *mount_v1;
	const char *max_v1;
	const char *used_v1;
	const char *max_v2;
	const char *used_v2;
};

static const struct controller MEMORY = {
	.name = "memory",
	.mount_v1 = "/sys/fs/cgroup/memory",
	.max_v1 = "memory.limit_in_bytes",
	.used_v1 = "memory.usage_in_bytes",
	.max_v2 = "memory.max",
	.used_v2 = "memory.current",
};

static const struct controller TASKS = {
	.name = "pids",
	.mount_v1 = "/sys/fs/cgroup/pids",
	.max_v1 = "pids.max",
	.used_v1 = "pids.current",
	.max_v2 = "pids.max",
	.used_v2 = "pids.current",
};

static const struct controller CPU = {
	.name = "cpu",
	.mount_v1 = "/sys/fs/cgroup/cpu",
	.max_v1 = "cpu.cfs_quota_us",
	.max_v2 = "cpu.max",
};

struct walk {
	const struct root *root;
	uint8_t *buffer;
	const struct controller *controller;
	bool v1;
	char directory[PATH_BYTES];
};

/* "memory" in "cpu,memory". */
static bool list_has(struct slice list, const char *wanted)
{
	while (list.size > 0) {
		const uint8_t *comma = memchr(list.data, ',', list.size);
		size_t size = comma != NULL ? (size_t)(comma - list.data) : list.size;
		if (text_is(slice_of(list.data, size), wanted))
			return true;
		size_t used = comma != NULL ? size + 1 : size;
		list = slice_of(list.data + used, list.size - used);
	}
	return false;
}

/* Lines are number:controllers:path, cgroups(7). */
bool cgroup_path(struct slice text, const char *controller, struct slice *path)
{
	struct slice line;
	while (text_line(&text, &line)) {
		const uint8_t *first = line.size > 0 ? memchr(line.data, ':', line.size) : NULL;
		if (first == NULL)
			continue;
		size_t before = (size_t)(first - line.data) + 1;
		struct slice rest = slice_of(line.data + before, line.size - before);
		const uint8_t *second = rest.size > 0 ? memchr(rest.data, ':', rest.size) : NULL;
		if (second == NULL)
			continue;
		size_t size = (size_t)(second - rest.data);
		struct slice list = slice_of(rest.data, size);
		*path = slice_of(second + 1, rest.size - size - 1);
		if (*controller == '\0' ? text_begins(line, "0::") : list_has(list, controller))
			return true;
	}
	return false;
}

static struct slice read_file(const struct walk *walk, const char *name)
{
	char path[PATH_BYTES + 64];
	struct slice text = slice_of(walk->buffer, 0);
	snprintf(path, sizeof(path), "%s/%s", walk->directory, name);
	if (root_read(walk->root, path, walk->buffer, &text) != ERROR_OK)
		return slice_of(NULL, 0);
	return text;
}

static struct reading read_number(const struct walk *walk, const char *name)
{
	struct slice text = read_file(walk, name);
	if (text.data == NULL)
		return (struct reading){.state = READING_ABSENT};
	return reading_parse(text);
}

/* Starts in the group's own directory. A container may show its own group alone, but name the path as the host sees it,
 * or one above its root ("/.."): levels that do not exist are skipped. */
static bool walk_start(struct walk *walk, const struct root *root, uint8_t *buffer, const struct controller *controller)
{
	struct slice text;
	struct slice path;
	*walk = (struct walk){.root = root, .buffer = buffer, .controller = controller};
	if (root_read(root, "/proc/self/cgroup", buffer, &text) != ERROR_OK)
		return false;
	walk->v1 = cgroup_path(text, controller->name, &path);
	if (!walk->v1 && !cgroup_path(text, "", &path))
		return false;
	path = text_trim(path);
	if (path.size > PATH_BYTES / 2 || memmem(path.data, path.size, "..", 2) != NULL)
		path.size = 0;
	snprintf(walk->directory, sizeof(walk->directory), "%s%.*s", walk->v1 ? controller->mount_v1 : "/sys/fs/cgroup",
		 (int)path.size, (const char *)path.data);
	return true;
}

/* One level up. False: that was the root. */
static bool walk_up(struct walk *walk)
{
	size_t mount = strlen(walk->v1 ? walk->controller->mount_v1 : "/sys/fs/cgroup");
	CHECK(strlen(walk->directory) >= mount);
	char *slash = strrchr(walk->directory, '/');
	if (slash == NULL || (size_t)(slash - walk->directory) < mount)
		return false;
	*slash = '\0';
	return true;
}

static struct reading memory_used(const struct walk *walk)
{
	struct reading used = read_number(walk, walk->v1 ? MEMORY.used_v1 : MEMORY.used_v2);
	struct slice rest;
	if (used.state != READING_KNOWN)
		return used;
	if (!text_find(read_file(walk, "memory.stat"), walk->v1 ? "total_inactive_file " : "inactive_file ", &rest))
		return used;
	uint64_t cache = reading_used(reading_word(rest, 0));
	return reading_known(used.value > cache ? used.value - cache : 0);
}

static uint64_t left(struct reading max, struct reading used)
{
	uint64_t bound = reading_bound(max);
	uint64_t taken = reading_used(used);
	return bound == UINT64_MAX ? UINT64_MAX : bound > taken ? bound - taken : 0;
}

/* Finds the level with the least room left. */
static void read_tightest(const struct root *root, uint8_t *buffer, const struct controller *controller,
			  struct reading *max, struct reading *used)
{
	struct walk walk;
	if (!walk_start(&walk, root, buffer, controller))
		return;
	do {
		struct reading here = read_number(&walk, walk.v1 ? controller->max_v1 : controller->max_v2);
		if (here.state == READING_ABSENT)
			continue;
		struct reading taken =
			controller == &MEMORY ? memory_used(&walk)
					      : read_number(&walk, walk.v1 ? controller->used_v1 : controller->used_v2);
		if (max->state != READING_ABSENT && left(here, taken) >= left(*max, *used))
			continue;
		*max = here;
		*used = taken;
	} while (walk_up(&walk));
}

/* cpu.max has "50000 100000", or "max 100000" without a limit; version 1 has two files, and -1 without a limit. */
static struct reading cpu_here(const struct walk *walk)
{
	struct slice text = read_file(walk, walk->v1 ? CPU.max_v1 : CPU.max_v2);
	if (text.data == NULL)
		return (struct reading){.state = READING_ABSENT};
	if (walk->v1 && text_begins(text, "-1"))
		return (struct reading){.state = READING_UNLIMITED};
	struct reading quota = reading_word(text, 0);
	struct reading period = walk->v1 ? read_number(walk, "cpu.cfs_period_us") : reading_word(text, 1);
	if (quota.state != READING_KNOWN)
		return quota;
	if (period.state != READING_KNOWN || period.value == 0 || quota.value > UINT64_MAX / 1000)
		return (struct reading){.state = READING_UNREADABLE};
	return reading_known(quota.value * 1000 / period.value);
}

static void read_cpu(const struct root *root, uint8_t *buffer, struct reading *milli)
{
	struct walk walk;
	if (!walk_start(&walk, root, buffer, &CPU))
		return;
	do {
		struct reading here = cpu_here(&walk);
		if (here.state != READING_ABSENT &&
		    (milli->state == READING_ABSENT || reading_bound(here) < reading_bound(*milli)))
			*milli = here;
	} while (walk_up(&walk));
}

void cgroup_read(const struct root *root, uint8_t *buffer, struct cgroup *out)
{
	*out = (struct cgroup){0};
	read_tightest(root, buffer, &MEMORY, &out->memory_max, &out->memory_used);
	read_tightest(root, buffer, &TASKS, &out->tasks_max, &out->tasks_used);
	read_cpu(root, buffer, &out->cpu_milli);
}
