/* The bounds of bridges' queues, as the shards get them. */
#include "daemon/options/bridge_queues.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void bridges_have_queues_of_their_own(void **state)
{
	(void)state;
	struct settings *settings = calloc(1, sizeof(*settings));
	struct mqtt_bridges *bridges = calloc(1, sizeof(*bridges));
	assert_true(settings != NULL && bridges != NULL);
	bridges->count = 2;
	mqtt_bridge_init(&bridges->items[0]);
	mqtt_bridge_init(&bridges->items[1]);
	strcpy(bridges->items[0].name, "one");
	memset(bridges->items[1].name, 'x', ITEM_NAME_BYTES_MAX - 1);
	bridges->items[0].queue_messages = 10;
	bridges->items[1].queue_bytes = 1 << 20;
	bridges->items[1].drops_newest = true;
	bridge_queues_take(settings, bridges);
	assert_int_equal(settings->own_queue_count, 2);
	const struct own_queue *own = settings->own_queues;
	assert_string_equal(own[0].client_id, "$roost/bridge/one");
	assert_int_equal(own[0].messages_max, 10);
	assert_int_equal(own[0].bytes_max, 0);
	assert_true(own[0].drops_oldest);
	assert_int_equal(strlen(own[1].client_id), strlen("$roost/bridge/") + ITEM_NAME_BYTES_MAX - 1);
	assert_int_equal(own[1].bytes_max, 1 << 20);
	assert_false(own[1].drops_oldest);
	/* Others take their place. */
	bridges->count = 1;
	bridge_queues_take(settings, bridges);
	assert_int_equal(settings->own_queue_count, 1);
	assert_string_equal(own[1].client_id, "");
	free(settings);
	free(bridges);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bridges_have_queues_of_their_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
