#include "faults.h"

#include "../random.h"
#include "base/check.h"
#include "reactor/poller.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define DESCRIPTORS_MAX 1024
#define PLACES_MAX 256
#define STALE_GENERATIONS 3u

/* What a poller was asked to watch. */
struct watched {
	const struct poller *poller; /* NULL: nobody watches */
	uint64_t tag;
	bool edge;
};

/* An event that waits. */
struct waiting {
	const struct poller *poller;
	struct poller_event event;
};

static struct {
	struct watched watched[DESCRIPTORS_MAX]; /* by descriptor */
	struct waiting waiting[PLACES_MAX];
	uint32_t waiting_count;
	struct random random;
	unsigned kinds;
	uint32_t rarity;
	bool in_turn;
	uint64_t counts[FAULT_KINDS];
} faults;

void faults_clear(void)
{
	memset(&faults, 0, sizeof(faults));
}

void faults_turn_begin(unsigned kinds, uint32_t rarity, uint64_t seed)
{
	CHECK(!faults.in_turn && rarity != 0);
	faults.in_turn = true;
	faults.kinds = kinds;
	faults.rarity = rarity;
	faults.random.state = seed * 0x9E3779B97F4A7C15u | 1u;
	random_next(&faults.random);
}

void faults_turn_end(void)
{
	CHECK(faults.in_turn);
	faults.in_turn = false;
}

bool faults_wait(void)
{
	return faults.waiting_count != 0;
}

static uint32_t kind_index(enum fault_kind kind)
{
	return (uint32_t)__builtin_ctz((unsigned)kind);
}

uint64_t faults_count(enum fault_kind kind)
{
	return faults.counts[kind_index(kind)];
}

const char *fault_name(enum fault_kind kind)
{
	static const char *const NAMES[FAULT_KINDS] = {"short", "again", "intr", "late", "spurious", "order", "reset"};
	return NAMES[kind_index(kind)];
}

static bool happens(enum fault_kind kind, uint32_t rarer)
{
	if (!faults.in_turn || (faults.kinds & (unsigned)kind) == 0 ||
	    random_below(&faults.random, faults.rarity * rarer) != 0)
		return false;
	faults.counts[kind_index(kind)]++;
	return true;
}

/* ---- events ---- */

static void wait_for(const struct poller *poller, const struct poller_event *event)
{
	for (uint32_t i = 0; i < faults.waiting_count; i++) {
		struct waiting *waiting = &faults.waiting[i];
		if (waiting->poller == poller && waiting->event.tag == event->tag) {
			waiting->event.what |= event->what;
			return;
		}
	}
	CHECK_LT(faults.waiting_count, PLACES_MAX);
	faults.waiting[faults.waiting_count++] = (struct waiting){poller, *event};
}

/* Whoever was told to wait gets an event, some time. */
static void promise_event(int fd, uint32_t events)
{
	const struct watched *watched = &faults.watched[fd];
	if (watched->poller != NULL && watched->edge)
		wait_for(watched->poller, &(struct poller_event){.what = events, .tag = watched->tag});
}

static void swap_events(struct poller_event *a, struct poller_event *b)
{
	struct poller_event other = *a;
	*a = *b;
	*b = other;
}

/* Takes those that wait for this poller and whose time has come. */
static int take_waiting(const struct poller *poller, struct poller_event *events, int count, int room)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < faults.waiting_count; i++) {
		struct waiting waiting = faults.waiting[i];
		bool due = faults.kinds == 0 || random_below(&faults.random, 2) == 0;
		if (waiting.poller == poller && due && count < room)
			events[count++] = waiting.event;
		else
			faults.waiting[kept++] = waiting;
	}
	faults.waiting_count = kept;
	return count;
}

static int put_off(const struct poller *poller, struct poller_event *events, int count)
{
	int kept = 0;
	for (int i = 0; i < count; i++) {
		if (happens(FAULT_LATE, 1))
			wait_for(poller, &events[i]);
		else
			events[kept++] = events[i];
	}
	return kept;
}

/* For a connection that is there, or of a generation that is not any more. */
static int make_up(const struct poller *poller, struct poller_event *events, int count, int room)
{
	for (int fd = 0; fd < DESCRIPTORS_MAX && count < room; fd++) {
		const struct watched *watched = &faults.watched[fd];
		if (watched->poller != poller || !watched->edge || !happens(FAULT_SPURIOUS, 1))
			continue;
		uint64_t older = random_below(&faults.random, STALE_GENERATIONS);
		uint64_t tag = watched->tag >> 32 >= older ? watched->tag - (older << 32) : watched->tag;
		events[count++] = (struct poller_event){.what = POLLER_IN | POLLER_OUT, .tag = tag};
	}
	return count;
}

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's names (--wrap) */
enum error __real_poller_add(struct poller *poller, int fd, uint64_t tag, enum poller_mode mode);
enum error __wrap_poller_add(struct poller *poller, int fd, uint64_t tag, enum poller_mode mode);
int __real_poller_wait(struct poller *poller, struct poller_event *events, int count, int timeout_ms);
int __wrap_poller_wait(struct poller *poller, struct poller_event *events, int count, int timeout_ms);
ssize_t __real_recv(int fd, void *buffer, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags);
ssize_t __real_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);

enum error __wrap_poller_add(struct poller *poller, int fd, uint64_t tag, enum poller_mode mode)
{
	enum error error = __real_poller_add(poller, fd, tag, mode);
	CHECK_LT(fd, DESCRIPTORS_MAX);
	if (error == ERROR_OK)
		faults.watched[fd] = (struct watched){poller, tag, mode == POLLER_EDGE_BOTH};
	return error;
}

int __wrap_poller_wait(struct poller *poller, struct poller_event *events, int count, int timeout_ms)
{
	CHECK_GE(count, 4);
	int got = __real_poller_wait(poller, events, count / 4, timeout_ms);
	if (!faults.in_turn)
		return take_waiting(poller, events, got, count);
	int all = take_waiting(poller, events, put_off(poller, events, got), count / 2);
	all = make_up(poller, events, all, count);
	if (all > 1 && happens(FAULT_ORDER, 1)) {
		for (int i = all - 1; i > 0; i--)
			swap_events(&events[i], &events[random_below(&faults.random, (uint32_t)i + 1)]);
	}
	return all;
}

/* ---- reading and writing ---- */

/* Whether the call fails; errno says how. */
static bool fails(int fd, uint32_t event)
{
	if (happens(FAULT_RESET, 64)) {
		shutdown(fd, SHUT_RDWR);
		errno = ECONNRESET;
		return true;
	}
	if (happens(FAULT_INTR, 1)) {
		errno = EINTR;
		return true;
	}
	if (happens(FAULT_AGAIN, 1)) {
		promise_event(fd, event);
		errno = EAGAIN;
		return true;
	}
	return false;
}

static bool is_watched(int fd)
{
	return fd >= 0 && fd < DESCRIPTORS_MAX && faults.watched[fd].edge;
}

ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags)
{
	if (!faults.in_turn || !is_watched(fd) || (flags & (MSG_TRUNC | MSG_PEEK)) != 0)
		return __real_recv(fd, buffer, size, flags);
	if (fails(fd, POLLER_IN))
		return -1;
	size_t most = size > 1 && happens(FAULT_SHORT, 1) ? 1 + random_below(&faults.random, 16) : size;
	if (most > size)
		most = size;
	ssize_t got = __real_recv(fd, buffer, most, flags);
	if (most < size && got == (ssize_t)most)
		promise_event(fd, POLLER_IN); /* the rest comes now */
	return got;
}

static void (*watch_output)(int fd, const uint8_t *bytes, size_t size);

void faults_watch_output(void (*watch)(int fd, const uint8_t *bytes, size_t size))
{
	watch_output = watch;
}

static ssize_t show_output(int fd, const void *bytes, ssize_t sent)
{
	if (watch_output != NULL && sent > 0)
		watch_output(fd, bytes, (size_t)sent);
	return sent;
}

static ssize_t show_parts(int fd, const struct msghdr *message, ssize_t sent)
{
	size_t left = sent > 0 ? (size_t)sent : 0;
	for (size_t i = 0; left != 0; i++) {
		size_t part = message->msg_iov[i].iov_len < left ? message->msg_iov[i].iov_len : left;
		show_output(fd, message->msg_iov[i].iov_base, (ssize_t)part);
		left -= part;
	}
	return sent;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags)
{
	if (!faults.in_turn || !is_watched(fd))
		return __real_send(fd, bytes, size, flags);
	if (fails(fd, POLLER_OUT))
		return -1;
	size_t most = size > 1 && happens(FAULT_SHORT, 1) ? 1 + random_below(&faults.random, (uint32_t)size - 1) : size;
	return show_output(fd, bytes, __real_send(fd, bytes, most, flags));
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	if (!faults.in_turn || !is_watched(fd))
		return __real_sendmsg(fd, message, flags);
	if (fails(fd, POLLER_OUT))
		return -1;
	if (!happens(FAULT_SHORT, 1))
		return show_parts(fd, message, __real_sendmsg(fd, message, flags));
	/* Some of the first part. */
	const struct iovec *part = &message->msg_iov[0];
	size_t most = part->iov_len > 1 ? 1 + random_below(&faults.random, (uint32_t)part->iov_len - 1) : part->iov_len;
	return show_output(fd, part->iov_base, __real_send(fd, part->iov_base, most, flags));
}
/* NOLINTEND(bugprone-reserved-identifier) */
