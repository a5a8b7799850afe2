#include "bridge/redis_link.h"

#include "base/check.h"
#include "base/clock.h"
#include "transport/tls_connect.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Of the stream, with errno. In TLS 1.3 a server says only behind the handshake that it wants a certificate of ours. */
static bool redis_stream_fail(struct redis_link *link)
{
	int number = errno;
	link->tls_failed = number == EPROTO;
	return redis_link_fail(link, "%s%s", number == EPROTO ? "TLS: " : "",
			       tls_stream_fault(link->streams, link->stream, number));
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

static bool make_reader(struct redis_link *link, const redisReplyObjectFunctions *makers)
{
	link->makers = makers;
	link->counting = *makers;
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

int redis_link_fd(const struct redis_link *link)
{
	CHECK(link->streams != NULL);
	int fd = stream_borrow(link->streams, link->stream);
	stream_give_back(link->streams, link->stream, fd);
	return fd; /* it is the socket's own: nothing moves it out of this thread's table */
}

bool redis_link_append(struct redis_link *link, int count, const char **words, const size_t *sizes)
{
	char *text = NULL;
	CHECK(link->streams != NULL && count > 0);
	int size = redisFormatCommandArgv(&text, count, words, sizes);
	char *grown = size > 0 ? realloc(link->out, link->out_bytes + (size_t)size) : NULL;
	if (grown == NULL) {
		free(text);
		return redis_link_fail(link, "out of memory");
	}
	memcpy(grown + link->out_bytes, text, (size_t)size);
	link->out = grown;
	link->out_bytes += (size_t)size;
	free(text);
	return true;
}

/* Waits for input or output. */
static bool await_redis(struct redis_link *link, short events, uint64_t until_ms)
{
	uint64_t now_ms = clock_now_ms();
	struct pollfd poller = {.fd = redis_link_fd(link), .events = events};
	if (now_ms >= until_ms || poll(&poller, 1, (int)(until_ms - now_ms)) == 0)
		return redis_link_fail(link, "no answer in %u ms", REDIS_TIMEOUT_MS);
	return true;
}

bool redis_link_send(struct redis_link *link)
{
	uint64_t until_ms = clock_now_ms() + REDIS_TIMEOUT_MS;
	size_t sent = 0;
	CHECK(link->streams != NULL);
	while (sent < link->out_bytes) {
		ssize_t taken = stream_send(link->streams, link->stream, link->out + sent, link->out_bytes - sent);
		if (taken > 0)
			sent += (size_t)taken;
		else if (errno != EAGAIN && errno != EINTR)
			return redis_stream_fail(link);
		else if (!await_redis(link, POLLOUT, until_ms))
			return false;
	}
	free(link->out);
	link->out = NULL;
	link->out_bytes = 0;
	return true;
}

bool redis_link_receive(struct redis_link *link)
{
	char bytes[READ_BYTES];
	CHECK(link->streams != NULL);
	ssize_t got = stream_receive(link->streams, link->stream, bytes, sizeof(bytes), &link->more);
	if (got == 0)
		return redis_link_fail(link, "the server closed the connection");
	if (got < 0)
		return errno == EAGAIN || errno == EINTR || redis_stream_fail(link);
	/* The reader buffers an incomplete answer, or answers that were not asked for. */
	link->too_long = link->reader->len - link->reader->pos + (size_t)got > REDIS_ANSWER_BYTES_MAX;
	if (link->too_long)
		return redis_reader_fail(link);
	return redisReaderFeed(link->reader, bytes, (size_t)got) == REDIS_OK || redis_reader_fail(link);
}

bool redis_link_next(struct redis_link *link, redisReply **reply)
{
	void *found = NULL;
	CHECK(link->streams != NULL);
	*reply = NULL;
	if (redisReaderGetReply(link->reader, &found) != REDIS_OK)
		return redis_reader_fail(link);
	if (found != NULL)
		link->answer_bytes = link->answer_elements = 0;
	*reply = found;
	return true;
}

bool redis_link_await(struct redis_link *link, redisReply **reply)
{
	uint64_t until_ms = clock_now_ms() + REDIS_TIMEOUT_MS;
	while (redis_link_next(link, reply)) {
		if (*reply != NULL)
			return true;
		if ((!link->more && !await_redis(link, POLLIN, until_ms)) || !redis_link_receive(link))
			break;
	}
	return false;
}

redisReply *redis_link_answer(struct redis_link *link, int type)
{
	redisReply *reply;
	if (!redis_link_await(link, &reply))
		return NULL;
	if (reply->type == type)
		return reply;
	if (reply->type == REDIS_REPLY_ERROR)
		redis_link_refused(link, reply);
	else
		redis_link_fail(link, "an answer of type %d was not expected", reply->type);
	freeReplyObject(reply);
	return NULL;
}

redisReply *redis_link_ask(struct redis_link *link, int type, int count, const char **words)
{
	if (!redis_link_append(link, count, words, NULL) || !redis_link_send(link))
		return NULL;
	return redis_link_answer(link, type);
}

/* Sends a command whose answer is a status such as OK. */
static bool command(struct redis_link *link, int count, const char **words)
{
	redisReply *reply = redis_link_ask(link, REDIS_REPLY_STATUS, count, words);
	if (reply != NULL)
		freeReplyObject(reply);
	return reply != NULL;
}

bool redis_link_ping(struct redis_link *link)
{
	return command(link, 1, (const char *[]){"PING"});
}

/* ---- opening ---- */

static bool sign_in(struct redis_link *link, const struct redis_login *login)
{
	if (login->user[0] != '\0')
		return command(link, 3, (const char *[]){"AUTH", login->user, login->password});
	return login->password[0] == '\0' || command(link, 2, (const char *[]){"AUTH", login->password});
}

static bool select_database(struct redis_link *link, uint32_t database)
{
	char number[16];
	snprintf(number, sizeof(number), "%u", database);
	return database == 0 || command(link, 2, (const char *[]){"SELECT", number});
}

/* A connected socket, which does not block. -1: fault is set. *makers: how hiredis makes the parts of an answer. */
static int connect_socket(struct redis_link *link, const struct redis_place *place,
			  const redisReplyObjectFunctions **makers)
{
	const struct timeval timeout = {.tv_sec = REDIS_TIMEOUT_MS / 1000, .tv_usec = REDIS_TIMEOUT_MS % 1000 * 1000};
	redisContext *context = place->port == 0 ? redisConnectUnixWithTimeout(place->host, timeout)
						 : redisConnectWithTimeout(place->host, place->port, timeout);
	if (context == NULL || context->err != 0) {
		redis_link_fail(link, "%s",
				context != NULL && context->errstr[0] != '\0' ? context->errstr : "out of memory");
		if (context != NULL)
			redisFree(context);
		return -1;
	}
	*makers = context->reader->fn; /* static, of the library */
	int fd = redisFreeKeepFd(context);
	/* The next program has connections of its own: Redis would go on telling this one. */
	CHECK(fcntl(fd, F_SETFD, FD_CLOEXEC) == 0);
	return fd;
}

static bool open_stream(struct redis_link *link, const struct redis_way *way, int fd)
{
	if (way->tls == NULL) {
		link->stream = stream_of(STREAM_DESCRIPTOR, fd);
		return true;
	}
	char fault[TLS_FAULT_BYTES_MAX];
	enum error error;
	const struct tls_connect connect = {
		.context = way->tls,
		.name = way->tls_name[0] != '\0' ? way->tls_name : way->place->host,
		.timeout_ms = REDIS_TIMEOUT_MS,
	};
	link->stream = tls_connect(way->streams, fd, &connect, NULL, &error, fault);
	if (stream_exists(link->stream))
		return true;
	link->tls_failed = true;
	close(fd);
	return redis_link_fail(link, "TLS: %.*s", REDIS_FAULT_BYTES - 8, fault);
}

bool redis_link_open(struct redis_link *link, const struct redis_way *way)
{
	const redisReplyObjectFunctions *makers;
	CHECK(link->streams == NULL); /* closed, or never opened */
	link->more = link->tls_failed = false;
	int fd = connect_socket(link, way->place, &makers);
	if (fd < 0 || !open_stream(link, way, fd))
		return false;
	link->streams = way->streams;
	if (make_reader(link, makers) && sign_in(link, way->login) && select_database(link, way->database))
		return true;
	redis_link_close(link);
	return false;
}

void redis_link_close(struct redis_link *link)
{
	if (link->reader != NULL)
		redisReaderFree(link->reader);
	link->reader = NULL;
	free(link->out);
	link->out = NULL;
	link->out_bytes = 0;
	if (link->streams != NULL)
		stream_close(link->streams, link->stream);
	link->streams = NULL;
}
