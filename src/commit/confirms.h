/* What a shard has told, is safe here, and waits for a replica's word: numbers of its buffers, each with the position
 * of the trail (commit/log/trail.h) that brings it. First in, first out. If there are many, the last one waits for a
 * later position than it needs, which breaks no promise. The writer's thread alone. */
#ifndef COMMIT_CONFIRMS_H
#define COMMIT_CONFIRMS_H

#include <stdbool.h>
#include <stdint.h>

#define CONFIRMS_MAX 32u

struct confirm {
	uint64_t position;
	uint64_t taken;
};

struct confirms {
	struct confirm waits[CONFIRMS_MAX];
	uint32_t first;
	uint32_t count;
	uint64_t last; /* that was added */
};

/* taken: higher than any before. */
void confirms_add(struct confirms *confirms, uint64_t taken, uint64_t position);
/* The highest number that need not wait once `confirmed` is confirmed; 0: none more. */
uint64_t confirms_take(struct confirms *confirms, uint64_t confirmed);

#endif
