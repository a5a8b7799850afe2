#include "relay/hook/hook_lane.h"

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "fetch/signature.h"
#include "relay/hook/dead_letter.h"
#include "relay/hook/event.h"
#include "relay/hook/verdict.h"

#include <stdio.h>

#define BATCH_TYPE "Content-Type: application/cloudevents-batch+json; charset=utf-8"
/* Of an answer's body, for its words; the rest is not read. */
#define ANSWER_BYTES_MAX 4096u
#define CONNECT_MS 5000u
#define TOO_LARGE "the event is larger than 15 MiB, which is the most that is sent"

/* NOLINTBEGIN(bugprone-macro-parentheses): the name of what is declared */
#define EACH_LINE(lane, line)                                                                                          \
	for (struct hook_line *line = (lane)->lines; line < (lane)->lines + (lane)->hook->concurrency; line++)
#define EACH_LINE_CONST(lane, line)                                                                                    \
	for (const struct hook_line *line = (lane)->lines; line < (lane)->lines + (lane)->hook->concurrency; line++)
/* NOLINTEND(bugprone-macro-parentheses) */

_Static_assert(HOOK_EVENT_BYTES_MAX + 2 < FETCH_REQUEST_BYTES_MAX, "any event goes");
_Static_assert(HOOK_HEADERS_MAX + HOOK_HEADER_FILES_MAX + 2 <= FETCH_HEADERS_MAX, "all headers go");
_Static_assert(HOOK_HEADER_FILES_MAX *(HOOK_VALUE_BYTES_MAX + HOOK_HEADER_BYTES_MAX) +
			       HOOK_HEADERS_MAX * HOOK_HEADER_BYTES_MAX + HOOK_URL_BYTES_MAX + 4096 <
		       FETCH_TEXTS_BYTES_MAX,
	       "all texts go");

void hook_lane_init(struct hook_lane *lane, const struct hook *hook, const char *source)
{
	*lane = (struct hook_lane){.hook = hook, .source = source, .session = {.fd = -1}, .key = hash_key_random()};
	CHECK_LE(hook->concurrency, HOOK_CONCURRENCY_MAX);
	copies_init(&lane->copies);
	EACH_LINE(lane, line)
	pause_clear(&line->pause);
}

void hook_lane_fini(struct hook_lane *lane)
{
	session_link_close(&lane->session);
	hook_files_free(&lane->files);
	EACH_LINE(lane, line)
	{
		hook_batch_free(&line->gathered);
		hook_batch_free(&line->flying);
	}
}

void hook_lane_note(struct hook_lane *lane, const char *fault, uint64_t now_ms)
{
	CHECK(fault[0] != '\0');
	bool is_news = strcmp(lane->told, fault) != 0 || !lane->is_waiting;
	if (is_news && (lane->told_ms == 0 || now_ms - lane->told_ms >= HOOK_TELL_MS)) {
		log_write(LOG_WARNING, "hook %s: %s", lane->hook->name, fault);
		snprintf(lane->told, sizeof(lane->told), "%s", fault);
		lane->told_ms = now_ms;
		lane->says_when_well = true;
	}
	snprintf(lane->fault, sizeof(lane->fault), "%s", fault);
	lane->fault_ms = now_ms;
}

/* ---- from the session ---- */

static bool batch_is_full(const struct hook_lane *lane, const struct hook_batch *batch)
{
	return batch->count >= lane->hook->batch_messages || batch->text.size >= lane->hook->batch_bytes;
}

bool hook_lane_may_read(const struct hook_lane *lane)
{
	EACH_LINE_CONST(lane, line)
	{
		/* The next message may belong there. */
		if (batch_is_full(lane, &line->gathered))
			return false;
	}
	return lane->session.state != SESSION_CLOSED;
}

/* Messages that the gateway itself published are of no client, and in one line, too. */
static struct hook_line *line_of_client(struct hook_lane *lane, const struct relay_message *message)
{
	uint64_t hash = message->client.size != 0 ? hash_slice(&lane->key, message->client) : 0;
	return &lane->lines[hash % lane->hook->concurrency];
}

static bool add_message(struct hook_lane *lane, const struct relay_message *message, uint16_t packet_id,
			uint64_t now_ms)
{
	struct hook_line *line = line_of_client(lane, message);
	struct hook_event *event = hook_batch_place(&line->gathered);
	if (event == NULL)
		return false;
	if (line->gathered.count == 0)
		line->gathered_ms = now_ms;
	event->packet_id = packet_id;
	event->time_ms = relay_message_time_ms(message);
	event->message_bytes = (uint32_t)(message->topic.size + message->payload.size);
	event_append(&line->gathered.text, lane->hook, lane->source, message);
	return hook_batch_added(&line->gathered, event);
}

static bool gather_events(struct hook_lane *lane, uint64_t now_ms)
{
	struct mqtt_publish publish;
	struct relay_message message;
	/* The lines are asked first: what session_link_next() has passed is not read again. */
	while (hook_lane_may_read(lane) && session_link_next(&lane->session, &publish)) {
		relay_message_read(&publish, &message);
		if (copies_is_one(&lane->copies, &lane->hook->topics, &message)) {
			if (publish.packet_id != 0)
				session_link_acknowledge(&lane->session, publish.packet_id);
			continue;
		}
		if (add_message(lane, &message, publish.packet_id, now_ms))
			continue;
		/* It is redelivered when the session is opened again. */
		snprintf(lane->session.fault, sizeof(lane->session.fault), "%s", error_sentence(ERROR_NO_MEMORY));
	}
	return !session_link_is_broken(&lane->session);
}

bool hook_lane_read(struct hook_lane *lane, const struct hook_time *time)
{
	bool more = true;
	/* What did not fit the last time. */
	bool good = gather_events(lane, time->now_ms);
	while (good && more && hook_lane_may_read(lane))
		good = session_link_read(&lane->session, &more) && gather_events(lane, time->now_ms);
	lane->had_no_room = good && !hook_lane_may_read(lane);
	return good;
}

/* ---- to the endpoint ---- */

static uint64_t line_due_ms(const struct hook_lane *lane, const struct hook_line *line)
{
	/* What was under way before comes behind CONNACK, in front of SUBACK. */
	if (line->is_at_endpoint || lane->session.state < SESSION_CONNECTED)
		return UINT64_MAX;
	if (line->flying.count != 0)
		return line->pause.until_ms;
	if (line->gathered.count == 0)
		return UINT64_MAX;
	return batch_is_full(lane, &line->gathered) ? 0 : line->gathered_ms + lane->hook->delay_ms;
}

uint64_t hook_lane_due_ms(const struct hook_lane *lane)
{
	uint64_t due_ms = UINT64_MAX;
	EACH_LINE_CONST(lane, line)
	{
		uint64_t line_ms = line_due_ms(lane, line);
		due_ms = line_ms < due_ms ? line_ms : due_ms;
	}
	return due_ms;
}

bool hook_line_is_due(const struct hook_lane *lane, uint32_t number, uint64_t now_ms)
{
	CHECK_LT(number, lane->hook->concurrency);
	uint64_t due_ms = line_due_ms(lane, &lane->lines[number]);
	return due_ms != UINT64_MAX && due_ms <= now_ms;
}

size_t hook_line_prepare(struct hook_lane *lane, uint32_t number)
{
	struct hook_line *line = &lane->lines[number];
	CHECK(!line->is_at_endpoint);
	if (line->flying.count == 0) {
		struct hook_batch empty = line->flying;
		line->flying = line->gathered;
		line->gathered = empty;
	}
	hook_batch_limit(&line->flying, lane->hook->batch_bytes);
	return hook_batch_body_bytes(&line->flying);
}

static void pause_line(struct hook_lane *lane, struct hook_line *line, enum hook_failure failure, const char *fault,
		       uint64_t now_ms)
{
	lane->counts.failures[failure]++;
	hook_lane_note(lane, fault, now_ms);
	lane->is_waiting = true;
	pause_begin(&line->pause, now_ms);
	if (line->failed_ms == 0)
		line->failed_ms = now_ms;
}

/* ---- what is done with ---- */

/* The events that went with the request are done with: the endpoint has them, or the dead-letter file. */
static void acknowledge_sent(struct hook_lane *lane, struct hook_batch *batch, bool is_delivered)
{
	for (uint32_t i = 0; i < batch->send_count; i++) {
		const struct hook_event *event = &batch->events[i];
		if (event->packet_id != 0 && !session_link_is_broken(&lane->session))
			session_link_acknowledge(&lane->session, event->packet_id);
		lane->counts.delivered += is_delivered;
		lane->counts.dead += !is_delivered;
		lane->counts.bytes += is_delivered ? event->message_bytes : 0;
	}
	hook_batch_taken(batch);
}

/* Puts what went with the request aside, among the dead letters. Where that cannot be, it waits. */
static void give_up(struct hook_lane *lane, struct hook_line *line, enum hook_failure failure, const char *words,
		    const struct hook_time *time)
{
	char text[HOOK_FAULT_BYTES];
	const struct hook *hook = lane->hook;
	if (hook->dead_letter_file[0] == '\0') {
		snprintf(text, sizeof(text), "%.240s; without a dead_letter_file it waits, and what is behind it, too",
			 words);
		pause_line(lane, line, failure, text, time->now_ms);
		return;
	}
	const char *why = dead_letter_write(hook->dead_letter_file, hook->name, words, time->wall_s, &line->flying);
	if (why != NULL) {
		snprintf(text, sizeof(text), "dead_letter_file: %.120s: %.60s; %.100s", hook->dead_letter_file, why,
			 words);
		pause_line(lane, line, failure, text, time->now_ms);
		return;
	}
	snprintf(text, sizeof(text), "%u events go to the dead letters: %.240s", line->flying.send_count, words);
	lane->counts.failures[failure]++;
	hook_lane_note(lane, text, time->now_ms);
	acknowledge_sent(lane, &line->flying, false);
	line->failed_ms = 0;
	pause_clear(&line->pause);
}

/* ---- requests ---- */

/* Where they cannot be read any more, nothing is sent without them. */
static bool refresh_files(struct hook_lane *lane, char *fault, uint64_t now_ms)
{
	struct hook_files files;
	if (lane->files_ms != 0 && now_ms - lane->files_ms < HOOK_FILES_MS)
		return true;
	if (!hook_files_read(&files, lane->hook, fault))
		return false;
	hook_files_free(&lane->files);
	lane->files = files;
	lane->files_ms = now_ms;
	return true;
}

static void fill_request(const struct hook_lane *lane, struct slice body, uint64_t wall_s, char *signature,
			 struct fetch_request *request)
{
	const struct hook *hook = lane->hook;
	*request = (struct fetch_request){
		.method = "POST",
		.url = hook->url,
		.ca_file = hook->ca_file,
		.certificate_file = hook->certificate_file,
		.key_file = hook->key_file,
		.connect_ms = hook->timeout_ms < CONNECT_MS ? hook->timeout_ms : CONNECT_MS,
		.whole_ms = hook->timeout_ms,
		.answer_bytes_max = ANSWER_BYTES_MAX,
		.cuts_answer = true,
		.body = body,
	};
	request->headers[request->header_count++] = BATCH_TYPE;
	if (lane->files.secret != NULL) {
		signature_write(slice_of(lane->files.secret, lane->files.secret_bytes), wall_s, body, signature);
		request->headers[request->header_count++] = signature;
	}
	for (uint32_t i = 0; i < hook->header_count; i++)
		request->headers[request->header_count++] = hook->headers[i];
	for (uint32_t i = 0; i < lane->files.header_count; i++)
		request->headers[request->header_count++] = lane->files.headers[i];
}

/* Returns why it cannot be posted now; NULL: it was. */
static const char *post_line(struct hook_lane *lane, struct hook_line *line, struct fetcher *fetcher, uint64_t id,
			     struct bytes *body, const struct hook_time *time)
{
	char signature[SIGNATURE_LINE_BYTES];
	struct fetch_request request;
	const char *why = NULL;
	hook_batch_write(&line->flying, body);
	if (body->failed)
		return error_sentence(ERROR_NO_MEMORY);
	fill_request(lane, bytes_slice(body), time->wall_s, signature, &request);
	return fetcher_post(fetcher, id, &request, time->now_ms, &why) ? NULL : why;
}

void hook_line_launch(struct hook_lane *lane, uint32_t number, struct fetcher *fetcher, uint64_t id, struct bytes *body,
		      const struct hook_time *time)
{
	struct hook_line *line = &lane->lines[number];
	char fault[ITEM_FAULT_BYTES_MAX];
	CHECK(!line->is_at_endpoint && body->size == 0);
	if (hook_batch_body_bytes(&line->flying) > HOOK_EVENT_BYTES_MAX) {
		give_up(lane, line, HOOK_REFUSED, TOO_LARGE, time);
		return;
	}
	const char *why = refresh_files(lane, fault, time->now_ms) ? NULL : fault;
	if (why == NULL)
		why = post_line(lane, line, fetcher, id, body, time);
	bytes_clear(body, HOOK_BATCH_BYTES_MAX);
	if (why != NULL) {
		pause_line(lane, line, HOOK_NO_PROCESS, why, time->now_ms);
		return;
	}
	line->is_at_endpoint = true;
	lane->bytes_under_way += hook_batch_body_bytes(&line->flying);
}

/* ---- answers ---- */

static void settle_taken(struct hook_lane *lane, struct hook_line *line)
{
	if (lane->is_waiting && lane->says_when_well) {
		log_write(LOG_INFO, "hook %s: the endpoint takes events again", lane->hook->name);
		lane->says_when_well = false;
	}
	lane->is_waiting = false;
	lane->counts.requests++;
	acknowledge_sent(lane, &line->flying, true);
	line->failed_ms = 0;
	pause_clear(&line->pause);
}

static void settle_refused(struct hook_lane *lane, struct hook_line *line, const struct verdict *verdict,
			   const struct hook_time *time)
{
	if (hook_batch_halve(&line->flying))
		lane->counts.failures[verdict->failure]++; /* half of it goes at once */
	else
		give_up(lane, line, verdict->failure, verdict->words, time);
}

static void settle_failed(struct hook_lane *lane, struct hook_line *line, const struct verdict *verdict,
			  const struct hook_time *time)
{
	uint32_t limit_s = lane->hook->retry_for_s;
	if (limit_s != 0 && line->failed_ms != 0 && time->now_ms - line->failed_ms >= (uint64_t)limit_s * 1000) {
		give_up(lane, line, verdict->failure, verdict->words, time);
		return;
	}
	pause_line(lane, line, verdict->failure, verdict->words, time->now_ms);
	uint64_t after_ms = time->now_ms + (uint64_t)verdict->retry_after_s * 1000;
	if (verdict->retry_after_s != 0 && after_ms > line->pause.until_ms)
		line->pause.until_ms = after_ms;
}

void hook_line_settle(struct hook_lane *lane, uint32_t number, const struct fetch_answer *answer,
		      const struct hook_time *time)
{
	struct hook_line *line = &lane->lines[number];
	struct verdict verdict;
	CHECK(line->is_at_endpoint && lane->bytes_under_way >= hook_batch_body_bytes(&line->flying));
	line->is_at_endpoint = false;
	lane->bytes_under_way -= hook_batch_body_bytes(&line->flying);
	verdict_of_answer(answer, time->wall_s, &verdict);
	if (answer->outcome == FETCH_ANSWERED) {
		lane->counts.answered++;
		lane->counts.took_us += answer->took_us;
	}
	if (verdict.kind == VERDICT_TAKEN)
		settle_taken(lane, line);
	else if (verdict.kind == VERDICT_REFUSED)
		settle_refused(lane, line, &verdict, time);
	else
		settle_failed(lane, line, &verdict, time);
}

/* ---- how it is doing ---- */

/* The first of the oldest batch has come first, but for what was redelivered. */
static uint64_t oldest_event_ms(const struct hook_lane *lane)
{
	uint64_t oldest_ms = 0;
	EACH_LINE_CONST(lane, line)
	{
		const struct hook_batch *batch = line->flying.count != 0 ? &line->flying : &line->gathered;
		uint64_t time_ms = batch->count != 0 ? batch->events[0].time_ms : 0;
		if (time_ms != 0 && (oldest_ms == 0 || time_ms < oldest_ms))
			oldest_ms = time_ms;
	}
	return oldest_ms;
}

void hook_lane_status(const struct hook_lane *lane, uint64_t now_ms, uint64_t wall_ms, struct hook_status *status)
{
	const struct hook *hook = lane->hook;
	uint64_t arrived_ms = oldest_event_ms(lane);
	*status = (struct hook_status){
		.qos = hook->qos,
		.counts = lane->counts,
		.oldest_s = arrived_ms != 0 && arrived_ms < wall_ms ? (double)(wall_ms - arrived_ms) / 1e3 : 0,
		.fault_age_s = lane->fault[0] != '\0' ? (double)(now_ms - lane->fault_ms) / 1e3 : 0,
	};
	EACH_LINE_CONST(lane, line)
	{
		status->backlog_messages += line->flying.count + line->gathered.count;
		status->backlog_bytes += line->flying.text.size + line->gathered.text.size;
	}
	/* What was given up leaves nothing to wait for. */
	bool is_waiting = lane->is_waiting && status->backlog_messages != 0;
	status->state = lane->session.state != SESSION_READY ? HOOK_STARTING : is_waiting ? HOOK_WAITING : HOOK_WORKING;
	snprintf(status->name, sizeof(status->name), "%s", hook->name);
	snprintf(status->url, sizeof(status->url), "%s", hook->url);
	snprintf(status->fault, sizeof(status->fault), "%s", lane->fault);
}
