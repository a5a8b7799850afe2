#include "doctor/plan/loopback.h"

#include "base/check.h"
#include "base/clock.h"

#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MEASURE_MS 200u
/* Between two readings of the clock. */
#define ROUNDS 64u
#define BYTES_MAX 8192u

static uint64_t thread_cpu_ns(void)
{
	struct timespec used;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

static void close_pair(const int pair[2])
{
	for (int i = 0; i < 2; i++) {
		if (pair[i] >= 0)
			close(pair[i]);
	}
}

static bool open_pair(int pair[2])
{
	static const int on = 1;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pair[1] = -1;
	if (listener >= 0 && pair[0] >= 0 && bind(listener, (struct sockaddr *)&address, size) == 0 &&
	    listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&address, &size) == 0 &&
	    connect(pair[0], (struct sockaddr *)&address, size) == 0)
		pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	setsockopt(pair[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (listener >= 0)
		close(listener);
	return pair[1] >= 0;
}

static bool pass(const int pair[2], uint8_t *bytes, size_t size)
{
	return send(pair[0], bytes, size, MSG_NOSIGNAL) == (ssize_t)size &&
	       recv(pair[1], bytes, size, MSG_WAITALL) == (ssize_t)size;
}

double loopback_ns(uint32_t payload_bytes)
{
	int pair[2];
	size_t size = payload_bytes == 0 ? 1 : payload_bytes < BYTES_MAX ? payload_bytes : BYTES_MAX;
	uint8_t *bytes = calloc(1, size);
	bool good = open_pair(pair) && bytes != NULL;
	uint64_t until_ms = clock_now_ms() + MEASURE_MS;
	uint64_t began = thread_cpu_ns();
	uint64_t passed = 0;
	while (good && clock_now_ms() < until_ms) {
		for (uint32_t i = 0; good && i < ROUNDS; i++)
			good = pass(pair, bytes, size);
		passed += ROUNDS;
	}
	double used = (double)(thread_cpu_ns() - began);
	close_pair(pair);
	free(bytes);
	CHECK(!good || passed > 0);
	return good ? used / (double)passed : (double)NAN;
}
