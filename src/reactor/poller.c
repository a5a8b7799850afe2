#include "reactor/poller.h"

#include "base/check.h"

#include <errno.h>
#include <unistd.h>

enum error poller_open(struct poller *poller)
{
	poller->fd = epoll_create1(EPOLL_CLOEXEC);
	return poller->fd >= 0 ? ERROR_OK : ERROR_SYSTEM;
}

void poller_close(struct poller *poller)
{
	close(poller->fd);
	poller->fd = -1;
}

static uint32_t interest_of(enum poller_mode mode)
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
	return 0;
}

enum error poller_add(struct poller *poller, int fd, uint64_t tag, enum poller_mode mode)
{
	struct epoll_event event = {.events = interest_of(mode), .data.u64 = tag};
	return epoll_ctl(poller->fd, EPOLL_CTL_ADD, fd, &event) == 0 ? ERROR_OK : ERROR_SYSTEM;
}

void poller_remove(struct poller *poller, int fd)
{
	epoll_ctl(poller->fd, EPOLL_CTL_DEL, fd, NULL);
}

int poller_wait(struct poller *poller, struct epoll_event *events, int count, int timeout_ms)
{
	int ready = epoll_wait(poller->fd, events, count, timeout_ms);
	CHECK(ready >= 0 || errno == EINTR);
	return ready < 0 ? 0 : ready;
}
