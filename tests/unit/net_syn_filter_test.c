/* The filter in front of a listener, over real sockets: who is listed does not get through, everyone else does, and
 * those who are there already notice nothing. */
#include "net/filter/syn_filter.h"

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

static struct syn_rule drop(const char *text)
{
	return (struct syn_rule){.network = network_of(text), .drops = true};
}

static struct syn_rule keep(const char *text)
{
	return (struct syn_rule){.network = network_of(text)};
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
	struct syn_rule rules[] = {drop("127.5.0.0/16"), drop("127.9.9.9"), drop("::1")};
	assert_int_equal(syn_filter_attach(scene.listener, rules, 3), 3);
	assert_gets_through(&scene, "127.5.1.1", false);
	assert_gets_through(&scene, "127.5.255.1", false);
	assert_gets_through(&scene, "127.9.9.9", false);
	assert_gets_through(&scene, "127.9.9.8", true);
	assert_gets_through(&scene, "127.4.0.1", true);
	assert_gets_through(&scene, "127.0.0.1", true);
	assert_int_equal(syn_filter_attach(scene.listener, NULL, 0), 0);
	assert_gets_through(&scene, "127.9.9.9", true);
	close(scene.listener);
}

static void test_ipv6(void **state)
{
	(void)state;
	struct scene scene;
	listen_on(&scene, "::1", AF_INET6);
	static const struct {
		const char *network;
		bool holds;
	} cases[] = {
		{"::2", false},       {"2001:db8::/32", false}, {"127.0.0.0/8", false},
		{"0.0.0.0/0", false}, {"::1:0:0:1", false},     {"::1", true},
		{"::/64", true},      {"::/65", true},          {"::/127", true},
		{"::2/127", false},   {"::/0", true},           {"8000::/1", false},
		{"0:0:1::/47", true}, {"0:0:1::/48", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct syn_rule rules[] = {drop("2001:db8::/32"), drop(cases[i].network)};
		assert_int_equal(syn_filter_attach(scene.listener, rules, 2), 2);
		assert_gets_through(&scene, "::1", !cases[i].holds);
	}
	close(scene.listener);
}

static void test_as_many_as_there_may_be(void **state)
{
	(void)state;
	struct scene scene;
	listen_on(&scene, "127.0.0.1", AF_INET);
	struct syn_rule rules[SYN_FILTER_RULES_MAX + 1];
	for (uint32_t i = 0; i < SYN_FILTER_RULES_MAX; i++)
		rules[i] = drop("127.128.0.0/9");
	rules[SYN_FILTER_RULES_MAX - 1] = drop("127.7.7.7");
	rules[SYN_FILTER_RULES_MAX] = drop("127.7.7.6");
	assert_int_equal(syn_filter_attach(scene.listener, rules, SYN_FILTER_RULES_MAX + 1), SYN_FILTER_RULES_MAX);
	assert_gets_through(&scene, "127.7.7.7", false);
	assert_gets_through(&scene, "127.7.7.6", true);
	close(scene.listener);
}

static void test_the_first_rule_decides(void **state)
{
	(void)state;
	struct scene scene;
	listen_on(&scene, "127.0.0.1", AF_INET);
	struct syn_rule rules[] = {drop("127.5.6.0/24"), keep("127.5.0.0/16"), drop("127.0.0.0/8")};
	assert_int_equal(syn_filter_attach(scene.listener, rules, 3), 3);
	assert_gets_through(&scene, "127.5.6.1", false);
	assert_gets_through(&scene, "127.5.7.1", true);
	assert_gets_through(&scene, "127.6.6.1", false);
	/* A network so wide that IPv4 is in it, as network_has() has it, and one that is just not. */
	struct syn_rule wide[] = {drop("127.5.6.0/24"), keep("::/0"), drop("127.0.0.0/8")};
	assert_int_equal(syn_filter_attach(scene.listener, wide, 3), 3);
	assert_gets_through(&scene, "127.5.6.1", false);
	assert_gets_through(&scene, "127.6.6.1", true);
	struct syn_rule narrow[] = {keep("::/81"), drop("127.6.0.0/16"), keep("0.0.0.0/0"), drop("::/0")};
	assert_int_equal(syn_filter_attach(scene.listener, narrow, 4), 4);
	assert_gets_through(&scene, "127.6.6.1", false);
	assert_gets_through(&scene, "127.7.6.1", true);
	close(scene.listener);
}

static void test_drops_are_counted(void **state)
{
	(void)state;
	struct scene scene;
	listen_on(&scene, "127.0.0.1", AF_INET);
	struct syn_rule rules[] = {drop("127.5.0.0/16")};
	uint32_t before;
	uint32_t after;
	assert_int_equal(syn_filter_attach(scene.listener, rules, 1), 1);
	assert_true(syn_filter_drops(scene.listener, &before));
	assert_gets_through(&scene, "127.6.0.1", true);
	assert_true(syn_filter_drops(scene.listener, &after));
	assert_int_equal(after, before);
	for (uint32_t i = 1; i <= 3; i++)
		assert_gets_through(&scene, "127.5.0.1", false);
	assert_true(syn_filter_drops(scene.listener, &after));
	assert_int_equal(after - before, 3);
	assert_false(syn_filter_drops(-1, &after));
	close(scene.listener);
}

static void test_what_the_kernel_refuses(void **state)
{
	(void)state;
	struct syn_rule rules[] = {drop("127.5.0.0/16"), drop("127.6.0.0/16")};
	errno = 0;
	assert_int_equal(syn_filter_attach(-1, rules, 2), 0);
	assert_int_equal(errno, EBADF);
	/* A filter that can no longer be replaced. */
	struct scene scene;
	int on = 1;
	listen_on(&scene, "127.0.0.1", AF_INET);
	assert_int_equal(setsockopt(scene.listener, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)), 0);
	assert_int_equal(syn_filter_attach(scene.listener, rules, 2), 0);
	assert_int_equal(errno, EPERM);
	assert_gets_through(&scene, "127.5.0.1", true);
	close(scene.listener);
}

static void test_who_is_connected_notices_nothing(void **state)
{
	(void)state;
	struct scene scene;
	listen_on(&scene, "127.0.0.1", AF_INET);
	struct syn_rule rules[] = {drop("127.0.0.0/8")};
	int before = connect_from(&scene, "127.6.6.6");
	assert_true(before >= 0);
	int accepted = accept(scene.listener, NULL, NULL);
	assert_int_equal(syn_filter_attach(scene.listener, rules, 1), 1);
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
		cmocka_unit_test(test_the_first_rule_decides),
		cmocka_unit_test(test_drops_are_counted),
		cmocka_unit_test(test_what_the_kernel_refuses),
		cmocka_unit_test(test_who_is_connected_notices_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
