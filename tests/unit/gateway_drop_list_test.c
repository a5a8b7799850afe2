/* Which networks the kernel is told to keep out, and that it never keeps out whom the check after accept lets in. */
#include "access/drop_list.h"
#include "random.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct scene {
	struct settings settings;
	struct drop_list drop_list;
	struct counters counters;
};

static struct network network_of(const char *text)
{
	struct network network;
	const char *fault;
	assert_int_equal(network_parse(text, &network, &fault), ERROR_OK);
	return network;
}

static void add(struct networks *networks, const char *text)
{
	networks->items[networks->count++] = network_of(text);
}

static struct scene *scene_new(void)
{
	struct scene *scene = aligned_alloc(64, sizeof(*scene));
	assert_non_null(scene);
	memset(scene, 0, sizeof(*scene));
	return scene;
}

static void offend(struct scene *scene, const char *text)
{
	struct network network = network_of(text);
	for (uint32_t i = 0; i < OFFENDER_REFUSALS; i++)
		drop_list_refused(&scene->drop_list, &scene->settings, &network, 1000, &scene->counters);
}

static bool is_in(const struct networks *networks, const struct prefix *address)
{
	bool in = false;
	for (uint32_t i = 0; i < networks->count; i++)
		in |= network_has(&networks->items[i], address);
	return in;
}

static bool drops(const struct syn_rule *rules, uint32_t count, const struct prefix *address)
{
	for (uint32_t i = 0; i < count; i++) {
		if (network_has(&rules[i].network, address))
			return rules[i].drops;
	}
	return false;
}

static void test_denied_ones_first(void **state)
{
	(void)state;
	struct scene *scene = scene_new();
	struct syn_rule rules[SYN_FILTER_RULES_MAX];
	assert_int_equal(drop_list_rules(&scene->settings, &scene->drop_list.offenders, rules), 0);
	add(&scene->settings.address_denied, "10.0.0.0/8");
	add(&scene->settings.address_denied, "2001:db8::/32");
	add(&scene->settings.address_exempt, "10.1.0.0/16");
	/* Nothing but offenders is dropped that has to be told from exempt ones. */
	assert_int_equal(drop_list_rules(&scene->settings, &scene->drop_list.offenders, rules), 2);
	offend(scene, "10.1.2.0/24");
	assert_int_equal(drop_list_rules(&scene->settings, &scene->drop_list.offenders, rules), 4);
	static const bool WANTED[] = {true, true, false, true};
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(rules[i].drops, WANTED[i]);
	assert_int_equal(rules[3].network.bits, 96 + 24);
	free(scene);
}

static void make_random(struct scene *scene, struct random *random)
{
	static const char *const TEXTS[] = {"10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3",      "::/0",
					    "0.0.0.0/0",  "2001::/16",   "::/80",       "2001:db8::/64", "2001:db8::1"};
	for (uint32_t i = 0; i < 3; i++) {
		add(&scene->settings.address_denied, TEXTS[random_below(random, 10)]);
		add(&scene->settings.address_exempt, TEXTS[random_below(random, 10)]);
		offend(scene, TEXTS[random_below(random, 10)]);
	}
}

/* The denied are dropped, whoever is exempt and not denied is not, and each beginning of the rules is as mild. */
static void test_whoever_is_let_in_gets_through(void **state)
{
	(void)state;
	static const char *const ADDRESSES[] = {"10.1.2.3", "10.1.2.4",    "10.1.3.3",    "10.2.2.2", "11.0.0.1",
						"::1",      "2001:db8::1", "2001:db8::2", "2002::1"};
	struct random random = {7};
	for (uint32_t round = 0; round < 300; round++) {
		struct scene *scene = scene_new();
		struct syn_rule rules[SYN_FILTER_RULES_MAX];
		make_random(scene, &random);
		uint32_t count = drop_list_rules(&scene->settings, &scene->drop_list.offenders, rules);
		for (size_t i = 0; i < sizeof(ADDRESSES) / sizeof(ADDRESSES[0]); i++) {
			struct prefix address = network_of(ADDRESSES[i]).prefix;
			bool denied = is_in(&scene->settings.address_denied, &address);
			bool exempt = is_in(&scene->settings.address_exempt, &address);
			if (denied)
				assert_true(drops(rules, count, &address));
			for (uint32_t most = 0; most <= count && exempt && !denied; most++)
				assert_false(drops(rules, most, &address));
		}
		free(scene);
	}
}

static int listen_on_loopback(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static void test_what_is_counted(void **state)
{
	(void)state;
	struct scene *scene = scene_new();
	struct settings *settings = &scene->settings;
	settings->listeners[settings->listener_count++].fd = listen_on_loopback();
	settings->listeners[settings->listener_count++].fd = listen_on_loopback();
	add(&settings->address_denied, "127.5.0.0/16");
	add(&settings->address_exempt, "127.6.6.6");
	drop_list_renew(&scene->drop_list, settings, &scene->counters);
	assert_int_equal(counter_of(&scene->counters, COUNTER_denied_networks_kept_out), 1);
	assert_int_equal(counter_of(&scene->counters, COUNTER_addresses_kept_out), 0);
	offend(scene, "127.6.6.0/24");
	assert_int_equal(counter_of(&scene->counters, COUNTER_addresses_kept_out), 1);
	drop_list_turn(&scene->drop_list, settings, 1000 + OFFENDER_KEPT_OUT_MS, &scene->counters);
	assert_int_equal(counter_of(&scene->counters, COUNTER_addresses_kept_out), 0);
	assert_int_equal(counter_of(&scene->counters, COUNTER_listener_drops), 0);
	close(settings->listeners[0].fd);
	close(settings->listeners[1].fd);
	free(scene);
}

/* Where one listener's filter is refused nothing counts as kept out. */
static void test_a_kernel_that_refuses(void **state)
{
	(void)state;
	struct scene *scene = scene_new();
	struct settings *settings = &scene->settings;
	settings->listeners[settings->listener_count++].fd = listen_on_loopback();
	settings->listeners[settings->listener_count++].fd = -1;
	add(&settings->address_denied, "127.5.0.0/16");
	drop_list_renew(&scene->drop_list, settings, &scene->counters);
	assert_int_equal(scene->drop_list.denied_left, 1);
	assert_int_equal(counter_of(&scene->counters, COUNTER_denied_networks_kept_out), 0);
	drop_list_turn(&scene->drop_list, settings, 1000, &scene->counters);
	assert_int_equal(counter_of(&scene->counters, COUNTER_listener_drops), 0);
	close(settings->listeners[0].fd);
	free(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_denied_ones_first),
		cmocka_unit_test(test_whoever_is_let_in_gets_through),
		cmocka_unit_test(test_what_is_counted),
		cmocka_unit_test(test_a_kernel_that_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
