/* A file of dead letters has whole lines, also where there was no room for all of them at first. */
#include "base/file.h"
#include "relay/hook/dead_letter.h"
#include "scratch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#define LINE(event) "{\"hook\":\"h\",\"given_up\":7,\"reason\":\"why\",\"event\":" event "}\n"

static void add_event(struct hook_batch *batch, const char *text)
{
	struct hook_event *event = hook_batch_place(batch);
	assert_non_null(event);
	bytes_append(&batch->text, text, strlen(text));
	assert_true(hook_batch_added(batch, event));
}

static void assert_content(const char *path, const char *expected)
{
	uint8_t *data;
	size_t size;
	assert_null(file_read(path, 1u << 20, FILE_SECRET, &data, &size));
	assert_int_equal(size, strlen(expected));
	assert_memory_equal(data, expected, size);
	free(data);
}

/* A limit of the file's size stands for a disk that is full. */
static void limit_files(rlim_t bytes)
{
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_no_half_lines(void **state)
{
	(void)state;
	struct scratch scratch = scratch_open();
	char path[SCRATCH_PATH_BYTES];
	struct hook_batch batch = {0};
	scratch_path(&scratch, "dead.jsonl", path);
	add_event(&batch, "{\"id\":1}");
	assert_null(dead_letter_write(path, "h", "why", 7, &batch));
	add_event(&batch, "{\"id\":2}");
	limit_files(sizeof(LINE("{\"id\":1}")) + 20);
	assert_non_null(dead_letter_write(path, "h", "why", 7, &batch));
	limit_files(RLIM_INFINITY);
	assert_content(path, LINE("{\"id\":1}"));
	assert_null(dead_letter_write(path, "h", "why", 7, &batch));
	assert_content(path, LINE("{\"id\":1}") LINE("{\"id\":1}") LINE("{\"id\":2}"));
	hook_batch_free(&batch);
	scratch_close(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_half_lines),
	};
	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
