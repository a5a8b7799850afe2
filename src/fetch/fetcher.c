#include "fetch/fetcher.h"

#include "base/check.h"
#include "fetch/fetch.h"
#include "fetch/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_BYTES ((size_t)128 << 10)
/* Of what an empty buffer keeps. */
#define KEEP_BYTES ((size_t)1 << 20)

_Static_assert(FETCH_REQUEST_BYTES_MAX + FETCH_ANSWER_BYTES_MAX < FETCHER_BYTES_MAX, "the largest job may be posted");
_Static_assert(FETCHER_PAUSE_MS_LEAST * 2 < FETCHER_PAUSE_MS_MAX, "pauses grow");

void fetcher_init(struct fetcher *fetcher, uint32_t connections_max)
{
	CHECK_GE(connections_max, 1u);
	*fetcher = (struct fetcher){
		.fd = -1,
		.connections_max = connections_max,
		.pause_ms = FETCHER_PAUSE_MS_LEAST,
		.late_ms = UINT64_MAX,
	};
}

/* ---- the process ---- */

static void write_down_end(struct fetcher *fetcher, const char *what, int status)
{
	char how[48] = "";
	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), " by signal %d", WTERMSIG(status));
	else if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		snprintf(how, sizeof(how), " with status %d", WEXITSTATUS(status));
	snprintf(fetcher->fault, sizeof(fetcher->fault), "%s%s", what, how);
}

static void end_process(struct fetcher *fetcher, const char *what, bool tells_how)
{
	CHECK(fetcher->fd >= 0 && fetcher->process > 0);
	close(fetcher->fd);
	fetcher->fd = -1;
	int status = fetch_reap(fetcher->process);
	fetcher->process = 0;
	write_down_end(fetcher, what, tells_how ? status : 0);
	fetcher->is_blocked = false;
	fetcher->read_at = 0;
	bytes_free(&fetcher->in);
	bytes_free(&fetcher->out);
}

/* It is started again after a pause, which doubles while no answer comes. */
static void pause_starts(struct fetcher *fetcher, uint64_t now_ms)
{
	CHECK(fetcher->pause_ms >= FETCHER_PAUSE_MS_LEAST && fetcher->pause_ms <= FETCHER_PAUSE_MS_MAX);
	fetcher->start_ms = now_ms + fetcher->pause_ms;
	fetcher->pause_ms = fetcher->pause_ms < FETCHER_PAUSE_MS_MAX / 2 ? fetcher->pause_ms * 2 : FETCHER_PAUSE_MS_MAX;
}

/* The process is gone, or was given up: all of its jobs are lost. */
static void lose_process(struct fetcher *fetcher, const char *what, bool tells_how, uint64_t now_ms)
{
	end_process(fetcher, what, tells_how);
	pause_starts(fetcher, now_ms);
	for (uint32_t i = 0; i < fetcher->place_end; i++)
		fetcher->jobs[i].is_lost = fetcher->jobs[i].is_used;
	fetcher->lost_count = fetcher->job_count;
	fetcher->late_ms = UINT64_MAX;
}

void fetcher_fini(struct fetcher *fetcher)
{
	if (fetcher->fd >= 0)
		end_process(fetcher, "stopped", false);
}

static bool start_process(struct fetcher *fetcher, uint64_t now_ms)
{
	int pair[2];
	char number[16];
	const char *const arguments[] = {"roost", FETCH_COMMAND, FETCHER_OPTION, number, NULL};
	if (now_ms < fetcher->start_ms)
		return false;
	snprintf(number, sizeof(number), "%u", fetcher->connections_max);
	int error = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 ? errno : 0;
	if (error == 0) {
		error = fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0 ? errno : 0;
		if (error == 0)
			error = fetch_spawn(arguments, pair[1], pair[1], &fetcher->process);
		close(pair[1]);
		if (error != 0)
			close(pair[0]);
	}
	if (error != 0) {
		snprintf(fetcher->fault, sizeof(fetcher->fault),
			 "the process that sends requests cannot be started: %s", strerror(error));
		pause_starts(fetcher, now_ms);
		return false;
	}
	fetcher->fd = pair[0];
	fetcher->starts++;
	return true;
}

/* ---- jobs ---- */

static uint64_t ticket_of(const struct fetcher *fetcher, const struct fetcher_job *job)
{
	return (uint64_t)job->turn << 32 | (uint64_t)(job - fetcher->jobs);
}

/* NULL: it is of no job that is under way, such as one that was cancelled. */
static struct fetcher_job *job_of_ticket(struct fetcher *fetcher, uint64_t ticket)
{
	uint32_t place = (uint32_t)ticket;
	if (place >= fetcher->place_end)
		return NULL;
	struct fetcher_job *job = &fetcher->jobs[place];
	return job->is_used && !job->is_lost && job->turn == ticket >> 32 ? job : NULL;
}

static struct fetcher_job *find_place(struct fetcher *fetcher)
{
	CHECK_LT(fetcher->job_count, FETCHER_JOBS_MAX);
	for (uint32_t i = 0; i < fetcher->place_end; i++) {
		if (!fetcher->jobs[i].is_used)
			return &fetcher->jobs[i];
	}
	CHECK_LT(fetcher->place_end, FETCHER_JOBS_MAX);
	return &fetcher->jobs[fetcher->place_end++];
}

static void give_place_back(struct fetcher *fetcher, struct fetcher_job *job)
{
	CHECK(job->is_used && fetcher->job_count != 0 && fetcher->bytes >= job->bytes);
	fetcher->bytes -= job->bytes;
	fetcher->job_count--;
	fetcher->lost_count -= job->is_lost;
	*job = (struct fetcher_job){.turn = job->turn + 1};
	if (fetcher->job_count == 0)
		fetcher->late_ms = UINT64_MAX;
}

static const char *why_not_now(struct fetcher *fetcher, size_t bytes, uint64_t now_ms)
{
	if (fetcher->lost_count != 0)
		return fetcher->fault;
	if (fetcher->job_count == FETCHER_JOBS_MAX)
		return "too many requests are under way";
	if (fetcher->bytes + bytes > FETCHER_BYTES_MAX)
		return "the requests that are under way are too large together";
	if (fetcher->fd < 0 && !start_process(fetcher, now_ms))
		return fetcher->fault;
	return NULL;
}

/* Appends a frame as a whole or not at all. */
static bool append_frame(struct fetcher *fetcher, uint64_t ticket, const struct fetch_request *request)
{
	size_t before = fetcher->out.size;
	if (request != NULL)
		frame_append_job(&fetcher->out, ticket, request);
	else
		frame_append_cancel(&fetcher->out, ticket);
	if (!fetcher->out.failed)
		return true;
	fetcher->out.failed = false;
	fetcher->out.size = before;
	return false;
}

static void flush_frames(struct fetcher *fetcher)
{
	size_t sent = 0;
	fetcher->is_blocked = false;
	while (sent < fetcher->out.size && !fetcher->is_blocked) {
		ssize_t taken = send(fetcher->fd, fetcher->out.data + sent, fetcher->out.size - sent, MSG_NOSIGNAL);
		if (taken > 0)
			sent += (size_t)taken;
		else if (errno != EINTR)
			fetcher->is_blocked = true; /* where it has ended, reading tells */
	}
	bytes_drop(&fetcher->out, sent);
	if (fetcher->out.size == 0)
		bytes_clear(&fetcher->out, KEEP_BYTES);
}

bool fetcher_post(struct fetcher *fetcher, uint64_t id, const struct fetch_request *request, uint64_t now_ms,
		  const char **why)
{
	CHECK(request->body.size <= FETCH_REQUEST_BYTES_MAX && request->answer_bytes_max <= FETCH_ANSWER_BYTES_MAX);
	size_t bytes = request->body.size + request->answer_bytes_max;
	*why = why_not_now(fetcher, bytes, now_ms);
	if (*why != NULL)
		return false;
	struct fetcher_job *job = find_place(fetcher);
	if (!append_frame(fetcher, ticket_of(fetcher, job), request)) {
		*why = "out of memory";
		return false;
	}
	*job = (struct fetcher_job){
		.id = id,
		.late_ms = now_ms + request->whole_ms + FETCHER_LATE_MS,
		.bytes = bytes,
		.turn = job->turn,
		.answer_bytes_max = request->answer_bytes_max,
		.is_used = true,
	};
	fetcher->bytes += bytes;
	fetcher->job_count++;
	if (job->late_ms < fetcher->late_ms)
		fetcher->late_ms = job->late_ms;
	if (!fetcher->is_blocked)
		flush_frames(fetcher);
	return true;
}

void fetcher_cancel(struct fetcher *fetcher, uint64_t id)
{
	for (uint32_t i = 0; i < fetcher->place_end; i++) {
		struct fetcher_job *job = &fetcher->jobs[i];
		if (!job->is_used || job->id != id)
			continue;
		/* Where memory is short the transfer goes on, and nobody waits for its answer. */
		if (fetcher->fd >= 0 && append_frame(fetcher, ticket_of(fetcher, job), NULL) && !fetcher->is_blocked)
			flush_frames(fetcher);
		give_place_back(fetcher, job);
		return;
	}
}

/* ---- waiting ---- */

int fetcher_fd(const struct fetcher *fetcher)
{
	return fetcher->fd;
}

short fetcher_events(const struct fetcher *fetcher)
{
	return fetcher->is_blocked ? POLLIN | POLLOUT : POLLIN;
}

uint64_t fetcher_due_ms(const struct fetcher *fetcher)
{
	return fetcher->lost_count != 0 ? 0 : fetcher->late_ms;
}

/* Finds out anew when a job would be late: those that were the first to be so have been answered since. */
static bool is_job_late(struct fetcher *fetcher, uint64_t now_ms)
{
	if (now_ms < fetcher->late_ms)
		return false;
	fetcher->late_ms = UINT64_MAX;
	for (uint32_t i = 0; i < fetcher->place_end; i++) {
		if (fetcher->jobs[i].is_used && fetcher->jobs[i].late_ms < fetcher->late_ms)
			fetcher->late_ms = fetcher->jobs[i].late_ms;
	}
	return now_ms >= fetcher->late_ms;
}

/* ---- answers ---- */

static enum frame_state next_frame(const struct fetcher *fetcher, struct frame *frame)
{
	struct slice left = slice_of(fetcher->in.data + fetcher->read_at, fetcher->in.size - fetcher->read_at);
	return frame_read(left, frame_payload_max(FETCH_ANSWER_BYTES_MAX), frame);
}

/* Reads once, unless there is an answer that was not taken yet. */
static void read_frames(struct fetcher *fetcher, uint64_t now_ms)
{
	struct frame frame;
	if (fetcher->in.size != 0 && next_frame(fetcher, &frame) != FRAME_MORE)
		return;
	bytes_drop(&fetcher->in, fetcher->read_at);
	fetcher->read_at = 0;
	if (fetcher->in.size == 0)
		bytes_clear(&fetcher->in, KEEP_BYTES);
	if (!bytes_reserve(&fetcher->in, READ_BYTES)) {
		lose_process(fetcher, "memory is short for what the process that sends requests says", false, now_ms);
		return;
	}
	ssize_t got =
		recv(fetcher->fd, fetcher->in.data + fetcher->in.size, fetcher->in.capacity - fetcher->in.size, 0);
	if (got > 0)
		fetcher->in.size += (size_t)got;
	else if (got == 0 || (errno != EAGAIN && errno != EINTR))
		lose_process(fetcher, "the process that sends requests has ended", true, now_ms);
}

void fetcher_work(struct fetcher *fetcher, uint64_t now_ms)
{
	if (fetcher->fd >= 0)
		flush_frames(fetcher);
	if (fetcher->fd >= 0)
		read_frames(fetcher, now_ms);
	if (fetcher->fd >= 0 && is_job_late(fetcher, now_ms))
		lose_process(fetcher, "the process that sends requests did not answer in time, and was ended", false,
			     now_ms);
}

static bool next_lost(struct fetcher *fetcher, struct fetch_answer *answer)
{
	for (uint32_t i = 0; i < fetcher->place_end && fetcher->lost_count != 0; i++) {
		struct fetcher_job *job = &fetcher->jobs[i];
		if (!job->is_lost)
			continue;
		*answer = (struct fetch_answer){
			.id = job->id,
			.outcome = FETCH_NO_PROCESS,
			.fault = fetcher->fault,
			.retry_after = "",
			.cache_control = "",
			.etag = "",
			.content_type = "",
			.location = "",
		};
		give_place_back(fetcher, job);
		return true;
	}
	return false;
}

/* Checks an answer against its job. */
static bool read_answer(const struct frame *frame, const struct fetcher_job *job, struct fetch_answer *answer)
{
	return frame_read_answer(frame->payload, answer) && (job == NULL || answer->body.size <= job->answer_bytes_max);
}

bool fetcher_next(struct fetcher *fetcher, uint64_t now_ms, struct fetch_answer *answer)
{
	struct frame frame;
	enum frame_state state = FRAME_MORE;
	while (fetcher->fd >= 0 && fetcher->in.size != 0 && (state = next_frame(fetcher, &frame)) == FRAME_WHOLE) {
		struct fetcher_job *job = job_of_ticket(fetcher, frame.ticket);
		if (frame.kind != FRAME_ANSWER || !read_answer(&frame, job, answer)) {
			state = FRAME_BAD;
			break;
		}
		fetcher->read_at += frame.size;
		if (job == NULL)
			continue; /* cancelled meanwhile */
		answer->id = job->id;
		fetcher->pause_ms = FETCHER_PAUSE_MS_LEAST;
		give_place_back(fetcher, job);
		return true;
	}
	if (state == FRAME_BAD)
		lose_process(fetcher, "the process that sends requests said something that makes no sense", false,
			     now_ms);
	return next_lost(fetcher, answer);
}
