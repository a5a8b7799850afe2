#include "bridge/redis_link.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define READ_BYTES ((size_t)16 << 10)

bool redis_link_fail(struct redis_link *link, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(link->fault, sizeof(link->fault), format, arguments);
	va_end(arguments);
	return false;
}

bool redis_link_refused(struct redis_link *link, const redisReply *reply)
{
	return redis_link_fail(link, "%.120s", reply->str[0] != '\0' ? reply->str : "an error without words");
}

static bool redis_context_fail(struct redis_link *link)
{
	return redis_link_fail(link, "%s", link->context->errstr[0] != '\0' ? link->context->errstr : "out of memory");
}

static bool redis_reader_fail(struct redis_link *link)
{
	if (link->too_long)
		return redis_link_fail(link, "an answer is too long");
	return redis_link_fail(link, "%s", link->reader->errstr[0] != '\0' ? link->reader->errstr : "out of memory");
}

/* ---- limits of an answer ---- */

static void *make_string(const redisReadTask *task, char *text, size_t size)
{
	struct redis_link *link = task->privdata;
	link->answer_bytes += size;
	link->too_long = link->too_long || link->answer_bytes > REDIS_ANSWER_BYTES_MAX;
	return link->too_long ? NULL : link->makers->createString(task, text, size);
}

/* All other parts of an answer are elements of an array, so counting these bounds them. */
static void *make_array(const redisReadTask *task, int elements)
{
	struct redis_link *link = task->privdata;
	link->answer_elements += elements > 0 ? (size_t)elements : 0;
	link->too_long = link->too_long || link->answer_elements > REDIS_ANSWER_ELEMENTS_MAX;
	return link->too_long ? NULL : link->makers->createArray(task, elements);
}

static bool make_reader(struct redis_link *link)
{
	link->makers = link->context->reader->fn;
	link->counting = *link->context->reader->fn;
	link->counting.createString = make_string;
	link->counting.createArray = make_array;
	link->answer_bytes = link->answer_elements = 0;
	link->too_long = false;
	link->reader = redisReaderCreateWithFunctions(&link->counting);
	if (link->reader == NULL)
		return redis_link_fail(link, "out of memory");
	link->reader->privdata = link; /* redisReaderSetPrivdata() of 0.14 casts the pointer to int */
	return true;
}

/* ---- speaking ---- */

bool redis_link_append(struct redis_link *link, int count, const char **words, const size_t *sizes)
{
	CHECK(link->context != NULL && count > 0);
	return redisAppendCommandArgv(link->context, count, words, sizes) == REDIS_OK || redis_context_fail(link);
}

bool redis_link_send(struct redis_link *link)
{
	int done = 0;
	CHECK(link->context != NULL);
	while (done == 0) {
		if (redisBufferWrite(link->context, &done) != REDIS_OK)
			return redis_context_fail(link);
	}
	return true;
}

bool redis_link_receive(struct redis_link *link)
{
	char bytes[READ_BYTES];
	CHECK(link->context != NULL);
	ssize_t got = recv(link->context->fd, bytes, sizeof(bytes), 0);
	if (got == 0)
		return redis_link_fail(link, "the server closed the connection");
	if (got < 0)
		return errno == EAGAIN || errno == EINTR || redis_link_fail(link, "%s", strerror(errno));
	/* The reader buffers an incomplete answer, or answers that were not asked for. */
	if (link->reader->len - link->reader->pos + (size_t)got > REDIS_ANSWER_BYTES_MAX)
		return redis_link_fail(link, "an answer is too long");
	return redisReaderFeed(link->reader, bytes, (size_t)got) == REDIS_OK || redis_reader_fail(link);
}

bool redis_link_next(struct redis_link *link, redisReply **reply)
{
	void *found = NULL;
	CHECK(link->context != NULL);
	*reply = NULL;
	if (redisReaderGetReply(link->reader, &found) != REDIS_OK)
		return redis_reader_fail(link);
	if (found != NULL)
		link->answer_bytes = link->answer_elements = 0;
	*reply = found;
	return true;
}

static bool await_bytes(struct redis_link *link, uint64_t until_ms)
{
	uint64_t now_ms = clock_now_ms();
	struct pollfd poller = {.fd = link->context->fd, .events = POLLIN};
	if (now_ms >= until_ms || poll(&poller, 1, (int)(until_ms - now_ms)) == 0)
		return redis_link_fail(link, "no answer in %u ms", REDIS_TIMEOUT_MS);
	return true;
}

redisReply *redis_link_answer(struct redis_link *link, int type)
{
	uint64_t until_ms = clock_now_ms() + REDIS_TIMEOUT_MS;
	redisReply *reply;
	for (;;) {
		if (!redis_link_next(link, &reply))
			return NULL;
		if (reply != NULL)
			break;
		if (!await_bytes(link, until_ms) || !redis_link_receive(link))
			return NULL;
	}
	if (reply->type == type)
		return reply;
	if (reply->type == REDIS_REPLY_ERROR)
		redis_link_refused(link, reply);
	else
		redis_link_fail(link, "an answer of type %d was not expected", reply->type);
	freeReplyObject(reply);
	return NULL;
}

/* Sends a command whose answer is a status such as OK. */
static bool command(struct redis_link *link, int count, const char **words)
{
	if (!redis_link_append(link, count, words, NULL) || !redis_link_send(link))
		return false;
	redisReply *reply = redis_link_answer(link, REDIS_REPLY_STATUS);
	if (reply != NULL)
		freeReplyObject(reply);
	return reply != NULL;
}

bool redis_link_ping(struct redis_link *link)
{
	return command(link, 1, (const char *[]){"PING"});
}

/* ---- opening ---- */

static bool sign_in(struct redis_link *link, const struct redis_url *url)
{
	if (url->user[0] != '\0')
		return command(link, 3, (const char *[]){"AUTH", url->user, url->password});
	return url->password[0] == '\0' || command(link, 2, (const char *[]){"AUTH", url->password});
}

static bool select_database(struct redis_link *link, const struct redis_url *url)
{
	char number[16];
	snprintf(number, sizeof(number), "%u", url->database);
	return url->database == 0 || command(link, 2, (const char *[]){"SELECT", number});
}

bool redis_link_open(struct redis_link *link, const struct redis_url *url)
{
	CHECK(link->context == NULL); /* closed, or never opened */
	struct timeval timeout = {.tv_sec = REDIS_TIMEOUT_MS / 1000, .tv_usec = REDIS_TIMEOUT_MS % 1000 * 1000};
	if (url->is_unix)
		link->context = redisConnectUnixWithTimeout(url->host, timeout);
	else
		link->context = redisConnectWithTimeout(url->host, url->port, timeout);
	if (link->context == NULL)
		return redis_link_fail(link, "out of memory");
	bool good = link->context->err == 0 || redis_context_fail(link);
	if (good && redisSetTimeout(link->context, timeout) != REDIS_OK)
		good = redis_context_fail(link);
	good = good && make_reader(link);
	if (good && sign_in(link, url) && select_database(link, url))
		return true;
	redis_link_close(link);
	return false;
}

void redis_link_close(struct redis_link *link)
{
	if (link->reader != NULL)
		redisReaderFree(link->reader);
	link->reader = NULL;
	if (link->context != NULL)
		redisFree(link->context);
	link->context = NULL;
}
