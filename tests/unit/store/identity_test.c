/* Who a store is: made once, read again, and refused where it is damaged or of another format. */
#include "memory_disk.h"

#include "store/format/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_it_is_made_once_and_read_again(void **state)
{
	(void)state;
	struct memory_disk memory = {.removed = 0};
	struct disk disk = memory_disk(&memory);
	struct store_identity made, other, read;
	const char *why;
	assert_int_equal(store_identity_load(&disk, &read, &why), ERROR_NOT_FOUND);
	memory_disk_put(&memory, "id.new", "cut sho", 7);
	assert_int_equal(store_identity_make(&disk, &made, &why), ERROR_OK);
	assert_int_equal(store_identity_load(&disk, &read, &why), ERROR_OK);
	assert_memory_equal(&read, &made, sizeof(read));
	assert_null(memory_disk_file(&memory, "id.new"));
	assert_int_equal(store_identity_make(&disk, &other, &why), ERROR_OK);
	assert_memory_not_equal(other.id, made.id, sizeof(made.id));
	assert_memory_not_equal(other.key, made.key, sizeof(made.key));
	memory_disk_fini(&memory);
}

static void test_what_is_refused(void **state)
{
	(void)state;
#define ID "id 000102030405060708090a0b0c0d0e0f\n"
#define KEY "key ff0102030405060708090a0b0c0d0e0f\n"
	static const struct {
		const char *text;
		const char *sentence; /* part of it; NULL: it is good */
	} CASES[] = {
		{"roost-store 1\n" ID KEY, NULL},
		{"roost-store 2\n" ID KEY, "newer format"},
		{"roost-store 0\n" ID KEY, "older format"},
		{"roost-store 1\n" ID, "damaged"},
		{"roost-store 1\n" ID KEY "more\n", "damaged"},
		{"roost-store 1\n" KEY ID, "damaged"},
		{"roost-store 1\nid 00010203\n" KEY, "damaged"},
		{"roost-store 1\nid 0001020304050607zz090a0b0c0d0e0f\n" KEY, "damaged"},
		{"roost-store 1 " ID KEY, "not that of a Roost store"},
		{"roost-store", "not that of a Roost store"},
		{"42\n", "not that of a Roost store"},
		{"", "not that of a Roost store"},
	};
	struct memory_disk memory = {.removed = 0};
	struct disk disk = memory_disk(&memory);
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct store_identity read;
		const char *why;
		memory_disk_put(&memory, "id", CASES[i].text, strlen(CASES[i].text));
		enum error error = store_identity_load(&disk, &read, &why);
		assert_int_equal(error, CASES[i].sentence == NULL ? ERROR_OK : ERROR_SYSTEM);
		if (CASES[i].sentence != NULL)
			assert_non_null(strstr(why, CASES[i].sentence));
		else
			assert_int_equal(read.key[0], 0xff);
	}
	memory_disk_put(&memory, "id", "roost-store 1\n\0", 15);
	struct store_identity read;
	const char *why;
	assert_int_equal(store_identity_load(&disk, &read, &why), ERROR_SYSTEM);
	memory_disk_fini(&memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_made_once_and_read_again),
		cmocka_unit_test(test_what_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
