/* Listener URLs, good and bad, and the sockets behind them. */
#include "net/listener.h"

#include "net/health.h"
#include "net/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct good {
	const char *url;
	int family;
	const char *address;
	uint16_t port;
	bool loopback;
	uint8_t scheme;
	const char *path;
	bool dual_stack;
};

static const struct good GOOD[] = {
	{"tcp://127.0.0.1:1883", AF_INET, "127.0.0.1", 1883, true, .path = NULL},
	{"tcp://127.255.255.254:1", AF_INET, "127.255.255.254", 1, true, .path = NULL},
	{"tcp://0.0.0.0:0", AF_INET, "0.0.0.0", 0, false, .path = NULL},
	{"tcp://126.255.255.255:65535", AF_INET, "126.255.255.255", 65535, false, .path = NULL},
	{"tcp://128.0.0.1:80", AF_INET, "128.0.0.1", 80, false, .path = NULL},
	{"tcp://192.168.0.1:01883", AF_INET, "192.168.0.1", 1883, false, .path = NULL},
	{"tcp://[::1]:1883", AF_INET6, "::1", 1883, true, .path = NULL},
	{"tcp://[::]:1883", AF_INET6, "::", 1883, false, .dual_stack = true},
	{"tcp://[fe80::1]:8883", AF_INET6, "fe80::1", 8883, false, .path = NULL},
	{"tcp://[2001:db8:0:0:0:0:0:7]:0", AF_INET6, "2001:db8::7", 0, false, .path = NULL},
	{"tcp://[0000:0000:0000:0000:0000:0000:127.0.0.1]:9", AF_INET6, "::127.0.0.1", 9, false, .path = NULL},
	/* The usual port where none is given. */
	{"tcp://127.0.0.1", AF_INET, "127.0.0.1", 1883, true, .path = NULL},
	{"tcp://[::1]", AF_INET6, "::1", 1883, true, .path = NULL},
	{"mqtt://127.0.0.1", AF_INET, "127.0.0.1", 1883, true, .path = NULL},
	{"mqtt://127.0.0.1:7", AF_INET, "127.0.0.1", 7, true, .path = NULL},
	{"tls://127.0.0.1", AF_INET, "127.0.0.1", 8883, true, .scheme = LISTENER_TLS},
	{"tls://[::]:7", AF_INET6, "::", 7, false, .scheme = LISTENER_TLS, .dual_stack = true},
	{"mqtts://0.0.0.0", AF_INET, "0.0.0.0", 8883, false, .scheme = LISTENER_TLS},
	{"mqtts://[::1]", AF_INET6, "::1", 8883, true, .scheme = LISTENER_TLS},
	{"ws://127.0.0.1:80", AF_INET, "127.0.0.1", 80, true, .scheme = LISTENER_WS, .path = "/mqtt"},
	{"ws://127.0.0.1:80/", AF_INET, "127.0.0.1", 80, true, .scheme = LISTENER_WS, .path = "/"},
	{"ws://[::1]:80/a/b-c_d.e~f:g@h", AF_INET6, "::1", 80, true, .scheme = LISTENER_WS, .path = "/a/b-c_d.e~f:g@h"},
	{"wss://127.0.0.1:443/mqtt", AF_INET, "127.0.0.1", 443, true, .scheme = LISTENER_WSS, .path = "/mqtt"},
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
	assert_int_equal(listener.scheme, good->scheme);
	assert_int_equal(listener.dual_stack, good->dual_stack);
	assert_string_equal(listener.path, good->path != NULL ? good->path : "");
	assert_int_equal(listener_is_tls(&listener), good->scheme == LISTENER_TLS || good->scheme == LISTENER_WSS);
	assert_int_equal(listener_is_websocket(&listener), good->path != NULL);
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
	assert_int_equal(listener_parse("wss://localhost:7/x", &listener, &fault), ERROR_OK);
	count = listener_resolve(&listener, found, &fault);
	for (size_t i = 0; i < count; i++) {
		bool v6 = found[i].address.ss_family == AF_INET6;
		assert_string_equal(found[i].url, v6 ? "wss://[::1]:7/x" : "wss://127.0.0.1:7/x");
		assert_int_equal(found[i].scheme, LISTENER_WSS);
		assert_string_equal(found[i].path, "/x");
	}
	assert_int_equal(listener_parse("mqtts://localhost", &listener, &fault), ERROR_OK);
	assert_true(listener_resolve(&listener, found, &fault) >= 1);
	assert_non_null(strstr(found[0].url, ":8883"));
	assert_memory_equal(found[0].url, "tls://", 6);
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
	{"http://127.0.0.1:1883", "scheme"},
	{"tlss://127.0.0.1:1883", "scheme"},
	{"tcp://", "address"},
	{"ws://127.0.0.1", "port"},
	{"wss://[::1]", "port"},
	{"wss://localhost/mqtt", "port"},
	{"ws://127.0.0.1:80/a b", "path"},
	{"ws://127.0.0.1:80/a?b", "path"},
	{"ws://127.0.0.1:80/a#b", "path"},
	{"ws://127.0.0.1:80/%41", "path"},
	{"ws://127.0.0.1:80/\xc3\xa4", "path"},
	{"ws:///mqtt", "address"},
	{"unix://", "unix:///path"},
	{"unix://a/b", "unix:///path"},
	{"unix://localhost/a", "unix:///path"},
	{"unix:///", "/"},
	{"unix:///run/", "/"},
	{"unix:/run/a", "scheme"},
	{"tcp://127.0.0.1:", "port"},
	{"tcp://127.0.0.1:x", "port"},
	{"tcp://127.0.0.1:-1", "port"},
	{"tcp://127.0.0.1:+1", "port"},
	{"tcp://127.0.0.1: 1", "port"},
	{"tcp://127.0.0.1:1 ", "port"},
	{"tcp://127.0.0.1:1883/", "path"},
	{"tls://127.0.0.1:1883/mqtt", "path"},
	{"tcp://127.0.0.1:65536", "port"},
	{"tcp://127.0.0.1:18446744073709551617", "port"},
	{"tcp://localhost:", "port"},
	{"tcp://[::1]:", "port"},
	{"tcp://[::1]:70000", "port"},
	{"tcp://:1883", "address"},
	{"tcp://a..b:1883", "address"},
	{"tcp://.a:1883", "address"},
	{"tcp://.:1883", "address"},
	{"tcp://a b:1883", "address"},
	{"tcp://a/b:1883", "path"},
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
	{"tcp://[::1]x", "IPv6"},
	{"tcp://[::1]1883", "IPv6"},
	{"tcp://[::1]/:1883", "path"},
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
	char url[800];
	for (size_t zeroes = 0; zeroes < 700; zeroes++) {
		int size = snprintf(url, sizeof(url), "tcp://127.0.0.1:%0*d", (int)zeroes + 1, 7);
		enum error error = listener_parse(url, &listener, &fault);
		assert_int_equal(error == ERROR_OK, size < (int)LISTENER_URL_BYTES_MAX);
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

/* An IPv6 listener that is not to take IPv4 leaves the IPv4 port of the same number to others. Somebody else may have
 * just that port, hence several tries; were the listener on both, all would fail. */
static void test_ipv6_only(void **state)
{
	(void)state;
	struct listener_options options = {.backlog = 16, .defer_accept_s = 5};
	bool opened = false;
	for (int try = 0; try < 20 && !opened; try++) {
		struct listener v6;
		const char *fault;
		assert_int_equal(listener_parse("tcp://[::]:0", &v6, &fault), ERROR_OK);
		v6.dual_stack = false;
		if (listener_open(&v6, options) != ERROR_OK)
			skip(); /* a machine without IPv6 */
		opened = open_v4_twin(&v6, options);
		listener_close(&v6);
	}
	assert_true(opened);
}

/* Who comes over IPv4 is known by an IPv4 address. */
static void test_dual_stack(void **state)
{
	(void)state;
	struct listener_options options = {.backlog = 16};
	struct listener listener;
	struct sockaddr_storage address;
	const char *fault;
	int fd;
	assert_int_equal(listener_parse("tcp://[::]:0", &listener, &fault), ERROR_OK);
	if (listener_open(&listener, options) != ERROR_OK)
		skip(); /* a machine without IPv6 */
	assert_false(open_v4_twin(&listener, options));
	struct sockaddr_in v4 = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)atoi(strrchr(listener.url, ':') + 1)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(v4);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&v4, size), 0);
	assert_int_equal(getsockname(client, (struct sockaddr *)&v4, &size), 0);
	assert_int_equal(listener_accept(&listener, &fd, &address), LISTENER_ACCEPTED);
	union peer peers[] = {peer_of_address(&address), peer_of_socket(fd)};
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(peers[i].v4.sin_family, AF_INET);
		assert_int_equal(peers[i].v4.sin_port, v4.sin_port);
		assert_int_equal(peers[i].v4.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
		assert_true(peer_is_local(&peers[i]));
	}
	close(client);
	close(fd);
	listener_close(&listener);
}

/* ---- unix sockets ---- */

struct unix_scene {
	char directory[32];
	char url[64];
	const char *path;
	struct listener listener;
};

static void unix_begin(struct unix_scene *scene)
{
	const char *fault;
	strcpy(scene->directory, "/tmp/roost-unit-XXXXXX");
	assert_non_null(mkdtemp(scene->directory));
	snprintf(scene->url, sizeof(scene->url), "unix://%s/s", scene->directory);
	assert_int_equal(listener_parse(scene->url, &scene->listener, &fault), ERROR_OK);
	scene->path = scene->url + strlen("unix://");
	assert_true(scene->listener.loopback);
	assert_string_equal(scene->listener.path, scene->path);
}

static void unix_end(struct unix_scene *scene)
{
	listener_unlink(&scene->listener);
	listener_close(&scene->listener);
	assert_int_equal(rmdir(scene->directory), 0); /* nothing is left in it */
}

static int connect_unix(const struct unix_scene *scene)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&scene->listener.address, scene->listener.address_bytes),
			 0);
	return fd;
}

static mode_t mode_of(const char *path)
{
	struct stat status;
	assert_int_equal(stat(path, &status), 0);
	return status.st_mode & 07777;
}

static const struct listener_options UNIX_OPTIONS = {.backlog = 16, .owner = (uid_t)-1, .group = (gid_t)-1};

static void test_unix_socket(void **state)
{
	(void)state;
	struct unix_scene scene;
	struct sockaddr_storage address;
	char text[PEER_TEXT_BYTES_MAX], expected[PEER_TEXT_BYTES_MAX];
	int fd;
	unix_begin(&scene);
	assert_int_equal(listener_open(&scene.listener, UNIX_OPTIONS), ERROR_OK);
	assert_string_equal(scene.listener.url, scene.url);
	assert_int_equal(mode_of(scene.path), 0660);
	int client = connect_unix(&scene);
	assert_int_equal(listener_accept(&scene.listener, &fd, &address), LISTENER_ACCEPTED);
	union peer peer = peer_of_socket(fd);
	assert_int_equal(peer.process.uid, getuid());
	assert_int_equal(peer.process.gid, getgid());
	snprintf(expected, sizeof(expected), "unix:uid=%u,pid=%d", getuid(), getpid());
	assert_string_equal(peer_print(&peer, text), expected);
	assert_true(peer_is_local(&peer));
	close(client);
	close(fd);
	unix_end(&scene);
}

static void test_unix_mode_and_owner(void **state)
{
	(void)state;
	struct unix_scene scene;
	struct listener_options options = UNIX_OPTIONS;
	options.mode = 0606;
	options.owner = getuid();
	options.group = getgid();
	unix_begin(&scene);
	mode_t before = umask(0077);
	assert_int_equal(listener_open(&scene.listener, options), ERROR_OK);
	assert_int_equal(umask(before), 0077); /* as it was */
	assert_int_equal(mode_of(scene.path), 0606);
	unix_end(&scene);
}

/* A server that was killed leaves its file. */
static void test_unix_file_left_behind(void **state)
{
	(void)state;
	struct unix_scene scene;
	unix_begin(&scene);
	assert_int_equal(listener_open(&scene.listener, UNIX_OPTIONS), ERROR_OK);
	listener_close(&scene.listener);
	assert_int_equal(access(scene.path, F_OK), 0);
	assert_int_equal(listener_open(&scene.listener, UNIX_OPTIONS), ERROR_OK);
	close(connect_unix(&scene));
	unix_end(&scene);
}

static void test_unix_file_in_use(void **state)
{
	(void)state;
	struct unix_scene scene;
	unix_begin(&scene);
	struct listener second = scene.listener;
	assert_int_equal(listener_open(&scene.listener, UNIX_OPTIONS), ERROR_OK);
	errno = 0;
	assert_int_equal(listener_open(&second, UNIX_OPTIONS), ERROR_SYSTEM);
	assert_int_equal(errno, EADDRINUSE);
	listener_unlink(&second); /* none of its own */
	close(connect_unix(&scene));
	unix_end(&scene);
}

static void test_unix_path_is_no_socket(void **state)
{
	(void)state;
	struct unix_scene scene;
	unix_begin(&scene);
	int file = open(scene.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	close(file);
	assert_int_equal(listener_open(&scene.listener, UNIX_OPTIONS), ERROR_SYSTEM);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(unlink(scene.path), 0); /* it was left alone */
	unix_end(&scene);
}

/* Two servers start at once: the file of one that does not listen yet looks as if it was left behind. The first of them
 * says so rather than listen where nobody finds it, and does not remove the other's file. */
static void test_unix_file_taken_away(void **state)
{
	(void)state;
	struct unix_scene scene;
	struct listener_options waiting = UNIX_OPTIONS;
	waiting.waits = true;
	unix_begin(&scene);
	struct listener first = scene.listener;
	assert_int_equal(listener_open(&first, waiting), ERROR_OK);
	assert_int_equal(listener_open(&scene.listener, waiting), ERROR_OK);
	assert_int_equal(listener_listen(&first, 16), ERROR_SYSTEM);
	assert_int_equal(errno, EADDRINUSE);
	listener_unlink(&first);
	listener_close(&first);
	assert_int_equal(listener_listen(&scene.listener, 16), ERROR_OK);
	close(connect_unix(&scene));
	unix_end(&scene);
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
		cmocka_unit_test(test_dual_stack),
		cmocka_unit_test(test_unix_socket),
		cmocka_unit_test(test_unix_mode_and_owner),
		cmocka_unit_test(test_unix_file_left_behind),
		cmocka_unit_test(test_unix_file_in_use),
		cmocka_unit_test(test_unix_path_is_no_socket),
		cmocka_unit_test(test_unix_file_taken_away),
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_accept_without_descriptors),
		cmocka_unit_test(test_health),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
