/* What a proxied stream knows, and where it goes without memory. That bytes go through it is shown in
 * net_stream_test.c, alone and beneath other kinds. */
#include "transport/stream_proxied.h"

#include "failing_memory.h"
#include "net/peer.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct end {
	struct streams streams;
	struct proxied_streams proxied;
};

static void end_open(struct end *end, uint32_t limit)
{
	streams_init(&end->streams);
	assert_int_equal(proxied_streams_open(&end->proxied, &end->streams, NULL, limit), ERROR_OK);
}

static struct stream a_stream(struct end *end, const union peer *client, int *other)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*other = pair[1];
	return proxied_stream_over(&end->streams, stream_of(STREAM_DESCRIPTOR, pair[0]), client);
}

static union peer v4_peer(void)
{
	union peer peer = {.v4 = {.sin_family = AF_INET, .sin_port = htons(56324)}};
	inet_pton(AF_INET, "192.0.2.1", &peer.v4.sin_addr);
	return peer;
}

static union peer v6_peer(void)
{
	union peer peer = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(7)}};
	inet_pton(AF_INET6, "2001:db8::1", &peer.v6.sin6_addr);
	return peer;
}

static void expect_peer(struct end *end, struct stream stream, const char *expected)
{
	char text[PEER_TEXT_BYTES_MAX];
	union peer peer = peer_of_stream(&end->streams, stream);
	assert_string_equal(peer_print(&peer, text), expected);
}

static void test_address_is_the_clients(void **state)
{
	(void)state;
	struct end here, there;
	int other[2];
	union peer clients[] = {v4_peer(), v6_peer()};
	static const char *const TEXTS[] = {"192.0.2.1:56324", "[2001:db8::1]:7"};
	struct stream streams[2];
	end_open(&here, 10);
	end_open(&there, 10);
	for (int i = 0; i < 2; i++) {
		streams[i] = a_stream(&here, &clients[i], &other[i]);
		expect_peer(&here, streams[i], TEXTS[i]);
	}
	expect_peer(&here, streams[0], TEXTS[0]);
	for (int i = 0; i < 2; i++) {
		struct stream_carry carry;
		int fd = stream_release(&here.streams, streams[i], &carry);
		assert_true(fd >= 0 && carry.state != NULL);
		struct stream moved = stream_adopt(&there.streams, fd, &carry);
		expect_peer(&there, moved, TEXTS[i]);
		stream_close(&there.streams, moved);
		close(other[i]);
	}
	assert_int_equal(here.proxied.pool.used, 0);
	assert_int_equal(there.proxied.pool.used, 0);
	proxied_streams_close(&here.proxied);
	proxied_streams_close(&there.proxied);
}

static void test_limit(void **state)
{
	(void)state;
	struct end end;
	int other, fd;
	union peer client = v4_peer();
	end_open(&end, 1);
	struct stream first = a_stream(&end, &client, &other);
	assert_true(stream_exists(first));
	fd = dup(other);
	assert_false(stream_exists(proxied_stream_over(&end.streams, stream_of(STREAM_DESCRIPTOR, fd), &client)));
	close(fd); /* it was left to the caller */
	stream_close(&end.streams, first);
	close(other);
	proxied_streams_close(&end.proxied);
}

/* Whoever had the socket has it still. */
static void play(void *context)
{
	struct end here, there;
	int other;
	union peer client = v4_peer();
	struct stream_carry carry = {0};
	(void)context;
	end_open(&here, 10);
	end_open(&there, 10);
	struct stream stream = a_stream(&here, &client, &other);
	failing_memory_start();
	int fd = stream_release(&here.streams, stream, &carry);
	struct stream moved = fd >= 0 ? stream_adopt(&there.streams, fd, &carry) : STREAM_NONE;
	failing_memory_stop();
	if (fd < 0) {
		expect_peer(&here, stream, "192.0.2.1:56324");
		fd = stream_release(&here.streams, stream, &carry);
	}
	if (!stream_exists(moved))
		moved = stream_adopt(&there.streams, fd, &carry);
	expect_peer(&there, moved, "192.0.2.1:56324");
	fd = stream_release(&there.streams, moved, &carry);
	stream_carry_drop(&there.streams, &carry);
	close(fd);
	close(other);
	assert_int_equal(here.proxied.pool.used + there.proxied.pool.used, 0);
	proxied_streams_close(&here.proxied);
	proxied_streams_close(&there.proxied);
}

static void test_without_memory(void **state)
{
	(void)state;
	uint64_t requests = failing_memory_sweep(FAILING_ALL, FAILING_ONCE, play, NULL);
	assert_true(requests >= 2); /* what it is carried in, and its place there */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address_is_the_clients),
		cmocka_unit_test(test_limit),
		cmocka_unit_test_setup_teardown(test_without_memory, NULL, failing_memory_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
