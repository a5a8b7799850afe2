/* Keys of tickets outlive a restart, reach another node, and are replaced where the file is damaged. */
#include "capture.h"
#include "control/folder.h"
#include "control/tls/ticket_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LIFETIME_S 3600u
#define NOW_S ((int64_t)1800000000)

struct node {
	struct tls_tickets *tickets;
	struct ticket_file file;
	char path[PATH_MAX];
};

static bool node_open(struct node *node, const struct folder *folder, int64_t wall_s)
{
	node->tickets = tls_tickets_new(LIFETIME_S, wall_s);
	assert_non_null(node->tickets);
	return ticket_file_open(&node->file, folder_path(folder, "tickets", node->path), node->tickets, wall_s);
}

static void node_close(struct node *node)
{
	ticket_file_close(&node->file);
	tls_tickets_free(node->tickets);
}

static void assert_same_keys(const struct node *one, const struct node *other)
{
	uint8_t bytes[2][TLS_TICKETS_FILE_BYTES_MAX];
	size_t size = tls_tickets_save(one->tickets, bytes[0]);
	assert_int_equal(tls_tickets_save(other->tickets, bytes[1]), size);
	assert_memory_equal(bytes[0], bytes[1], size);
}

static void test_restart(void **state)
{
	const struct folder *folder = *state;
	struct node first, second;
	struct stat status;
	assert_true(node_open(&first, folder, NOW_S));
	assert_int_equal(stat(first.path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_true(node_open(&second, folder, NOW_S + 10));
	assert_same_keys(&first, &second);
	node_close(&first);
	node_close(&second);
}

static void test_rotation_reaches_the_other_node(void **state)
{
	const struct folder *folder = *state;
	struct node one, other;
	int64_t newest_s;
	assert_true(node_open(&one, folder, NOW_S));
	assert_true(node_open(&other, folder, NOW_S));
	ticket_file_turn(&one.file, one.tickets, NOW_S + 60);
	assert_int_equal(tls_tickets_keys(one.tickets, &newest_s), 1);
	ticket_file_turn(&one.file, one.tickets, NOW_S + LIFETIME_S / 2 + 1);
	assert_int_equal(tls_tickets_keys(one.tickets, &newest_s), 2);
	assert_int_equal(newest_s, NOW_S + LIFETIME_S / 2 + 1);
	/* Its own turn would be due as well: it takes the other's key and makes none. */
	ticket_file_turn(&other.file, other.tickets, NOW_S + LIFETIME_S / 2 + 2);
	assert_same_keys(&one, &other);
	node_close(&one);
	node_close(&other);
}

static void test_a_file_that_goes_away_comes_back(void **state)
{
	const struct folder *folder = *state;
	struct node node, next;
	assert_true(node_open(&node, folder, NOW_S));
	assert_int_equal(unlink(node.path), 0);
	ticket_file_turn(&node.file, node.tickets, NOW_S + 60);
	assert_true(node_open(&next, folder, NOW_S + 61));
	assert_same_keys(&node, &next);
	node_close(&node);
	node_close(&next);
}

static void test_files_that_will_not_do(void **state)
{
	const struct folder *folder = *state;
	struct node node, next;
	struct capture capture = capture_start();
	folder_write(folder, "tickets", "nonsense", 8, 0600);
	assert_true(node_open(&node, folder, NOW_S)); /* replaced */
	assert_true(node_open(&next, folder, NOW_S));
	assert_same_keys(&node, &next);
	/* Damaged while it runs: the keys in use go on, and nothing is written over them by mistake. */
	folder_replace(folder, "tickets", "nonsense", 8, 0600);
	ticket_file_turn(&node.file, node.tickets, NOW_S + 60);
	assert_same_keys(&node, &next);
	node_close(&node);
	node_close(&next);
	/* Everyone may read it: its keys are everyone's. */
	folder_write(folder, "tickets", "nonsense", 8, 0644);
	assert_false(node_open(&node, folder, NOW_S));
	node_close(&node);
	char *text = capture_stop(&capture);
	assert_non_null(strstr(text, "damaged: it is replaced"));
	assert_non_null(strstr(text, "everyone may read it"));
	free(text);
}

static void test_without_a_file(void **state)
{
	(void)state;
	struct node node = {.tickets = tls_tickets_new(LIFETIME_S, NOW_S)};
	int64_t newest_s;
	assert_true(ticket_file_open(&node.file, "", node.tickets, NOW_S));
	ticket_file_turn(&node.file, node.tickets, NOW_S + LIFETIME_S);
	assert_true(tls_tickets_keys(node.tickets, &newest_s) > 0);
	assert_int_equal(newest_s, NOW_S + LIFETIME_S);
	node_close(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_restart, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_rotation_reaches_the_other_node, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_a_file_that_goes_away_comes_back, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_files_that_will_not_do, folder_make, folder_remove),
		cmocka_unit_test(test_without_a_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
