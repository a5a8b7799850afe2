#include "admin/patience.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

void patience_init(struct patience *patience)
{
	*patience = (struct patience){0};
	CHECK(pthread_mutex_init(&patience->lock, NULL) == 0);
}

void patience_fini(struct patience *patience)
{
	pthread_mutex_destroy(&patience->lock);
}

/* With the lock held. NULL: there is none. */
static struct patience_place *find(struct patience *patience, const void *connection)
{
	for (uint32_t i = 0; i < PATIENCE_CONNECTIONS_MAX; i++) {
		if (patience->places[i].connection == connection)
			return &patience->places[i];
	}
	return NULL;
}

void patience_begin(struct patience *patience, const void *connection, int fd)
{
	pthread_mutex_lock(&patience->lock);
	struct patience_place *place = find(patience, NULL);
	if (place != NULL) {
		*place = (struct patience_place){connection, fd, clock_now_ms()};
		patience->taken++;
	}
	pthread_mutex_unlock(&patience->lock);
}

void patience_renew(struct patience *patience, const void *connection)
{
	pthread_mutex_lock(&patience->lock);
	struct patience_place *place = find(patience, connection);
	if (place != NULL)
		place->since_ms = clock_now_ms();
	pthread_mutex_unlock(&patience->lock);
}

void patience_end(struct patience *patience, const void *connection)
{
	pthread_mutex_lock(&patience->lock);
	struct patience_place *place = find(patience, connection);
	if (place != NULL) {
		place->connection = NULL;
		patience->taken--;
	}
	pthread_mutex_unlock(&patience->lock);
}

void patience_end_slow(struct patience *patience)
{
	uint64_t now_ms = clock_now_ms();
	pthread_mutex_lock(&patience->lock);
	bool crowded = patience->taken > PATIENCE_CONNECTIONS_MAX / 2;
	uint64_t limit_ms = crowded ? PATIENCE_CROWDED_MS : PATIENCE_MS;
	for (uint32_t i = 0; i < PATIENCE_CONNECTIONS_MAX; i++) {
		const struct patience_place *place = &patience->places[i];
		if (place->connection != NULL && now_ms - place->since_ms > limit_ms)
			shutdown(place->fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&patience->lock);
}
