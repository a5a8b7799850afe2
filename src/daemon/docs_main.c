/* Writes what is made from the tables in the code: `roost-docs metrics` docs/METRICS.md, `roost-docs example`
 * deploy/roost.yaml. Not installed. */
#include "admin/metrics/metrics.h"
#include "daemon/options/options.h"

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
