/* The process that stays: it reads jobs from its standard input, a socket, runs them side by side, and writes answers
 * to it in the order in which they come. It ends when the other side closes. */
#include "fetch/fetcher.h"
#include "fetch/transfer.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#define READ_BYTES ((size_t)256 << 10)
/* While so much waits to be read by the other side, no transfer goes on: answers stay with those who give them. */
#define UNREAD_BYTES_MAX ((size_t)4 << 20)
/* libcurl says how long it can wait; this is for when it has nothing to do. */
#define IDLE_MS 60000

struct stay {
	struct curl_library curl;
	CURLM *multi; /* NULL: there is none, and load_fault says why */
	const char *load_fault;
	struct transfer *places[FETCHER_JOBS_MAX]; /* by the lower half of their tickets */
	struct bytes in;
	struct bytes out;
	bool has_ended; /* the other side has, or makes no sense */
};

/* ---- answers ---- */

static void tell_failure(struct stay *stay, uint64_t ticket, const char *fault)
{
	const struct fetch_answer answer = {
		.outcome = FETCH_NO_PROCESS,
		.fault = fault,
		.retry_after = "",
		.cache_control = "",
		.etag = "",
		.content_type = "",
		.location = "",
	};
	frame_append_answer(&stay->out, ticket, &answer);
}

static void end_transfer(struct stay *stay, struct transfer *transfer)
{
	stay->places[(uint32_t)transfer->ticket] = NULL;
	stay->curl.multi_remove_handle(stay->multi, transfer->handle);
	transfer_free(transfer);
}

static void tell_answers(struct stay *stay)
{
	int left;
	for (CURLMsg *message; (message = stay->curl.multi_info_read(stay->multi, &left)) != NULL;) {
		struct transfer *transfer = NULL;
		struct fetch_answer answer;
		if (message->msg != CURLMSG_DONE)
			continue;
		CHECK(stay->curl.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer) == CURLE_OK);
		transfer_answer(transfer, message->data.result, &answer);
		frame_append_answer(&stay->out, transfer->ticket, &answer);
		end_transfer(stay, transfer);
	}
}

/* ---- jobs ---- */

static void start_transfer(struct stay *stay, const struct frame *frame)
{
	const char *fault = stay->load_fault;
	struct transfer *transfer =
		stay->multi != NULL ? transfer_new(&stay->curl, frame->ticket, frame->payload, &fault) : NULL;
	if (transfer == NULL) {
		tell_failure(stay, frame->ticket, fault);
		return;
	}
	stay->places[(uint32_t)frame->ticket] = transfer;
	if (stay->curl.multi_add_handle(stay->multi, transfer->handle) == CURLM_OK)
		return;
	tell_failure(stay, frame->ticket, "out of memory");
	end_transfer(stay, transfer);
}

static bool take_job_frame(struct stay *stay, const struct frame *frame)
{
	uint32_t place = (uint32_t)frame->ticket;
	if (place >= FETCHER_JOBS_MAX)
		return false;
	struct transfer *running = stay->places[place];
	if (frame->kind == FRAME_CANCEL) {
		if (running != NULL && running->ticket == frame->ticket)
			end_transfer(stay, running);
		return true;
	}
	if (frame->kind != FRAME_JOB || running != NULL)
		return false;
	start_transfer(stay, frame);
	return true;
}

static void take_frames(struct stay *stay)
{
	struct frame frame;
	size_t taken = 0;
	enum frame_state state = FRAME_MORE;
	while (stay->in.size != taken) {
		struct slice left = slice_of(stay->in.data + taken, stay->in.size - taken);
		state = frame_read(left, frame_payload_max(FETCH_REQUEST_BYTES_MAX), &frame);
		if (state == FRAME_WHOLE && !take_job_frame(stay, &frame))
			state = FRAME_BAD;
		if (state != FRAME_WHOLE)
			break;
		taken += frame.size;
	}
	bytes_drop(&stay->in, taken);
	stay->has_ended = stay->has_ended || state == FRAME_BAD;
}

/* ---- the socket ---- */

static void read_jobs(struct stay *stay)
{
	if (stay->in.size == 0)
		bytes_clear(&stay->in, READ_BYTES * 2);
	if (!bytes_reserve(&stay->in, READ_BYTES)) {
		stay->has_ended = true;
		return;
	}
	ssize_t got = read(STDIN_FILENO, stay->in.data + stay->in.size, stay->in.capacity - stay->in.size);
	if (got > 0)
		stay->in.size += (size_t)got;
	else
		stay->has_ended = got == 0 || (errno != EAGAIN && errno != EINTR);
	take_frames(stay);
}

static void write_answers(struct stay *stay)
{
	size_t done = 0;
	bool is_full = false;
	while (done < stay->out.size && !is_full) {
		ssize_t put = write(STDOUT_FILENO, stay->out.data + done, stay->out.size - done);
		if (put > 0)
			done += (size_t)put;
		else if (errno == EAGAIN)
			is_full = true;
		else if (errno != EINTR)
			stay->has_ended = is_full = true;
	}
	bytes_drop(&stay->out, done);
	if (stay->out.size == 0)
		bytes_clear(&stay->out, UNREAD_BYTES_MAX);
}

/* ---- the loop ---- */

/* One turn: waits for the other side, and for transfers unless too much is unread. */
static void stay_turn(struct stay *stay)
{
	bool goes_on = stay->multi != NULL && stay->out.size < UNREAD_BYTES_MAX;
	short wanted = (short)(stay->out.size != 0 ? POLLIN | POLLOUT : POLLIN);
	struct curl_waitfd waited = {.fd = STDIN_FILENO, .events = CURL_WAIT_POLLIN};
	struct pollfd polled = {.fd = STDIN_FILENO, .events = wanted};
	int running;
	if (stay->out.size != 0)
		waited.events |= CURL_WAIT_POLLOUT;
	if (goes_on)
		stay->curl.multi_poll(stay->multi, &waited, 1, IDLE_MS, NULL);
	else
		poll(&polled, 1, -1);
	read_jobs(stay);
	if (goes_on) {
		stay->curl.multi_perform(stay->multi, &running);
		tell_answers(stay);
	}
	write_answers(stay);
	stay->has_ended = stay->has_ended || stay->out.failed;
}

static void open_multi(struct stay *stay, uint32_t connections_max)
{
	if (!curl_library_load(&stay->curl, &stay->load_fault))
		return;
	stay->load_fault = "libcurl is too old, or memory is short";
	CURLM *multi = stay->curl.multi_init();
	if (multi == NULL)
		return;
	if (stay->curl.multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)connections_max) == CURLM_OK)
		stay->multi = multi;
	else
		stay->curl.multi_cleanup(multi);
}

static void close_multi(struct stay *stay)
{
	if (stay->multi == NULL)
		return;
	for (uint32_t i = 0; i < FETCHER_JOBS_MAX; i++) {
		if (stay->places[i] != NULL)
			end_transfer(stay, stay->places[i]);
	}
	stay->curl.multi_cleanup(stay->multi);
	stay->curl.global_cleanup();
}

int fetcher_main(uint32_t connections_max)
{
	static struct stay stay;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* if the thread that started it dies, no one needs the answers */
	signal(SIGPIPE, SIG_IGN);
	if (fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) != 0)
		return 1;
	open_multi(&stay, connections_max);
	while (!stay.has_ended)
		stay_turn(&stay);
	close_multi(&stay);
	bytes_free(&stay.in);
	bytes_free(&stay.out);
	return 0;
}
