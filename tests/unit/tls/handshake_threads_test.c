/* Gates on threads of their own shake hands with one context and one set of ticket keys, while the keys rotate and the
 * context is replaced. */
#include "handshake_scene.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define GATES 3
#define HANDSHAKES 60u

struct world {
	struct tls_tickets *tickets;
	struct tls_server_options options;
	pthread_mutex_t lock; /* around server */
	struct tls_context *server;
	_Atomic unsigned left;
};

struct gate {
	struct world *world;
	unsigned resumed, failed;
};

static struct tls_context *current(struct world *world)
{
	pthread_mutex_lock(&world->lock);
	struct tls_context *server = tls_context_get(world->server);
	pthread_mutex_unlock(&world->lock);
	return server;
}

static void *shake_on(void *context)
{
	struct gate *gate = context;
	struct tls_client_options options = scene_client_options();
	char fault[TLS_FAULT_BYTES_MAX];
	options.keeps_tickets = true;
	struct tls_context *client = tls_context_new_client(&options, fault);
	struct tls_ticket *ticket = NULL;
	for (unsigned i = 0; i < HANDSHAKES; i++) {
		struct tls_context *server = current(gate->world);
		struct tls_ticket *fresh = NULL;
		struct scene_result result = scene_shake_contexts(server, client, ticket, &fresh);
		gate->failed += result.server != ERROR_OK || result.client != ERROR_OK;
		gate->resumed += result.resumed;
		tls_ticket_free(ticket);
		ticket = fresh;
		tls_context_put(&server);
	}
	tls_ticket_free(ticket);
	tls_context_put(&client);
	atomic_fetch_sub(&gate->world->left, 1);
	return NULL;
}

static void test_gates_share_contexts_and_keys(void **state)
{
	(void)state;
	struct world world = {.tickets = tls_tickets_new(3600, scene_wall_s()),
			      .options = scene_server_options(),
			      .lock = PTHREAD_MUTEX_INITIALIZER,
			      .left = GATES};
	uint8_t file[TLS_TICKETS_FILE_BYTES_MAX];
	pthread_t threads[GATES];
	struct gate gates[GATES];
	int64_t wall_s = scene_wall_s();
	unsigned resumed = 0;
	world.options.tickets = world.tickets;
	world.server = scene_server(&world.options);
	for (int i = 0; i < GATES; i++) {
		gates[i] = (struct gate){.world = &world};
		assert_int_equal(pthread_create(&threads[i], NULL, shake_on, &gates[i]), 0);
	}
	while (atomic_load(&world.left) > 0) {
		tls_tickets_rotate(world.tickets, wall_s += 600);
		size_t size = tls_tickets_save(world.tickets, file);
		assert_int_equal(tls_tickets_load(world.tickets, slice_of(file, size), wall_s), ERROR_OK);
		struct tls_context *fresh = scene_server(&world.options);
		pthread_mutex_lock(&world.lock);
		struct tls_context *old = world.server;
		world.server = fresh;
		pthread_mutex_unlock(&world.lock);
		tls_context_put(&old);
	}
	for (int i = 0; i < GATES; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(gates[i].failed, 0);
		resumed += gates[i].resumed;
	}
	/* A key may go between two handshakes of a slow thread, so not each resumes. */
	assert_true(resumed > 0);
	tls_context_put(&world.server);
	tls_tickets_free(world.tickets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gates_share_contexts_and_keys),
	};
	(void)scene_files();
	(void)scene_wall_s();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	scene_files_free();
	return failed;
}
