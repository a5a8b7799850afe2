/* Private descriptor tables: a thread's own holds what was named and no more, and nobody else's changes. */
#include "reactor/fdtable.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define OPENED 200

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

struct detached {
	const int *keep;
	size_t keep_count;
	enum fdtable_kind kind;
	int highest;      /* looked at */
	bool open[4096];  /* after the detaching */
	int opened_alone; /* a number that only its own table has */
};

static void *detach(void *argument)
{
	struct detached *detached = argument;
	detached->kind = fdtable_detach(detached->keep, detached->keep_count);
	for (int fd = 0; fd <= detached->highest; fd++)
		detached->open[fd] = is_open(fd);
	detached->opened_alone = detached->kind == FDTABLE_PRIVATE ? fcntl(0, F_DUPFD, detached->highest + 1) : -1;
	return NULL;
}

static int open_many(int fds[OPENED])
{
	int highest = 0;
	for (int i = 0; i < OPENED; i++) {
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_true(fds[i] > 2 && fds[i] < 4096);
		highest = fds[i] > highest ? fds[i] : highest;
	}
	return highest;
}

static bool contains(const int *fds, size_t count, int wanted)
{
	for (size_t i = 0; i < count; i++) {
		if (fds[i] == wanted)
			return true;
	}
	return false;
}

static void try_keeping(const int *keep, size_t count, int highest)
{
	static struct detached detached;
	detached = (struct detached){.keep = keep, .keep_count = count, .highest = highest};
	bool before[4096];
	for (int fd = 0; fd <= highest; fd++)
		before[fd] = is_open(fd);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, detach, &detached), 0);
	pthread_join(thread, NULL);
	for (int fd = 0; fd <= highest; fd++) {
		assert_int_equal(is_open(fd), before[fd]);
		bool kept = fd <= 2 || contains(keep, count, fd) || detached.kind == FDTABLE_SHARED;
		assert_int_equal(detached.open[fd], before[fd] && kept);
	}
	assert_int_equal(detached.kind == FDTABLE_PRIVATE, fdtable_can_detach());
	if (detached.kind == FDTABLE_PRIVATE) {
		assert_true(detached.opened_alone > highest);
		assert_false(is_open(detached.opened_alone));
	}
}

static void test_table_holds_just_what_was_named(void **state)
{
	(void)state;
	int fds[OPENED];
	int highest = open_many(fds);
	int some[] = {fds[150], fds[3], fds[4], fds[5], fds[77], fds[150]}; /* any order, one twice */
	try_keeping(some, sizeof(some) / sizeof(some[0]), highest);
	int standard[] = {1, 2, fds[0]};
	try_keeping(standard, 3, highest);
	int last[] = {highest};
	try_keeping(last, 1, highest);
	try_keeping(fds, OPENED, highest);
	try_keeping(NULL, 0, highest);
	for (int i = 0; i < OPENED; i++)
		close(fds[i]);
}

static void test_trying_changes_nothing_here(void **state)
{
	(void)state;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	bool can = fdtable_can_detach();
	assert_true(is_open(fd));
	assert_int_equal(fdtable_can_detach(), can);
	close(fd);
}

static void test_soft_limit_is_raised_to_the_hard_one(void **state)
{
	(void)state;
	struct rlimit before, after;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	struct rlimit low = {.rlim_cur = 256, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	uint64_t table = fdtable_raise_limit();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
	assert_true(table == before.rlim_max);
	assert_true(after.rlim_cur == before.rlim_max && after.rlim_max == before.rlim_max);
	assert_true(fdtable_raise_limit() == table);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_holds_just_what_was_named),
		cmocka_unit_test(test_trying_changes_nothing_here),
		cmocka_unit_test(test_soft_limit_is_raised_to_the_hard_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
