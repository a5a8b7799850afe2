/* Writes the documents that are made from tables in the code: `roost-docs metrics` is docs/METRICS.md, `roost-docs
 * example` is deploy/roost.yaml. Not installed. */
#include "admin/metrics.h"
#include "daemon/options.h"

#include <string.h>

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "metrics") == 0)
		metrics_document(stdout);
	else if (argc == 2 && strcmp(argv[1], "example") == 0)
		options_print_example(stdout);
	else
		fputs("Usage: roost-docs metrics|example\n", stderr);
	return argc == 2 ? 0 : 2;
}
