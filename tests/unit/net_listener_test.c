/* Listener URLs, good and bad, and the sockets behind them. */
#include "net/listener.h"

#include "net/health.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

struct good {
	const char *url;
	int family;
	const char *address;
	uint16_t port;
	bool loopback;
};

static const struct good GOOD[] = {
	{"tcp://127.0.0.1:1883", AF_INET, "127.0.0.1", 1883, true},
	{"tcp://127.255.255.254:1", AF_INET, "127.255.255.254", 1, true},
	{"tcp://0.0.0.0:0", AF_INET, "0.0.0.0", 0, false},
	{"tcp://126.255.255.255:65535", AF_INET, "126.255.255.255", 65535, false},
	{"tcp://128.0.0.1:80", AF_INET, "128.0.0.1", 80, false},
	{"tcp://192.168.0.1:01883", AF_INET, "192.168.0.1", 1883, false},
	{"tcp://[::1]:1883", AF_INET6, "::1", 1883, true},
	{"tcp://[::]:1883", AF_INET6, "::", 1883, false},
	{"tcp://[fe80::1]:8883", AF_INET6, "fe80::1", 8883, false},
	{"tcp://[2001:db8:0:0:0:0:0:7]:0", AF_INET6, "2001:db8::7", 0, false},
	{"tcp://[0000:0000:0000:0000:0000:0000:127.0.0.1]:9", AF_INET6, "::127.0.0.1", 9, false},
};

static void check_good(const struct good *good)
{
	struct listener listener;
	const char *fault;
	char address[INET6_ADDRSTRLEN];
	assert_int_equal(listener_parse(good->url, &listener, &fault), ERROR_OK);
	assert_string_equal(listener.url, good->url);
	assert_int_equal(listener.address.ss_family, good->family);
	assert_int_equal(listener.loopback, good->loopback);
	assert_int_equal(listener.fd, -1);
	if (good->family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, &listener.address, sizeof(v4));
		assert_int_equal(listener.address_bytes, sizeof(v4));
		assert_int_equal(ntohs(v4.sin_port), good->port);
		inet_ntop(AF_INET, &v4.sin_addr, address, sizeof(address));
	} else {
		struct sockaddr_in6 v6;
		memcpy(&v6, &listener.address, sizeof(v6));
		assert_int_equal(listener.address_bytes, sizeof(v6));
		assert_int_equal(ntohs(v6.sin6_port), good->port);
		inet_ntop(AF_INET6, &v6.sin6_addr, address, sizeof(address));
	}
	assert_string_equal(address, good->address);
}

static void test_good_urls(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++)
		check_good(&GOOD[i]);
}

/* A name is taken as it is: it is resolved later. */
static const char *const NAMES[] = {
	"localhost", "a", "LOCALHOST", "mqtt-1.example.org", "example.org.", "1a.b_c", "127.0.0.1.in-addr.arpa",
	"3com"};

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		char url[LISTENER_URL_BYTES_MAX];
		struct listener listener;
		const char *fault;
		snprintf(url, sizeof(url), "tcp://%s:1883", NAMES[i]);
		assert_int_equal(listener_parse(url, &listener, &fault), ERROR_OK);
		assert_true(listener.named);
		assert_int_equal(listener.address_bytes, 0);
		assert_string_equal(listener.url, url);
	}
}

static void test_resolve(void **state)
{
	(void)state;
	struct listener listener;
	struct listener found[LISTENER_ADDRESSES_MAX];
	const char *fault;
	assert_int_equal(listener_parse("tcp://localhost:1883", &listener, &fault), ERROR_OK);
	size_t count = listener_resolve(&listener, found, &fault);
	assert_in_range(count, 1, 2);
	for (size_t i = 0; i < count; i++) {
		bool v6 = found[i].address.ss_family == AF_INET6;
		assert_string_equal(found[i].url, v6 ? "tcp://[::1]:1883" : "tcp://127.0.0.1:1883");
		assert_true(found[i].loopback && found[i].named && found[i].fd == -1 && found[i].address_bytes != 0);
		for (size_t other = 0; other < i; other++)
			assert_string_not_equal(found[i].url, found[other].url);
	}
	assert_int_equal(listener_parse("tcp://127.0.0.1:7", &listener, &fault), ERROR_OK);
	assert_int_equal(listener_resolve(&listener, found, &fault), 1);
	assert_string_equal(found[0].url, "tcp://127.0.0.1:7");
	assert_false(found[0].named);
	/* RFC 6761: it never exists, and a resolver need not ask anybody. */
	assert_int_equal(listener_parse("tcp://roost.invalid:7", &listener, &fault), ERROR_OK);
	fault = NULL;
	assert_int_equal(listener_resolve(&listener, found, &fault), 0);
	assert_non_null(fault);
}

/* Each with a word that the fault must name. */
static const char *const BAD[][2] = {
	{"", "scheme"},
	{"127.0.0.1:1883", "scheme"},
	{"TCP://127.0.0.1:1883", "scheme"},
	{"tcp:/127.0.0.1:1883", "scheme"},
	{"tls://127.0.0.1:1883", "scheme"},
	{"tcp://", "port"},
	{"tcp://127.0.0.1", "port"},
	{"tcp://127.0.0.1:", "port"},
	{"tcp://127.0.0.1:x", "port"},
	{"tcp://127.0.0.1:-1", "port"},
	{"tcp://127.0.0.1:+1", "port"},
	{"tcp://127.0.0.1: 1", "port"},
	{"tcp://127.0.0.1:1 ", "port"},
	{"tcp://127.0.0.1:1883/", "port"},
	{"tcp://127.0.0.1:65536", "port"},
	{"tcp://127.0.0.1:18446744073709551617", "port"},
	{"tcp://localhost", "port"},
	{"tcp://localhost:", "port"},
	{"tcp://[::1]:", "port"},
	{"tcp://[::1]:70000", "port"},
	{"tcp://:1883", "address"},
	{"tcp://a..b:1883", "address"},
	{"tcp://.a:1883", "address"},
	{"tcp://.:1883", "address"},
	{"tcp://a b:1883", "address"},
	{"tcp://a/b:1883", "address"},
	{"tcp://a.1:1883", "address"},
	{"tcp://1:1883", "address"},
	{"tcp://0x7f000001:1883", "address"},
	{"tcp://127.0.0.0X1.:1883", "address"},
	{"tcp://[localhost]:1883", "address"},
	{"tcp://127.0.0.256:1883", "address"},
	{"tcp://127.1:1883", "address"},
	{"tcp://1.2.3.4.5:1883", "address"},
	{"tcp://*:1883", "address"},
	{"tcp://[]:1883", "address"},
	{"tcp://[::1", "IPv6"},
	{"tcp://[::1]", "IPv6"},
	{"tcp://[::1]1883", "IPv6"},
	{"tcp://[::1]/:1883", "IPv6"},
	{"tcp://[:::1]:1883", "address"},
	{"tcp://[g::1]:1883", "address"},
	{"tcp://[fe80::1%lo]:1883", "address"},
	/* Brackets are for IPv6, and IPv6 needs them: without them nobody can tell where the port begins. */
	{"tcp://::1:1883", "IPv6"},
	{"tcp://fe80::1:1883", "IPv6"},
	{"tcp://[127.0.0.1]:1883", "IPv6"},
};

static void test_bad_urls(void **state)
{
	(void)state;
	struct listener listener;
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		const char *fault = NULL;
		if (listener_parse(BAD[i][0], &listener, &fault) == ERROR_OK)
			fail_msg("%s was accepted", BAD[i][0]);
		if (fault == NULL || strstr(fault, BAD[i][1]) == NULL)
			fail_msg("%s: \"%s\" does not name the %s", BAD[i][0], fault, BAD[i][1]);
	}
}

static void test_url_of_any_length(void **state)
{
	(void)state;
	struct listener listener;
	const char *fault;
	char url[400];
	for (size_t zeroes = 0; zeroes < 300; zeroes++) {
		int size = snprintf(url, sizeof(url), "tcp://127.0.0.1:%0*d", (int)zeroes + 1, 7);
		enum error error = listener_parse(url, &listener, &fault);
		assert_int_equal(error == ERROR_OK, size < LISTENER_URL_BYTES_MAX);
		snprintf(url, sizeof(url), "tcp://[%0*d::1]:7", (int)zeroes + 1, 0);
		assert_int_equal(listener_parse(url, &listener, &fault) == ERROR_OK, zeroes < 4);
	}
}

static void open_parsed(const char *url, struct listener *listener)
{
	const char *fault;
	assert_int_equal(listener_parse(url, listener, &fault), ERROR_OK);
	struct listener_options options = {.backlog = 16};
	assert_int_equal(listener_open(listener, options), ERROR_OK);
}

/* Port 0: the URL then says which one it became, and a client gets through there. */
static void test_chosen_port_is_in_the_url(void **state)
{
	(void)state;
	struct listener listener, again;
	const char *fault;
	open_parsed("tcp://127.0.0.1:0", &listener);
	assert_int_equal(listener_parse(listener.url, &again, &fault), ERROR_OK);
	int client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&again.address, again.address_bytes), 0);
	int accepted = accept(listener.fd, NULL, NULL);
	assert_true(accepted >= 0);
	int on = 0;
	socklen_t size = sizeof(on);
	assert_int_equal(getsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
	assert_true(on != 0);
	close(accepted);
	close(client);
	listener_close(&listener);
	assert_int_equal(listener.fd, -1);
	listener_close(&listener);
}

static void test_port_in_use(void **state)
{
	(void)state;
	struct listener first, second;
	const char *fault;
	open_parsed("tcp://127.0.0.1:0", &first);
	assert_int_equal(listener_parse(first.url, &second, &fault), ERROR_OK);
	struct listener_options options = {.backlog = 16};
	errno = 0;
	assert_int_equal(listener_open(&second, options), ERROR_SYSTEM);
	assert_int_equal(errno, EADDRINUSE);
	assert_int_equal(second.fd, -1);
	listener_close(&first);
}

/* Opens a listener on the IPv4 port of the same number. False when somebody has it already. */
static bool open_v4_twin(const struct listener *v6, struct listener_options options)
{
	char url[64];
	const char *fault;
	struct listener v4;
	snprintf(url, sizeof(url), "tcp://0.0.0.0:%s", strrchr(v6->url, ':') + 1);
	assert_int_equal(listener_parse(url, &v4, &fault), ERROR_OK);
	bool opened = listener_open(&v4, options) == ERROR_OK;
	listener_close(&v4);
	return opened;
}

/* An IPv6 listener leaves the IPv4 port of the same number to others. Somebody else may have just that port, hence
 * several tries; were the listener on both, all would fail. */
static void test_ipv6_only(void **state)
{
	(void)state;
	struct listener_options options = {.backlog = 16, .defer_accept_s = 5};
	bool opened = false;
	for (int try = 0; try < 20 && !opened; try++) {
		struct listener v6;
		const char *fault;
		assert_int_equal(listener_parse("tcp://[::]:0", &v6, &fault), ERROR_OK);
		if (listener_open(&v6, options) != ERROR_OK)
			skip(); /* a machine without IPv6 */
		opened = open_v4_twin(&v6, options);
		listener_close(&v6);
	}
	assert_true(opened);
}

/* ---- accepting, and what TCP says of who came ---- */

static int connect_to(const struct listener *listener)
{
	struct sockaddr_storage bound;
	socklen_t size = sizeof(bound);
	assert_int_equal(getsockname(listener->fd, (struct sockaddr *)&bound, &size), 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&bound, size), 0);
	return fd;
}

static void test_accept(void **state)
{
	(void)state;
	struct listener listener;
	struct sockaddr_storage peer, own;
	socklen_t size = sizeof(own);
	int fd;
	open_parsed("tcp://127.0.0.1:0", &listener);
	assert_int_equal(listener_accept(&listener, &fd, &peer), LISTENER_EMPTY);
	int client = connect_to(&listener);
	assert_int_equal(listener_accept(&listener, &fd, &peer), LISTENER_ACCEPTED);
	assert_int_equal(getsockname(client, (struct sockaddr *)&own, &size), 0);
	assert_memory_equal(&peer, &own, sizeof(struct sockaddr_in));
	assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
	assert_int_equal(listener_accept(&listener, &fd, &peer), LISTENER_EMPTY);
	close(client);
	listener_close(&listener);
}

/* No descriptor is left for the one that waits: it goes on waiting. */
static void test_accept_without_descriptors(void **state)
{
	(void)state;
	struct listener listener;
	struct sockaddr_storage peer;
	struct rlimit before, none = {0};
	int fd;
	open_parsed("tcp://127.0.0.1:0", &listener);
	int client = connect_to(&listener);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	enum listener_result result = listener_accept(&listener, &fd, &peer);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(result, LISTENER_SHORT);
	assert_int_equal(listener_accept(&listener, &fd, &peer), LISTENER_ACCEPTED);
	close(fd);
	close(client);
	listener_close_copy(&listener);
	assert_int_equal(fcntl(listener.fd, F_GETFD), -1);
}

static void test_health(void **state)
{
	(void)state;
	struct listener listener;
	struct sockaddr_storage peer;
	struct streams streams;
	struct health health;
	int fd, pair[2];
	streams_init(&streams);
	open_parsed("tcp://127.0.0.1:0", &listener);
	int client = connect_to(&listener);
	assert_int_equal(listener_accept(&listener, &fd, &peer), LISTENER_ACCEPTED);
	struct stream stream = stream_of(STREAM_DESCRIPTOR, fd);
	assert_true(health_read(&streams, stream, &health));
	assert_false(health.awaits_answer);
	assert_int_equal(health.retransmits, 0);
	assert_false(health_is_unanswered(&streams, stream, 0));
	health_probe(&streams, stream, 60);
	int on = 0;
	socklen_t size = sizeof(on);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &size), 0);
	assert_int_equal(on, 1);
	stream_close(&streams, stream);
	close(client);
	listener_close(&listener);
	assert_false(health_read(&streams, STREAM_NONE, &health));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_false(health_read(&streams, stream_of(STREAM_DESCRIPTOR, pair[0]), &health)); /* no TCP */
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_urls),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_bad_urls),
		cmocka_unit_test(test_url_of_any_length),
		cmocka_unit_test(test_chosen_port_is_in_the_url),
		cmocka_unit_test(test_port_in_use),
		cmocka_unit_test(test_ipv6_only),
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_accept_without_descriptors),
		cmocka_unit_test(test_health),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
