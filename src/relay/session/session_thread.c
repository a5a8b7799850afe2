#include "relay/session/session_thread.h"

#include "base/check.h"
#include "base/clock.h"
#include "control/internal.h"
#include "reactor/fdtable.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define THREAD_NICE 10

/* Closes the first of them. */
static void close_connections(const struct session_thread *thread, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		close(thread->fds[i]);
}

static bool open_connections(struct session_thread *thread)
{
	for (uint32_t i = 0; i < thread->count; i++) {
		thread->fds[i] = gateway_open_internal(thread->gateway);
		if (thread->fds[i] < 0) {
			close_connections(thread, i);
			return false;
		}
	}
	return true;
}

static void session_thread_fini(struct session_thread *thread)
{
	sem_destroy(&thread->begun);
	waker_close(&thread->waker);
	session_asker_free(thread->asker);
}

bool session_thread_init(struct session_thread *thread, struct gateway *gateway, uint32_t count, int attention_fd,
			 bool private_table)
{
	CHECK(count <= THREAD_SESSIONS_MAX);
	*thread = (struct session_thread){
		.gateway = gateway, .count = count, .attention_fd = attention_fd, .private_table = private_table};
	thread->asker = session_asker_new(gateway);
	if (thread->asker == NULL || waker_open(&thread->waker) != ERROR_OK) {
		session_asker_free(thread->asker);
		return false;
	}
	CHECK(sem_init(&thread->begun, 0, 0) == 0);
	if (open_connections(thread))
		return true;
	session_thread_fini(thread);
	return false;
}

bool session_thread_start(struct session_thread *thread, void *(*main)(void *argument), void *argument)
{
	if (pthread_create(&thread->thread, NULL, main, argument) != 0) {
		close_connections(thread, thread->count);
		session_thread_fini(thread);
		return false;
	}
	while (sem_wait(&thread->begun) != 0)
		continue;
	if (thread->owns_copies)
		close_connections(thread, thread->count);
	return true;
}

bool session_thread_start_opening(struct session_thread *thread, void *(*main)(void *argument), void *argument)
{
	thread->opens = true;
	return session_thread_start(thread, main, argument);
}

void session_thread_ask_to_stop(struct session_thread *thread)
{
	atomic_store(&thread->stopping, true);
	waker_wake(&thread->waker);
}

void session_thread_stop(struct session_thread *thread)
{
	session_thread_ask_to_stop(thread);
	pthread_join(thread->thread, NULL);
	session_thread_fini(thread);
}

/* ---- the thread itself ---- */

static void detach_thread_table(struct session_thread *thread)
{
	size_t shards = session_waker_fds(thread->gateway, NULL);
	size_t most = shards + thread->count + 3;
	int *keeps = calloc(most, sizeof(*keeps));
	CHECK(keeps != NULL);
	size_t count = session_waker_fds(thread->gateway, keeps);
	keeps[count++] = thread->waker.fd;
	keeps[count++] = thread->attention_fd;
	if (thread->opens)
		keeps[count++] = gateway_internal_fd(thread->gateway);
	for (uint32_t i = 0; i < thread->count; i++)
		keeps[count++] = thread->fds[i];
	CHECK(count <= most);
	thread->owns_copies = fdtable_detach(keeps, count) == FDTABLE_PRIVATE;
	free(keeps);
}

void session_thread_begin(struct session_thread *thread)
{
	if (thread->private_table)
		detach_thread_table(thread);
	/* Clients come first: what goes to back ends may wait, and all of it when a back end has come back. */
	setpriority(PRIO_PROCESS, 0, THREAD_NICE); /* on Linux this means the calling thread only */
	thread->started_ms = clock_now_ms();
	sem_post(&thread->begun);
}

void session_thread_call(struct session_thread *thread, uint64_t now_ms)
{
	if (now_ms < thread->started_ms + THREAD_RESTART_MS || atomic_load(&thread->calls))
		return;
	atomic_store(&thread->calls, true);
	eventfd_write(thread->attention_fd, 1);
}

static void await_pong(struct session_link *session, uint64_t until_ms)
{
	struct mqtt_publish publish;
	bool more;
	while (session->pongs_due != 0 && !session_link_is_broken(session)) {
		uint64_t now_ms = clock_now_ms();
		int events = POLLIN | (session->is_blocked ? POLLOUT : 0);
		struct pollfd polled = {.fd = session->fd, .events = (short)events};
		if (now_ms >= until_ms || poll(&polled, 1, (int)(until_ms - now_ms)) == 0 ||
		    !session_link_flush(session) || !session_link_read(session, &more))
			return;
		while (session_link_next(session, &publish))
			continue;
	}
}

void session_thread_finish(struct session_link *const *sessions, uint32_t count, uint64_t until_ms)
{
	CHECK_LE(count, THREAD_SESSIONS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		if (sessions[i]->state != SESSION_READY)
			continue;
		session_link_ping(sessions[i]);
		session_link_flush(sessions[i]);
	}
	for (uint32_t i = 0; i < count; i++) {
		if (sessions[i]->state == SESSION_READY)
			await_pong(sessions[i], until_ms);
	}
}
