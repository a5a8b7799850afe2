/* Connections of Roost's own clients: one end is the client's, the other is on its way to the gate. */
#include "control/internal.h"

#include "control/gateway_state.h"
#include "reactor/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int gateway_make(void **state)
{
	struct gateway *gateway = aligned_alloc(64, sizeof(*gateway));
	assert_non_null(gateway);
	memset(gateway, 0, sizeof(*gateway));
	assert_int_equal(internal_open(gateway), ERROR_OK);
	*state = gateway;
	return 0;
}

static int gateway_end(void **state)
{
	internal_close(*state);
	free(*state);
	return 0;
}

/* As the gate does. -1: nothing has come. */
static int take(const struct gateway *gateway)
{
	int fds[FDPASS_BATCH_MAX];
	size_t count = FDPASS_BATCH_MAX;
	uint8_t bytes[1];
	size_t size = sizeof(bytes);
	if (fdpass_receive(gateway->internal_pair[1], fds, &count, bytes, &size) != ERROR_OK)
		return -1;
	assert_int_equal(count, 1);
	return fds[0];
}

static void test_the_ends_belong_together(void **state)
{
	struct gateway *gateway = *state;
	char heard[4];
	int client = gateway_open_internal(gateway);
	assert_true(client >= 0);
	assert_true((fcntl(client, F_GETFL) & O_NONBLOCK) != 0);
	assert_true((fcntl(client, F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(send(client, "said", 4, 0), 4); /* before the gate has taken it */
	int served = take(gateway);
	assert_true(served >= 0 && (fcntl(served, F_GETFL) & O_NONBLOCK) != 0);
	assert_int_equal(recv(served, heard, sizeof(heard), 0), 4);
	close(served);
	assert_int_equal(recv(client, heard, sizeof(heard), 0), 0); /* there is no third copy that keeps it open */
	close(client);
	assert_int_equal(take(gateway), -1);
}

/* A gate that takes none, as while the gateway stops: at some point there is no room for more. */
static void test_nobody_takes_them(void **state)
{
	struct gateway *gateway = *state;
	uint32_t opened = 0;
	int client;
	int served;
	while ((client = gateway_open_internal(gateway)) >= 0) {
		close(client);
		assert_in_range(++opened, 1, 100000);
	}
	assert_int_equal(errno, EAGAIN);
	while ((served = take(gateway)) >= 0) {
		close(served);
		opened--;
	}
	assert_int_equal(opened, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_ends_belong_together, gateway_make, gateway_end),
		cmocka_unit_test_setup_teardown(test_nobody_takes_them, gateway_make, gateway_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
