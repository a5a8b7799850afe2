#include "bench/target/process.h"

#include "base/check.h"
#include "base/clock.h"

#include <ctype.h>
#include <dirent.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* With SO_REUSEPORT, several sockets listen on one port. */
#define LISTENERS_MAX 256u
#define TCP_STATE_LISTEN 0x0Au
/* The kernel's __SO_ACCEPTCON. */
#define UNIX_FLAG_LISTENS 0x10000u
#define SETTLE_STEP_MS 100u

struct inodes {
	unsigned long list[LISTENERS_MAX];
	uint32_t count;
};

static uint16_t port_of(const struct address *address)
{
	if (address->storage.ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)&address->storage)->sin6_port);
	return ntohs(((const struct sockaddr_in *)&address->storage)->sin_port);
}

/* For IPv4 the local address is compared too; for IPv6 the port alone. */
static void collect_listeners(const char *path, const struct address *address, struct inodes *inodes)
{
	FILE *file = fopen(path, "re");
	char line[512];
	if (file == NULL)
		return;
	while (fgets(line, sizeof(line), file) != NULL && inodes->count < LISTENERS_MAX) {
		char local[40];
		unsigned int port;
		unsigned int state;
		unsigned long inode;
		if (sscanf(line, " %*u: %39[0-9A-F]:%x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %lu", local, &port,
			   &state, &inode) != 4)
			continue;
		if (state != TCP_STATE_LISTEN || port != port_of(address))
			continue;
		if (address->storage.ss_family == AF_INET && strlen(local) == 8) {
			unsigned long bound = strtoul(local, NULL, 16);
			if (bound != 0 && bound != ((const struct sockaddr_in *)&address->storage)->sin_addr.s_addr)
				continue;
		}
		inodes->list[inodes->count++] = inode;
	}
	fclose(file);
}

/* The path is the end of a line. */
static void collect_unix_listeners(const struct address *address, struct inodes *inodes)
{
	const char *path = ((const struct sockaddr_un *)&address->storage)->sun_path;
	FILE *file = fopen("/proc/net/unix", "re");
	char line[512];
	if (file == NULL)
		return;
	while (fgets(line, sizeof(line), file) != NULL && inodes->count < LISTENERS_MAX) {
		unsigned int flags;
		unsigned long inode;
		int at = 0;
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%*x: %*x %*x %x %*x %*x %lu %n", &flags, &inode, &at) != 2 || at == 0)
			continue;
		if ((flags & UNIX_FLAG_LISTENS) != 0 && strcmp(line + at, path) == 0)
			inodes->list[inodes->count++] = inode;
	}
	fclose(file);
}

static bool task_holds(const char *descriptors, const struct inodes *inodes)
{
	CHECK(inodes->count > 0 && inodes->count <= LISTENERS_MAX);
	DIR *directory = opendir(descriptors);
	bool found = false;
	if (directory == NULL)
		return false;
	for (struct dirent *entry; !found && (entry = readdir(directory)) != NULL;) {
		char target[64];
		unsigned long inode;
		ssize_t size = readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1);
		if (size <= 0)
			continue;
		target[size] = '\0';
		if (sscanf(target, "socket:[%lu]", &inode) != 1)
			continue;
		for (uint32_t i = 0; i < inodes->count; i++)
			found = found || inodes->list[i] == inode;
	}
	closedir(directory);
	return found;
}

static bool process_holds(const char *pid, const struct inodes *inodes)
{
	char path[300];
	snprintf(path, sizeof(path), "/proc/%.20s/task", pid);
	DIR *tasks = opendir(path);
	bool found = false;
	if (tasks == NULL)
		return false;
	for (struct dirent *entry; !found && (entry = readdir(tasks)) != NULL;) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/task/%.20s/fd", pid, entry->d_name);
		found = task_holds(path, inodes);
	}
	closedir(tasks);
	return found;
}

pid_t process_listening(const struct address *address)
{
	struct inodes inodes = {.count = 0};
	if (address->storage.ss_family == AF_UNIX) {
		collect_unix_listeners(address, &inodes);
	} else {
		collect_listeners("/proc/net/tcp", address, &inodes);
		collect_listeners("/proc/net/tcp6", address, &inodes);
	}
	DIR *processes = opendir("/proc");
	pid_t found = 0;
	if (processes == NULL)
		return 0;
	for (struct dirent *entry; inodes.count > 0 && found == 0 && (entry = readdir(processes)) != NULL;) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (pid != getpid() && process_holds(entry->d_name, &inodes))
			found = pid;
	}
	closedir(processes);
	return found;
}

uint64_t process_cpu_ns(pid_t pid)
{
	clockid_t clock;
	struct timespec used;
	if (pid <= 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
		return 0;
	return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

double process_cpu_between_ns(uint64_t before, uint64_t after)
{
	return before > 0 && after >= before ? (double)(after - before) : (double)NAN;
}

/* Sums the lines of the file that begin with one of the names, all in kB. */
static uint64_t sum_kilobytes(const char *path, const char *const *names, size_t count)
{
	FILE *file = fopen(path, "re");
	char line[256];
	uint64_t sum = 0;
	if (file == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL) {
		for (size_t i = 0; i < count; i++) {
			size_t size = strlen(names[i]);
			if (strncmp(line, names[i], size) == 0 && line[size] == ':')
				sum += strtoull(line + size + 1, NULL, 10);
		}
	}
	fclose(file);
	return sum * 1024u;
}

uint64_t process_resident_bytes(pid_t pid)
{
	static const char *const names[] = {"RssAnon", "RssFile", "RssShmem"};
	char path[64];
	if (pid <= 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	return sum_kilobytes(path, names, sizeof(names) / sizeof(names[0]));
}

void process_wait_idle(pid_t pid, uint32_t timeout_ms)
{
	static const struct timespec step = {.tv_nsec = SETTLE_STEP_MS * 1000000};
	uint64_t before = process_cpu_ns(pid);
	for (uint32_t waited_ms = 0; waited_ms < timeout_ms; waited_ms += SETTLE_STEP_MS) {
		nanosleep(&step, NULL);
		uint64_t now = process_cpu_ns(pid);
		if (now - before < SETTLE_STEP_MS * 1000000u / 50)
			return;
		before = now;
	}
}

uint64_t machine_cpu_ns(void)
{
	unsigned long long user = 0;
	unsigned long long nice = 0;
	unsigned long long system = 0;
	unsigned long long irq = 0;
	unsigned long long softirq = 0;
	unsigned long long steal = 0;
	FILE *file = fopen("/proc/stat", "re");
	if (file == NULL)
		return 0;
	/* Idle and I/O wait, between system and irq, are skipped. */
	int found = fscanf(file, "cpu %llu %llu %llu %*u %*u %llu %llu %llu", &user, &nice, &system, &irq, &softirq,
			   &steal);
	fclose(file);
	long ticks = sysconf(_SC_CLK_TCK);
	if (found != 6 || ticks <= 0)
		return 0;
	return (user + nice + system + irq + softirq + steal) * (1000000000u / (unsigned long long)ticks);
}

uint64_t kernel_slab_bytes(void)
{
	static const char *const names[] = {"Slab"};
	return sum_kilobytes("/proc/meminfo", names, 1);
}
