/* What a durable store could be built of, measured on the disk below a directory:
 *
 *     store_shapes DIRECTORY append|checksum|queue|rows [ROUNDS [LOAD [SHAPES]]]
 *
 * 3 rounds by default. DIRECTORY is made; at most 5 GB in it, and nothing afterwards. LOAD is one of the queue's loads
 * (store/queue.c), SHAPES the beginning of shapes' names: "log". The rounds alternate the shapes. Each row quotes the
 * device's own sync latency at that time. */
#include "base/check.h"
#include "store/shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const char *directory = argc > 1 ? argv[1] : "", *what = argc > 2 ? argv[2] : "";
	uint32_t rounds = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 3;
	if (argc > 6 || rounds == 0 || mkdir(directory, 0700) != 0) {
		fprintf(stderr,
			"usage: store_shapes NEW_DIRECTORY append|checksum|queue|rows [ROUNDS [LOAD [SHAPES]]]\n");
		return 2;
	}
	if (strcmp(what, "append") == 0)
		measure_append(directory, rounds);
	else if (strcmp(what, "checksum") == 0)
		measure_checksum(rounds);
	else if (strcmp(what, "queue") == 0)
		measure_queue(directory, rounds, argc > 4 ? argv[4] : NULL, argc > 5 ? argv[5] : NULL);
	else if (strcmp(what, "rows") == 0)
		measure_rows(directory, rounds);
	else
		fprintf(stderr, "store_shapes: nothing is measured under that name\n");
	directory_empty(directory);
	CHECK_EQ(rmdir(directory), 0);
	return 0;
}
