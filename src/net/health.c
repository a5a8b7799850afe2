#include "net/health.h"

#include <linux/tcp.h> /* its struct tcp_info has more than glibc's; the two headers exclude each other */
#include <netinet/in.h>

/* States of the kernel (include/net/tcp_states.h) in which the peer's FIN has come. */
#define STATE_CLOSE_WAIT 8u
#define STATE_LAST_ACK 9u
#define STATE_CLOSING 11u

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

/* Up to `bytes` of *info are wanted. */
static bool read_info(struct streams *streams, struct stream stream, size_t bytes, struct tcp_info *info)
{
	socklen_t size = sizeof(*info);
	int fd = stream_borrow(streams, stream);
	bool known = fd >= 0 && getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &size) == 0 && size >= bytes;
	stream_give_back(streams, stream, fd);
	return known;
}

bool health_read(struct streams *streams, struct stream stream, struct health *health)
{
	struct tcp_info info;
	if (!read_info(streams, stream, 0, &info))
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

/* The kernel counts a FIN, which takes a sequence number, as a byte. */
static bool has_counted_fin(uint8_t state)
{
	return state == STATE_CLOSE_WAIT || state == STATE_LAST_ACK || state == STATE_CLOSING;
}

bool health_read_traffic(struct streams *streams, struct stream stream, struct traffic *traffic)
{
	struct tcp_info info;
	size_t bytes = offsetof(struct tcp_info, tcpi_bytes_received) + sizeof(info.tcpi_bytes_received);
	if (!read_info(streams, stream, bytes, &info))
		return false;
	uint64_t fin = has_counted_fin(info.tcpi_state) && info.tcpi_bytes_received != 0 ? 1 : 0;
	*traffic = (struct traffic){
		.received = info.tcpi_bytes_received - fin,
		.acknowledged = info.tcpi_bytes_acked,
	};
	return true;
}

bool health_is_unanswered(struct streams *streams, struct stream stream, uint32_t limit_ms)
{
	struct health health;
	return health_read(streams, stream, &health) && health.awaits_answer && health.last_ack_ms >= limit_ms;
}
