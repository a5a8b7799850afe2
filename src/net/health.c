#include "net/health.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static void set(int fd, int level, int option, uint32_t value)
{
	int number = (int)value;
	setsockopt(fd, level, option, &number, sizeof(number));
}

static uint32_t interval_s(uint32_t idle_s)
{
	return idle_s / 6 != 0 ? idle_s / 6 : 1;
}

void health_configure(int fd, uint32_t idle_s)
{
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s);
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval_s(idle_s));
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, HEALTH_PROBES);
}

void health_probe(int fd, uint32_t idle_s)
{
	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (idle_s + HEALTH_PROBES * interval_s(idle_s)) * 1000);
}

bool health_is_unanswered(int fd, uint32_t limit_ms)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
		return false;
	return (info.tcpi_unacked != 0 || info.tcpi_probes != 0) && info.tcpi_last_ack_recv >= limit_ms;
}
