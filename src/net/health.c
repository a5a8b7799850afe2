#include "net/health.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

static void health_set(int fd, int level, int option, uint32_t value)
{
	int number = (int)value;
	setsockopt(fd, level, option, &number, sizeof(number));
}

static uint32_t probe_interval_s(uint32_t idle_s)
{
	return idle_s / 6 != 0 ? idle_s / 6 : 1;
}

void health_configure(int listener, uint32_t idle_s)
{
	health_set(listener, IPPROTO_TCP, TCP_KEEPIDLE, idle_s);
	health_set(listener, IPPROTO_TCP, TCP_KEEPINTVL, probe_interval_s(idle_s));
	health_set(listener, IPPROTO_TCP, TCP_KEEPCNT, HEALTH_PROBES);
}

void health_probe(struct streams *streams, struct stream stream, uint32_t idle_s)
{
	CHECK(idle_s != 0);
	int fd = stream_borrow(streams, stream);
	health_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	health_set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (idle_s + HEALTH_PROBES * probe_interval_s(idle_s)) * 1000);
	stream_give_back(streams, stream, fd);
}

bool health_read(struct streams *streams, struct stream stream, struct health *health)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);
	int fd = stream_borrow(streams, stream);
	bool known = fd >= 0 && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0;
	stream_give_back(streams, stream, fd);
	if (!known)
		return false;
	*health = (struct health){
		.rtt_us = info.tcpi_rtt,
		.unacknowledged = info.tcpi_unacked,
		.retransmits = info.tcpi_total_retrans,
		.last_ack_ms = info.tcpi_last_ack_recv,
		.awaits_answer = info.tcpi_unacked != 0 || info.tcpi_probes != 0,
	};
	return true;
}

bool health_is_unanswered(struct streams *streams, struct stream stream, uint32_t limit_ms)
{
	struct health health;
	return health_read(streams, stream, &health) && health.awaits_answer && health.last_ack_ms >= limit_ms;
}
