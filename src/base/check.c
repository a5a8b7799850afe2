#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void check_failed(const char *file, int line, const char *promise)
{
	fprintf(stderr, "roost: %s:%d: broken promise: %s\n", file, line, promise);
	abort();
}
