/* A library to be preloaded into the real program: it keeps a trace of all that is done to the files below a directory,
 * and makes the disk fail as a test tells it to while the program runs. tests/harness/disk.py reads the trace, and
 * rebuilds from it what a loss of power may leave.
 *
 *     ROOST_DISK_DIRECTORY    the directory: a real path
 *     ROOST_DISK_TRACE        the file of the trace: the next server goes on in it
 *     ROOST_DISK_FAULTS       what fails, a line each: OPERATION WHAT [COUNT]. Read before each operation, so a test
 *                             puts a new file in its place; counts begin anew with each file
 *
 * OPERATION: write, sync, names (a sync of the directory), allocate, create, remove. WHAT: ENOSPC, EIO, EINTR; `short`,
 * a write of a part; `delay MS`, before it is done. The first line that fits is taken; one whose COUNT is used up fits
 * no more.
 *
 * Descriptors are looked up in /proc/thread-self at each operation: Roost's threads may have descriptor tables of their
 * own, so that one number means several files. The trace is opened for each record for the same reason. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum trace_kind {
	TRACE_CREATE = 1,
	TRACE_WRITE,
	TRACE_SYNC,
	TRACE_ALLOCATE,
	TRACE_TRUNCATE,
	TRACE_RENAME,
	TRACE_REMOVE,
	TRACE_NAMES, /* a sync of the directory */
	TRACE_OPERATIONS
};
static const char *const OPERATION_NAMES[TRACE_OPERATIONS] = {
	[TRACE_CREATE] = "create",     [TRACE_WRITE] = "write",       [TRACE_SYNC] = "sync",
	[TRACE_ALLOCATE] = "allocate", [TRACE_TRUNCATE] = "truncate", [TRACE_RENAME] = "rename",
	[TRACE_REMOVE] = "remove",     [TRACE_NAMES] = "names",
};

/* The trace begins with its size, 64 bits, up to which it holds whole records. It is set when a record is all there: a
 * server that is killed leaves a part of one, as the kernel stops a write between two pages then, and the next server's
 * first record takes its place.
 *
 * A record is followed by the name, and what was written. disk.py knows this. */
struct trace_record {
	uint32_t bytes; /* all of it */
	uint32_t kind;
	uint64_t began_ns; /* CLOCK_MONOTONIC */
	uint64_t ended_ns;
	uint64_t inode;
	uint64_t number; /* an offset or a size */
	int32_t result;  /* 0 or a negative errno */
	uint16_t name_bytes;
	uint16_t is_fault; /* injected */
};
_Static_assert(sizeof(struct trace_record) == 48, "in the file");

#define RULES_MAX 16u
#define BLOCK_BYTES 512u

struct rule {
	enum trace_kind kind;
	int error; /* 0: a short write, or a delay */
	bool is_short;
	uint32_t delay_ms;
	uint32_t count; /* 0: without an end */
};

static pthread_mutex_t trace_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t used[RULES_MAX]; /* of the rules in the file below */
static uint64_t rules_inode;

static uint64_t now_ns(void)
{
	struct timespec now;
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now); /* not a library's that fakes it */
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void *next_function(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);
	if (function == NULL)
		abort();
	return function;
}

/* ---- what is looked at ---- */

static const char *directory(void)
{
	static const char *path;
	if (path == NULL)
		path = getenv("ROOST_DISK_DIRECTORY"); /* NOLINT(concurrency-mt-unsafe): nobody changes it */
	return path != NULL ? path : "/nowhere";
}

/* The name in the directory that a path has; "" is the directory itself; NULL: it is elsewhere. */
static const char *name_in_directory(const char *path)
{
	size_t size = strlen(directory());
	if (strncmp(path, directory(), size) != 0)
		return NULL;
	if (path[size] == '\0')
		return path + size;
	return path[size] == '/' ? path + size + 1 : NULL;
}

static const char *name_of(int descriptor, char path[PATH_MAX])
{
	char link[64];
	snprintf(link, sizeof(link), "/proc/thread-self/fd/%d", descriptor);
	ssize_t size = readlink(link, path, PATH_MAX - 1);
	if (size <= 0)
		return NULL;
	path[size] = '\0';
	return name_in_directory(path);
}

static const char *name_at(int at, const char *name, char path[PATH_MAX])
{
	if (name[0] == '/')
		return name_in_directory(name);
	if (at == AT_FDCWD)
		return NULL;
	const char *base = name_of(at, path);
	if (base == NULL || base[0] != '\0')
		return NULL;
	return name;
}

static uint64_t inode_of(int descriptor)
{
	struct stat status;
	return fstat(descriptor, &status) == 0 ? status.st_ino : 0;
}

/* ---- faults ---- */

static bool rule_read(const char *line, struct rule *rule)
{
	char operation[16], what[16];
	unsigned first = 0, second = 0;
	int got = sscanf(line, "%15s %15s %u %u", operation, what, &first, &second);
	if (got < 2)
		return false;
	*rule = (struct rule){.count = first};
	for (unsigned kind = TRACE_CREATE; kind < TRACE_OPERATIONS; kind++)
		if (strcmp(operation, OPERATION_NAMES[kind]) == 0)
			rule->kind = (enum trace_kind)kind;
	if (strcmp(what, "delay") == 0) {
		rule->delay_ms = first;
		rule->count = second;
	} else if (strcmp(what, "short") == 0) {
		rule->is_short = true;
	} else {
		rule->error = strcmp(what, "ENOSPC") == 0 ? ENOSPC : strcmp(what, "EINTR") == 0 ? EINTR : EIO;
	}
	return true;
}

/* The rule that holds for this operation now; none is all zeros. */
static struct rule fault_for(enum trace_kind kind)
{
	struct rule rule = {.error = 0};
	char text[1024];
	const char *path = getenv("ROOST_DISK_FAULTS"); /* NOLINT(concurrency-mt-unsafe): nobody changes it */
	int file = path != NULL ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
	if (file < 0)
		return rule;
	uint64_t inode = inode_of(file);
	ssize_t size = read(file, text, sizeof(text) - 1);
	close(file);
	text[size > 0 ? size : 0] = '\0';
	pthread_mutex_lock(&lock);
	if (inode != rules_inode)
		memset(used, 0, sizeof(used));
	rules_inode = inode;
	char *rest = text, *line;
	bool found = false;
	for (uint32_t i = 0; i < RULES_MAX && !found && (line = strsep(&rest, "\n")) != NULL; i++) {
		found = rule_read(line, &rule) && rule.kind == kind && (rule.count == 0 || used[i] < rule.count);
		used[i] += found;
	}
	pthread_mutex_unlock(&lock);
	if (!found)
		return (struct rule){.error = 0};
	if (rule.delay_ms != 0) {
		struct timespec time = {.tv_sec = rule.delay_ms / 1000, .tv_nsec = rule.delay_ms % 1000 * 1000000L};
		nanosleep(&time, NULL);
	}
	return rule;
}

/* ---- the trace ---- */

/* One process has the directory at a time, so a lock of its threads is enough. */
static void trace_append(int file, const struct trace_record *record, const char *name, const void *data, size_t size)
{
	uint64_t end;
	if (syscall(SYS_pread64, file, &end, sizeof(end), 0L) != (long)sizeof(end))
		end = sizeof(end); /* it is new */
	struct iovec parts[] = {
		{(void *)record, sizeof(*record)}, {(void *)name, record->name_bytes}, {(void *)data, size}};
	if (syscall(SYS_pwritev, file, parts, 3L, (long)end, 0L) != (long)record->bytes)
		abort();
	end += record->bytes;
	if (syscall(SYS_pwrite64, file, &end, sizeof(end), 0L) != (long)sizeof(end))
		abort();
}

static void trace(struct trace_record record, const char *name, const void *data, size_t size)
{
	const char *path = getenv("ROOST_DISK_TRACE"); /* NOLINT(concurrency-mt-unsafe): nobody changes it */
	int saved = errno;
	int file = path != NULL ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	if (file >= 0) {
		pthread_mutex_lock(&trace_lock);
		record.ended_ns = now_ns();
		record.name_bytes = (uint16_t)strlen(name);
		record.bytes = (uint32_t)(sizeof(record) + record.name_bytes + size);
		trace_append(file, &record, name, data, size);
		pthread_mutex_unlock(&trace_lock);
		close(file);
	}
	errno = saved;
}

static int32_t result_of(int result)
{
	return result < 0 ? -errno : 0;
}

static void trace_created(int descriptor, int flags, uint64_t began_ns)
{
	char path[PATH_MAX];
	const char *name = descriptor >= 0 && (flags & O_CREAT) != 0 ? name_of(descriptor, path) : NULL;
	struct stat status;
	/* A file that was there before has something in it, but for the lock, which does not matter. */
	if (name == NULL || name[0] == '\0' || fstat(descriptor, &status) < 0 ||
	    ((flags & O_EXCL) == 0 && status.st_size != 0))
		return;
	struct trace_record record = {.kind = TRACE_CREATE, .began_ns = began_ns, .inode = status.st_ino};
	trace(record, name, NULL, 0);
}

static int faulty_create(const char *name, int flags)
{
	struct rule rule = name != NULL && name[0] != '\0' && (flags & O_CREAT) != 0 ? fault_for(TRACE_CREATE)
										     : (struct rule){.error = 0};
	return rule.error;
}

int openat64(int at, const char *name, int flags, ...)
{
	static int (*next)(int, const char *, int, ...);
	if (next == NULL)
		next = (int (*)(int, const char *, int, ...))next_function("openat64");
	va_list more;
	va_start(more, flags);
	mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
	va_end(more);
	char path[PATH_MAX];
	uint64_t began_ns = now_ns();
	int error = (flags & O_CREAT) != 0 ? faulty_create(name_at(at, name, path), flags) : 0;
	if (error != 0) {
		errno = error;
		return -1;
	}
	int descriptor = next(at, name, flags, mode);
	trace_created(descriptor, flags, began_ns);
	return descriptor;
}

int open64(const char *name, int flags, ...)
{
	va_list more;
	va_start(more, flags);
	mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
	va_end(more);
	return openat64(AT_FDCWD, name, flags, mode);
}

int mkostemp64(char *template, int flags)
{
	static int (*next)(char *, int);
	if (next == NULL)
		next = (int (*)(char *, int))next_function("mkostemp64");
	uint64_t began_ns = now_ns();
	int descriptor = next(template, flags);
	trace_created(descriptor, O_CREAT | O_EXCL, began_ns);
	return descriptor;
}

/* ---- files ---- */

static ssize_t traced_write(int descriptor, const char *name, const void *bytes, size_t size, off64_t offset)
{
	struct trace_record record = {
		.kind = TRACE_WRITE, .began_ns = now_ns(), .inode = inode_of(descriptor), .number = (uint64_t)offset};
	struct rule rule = fault_for(TRACE_WRITE);
	record.is_fault = rule.error != 0 || rule.is_short || rule.delay_ms != 0;
	if (rule.error != 0) {
		record.result = -rule.error;
		trace(record, name, NULL, 0);
		errno = rule.error;
		return -1;
	}
	/* No file system writes a part of a block. */
	if (rule.is_short && size > BLOCK_BYTES)
		size = size / 2 - size / 2 % BLOCK_BYTES + BLOCK_BYTES;
	ssize_t wrote = syscall(SYS_pwrite64, descriptor, bytes, size, offset);
	record.result = wrote < 0 ? -errno : 0;
	trace(record, name, bytes, wrote > 0 ? (size_t)wrote : 0);
	return wrote;
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t size, off64_t offset)
{
	char path[PATH_MAX];
	const char *name = name_of(descriptor, path);
	if (name == NULL)
		return syscall(SYS_pwrite64, descriptor, bytes, size, offset);
	return traced_write(descriptor, name, bytes, size, offset);
}

ssize_t write(int descriptor, const void *bytes, size_t size)
{
	char path[PATH_MAX];
	const char *name = name_of(descriptor, path);
	if (name == NULL)
		return syscall(SYS_write, descriptor, bytes, size);
	int flags = fcntl(descriptor, F_GETFL);
	off64_t offset = lseek64(descriptor, 0, (flags & O_APPEND) != 0 ? SEEK_END : SEEK_CUR);
	ssize_t wrote = traced_write(descriptor, name, bytes, size, offset);
	if (wrote > 0)
		lseek64(descriptor, offset + wrote, SEEK_SET);
	return wrote;
}

/* The call that is not to be done for one that fails. */
static int traced_sync(int descriptor, bool data)
{
	long call = data ? SYS_fdatasync : SYS_fsync;
	char path[PATH_MAX];
	const char *name = name_of(descriptor, path);
	if (name == NULL)
		return (int)syscall(call, descriptor);
	enum trace_kind kind = name[0] == '\0' ? TRACE_NAMES : TRACE_SYNC;
	struct trace_record record = {.kind = kind, .began_ns = now_ns(), .inode = inode_of(descriptor)};
	struct rule rule = fault_for(kind);
	record.is_fault = rule.error != 0 || rule.delay_ms != 0;
	int result = -1;
	if (rule.error != 0)
		errno = rule.error;
	else
		result = (int)syscall(call, descriptor);
	record.result = result_of(result);
	trace(record, name, NULL, 0);
	return result;
}

int fdatasync(int descriptor)
{
	return traced_sync(descriptor, true);
}

int fsync(int descriptor)
{
	return traced_sync(descriptor, false);
}

int fallocate64(int descriptor, int mode, off64_t offset, off64_t size)
{
	char path[PATH_MAX];
	const char *name = name_of(descriptor, path);
	if (name == NULL)
		return (int)syscall(SYS_fallocate, descriptor, mode, offset, size);
	struct trace_record record = {.kind = TRACE_ALLOCATE,
				      .began_ns = now_ns(),
				      .inode = inode_of(descriptor),
				      .number = (uint64_t)(offset + size)};
	struct rule rule = fault_for(TRACE_ALLOCATE);
	record.is_fault = rule.error != 0 || rule.delay_ms != 0;
	int result = -1;
	if (rule.error != 0)
		errno = rule.error;
	else
		result = (int)syscall(SYS_fallocate, descriptor, mode, offset, size);
	record.result = result_of(result);
	trace(record, name, NULL, 0);
	return result;
}

int ftruncate64(int descriptor, off64_t size)
{
	int result = (int)syscall(SYS_ftruncate, descriptor, size);
	char path[PATH_MAX];
	int saved = errno;
	const char *name = name_of(descriptor, path);
	errno = saved;
	if (name != NULL) {
		struct trace_record record = {.kind = TRACE_TRUNCATE,
					      .began_ns = now_ns(),
					      .inode = inode_of(descriptor),
					      .number = (uint64_t)size,
					      .result = result_of(result)};
		trace(record, name, NULL, 0);
	}
	return result;
}

/* ---- names ---- */

int renameat(int from_at, const char *from, int to_at, const char *to)
{
	char path[PATH_MAX], names[2 * NAME_MAX + 2];
	uint64_t began_ns = now_ns();
	const char *from_name = name_at(from_at, from, path), *to_name = name_at(to_at, to, path);
	struct stat status = {.st_ino = 0};
	fstatat(from_at, from, &status, AT_SYMLINK_NOFOLLOW);
	int result = (int)syscall(SYS_renameat2, from_at, from, to_at, to, 0);
	if (from_name != NULL && to_name != NULL) {
		struct trace_record record = {.kind = TRACE_RENAME,
					      .began_ns = began_ns,
					      .inode = status.st_ino,
					      .result = result_of(result)};
		snprintf(names, sizeof(names), "%s/%s", from_name, to_name);
		trace(record, names, NULL, 0);
	}
	return result;
}

int rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int unlinkat(int at, const char *name, int flags)
{
	char path[PATH_MAX];
	uint64_t began_ns = now_ns();
	const char *inside = name_at(at, name, path);
	struct rule rule = inside != NULL ? fault_for(TRACE_REMOVE) : (struct rule){.error = 0};
	if (rule.error != 0) {
		errno = rule.error;
		return -1;
	}
	int result = (int)syscall(SYS_unlinkat, at, name, flags);
	if (inside != NULL && result == 0) {
		struct trace_record record = {.kind = TRACE_REMOVE, .began_ns = began_ns};
		trace(record, inside, NULL, 0);
	}
	return result;
}

int unlink(const char *name)
{
	return unlinkat(AT_FDCWD, name, 0);
}
