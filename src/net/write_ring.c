#include "net/write_ring.h"

#include "base/check.h"

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

_Static_assert((WRITE_RING_WRITES_MAX & (WRITE_RING_WRITES_MAX - 1)) == 0,
	       "the kernel rounds a ring up to a power of two");

/* Rings open and close one at a time: a ring may be mapped where another thread has just unmapped its own, and the
 * kernel alone orders the two. liburing makes its own system calls, so a sanitizer would not see that order. */
static pthread_mutex_t ring_lock = PTHREAD_MUTEX_INITIALIZER;

/* Made when there is first use for it, for it has to be in the table of the thread that uses it. */
static bool write_ring_open(struct write_ring *writes)
{
	if (writes->ring != NULL || writes->is_refused)
		return writes->ring != NULL;
	struct io_uring *ring = malloc(sizeof(*ring));
	/* The first flags spare the kernel locks and wake-ups that one thread does not need. */
	unsigned flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
	CHECK(pthread_mutex_lock(&ring_lock) == 0);
	if (ring != NULL && io_uring_queue_init(WRITE_RING_WRITES_MAX, ring, flags) != 0 &&
	    io_uring_queue_init(WRITE_RING_WRITES_MAX, ring, 0) != 0) {
		free(ring);
		ring = NULL;
	}
	CHECK(pthread_mutex_unlock(&ring_lock) == 0);
	writes->ring = ring;
	writes->is_refused = ring == NULL;
	return ring != NULL;
}

/* There will be another when there is use for it. */
static void drop_ring(struct write_ring *writes)
{
	CHECK(pthread_mutex_lock(&ring_lock) == 0);
	if (writes->ring != NULL)
		io_uring_queue_exit(writes->ring);
	CHECK(pthread_mutex_unlock(&ring_lock) == 0);
	free(writes->ring);
	writes->ring = NULL;
}

void write_ring_close(struct write_ring *writes)
{
	drop_ring(writes);
	*writes = (struct write_ring){0};
}

static void fill(struct write_ring *writes, struct write_ring_entry *entries, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(writes->ring);
		CHECK(sqe != NULL); /* each batch is waited for */
		io_uring_prep_send(sqe, entries[i].fd, entries[i].data, entries[i].size, MSG_DONTWAIT | MSG_NOSIGNAL);
		io_uring_sqe_set_data64(sqe, i);
		entries[i].result = -EAGAIN;
	}
}

bool write_ring_send(struct write_ring *writes, struct write_ring_entry *entries, uint32_t count)
{
	CHECK(count != 0 && count <= WRITE_RING_WRITES_MAX);
	if (!write_ring_open(writes))
		return false;
	fill(writes, entries, count);
	uint32_t left = count;
	while (left != 0) {
		int submitted = io_uring_submit_and_wait(writes->ring, left);
		if (submitted < 0 && submitted != -EINTR) {
			/* What the kernel has taken is done, for nothing in it waits. The rest is still in the ring,
			 * and would leave with the next batch: a second time, or from memory that has other bytes by
			 * then. */
			drop_ring(writes);
			break;
		}
		struct io_uring_cqe *cqe;
		unsigned head;
		uint32_t seen = 0;
		io_uring_for_each_cqe(writes->ring, head, cqe)
		{
			uint64_t place = cqe->user_data;
			CHECK(place < count);
			entries[place].result = cqe->res;
			seen++;
		}
		io_uring_cq_advance(writes->ring, seen);
		CHECK(seen <= left);
		left -= seen;
	}
	return true;
}
