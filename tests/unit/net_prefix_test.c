/* Addresses by prefix: cut at any bit, IPv4 in either of its forms, networks as they are written down. */
#include "net/filter/prefix.h"
#include "random.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct sockaddr_storage peer_of(const char *text)
{
	struct sockaddr_storage peer = {0};
	struct sockaddr_in *v4 = (void *)&peer;
	struct sockaddr_in6 *v6 = (void *)&peer;
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		peer.ss_family = AF_INET;
	} else {
		peer.ss_family = AF_INET6;
		assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
	}
	return peer;
}

static struct prefix prefix_at(const char *text, uint8_t v4_bits, uint8_t v6_bits)
{
	struct sockaddr_storage peer = peer_of(text);
	struct prefix prefix;
	assert_true(prefix_of(&peer, v4_bits, v6_bits, &prefix));
	return prefix;
}

static void assert_prefix(const struct prefix *prefix, const char *address)
{
	struct in6_addr wanted;
	assert_int_equal(inet_pton(AF_INET6, address, &wanted), 1);
	assert_memory_equal(prefix->bytes, &wanted, sizeof(prefix->bytes));
}

/* ---- what a peer counts as ---- */

static const struct {
	const char *peer;
	uint8_t v4_bits;
	uint8_t v6_bits;
	const char *prefix;
} CUTS[] = {
	{"192.0.2.77", 32, 64, "::ffff:192.0.2.77"},
	{"192.0.2.77", 24, 64, "::ffff:192.0.2.0"},
	{"192.0.2.255", 31, 64, "::ffff:192.0.2.254"},
	{"192.0.2.255", 25, 64, "::ffff:192.0.2.128"},
	{"255.255.255.255", 8, 64, "::ffff:255.0.0.0"},
	{"255.255.255.255", 1, 64, "::ffff:128.0.0.0"},
	{"255.255.255.255", 0, 64, "::ffff:0.0.0.0"},
	/* The same address on a listener that takes both families. */
	{"::ffff:192.0.2.77", 24, 64, "::ffff:192.0.2.0"},
	{"2001:db8:1:2:3:4:5:6", 24, 64, "2001:db8:1:2::"},
	{"2001:db8:1:2:3:4:5:6", 24, 48, "2001:db8:1::"},
	{"2001:db8:1:2:3:4:5:6", 24, 128, "2001:db8:1:2:3:4:5:6"},
	{"2001:db8:1:ffff::", 24, 57, "2001:db8:1:ff80::"},
	{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 32, 127, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"},
	{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 32, 1, "8000::"},
	{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 32, 0, "::"},
	/* Compatible and translated addresses are no IPv4 of ours. */
	{"::192.0.2.77", 8, 128, "::192.0.2.77"},
	{"64:ff9b::192.0.2.77", 8, 96, "64:ff9b::"},
};

static void test_a_peer_is_cut_to_its_bits(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(CUTS) / sizeof(CUTS[0]); i++) {
		struct prefix prefix = prefix_at(CUTS[i].peer, CUTS[i].v4_bits, CUTS[i].v6_bits);
		assert_prefix(&prefix, CUTS[i].prefix);
	}
}

static void test_a_peer_without_an_address_has_no_prefix(void **state)
{
	(void)state;
	struct sockaddr_storage peer = {.ss_family = AF_UNIX};
	struct prefix prefix;
	assert_false(prefix_of(&peer, 32, 64, &prefix));
}

/* ---- networks ---- */

static const struct {
	const char *text;
	const char *inside;
	const char *outside; /* NULL: there is none */
} NETWORKS[] = {
	{"192.0.2.0/24", "192.0.2.255", "192.0.3.0"},
	{"192.0.2.0/24", "::ffff:192.0.2.1", "2001:db8::1"},
	{"192.0.2.77", "192.0.2.77", "192.0.2.76"},
	{"192.0.2.77/32", "192.0.2.77", "192.0.2.78"},
	{"192.0.2.77/24", "192.0.2.1", "192.0.1.77"}, /* bits behind the prefix say nothing */
	{"0.0.0.0/0", "255.255.255.255", "2001:db8::1"},
	{"128.0.0.0/1", "200.0.0.1", "127.255.255.255"},
	{"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"},
	{"2001:db8::1", "2001:db8::1", "2001:db8::2"},
	{"::ffff:192.0.2.0/120", "192.0.2.9", "192.0.3.9"},
	{"fe80::/10", "febf::1", "fec0::1"},
	{"::/0", "192.0.2.1", NULL},
	{"::1/128", "::1", "::2"},
};

static void test_networks(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(NETWORKS) / sizeof(NETWORKS[0]); i++) {
		struct network network;
		const char *fault;
		assert_int_equal(network_parse(NETWORKS[i].text, &network, &fault), ERROR_OK);
		assert_string_equal(fault, "");
		struct prefix inside = prefix_at(NETWORKS[i].inside, 32, 128);
		if (!network_has(&network, &inside))
			fail_msg("%s is not in %s", NETWORKS[i].inside, NETWORKS[i].text);
		if (NETWORKS[i].outside == NULL)
			continue;
		struct prefix outside = prefix_at(NETWORKS[i].outside, 32, 128);
		if (network_has(&network, &outside))
			fail_msg("%s is in %s", NETWORKS[i].outside, NETWORKS[i].text);
	}
}

static const char *const FAULTS[] = {
	"",
	"/",
	"/24",
	"192.0.2",
	"192.0.2.256",
	"192.0.2.0/",
	"192.0.2.0/33",
	"192.0.2.0/-1",
	"192.0.2.0/+1",
	"192.0.2.0/ 1",
	"192.0.2.0/24 ",
	"192.0.2.0/24/24",
	"192.0.2.0/18446744073709551617",
	"localhost",
	"2001:db8::/129",
	"2001:db8::%eth0",
	"fe80::1%1/64",
	"2001:db8:::/32",
	"[::1]",
	" ::1",
	"1111:2222:3333:4444:5555:6666:255.255.255.255.255.255/64",
};

static void test_what_is_no_network(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(FAULTS) / sizeof(FAULTS[0]); i++) {
		struct network network;
		const char *fault = "";
		if (network_parse(FAULTS[i], &network, &fault) == ERROR_OK)
			fail_msg("\"%s\" is a network", FAULTS[i]);
		assert_string_not_equal(fault, "");
	}
}

static bool bit_at(const uint8_t *bytes, uint32_t bit)
{
	return ((unsigned)bytes[bit / 8] >> (7 - bit % 8) & 1u) != 0;
}

/* Against the plain meaning, bit by bit. */
static void test_random_networks(void **state)
{
	(void)state;
	struct random random = {41};
	for (int i = 0; i < 20000; i++) {
		struct in6_addr address;
		for (uint32_t b = 0; b < 16; b++)
			address.s6_addr[b] = (uint8_t)random_next(&random);
		uint32_t bits = random_below(&random, 129);
		char text[INET6_ADDRSTRLEN];
		char with_bits[64];
		inet_ntop(AF_INET6, &address, text, sizeof(text));
		snprintf(with_bits, sizeof(with_bits), "%s/%u", text, bits);
		struct network network;
		const char *fault;
		assert_int_equal(network_parse(with_bits, &network, &fault), ERROR_OK);
		uint32_t flipped = random_below(&random, 128);
		address.s6_addr[flipped / 8] ^= (uint8_t)(0x80u >> flipped % 8);
		struct prefix other;
		memcpy(other.bytes, &address, 16);
		assert_int_equal(network_has(&network, &other), flipped >= bits);
		for (uint32_t bit = bits; bit < 128; bit++)
			assert_false(bit_at(network.prefix.bytes, bit));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_peer_is_cut_to_its_bits),
		cmocka_unit_test(test_a_peer_without_an_address_has_no_prefix),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_what_is_no_network),
		cmocka_unit_test(test_random_networks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
