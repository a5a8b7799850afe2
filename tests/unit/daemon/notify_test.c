/* What a service manager is told: read from a socket as systemd has one. */
#include "daemon/notify.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct manager {
	int descriptor;
	char folder[32];
	char name[108]; /* as NOTIFY_SOCKET has it */
};

static void manager_open(struct manager *manager, bool is_abstract)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(manager->folder, "/tmp/roost-notify-XXXXXX");
	assert_non_null(mkdtemp(manager->folder));
	snprintf(manager->name, sizeof(manager->name), "%s%s/socket", is_abstract ? "@" : "", manager->folder);
	memcpy(address.sun_path, manager->name, strlen(manager->name));
	socklen_t length = sizeof(address);
	if (is_abstract) {
		address.sun_path[0] = '\0';
		length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(manager->name));
	}
	manager->descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(manager->descriptor, (struct sockaddr *)&address, length), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", manager->name, 1), 0);
}

static void manager_close(struct manager *manager)
{
	unsetenv("NOTIFY_SOCKET");
	close(manager->descriptor);
	if (manager->name[0] == '/')
		unlink(manager->name);
	rmdir(manager->folder);
}

/* The next message; "": there is none. */
static const char *manager_read(const struct manager *manager, char out[NOTIFY_BYTES_MAX + 1])
{
	ssize_t size = recv(manager->descriptor, out, NOTIFY_BYTES_MAX, 0);
	out[size > 0 ? size : 0] = '\0';
	return out;
}

static void tells_all_states(bool is_abstract)
{
	struct manager manager;
	char text[NOTIFY_BYTES_MAX + 1];
	unsigned long long time_us = 0;
	manager_open(&manager, is_abstract);
	notify_starting("recovering: %u %%", 40u);
	assert_string_equal(manager_read(&manager, text), "EXTEND_TIMEOUT_USEC=120000000\nSTATUS=recovering: 40 %");
	notify_ready("version %s", "1.2.3");
	assert_string_equal(manager_read(&manager, text), "READY=1\nSTATUS=version 1.2.3");
	notify_reloading();
	assert_int_equal(sscanf(manager_read(&manager, text), "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=", &time_us),
			 1);
	assert_true(time_us != 0);
	notify_stopping("%s", "SIGTERM");
	assert_string_equal(manager_read(&manager, text), "STOPPING=1\nSTATUS=SIGTERM");
	assert_string_equal(manager_read(&manager, text), "");
	manager_close(&manager);
}

static void test_tells_a_socket_with_a_path(void **state)
{
	(void)state;
	tells_all_states(false);
}

static void test_tells_an_abstract_socket(void **state)
{
	(void)state;
	tells_all_states(true);
}

static void test_status_is_one_line(void **state)
{
	struct manager manager;
	char text[NOTIFY_BYTES_MAX + 1];
	char long_status[2 * NOTIFY_BYTES_MAX];
	(void)state;
	manager_open(&manager, false);
	notify_ready("%s", "not upgraded: it said\nMAINPID=1\r\n");
	assert_string_equal(manager_read(&manager, text), "READY=1\nSTATUS=not upgraded: it said MAINPID=1  ");
	memset(long_status, 'x', sizeof(long_status));
	long_status[sizeof(long_status) - 1] = '\0';
	notify_ready("%s", long_status);
	assert_int_equal(strlen(manager_read(&manager, text)), NOTIFY_BYTES_MAX - 1);
	manager_close(&manager);
}

static void test_nobody_to_tell(void **state)
{
	struct manager manager;
	char text[NOTIFY_BYTES_MAX + 1];
	(void)state;
	manager_open(&manager, false);
	assert_int_equal(setenv("NOTIFY_SOCKET", "", 1), 0);
	notify_ready("version 1");
	unsetenv("NOTIFY_SOCKET");
	notify_ready("version 1");
	assert_string_equal(manager_read(&manager, text), "");
	manager_close(&manager);
}

static void test_names_that_are_none(void **state)
{
	char long_name[200];
	(void)state;
	memset(long_name, 'x', sizeof(long_name));
	long_name[0] = '/';
	long_name[sizeof(long_name) - 1] = '\0';
	const char *const NAMES[] = {"", "/", "@", "socket", "vsock:2:1234", long_name};
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		errno = 0;
		assert_false(notify_send(NAMES[i], "READY=1"));
		assert_int_equal(errno, EINVAL);
	}
	assert_false(notify_send("/nonexistent/socket", "READY=1"));
	assert_int_equal(errno, ENOENT);
}

static void test_manager_that_does_not_read(void **state)
{
	struct manager manager;
	(void)state;
	manager_open(&manager, false);
	uint32_t sent = 0;
	/* The kernel keeps net.unix.max_dgram_qlen of them, 10 or 512. */
	while (sent < 100000 && notify_send(manager.name, "STATUS=x"))
		sent++;
	assert_true(sent > 0 && sent < 100000);
	assert_int_equal(errno, EAGAIN);
	manager_close(&manager);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tells_a_socket_with_a_path), cmocka_unit_test(test_tells_an_abstract_socket),
		cmocka_unit_test(test_status_is_one_line),         cmocka_unit_test(test_nobody_to_tell),
		cmocka_unit_test(test_names_that_are_none),        cmocka_unit_test(test_manager_that_does_not_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
