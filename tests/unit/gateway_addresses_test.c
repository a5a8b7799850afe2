/* What each address has, against a plain list; its rate in the long run; threads that come and go at once. */
#include "access/addresses.h"
#include "random.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct hash_key KEY = {{9}};

static int setup(void **state)
{
	*state = addresses_new(&KEY, 0, NULL);
	return *state != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	addresses_free(*state);
	return 0;
}

static struct prefix address(uint32_t number)
{
	struct prefix prefix = {{0}};
	memcpy(prefix.bytes, &number, sizeof(number));
	return prefix;
}

static enum error enter(struct addresses *addresses, const struct address_limits *limits, uint32_t number,
			uint64_t now_ms, uint32_t *place)
{
	struct prefix prefix = address(number);
	return addresses_enter(addresses, limits, &prefix, now_ms, place);
}

static uint32_t let_in(struct addresses *addresses, const struct address_limits *limits, uint32_t number)
{
	uint32_t place;
	assert_int_equal(enter(addresses, limits, number, 1000, &place), ERROR_OK);
	assert_int_not_equal(place, 0);
	return place;
}

static void drop_list(struct addresses *addresses, const struct address_limits *limits, uint32_t number,
		      enum error reason)
{
	uint32_t place = 77;
	assert_int_equal(enter(addresses, limits, number, 1000, &place), reason);
	assert_int_equal(place, 0);
}

/* ---- connections and handshakes ---- */

static void test_connections_of_an_address(void **state)
{
	const struct address_limits limits = {.connections_max = 2};
	uint32_t first = let_in(*state, &limits, 1);
	uint32_t second = let_in(*state, &limits, 1);
	drop_list(*state, &limits, 1, ERROR_ADDRESS_CONNECTIONS);
	uint32_t other = let_in(*state, &limits, 2);
	addresses_sign_in(*state, first);
	drop_list(*state, &limits, 1, ERROR_ADDRESS_CONNECTIONS);
	addresses_leave(*state, first, true);
	uint32_t third = let_in(*state, &limits, 1);
	drop_list(*state, &limits, 1, ERROR_ADDRESS_CONNECTIONS);
	addresses_leave(*state, second, false);
	addresses_leave(*state, third, false);
	addresses_leave(*state, other, false);
	assert_int_equal(addresses_count(*state), 0);
}

static void test_handshakes_of_an_address(void **state)
{
	const struct address_limits limits = {.handshakes_max = 1};
	uint32_t first = let_in(*state, &limits, 1);
	drop_list(*state, &limits, 1, ERROR_ADDRESS_HANDSHAKES);
	addresses_sign_in(*state, first);
	uint32_t second = let_in(*state, &limits, 1);
	drop_list(*state, &limits, 1, ERROR_ADDRESS_HANDSHAKES);
	addresses_leave(*state, second, false);
	uint32_t third = let_in(*state, &limits, 1);
	/* The one that signed in long ago gives back no handshake. */
	addresses_leave(*state, first, true);
	drop_list(*state, &limits, 1, ERROR_ADDRESS_HANDSHAKES);
	addresses_leave(*state, third, false);
	assert_int_equal(addresses_count(*state), 0);
}

static void test_uncounted_ones_leave_nothing(void **state)
{
	addresses_sign_in(*state, 0);
	addresses_leave(*state, 0, true);
	addresses_leave(*state, 0, false);
	assert_int_equal(addresses_count(*state), 0);
}

/* ---- the rate ---- */

/* How many of one attempt each millisecond are let in; each leaves at once. */
static uint32_t admitted(struct addresses *addresses, const struct address_limits *limits, uint64_t from_ms,
			 uint64_t until_ms)
{
	uint32_t count = 0;
	for (uint64_t now_ms = from_ms; now_ms < until_ms; now_ms++) {
		for (int i = 0; i < 3; i++) {
			uint32_t place;
			enum error error = enter(addresses, limits, 1, now_ms, &place);
			assert_true(error == ERROR_OK || error == ERROR_ADDRESS_RATE);
			if (error != ERROR_OK)
				continue;
			addresses_leave(addresses, place, false);
			count++;
		}
	}
	return count;
}

/* Ten seconds at any rate: what the limit says, with what the burst adds, to one in a thousand. */
static void test_rates(void **state)
{
	static const uint32_t RATES[] = {1, 2, 3, 7, 10, 99, 100, 300, 333, 501, 600, 700, 999, 1000};
	for (size_t i = 0; i < sizeof(RATES) / sizeof(RATES[0]); i++) {
		for (uint32_t burst = 0; burst < 200; burst += 50) {
			const struct address_limits limits = {.rate = RATES[i], .burst = burst};
			uint64_t from_ms = 100000000 * (4 * i + burst / 50 + 1);
			uint32_t count = admitted(*state, &limits, from_ms, from_ms + 10000);
			uint32_t wanted = 10 * RATES[i] + burst;
			if (count < wanted - wanted / 1000 || count > wanted + 1 + wanted / 1000)
				fail_msg("%u a second and %u: %u came in", RATES[i], burst, count);
		}
	}
}

/* A rest of some time brings back as much of the burst, and no more than the burst. */
static void test_a_burst_comes_back(void **state)
{
	const struct address_limits limits = {.rate = 10, .burst = 20};
	assert_int_equal(admitted(*state, &limits, 5000, 5001), 3);
	for (uint64_t now_ms = 5001; now_ms < 5010; now_ms++)
		admitted(*state, &limits, now_ms, now_ms + 1);
	assert_int_equal(admitted(*state, &limits, 5010, 5020), 0);
	assert_in_range(admitted(*state, &limits, 5510, 5512), 5, 5);
	uint32_t all = admitted(*state, &limits, 900000, 900020);
	assert_int_equal(all, 21);
}

/* Those whose rate has recovered make room for others; those that hold a connection stay. */
static void test_idle_addresses_are_swept(void **state)
{
	const struct address_limits limits = {.rate = 1, .burst = 3};
	uint32_t held = let_in(*state, &limits, 0);
	for (uint32_t i = 1; i < 200000; i++) {
		uint32_t place;
		assert_int_equal(enter(*state, &limits, i, 2000 + i * 10, &place), ERROR_OK);
		addresses_leave(*state, place, false);
	}
	assert_in_range(addresses_count(*state), 1, 1000);
	const struct address_limits one = {.connections_max = 1};
	drop_list(*state, &one, 0, ERROR_ADDRESS_CONNECTIONS);
	addresses_leave(*state, held, false);
}

/* A full table keeps nobody out, and counts again when there is room. */
static void test_a_full_table_lets_in_uncounted(void **state)
{
	const struct address_limits limits = {.connections_max = 1};
	static uint32_t places[20000];
	uint32_t counted = 0;
	for (uint32_t i = 0; i < 20000; i++) {
		assert_int_equal(enter(*state, &limits, i, 1000, &places[i]), ERROR_OK);
		counted += places[i] != 0;
	}
	assert_int_equal(addresses_count(*state), counted);
	assert_in_range(counted, 4096, 19999);
	for (uint32_t i = 0; i < 20000; i++)
		addresses_leave(*state, places[i], false);
	assert_int_equal(addresses_count(*state), 0);
	addresses_leave(*state, let_in(*state, &limits, 30000), false);
}

/* ---- any history ---- */

#define ADDRESSES 40u
#define CONNECTIONS 400u

struct connection {
	uint32_t place; /* 0: not there */
	uint32_t address;
	bool signed_in;
};

struct model {
	struct connection connections[CONNECTIONS];
	uint32_t open[ADDRESSES];
	uint32_t handshakes[ADDRESSES];
};

static const struct address_limits LIMITS = {.connections_max = 7, .handshakes_max = 4};

static void come(struct addresses *addresses, struct model *model, struct connection *connection, uint32_t number)
{
	enum error wanted = ERROR_OK;
	if (model->open[number] >= LIMITS.connections_max)
		wanted = ERROR_ADDRESS_CONNECTIONS;
	else if (model->handshakes[number] >= LIMITS.handshakes_max)
		wanted = ERROR_ADDRESS_HANDSHAKES;
	assert_int_equal(enter(addresses, &LIMITS, number, 1000, &connection->place), wanted);
	if (wanted != ERROR_OK)
		return;
	assert_int_not_equal(connection->place, 0);
	connection->address = number;
	connection->signed_in = false;
	model->open[number]++;
	model->handshakes[number]++;
}

static void go_on(struct addresses *addresses, struct model *model, struct connection *connection, bool sign_in)
{
	uint32_t number = connection->address;
	model->handshakes[number] -= !connection->signed_in;
	if (sign_in && !connection->signed_in) {
		addresses_sign_in(addresses, connection->place);
		connection->signed_in = true;
		return;
	}
	addresses_leave(addresses, connection->place, connection->signed_in);
	model->open[number]--;
	connection->place = 0;
}

static uint32_t addresses_of(const struct model *model)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < ADDRESSES; i++)
		count += model->open[i] != 0;
	return count;
}

static void test_against_a_plain_list(void **state)
{
	static struct model model;
	struct random random = {5};
	memset(&model, 0, sizeof(model));
	for (int i = 0; i < 200000; i++) {
		struct connection *connection = &model.connections[random_below(&random, CONNECTIONS)];
		if (connection->place == 0)
			come(*state, &model, connection, random_below(&random, ADDRESSES));
		else
			go_on(*state, &model, connection, random_below(&random, 2) == 0);
		if (i % 64 == 0)
			assert_int_equal(addresses_count(*state), addresses_of(&model));
	}
	for (uint32_t i = 0; i < CONNECTIONS; i++) {
		if (model.connections[i].place != 0)
			go_on(*state, &model, &model.connections[i], false);
	}
	assert_int_equal(addresses_count(*state), 0);
}

/* ---- threads ---- */

#define THREADS 4
#define TURNS 20000
#define SHARED_ADDRESSES 8u

static const struct address_limits SHARED = {.connections_max = 3, .rate = 1000, .burst = 1000000};

struct crowd {
	struct addresses *addresses;
	_Atomic int inside[SHARED_ADDRESSES];
	_Atomic bool too_many;
};

struct visitor {
	struct crowd *crowd;
	uint64_t seed;
};

static void *visit(void *argument)
{
	struct visitor *visitor = argument;
	struct crowd *crowd = visitor->crowd;
	struct random random = {visitor->seed};
	for (int i = 0; i < TURNS; i++) {
		uint32_t number = random_below(&random, SHARED_ADDRESSES);
		struct prefix prefix = address(number);
		uint32_t place;
		if (addresses_enter(crowd->addresses, &SHARED, &prefix, 1000 + (uint64_t)i, &place) != ERROR_OK)
			continue;
		if (atomic_fetch_add(&crowd->inside[number], 1) >= (int)SHARED.connections_max)
			atomic_store(&crowd->too_many, true);
		bool signs_in = random_below(&random, 2) == 0;
		if (signs_in)
			addresses_sign_in(crowd->addresses, place);
		atomic_fetch_sub(&crowd->inside[number], 1);
		addresses_leave(crowd->addresses, place, signs_in);
	}
	return NULL;
}

static void test_threads(void **state)
{
	static struct crowd crowd;
	struct visitor visitors[THREADS];
	pthread_t threads[THREADS];
	crowd.addresses = *state;
	for (int i = 0; i < THREADS; i++) {
		visitors[i] = (struct visitor){&crowd, (uint64_t)i + 1};
		assert_int_equal(pthread_create(&threads[i], NULL, visit, &visitors[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_false(atomic_load(&crowd.too_many));
	assert_in_range(addresses_count(*state), 0, SHARED_ADDRESSES);
	/* Nothing of them is left over: as many as ever come in. */
	const struct address_limits limits = {.connections_max = 1, .handshakes_max = 1};
	for (uint32_t i = 0; i < SHARED_ADDRESSES; i++)
		addresses_leave(*state, let_in(*state, &limits, i), false);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_connections_of_an_address),
		TEST(test_handshakes_of_an_address),
		TEST(test_uncounted_ones_leave_nothing),
		TEST(test_rates),
		TEST(test_a_burst_comes_back),
		TEST(test_idle_addresses_are_swept),
		TEST(test_a_full_table_lets_in_uncounted),
		TEST(test_against_a_plain_list),
		TEST(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
