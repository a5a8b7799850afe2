/* A peer's address as text. */
#include "net/peer.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void test_addresses_are_written(void **state)
{
	(void)state;
	char text[PEER_TEXT_BYTES_MAX];
	struct sockaddr_storage address = {0};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(1883)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(65535)};
	inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr);
	inet_pton(AF_INET6, "2001:db8:1111:2222:3333:4444:5555:6666", &v6.sin6_addr);
	memcpy(&address, &v4, sizeof(v4));
	union peer peer = peer_of_address(&address);
	assert_string_equal(peer_print(&peer, text), "192.0.2.1:1883");
	memcpy(&address, &v6, sizeof(v6));
	peer = peer_of_address(&address);
	assert_string_equal(peer_print(&peer, text), "[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
}

static void test_what_is_not_known(void **state)
{
	(void)state;
	char text[PEER_TEXT_BYTES_MAX];
	int ends[2];
	union peer peer = peer_of_socket(-1);
	assert_string_equal(peer_print(&peer, text), "unknown");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	close(ends[1]);
	peer = peer_of_socket(ends[1]); /* closed */
	assert_string_equal(peer_print(&peer, text), "unknown");
	close(ends[0]);
}

/* A dual stack has IPv4 addresses in IPv6's form. */
static void test_mapped_addresses(void **state)
{
	(void)state;
	char text[PEER_TEXT_BYTES_MAX];
	struct sockaddr_storage address = {0};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
	inet_pton(AF_INET6, "::ffff:192.0.2.1", &v6.sin6_addr);
	memcpy(&address, &v6, sizeof(v6));
	union peer peer = peer_of_address(&address);
	assert_string_equal(peer_print(&peer, text), "192.0.2.1:7");
	assert_false(peer_is_local(&peer));
	struct sockaddr_storage again = peer_address(&peer);
	assert_int_equal(again.ss_family, AF_INET);
	inet_pton(AF_INET6, "::192.0.2.1", &v6.sin6_addr); /* no such */
	memcpy(&address, &v6, sizeof(v6));
	peer = peer_of_address(&address);
	assert_int_equal(peer_address(&peer).ss_family, AF_INET6);
}

static void test_local_peers(void **state)
{
	(void)state;
	static const struct {
		const char *address;
		bool is_local;
	} ROWS[] = {{"127.0.0.1", true}, {"127.255.0.9", true}, {"128.0.0.1", false}, {"10.0.0.1", false}};
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		union peer peer = {.v4 = {.sin_family = AF_INET}};
		inet_pton(AF_INET, ROWS[i].address, &peer.v4.sin_addr);
		assert_int_equal(peer_is_local(&peer), ROWS[i].is_local);
	}
	union peer v6 = {.v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}};
	assert_true(peer_is_local(&v6));
	union peer none = {.any = {.sa_family = AF_UNSPEC}};
	assert_false(peer_is_local(&none));
	assert_int_equal(peer_address(&none).ss_family, AF_UNSPEC);
}

/* The kernel knows whose connection it was. */
static void test_after_a_reset(void **state)
{
	(void)state;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	int client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&address, size), 0);
	int served = accept(listener, NULL, NULL);
	assert_int_equal(getsockname(client, (struct sockaddr *)&address, &size), 0);
	struct linger at_once = {.l_onoff = 1};
	assert_int_equal(setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	close(client);
	struct pollfd reset = {.fd = served, .events = POLLIN};
	assert_int_equal(poll(&reset, 1, 10000), 1);
	assert_int_not_equal(reset.revents & POLLERR, 0);
	union peer peer = peer_of_socket(served);
	assert_int_equal(peer.v4.sin_family, AF_INET);
	assert_int_equal(peer.v4.sin_port, address.sin_port);
	close(served);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_are_written), cmocka_unit_test(test_what_is_not_known),
		cmocka_unit_test(test_mapped_addresses),      cmocka_unit_test(test_local_peers),
		cmocka_unit_test(test_after_a_reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
