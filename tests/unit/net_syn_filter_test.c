/* The filter in front of a listener, over real sockets: who is listed does not get through, everyone else does, and
 * those who are there already notice nothing. */
#include "net/syn_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* On loopback a handshake is over when connect() returns: one that is under way then was dropped. */
#define PATIENCE_MS 20

struct scene {
	int listener;
	struct sockaddr_storage address;
	socklen_t size;
};

static void listen_on(struct scene *scene, const char *text, int family)
{
	memset(&scene->address, 0, sizeof(scene->address));
	scene->address.ss_family = (sa_family_t)family;
	void *at = family == AF_INET ? (void *)&((struct sockaddr_in *)&scene->address)->sin_addr
				     : (void *)&((struct sockaddr_in6 *)&scene->address)->sin6_addr;
	assert_int_equal(inet_pton(family, text, at), 1);
	scene->size = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	scene->listener = socket(family, SOCK_STREAM, 0);
	assert_true(scene->listener >= 0);
	assert_int_equal(bind(scene->listener, (struct sockaddr *)&scene->address, scene->size), 0);
	assert_int_equal(listen(scene->listener, 16), 0);
	assert_int_equal(getsockname(scene->listener, (struct sockaddr *)&scene->address, &scene->size), 0);
}

/* A connection from this address; -1: its first packet was dropped. */
static int connect_from(const struct scene *scene, const char *source)
{
	int family = scene->address.ss_family;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	if (family == AF_INET) {
		struct sockaddr_in from = {.sin_family = AF_INET};
		assert_int_equal(inet_pton(AF_INET, source, &from.sin_addr), 1);
		assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	}
	if (connect(fd, (const struct sockaddr *)&scene->address, scene->size) == 0)
		return fd;
	assert_int_equal(errno, EINPROGRESS);
	struct pollfd descriptor = {.fd = fd, .events = POLLOUT};
	if (poll(&descriptor, 1, PATIENCE_MS) == 1 && (descriptor.revents & POLLERR) == 0)
		return fd;
	close(fd);
	return -1;
}

static struct network network_of(const char *text)
{
	struct network network;
	const char *fault;
	assert_int_equal(network_parse(text, &network, &fault), ERROR_OK);
	return network;
}

static void assert_gets_through(const struct scene *scene, const char *source, bool wanted)
{
	int fd = connect_from(scene, source);
	assert_int_equal(fd >= 0, wanted);
	if (fd < 0)
		return;
	int accepted = accept(scene->listener, NULL, NULL);
	assert_true(accepted >= 0);
	close(accepted);
	close(fd);
}

static void test_listed_networks_do_not_get_through(void **state)
{
	(void)state;
	struct scene scene;
	listen_on(&scene, "127.0.0.1", AF_INET);
	struct network networks[] = {network_of("127.5.0.0/16"), network_of("127.9.9.9"), network_of("::1")};
	assert_int_equal(syn_filter_attach(scene.listener, networks, 3), ERROR_OK);
	assert_gets_through(&scene, "127.5.1.1", false);
	assert_gets_through(&scene, "127.5.255.1", false);
	assert_gets_through(&scene, "127.9.9.9", false);
	assert_gets_through(&scene, "127.9.9.8", true);
	assert_gets_through(&scene, "127.4.0.1", true);
	assert_gets_through(&scene, "127.0.0.1", true);
	assert_int_equal(syn_filter_attach(scene.listener, NULL, 0), ERROR_OK);
	assert_gets_through(&scene, "127.9.9.9", true);
	close(scene.listener);
}

static void test_ipv6(void **state)
{
	(void)state;
	struct scene scene;
	listen_on(&scene, "::1", AF_INET6);
	struct network other[] = {network_of("::2"), network_of("2001:db8::/32"), network_of("127.0.0.0/8")};
	assert_int_equal(syn_filter_attach(scene.listener, other, 3), ERROR_OK);
	assert_gets_through(&scene, "::1", true);
	struct network self[] = {network_of("2001:db8::/32"), network_of("::/64")};
	assert_int_equal(syn_filter_attach(scene.listener, self, 2), ERROR_OK);
	assert_gets_through(&scene, "::1", false);
	close(scene.listener);
}

static void test_as_many_as_there_may_be(void **state)
{
	(void)state;
	struct scene scene;
	listen_on(&scene, "127.0.0.1", AF_INET);
	struct network networks[SYN_FILTER_NETWORKS_MAX + 1];
	for (uint32_t i = 0; i < SYN_FILTER_NETWORKS_MAX; i++)
		networks[i] = network_of("2001:db8:1:2:3:4:5:6");
	networks[SYN_FILTER_NETWORKS_MAX - 1] = network_of("127.7.7.7");
	assert_int_equal(syn_filter_attach(scene.listener, networks, SYN_FILTER_NETWORKS_MAX), ERROR_OK);
	assert_gets_through(&scene, "127.7.7.7", false);
	assert_gets_through(&scene, "127.7.7.6", true);
	assert_int_equal(syn_filter_attach(scene.listener, networks, SYN_FILTER_NETWORKS_MAX + 1), ERROR_LIMIT);
	close(scene.listener);
}

static void test_who_is_connected_notices_nothing(void **state)
{
	(void)state;
	struct scene scene;
	listen_on(&scene, "127.0.0.1", AF_INET);
	struct network networks[] = {network_of("127.0.0.0/8")};
	int before = connect_from(&scene, "127.6.6.6");
	assert_true(before >= 0);
	int accepted = accept(scene.listener, NULL, NULL);
	assert_int_equal(syn_filter_attach(scene.listener, networks, 1), ERROR_OK);
	assert_gets_through(&scene, "127.6.6.6", false);
	char byte = 'x';
	assert_int_equal(send(before, &byte, 1, 0), 1);
	assert_int_equal(recv(accepted, &byte, 1, 0), 1);
	close(accepted);
	close(before);
	close(scene.listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listed_networks_do_not_get_through),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_as_many_as_there_may_be),
		cmocka_unit_test(test_who_is_connected_notices_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
