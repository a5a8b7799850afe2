/* What the programs tls_pipe_*.c share: each is a client of one TLS library whose plain side is the descriptor 0, a
 * socket, so that any test can speak through it. Arguments: DESCRIPTOR NAME CA_FILE [OPTION=VALUE...], of a socket that
 * is connected to the server, the server's name, whom to trust, and struct pipe_options. One line on standard error
 * when the handshake is done: "version suite resumed|full". Exit status: 0 after the end of either side, 3 if the
 * server's was without close_notify, 1 with a line that says why. */
#ifndef TLS_PIPE_H
#define TLS_PIPE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PLAIN 0
#define CHUNK_BYTES 65536

struct pipe_options {
	int fd;
	const char *name, *ca;
	const char *certificate, *key; /* NULL: none */
	const char *version;           /* "1.2", "1.3" or NULL */
	const char *suites;            /* as the library names them; NULL: its own choice */
	size_t fragment_bytes;         /* of each record that is sent; 0: as large as they come */
	unsigned update_every;         /* writes between two KeyUpdates, ours and asked of the peer; 0: none */
	unsigned updates_max;          /* so many of them and no more; 0: no limit */
};

static struct pipe_options pipe_options(int count, char **words)
{
	struct pipe_options options = {0};
	if (count < 4) {
		fprintf(stderr, "usage: %s DESCRIPTOR NAME CA_FILE [OPTION=VALUE...]\n", words[0]);
		exit(2);
	}
	options.fd = atoi(words[1]);
	fcntl(options.fd, F_SETFL, fcntl(options.fd, F_GETFL) & ~O_NONBLOCK);
	options.name = words[2];
	options.ca = words[3];
	for (int i = 4; i < count; i++) {
		char *value = strchr(words[i], '=');
		if (value == NULL)
			continue;
		*value++ = '\0';
		if (strcmp(words[i], "certificate") == 0)
			options.certificate = value;
		else if (strcmp(words[i], "key") == 0)
			options.key = value;
		else if (strcmp(words[i], "version") == 0)
			options.version = value;
		else if (strcmp(words[i], "suites") == 0)
			options.suites = value;
		else if (strcmp(words[i], "fragment") == 0)
			options.fragment_bytes = (size_t)atoi(value);
		else if (strcmp(words[i], "update_every") == 0)
			options.update_every = (unsigned)atoi(value);
		else if (strcmp(words[i], "updates_max") == 0)
			options.updates_max = (unsigned)atoi(value);
	}
	return options;
}

static void pipe_fail(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static void pipe_nonblocking(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* ---- what each library gives ---- */

enum pipe_result { PIPE_BYTES, PIPE_AGAIN, PIPE_END, PIPE_CUT /* the end, without close_notify */ };
/* Neither blocks. pipe_send() takes some of the bytes; PIPE_AGAIN wants to be called with the same again. */
static enum pipe_result pipe_receive(char *into, size_t room, size_t *got);
static enum pipe_result pipe_send(const char *bytes, size_t size, size_t *taken);
static void pipe_update_keys(void);
static void pipe_close(void);

struct pipe_way {
	char bytes[CHUNK_BYTES];
	size_t begin, end;
};

static void pipe_run(int fd, const struct pipe_options *options)
{
	static struct pipe_way in, out; /* from TLS, and into it */
	bool in_ended = false, out_ended = false, cut = false;
	unsigned sends = 0;
	pipe_nonblocking(fd);
	pipe_nonblocking(PLAIN);
	while (!in_ended || in.begin != in.end) {
		bool moved = false;
		if (!in_ended && in.begin == in.end) {
			enum pipe_result result = pipe_receive(in.bytes, sizeof(in.bytes), &in.end);
			in.begin = 0;
			if (result != PIPE_BYTES)
				in.end = 0;
			in_ended = result == PIPE_END || result == PIPE_CUT;
			cut |= result == PIPE_CUT;
			moved |= result == PIPE_BYTES;
		}
		if (in.begin != in.end) {
			ssize_t written = send(PLAIN, in.bytes + in.begin, in.end - in.begin, MSG_NOSIGNAL);
			if (written < 0 && errno != EAGAIN)
				break;
			in.begin += written > 0 ? (size_t)written : 0;
			moved |= written > 0;
		}
		if (!out_ended && out.begin == out.end) {
			ssize_t count = recv(PLAIN, out.bytes, sizeof(out.bytes), 0);
			if (count == 0 || (count < 0 && errno != EAGAIN)) {
				pipe_close();
				shutdown(fd, SHUT_WR);
				out_ended = true;
			}
			out.begin = 0;
			out.end = count > 0 ? (size_t)count : 0;
			moved |= count > 0;
		}
		if (out.begin != out.end) {
			size_t size = out.end - out.begin, taken = 0;
			if (options->fragment_bytes != 0 && size > options->fragment_bytes)
				size = options->fragment_bytes;
			enum pipe_result result = pipe_send(out.bytes + out.begin, size, &taken);
			if (result == PIPE_END || result == PIPE_CUT)
				break;
			if (result == PIPE_BYTES) {
				out.begin += taken;
				moved = true;
				sends++;
				if (options->update_every != 0 && sends % options->update_every == 0 &&
				    (options->updates_max == 0 ||
				     sends / options->update_every <= options->updates_max))
					pipe_update_keys();
			}
		}
		if (moved)
			continue;
		struct pollfd polls[2] = {
			{fd, (short)(POLLIN | (out.begin != out.end ? POLLOUT : 0)), 0},
			{PLAIN,
			 (short)((out_ended || out.begin != out.end ? 0 : POLLIN) | (in.begin != in.end ? POLLOUT : 0)),
			 0}};
		if (out_ended)
			polls[1].fd = in.begin != in.end ? PLAIN : -1;
		poll(polls, 2, -1);
	}
	shutdown(PLAIN, SHUT_RDWR);
	exit(cut && !out_ended ? 3 : 0);
}

#endif
