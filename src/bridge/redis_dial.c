#include "bridge/redis_dial.h"

#include "base/check.h"

#include <sys/eventfd.h>

static bool dial(const struct redis_dial *dial)
{
	struct redis_connection *connection = dial->connection;
	struct redis_place place = connection->place; /* it is written there again */
	switch (dial->kind) {
	case REDIS_DIAL_PLACE:
		return redis_connection_open(connection, &place);
	case REDIS_DIAL_MASTER:
		return redis_connection_open_master(connection);
	case REDIS_DIAL_SLOTS:
		return redis_connection_read_slots(connection, dial->slots);
	case REDIS_DIAL_WATCH:
		return redis_connection_watch_master(connection, dial->master);
	}
	CHECK(false);
	return false;
}

static void *redis_dial_main(void *argument)
{
	struct redis_dial *own = argument;
	int done_fd = own->done_fd;
	own->good = dial(own);
	atomic_store_explicit(&own->is_done, true, memory_order_release);
	eventfd_write(done_fd, 1); /* the owner may have freed it by now */
	return NULL;
}

bool redis_dial_begin(struct redis_dial *dial)
{
	CHECK(!dial->is_running && !redis_connection_is_open(dial->connection));
	atomic_store(&dial->is_done, false);
	dial->connection->given_up = &dial->given_up;
	dial->is_running = pthread_create(&dial->thread, NULL, redis_dial_main, dial) == 0;
	return dial->is_running || redis_link_fail(&dial->connection->link, "there is no thread to connect with");
}

bool redis_dial_end(struct redis_dial *dial)
{
	CHECK(dial->is_running);
	pthread_join(dial->thread, NULL);
	dial->is_running = false;
	return dial->good;
}

void redis_dial_give_up(struct redis_dial *dial)
{
	if (!dial->is_running)
		return;
	atomic_store(&dial->given_up, true);
	redis_dial_end(dial);
}
