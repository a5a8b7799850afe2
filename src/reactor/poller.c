/* The poller over epoll. */
#include "reactor/poller.h"

#include "base/check.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <unistd.h>

/* epoll_wait() writes into the caller's array of ours. */
_Static_assert(sizeof(struct poller_event) == sizeof(struct epoll_event), "an array of ours is one of the kernel's");
_Static_assert(offsetof(struct poller_event, what) == offsetof(struct epoll_event, events), "likewise");
_Static_assert(offsetof(struct poller_event, tag) == offsetof(struct epoll_event, data), "likewise");
_Static_assert(POLLER_IN == EPOLLIN && POLLER_OUT == EPOLLOUT && POLLER_ERROR == EPOLLERR, "the kernel's bits");
_Static_assert(POLLER_BOTH_CLOSED == EPOLLHUP && POLLER_PEER_CLOSED == EPOLLRDHUP, "the kernel's bits");

enum error poller_open(struct poller *poller)
{
	*poller = (struct poller){.fd = epoll_create1(EPOLL_CLOEXEC)};
	return poller->fd >= 0 ? ERROR_OK : ERROR_SYSTEM;
}

void poller_close(struct poller *poller)
{
	close(poller->fd);
	poller->fd = -1;
}

/* epoll watches the open socket, not its number. */
bool poller_outlives_descriptors(void)
{
	return true;
}

static uint32_t epoll_interest(enum poller_mode mode)
{
	switch (mode) {
	case POLLER_EDGE_BOTH:
		return EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
	case POLLER_EDGE_READ:
		return EPOLLIN | EPOLLET;
	case POLLER_LEVEL_READ:
		return EPOLLIN;
	case POLLER_SHARED_READ:
		return EPOLLIN | EPOLLEXCLUSIVE;
	}
	CHECK(!"a mode");
	return 0;
}

enum error poller_add(struct poller *poller, int fd, uint64_t tag, enum poller_mode mode)
{
	struct epoll_event event = {.events = epoll_interest(mode), .data.u64 = tag};
	return epoll_ctl(poller->fd, EPOLL_CTL_ADD, fd, &event) == 0 ? ERROR_OK : ERROR_SYSTEM;
}

void poller_remove(struct poller *poller, int fd)
{
	epoll_ctl(poller->fd, EPOLL_CTL_DEL, fd, NULL);
}

int poller_wait(struct poller *poller, struct poller_event *events, int count, int timeout_ms)
{
	CHECK(count >= 1);
	int ready = epoll_wait(poller->fd, (struct epoll_event *)events, count, timeout_ms);
	CHECK(ready <= count && (ready >= 0 || errno == EINTR));
	return ready < 0 ? 0 : ready;
}
