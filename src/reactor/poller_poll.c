/* The poller over poll(2), to show that nothing above relies on epoll (-Dpoller=poll, and build/roost-poll). Each wait
 * asks about every descriptor, so it is for tests and not for crowds.
 *
 * poll() reports levels; edges are made here. A look asks for everything at once and reports a descriptor that is ready
 * for something that it was not ready for at the last look, or through which bytes went since. It must notice the
 * latter even where two looks see the same level: a client that sent a ping, was read, and sent another one; a socket
 * that its owner filled and that the peer emptied, all between two waits. TCP counts bytes that came and bytes that
 * were acknowledged, and these counts only grow. Other sockets tell what is unread and unsent at this moment, which
 * misses a change that leaves both as they were; tests of such sockets see to it that none does.
 *
 * A look that finds nothing is followed by a sleep, for changes only: for input on what has none, for room on what has
 * none, and for the end of what has not ended. */
#include "reactor/poller.h"

#include "base/check.h"

#include <errno.h>
#include <linux/tcp.h> /* has the counts of bytes, which the C library's own header lacks */
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(POLLER_IN == POLLIN && POLLER_OUT == POLLOUT && POLLER_ERROR == POLLERR, "poll's bits");
_Static_assert(POLLER_BOTH_CLOSED == POLLHUP && POLLER_PEER_CLOSED == POLLRDHUP, "poll's bits");

/* Bytes that went through a socket, or that are in it. */
struct transit {
	uint64_t in;
	uint64_t out;
};

struct watch {
	uint64_t tag;
	uint64_t file; /* the inode: tells another file under the same number */
	enum poller_mode mode;
	uint32_t was; /* at the last look, bits of poller_event.what */
	struct transit transit;
};

/* Both arrays have `count` entries in the same order, and room for `capacity`. */
struct poller_set {
	struct pollfd *fds;
	struct watch *watches;
	size_t count;
	size_t capacity;
	size_t next; /* where the next look begins, so that each gets its turn where there are more than are asked for
		      */
};

enum error poller_open(struct poller *poller)
{
	*poller = (struct poller){.fd = -1, .set = calloc(1, sizeof(*poller->set))};
	return poller->set != NULL ? ERROR_OK : ERROR_SYSTEM;
}

void poller_close(struct poller *poller)
{
	if (poller->set == NULL)
		return;
	free(poller->set->fds);
	free(poller->set->watches);
	free(poller->set);
	poller->set = NULL;
}

bool poller_outlives_descriptors(void)
{
	return false;
}

/* ---- what is watched ---- */

static size_t set_find(const struct poller_set *set, int fd)
{
	size_t i = 0;
	while (i < set->count && set->fds[i].fd != fd)
		i++;
	return i;
}

static void set_drop(struct poller_set *set, size_t i)
{
	CHECK(i < set->count);
	set->count--;
	set->fds[i] = set->fds[set->count];
	set->watches[i] = set->watches[set->count];
}

static bool set_grow(struct poller_set *set)
{
	size_t capacity = set->capacity != 0 ? 2 * set->capacity : 64;
	struct pollfd *fds = realloc(set->fds, capacity * sizeof(*fds));
	if (fds != NULL)
		set->fds = fds;
	struct watch *watches = realloc(set->watches, capacity * sizeof(*watches));
	if (watches != NULL)
		set->watches = watches;
	if (fds == NULL || watches == NULL)
		return false;
	set->capacity = capacity;
	return true;
}

enum error poller_add(struct poller *poller, int fd, uint64_t tag, enum poller_mode mode)
{
	struct poller_set *set = poller->set;
	struct stat file;
	if (fstat(fd, &file) != 0)
		return ERROR_SYSTEM;
	size_t i = set_find(set, fd);
	if (i != set->count && set->watches[i].file == file.st_ino) {
		errno = EEXIST;
		return ERROR_SYSTEM;
	}
	if (i != set->count)
		set_drop(set, i); /* it was closed, and its number is another's by now */
	if (set->count == set->capacity && !set_grow(set))
		return ERROR_SYSTEM;
	set->fds[set->count] = (struct pollfd){.fd = fd};
	set->watches[set->count] = (struct watch){.tag = tag, .file = file.st_ino, .mode = mode};
	set->count++;
	return ERROR_OK;
}

void poller_remove(struct poller *poller, int fd)
{
	size_t i = set_find(poller->set, fd);
	if (i != poller->set->count)
		set_drop(poller->set, i);
}

/* ---- a look ---- */

static short poll_interest(enum poller_mode mode)
{
	return mode == POLLER_EDGE_BOTH ? POLLIN | POLLOUT | POLLRDHUP : POLLIN;
}

static struct transit transit_of(int fd)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0)
		return (struct transit){info.tcpi_bytes_received, info.tcpi_bytes_acked};
	int unread = 0, unsent = 0;
	ioctl(fd, FIONREAD, &unread);
	ioctl(fd, TIOCOUTQ, &unsent);
	return (struct transit){(uint64_t)unread, (uint64_t)unsent};
}

/* Wake-ups need not be read by anyone else, so that reading one here makes the next one an edge. */
static void swallow_wake_up(int fd)
{
	uint64_t wake_ups;
	CHECK(read(fd, &wake_ups, sizeof(wake_ups)) > 0 || errno == EAGAIN);
}

/* Whether the descriptor, which is ready for `now`, is to be reported. */
static bool watch_changed(struct watch *watch, int fd, uint32_t now)
{
	uint32_t was = watch->was;
	watch->was = now;
	if (watch->mode != POLLER_EDGE_BOTH) {
		if (watch->mode == POLLER_EDGE_READ && now != 0)
			swallow_wake_up(fd);
		return now != 0;
	}
	struct transit before = watch->transit;
	watch->transit = transit_of(fd);
	bool bytes_came = (now & POLLER_IN) != 0 && watch->transit.in != before.in;
	bool bytes_left = (now & POLLER_OUT) != 0 && watch->transit.out != before.out;
	return (now & ~was) != 0 || bytes_came || bytes_left;
}

/* Asks for everything without waiting. Fewer than `count` events: every descriptor was looked at. */
static int set_look(struct poller_set *set, struct poller_event *events, int count)
{
	for (size_t i = 0; i < set->count; i++)
		set->fds[i].events = poll_interest(set->watches[i].mode);
	if (poll(set->fds, set->count, 0) < 0)
		return 0;
	int found = 0;
	size_t left = set->count;
	for (size_t i = set->next; left != 0 && set->count != 0 && found < count; left--) {
		i = i < set->count ? i : 0;
		uint32_t now = (uint16_t)set->fds[i].revents;
		if ((now & POLLNVAL) != 0) {
			set_drop(set, i); /* closed; the last one has its place, and is looked at there */
			continue;
		}
		if (watch_changed(&set->watches[i], set->fds[i].fd, now))
			events[found++] = (struct poller_event){.what = now, .tag = set->watches[i].tag};
		set->next = ++i;
	}
	return found;
}

/* ---- a sleep ---- */

/* Until something is ready that was not at the last look. What has broken is no more to be asked about: poll() reports
 * that without being asked, again and again. */
static int set_sleep(struct poller_set *set, int timeout_ms)
{
	for (size_t i = 0; i < set->count; i++) {
		uint32_t was = set->watches[i].was;
		bool over = (was & (POLLER_ERROR | POLLER_BOTH_CLOSED)) != 0;
		set->fds[i].events = (short)((uint32_t)poll_interest(set->watches[i].mode) & ~was);
		set->fds[i].fd = over ? ~set->fds[i].fd : set->fds[i].fd;
	}
	int ready = poll(set->fds, set->count, timeout_ms);
	CHECK(ready >= 0 || errno == EINTR || errno == ENOMEM);
	for (size_t i = 0; i < set->count; i++)
		set->fds[i].fd = set->fds[i].fd < 0 ? ~set->fds[i].fd : set->fds[i].fd;
	return ready;
}

int poller_wait(struct poller *poller, struct poller_event *events, int count, int timeout_ms)
{
	CHECK(count >= 1);
	int found = set_look(poller->set, events, count);
	if (found != 0 || timeout_ms == 0 || set_sleep(poller->set, timeout_ms) <= 0)
		return found;
	return set_look(poller->set, events, count);
}
