#include "bench/floor/floor.h"

#include "bench/dial/dial.h"
#include "bench/floor/relay.h"
#include "bench/options/options.h"

#include "base/clock.h"
#include "reactor/fdtable.h"

#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096
/* SIGTERM is noticed this late if it arrives just before the wait. */
#define TURN_MS 500
#define DEFER_ACCEPT_S 5

struct floor_options {
	struct url url;
	uint32_t seconds;   /* 0: forever */
	uint32_t listen_fd; /* 0: open url */
	bool defer_accept;
};

static const char USAGE[] =
	"Usage: roost bench floor [OPTION...]\n\n"
	"A bare relay on epoll: the machine's own limit, for `roost bench` to compare servers with. It is not a\n"
	"broker: topics are told apart by the number they end in (below 1,048,576), and a client may subscribe\n"
	"once. QoS 1 and 2 are answered, and nothing is remembered. Members of a $share/ subscription get\n"
	"messages in turn.\n\n"
	"      --url URL        where to listen (tcp://127.0.0.1:1884)\n"
	"      --defer-accept   accept a connection only when its first bytes are there (TCP_DEFER_ACCEPT)\n"
	"      --seconds S      end after S seconds, 1 to 86400\n"
	"      --listen-fd FD   use this listening socket (for `roost bench ... --floor`)\n"
	"      --help\n\n"
	"Ends on SIGTERM or SIGINT, and when the process that started it ends.\n";

static const struct option_row OPTIONS[] = {
	OPTION_ROW("url", OPTION_TCP_URL, struct floor_options, url, struct url),
	OPTION_ROW_SWITCH("defer-accept", struct floor_options, defer_accept),
	OPTION_ROW_U32("seconds", struct floor_options, seconds, 1, 86400),
	OPTION_ROW_U32("listen-fd", struct floor_options, listen_fd, STDERR_FILENO + 1, INT32_MAX),
	{0},
};

/* A signal handler has no other way to report. */
static volatile sig_atomic_t stopping;

static void floor_on_signal(int signal)
{
	(void)signal;
	stopping = 1;
}

static int open_listener(const struct floor_options *options)
{
	static const int defer_s = DEFER_ACCEPT_S;
	struct address address;
	int listener = (int)options->listen_fd;
	if (listener == 0) {
		const char *fault = url_resolve(&options->url, &address);
		listener = fault == NULL ? dial_listen(&address, BACKLOG) : -1;
		if (listener < 0) {
			fprintf(stderr, "roost bench floor: %s port %u: %s\n", options->url.host,
				(unsigned int)options->url.port, fault != NULL ? fault : strerror(-listener));
			return -1;
		}
	}
	if (options->defer_accept)
		setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_s, sizeof(defer_s));
	return listener;
}

int floor_main(int argc, char **argv)
{
	static const struct option_table tables[] = {{OPTIONS, 0}, {NULL, 0}};
	static const struct option_set set = {USAGE, tables};
	struct floor_options options = {.url = {.host = "127.0.0.1", .port = 1884}};
	struct sigaction action = {.sa_handler = floor_on_signal};
	struct relay relay;
	int status;
	if (!options_take(argc, argv, &set, &options, &status) || !options_none_left(argc, argv, optind))
		return status;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	uint32_t sockets_max = (uint32_t)fdtable_raise_limit();
	int listener = open_listener(&options);
	if (listener < 0)
		return BENCH_EXIT_FAILED;
	bool good = relay_open(&relay, listener, sockets_max);
	uint64_t end_ns = options.seconds > 0 ? clock_now_ns() + options.seconds * 1000000000ull : UINT64_MAX;
	while (good && stopping == 0) {
		relay_turn(&relay, TURN_MS);
		if (options.seconds > 0 && clock_now_ns() >= end_ns)
			break;
	}
	if (!good)
		fputs("roost bench floor: out of memory or descriptors\n", stderr);
	relay_close(&relay);
	return good ? BENCH_EXIT_OK : BENCH_EXIT_FAILED;
}
