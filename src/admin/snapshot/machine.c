#include "admin/snapshot/machine.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void read_statm(struct machine *machine)
{
	unsigned long pages;
	unsigned long resident;
	FILE *file = fopen("/proc/self/statm", "re");
	if (file == NULL)
		return;
	if (fscanf(file, "%lu %lu", &pages, &resident) == 2) {
		uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
		machine->virtual_bytes = pages * page_bytes;
		machine->resident_bytes = resident * page_bytes;
	}
	fclose(file);
}

/* "TCP: inuse 20 orphan 0 tw 2866 alloc 22 mem 3": mem in pages. */
static void read_sockstat(struct machine *machine)
{
	char line[256];
	unsigned long used;
	unsigned long pages;
	FILE *file = fopen("/proc/net/sockstat", "re");
	if (file == NULL)
		return;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "TCP: inuse %lu orphan %*u tw %*u alloc %*u mem %lu", &used, &pages) == 2) {
			machine->tcp_sockets = used;
			machine->socket_buffer_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
		}
	}
	fclose(file);
}

static void read_meminfo(struct machine *machine)
{
	char line[128];
	unsigned long kilobytes;
	FILE *file = fopen("/proc/meminfo", "re");
	if (file == NULL)
		return;
	while (machine->kernel_slab_bytes == 0 && fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "SUnreclaim: %lu kB", &kilobytes) == 1)
			machine->kernel_slab_bytes = (uint64_t)kilobytes << 10;
	}
	fclose(file);
}

double machine_thread_cpu_s(clockid_t clock)
{
	struct timespec used;
	if (clock_gettime(clock, &used) != 0)
		return 0;
	return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

struct machine machine_sample(void)
{
	struct machine machine = {.cpu_s = machine_thread_cpu_s(CLOCK_PROCESS_CPUTIME_ID)};
	read_statm(&machine);
	read_sockstat(&machine);
	read_meminfo(&machine);
	return machine;
}

double machine_started_s(void)
{
	char text[1024];
	unsigned long long ticks;
	FILE *file = fopen("/proc/self/stat", "re");
	size_t size = file != NULL ? fread(text, 1, sizeof(text) - 1, file) : 0;
	if (file != NULL)
		fclose(file);
	text[size] = '\0';
	/* The name in parentheses may contain anything; the start time is the 20th field after it. */
	const char *at = strrchr(text, ')');
	if (at == NULL ||
	    sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		   &ticks) != 1)
		return 0;
	struct timespec now;
	struct timespec up;
	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &up);
	double booted_s = (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) / 1e9;
	return booted_s + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

uint64_t machine_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	if (directory == NULL)
		return 0;
	uint64_t count = 0;
	const struct dirent *entry;
	while ((entry = readdir(directory)) != NULL) /* NOLINT(concurrency-mt-unsafe): a directory stream of our own */
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}
