/* What memory costs that outlives the program text (memory/arena.h), beside anonymous memory: first touches, one thread
 * and two; growing, forgetting, fork(); what the kernel keeps for it; huge pages; adopting. `region_bench [MIB]`, 1024
 * by default. */
#include "base/check.h"
#include "base/clock.h"
#include "memory/region.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE_BYTES 4096u
#define MIB ((size_t)1 << 20)

enum backing { ANONYMOUS, ONE_ARENA, AN_ARENA_EACH };

static const char *const BACKING_NAMES[] = {"anonymous", "one arena", "an arena each"};

/* In KiB, of a file of lines "Name: value". */
static long kib_of(const char *path, const char *name)
{
	char line[256];
	long value = 0;
	FILE *file = fopen(path, "r");
	CHECK(file != NULL);
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtol(line + strlen(name) + 1, NULL, 10);
	}
	fclose(file);
	return value;
}

/* What pages that are read and never written hold afterwards. */
static long read_kib(struct arena *arena, size_t bytes)
{
	struct region region;
	uint64_t sum = 0;
	CHECK(region_open_in(&region, arena, "read", bytes) == ERROR_OK);
	CHECK(region_grow(&region, bytes) == ERROR_OK);
	long before_kib = kib_of("/proc/self/status", "VmRSS");
	for (size_t at = 0; at < bytes; at += PAGE_BYTES)
		sum += ((volatile uint8_t *)region.base)[at];
	long held_kib = kib_of("/proc/self/status", "VmRSS") - before_kib;
	CHECK_EQ(sum, 0u);
	region_close(&region);
	return held_kib;
}

static void *touch_all(void *argument)
{
	struct region *region = argument;
	for (size_t at = 0; at < region->usable_bytes; at += PAGE_BYTES)
		region->base[at] = 1;
	return NULL;
}

static double touch_ns(struct region *regions, uint32_t threads)
{
	pthread_t ids[2];
	uint64_t began_ns = clock_now_ns();
	for (uint32_t i = 0; i < threads; i++)
		CHECK(pthread_create(&ids[i], NULL, touch_all, &regions[i]) == 0);
	for (uint32_t i = 0; i < threads; i++)
		CHECK(pthread_join(ids[i], NULL) == 0);
	return (double)(clock_now_ns() - began_ns) / (double)(regions[0].usable_bytes / PAGE_BYTES);
}

static double grow_all_ns(struct region *region, size_t bytes)
{
	uint64_t began_ns = clock_now_ns();
	for (size_t at = MIB; at <= bytes; at += MIB)
		CHECK(region_grow(region, at) == ERROR_OK);
	return (double)(clock_now_ns() - began_ns) / (double)(bytes / MIB);
}

static double fork_us(void)
{
	uint64_t began_ns = clock_now_ns();
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	CHECK(waitpid(child, NULL, 0) == child);
	return (double)(clock_now_ns() - began_ns) / 1000;
}

static void measure(enum backing backing, uint32_t threads, size_t bytes, bool huge)
{
	struct memory_root root = {0};
	struct arena arenas[2];
	struct region regions[2];
	double grow_ns = 0;
	CHECK(memory_root_open(&root, 0) == ERROR_OK);
	for (uint32_t i = 0; i < threads; i++) {
		const char *name = i == 0 ? "first" : "second";
		struct arena *arena = &arenas[backing == AN_ARENA_EACH ? i : 0];
		if (backing != ANONYMOUS && (i == 0 || backing == AN_ARENA_EACH))
			CHECK(arena_open(arena, &root, name) == ERROR_OK);
		CHECK(region_open_in(&regions[i], backing == ANONYMOUS ? NULL : arena, name, bytes) == ERROR_OK);
		grow_ns = grow_all_ns(&regions[i], bytes);
		if (huge)
			CHECK(madvise(regions[i].base, bytes, MADV_HUGEPAGE) == 0);
	}
	long before_kib = kib_of("/proc/meminfo", "Slab");
	double fault_ns = touch_ns(regions, threads);
	long slab_kib = kib_of("/proc/meminfo", "Slab") - before_kib;
	double forked_us = fork_us();
	printf("%-14s %u threads%s: grow %4.0f ns/MiB, touch %5.0f ns/page, RssAnon %ld RssShmem %ld VmPTE %ld, "
	       "kernel's "
	       "slab %+ld KiB, fork %.0f us",
	       BACKING_NAMES[backing], threads, huge ? ", huge" : "", grow_ns, fault_ns,
	       kib_of("/proc/self/status", "RssAnon"), kib_of("/proc/self/status", "RssShmem"),
	       kib_of("/proc/self/status", "VmPTE"), slab_kib, forked_us);
	uint64_t began_ns = clock_now_ns();
	for (size_t at = 0; at < bytes; at += 16 * PAGE_BYTES)
		region_forget(&regions[0], at, 16 * PAGE_BYTES);
	double forget_ns = (double)(clock_now_ns() - began_ns) / (double)(bytes / 16 / PAGE_BYTES);
	long held_kib = read_kib(backing == ANONYMOUS ? NULL : &arenas[0], 64 * MIB);
	printf(", forget %.0f ns per 64 KiB, 64 MiB read alone hold %ld KiB\n", forget_ns, held_kib);
	for (uint32_t i = 0; i < threads; i++)
		region_close(&regions[i]);
	memory_root_close(&root);
}

/* ---- adopting ---- */

enum adopted_touch { TOUCH_READING, TOUCH_WRITING, TOUCH_POPULATING, TOUCH_COUNT };

static const char *const TOUCH_NAMES[] = {"reading", "writing", "MADV_POPULATE_WRITE"};

static void touch_adopted(struct region *region, enum adopted_touch touch)
{
	uint64_t sum = 0;
	if (touch == TOUCH_POPULATING)
		CHECK(madvise(region->base, region->usable_bytes, MADV_POPULATE_WRITE) == 0);
	for (size_t at = 0; at < region->usable_bytes && touch != TOUCH_POPULATING; at += PAGE_BYTES) {
		if (touch == TOUCH_WRITING)
			region->base[at]++;
		else
			sum += ((volatile uint8_t *)region->base)[at];
	}
	CHECK_LE(sum, region->usable_bytes);
}

/* What the next program pays: the map, and each page once more. */
static void measure_adopting(size_t bytes)
{
	struct memory_root root = {0};
	struct arena arena;
	struct region region;
	CHECK(memory_root_open(&root, 0) == ERROR_OK && arena_open(&arena, &root, "arena") == ERROR_OK);
	CHECK(region_open_in(&region, &arena, "region", bytes) == ERROR_OK && region_grow(&region, bytes) == ERROR_OK);
	touch_all(&region);
	for (int touch = 0; touch < TOUCH_COUNT; touch++) {
		struct region adopted;
		uint64_t began_ns = clock_now_ns();
		CHECK(region_adopt(&adopted, &arena, "region") == ERROR_OK);
		uint64_t mapped_ns = clock_now_ns();
		touch_adopted(&adopted, (enum adopted_touch)touch);
		uint64_t touched_ns = clock_now_ns();
		printf("adopted %zu MiB: map %.0f us, %s %.0f ns/page\n", bytes / MIB,
		       (double)(mapped_ns - began_ns) / 1000, TOUCH_NAMES[touch],
		       (double)(touched_ns - mapped_ns) / (double)(bytes / PAGE_BYTES));
		region_close(&adopted);
	}
	region_close(&region);
	memory_root_close(&root);
}

int main(int argc, char **argv)
{
	size_t bytes = (argc > 1 ? strtoul(argv[1], NULL, 10) : 1024) * MIB;
	for (int round = 0; round < 3; round++) {
		measure(ANONYMOUS, 1, bytes, false);
		measure(ONE_ARENA, 1, bytes, false);
		measure(ANONYMOUS, 2, bytes, false);
		measure(ONE_ARENA, 2, bytes, false);
		measure(AN_ARENA_EACH, 2, bytes, false);
		measure(ANONYMOUS, 1, bytes, true);
		measure(ONE_ARENA, 1, bytes, true);
		measure_adopting(bytes);
	}
	return 0;
}
