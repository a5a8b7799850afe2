/* Limits as systemd's units and pam_limits' files state them. */
#include "doctor/machine/service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct service_whole WHOLE = {
	.tasks = {.state = READING_KNOWN, .value = 1000},
	.memory = {.state = READING_KNOWN, .value = 8000},
};

static struct service apply(const char *text)
{
	struct service service = {0};
	service_apply(&service, slice_string(text), &WHOLE);
	return service;
}

static void assert_known(struct reading reading, uint64_t value)
{
	assert_int_equal(reading.state, READING_KNOWN);
	assert_true(reading.value == value);
}

static void test_unit(void **state)
{
	(void)state;
	struct service service =
		apply("[Unit]\nLimitNOFILE=5\n\n[Service]\n# LimitNOFILE=6\n;LimitNOFILE=7\n"
		      "ExecStart=/usr/bin/roost serve --packet-bytes-max=9\n"
		      "  LimitNOFILE = 1048576 \nTasksMax=50%\nMemoryMax=4K\n[Install]\nLimitNOFILE=8\n");
	assert_known(service.descriptors, 1048576);
	assert_known(service.tasks, 500);
	assert_known(service.memory, 4096);
}

static void test_soft_and_hard(void **state)
{
	(void)state;
	assert_known(apply("[Service]\nLimitNOFILE=1024:524288\n").descriptors, 524288);
	assert_int_equal(apply("[Service]\nLimitNOFILE=1024:infinity").descriptors.state, READING_UNLIMITED);
	assert_int_equal(apply("[Service]\nLimitNOFILE=infinity\n").descriptors.state, READING_UNLIMITED);
	assert_known(apply("[Manager]\nDefaultLimitNOFILE=1024:65536\n").descriptors, 65536);
}

static void test_the_last_word_counts(void **state)
{
	(void)state;
	struct service service = apply("[Service]\nLimitNOFILE=1\nLimitNOFILE=2\n");
	assert_known(service.descriptors, 2);
	service_apply(&service, slice_string("[Service]\nLimitNOFILE=3\n"), &WHOLE);
	assert_known(service.descriptors, 3);
	service_apply(&service, slice_string("[Service]\nLimitNOFILE=\n"), &WHOLE);
	assert_int_equal(service.descriptors.state, READING_ABSENT);
	service_apply(&service, slice_string("[Service]\nRestart=always\n"), &WHOLE);
	assert_int_equal(service.descriptors.state, READING_ABSENT);
}

static void test_what_is_wrong_is_not_guessed_at(void **state)
{
	(void)state;
	assert_int_equal(apply("[Service]\nLimitNOFILE=many\n").descriptors.state, READING_UNREADABLE);
	assert_int_equal(apply("[Service]\nLimitNOFILE=-5\n").descriptors.state, READING_UNREADABLE);
	assert_int_equal(apply("[Service]\nLimitNOFILE=1:\n").descriptors.state, READING_UNREADABLE);
	assert_int_equal(apply("[Service]\nMemoryMax=lots\n").memory.state, READING_UNREADABLE);
	assert_int_equal(apply("[Service]\nLimitNOFILE\n=5\n[Service\nLimitNOFILE=4\n").descriptors.state,
			 READING_ABSENT);
	assert_int_equal(apply("LimitNOFILE=5\n").descriptors.state, READING_ABSENT);
	assert_int_equal(apply("").descriptors.state, READING_ABSENT);
}

static struct reading logins(const char *text)
{
	struct reading descriptors = {.state = READING_ABSENT};
	service_apply_logins(&descriptors, slice_string(text));
	return descriptors;
}

static void test_logins(void **state)
{
	(void)state;
	assert_known(logins("# * hard nofile 1\n*\thard\tnofile\t65536\n"), 65536);
	assert_known(logins("* - nofile 7\n"), 7);
	assert_known(logins("* hard nofile 7\n* hard nofile 8 # more\n"), 8);
	assert_int_equal(logins("* hard nofile unlimited\n").state, READING_UNLIMITED);
	assert_int_equal(logins("* hard nofile -1\n").state, READING_UNLIMITED);
	assert_int_equal(logins("* soft nofile 7\n").state, READING_ABSENT);
	assert_int_equal(logins("root hard nofile 7\n").state, READING_ABSENT);
	assert_int_equal(logins("* hard nproc 7\n").state, READING_ABSENT);
	assert_int_equal(logins("* hard nofile\n* hard\n*\n\n").state, READING_ABSENT);
	assert_int_equal(logins("* hard nofile x\n").state, READING_UNREADABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unit),
		cmocka_unit_test(test_soft_and_hard),
		cmocka_unit_test(test_the_last_word_counts),
		cmocka_unit_test(test_what_is_wrong_is_not_guessed_at),
		cmocka_unit_test(test_logins),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
