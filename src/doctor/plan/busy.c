#include "doctor/plan/busy.h"

#include "doctor/machine/reading.h"
#include "doctor/machine/root.h"
#include "doctor/machine/text.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* The words of "cpu user nice system idle iowait irq softirq steal ..." that are work done here, proc(5). */
static const uint32_t WORK[] = {0, 1, 2, 5, 6};

uint64_t busy_parse(struct slice text, uint32_t ticks)
{
	struct slice line;
	uint64_t sum = 0;
	if (ticks == 0 || !text_find(text, "cpu ", &line))
		return 0;
	for (size_t i = 0; i < sizeof(WORK) / sizeof(WORK[0]); i++)
		sum += reading_used(reading_word(line, WORK[i])) & UINT32_MAX;
	return sum * (1000000000u / ticks);
}

static uint64_t own_ns(void)
{
	struct timespec used;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

uint64_t busy_elsewhere_ns(const struct test_server *server)
{
	struct root root = {.prefix = ""};
	struct slice text;
	uint8_t *buffer = malloc(ROOT_FILE_BYTES_MAX);
	uint64_t all = 0;
	if (buffer != NULL && root_read(&root, "/proc/stat", buffer, &text) == ERROR_OK)
		all = busy_parse(text, (uint32_t)sysconf(_SC_CLK_TCK));
	free(buffer);
	uint64_t ours = own_ns() + test_server_cpu_ns(server);
	return all > ours ? all - ours : 0;
}
